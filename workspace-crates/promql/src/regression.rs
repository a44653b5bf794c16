//! Lines through the samples of a window, and smoothing.

use crate::number::Sum;

/// Slope per second and value at `origin_ms` of the line with the least squares; `None` with fewer
/// than two samples.
fn line(times_ms: &[i64], values: &[f64], origin_ms: i64) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let first = values[0];
    if values.iter().all(|v| *v == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let seconds = |time: &i64| (time - origin_ms) as f64 / 1_000.0;
    let total = |terms: &mut dyn Iterator<Item = f64>| {
        terms.map(Sum::of).fold(Sum::default(), Sum::add).value()
    };
    let count = values.len() as f64;
    let sum_x = total(&mut times_ms.iter().map(seconds));
    let sum_y = total(&mut values.iter().copied());
    let sum_xy = total(&mut times_ms.iter().zip(values).map(|(t, v)| seconds(t) * v));
    let sum_xx = total(&mut times_ms.iter().map(|t| seconds(t) * seconds(t)));
    let covariance = sum_xy - sum_x * sum_y / count;
    let variance = sum_xx - sum_x * sum_x / count;
    let slope = covariance / variance;
    Some((slope, sum_y / count - slope * sum_x / count))
}

/// The change per second.
pub(crate) fn slope(times_ms: &[i64], values: &[f64]) -> Option<f64> {
    line(times_ms, values, *times_ms.first()?).map(|(slope, _)| slope)
}

/// The value that the line reaches `ahead_seconds` after `now_ms`.
pub(crate) fn predict(
    times_ms: &[i64],
    values: &[f64],
    now_ms: i64,
    ahead_seconds: f64,
) -> Option<f64> {
    let (slope, now) = line(times_ms, values, now_ms)?;
    Some(slope * ahead_seconds + now)
}

/// Double exponential smoothing; `None` with fewer than two samples.
pub(crate) fn smooth(values: &[f64], smoothing: f64, trending: f64) -> Option<f64> {
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

#[cfg(test)]
mod tests {
    use super::{predict, slope};

    #[test]
    fn a_straight_line_goes_on() {
        let (times, values) = ([0, 1_000, 2_000], [1.0, 3.0, 5.0]);
        assert_eq!(slope(&times, &values), Some(2.0));
        assert_eq!(predict(&times, &values, 2_000, 10.0), Some(25.0));
        assert_eq!(slope(&times[..1], &values[..1]), None);
    }
}
