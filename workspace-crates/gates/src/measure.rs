//! One number out of a query over a window, with what is known about its evidence.

use std::fmt;

use base::{Duration, Outcome};
use diagnostics::{Diagnostic, codes};
use serde::{Deserialize, Deserializer, de};

use crate::kinds::OnMissing;
use crate::query::{self, GateQuery, Purpose};
use crate::reading::{Grid, Reader, Source, Values, coverage};
use crate::thin::thin;
use crate::window::{Span, Window};
use crate::{Context, Coverage, Explanation, Judgement, Need, Point, Series, text};

/// How values become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reduce {
    Mean,
    Min,
    Max,
    Last,
    Quantile(f64),
}

impl<'de> Deserialize<'de> for Reduce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_reduce(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no reduction; write `mean`, `min`, `max`, `last` or `quantile(0.99)`"
            ))
        })
    }
}

fn parse_reduce(text: &str) -> Option<Reduce> {
    Some(match text {
        "mean" => Reduce::Mean,
        "min" => Reduce::Min,
        "max" => Reduce::Max,
        "last" => Reduce::Last,
        _ => {
            let inner = text.strip_prefix("quantile(")?.strip_suffix(')')?;
            let q: f64 = inner.trim().parse().ok()?;
            if !(0.0..=1.0).contains(&q) {
                return None;
            }
            Reduce::Quantile(q)
        }
    })
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Min => f.write_str("minimum"),
            Self::Max => f.write_str("maximum"),
            Self::Last => f.write_str("last value"),
            Self::Quantile(q) => write!(f, "{} quantile", text::number(*q)),
        }
    }
}

impl Reduce {
    fn apply(self, values: &Values) -> Option<f64> {
        let mut known: Vec<f64> = values.iter().flatten().copied().collect();
        if known.is_empty() {
            return None;
        }
        let reduced = match self {
            Self::Mean => known.iter().sum::<f64>() / known.len() as f64,
            Self::Min => known.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Max => known.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Last => *known.last()?,
            Self::Quantile(q) => {
                known.sort_by(f64::total_cmp);
                let rank = q * (known.len() - 1) as f64;
                let (low, high) = (known[rank.floor() as usize], known[rank.ceil() as usize]);
                low + (high - low) * rank.fract()
            }
        };
        reduced.is_finite().then_some(reduced)
    }
}

/// The parameters that kinds share which reduce a query to one number.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    pub(crate) query: GateQuery,
    pub(crate) reduce: Reduce,
    pub(crate) window: Window,
    pub(crate) warm_up: Duration,
    pub(crate) step: Duration,
    pub(crate) unit: String,
    pub(crate) evidence: EvidenceRules,
    /// The server that is asked; the deployment's own samples when none is named.
    pub(crate) server: Option<String>,
}

/// How much missing data is tolerated.
#[derive(Debug, Clone, Default)]
pub(crate) struct EvidenceRules {
    pub(crate) min_coverage: Option<f64>,
    pub(crate) max_gap: Option<Duration>,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) on_missing: OnMissing,
}

impl EvidenceRules {
    const MIN_COVERAGE_DEFAULT: f64 = 0.95;

    pub(crate) fn min_coverage(&self) -> f64 {
        self.min_coverage.unwrap_or(Self::MIN_COVERAGE_DEFAULT)
    }

    pub(crate) fn max_gap(&self, scrape_interval: Duration, step: Duration) -> Duration {
        // A gap cannot be shorter than what lies between two points of the grid.
        self.max_gap.unwrap_or_else(|| scrape_interval.times(4).max(step.times(2)))
    }

    pub(crate) fn max_staleness(&self, scrape_interval: Duration) -> Duration {
        self.max_staleness.unwrap_or_else(|| scrape_interval.times(2))
    }

    /// Diagnostics about values that make no sense.
    pub(crate) fn check(&self, params: &definition::Params, problems: &mut Vec<Diagnostic>) {
        if let Some(share) = self.min_coverage
            && !(share > 0.0 && share <= 1.0)
        {
            problems.push(
                params
                    .problem(
                        codes::BAD_VALUE,
                        "min_coverage",
                        format!("{share} is no share of the samples"),
                    )
                    .help("write a number above 0 and at most 1"),
            );
        }
        for (key, length) in [("max_gap", self.max_gap), ("max_staleness", self.max_staleness)] {
            if let Some(length) = length {
                check_positive(params, key, length, problems);
            }
        }
    }
}

