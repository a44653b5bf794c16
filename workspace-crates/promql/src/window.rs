//! Windows that slide over the samples of a series in linear time.

use std::sync::Arc;

use crate::column::ABSENT;
use crate::context::Shifted;

/// The indices of a window's first sample and of the one after its last.
pub(crate) type Bounds = (usize, usize);

/// The window of each distinct time, put into `found`. Both indices only grow from step to step.
pub(crate) fn bounds(times_ms: &[i64], ends: &Shifted, range_ms: i64, found: &mut Vec<Bounds>) {
    let (mut low, mut high) = (Cursor::default(), Cursor::default());
    let window = |step| {
        let end = ends.time(step);
        let high = high.seek(times_ms, end);
        (low.seek(times_ms, end - range_ms), high)
    };
    found.clear();
    found.extend((0..ends.distinct()).map(window));
}

/// Counts how many times lie at or before a time that only grows. Samples mostly come regularly, so
/// it first looks where the last advance leads.
#[derive(Default)]
pub(crate) struct Cursor {
    at: usize,
    advance: usize,
}

impl Cursor {
    /// Beyond so many single steps a binary search is faster.
    const WALK: usize = 16;

    #[inline]
    pub(crate) fn seek(&mut self, times_ms: &[i64], time_ms: i64) -> usize {
        let likely = self.at + self.advance;
        if let Some([before, after]) =
            likely.checked_sub(1).and_then(|at| times_ms.get(at..=likely))
            && *before <= time_ms
            && time_ms < *after
        {
            self.at = likely;
            return likely;
        }
        self.walk(times_ms, time_ms)
    }

    #[cold]
    fn walk(&mut self, times_ms: &[i64], time_ms: i64) -> usize {
        let mut at = (self.at + self.advance).min(times_ms.len());
        while at > self.at && times_ms[at - 1] > time_ms {
            at -= 1;
        }
        let walk = (at + Self::WALK).min(times_ms.len());
        while at < walk && times_ms[at] <= time_ms {
            at += 1;
        }
        if at == walk {
            at += times_ms[at..].partition_point(|t| *t <= time_ms);
        }
        (self.advance, self.at) = (at - self.at, at);
        at
    }
}

/// The windows over some times. Series of one target share their times, and so their windows.
#[derive(Clone)]
pub(crate) struct Layout<T> {
    times_ms: Arc<Vec<i64>>,
    pub(crate) inner: T,
}

impl<T: Default> Layout<T> {
    /// What was made for the same times before, or else what `make` makes of that for others, the
    /// buffers of which it can use again.
    pub(crate) fn of<'a>(
        known: &'a mut Option<Self>,
        times_ms: &Arc<Vec<i64>>,
        make: impl FnOnce(&[i64], &mut T),
    ) -> &'a T {
        let is_known = known.as_ref().is_some_and(|k| Arc::ptr_eq(&k.times_ms, times_ms));
        let mut inner = known.take().map_or_else(T::default, |known| known.inner);
        if !is_known {
            make(times_ms, &mut inner);
        }
        &known.insert(Self { times_ms: Arc::clone(times_ms), inner }).inner
    }
}

