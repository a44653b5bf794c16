//! Laws: windows equal their definition, a range is what its instants give, nothing panics.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use base::{Duration, Instant};
use promql::{Limits, Matrix, Query, Value};
use proptest::prelude::*;
use samples::{Labels, STALE_NAN, SampleSource, Series};

use common::{Elements, Grammar, InParts, Samples, any_samples, bits, series, storage};

fn same(a: f64, b: f64) -> bool {
    // The samples are of the order of one.
    let close = (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-13;
    a == b || (a.is_nan() && b.is_nan()) || close
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

fn mean(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64
}

fn extreme(values: &[f64], better: fn(&f64, &f64) -> bool) -> f64 {
    let numbers = values.iter().copied().filter(|v| !v.is_nan());
    numbers.reduce(|a, b| if better(&b, &a) { b } else { a }).unwrap_or(f64::NAN)
}

fn pairs(values: &[f64], counted: fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|p| counted(p[0], p[1])).count() as f64
}

/// What a counter grew by, as the documentation of `increase` tells it.
fn increase(window: &Samples, start_ms: i64, end_ms: i64, is_counter: bool) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    if window.len() < 2 {
        return None;
    }
    let mut grown = last.1 - first.1;
    if is_counter {
        grown += window.windows(2).filter(|p| p[1].1 < p[0].1).map(|p| p[0].1).sum::<f64>();
    }
    let sampled = seconds(first.0, last.0);
    let interval = sampled / (window.len() - 1) as f64;
    let reach = |gap: f64| if gap >= interval * 1.1 { interval / 2.0 } else { gap };
    let mut before = reach(seconds(start_ms, first.0));
    if is_counter && grown > 0.0 && first.1 >= 0.0 {
        before = before.min(sampled * (first.1 / grown));
    }
    let after = reach(seconds(last.0, end_ms));
    Some(grown * ((sampled + before + after) / sampled))
}

fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms) as f64 / 1_000.0
}

/// The line with the least squares; x is the time since the first sample.
struct Line {
    slope: f64,
    x: f64,
    y: f64,
}

fn line(window: &Samples) -> Option<Line> {
    if window.len() < 2 {
        return None;
    }
    let x: Vec<f64> = window.iter().map(|(t, _)| seconds(window[0].0, *t)).collect();
    let y: Vec<f64> = window.iter().map(|(_, v)| *v).collect();
    if y.iter().all(|v| *v == y[0]) {
        let slope = if y[0].is_finite() { 0.0 } else { f64::NAN };
        return Some(Line { slope, x: 0.0, y: y[0] });
    }
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let products = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| {
        a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>()
    };
    let slope = products(&x, mean_x, &y, mean_y) / products(&x, mean_x, &x, mean_x);
    Some(Line { slope, x: mean_x, y: mean_y })
}

/// NaN values are the smallest.
fn quantile(fraction: f64, mut values: Vec<f64>) -> f64 {
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = fraction * (values.len() - 1) as f64;
    let upper = values[(rank.floor() as usize + 1).min(values.len() - 1)];
    let weight = rank - rank.floor();
    values[rank.floor() as usize] * (1.0 - weight) + upper * weight
}

fn smoothed(values: &[f64]) -> Option<f64> {
    let (mut level, mut trend) = (values[0], values.get(1)? - values[0]);
    for value in &values[1..] {
        let before = level;
        level = 0.3 * value + 0.7 * (level + trend);
        trend = 0.6 * (level - before) + 0.4 * trend;
    }
    Some(level)
}

