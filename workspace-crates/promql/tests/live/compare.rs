//! What "the same answer" means.

use std::collections::BTreeMap;

use base::{Duration, Instant};
use promql::{Limits, Query, Value};
use samples::{Labels, SampleSource};

use crate::server::{Points, When};

/// The largest relative difference.
const RELATIVE_MAX: f64 = 1e-5;
/// Below it both count as zero: what is left where equal numbers are taken from each other.
const ZERO: f64 = 1e-9;

/// What this crate answers: points, or why it refuses.
pub fn ours(query: &str, source: &dyn SampleSource, when: When) -> Result<Points, String> {
    let query = Query::parse(query).map_err(|error| error.to_string())?;
    let limits = Limits::default();
    let second = |seconds: i64| Instant::from_unix_millis(seconds * 1_000);
    let value = match when {
        When::Instant(at) => promql::instant(&query, source, second(at), &limits),
        When::Range { start, end, step } => {
            let step = Duration::from_seconds(step);
            promql::range(&query, source, second(start), second(end), step, &limits)
                .map(Value::Matrix)
        }
    };
    value.map(points).map_err(|error| error.to_string())
}

fn points(value: Value) -> Points {
    let one = |t_ms, value| BTreeMap::from([(t_ms, value)]);
    match value {
        Value::Scalar(point) => Points::from([(Labels::empty(), one(point.t_ms, point.value))]),
        Value::Vector(samples) => {
            samples.into_iter().map(|s| (s.labels, one(s.t_ms, s.value))).collect()
        }
        Value::Matrix(matrix) => {
            let points = |points: Vec<promql::Point>| {
                points.into_iter().map(|point| (point.t_ms, point.value)).collect()
            };
            matrix.series.into_iter().map(|s| (s.labels, points(s.points))).collect()
        }
        Value::Text(_) => Points::new(),
    }
}

pub fn same(a: f64, b: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= RELATIVE_MAX * a.abs().max(b.abs()) && a.is_finite() && b.is_finite()
        || (a.abs() < ZERO && b.abs() < ZERO)
}

/// The first difference, in words. Two refusals are the same answer: the words may differ.
pub fn difference(
    ours: &Result<Points, String>,
    theirs: &Result<Points, String>,
) -> Result<(), String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return Ok(()),
        (Err(error), Ok(_)) => return Err(format!("only we refuse: {error}")),
        (Ok(_), Err(error)) => return Err(format!("only Prometheus refuses: {error}")),
    };
    for (labels, points) in theirs {
        let Some(found) = ours.get(labels) else {
            return Err(format!("{labels} is missing, among {} series of ours", ours.len()));
        };
        for (t_ms, value) in points {
            match found.get(t_ms) {
                Some(found) if same(*found, *value) => {}
                found => {
                    return Err(format!("{labels} at {t_ms}: {found:?} instead of {value:?}"));
                }
            }
        }
        if let Some(t_ms) = found.keys().find(|t_ms| !points.contains_key(t_ms)) {
            return Err(format!("{labels} at {t_ms}: {:?} instead of nothing", found[t_ms]));
        }
    }
    match ours.keys().find(|labels| !theirs.contains_key(*labels)) {
        Some(labels) => Err(format!("{labels} is only ours")),
        None => Ok(()),
    }
}
