//! Sums that lose no digits, and the text form of numbers.

use crate::order::by_value;

/// A sum with the rounding error that goes with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) error: f64,
}

impl Sum {
    pub(crate) fn of(value: f64) -> Self {
        Self { sum: value, error: 0.0 }
    }

    #[inline]
    pub(crate) fn add(self, other: Self) -> Self {
        let sum = self.sum + other.sum;
        if !sum.is_finite() {
            return Self { sum, error: 0.0 };
        }
        // Knuth's two-sum: exact whatever the order of magnitudes.
        let part = sum - self.sum;
        let error = (self.sum - (sum - part)) + (other.sum - part);
        Self { sum, error: self.error + other.error + error }
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.error
    }

    /// The mean of `count` summands; `None` when the sum overflowed or is not finite.
    pub(crate) fn mean(self, count: f64) -> Option<f64> {
        self.sum.is_finite().then(|| self.sum / count + self.error / count)
    }
}

/// The mean where the sum overflows: it grows step by step, so it stays within the values.
pub(crate) fn running_mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut mean = 0.0_f64;
    for (count, value) in (1..).zip(values) {
        let count = f64::from(count);
        if mean.is_infinite() && (value.is_finite() || value == mean) {
            continue;
        }
        mean += value / count - mean / count;
    }
    mean
}

/// Mean and squared deviations of values, which can be joined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Those of no values.
    pub(crate) const NONE: Self = Self { count: 0.0, mean: 0.0, squares: 0.0 };

    /// An infinite value has no deviation.
    pub(crate) fn of(value: f64) -> Self {
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let share = other.count / count;
        let mean = self.mean + delta * share;
        let squares = self.squares + other.squares + delta * delta * (self.count * share);
        Self { count, mean, squares }
    }

    /// `None` of no values.
    pub(crate) fn variance(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.squares / self.count)
    }
}

/// The `fraction` quantile of `values`, interpolated between neighbours; NaN values are the
/// smallest. Fractions outside of 0 to 1 give the infinities.
pub(crate) fn quantile(fraction: f64, values: &mut [f64]) -> f64 {
    let Some(rank) = Rank::of(fraction, values.len()) else {
        return outside(fraction, values.len());
    };
    let (below, upper, _) = values.select_nth_unstable_by(rank.upper, by_value);
    let upper = *upper;
    // The one before it is the greatest of those that are less.
    let lower = below.iter().copied().max_by(by_value).filter(|_| rank.lower < rank.upper);
    rank.between(lower.unwrap_or(upper), upper)
}

/// As [`quantile`], of `count` values of which `nth` gives the `n`th smallest.
pub(crate) fn quantile_by(fraction: f64, count: usize, nth: impl Fn(usize) -> f64) -> f64 {
    let Some(rank) = Rank::of(fraction, count) else { return outside(fraction, count) };
    let lower = nth(rank.lower);
    rank.between(lower, if rank.upper > rank.lower { nth(rank.upper) } else { lower })
}

/// The two neighbours between which a quantile lies.
struct Rank {
    lower: usize,
    upper: usize,
    weight: f64,
}

impl Rank {
    fn of(fraction: f64, count: usize) -> Option<Self> {
        if count == 0 || !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        let rank = fraction * (count - 1) as f64;
        let lower = (rank.floor() as usize).min(count - 1);
        Some(Self { lower, upper: (lower + 1).min(count - 1), weight: rank - rank.floor() })
    }

    fn between(&self, lower: f64, upper: f64) -> f64 {
        lower * (1.0 - self.weight) + upper * self.weight
    }
}

fn outside(fraction: f64, count: usize) -> f64 {
    if count == 0 || fraction.is_nan() {
        f64::NAN
    } else if fraction < 0.0 {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    }
}

/// The shortest decimal form without an exponent, as Prometheus writes label values.
pub(crate) fn text(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// As [`text`], but whole numbers end in `.0`, as OpenMetrics writes quantiles.
pub(crate) fn metric_text(value: f64) -> String {
    let text = text(value);
    if value.is_finite() && !text.contains('.') { text + ".0" } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Moments, Sum, quantile, running_mean, text};

    #[test]
    fn sums_keep_what_plain_addition_loses() {
        let sum = |values: &[f64]| {
            values.iter().map(|v| Sum::of(*v)).fold(Sum::default(), Sum::add).value()
        };
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn means_do_not_overflow() {
        assert_eq!(running_mean([f64::MAX, f64::MAX].into_iter()), f64::MAX);
        assert_eq!(running_mean([1.0, f64::INFINITY, 2.0].into_iter()), f64::INFINITY);
        let both = [f64::INFINITY, f64::NEG_INFINITY];
        assert!(running_mean(both.into_iter()).is_nan());
    }

    #[test]
    fn variance_does_not_depend_on_how_values_are_joined() {
        let moments: Vec<Moments> = [1.0, 2.0, 3.0, 4.0].map(Moments::of).to_vec();
        let left = moments[0].add(moments[1]).add(moments[2]).add(moments[3]);
        let pairs = moments[0].add(moments[1]).add(moments[2].add(moments[3]));
        assert_eq!((left.variance(), pairs.variance()), (Some(1.25), Some(1.25)));
        assert!(Moments::of(f64::INFINITY).variance().unwrap().is_nan());
        assert_eq!(Moments::NONE.add(Moments::NONE).variance(), None);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0, 4.0]), 2.5);
        assert_eq!(quantile(1.0, &mut [1.0]), 1.0);
        assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn numbers_are_written_without_exponent() {
        assert_eq!(text(1e21), "1000000000000000000000");
        assert_eq!((text(0.5), text(-0.0)), ("0.5".to_owned(), "-0".to_owned()));
        assert_eq!((text(f64::INFINITY), text(f64::NAN)), ("+Inf".to_owned(), "NaN".to_owned()));
    }
}
