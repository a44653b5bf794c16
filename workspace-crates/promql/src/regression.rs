//! Lines through the samples of windows, and smoothing.

use crate::column::ABSENT;
use crate::context::Pulse;
use crate::error::Failure;
use crate::window::{Bounds, fold};

/// What determines the line with the least squares through some points. Two of these can be joined,
/// and nothing is subtracted when a window slides, so no digits are lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    count: f64,
    /// The means of both coordinates.
    x: f64,
    y: f64,
    /// The squared deviations of x, and the products of those of x and y.
    xx: f64,
    xy: f64,
    /// The value that all points have; NaN when they differ.
    level: f64,
}

impl Line {
    fn through(x: f64, y: f64) -> Self {
        Self { count: 1.0, x, y, xx: 0.0, xy: 0.0, level: y }
    }

    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = other.count / count;
        let (dx, dy) = (other.x - self.x, other.y - self.y);
        let weight = self.count * share;
        Self {
            count,
            x: self.x + dx * share,
            y: self.y + dy * share,
            xx: self.xx + other.xx + dx * dx * weight,
            xy: self.xy + other.xy + dx * dy * weight,
            level: if self.level == other.level { self.level } else { f64::NAN },
        }
    }

    /// The change per unit of x.
    fn slope(&self) -> f64 {
        if self.level.is_finite() {
            0.0
        } else if self.y.is_finite() {
            self.xy / self.xx
        } else {
            f64::NAN
        }
    }

    fn at(&self, x: f64) -> f64 {
        if self.level.is_finite() {
            return self.level;
        }
        self.y + self.slope() * (x - self.x)
    }
}

/// The samples of a series, the times of which are folded in seconds since the first of them.
pub(crate) struct Points<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
}

impl Points<'_> {
    /// The change per second in each window; none where there are fewer than two samples.
    pub(crate) fn slopes(&self, bounds: &[Bounds], out: &mut Vec<f64>) {
        self.fold(bounds, |line, _| line.slope(), out);
    }

    /// What the line of each window reaches at the time that `at_seconds` gives for its step.
    pub(crate) fn predictions(
        &self,
        bounds: &[Bounds],
        at_seconds: impl Fn(usize) -> f64,
        out: &mut Vec<f64>,
    ) {
        self.fold(bounds, |line, step| line.at(at_seconds(step)), out);
    }

    /// The origin of the folded times.
    pub(crate) fn origin_ms(&self) -> i64 {
        self.times_ms.first().copied().unwrap_or_default()
    }

    fn fold(&self, bounds: &[Bounds], finish: impl Fn(Line, usize) -> f64, out: &mut Vec<f64>) {
        let origin_ms = self.origin_ms();
        let seconds = |at: usize| (self.times_ms[at] - origin_ms) as f64 / 1_000.0;
        let leaf = |at: usize| Line::through(seconds(at), self.values[at]);
        let finish = |line: Line, step, (low, high): Bounds| {
            if high - low < 2 { ABSENT } else { finish(line, step) }
        };
        fold(bounds, leaf, Line::join, finish, out);
    }
}

/// Double exponential smoothing. What a sample adds depends on all before it in the same window, so
/// this takes time in proportion to the samples of every window, and not of the series.
pub(crate) fn smooth(
    values: &[f64],
    bounds: &[Bounds],
    (smoothing, trending): (&[f64], &[f64]),
    pulse: &mut Pulse<'_>,
    out: &mut Vec<f64>,
) -> Result<(), Failure> {
    for (step, (low, high)) in bounds.iter().copied().enumerate() {
        pulse.tick(1 + high - low)?;
        out.push(smoothed(&values[low..high], smoothing[step], trending[step]).unwrap_or(ABSENT));
    }
    Ok(())
}

fn smoothed(values: &[f64], smoothing: f64, trending: f64) -> Option<f64> {
    let (first, second) = (values.first()?, values.get(1)?);
    let mut level = *first;
    let mut trend = second - first;
    for value in &values[1..] {
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        trend = trending * (next - level) + (1.0 - trending) * trend;
        level = next;
    }
    Some(level)
}