/// A diagnostic when a duration is not longer than no time.
pub(crate) fn check_positive(
    params: &definition::Params,
    key: &str,
    length: Duration,
    problems: &mut Vec<Diagnostic>,
) {
    if length < Duration::from_millis(1) {
        problems.push(
            params
                .problem(codes::BAD_VALUE, key, format!("`{key}` is {length}"))
                .help("write a duration of at least one millisecond"),
        );
    }
}

/// A diagnostic when a warm-up is negative.
pub(crate) fn check_warm_up(
    params: &definition::Params,
    warm_up: Duration,
    problems: &mut Vec<Diagnostic>,
) {
    if warm_up < Duration::ZERO {
        problems.push(params.problem(codes::BAD_VALUE, "warm_up", "a warm-up cannot be negative"));
    }
}

/// Reads the query of a gate's parameters at `key`.
pub(crate) fn query_param(
    params: &definition::Params,
    key: &str,
    text: &str,
    purpose: Purpose,
    counters: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Option<GateQuery> {
    let problem = |code, message| params.problem(code, key, message);
    query::parse(text, purpose, counters, &problem).map_err(|found| problems.extend(found)).ok()
}

/// What was measured.
pub(crate) struct Measured {
    /// The number; `None` when there was no value at all.
    pub(crate) value: Option<f64>,
    /// Why the evidence does not suffice, as full sentences; empty when it does.
    pub(crate) shortfall: Vec<String>,
    pub(crate) coverage: Coverage,
    pub(crate) grid: Grid,
    pub(crate) values: Values,
    pub(crate) explanation: Explanation,
}

impl Measurement {
    pub(crate) fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::measured(self.server.as_deref(), self.query.metrics())];
        if let Window::AfterEvent(after) = &self.window {
            needs.push(Need::Events { names: vec![after.after_event.clone()] });
        }
        needs
    }

    /// Measures and concludes from what was measured, or says why that is not possible.
    pub(crate) fn judge(
        &self,
        context: &Context<'_>,
        conclude: impl FnOnce(Measured) -> Judgement,
    ) -> Judgement {
        let missing =
            |reason: &str| Judgement::new(self.evidence.on_missing.outcome(), reason.to_owned());
        let Some(deployment) = &context.deployment else {
            return missing("Nothing is deployed, so there is nothing to measure.");
        };
        let span = self.window.resolve(context, deployment, self.warm_up, self.query.reach);
        let span = match span {
            Ok(span) => span,
            Err(none_yet) => return *none_yet,
        };
        let Some(source) = Source::of(context, deployment, self.server.as_deref()) else {
            return missing("No samples of the deployment were collected.");
        };
        let scrape = deployment.scrape_interval;
        let staleness = self.evidence.max_staleness(scrape);
        let reader = Reader::new(source.answers(), staleness, self.evidence.min_coverage());
        let grid = Grid::new(span.from, span.until, self.step);
        let mut values = match reader.values(&self.query, grid) {
            Ok(values) => values,
            Err(e) => {
                let reason = format!("The query could not be evaluated: {e}.");
                return source.attest(Judgement::new(e.outcome(), reason));
            }
        };
        for (index, value) in values.iter_mut().enumerate() {
            if grid.at(index) < span.data_from {
                *value = None;
            }
        }
        let mut judgement = conclude(self.reduced(values, grid, span, scrape));
        if matches!(self.window, Window::AfterEvent(_)) {
            judgement = judgement.resting_on(deployment.events_digest);
        }
        source.attest(judgement)
    }

    fn reduced(&self, values: Values, grid: Grid, span: Span, scrape: Duration) -> Measured {
        let coverage = coverage(&values, grid, span.until, span.warm_up);
        let value = self.reduce.apply(&values);
        let explanation = Explanation {
            queries: vec![("query".to_owned(), self.query.text().to_owned())],
            steps: self.steps(&coverage, value),
            ..Explanation::default()
        };
        let shortfall = self.shortfall(&values, grid, &coverage, scrape);
        Measured { value, shortfall, coverage, grid, values, explanation }
    }

    fn steps(&self, coverage: &Coverage, value: Option<f64>) -> Vec<String> {
        let mut steps = Vec::new();
        if coverage.warm_up.is_positive() {
            steps.push(format!("The first {} were left out as warm-up.", coverage.warm_up));
        }
        steps.push(format!(
            "The query was evaluated every {} from {} to {}: {} of {} points have a value.",
            self.step, coverage.from, coverage.until, coverage.present, coverage.expected
        ));
        if let Some(value) = value {
            let value = text::quantity(value, &self.unit);
            steps.push(format!("Their {} is {value}.", self.reduce));
        }
        steps
    }

    /// Why the evidence does not suffice.
    fn shortfall(
        &self,
        values: &Values,
        grid: Grid,
        coverage: &Coverage,
        scrape: Duration,
    ) -> Vec<String> {
        if coverage.present == 0 {
            return vec![nothing_found(&self.query)];
        }
        let mut shortfall = Vec::new();
        if coverage.share() < self.evidence.min_coverage() {
            shortfall.push(format!(
                "Only {} of the expected values were there ({} of {}); at least {} are needed.",
                text::percent(coverage.share()),
                coverage.present,
                coverage.expected,
                text::percent(self.evidence.min_coverage())
            ));
        }
        let max_gap = self.evidence.max_gap(scrape, self.step);
        if coverage.longest_gap > max_gap {
            shortfall.push(format!(
                "For {} in a row there was no value; at most {max_gap} are accepted.",
                coverage.longest_gap
            ));
        }
        // The last value stands for the end of the window, so it must be from there.
        if self.reduce == Reduce::Last && values.last().is_some_and(Option::is_none) {
            let last = values.iter().rposition(Option::is_some).unwrap_or(0);
            let age = coverage.until - grid.at(last);
            shortfall.push(format!(
                "The last value is from {}, {age} before the end of the window, and stale.",
                grid.at(last)
            ));
        }
        shortfall
    }
}

