//! Evaluates queries on a grid and tells values from guesses.

mod answers;
mod recorded;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base::{Duration, Instant};
use promql::EvalError;

use crate::Coverage;
use crate::query::{GateQuery, Presence, Selector, Subquery};
use crate::server::ServerProblemKind;

pub(crate) use answers::{Answers, Source};
use recorded::Recorded;

/// Points in time at equal distances, in whole milliseconds as samples have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grid {
    from_ms: i64,
    step_ms: i64,
    count: usize,
}

impl Grid {
    /// The points `from`, `from + step`, … up to `until`; none when that comes before `from`.
    pub(crate) fn new(from: Instant, until: Instant, step: Duration) -> Self {
        let from_ms = from.unix_micros().div_euclid(1_000)
            + i64::from(from.unix_micros().rem_euclid(1_000) > 0);
        let step_ms = step.millis().max(1);
        let span_ms = until.unix_millis() - from_ms;
        let count = if span_ms < 0 { 0 } else { span_ms / step_ms + 1 };
        Self { from_ms, step_ms, count: usize::try_from(count).unwrap_or(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn from(&self) -> Instant {
        Instant::from_unix_millis(self.from_ms)
    }

    pub(crate) fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms)
    }

    pub(crate) fn at(&self, index: usize) -> Instant {
        Instant::from_unix_millis(self.at_ms(index))
    }

    fn at_ms(&self, index: usize) -> i64 {
        self.from_ms + self.step_ms * index as i64
    }

    fn last(&self) -> Instant {
        self.at(self.count.saturating_sub(1))
    }

    fn index_of(&self, t_ms: i64) -> Option<usize> {
        let distance = t_ms - self.from_ms;
        if distance < 0 || distance % self.step_ms != 0 {
            return None;
        }
        usize::try_from(distance / self.step_ms).ok().filter(|index| *index < self.count)
    }

    /// The first point that is not before `t_ms`; may lie beyond the end.
    fn ceiling(&self, t_ms: i64) -> usize {
        let distance = t_ms - self.from_ms;
        usize::try_from(
            distance.div_euclid(self.step_ms) + i64::from(distance.rem_euclid(self.step_ms) > 0),
        )
        .unwrap_or(0)
    }
}

/// Why a query could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error("the samples for `{selector}` could not be read: {source}")]
    Source { selector: String, source: samples::SourceError },
    #[error(
        "`{query}` gives {count} series at {at}, and a gate needs one; aggregate them with `sum`, `max` or `quantile`"
    )]
    Several { query: String, count: usize, at: Instant },
    #[error("`{query}` gives {value} at {at}; a condition must give 1 or 0")]
    NotBoolean { query: String, value: f64, at: Instant },
    #[error("the server `{server}` gave no answer that can be used: {text}")]
    Server { server: String, kind: ServerProblemKind, text: String },
}

/// One value for each point of the grid; `None` is missing.
pub(crate) type Values = Vec<Option<f64>>;

/// What a condition says at each point, with the number behind it where it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Truth {
    pub(crate) holds: bool,
    pub(crate) value: Option<f64>,
    /// The plain number that it is compared with, where there is one.
    pub(crate) against: Option<f64>,
}

/// A selector without its modifiers, its offset in milliseconds, and the points.
type FreshKey = (String, i64, Grid);

