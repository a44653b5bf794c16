//! The functions of range vectors.

use std::sync::Arc;

use crate::column::{ABSENT, Column};
use crate::error::Failure;
use crate::eval::{Context, Grid};
use crate::number::{Moments, Sum, quantile, running_mean};
use crate::regression;
use crate::select::{Stream, Windows};
use crate::window::{Bounds, bounds, each, fold};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFunction {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

impl WindowFunction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "avg_over_time" => Self::Avg,
            "changes" => Self::Changes,
            "count_over_time" => Self::Count,
            "delta" => Self::Delta,
            "deriv" => Self::Deriv,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "first_over_time" => Self::First,
            "idelta" => Self::Idelta,
            "increase" => Self::Increase,
            "irate" => Self::Irate,
            "last_over_time" => Self::Last,
            "mad_over_time" => Self::Mad,
            "max_over_time" => Self::Max,
            "min_over_time" => Self::Min,
            "predict_linear" => Self::PredictLinear,
            "present_over_time" => Self::Present,
            "quantile_over_time" => Self::Quantile,
            "rate" => Self::Rate,
            "resets" => Self::Resets,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "sum_over_time" => Self::Sum,
            "ts_of_first_over_time" => Self::TimeOfFirst,
            "ts_of_last_over_time" => Self::TimeOfLast,
            "ts_of_max_over_time" => Self::TimeOfMax,
            "ts_of_min_over_time" => Self::TimeOfMin,
            _ => return None,
        })
    }

    /// The name stays where the result is one of the samples.
    fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// Applies `function` to all windows; `scalars` are its other arguments, one number for each step.
pub(crate) fn apply(
    ctx: &Context<'_>,
    function: WindowFunction,
    windows: &Windows,
    scalars: &[Vec<f64>],
    grid: Grid,
) -> Result<Vec<Column>, Failure> {
    check_parameters(function, scalars)?;
    let mut columns = Vec::with_capacity(windows.streams.len());
    let mut shared: Option<(&Arc<Vec<i64>>, Vec<Bounds>)> = None;
    for stream in &windows.streams {
        ctx.charge(grid.count)?;
        // Series of one target share their times, and so their windows.
        let times = &stream.times_ms;
        let known = shared.take().filter(|(known, _)| Arc::ptr_eq(known, times));
        let mut bounds = known
            .map_or_else(|| bounds(times, &windows.ends, windows.range_ms), |(_, bounds)| bounds);
        if uses_step(function) {
            let last = bounds[bounds.len() - 1];
            bounds.resize(grid.count, last);
        }
        let series = Prepared { ctx, stream, windows, bounds: &bounds, scalars, grid };
        let values = windows.ends.spread(series.compute(function));
        ctx.check_cancelled()?;
        let drops_name = stream.drops_name || !function.keeps_name();
        columns.push(Column { labels: stream.labels.clone(), drops_name, values });
        shared = Some((times, bounds));
    }
    columns.retain(Column::has_values);
    Ok(columns)
}

/// Whether equal windows can give different results at different steps.
fn uses_step(function: WindowFunction) -> bool {
    matches!(
        function,
        WindowFunction::PredictLinear
            | WindowFunction::Quantile
            | WindowFunction::DoubleExponentialSmoothing
    )
}

fn check_parameters(function: WindowFunction, scalars: &[Vec<f64>]) -> Result<(), Failure> {
    if function != WindowFunction::DoubleExponentialSmoothing {
        return Ok(());
    }
    for (what, factors) in ["smoothing", "trend"].iter().zip(scalars) {
        if let Some(factor) = factors.iter().find(|f| !(0.0..=1.0).contains(*f)) {
            let reason = format!("the {what} factor must lie between 0 and 1, not {factor}");
            return Err(Failure::Parameter(reason));
        }
    }
    Ok(())
}

/// One series with everything that its windows need.
struct Prepared<'a> {
    ctx: &'a Context<'a>,
    stream: &'a Stream,
    windows: &'a Windows,
    bounds: &'a [Bounds],
    scalars: &'a [Vec<f64>],
    grid: Grid,
}

