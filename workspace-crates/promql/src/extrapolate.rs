//! `rate`, `increase` and `delta`: the difference of last and first sample, extrapolated to the
//! borders of the window where the samples suggest that the series goes on there.

use crate::column::ABSENT;
use crate::context::Shifted;
use crate::number::Sum;
use crate::window::{Bounds, fold};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extrapolation {
    Rate,
    Increase,
    Delta,
}

/// How a window stretches differences, which depends on its times alone.
#[derive(Clone, Copy)]
pub(crate) struct Edge {
    /// By how much the difference is multiplied.
    factor: f64,
    /// A counter whose first value is less than this share of its increase may begin at zero
    /// within the window, which makes the factor smaller.
    near_zero: f64,
}

/// The times of all windows of one series, and what is asked about them.
pub(crate) struct Windows<'a> {
    pub(crate) kind: Extrapolation,
    pub(crate) ends: &'a Shifted,
    pub(crate) range_ms: i64,
    pub(crate) bounds: &'a [Bounds],
}

impl Windows<'_> {
    pub(crate) fn edges(&self, times_ms: &[i64]) -> Vec<Edge> {
        let steps = self.bounds.iter().enumerate();
        let edge = |(step, (low, high)): (usize, &Bounds)| {
            if high - low < 2 {
                return Edge { factor: ABSENT, near_zero: 0.0 };
            }
            let gaps = self.gaps(times_ms, step, (*low, *high));
            Edge {
                factor: self.scaled(gaps.factor(gaps.before)),
                // Somewhat more than exact: who comes near is computed exactly.
                near_zero: gaps.before / gaps.sampled * (1.0 + 1e-9),
            }
        };
        steps.map(edge).collect()
    }

    fn gaps(&self, times_ms: &[i64], step: usize, (low, high): Bounds) -> Gaps {
        let (first, last) = (times_ms[low], times_ms[high - 1]);
        let end = self.ends.time(step);
        let sampled = seconds(last, first);
        let interval = sampled / (high - low - 1) as f64;
        // A gap that is hardly longer than usual means that the series goes on at the border.
        let reach = |gap: f64| if gap >= interval * 1.1 { interval / 2.0 } else { gap };
        let before = reach(seconds(first, end - self.range_ms));
        Gaps { before, sampled, after: reach(seconds(end, last)) }
    }

    fn scaled(&self, factor: f64) -> f64 {
        if self.kind == Extrapolation::Rate {
            factor / (self.range_ms as f64 / 1_000.0)
        } else {
            factor
        }
    }

    /// `rises` says that no value is less than the one before it.
    pub(crate) fn compute(
        &self,
        edges: &[Edge],
        (times_ms, values): (&[i64], &[f64]),
        rises: bool,
        out: &mut Vec<f64>,
    ) {
        let is_counter = self.kind != Extrapolation::Delta;
        let lost = if is_counter && !rises { self.lost_to_resets(values) } else { None };
        let windows = self.bounds.iter().zip(edges).enumerate();
        out.extend(windows.map(|(step, ((low, high), edge))| {
            if high - low < 2 {
                return ABSENT;
            }
            let first = values[*low];
            let lost = lost.as_ref().map_or(0.0, |lost| lost[step]);
            let increase = values[high - 1] - first + lost;
            if is_counter && first < increase * edge.near_zero && first >= 0.0 {
                // A counter does not begin below zero.
                let gaps = self.gaps(times_ms, step, (*low, *high));
                let before = gaps.before.min(gaps.sampled * (first / increase));
                return increase * self.scaled(gaps.factor(before));
            }
            increase * edge.factor
        }));
    }

    /// What a counter had reached before each reset within the window; `None` without resets.
    fn lost_to_resets(&self, values: &[f64]) -> Option<Vec<f64>> {
        let lost = |pair: &[f64]| if pair[1] < pair[0] { pair[0] } else { 0.0 };
        if values.windows(2).all(|pair| lost(pair) == 0.0) {
            return None;
        }
        let drops: Vec<f64> = std::iter::once(0.0).chain(values.windows(2).map(lost)).collect();
        // A drop at the first sample of a window lies before the window.
        let inner = self.bounds.iter().map(|(low, high)| ((*low + 1).min(*high), *high));
        let inner: Vec<Bounds> = inner.collect();
        let mut folded = Vec::with_capacity(inner.len());
        fold(&inner, |at| Sum::of(drops[at]), Sum::add, |sum, _, _| sum.value(), &mut folded);
        folded.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
        Some(folded)
    }
}

/// Distances within a window, in seconds: how far it is extrapolated to the left, from the first
/// sample to the last, and how far it is extrapolated to the right.
struct Gaps {
    before: f64,
    sampled: f64,
    after: f64,
}

impl Gaps {
    fn factor(&self, before: f64) -> f64 {
        (self.sampled + before + self.after) / self.sampled
    }
}

pub(crate) fn seconds(later_ms: i64, earlier_ms: i64) -> f64 {
    (later_ms - earlier_ms) as f64 / 1_000.0
}

/// Whether no value is less than the one before it, nor any NaN, and so no staleness marker.
pub(crate) fn rises(values: &[f64]) -> bool {
    /// Long enough for the processor to compare several at once.
    const CHUNK: usize = 512;
    let Some(following) = values.get(1..) else { return true };
    let chunks = values.chunks(CHUNK).zip(following.chunks(CHUNK));
    chunks.into_iter().all(|(earlier, later)| {
        earlier.iter().zip(later).fold(true, |rises, (a, b)| rises & (b >= a))
    })
}

#[cfg(test)]
mod tests {
    use super::rises;

    #[test]
    fn a_fall_is_found_wherever_it_is() {
        assert!(rises(&[]) && rises(&[f64::NAN]) && rises(&[1.0, 1.0, 2.0]));
        assert!(!rises(&[1.0, f64::NAN]) && !rises(&[f64::NAN, 1.0]));
        for at in 1..1_200 {
            let mut values: Vec<f64> = (0..1_200).map(f64::from).collect();
            assert!(rises(&values));
            values[at] = -1.0;
            assert!(!rises(&values), "{at}");
        }
    }
}