/// Reads queries of one deployment. Conditions of a soak share selectors, so those are kept.
pub(crate) struct Reader<'a> {
    answers: &'a dyn Answers,
    /// A sample older than this is no value.
    max_staleness: Duration,
    /// Share of a subquery's own steps that must have a value.
    min_coverage: f64,
    fresh: RefCell<BTreeMap<FreshKey, Rc<Vec<bool>>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        answers: &'a dyn Answers,
        max_staleness: Duration,
        min_coverage: f64,
    ) -> Self {
        Self { answers, max_staleness, min_coverage, fresh: RefCell::default() }
    }

    /// The values of a query. A point has one when the query gives exactly one finite number there
    /// and every selector in it has a fresh sample.
    pub(crate) fn values(&self, query: &GateQuery, grid: Grid) -> Result<Values, ReadError> {
        if grid.len() == 0 {
            return Ok(Vec::new());
        }
        let mut values = self.answers.values(&query.query, grid)?;
        let present = self.present(&query.presence, grid)?;
        mask(&mut values, &present);
        Ok(values)
    }

    /// The truth of a condition, in the same way.
    pub(crate) fn truths(
        &self,
        query: &GateQuery,
        grid: Grid,
    ) -> Result<Vec<Option<Truth>>, ReadError> {
        let Some(sides) = &query.sides else {
            let values = self.values(query, grid)?;
            let truth = |(index, value): (usize, Option<f64>)| match value {
                None => Ok(None),
                Some(1.0) => Ok(Some(Truth { holds: true, value: None, against: None })),
                Some(0.0) => Ok(Some(Truth { holds: false, value: None, against: None })),
                Some(value) => {
                    let query = query.text().to_owned();
                    Err(ReadError::NotBoolean { query, value, at: grid.at(index) })
                }
            };
            return values.into_iter().enumerate().map(truth).collect();
        };
        if grid.len() == 0 {
            return Ok(Vec::new());
        }
        let left = self.answers.values(&sides.left, grid)?;
        let right = self.answers.values(&sides.right, grid)?;
        let present = self.present(&query.presence, grid)?;
        let left_is_plain = sides.left.kind() == promql::ValueKind::Scalar;
        let truth = |((left, right), present): ((Option<f64>, Option<f64>), bool)| {
            let (left, right) = (left?, right?);
            let (value, against) = if left_is_plain { (right, left) } else { (left, right) };
            let holds = sides.comparison.holds(left, right);
            present.then_some(Truth { holds, value: Some(value), against: Some(against) })
        };
        Ok(left.into_iter().zip(right).zip(present).map(truth).collect())
    }

    fn present(&self, presence: &Presence, grid: Grid) -> Result<Vec<bool>, ReadError> {
        match presence {
            Presence::Selector(selector) => Ok(self.fresh(selector, grid)?.to_vec()),
            Presence::Subquery(subquery) => self.covered(subquery, grid),
            Presence::All(parts) => self.combine(parts, grid, true, |a, b| a && b),
            Presence::Any(parts) => self.combine(parts, grid, false, |a, b| a || b),
        }
    }

    fn combine(
        &self,
        parts: &[Presence],
        grid: Grid,
        neutral: bool,
        join: fn(bool, bool) -> bool,
    ) -> Result<Vec<bool>, ReadError> {
        let mut combined = vec![neutral; grid.len()];
        for part in parts {
            let present = self.present(part, grid)?;
            for (all, one) in combined.iter_mut().zip(present) {
                *all = join(*all, one);
            }
        }
        Ok(combined)
    }

    /// Where some series of the selector has a finite sample that is fresh: the 5 minutes that a
    /// query looks back would go on for a scraper that is dead.
    fn fresh(&self, selector: &Selector, grid: Grid) -> Result<Rc<Vec<bool>>, ReadError> {
        let key = (selector.text.clone(), selector.offset.millis(), grid);
        if let Some(known) = self.fresh.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let fresh = Rc::new(self.answers.fresh(selector, grid, self.max_staleness)?);
        self.fresh.borrow_mut().insert(key, Rc::clone(&fresh));
        Ok(fresh)
    }

    /// Where enough of a subquery's own steps have a value: `min_over_time(count(up == 1)[4h:15s])`
    /// is silent about the time in which nothing was up.
    fn covered(&self, subquery: &Subquery, grid: Grid) -> Result<Vec<bool>, ReadError> {
        let step_ms = subquery.step.millis().max(1);
        let (range_ms, offset_ms) = (subquery.range.millis(), subquery.offset.millis());
        // Steps of subqueries stand at whole multiples of the step.
        let first = (grid.from_ms - offset_ms - range_ms).div_euclid(step_ms) + 1;
        let last = (grid.last().unix_millis() - offset_ms).div_euclid(step_ms);
        let at = |multiple: i64| Instant::from_unix_millis(multiple * step_ms);
        let inner = Grid::new(at(first), at(last), subquery.step);
        let known = self.any_value(&subquery.inner, inner)?;
        let mut sums = Vec::with_capacity(known.len() + 1);
        sums.push(0_u64);
        for (index, known) in known.iter().enumerate() {
            sums.push(sums[index] + u64::from(*known));
        }
        let covered = |index: usize| {
            let end_ms = grid.at_ms(index) - offset_ms;
            let low = ((end_ms - range_ms).div_euclid(step_ms) + 1 - first) as usize;
            let high = (end_ms.div_euclid(step_ms) + 1 - first) as usize;
            let (low, high) = (low.min(sums.len() - 1), high.min(sums.len() - 1));
            let expected = high.saturating_sub(low) as f64;
            let present = (sums[high] - sums[low.min(high)]) as f64;
            expected > 0.0 && present >= self.min_coverage * expected
        };
        Ok((0..grid.len()).map(covered).collect())
    }

    /// Where the query gives at least one finite number from fresh samples.
    fn any_value(&self, query: &GateQuery, grid: Grid) -> Result<Vec<bool>, ReadError> {
        if grid.len() == 0 {
            return Ok(Vec::new());
        }
        let mut known = self.answers.known(&query.query, grid)?;
        let present = self.present(&query.presence, grid)?;
        for (known, present) in known.iter_mut().zip(present) {
            *known &= present;
        }
        Ok(known)
    }
}

fn mask(values: &mut Values, present: &[bool]) {
    for (value, present) in values.iter_mut().zip(present) {
        if !present {
            *value = None;
        }
    }
}

/// How much of the grid has values.
pub(crate) fn coverage<T>(
    values: &[Option<T>],
    grid: Grid,
    until: Instant,
    warm_up: Duration,
) -> Coverage {
    let mut present = 0;
    let mut longest_gap = Duration::ZERO;
    // A gap reaches from one value to the next, and from and to the edges of the window.
    let mut last = grid.from();
    let mut missing = false;
    for (index, value) in values.iter().enumerate() {
        if value.is_none() {
            missing = true;
            continue;
        }
        if missing {
            longest_gap = longest_gap.max(grid.at(index) - last);
        }
        present += 1;
        last = grid.at(index);
        missing = false;
    }
    if missing {
        longest_gap = longest_gap.max(until - last);
    }
    Coverage {
        from: grid.from(),
        until,
        expected: grid.len() as u64,
        present,
        longest_gap,
        warm_up,
    }
}

#[cfg(test)]
mod tests;