/// The definition of a function over one window, evaluated at `now_ms`.
fn defined(
    function: &str,
    window: &Samples,
    (start_ms, end_ms): (i64, i64),
    now_ms: i64,
) -> Option<f64> {
    let values: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
    let values = values.as_slice();
    let (last, before) = (values.last()?, values.iter().rev().nth(1));
    Some(match function {
        "sum_over_time" => sum(values),
        "avg_over_time" => mean(values),
        "min_over_time" => extreme(values, |a, b| a < b),
        "max_over_time" => extreme(values, |a, b| a > b),
        "count_over_time" => values.len() as f64,
        "last_over_time" => *last,
        "first_over_time" => values[0],
        "present_over_time" => 1.0,
        "stdvar_over_time" => variance(values),
        "stddev_over_time" => variance(values).sqrt(),
        "changes" => pairs(values, |a, b| a != b && !(a.is_nan() && b.is_nan())),
        "resets" => pairs(values, |a, b| b < a),
        "idelta" => last - before?,
        "irate" => {
            let difference = if *last < *before? { *last } else { last - before? };
            difference / seconds(window[window.len() - 2].0, window.last()?.0)
        }
        "deriv" => line(window)?.slope,
        "predict_linear" => {
            let line = line(window)?;
            line.y + line.slope * (seconds(window[0].0, now_ms) + AHEAD_S - line.x)
        }
        "quantile_over_time" => quantile(0.3, values.to_vec()),
        "mad_over_time" if values.iter().any(|v| v.is_nan()) => f64::NAN,
        "mad_over_time" => {
            let median = quantile(0.5, values.to_vec());
            quantile(0.5, values.iter().map(|v| (v - median).abs()).collect())
        }
        "double_exponential_smoothing" => smoothed(values)?,
        "ts_of_first_over_time" => seconds(0, window[0].0),
        "ts_of_last_over_time" => seconds(0, window.last()?.0),
        "delta" => increase(window, start_ms, end_ms, false)?,
        "increase" => increase(window, start_ms, end_ms, true)?,
        "rate" => {
            increase(window, start_ms, end_ms, true)? / ((end_ms - start_ms) as f64 / 1_000.0)
        }
        other => panic!("{other}"),
    })
}

/// How far `predict_linear` looks ahead, in seconds.
const AHEAD_S: f64 = 60.0;

const FUNCTIONS: [&str; 24] = [
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "changes",
    "resets",
    "idelta",
    "irate",
    "delta",
    "increase",
    "rate",
    "deriv",
    "predict_linear",
    "quantile_over_time",
    "mad_over_time",
    "double_exponential_smoothing",
];

/// The call of a function with its other arguments, as [`defined`] takes them.
fn call(function: &str, range: &str) -> String {
    match function {
        "quantile_over_time" => format!("{function}(0.3, {range})"),
        "predict_linear" => format!("{function}({range}, {AHEAD_S})"),
        "double_exponential_smoothing" => format!("{function}({range}, 0.3, 0.6)"),
        _ => format!("{function}({range})"),
    }
}

