//! The functions of range vectors.

use std::sync::Arc;

use crate::annotation::Annotation;
use crate::ast::Node;
use crate::column::{ABSENT, Column};
use crate::context::{Context, Grid, Pulse, Shifted};
use crate::error::Failure;
use crate::extrapolate::{self, Edge, Extrapolation, seconds};
use crate::fresh::{self, Fresh};
use crate::number::{self, Moments, Sum, running_mean};
use crate::order;
use crate::regression::{self, Points};
use crate::select::Stream;
use crate::window::{Bounds, Layout, bounds, each, fold};

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
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Whether equal windows can give different results at different steps.
    fn uses_step(self) -> bool {
        matches!(self, Self::PredictLinear | Self::Quantile | Self::DoubleExponentialSmoothing)
    }

    /// Which argument is the range vector; the others are numbers.
    pub(crate) fn window_argument(self) -> usize {
        usize::from(self == Self::Quantile)
    }

    fn extrapolation(self) -> Option<Extrapolation> {
        match self {
            Self::Rate => Some(Extrapolation::Rate),
            Self::Increase => Some(Extrapolation::Increase),
            Self::Delta => Some(Extrapolation::Delta),
            _ => None,
        }
    }

    /// Whether the function is meant for counters alone.
    pub(crate) fn is_of_counter(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }
}

/// One number for each step.
pub(crate) type Scalars = Arc<[f64]>;

/// A function with the windows that it is applied to, whatever the series.
#[derive(Clone)]
pub(crate) struct Windowed {
    function: WindowFunction,
    /// The other arguments.
    scalars: Vec<Scalars>,
    ends: Shifted,
    range_ms: i64,
    grid: Grid,
    layout: Option<Layout<Windows>>,
    fresh: Fresh,
    /// The values that are no staleness markers.
    left: Vec<f64>,
}

/// What depends on the times of a series alone.
#[derive(Clone, Default)]
struct Windows {
    bounds: Vec<Bounds>,
    /// Only for what extrapolates.
    edges: Vec<Edge>,
}

impl Windowed {
    /// `arguments` are all arguments of the call.
    pub(crate) fn of(
        ctx: &Context<'_>,
        function: WindowFunction,
        arguments: &[Node],
        (ends, range_ms): (Shifted, i64),
        grid: Grid,
    ) -> Result<Self, Failure> {
        let others = arguments.iter().enumerate().filter(|(n, _)| *n != function.window_argument());
        let scalars =
            others.map(|(_, node)| ctx.scalars(node, grid)).collect::<Result<Vec<_>, _>>()?;
        check_parameters(function, &scalars)?;
        if function == WindowFunction::Quantile {
            scalars.iter().for_each(|fractions| check_fractions(ctx, fractions));
        }
        let (layout, fresh, left) = (None, Fresh::default(), Vec::new());
        Ok(Self { function, scalars, ends, range_ms, grid, layout, fresh, left })
    }

    pub(crate) fn function(&self) -> WindowFunction {
        self.function
    }

    /// Computes all windows over the samples of a series, which may have staleness markers.
    pub(crate) fn compute(
        &mut self,
        ctx: &Context<'_>,
        times_ms: &Arc<Vec<i64>>,
        values: &[f64],
        out: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        out.clear();
        let is_of_counter = self.function.is_of_counter();
        let falls = if is_of_counter { extrapolate::falls(values) } else { Vec::new() };
        // A marker beside another value is a fall, so none of them has to be looked for elsewhere.
        let may_be_stale = !is_of_counter
            || values.len() == 1
            || falls.iter().any(|at| is_beside_nan(values, *at));
        let markers = if may_be_stale { fresh::markers(values) } else { Vec::new() };
        if markers.is_empty() {
            self.compute_fresh(ctx, times_ms, values, &falls, out)?;
        } else {
            let mut left = std::mem::take(&mut self.left);
            let times_ms = self.fresh.without(markers, (times_ms, values), &mut left);
            let falls = if is_of_counter { extrapolate::falls(&left) } else { Vec::new() };
            self.compute_fresh(ctx, &times_ms, &left, &falls, out)?;
            self.left = left;
        }
        self.ends.spread(out);
        Ok(())
    }

