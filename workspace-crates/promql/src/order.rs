//! Order statistics of windows: `quantile_over_time` and `mad_over_time` in O(n log n).

use std::cmp::Ordering;

use crate::column::ABSENT;
use crate::context::Pulse;
use crate::error::Failure;
use crate::number;
use crate::window::Bounds;

/// If all windows together hold at most so many times the samples, each is looked at on its own.
const OVERLAP_MIN: usize = 8;

/// The quantile of each window; `fractions` has one for each.
pub(crate) fn quantiles(
    values: &[f64],
    bounds: &[Bounds],
    fractions: &[f64],
    pulse: &mut Pulse<'_>,
    out: &mut Vec<f64>,
) -> Result<(), Failure> {
    let fraction = |step: usize| fractions.get(step).copied().unwrap_or(f64::NAN);
    if !overlaps(values, bounds) {
        return alone(values, bounds, pulse, out, |step, window| {
            number::quantile(fraction(step), window)
        });
    }
    slide(values, bounds, pulse, out, |window, step| {
        number::quantile_by(fraction(step), window.count, |k| window.value(k))
    })
}

/// The median of the distances from the median of each window; NaN if any value is.
pub(crate) fn deviations(
    values: &[f64],
    bounds: &[Bounds],
    pulse: &mut Pulse<'_>,
    out: &mut Vec<f64>,
) -> Result<(), Failure> {
    if !overlaps(values, bounds) {
        return alone(values, bounds, pulse, out, |_, window| deviation(window));
    }
    slide(values, bounds, pulse, out, |window, _| window.deviation())
}

fn overlaps(values: &[f64], bounds: &[Bounds]) -> bool {
    let looked_at: usize = bounds.iter().map(|(low, high)| high - low).sum();
    looked_at > OVERLAP_MIN.saturating_mul(values.len())
}

fn alone(
    values: &[f64],
    bounds: &[Bounds],
    pulse: &mut Pulse<'_>,
    out: &mut Vec<f64>,
    compute: impl Fn(usize, &mut [f64]) -> f64,
) -> Result<(), Failure> {
    let mut window = Vec::new();
    for (step, (low, high)) in bounds.iter().copied().enumerate() {
        pulse.tick(high - low)?;
        window.clear();
        window.extend_from_slice(&values[low..high]);
        out.push(if low == high { ABSENT } else { compute(step, &mut window) });
    }
    Ok(())
}

fn slide(
    values: &[f64],
    bounds: &[Bounds],
    pulse: &mut Pulse<'_>,
    out: &mut Vec<f64>,
    compute: impl Fn(&Window<'_>, usize) -> f64,
) -> Result<(), Failure> {
    let mut window = Window::over(values);
    pulse.tick(values.len())?;
    let (mut left, mut entered) = (0, 0);
    for (step, (low, high)) in bounds.iter().copied().enumerate() {
        pulse.tick(64 + high - entered)?;
        (entered..high).for_each(|at| window.change(at, true));
        (left..low).for_each(|at| window.change(at, false));
        (left, entered) = (low, high);
        out.push(if low == high { ABSENT } else { compute(&window, step) });
    }
    Ok(())
}

fn deviation(window: &mut [f64]) -> f64 {
    if window.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = number::quantile(0.5, window);
    window.iter_mut().for_each(|v| *v = (*v - median).abs());
    number::quantile(0.5, window)
}

/// The samples of a window in the order of their values: a Fenwick tree that counts, for each rank
/// among all samples of the series, whether the sample is in the window.
struct Window<'a> {
    values: &'a [f64],
    /// The samples in the order of their values.
    sorted: Vec<u32>,
    /// The place of each sample in that order.
    ranks: Vec<u32>,
    tree: Vec<u32>,
    count: usize,
    nans: usize,
}

impl<'a> Window<'a> {
    fn over(values: &'a [f64]) -> Self {
        let mut sorted: Vec<u32> = (0..values.len() as u32).collect();
        sorted.sort_unstable_by(|a, b| by_value(&values[*a as usize], &values[*b as usize]));
        let mut ranks = vec![0; values.len()];
        (0..).zip(&sorted).for_each(|(rank, at)| ranks[*at as usize] = rank);
        let tree = vec![0; values.len() + 1];
        Self { values, sorted, ranks, tree, count: 0, nans: 0 }
    }

