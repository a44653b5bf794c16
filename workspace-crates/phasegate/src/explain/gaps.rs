//! When there was no usable value.

use base::{Duration, Instant};
use gates::{Coverage, Finding, Point};

/// Gaps that are listed.
const SHOWN: usize = 8;

/// A sentence for each gap, and how long the longest one was.
pub(super) fn lines(finding: &Finding, coverage: &Coverage) -> Vec<String> {
    if coverage.present == coverage.expected {
        return vec!["No gap: every point had a value.".to_owned()];
    }
    let mut lines = vec![format!("Longest gap: {}", coverage.longest_gap)];
    let gaps = gaps(finding, coverage.until);
    let total = gaps.len();
    for (from, until) in gaps.into_iter().take(SHOWN) {
        lines.push(format!("No usable value from {from} until {until} ({})", until - from));
    }
    if total > SHOWN {
        lines.push(format!("and {} more gaps", total - SHOWN));
    }
    lines
}

/// Where some series that is judged has no value. In a series that was thinned a gap may be
/// shown shorter than it was.
fn gaps(finding: &Finding, end: Instant) -> Vec<(Instant, Instant)> {
    let judged = |title: &str| {
        let mut queries = finding.explanation.queries.iter();
        finding.soak.is_none() || queries.any(|(name, _)| name.eq_ignore_ascii_case(title))
    };
    let series = finding.explanation.series.iter().filter(|series| judged(&series.title));
    let mut all: Vec<_> = series.flat_map(|series| of(&series.points, end)).collect();
    all.sort();
    let mut merged: Vec<(Instant, Instant)> = Vec::new();
    for (from, until) in all {
        match merged.last_mut() {
            Some((_, last)) if from <= *last => *last = (*last).max(until),
            _ => merged.push((from, until)),
        }
    }
    merged.retain(|(from, until)| *until - *from > Duration::ZERO);
    merged
}

/// From the first point without a value to the next one with a value.
fn of(points: &[Point], end: Instant) -> Vec<(Instant, Instant)> {
    let mut gaps = Vec::new();
    let mut began: Option<Instant> = None;
    for point in points {
        match (point.value, began) {
            (None, None) => began = Some(point.at),
            (Some(_), Some(from)) => {
                gaps.push((from, point.at));
                began = None;
            }
            _ => {}
        }
    }
    gaps.extend(began.map(|from| (from, end)));
    gaps
}
