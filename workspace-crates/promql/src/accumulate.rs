//! Aggregations that take in one series after another, and can be joined.

use crate::ast::Aggregation;
use crate::column::{ABSENT, is_present};
use crate::number::{Moments, Sum};
use crate::window_functions::{greatest, least};

/// Values that are checked together whether each of them is a number.
const CHUNK: usize = 64;
/// Sums of values beyond this may overflow.
const LARGE: f64 = 1e290;
/// A power of two that makes large values small enough: there are fewer series than that.
const SHRINK: f64 = 1.0 / (1_u64 << 63) as f64;

/// What is known of a group of series at each step.
pub(crate) enum Accumulator {
    Sum(Sums),
    Avg {
        sums: Sums,
        counts: Vec<f64>,
        /// Whether the sums were shrunk because they could overflow.
        is_shrunk: bool,
    },
    Min(Vec<f64>),
    Max(Vec<f64>),
    Count(Vec<f64>),
    Group(Vec<f64>),
    Stddev(Vec<Moments>),
    Stdvar(Vec<Moments>),
}

/// Sums with their errors; the sum is [`ABSENT`] where there is no value.
pub(crate) struct Sums {
    sums: Vec<f64>,
    errors: Vec<f64>,
}

impl Accumulator {
    /// `None` for the aggregations that need all series at once.
    pub(crate) fn new(operator: Aggregation, steps: usize) -> Option<Self> {
        Some(match operator {
            Aggregation::Sum => Self::Sum(Sums::new(steps)),
            Aggregation::Avg => {
                let (sums, counts) = (Sums::new(steps), vec![0.0; steps]);
                Self::Avg { sums, counts, is_shrunk: false }
            }
            Aggregation::Min => Self::Min(vec![ABSENT; steps]),
            Aggregation::Max => Self::Max(vec![ABSENT; steps]),
            Aggregation::Count => Self::Count(vec![0.0; steps]),
            Aggregation::Group => Self::Group(vec![ABSENT; steps]),
            Aggregation::Stddev => Self::Stddev(vec![Moments::NONE; steps]),
            Aggregation::Stdvar => Self::Stdvar(vec![Moments::NONE; steps]),
            Aggregation::TopK
            | Aggregation::BottomK
            | Aggregation::Quantile
            | Aggregation::CountValues
            | Aggregation::LimitK
            | Aggregation::LimitRatio => return None,
        })
    }

    /// Takes in a series; its values may be overwritten.
    pub(crate) fn add(&mut self, values: &mut [f64]) {
        match self {
            Self::Sum(sums) => sums.add(values),
            Self::Avg { sums, counts, is_shrunk } => {
                if !*is_shrunk && values.iter().any(|v| v.abs() > LARGE && v.is_finite()) {
                    sums.shrink();
                    *is_shrunk = true;
                }
                count(counts, values);
                if *is_shrunk {
                    values.iter_mut().filter(|v| is_present(**v)).for_each(|v| *v *= SHRINK);
                }
                sums.add(values);
            }
            Self::Min(found) => choose(found, values, |a, b| if b < a { b } else { a }, least),
            Self::Max(found) => choose(found, values, |a, b| if b > a { b } else { a }, greatest),
            Self::Count(counts) => count(counts, values),
            Self::Group(found) => {
                let steps = found.iter_mut().zip(values);
                steps.filter(|(_, v)| is_present(**v)).for_each(|(found, _)| *found = 1.0);
            }
            Self::Stddev(moments) | Self::Stdvar(moments) => {
                let steps = moments.iter_mut().zip(values);
                let present = steps.filter(|(_, v)| is_present(**v));
                present.for_each(|(all, value)| *all = all.add(Moments::of(*value)));
            }
        }
    }