    fn compute_fresh(
        &mut self,
        ctx: &Context<'_>,
        times_ms: &Arc<Vec<i64>>,
        values: &[f64],
        falls: &[usize],
        out: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        let (function, ends, range_ms, grid) = (self.function, self.ends, self.range_ms, self.grid);
        let windows = Layout::of(&mut self.layout, times_ms, |times_ms, made| {
            let Windows { bounds: found, edges } = made;
            bounds(times_ms, &ends, range_ms, found);
            if function.uses_step() {
                let last = found.last().copied().unwrap_or_default();
                found.resize(grid.count, last);
            }
            if let Some(kind) = function.extrapolation() {
                extrapolate::Windows { kind, ends: &ends, range_ms, bounds: found }
                    .edges(times_ms, edges);
            }
        });
        let series = Prepared { times_ms, values, bounds: &windows.bounds };
        if let Some(kind) = function.extrapolation() {
            let bounds = &windows.bounds;
            extrapolate::Windows { kind, ends: &ends, range_ms, bounds }.compute(
                &windows.edges,
                (times_ms, values),
                falls,
                out,
            );
            return Ok(());
        }
        let scalar = |index: usize| self.scalars.get(index).map_or(&[][..], |s| &s[..]);
        let pulse = &mut Pulse::new(ctx);
        match function {
            WindowFunction::Quantile => {
                order::quantiles(values, series.bounds, scalar(0), pulse, out)
            }
            WindowFunction::Mad => order::deviations(values, series.bounds, pulse, out),
            WindowFunction::DoubleExponentialSmoothing => {
                let factors = (scalar(0), scalar(1));
                regression::smooth(values, series.bounds, factors, pulse, out)
            }
            WindowFunction::PredictLinear => {
                let (points, ahead) = (Points { times_ms, values }, scalar(0));
                let at = |step| seconds(grid.time(step), points.origin_ms()) + ahead[step];
                points.predictions(series.bounds, at, out);
                Ok(())
            }
            function => {
                series.compute(function, out);
                Ok(())
            }
        }
    }

    /// Applies the function to every stream.
    pub(crate) fn columns(
        &mut self,
        ctx: &Context<'_>,
        streams: Vec<Stream>,
    ) -> Result<Vec<Column>, Failure> {
        let mut columns = Vec::with_capacity(streams.len());
        for stream in streams {
            ctx.charge(self.grid.count)?;
            let mut values = Vec::with_capacity(self.grid.count);
            self.compute(ctx, &stream.times_ms, &stream.values, &mut values)?;
            crate::plan::check_counter(ctx, self.function, &stream.labels, &values);
            let drops_name = stream.drops_name || !self.function.keeps_name();
            columns.push(Column { labels: stream.labels, drops_name, values });
        }
        columns.retain(Column::has_values);
        Ok(columns)
    }
}

/// Each step's fraction of a quantile should be one.
pub(crate) fn check_fractions(ctx: &Context<'_>, fractions: &[f64]) {
    for value in fractions.iter().filter(|f| !(0.0..=1.0).contains(*f)) {
        ctx.annotate(Annotation::QuantileOutOfRange { value: number::text(*value) });
    }
}

fn check_parameters(function: WindowFunction, scalars: &[Scalars]) -> Result<(), Failure> {
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

/// One series and its windows.
struct Prepared<'a> {
    times_ms: &'a [i64],
    values: &'a [f64],
    bounds: &'a [Bounds],
}

