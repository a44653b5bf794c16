//! How one query of a finding ran over its window.

use std::sync::Arc;

use base::{Duration, Instant};
use definition::Gate;
use gates::{Finding, Relation, Series};
use promql::{Limits, Query};
use samples::SampleSource;
use serde::Deserialize;

use super::condition::{holds, sides};
use super::{Page, quantity};
use crate::output::{count, figure, sparkline};

/// Characters of a sparkline.
pub(super) const LINE: usize = 60;
/// The longest that one query of an explanation may take.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// One query with its values in time.
pub(super) struct Trace {
    pub(super) title: String,
    query: String,
    unit: String,
    kind: Kind,
    /// What the value has to be, such as `< 600`; empty when that is not known.
    rule: String,
    pub(super) points: Vec<Step>,
}

/// What a breach of the rule at one step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The condition did not hold then.
    Condition,
    /// The value was beyond what is asked of all values together, such as of their mean.
    Bounded,
    /// Nothing is asked of it.
    Value,
}

/// One step of the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) at: Instant,
    /// The value; `None` when there was none that counts.
    pub(super) value: Option<f64>,
    /// Whether the rule holds there, where that is known.
    pub(super) holds: Option<bool>,
}

/// The queries of a finding, evaluated again on its samples where these are at hand.
pub(super) fn traces(
    finding: &Finding,
    step: Option<Duration>,
    samples: Option<&dyn SampleSource>,
) -> Vec<Trace> {
    let evaluable = samples.zip(step.and_then(|step| steps(finding, step)));
    let queries = finding.explanation.queries.iter();
    queries.map(|(name, query)| trace(finding, evaluable, name, query)).collect()
}

/// The step that the gate's definition states.
pub(super) fn step(gate: &Gate) -> Option<Duration> {
    gate.params.deserialize::<StepParam>().ok().map(|params| params.step)
}

fn trace(
    finding: &Finding,
    evaluable: Option<(&dyn SampleSource, Steps)>,
    name: &str,
    query: &str,
) -> Trace {
    let named = finding.explanation.series.iter().find(|one| one.title.eq_ignore_ascii_case(name));
    let only = match (finding.explanation.queries.len(), finding.explanation.series.as_slice()) {
        (1, [only]) => Some(only),
        _ => None,
    };
    let kept = named.or(only);
    let rule = Rule::of(finding, query, kept);
    let evaluated = evaluable.and_then(|(samples, grid)| rule.evaluate(samples, query, grid, kept));
    let unit = kept.map(|series| series.unit.clone()).unwrap_or_default();
    let title = if kept.is_some() && named.is_none() { &finding.title } else { name };
    Trace {
        title: title.to_owned(),
        query: query.to_owned(),
        kind: rule.kind(finding),
        rule: rule.describe(&unit),
        unit,
        points: evaluated.unwrap_or_else(|| rule.kept(kept)),
    }
}

/// The steps at which the gate was judged: first, last, distance.
type Steps = (Instant, Instant, Duration);

#[derive(Deserialize)]
struct StepParam {
    step: Duration,
}

fn steps(finding: &Finding, step: Duration) -> Option<Steps> {
    let coverage = finding.coverage.as_ref()?;
    let last = coverage.from + step.times(i64::try_from(coverage.expected).ok()?.checked_sub(1)?);
    // A gate whose definition has changed since was judged at other steps.
    let fits = step.is_positive() && last <= coverage.until && last + step > coverage.until;
    fits.then_some((coverage.from, last, step))
}

/// What a query's value has to be.
enum Rule<'q> {
    /// The comparison at the top of a condition.
    Sides(super::condition::Sides<'q>),
    /// A threshold that the gate states.
    Threshold(Relation, f64),
    /// The query itself says 1 or 0.
    Truth,
    /// Nothing: each value is only a part of what is judged.
    None,
}

impl<'q> Rule<'q> {
    fn of(finding: &Finding, query: &'q str, kept: Option<&Series>) -> Self {
        if let Some(sides) = sides(query) {
            return Self::Sides(sides);
        }
        if Query::parse(query).is_ok_and(|query| query.is_boolean()) {
            return Self::Truth;
        }
        let threshold = kept.and_then(|series| series.threshold);
        match (threshold, finding.measures.first()) {
            // The load of a soak: below its threshold time does not count.
            (Some(least), _) if finding.soak.is_some() => Self::Threshold(Relation::AtLeast, least),
            (Some(_), Some(measure)) => Self::Threshold(measure.relation, measure.threshold),
            _ => Self::None,
        }
    }