    fn change(&mut self, at: usize, enters: bool) {
        let step = |count: usize| if enters { count + 1 } else { count - 1 };
        self.count = step(self.count);
        if self.values[at].is_nan() {
            self.nans = step(self.nans);
        }
        let mut node = self.ranks[at] as usize + 1;
        while node < self.tree.len() {
            self.tree[node] = step(self.tree[node] as usize) as u32;
            node += node & node.wrapping_neg();
        }
    }

    /// The value of the `k`th smallest sample, counted from 0.
    fn value(&self, k: usize) -> f64 {
        let (mut node, mut rest) = (0, k as u32);
        let mut stride = self.tree.len().next_power_of_two() / 2;
        while stride > 0 {
            let next = node + stride;
            if next < self.tree.len() && self.tree[next] <= rest {
                node = next;
                rest -= self.tree[next];
            }
            stride /= 2;
        }
        self.values[self.sorted[node] as usize]
    }

    fn deviation(&self) -> f64 {
        if self.nans > 0 {
            return f64::NAN;
        }
        let median = number::quantile_by(0.5, self.count, |k| self.value(k));
        if median.is_finite() {
            return number::quantile_by(0.5, self.count, |k| self.distance(k, median));
        }
        // The distance of an infinity from itself is NaN, which counts as smallest; every other
        // distance is infinite.
        let is_median = |k: usize| match median {
            f64::INFINITY => self.value(self.count - 1 - k) == median,
            _ => self.value(k) == median,
        };
        let distance = |k| if is_median(k) { f64::NAN } else { f64::INFINITY };
        if median.is_nan() { f64::NAN } else { number::quantile_by(0.5, self.count, distance) }
    }

    /// The `k`th smallest distance from the median. To its left and to its right, distances grow:
    /// the search finds how many of the `k + 1` smallest lie on the left.
    fn distance(&self, k: usize, median: f64) -> f64 {
        let lefts = self.count.div_ceil(2);
        let rights = self.count - lefts;
        let left = |n: usize| (median - self.value(lefts - 1 - n)).abs();
        let right = |n: usize| (self.value(lefts + n) - median).abs();
        let (mut low, mut high) = ((k + 1).saturating_sub(rights), lefts.min(k + 1));
        while low < high {
            let middle = usize::midpoint(low, high);
            if left(middle) >= right(k - middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let last_left = if low > 0 { left(low - 1) } else { 0.0 };
        let last_right = if low <= k { right(k - low) } else { 0.0 };
        last_left.max(last_right)
    }
}

/// NaN values are the smallest.
pub(crate) fn by_value(a: &f64, b: &f64) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b))
}

#[cfg(test)]
mod tests {
    use super::{Window, deviation};
    use crate::number;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-9_i32..10).prop_map(f64::from),
            4 => -1e6..1e6_f64,
            1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, -0.0]),
        ]
    }

    proptest! {
        #[test]
        fn sliding_equals_looking_at_each_window(
            values in prop::collection::vec(value(), 1..60),
            nan in prop::option::of(0_usize..60),
            size in 1_usize..40,
            fraction in -0.1_f64..1.1,
        ) {
            let mut values = values;
            if let Some(place) = nan.and_then(|n| values.get_mut(n)) {
                *place = f64::NAN;
            }
            let mut window = Window::over(&values);
            for high in 1..=values.len() {
                window.change(high - 1, true);
                let low = high.saturating_sub(size);
                if low > 0 {
                    window.change(low - 1, false);
                }
                let mut alone = values[low..high].to_vec();
                let found = number::quantile_by(fraction, window.count, |k| window.value(k));
                prop_assert_eq!(found.to_bits(), number::quantile(fraction, &mut alone).to_bits());
                let (found, expected) = (window.deviation(), deviation(&mut alone));
                let same = found == expected || (found.is_nan() && expected.is_nan());
                prop_assert!(same, "{} instead of {}", found, expected);
            }
        }
    }
}
