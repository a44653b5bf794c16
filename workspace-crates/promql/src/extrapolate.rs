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
    /// Puts the edge of each window into `found`.
    pub(crate) fn edges(&self, times_ms: &[i64], found: &mut Vec<Edge>) {
        let mut known = ((0, 0, 0), Edge { factor: ABSENT, near_zero: 0.0 });
        let steps = self.bounds.iter().enumerate();
        let edge = |(step, (low, high)): (usize, &Bounds)| {
            if high - low < 2 {
                return Edge { factor: ABSENT, near_zero: 0.0 };
            }
            // Samples mostly come regularly, and windows look the same.
            let end = self.ends.time(step);
            let shape = (end - times_ms[*low], end - times_ms[high - 1], high - low);
            if shape != known.0 {
                known = (shape, self.edge(times_ms, step, (*low, *high)));
            }
            known.1
        };
        found.clear();
        found.extend(steps.map(edge));
    }

    fn edge(&self, times_ms: &[i64], step: usize, bounds: Bounds) -> Edge {
        let gaps = self.gaps(times_ms, step, bounds);
        Edge {
            factor: self.scaled(gaps.factor(gaps.before)),
            // Somewhat more than exact: who comes near is computed exactly.
            near_zero: gaps.before / gaps.sampled * (1.0 + 1e-9),
        }
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

    /// `falls` are the places of values that do not continue the growth of a counter.
    pub(crate) fn compute(
        &self,
        edges: &[Edge],
        (times_ms, values): (&[i64], &[f64]),
        falls: &[usize],
        out: &mut Vec<f64>,
    ) {
        let is_counter = self.kind != Extrapolation::Delta;
        let mut resets = Resets::of(values, falls, self.bounds);
        let windows = self.bounds.iter().zip(edges).enumerate();
        out.extend(windows.map(|(step, ((low, high), edge))| {
            if high - low < 2 {
                return ABSENT;
            }
            let first = values[*low];
            let mut increase = values[high - 1] - first;
            if let Some(resets) = &mut resets {
                increase += resets.lost(step, (*low, *high));
            }
            if is_counter && first < increase * edge.near_zero && first >= 0.0 {
                // A counter does not begin below zero.
                let gaps = self.gaps(times_ms, step, (*low, *high));
                let before = gaps.before.min(gaps.sampled * (first / increase));
                return increase * self.scaled(gaps.factor(before));
            }
            increase * edge.factor
        }));
    }
}

/// What a counter had reached before each of its resets.
struct Resets {
    /// The places of the values after the resets.
    places: Vec<usize>,
    drops: Vec<f64>,
    /// The first reset after the first sample of the window, and the first one beyond the window.
    window: Bounds,
    /// The place of that first reset: a window that ends there has none.
    next: usize,
    /// The sums of all windows, if there are too many resets to add them up window by window.
    sums: Vec<f64>,
}

impl Resets {
    /// So few are added up in no time.
    const FEW: usize = 32;

    fn of(values: &[f64], falls: &[usize], bounds: &[Bounds]) -> Option<Self> {
        let places = falls.iter().copied().filter(|at| values[*at] < values[at - 1]);
        let places: Vec<usize> = places.collect();
        if places.is_empty() {
            return None;
        }
        let drops = places.iter().map(|at| values[at - 1]).collect();
        let mut resets = Self { places, drops, window: (0, 0), next: 0, sums: Vec::new() };
        if resets.places.len() > Self::FEW {
            let windows: Vec<Bounds> = bounds.iter().map(|bounds| resets.within(*bounds)).collect();
            let (drops, sums) = (&resets.drops, &mut resets.sums);
            fold(&windows, |at| Sum::of(drops[at]), Sum::add, |sum, _, _| sum.value(), sums);
            sums.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
        }
        Some(resets)
    }

    /// Which resets lie within the window; one at its first sample lies before it. Windows come in
    /// order.
    fn within(&mut self, (low, high): Bounds) -> Bounds {
        let (mut first, mut beyond) = self.window;
        while first < self.places.len() && self.places[first] <= low {
            first += 1;
        }
        beyond = beyond.max(first);
        while beyond < self.places.len() && self.places[beyond] < high {
            beyond += 1;
        }
        self.window = (first, beyond);
        self.window
    }

    #[inline]
    fn lost(&mut self, step: usize, bounds: Bounds) -> f64 {
        if bounds.0 < self.next && bounds.1 <= self.next {
            return 0.0;
        }
        self.lost_within(step, bounds)
    }

    #[cold]
    fn lost_within(&mut self, step: usize, bounds: Bounds) -> f64 {
        if let Some(sum) = self.sums.get(step) {
            return *sum;
        }
        let (first, beyond) = self.within(bounds);
        self.next = self.places.get(first).copied().unwrap_or(usize::MAX);
        let drops = self.drops[first..beyond].iter();
        drops.map(|drop| Sum::of(*drop)).fold(Sum::default(), Sum::add).value()
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

/// The places of values that are less than the one before, or one of the two is NaN, such as a
/// staleness marker.
pub(crate) fn falls(values: &[f64]) -> Vec<usize> {
    /// Long enough for the processor to compare several at once.
    const CHUNK: usize = 512;
    let Some(following) = values.get(1..) else { return Vec::new() };
    let mut places = Vec::new();
    let chunks = values.chunks(CHUNK).zip(following.chunks(CHUNK));
    for (number, (earlier, later)) in chunks.enumerate() {
        let rises = earlier.iter().zip(later).fold(true, |rises, (a, b)| rises & (b >= a));
        if !rises {
            let pairs = earlier.iter().zip(later).enumerate();
            let falls =
                pairs.filter(|(_, (a, b))| !matches!(b.partial_cmp(a), Some(o) if o.is_ge()));
            places.extend(falls.map(|(at, _)| number * CHUNK + at + 1));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{Resets, falls};
    use proptest::prelude::*;

    #[test]
    fn a_fall_is_found_wherever_it_is() {
        assert!(falls(&[]).is_empty() && falls(&[f64::NAN]).is_empty());
        assert_eq!(falls(&[1.0, 1.0, 2.0]), [0_usize; 0]);
        assert_eq!(falls(&[1.0, f64::NAN, 1.0]), [1, 2]);
        for at in 1..1_200 {
            let mut values: Vec<f64> = (0..1_200).map(f64::from).collect();
            values[at] = -1.0;
            assert_eq!(falls(&values), [at]);
        }
    }

    proptest! {
        #[test]
        fn what_is_lost_is_summed_for_each_window(
            values in prop::collection::vec((0_i32..50).prop_map(f64::from), 2..200),
            size in 1_usize..80, step in 1_usize..9,
        ) {
            let bounds: Vec<(usize, usize)> = (1..=values.len())
                .step_by(step)
                .map(|high| (high.saturating_sub(size), high))
                .collect();
            let Some(mut resets) = Resets::of(&values, &falls(&values), &bounds) else {
                return Ok(());
            };
            for (step, (low, high)) in bounds.iter().enumerate() {
                let pairs = values[*low..*high].windows(2).filter(|pair| pair[1] < pair[0]);
                let expected: f64 = pairs.map(|pair| pair[0]).sum();
                prop_assert_eq!(resets.lost(step, (*low, *high)), expected);
            }
        }
    }
}