    fn kind(&self, finding: &Finding) -> Kind {
        match self {
            Self::Sides(_) | Self::Truth => Kind::Condition,
            // Time with less load does not count, as with a condition.
            Self::Threshold(..) if finding.soak.is_some() => Kind::Condition,
            Self::Threshold(..) => Kind::Bounded,
            Self::None => Kind::Value,
        }
    }

    fn describe(&self, unit: &str) -> String {
        match self {
            Self::Sides(sides) => match constant(sides.right) {
                Some(value) => format!("{} {}", sides.operator, figure(value)),
                None => format!("{} {}", sides.operator, sides.right),
            },
            Self::Threshold(relation, threshold) => {
                format!("{} {}", relation.words(), quantity(*threshold, unit))
            }
            Self::Truth | Self::None => String::new(),
        }
    }

    /// Every step, from the samples; `None` when they cannot be evaluated.
    fn evaluate(
        &self,
        samples: &dyn SampleSource,
        query: &str,
        grid: Steps,
        kept: Option<&Series>,
    ) -> Option<Vec<Step>> {
        let (values, limits) = match self {
            Self::Sides(sides) => {
                (values(samples, sides.left, grid)?, Some(values(samples, sides.right, grid)?))
            }
            _ => (values(samples, query, grid)?, None),
        };
        let known = Known::of(kept);
        let steps = values.into_iter().enumerate().map(|(index, value)| {
            let at = grid.0 + grid.2.times(index as i64);
            // What the gate took for missing is missing, also where a query looks back.
            let value = value.filter(|_| known.at(at) != Some(None));
            let limit = limits.as_ref().and_then(|limits| limits.get(index).copied().flatten());
            let holds = match (self, known.at(at)) {
                // What was judged counts.
                (Self::Sides(_) | Self::Truth, Some(Some(level))) => Some(level >= 0.5),
                _ => self.check(value, limit),
            };
            Step { at, value, holds }
        });
        Some(steps.collect())
    }

    fn check(&self, value: Option<f64>, limit: Option<f64>) -> Option<bool> {
        let value = value?;
        match self {
            Self::Sides(sides) => Some(holds(value, sides.operator, limit?)),
            Self::Threshold(relation, threshold) => Some(match relation {
                Relation::AtLeast => value >= *threshold,
                Relation::Above => value > *threshold,
                Relation::Below => value < *threshold,
                Relation::AtMost => value <= *threshold,
                Relation::Equals => value == *threshold,
            }),
            Self::Truth => Some(value >= 0.5),
            Self::None => None,
        }
    }

    /// The points that the finding itself keeps.
    fn kept(&self, kept: Option<&Series>) -> Vec<Step> {
        let points = kept.map(|series| series.points.as_slice()).unwrap_or_default();
        let step = |point: &gates::Point| {
            let holds = match self {
                Self::Sides(_) | Self::Truth => point.value.map(|level| level >= 0.5),
                _ => self.check(point.value, None),
            };
            Step { at: point.at, value: point.value, holds }
        };
        points.iter().map(step).collect()
    }
}

/// What a condition was judged as, between the points at which that changed.
struct Known<'s>(&'s [gates::Point]);

impl<'s> Known<'s> {
    /// Only series of two levels keep every change.
    fn of(kept: Option<&'s Series>) -> Self {
        let points = kept.map(|series| series.points.as_slice()).unwrap_or_default();
        let is_level = |point: &gates::Point| point.value.is_none_or(|v| v == 0.0 || v == 1.0);
        let is_condition = kept.is_some_and(|series| series.threshold.is_none());
        if is_condition && points.iter().all(is_level) { Self(points) } else { Self(&[]) }
    }

    fn at(&self, at: Instant) -> Option<Option<f64>> {
        let next = self.0.partition_point(|point| point.at <= at);
        Some(self.0.get(next.checked_sub(1)?)?.value)
    }
}

