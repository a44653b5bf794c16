//! Windows that slide over the samples of a series in linear time.

use crate::column::ABSENT;
use crate::eval::Shifted;

/// The indices of a window's first sample and of the one after its last.
pub(crate) type Bounds = (usize, usize);

/// The window of each distinct time. Both indices only grow from step to step.
pub(crate) fn bounds(times_ms: &[i64], ends: &Shifted, range_ms: i64) -> Vec<Bounds> {
    let (mut low, mut high) = (0, 0);
    let mut found = Vec::with_capacity(ends.distinct());
    for step in 0..ends.distinct() {
        let end = ends.time(step);
        while high < times_ms.len() && times_ms[high] <= end {
            high += 1;
        }
        while low < high && times_ms[low] <= end - range_ms {
            low += 1;
        }
        found.push((low, high));
    }
    found
}

/// Folds every window with an associative operation, touching each sample at most twice.
///
/// The window is split at `middle`: folds of all its ends up to there are kept, and one fold of
/// what has come in since. Nothing is ever subtracted, so no digits are lost.
pub(crate) fn fold<T: Copy>(
    values: &[f64],
    bounds: &[Bounds],
    leaf: impl Fn(f64) -> T,
    join: impl Fn(T, T) -> T,
    finish: impl Fn(T, &[f64]) -> f64,
) -> Vec<f64> {
    let mut tails: Vec<T> = Vec::new();
    let mut middle = 0;
    let mut incoming: Option<T> = None;
    let mut seen = 0;
    let mut folded = Vec::with_capacity(bounds.len());
    for (low, high) in bounds.iter().copied() {
        if low == high {
            folded.push(ABSENT);
            continue;
        }
        if low >= middle {
            // `tails` holds the fold of `[index, high)` at `high - 1 - index`.
            tails.clear();
            for value in values[low..high].iter().rev() {
                let one = leaf(*value);
                tails.push(tails.last().map_or(one, |tail| join(one, *tail)));
            }
            (middle, incoming, seen) = (high, None, high);
        }
        for value in &values[seen..high] {
            let one = leaf(*value);
            incoming = Some(incoming.map_or(one, |fold| join(fold, one)));
        }
        seen = high;
        let tail = tails[middle - 1 - low];
        let all = incoming.map_or(tail, |fold| join(tail, fold));
        folded.push(finish(all, &values[low..high]));
    }
    folded
}

/// Computes every window on its own; for what cannot be folded.
pub(crate) fn each(
    bounds: &[Bounds],
    mut compute: impl FnMut(usize, usize, usize) -> f64,
) -> Vec<f64> {
    let steps = bounds.iter().enumerate();
    steps
        .map(|(step, (low, high))| if low == high { ABSENT } else { compute(step, *low, *high) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{bounds, fold};
    use crate::column::ABSENT;
    use crate::eval::Shifted;
    use proptest::prelude::*;

    #[test]
    fn windows_are_open_on_the_left() {
        let ends = Shifted { first_ms: 20, step_ms: 10, count: 3 };
        assert_eq!(bounds(&[0, 10, 20, 30], &ends, 20), [(1, 3), (2, 4), (3, 4)]);
    }

    proptest! {
        #[test]
        fn bounds_and_folds_equal_the_definition(
            gaps in prop::collection::vec(1_i64..40, 0..60),
            first_ms in -50_i64..300, step_ms in 0_i64..60, count in 1_usize..40, range_ms in 1_i64..200,
        ) {
            let times: Vec<i64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).collect();
            // Distinct powers of two: a sum shows exactly which samples were taken.
            let values: Vec<f64> = (0..times.len()).map(|n| (n as f64).exp2()).collect();
            let ends = Shifted { first_ms, step_ms, count };
            let found = bounds(&times, &ends, range_ms);
            prop_assert_eq!(found.len(), ends.distinct());
            let sums = fold(&values, &found, |v| v, |a, b| a + b, |sum, _| sum);
            for (step, (low, high)) in found.iter().enumerate() {
                let end = ends.time(step);
                let inside: Vec<usize> = (0..times.len())
                    .filter(|n| times[*n] <= end && times[*n] > end - range_ms)
                    .collect();
                prop_assert_eq!((*low..*high).collect::<Vec<_>>(), inside.clone());
                let sum: f64 = inside.iter().map(|n| values[*n]).sum();
                if inside.is_empty() {
                    prop_assert_eq!(sums[step].to_bits(), ABSENT.to_bits());
                } else {
                    prop_assert_eq!(sums[step], sum);
                }
            }
        }

        #[test]
        fn joins_keep_their_order(count in 1_usize..50, range_ms in 1_i64..60, step_ms in 1_i64..30) {
            let times: Vec<i64> = (0..count as i64).map(|n| n * 3).collect();
            let values: Vec<f64> = (0..count).map(|n| n as f64).collect();
            let ends = Shifted { first_ms: 0, step_ms, count: 30 };
            let found = bounds(&times, &ends, range_ms);
            // First and last of a window, which only an operation in order gives.
            let folded = fold(&values, &found, |v| (v, v), |a, b| (a.0, b.1), |(first, last), window| {
                assert_eq!((first, last), (window[0], window[window.len() - 1]));
                first
            });
            prop_assert_eq!(folded.len(), found.len());
        }
    }
}