/// The sentence for a query without any value.
pub(crate) fn nothing_found(query: &GateQuery) -> String {
    let metrics: Vec<String> = query.metrics().iter().map(|name| format!("`{name}`")).collect();
    let what =
        if metrics.is_empty() { format!("`{}`", query.text()) } else { text::list(&metrics) };
    format!("No usable value of {what} was found in the window, so nothing is known about it.")
}

impl Measured {
    /// The judgement that the evidence does not suffice, if it does not.
    pub(crate) fn insufficient(&self, on_missing: OnMissing) -> Option<Judgement> {
        let first = self.shortfall.first()?;
        let mut judgement = Judgement::new(on_missing.outcome(), first.clone());
        judgement.reasons.extend(self.shortfall.iter().skip(1).cloned());
        if judgement.outcome == Outcome::Inconclusive {
            judgement = judgement.would_change("Complete samples over the whole window.");
        }
        Some(judgement)
    }

    /// The series that a chart shows.
    pub(crate) fn series(&self, title: &str, unit: &str, threshold: Option<f64>) -> Series {
        let points: Vec<Point> = self
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| Point { at: self.grid.at(index), value: *value })
            .collect();
        Series { title: title.to_owned(), unit: unit.to_owned(), threshold, points: thin(&points) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reduce, parse_reduce};

    #[test]
    fn values_are_reduced_as_named_and_missing_ones_do_not_count() {
        let values = vec![Some(4.0), None, Some(1.0), Some(3.0), Some(2.0)];
        let cases =
            [("mean", 2.5), ("min", 1.0), ("max", 4.0), ("last", 2.0), ("quantile(0.5)", 2.5)];
        for (name, expected) in cases {
            assert_eq!(parse_reduce(name).unwrap().apply(&values), Some(expected), "{name}");
        }
        assert_eq!(Reduce::Mean.apply(&vec![None]), None);
        for bad in ["", "avg", "quantile", "quantile(2)", "quantile(NaN)", "quantile(0.5"] {
            assert_eq!(parse_reduce(bad), None, "{bad}");
        }
    }
}