    /// Takes in what another accumulator of the same kind knows of later series.
    pub(crate) fn absorb(&mut self, later: Self) {
        match (self, later) {
            (Self::Sum(sums), Self::Sum(later)) => sums.absorb(&later),
            (
                Self::Avg { sums, counts, is_shrunk },
                Self::Avg { sums: mut other, counts: more, is_shrunk: other_is_shrunk },
            ) => {
                match (*is_shrunk, other_is_shrunk) {
                    (true, false) => other.shrink(),
                    (false, true) => sums.shrink(),
                    _ => {}
                }
                *is_shrunk |= other_is_shrunk;
                sums.absorb(&other);
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            (Self::Min(found), Self::Min(later)) => choose(found, &later, least, least),
            (Self::Max(found), Self::Max(later)) => choose(found, &later, greatest, greatest),
            (Self::Count(counts), Self::Count(later)) => {
                counts.iter_mut().zip(later).for_each(|(count, more)| *count += more);
            }
            (Self::Group(found), Self::Group(later)) => choose(found, &later, greatest, greatest),
            (Self::Stddev(moments), Self::Stddev(later))
            | (Self::Stdvar(moments), Self::Stdvar(later)) => {
                moments.iter_mut().zip(later).for_each(|(all, later)| *all = all.add(later));
            }
            _ => {}
        }
    }

    /// One result for each step.
    pub(crate) fn finish(self) -> Vec<f64> {
        match self {
            Self::Sum(sums) => sums.finish(|sum, _| sum.value()),
            Self::Avg { sums, counts, is_shrunk } => sums.finish(|sum, step| {
                // Only values that are not finite give a mean that is not.
                let mean = sum.mean(counts[step]).unwrap_or_else(|| sum.value());
                if is_shrunk { mean / SHRINK } else { mean }
            }),
            Self::Min(found) | Self::Max(found) | Self::Group(found) => found,
            Self::Count(mut counts) => {
                counts.iter_mut().filter(|count| **count == 0.0).for_each(|c| *c = ABSENT);
                counts
            }
            Self::Stddev(moments) => finish_moments(&moments, f64::sqrt),
            Self::Stdvar(moments) => finish_moments(&moments, |variance| variance),
        }
    }
}

fn finish_moments(moments: &[Moments], finish: impl Fn(f64) -> f64) -> Vec<f64> {
    moments.iter().map(|m| m.variance().map_or(ABSENT, &finish)).collect()
}

impl Sums {
    fn new(steps: usize) -> Self {
        Self { sums: vec![ABSENT; steps], errors: vec![0.0; steps] }
    }

    fn add(&mut self, values: &[f64]) {
        let chunks = self.sums.chunks_mut(CHUNK).zip(self.errors.chunks_mut(CHUNK));
        for ((sums, errors), values) in chunks.zip(values.chunks(CHUNK)) {
            let are_numbers = all_numbers(values) && all_numbers(sums);
            let steps = sums.iter_mut().zip(errors).zip(values);
            if are_numbers {
                for ((sum, error), value) in steps {
                    let both = Sum { sum: *sum, error: *error }.add(Sum::of(*value));
                    (*sum, *error) = (both.sum, both.error);
                }
                continue;
            }
            for ((sum, error), value) in steps {
                join(sum, error, Sum::of(*value));
            }
        }
    }

    fn absorb(&mut self, later: &Self) {
        let steps = self.sums.iter_mut().zip(&mut self.errors);
        for ((sum, error), (more, its_error)) in steps.zip(later.sums.iter().zip(&later.errors)) {
            join(sum, error, Sum { sum: *more, error: *its_error });
        }
    }

    fn shrink(&mut self) {
        self.sums.iter_mut().filter(|v| is_present(**v)).for_each(|v| *v *= SHRINK);
        self.errors.iter_mut().for_each(|v| *v *= SHRINK);
    }

    fn finish(self, finish: impl Fn(Sum, usize) -> f64) -> Vec<f64> {
        let Self { mut sums, errors } = self;
        for (step, (sum, error)) in sums.iter_mut().zip(errors).enumerate() {
            if is_present(*sum) {
                *sum = finish(Sum { sum: *sum, error }, step);
            }
        }
        sums
    }
}

fn join(sum: &mut f64, error: &mut f64, more: Sum) {
    if !is_present(more.sum) {
        return;
    }
    let both = if is_present(*sum) { Sum { sum: *sum, error: *error }.add(more) } else { more };
    (*sum, *error) = (both.sum, both.error);
}

/// Whether no value is absent, nor any NaN. Without branches, so that several are tested at once.
fn all_numbers(values: &[f64]) -> bool {
    values.iter().fold(true, |all, v| all & !v.is_nan())
}

fn count(counts: &mut [f64], values: &[f64]) {
    for (counts, values) in counts.chunks_mut(CHUNK).zip(values.chunks(CHUNK)) {
        if all_numbers(values) {
            counts.iter_mut().for_each(|count| *count += 1.0);
            continue;
        }
        let present = counts.iter_mut().zip(values).filter(|(_, v)| is_present(**v));
        present.for_each(|(count, _)| *count += 1.0);
    }
}

/// `choose` is for numbers only; `choose_any` also for NaN.
fn choose(
    found: &mut [f64],
    values: &[f64],
    choose: impl Fn(f64, f64) -> f64,
    choose_any: impl Fn(f64, f64) -> f64,
) {
    for (found, values) in found.chunks_mut(CHUNK).zip(values.chunks(CHUNK)) {
        if all_numbers(values) && all_numbers(found) {
            found.iter_mut().zip(values).for_each(|(found, v)| *found = choose(*found, *v));
            continue;
        }
        let present = found.iter_mut().zip(values).filter(|(_, v)| is_present(**v));
        for (found, value) in present {
            *found = if is_present(*found) { choose_any(*found, *value) } else { *value };
        }
    }
}