impl Prepared<'_> {
    fn compute(&self, function: WindowFunction) -> Vec<f64> {
        let (values, times) = (&self.stream.values, &self.stream.times_ms);
        let each = |f: &dyn Fn(usize, usize) -> f64| each(self.bounds, |_, low, high| f(low, high));
        match function {
            WindowFunction::Avg => self.fold(Sum::of, Sum::add, mean),
            WindowFunction::Sum => self.fold(Sum::of, Sum::add, |sum, _| sum.value()),
            WindowFunction::Min => self.fold(|v| v, least, |least, _| least),
            WindowFunction::Max => self.fold(|v| v, greatest, |greatest, _| greatest),
            WindowFunction::Stdvar => self.fold(Moments::of, Moments::add, |m, _| m.variance()),
            WindowFunction::Stddev => {
                self.fold(Moments::of, Moments::add, |m, _| m.variance().sqrt())
            }
            WindowFunction::Count => each(&|low, high| (high - low) as f64),
            WindowFunction::Present => each(&|_, _| 1.0),
            WindowFunction::First => each(&|low, _| values[low]),
            WindowFunction::Last => each(&|_, high| values[high - 1]),
            WindowFunction::TimeOfFirst => each(&|low, _| times[low] as f64 / 1_000.0),
            WindowFunction::TimeOfLast => each(&|_, high| times[high - 1] as f64 / 1_000.0),
            WindowFunction::TimeOfMin => self.time_of(least),
            WindowFunction::TimeOfMax => self.time_of(greatest),
            WindowFunction::Changes => {
                self.count_pairs(|a, b| a != b && !(a.is_nan() && b.is_nan()))
            }
            WindowFunction::Resets => self.count_pairs(|a, b| b < a),
            WindowFunction::Rate => self.extrapolated(true, true),
            WindowFunction::Increase => self.extrapolated(true, false),
            WindowFunction::Delta => self.extrapolated(false, false),
            WindowFunction::Irate => self.last_pair(true),
            WindowFunction::Idelta => self.last_pair(false),
            WindowFunction::Mad => self.each_step(|_, low, high| deviation(&values[low..high])),
            WindowFunction::Quantile => self.each_step(|step, low, high| {
                quantile(self.scalars[0][step], &mut values[low..high].to_vec())
            }),
            WindowFunction::Deriv => self.each_step(|_, low, high| {
                regression::slope(&times[low..high], &values[low..high]).unwrap_or(ABSENT)
            }),
            WindowFunction::PredictLinear => self.each_step(|step, low, high| {
                let (times, values) = (&times[low..high], &values[low..high]);
                let (now, ahead) = (self.grid.time(step), self.scalars[0][step]);
                regression::predict(times, values, now, ahead).unwrap_or(ABSENT)
            }),
            WindowFunction::DoubleExponentialSmoothing => self.each_step(|step, low, high| {
                let (smoothing, trend) = (self.scalars[0][step], self.scalars[1][step]);
                regression::smooth(&values[low..high], smoothing, trend).unwrap_or(ABSENT)
            }),
        }
    }

    fn fold<T: Copy>(
        &self,
        leaf: impl Fn(f64) -> T,
        join: impl Fn(T, T) -> T,
        finish: impl Fn(T, &[f64]) -> f64,
    ) -> Vec<f64> {
        fold(&self.stream.values, self.bounds, leaf, join, finish)
    }

    /// For functions that look at every sample of every window, which can take long. What is
    /// computed after a cancellation is thrown away.
    fn each_step(&self, compute: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
        let mut is_cancelled = false;
        each(self.bounds, |step, low, high| {
            is_cancelled = is_cancelled || self.ctx.check_cancelled().is_err();
            if is_cancelled { ABSENT } else { compute(step, low, high) }
        })
    }

    /// The time of the latest sample that has the value that `choose` finds.
    fn time_of(&self, choose: fn(f64, f64) -> f64) -> Vec<f64> {
        let (values, times) = (&self.stream.values, &self.stream.times_ms);
        // Folded over indices, which are exact in `f64`.
        let later = |a: f64, b: f64| {
            let (one, other) = (values[a as usize], values[b as usize]);
            let chosen = choose(one, other);
            if other == chosen || one.is_nan() { b } else { a }
        };
        let indices: Vec<f64> = (0..values.len()).map(|n| n as f64).collect();
        fold(&indices, self.bounds, |n| n, later, |n, _| times[n as usize] as f64 / 1_000.0)
    }

    /// How many neighbouring samples within the window satisfy `is_counted`.
    fn count_pairs(&self, is_counted: impl Fn(f64, f64) -> bool) -> Vec<f64> {
        let mut before = vec![0_u32; self.stream.values.len()];
        for (at, pair) in self.stream.values.windows(2).enumerate() {
            before[at + 1] = before[at] + u32::from(is_counted(pair[0], pair[1]));
        }
        each(self.bounds, |_, low, high| f64::from(before[high - 1] - before[low]))
    }

    /// `rate`, `increase` and `delta`: the difference of last and first, extrapolated to the
    /// borders of the window where the samples suggest that the series goes on there.
    fn extrapolated(&self, is_counter: bool, is_rate: bool) -> Vec<f64> {
        let (values, times) = (&self.stream.values, &self.stream.times_ms);
        let lost = if is_counter { self.lost_to_resets() } else { None };
        let range_seconds = self.windows.range_ms as f64 / 1_000.0;
        each(self.bounds, |step, low, high| {
            if high - low < 2 {
                return ABSENT;
            }
            let lost = lost.as_ref().map_or(0.0, |lost| lost[step]);
            let increase = values[high - 1] - values[low] + lost;
            let end = self.windows.ends.time(step);
            let window = Edges {
                count: high - low,
                first: seconds(times[low], end - self.windows.range_ms),
                sampled: seconds(times[high - 1], times[low]),
                last: seconds(end, times[high - 1]),
            };
            let first_value = is_counter.then(|| values[low]);
            let scaled = increase * window.factor(increase, first_value);
            if is_rate { scaled / range_seconds } else { scaled }
        })
    }

    /// What a counter had reached before each reset within the window; `None` without resets.
    fn lost_to_resets(&self) -> Option<Vec<f64>> {
        let values = &self.stream.values;
        let lost = |pair: &[f64]| if pair[1] < pair[0] { pair[0] } else { 0.0 };
        if values.windows(2).all(|pair| lost(pair) == 0.0) {
            return None;
        }
        let drops: Vec<f64> = std::iter::once(0.0).chain(values.windows(2).map(lost)).collect();
        // A drop at the first sample of a window lies before the window.
        let inner: Vec<Bounds> =
            self.bounds.iter().map(|(low, high)| ((*low + 1).min(*high), *high)).collect();
        let mut folded = fold(&drops, &inner, Sum::of, Sum::add, |sum, _| sum.value());
        folded.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
        Some(folded)
    }

    /// `irate` and `idelta`: from the last two samples alone.
    fn last_pair(&self, is_rate: bool) -> Vec<f64> {
        let (values, times) = (&self.stream.values, &self.stream.times_ms);
        each(self.bounds, |_, low, high| {
            if high - low < 2 {
                return ABSENT;
            }
            let (before, last) = (values[high - 2], values[high - 1]);
            let was_reset = is_rate && last < before;
            let difference = if was_reset { last } else { last - before };
            let elapsed = seconds(times[high - 1], times[high - 2]);
            if is_rate { difference / elapsed } else { difference }
        })
    }
}