impl Prepared<'_> {
    /// One value for each window. The functions that need more than that are not among these.
    fn compute(&self, function: WindowFunction, out: &mut Vec<f64>) {
        let (values, times) = (self.values, self.times_ms);
        let sum = |at: usize| Sum::of(values[at]);
        let moments = |at: usize| Moments::of(values[at]);
        match function {
            WindowFunction::Sum => self.fold(sum, Sum::add, |sum, _| sum.value(), out),
            WindowFunction::Avg => self.fold(sum, Sum::add, mean, out),
            WindowFunction::Min => self.fold(|at| values[at], least, |v, _| v, out),
            WindowFunction::Max => self.fold(|at| values[at], greatest, |v, _| v, out),
            WindowFunction::Stddev => {
                let stddev = |m: Moments, _: &[f64]| m.variance().map_or(ABSENT, f64::sqrt);
                self.fold(moments, Moments::add, stddev, out);
            }
            WindowFunction::Stdvar => {
                let stdvar = |m: Moments, _: &[f64]| m.variance().unwrap_or(ABSENT);
                self.fold(moments, Moments::add, stdvar, out);
            }
            WindowFunction::TimeOfMin => self.time_of(least, out),
            WindowFunction::TimeOfMax => self.time_of(greatest, out),
            WindowFunction::Changes => {
                self.count_pairs(|a, b| a != b && !(a.is_nan() && b.is_nan()), out);
            }
            WindowFunction::Resets => self.count_pairs(|a, b| b < a, out),
            WindowFunction::Irate => self.last_pair(true, out),
            WindowFunction::Idelta => self.last_pair(false, out),
            WindowFunction::Deriv => {
                Points { times_ms: times, values }.slopes(self.bounds, out);
            }
            WindowFunction::First => self.each(|low, _| values[low], out),
            WindowFunction::Last => self.each(|_, high| values[high - 1], out),
            WindowFunction::TimeOfFirst => self.each(|low, _| times[low] as f64 / 1_000.0, out),
            WindowFunction::TimeOfLast => {
                self.each(|_, high| times[high - 1] as f64 / 1_000.0, out);
            }
            WindowFunction::Count => self.each(|low, high| (high - low) as f64, out),
            _ => self.each(|_, _| 1.0, out),
        }
    }

    fn each(&self, compute: impl Fn(usize, usize) -> f64, out: &mut Vec<f64>) {
        each(self.bounds, |_, low, high| compute(low, high), out);
    }

    fn fold<T: Copy>(
        &self,
        leaf: impl Fn(usize) -> T,
        join: impl Fn(T, T) -> T,
        finish: impl Fn(T, &[f64]) -> f64,
        out: &mut Vec<f64>,
    ) {
        let finish = |all, _, (low, high): Bounds| finish(all, &self.values[low..high]);
        fold(self.bounds, leaf, join, finish, out);
    }

    /// The time of the latest sample that has the value that `choose` finds.
    fn time_of(&self, choose: fn(f64, f64) -> f64, out: &mut Vec<f64>) {
        let later = |a: usize, b: usize| {
            let (one, other) = (self.values[a], self.values[b]);
            let chosen = choose(one, other);
            if other == chosen || one.is_nan() { b } else { a }
        };
        let seconds = |at: usize, _, _| self.times_ms[at] as f64 / 1_000.0;
        fold(self.bounds, |at| at, later, seconds, out);
    }

    /// How many neighbouring samples within the window satisfy `is_counted`.
    fn count_pairs(&self, is_counted: impl Fn(f64, f64) -> bool, out: &mut Vec<f64>) {
        let pairs = |values: &[f64]| {
            let following = values.get(1..).unwrap_or_default();
            values.iter().zip(following).filter(|(a, b)| is_counted(**a, **b)).count()
        };
        if let [(low, high)] = self.bounds {
            self.each(|_, _| pairs(&self.values[*low..*high]) as f64, out);
            return;
        }
        if pairs(self.values) == 0 {
            self.each(|_, _| 0.0, out);
            return;
        }
        let mut before = vec![0_u32; self.values.len()];
        for (at, pair) in self.values.windows(2).enumerate() {
            before[at + 1] = before[at] + u32::from(is_counted(pair[0], pair[1]));
        }
        self.each(|low, high| f64::from(before[high - 1] - before[low]), out);
    }

    /// `irate` and `idelta`: from the last two samples alone.
    fn last_pair(&self, is_rate: bool, out: &mut Vec<f64>) {
        let last_pair = |low: usize, high: usize| {
            if high - low < 2 {
                return ABSENT;
            }
            let (before, last) = (self.values[high - 2], self.values[high - 1]);
            let was_reset = is_rate && last < before;
            let difference = if was_reset { last } else { last - before };
            let elapsed = seconds(self.times_ms[high - 1], self.times_ms[high - 2]);
            if is_rate { difference / elapsed } else { difference }
        };
        self.each(last_pair, out);
    }
}

fn is_beside_nan(values: &[f64], at: usize) -> bool {
    values[at].is_nan() || values[at - 1].is_nan()
}

fn mean(sum: Sum, window: &[f64]) -> f64 {
    sum.mean(window.len() as f64).unwrap_or_else(|| running_mean(window.iter().copied()))
}

/// NaN only if both are.
#[inline]
pub(crate) fn least(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

/// NaN only if both are.
#[inline]
pub(crate) fn greatest(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}