fn range(text: &str, source: &Vec<Series>, end_ms: i64, step_ms: i64) -> Result<Matrix, String> {
    let query = Query::parse(text).map_err(|e| e.to_string())?;
    let (start, end) = (Instant::default(), Instant::from_unix_millis(end_ms));
    let step = Duration::from_millis(step_ms);
    promql::range(&query, source, start, end, step, &Limits::default()).map_err(|e| e.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_window_equals_its_definition(
        samples in any_samples(), range_s in 1_i64..300, step_s in 1_i64..90, offset_s in 1_i64..50,
    ) {
        let source = vec![series(Labels::metric("m", &[]), &samples)];
        let end_ms = 1_000_000;
        for function in FUNCTIONS {
            let text = call(function, &format!("m[{range_s}s] offset {offset_s}s"));
            let matrix = range(&text, &source, end_ms, step_s * 1_000).unwrap();
            let found: BTreeMap<i64, f64> =
                matrix.series.iter().flat_map(|s| &s.points).map(|p| (p.t_ms, p.value)).collect();
            for t_ms in (0..=end_ms).step_by(step_s as usize * 1_000) {
                let (start, end) = (t_ms - (offset_s + range_s) * 1_000, t_ms - offset_s * 1_000);
                let window: Samples = samples
                    .iter()
                    .filter(|(t, v)| *t > start && *t <= end && v.to_bits() != STALE_NAN.to_bits())
                    .copied()
                    .collect();
                let expected = defined(function, &window, (start, end), t_ms);
                let agrees = match (found.get(&t_ms), expected) {
                    (None, None) => true,
                    (Some(a), Some(b)) => same(*a, b),
                    _ => false,
                };
                prop_assert!(agrees, "{text} at {t_ms}: {:?} instead of {expected:?}", found.get(&t_ms));
            }
        }
    }
}

fn instant_elements(query: &Query, source: &Vec<Series>, at_ms: i64) -> Option<Elements> {
    let at = Instant::from_unix_millis(at_ms);
    match promql::instant(query, source, at, &Limits::default()).ok()? {
        Value::Vector(samples) => {
            Some(samples.into_iter().map(|s| (s.labels, bits(s.value))).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// All points of a range result, to the last bit; or the failure.
fn bits_of(
    text: &str,
    source: &dyn SampleSource,
    threads: usize,
) -> Result<Vec<(Labels, i64, u64)>, String> {
    let query = Query::parse(text).map_err(|e| e.to_string())?;
    let (start, end) = (Instant::default(), Instant::from_unix_millis(400_000));
    let limits = Limits { threads, ..Limits::default() };
    let matrix = promql::range(&query, source, start, end, Duration::from_millis(15_000), &limits)
        .map_err(|e| e.to_string())?;
    let points = matrix.series.iter().flat_map(|series| {
        series.points.iter().map(|p| (series.labels.clone(), p.t_ms, bits(p.value)))
    });
    Ok(points.collect())
}

/// Series whose sums round.
fn fractional_storage() -> impl Strategy<Value = Vec<Series>> {
    let samples = prop::collection::vec((1_i64..40_000, -1e3..1e3_f64), 0..40);
    prop::collection::vec(samples, 5..9).prop_map(|all| {
        let named = all.into_iter().enumerate().map(|(n, pairs)| {
            let times = pairs.into_iter().scan(0, |t, (gap, value)| {
                *t += gap;
                Some((*t, value))
            });
            let (name, x) = (["a", "b"][n % 2], (n / 2).to_string());
            series(Labels::metric(name, &[("x", &x)]), &times.collect())
        });
        named.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_range_is_what_its_instants_give(text in Grammar::exact().vector(), source in storage(), step_s in 5_i64..60) {
        let query = Query::parse(&text).unwrap();
        let (end_ms, step_ms) = (400_000, step_s * 1_000);
        let times: Vec<i64> = (0..=end_ms).step_by(step_ms as usize).collect();
        let instants: Vec<Option<Elements>> =
            times.iter().map(|t_ms| instant_elements(&query, &source, *t_ms)).collect();
        match range(&text, &source, end_ms, step_ms) {
            // A range fails where one of its instants does.
            Err(reason) => prop_assert!(instants.iter().any(Option::is_none), "{text}: {reason}"),
            Ok(matrix) => {
                for (t_ms, expected) in times.iter().zip(instants) {
                    let found: Elements = matrix
                        .series
                        .iter()
                        .flat_map(|s| s.points.iter().map(move |p| (&s.labels, p)))
                        .filter(|(_, p)| p.t_ms == *t_ms)
                        .map(|(labels, p)| (labels.clone(), bits(p.value)))
                        .collect();
                    prop_assert_eq!(Some(found), expected, "{} at {}", text, t_ms);
                }
            }
        }
    }

    /// Large values that hardly change, far from the epoch: what loses digits first.
    #[test]
    fn sliding_keeps_the_digits_that_looking_at_each_window_has(
        deltas in prop::collection::vec(0_u32..1_000, 50..120), level in 1e6..1e12_f64,
    ) {
        let from_ms = 1_700_000_000_000_i64;
        let samples: Samples = (0..)
            .zip(&deltas)
            .map(|(n, delta)| (from_ms + n * 15_000, level + f64::from(*delta)))
            .collect();
        let source = vec![series(Labels::metric("m", &[]), &samples)];
        let last = Instant::from_unix_millis(samples[samples.len() - 1].0);
        for function in ["deriv", "predict_linear", "stdvar_over_time", "avg_over_time"] {
            let query = Query::parse(&call(function, "m[5m]")).unwrap();
            let start = Instant::from_unix_millis(from_ms + 15_000);
            let step = Duration::from_millis(15_000);
            let matrix =
                promql::range(&query, &source, start, last, step, &Limits::default()).unwrap();
            for point in &matrix.single().unwrap().points {
                let inside = |t: i64| t > point.t_ms - 300_000 && t <= point.t_ms;
                let window = samples.iter().filter(|(t, _)| inside(*t));
                // The level is taken off first, so that the definition loses nothing.
                let window: Samples = window.map(|(t, v)| (*t, v - level)).collect();
                let start_ms = point.t_ms - 300_000;
                let exact = defined(function, &window, (start_ms, point.t_ms), point.t_ms).unwrap();
                let keeps_level = matches!(function, "predict_linear" | "avg_over_time");
                let expected = if keeps_level { exact + level } else { exact };
                // The digits that the samples themselves have.
                let noise = level * f64::EPSILON * 1_000.0;
                let close = (point.value - expected).abs() <= 1e-9 * expected.abs() + noise;
                prop_assert!(close, "{function}: {} instead of {expected}", point.value);
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter(
        text in prop_oneof![
            Grammar::common(&["a", "b", "{x=~\"1|2\"}"]).vector(),
            Grammar::wild().vector(),
        ],
        all in prop_oneof![fractional_storage(), storage()],
        size in 1_usize..4,
    ) {
        let source = InParts { all, size };
        let one = bits_of(&text, &source, 1);
        for threads in [2, 5] {
            prop_assert_eq!(&bits_of(&text, &source, threads), &one, "{} on {} threads", text, threads);
        }
    }

    #[test]
    fn parts_give_what_the_whole_gives(
        text in Grammar::exact().vector(), all in storage(), size in 1_usize..4,
    ) {
        let whole = bits_of(&text, &all, 1);
        let parts = bits_of(&text, &InParts { all, size }, 2);
        // Which of several failures is reported may depend on which series come first.
        prop_assert_eq!(parts.ok(), whole.ok(), "{}", text);
    }

    /// With limits, nothing that can be written panics or goes on for long.
    #[test]
    fn whatever_is_written_ends(
        text in Grammar::wild().vector(), source in storage(), step_s in 1_i64..1_000_000,
    ) {
        let query = Query::parse(&text).unwrap();
        let limits = Limits { max_samples: 100_000, max_steps: 1_000, ..Limits::default() };
        let (start, end) = (Instant::default(), Instant::from_unix_millis(400_000));
        let step = Duration::from_millis(step_s * 1_000);
        let _ = promql::range_annotated(&query, &source, start, end, step, &limits);
        let _ = promql::instant_annotated(&query, &source, end, &limits);
    }

    #[test]
    fn texts_are_queries_or_refused(
        text in "([a-z]{1,6}|[(){}\\[\\]:,=!~<>+*/%^@#'\"\\\\ -]|[0-9.e]{1,22}|offset|inf|nan|by|sum|rate|bool|[0-9]{1,12}[smhdwy]){0,14}"
    ) {
        let _ = Query::parse(&text);
    }

    #[test]
    fn damaged_queries_are_queries_or_refused(text in Grammar::exact().vector(), at in any::<prop::sample::Index>(), byte in "[ -~]") {
        let mut damaged = text.clone();
        let at = at.index(damaged.len());
        damaged.replace_range(at..=at, &byte);
        if let Ok(query) = Query::parse(&damaged) {
            let _ = promql::instant(&query, &Vec::new(), Instant::default(), &Limits::default());
        }
    }
}