fn seconds(later_ms: i64, earlier_ms: i64) -> f64 {
    (later_ms - earlier_ms) as f64 / 1_000.0
}

/// Distances within a window, in seconds: border to first sample, first to last, last to border.
struct Edges {
    count: usize,
    first: f64,
    sampled: f64,
    last: f64,
}

impl Edges {
    /// By how much the difference between last and first sample is to be stretched.
    fn factor(&self, increase: f64, counter_first: Option<f64>) -> f64 {
        let interval = self.sampled / (self.count - 1) as f64;
        // A gap that is hardly longer than usual means that the series goes on at the border.
        let reach = |gap: f64| if gap >= interval * 1.1 { interval / 2.0 } else { gap };
        let mut before = reach(self.first);
        // A counter does not begin below zero.
        if let Some(first) = counter_first.filter(|first| *first >= 0.0 && increase > 0.0) {
            before = before.min(self.sampled * (first / increase));
        }
        (self.sampled + before + reach(self.last)) / self.sampled
    }
}

fn mean(sum: Sum, window: &[f64]) -> f64 {
    sum.mean(window.len() as f64).unwrap_or_else(|| running_mean(window.iter().copied()))
}

/// NaN only if both are.
pub(crate) fn least(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

/// NaN only if both are.
pub(crate) fn greatest(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}

/// The median of the distances from the median; NaN if any value is.
fn deviation(window: &[f64]) -> f64 {
    let mut values = window.to_vec();
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    quantile(0.5, &mut values)
}