/// One value for each step; of a query with several series nothing is known.
fn values(samples: &dyn SampleSource, query: &str, grid: Steps) -> Option<Vec<Option<f64>>> {
    let query = Query::parse(query).ok()?;
    let began = std::time::Instant::now();
    let limits =
        Limits { deadline: Some(Arc::new(move || began.elapsed() > TIMEOUT)), ..Limits::default() };
    let (from, until, step) = grid;
    let matrix = promql::range(&query, samples, from, until, step, &limits).ok()?;
    let steps = usize::try_from((until - from).millis() / step.millis().max(1)).ok()? + 1;
    let mut values = vec![None; steps];
    for point in matrix.single().map(|series| series.points.as_slice()).unwrap_or_default() {
        let index = (point.t_ms - from.unix_millis()) / step.millis().max(1);
        let index = usize::try_from(index).ok()?;
        if let Some(value) = values.get_mut(index) {
            *value = Some(point.value).filter(|value| value.is_finite());
        }
    }
    Some(values)
}

/// The number that a side of a comparison always is, such as that of `0.95 * 128`.
fn constant(text: &str) -> Option<f64> {
    let query = Query::parse(text).ok()?;
    let at = |seconds: i64| {
        let at = Instant::from_unix_millis(seconds * 1_000);
        match promql::instant(&query, &Vec::new(), at, &Limits::default()) {
            Ok(promql::Value::Scalar(point)) => Some(point.value),
            _ => None,
        }
    };
    // The time, and what is made of it, is a number too.
    at(0).filter(|value| value.is_finite() && at(1) == Some(*value))
}

/// The least and the greatest value.
pub(super) fn extremes(values: &[Option<f64>]) -> (Option<f64>, Option<f64>) {
    let known = || values.iter().copied().flatten();
    (known().reduce(f64::min), known().reduce(f64::max))
}

impl Trace {
    /// The values as text with their unit.
    pub(super) fn shown(&self, step: &Step) -> String {
        let value = step.value.map_or("no data".to_owned(), |value| quantity(value, &self.unit));
        if step.holds == Some(false) { format!("{value} ✗") } else { value }
    }

    /// Query, sparkline and how far it came from its threshold.
    pub(super) fn write(&self, page: &mut Page) {
        let broken = self.points.iter().filter(|step| step.holds == Some(false)).count();
        let is_known = self.points.iter().any(|step| step.holds.is_some());
        let state = match (&self.kind, broken) {
            (Kind::Value, _) => String::new(),
            (_, 0) if !is_known => String::new(),
            (Kind::Condition, 0) => ": held throughout".to_owned(),
            (Kind::Bounded, 0) => ": within its threshold throughout".to_owned(),
            (Kind::Condition, _) => format!(": did not hold at {}", self.share(broken)),
            (Kind::Bounded, _) => format!(": beyond its threshold at {}", self.share(broken)),
        };
        page.part(format!("{}{state}", self.title));
        page.line(format!("  {}", self.query));
        let values: Vec<Option<f64>> = self.points.iter().map(|step| step.value).collect();
        let (Some(low), Some(high)) = extremes(&values) else {
            page.line("  no values");
            return;
        };
        page.line(format!("  {}", sparkline(&values, LINE)));
        let marks = self.marks();
        if !marks.trim().is_empty() {
            page.line(format!("  {}", marks.trim_end()));
        }
        let (low, high) = (quantity(low, &self.unit), quantity(high, &self.unit));
        let span =
            if low == high { format!("always {low}") } else { format!("from {low} to {high}") };
        let rule = match self.rule.as_str() {
            "" => String::new(),
            rule => format!("; has to be {rule}"),
        };
        page.line(format!("  {span}{rule}"));
    }

    fn share(&self, steps: usize) -> String {
        format!("{steps} of {}", count(self.points.len(), "step", "steps"))
    }

    /// A mark below each character of the sparkline in which the rule did not hold.
    fn marks(&self) -> String {
        let per_block = self.points.len().div_ceil(LINE).max(1);
        let blocks = self.points.chunks(per_block);
        let broken = |block: &[Step]| block.iter().any(|step| step.holds == Some(false));
        blocks.map(|block| if broken(block) { '✗' } else { ' ' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::constant;

    #[test]
    fn thresholds_that_are_computed_are_shown_as_numbers() {
        assert_eq!(constant("0.95 * 128"), Some(121.6));
        assert_eq!(constant("128 * 2 / 3").map(crate::output::figure).as_deref(), Some("85.3333"));
        for text in ["time()", "up", "scalar(up)", "0 / 0"] {
            assert_eq!(constant(text), None, "{text}");
        }
    }
}