/// Folds every window with an associative operation, touching each sample at most twice.
///
/// The window is split at `middle`: folds of all its ends up to there are kept, and one fold of
/// what has come in since. Nothing is ever subtracted, so no digits are lost. `leaf` gets the index
/// of a sample; `finish` gets the fold, the step and the bounds.
pub(crate) fn fold<T: Copy>(
    bounds: &[Bounds],
    leaf: impl Fn(usize) -> T,
    join: impl Fn(T, T) -> T,
    finish: impl Fn(T, usize, Bounds) -> f64,
    out: &mut Vec<f64>,
) {
    let mut tails: Vec<T> = Vec::new();
    let mut middle = 0;
    let mut incoming: Option<T> = None;
    let mut seen = 0;
    for (step, (low, high)) in bounds.iter().copied().enumerate() {
        if low == high {
            out.push(ABSENT);
            continue;
        }
        let following = bounds.get(step + 1).map_or(high, |next| next.0);
        if low >= middle && following >= high {
            // No later window has any of these samples.
            out.push(finish(fold_once(low, high, &leaf, &join), step, (low, high)));
            (middle, incoming, seen) = (high, None, high);
            continue;
        }
        if low >= middle {
            // `tails` holds the fold of `[index, high)` at `high - 1 - index`.
            tails.clear();
            for at in (low..high).rev() {
                let one = leaf(at);
                tails.push(tails.last().map_or(one, |tail| join(one, *tail)));
            }
            (middle, incoming, seen) = (high, None, high);
        }
        for at in seen..high {
            let one = leaf(at);
            incoming = Some(incoming.map_or(one, |fold| join(fold, one)));
        }
        seen = high;
        let tail = tails[middle - 1 - low];
        let all = incoming.map_or(tail, |fold| join(tail, fold));
        out.push(finish(all, step, (low, high)));
    }
}

/// Folds four quarters side by side, because a processor adds faster than it waits for sums.
fn fold_once<T: Copy>(
    low: usize,
    high: usize,
    leaf: &impl Fn(usize) -> T,
    join: &impl Fn(T, T) -> T,
) -> T {
    let quarter = (high - low) / 4;
    if quarter < 4 {
        return (low + 1..high).fold(leaf(low), |fold, at| join(fold, leaf(at)));
    }
    let starts = [low, low + quarter, low + 2 * quarter, low + 3 * quarter];
    let mut lanes = starts.map(leaf);
    for offset in 1..quarter {
        for (lane, start) in lanes.iter_mut().zip(starts) {
            *lane = join(*lane, leaf(start + offset));
        }
    }
    let [a, b, c, d] = lanes;
    let d = (starts[3] + quarter..high).fold(d, |fold, at| join(fold, leaf(at)));
    join(join(a, b), join(c, d))
}

/// Computes every window on its own; for what takes constant time.
pub(crate) fn each(
    bounds: &[Bounds],
    mut compute: impl FnMut(usize, usize, usize) -> f64,
    out: &mut Vec<f64>,
) {
    let steps = bounds.iter().enumerate();
    out.extend(steps.map(
        |(step, (low, high))| {
            if low == high { ABSENT } else { compute(step, *low, *high) }
        },
    ));
}

#[cfg(test)]
mod tests {
    use super::{bounds, fold};
    use crate::column::ABSENT;
    use crate::context::Shifted;
    use proptest::prelude::*;

    fn found(times_ms: &[i64], ends: &Shifted, range_ms: i64) -> Vec<super::Bounds> {
        let mut found = Vec::new();
        bounds(times_ms, ends, range_ms, &mut found);
        found
    }

    #[test]
    fn windows_are_open_on_the_left() {
        let ends = Shifted { first_ms: 20, step_ms: 10, count: 3 };
        assert_eq!(found(&[0, 10, 20, 30], &ends, 20), [(1, 3), (2, 4), (3, 4)]);
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
            let found = found(&times, &ends, range_ms);
            prop_assert_eq!(found.len(), ends.distinct());
            let mut sums = Vec::new();
            fold(&found, |at| values[at], |a, b| a + b, |sum, _, _| sum, &mut sums);
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
        fn joins_keep_their_order(count in 1_usize..150, range_ms in 1_i64..300, step_ms in 1_i64..90) {
            let times: Vec<i64> = (0..count as i64).map(|n| n * 3).collect();
            let ends = Shifted { first_ms: 0, step_ms, count: 30 };
            let found = found(&times, &ends, range_ms);
            // First and last of a window, which only an operation in order gives.
            let mut folded = Vec::new();
            let finish = |(first, last), _, (low, high)| {
                assert_eq!((first, last), (low, high - 1));
                0.0
            };
            fold(&found, |at| (at, at), |a, b| (a.0, b.1), finish, &mut folded);
            prop_assert_eq!(folded.len(), found.len());
        }
    }
}
