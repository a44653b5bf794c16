//! Series for charts: few points that keep what matters.

use base::Instant;

use crate::Point;

/// Buckets of at most three points each: minimum, maximum, gap.
const BUCKETS: usize = 130;

/// At most 400 points that keep first, last, minima, maxima and gaps, in time order.
pub(crate) fn thin(points: &[Point]) -> Vec<Point> {
    if points.len() <= 3 * BUCKETS {
        return points.to_vec();
    }
    let size = points.len().div_ceil(BUCKETS);
    points.chunks(size).flat_map(bucket).collect()
}

fn bucket(points: &[Point]) -> Vec<Point> {
    let known = || points.iter().filter(|point| point.value.is_some());
    let by_value = |a: &&Point, b: &&Point| {
        a.value.unwrap_or_default().total_cmp(&b.value.unwrap_or_default())
    };
    let gap = points.iter().find(|point| point.value.is_none());
    let mut kept: Vec<Point> = [known().min_by(by_value), known().max_by(by_value), gap]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    kept.sort_by_key(|point| point.at);
    kept.dedup_by_key(|point| point.at);
    kept
}

/// Only the points at which a value of few levels begins and ends, at most 400.
pub(crate) fn steps(values: impl Iterator<Item = (Instant, Option<f64>)>) -> Vec<Point> {
    let points: Vec<Point> = values.map(|(at, value)| Point { at, value }).collect();
    let kept: Vec<Point> = points
        .iter()
        .enumerate()
        .filter(|(index, point)| {
            let differs = |other: Option<&Point>| other.is_none_or(|o| o.value != point.value);
            differs(index.checked_sub(1).and_then(|i| points.get(i)))
                || differs(points.get(index + 1))
        })
        .map(|(_, point)| *point)
        .collect();
    thin(&kept)
}

#[cfg(test)]
mod tests {
    use super::{steps, thin};
    use crate::Point;
    use base::Instant;
    use proptest::prelude::*;

    fn points(values: &[Option<f64>]) -> Vec<Point> {
        let at = |index: usize| Instant::from_unix_millis(index as i64 * 60_000);
        values.iter().enumerate().map(|(i, value)| Point { at: at(i), value: *value }).collect()
    }

    proptest! {
        #[test]
        fn extremes_survive_and_the_rest_is_bounded(
            values in prop::collection::vec(prop::option::weighted(0.95, -1e6..1e6), 0..3_000),
        ) {
            let all = points(&values);
            let kept = thin(&all);
            prop_assert!(kept.len() <= 400);
            prop_assert!(kept.is_sorted_by(|a, b| a.at < b.at));
            prop_assert!(kept.iter().all(|point| all.contains(point)));
            let extreme = |points: &[Point], sign: f64| {
                points.iter().filter_map(|p| p.value).map(|v| sign * v).fold(f64::MIN, f64::max)
            };
            prop_assert_eq!(extreme(&kept, 1.0), extreme(&all, 1.0));
            prop_assert_eq!(extreme(&kept, -1.0), extreme(&all, -1.0));
            let has_gap = |points: &[Point]| points.iter().any(|p| p.value.is_none());
            prop_assert_eq!(has_gap(&kept), has_gap(&all));
        }
    }

    #[test]
    fn a_step_keeps_both_of_its_ends() {
        let values = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0].map(Some);
        let kept = steps(points(&values).into_iter().map(|p| (p.at, p.value)));
        let minutes: Vec<i64> = kept.iter().map(|p| p.at.unix_millis() / 60_000).collect();
        assert_eq!(minutes, [0, 2, 3, 4, 5, 7]);
    }
}
