//! Laws: windows equal their definition, a range is what its instants give, nothing panics.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Duration, Instant};
use promql::{Limits, Matrix, Query, Value};
use proptest::prelude::*;
use samples::{Labels, STALE_NAN, Series};

type Samples = Vec<(i64, f64)>;

fn any_sample() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-9_i32..10).prop_map(f64::from),
        1 => prop::sample::select(vec![f64::NAN, STALE_NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn any_samples() -> impl Strategy<Value = Samples> {
    prop::collection::vec((1_i64..40, any_sample()), 0..40).prop_map(|pairs| {
        let times = pairs.into_iter().scan(0, |t, (gap, value)| {
            *t += gap * 1_000;
            Some((*t, value))
        });
        times.collect()
    })
}

fn series(labels: Labels, samples: &Samples) -> Series {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    Series::new(labels, Arc::new(times), values).unwrap()
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
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
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1_000.0;
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

/// The definition of a function over one window.
fn defined(function: &str, window: &Samples, start_ms: i64, end_ms: i64) -> Option<f64> {
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
        "delta" => increase(window, start_ms, end_ms, false)?,
        "increase" => increase(window, start_ms, end_ms, true)?,
        "rate" => {
            increase(window, start_ms, end_ms, true)? / ((end_ms - start_ms) as f64 / 1_000.0)
        }
        other => panic!("{other}"),
    })
}

const FUNCTIONS: [&str; 16] = [
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
    "changes",
    "resets",
    "idelta",
    "delta",
    "increase",
    "rate",
];

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
            let text = format!("{function}(m[{range_s}s] offset {offset_s}s)");
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
                let expected = defined(function, &window, start, end);
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

fn selector() -> impl Strategy<Value = String> {
    let base = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "a{x=\"1\"}",
        "{x=~\"1|2\"}",
        "b{x!=\"2\"}",
        "none",
    ]);
    let shift = prop::sample::select(vec!["", "", "", " offset 20s", " offset -20s", " @ 100"]);
    (base, shift).prop_map(|(base, shift)| format!("{base}{shift}"))
}

fn ranged() -> impl Strategy<Value = String> {
    let base = prop::sample::select(vec!["a", "b", "c{x=\"1\"}", "{x=~\"1|2\"}", "none"]);
    let shift = prop::sample::select(vec!["", "", " offset 20s", " @ 100"]);
    (base, 1_i64..200, shift).prop_map(|(base, range, shift)| format!("{base}[{range}s]{shift}"))
}

/// Expressions whose results are exact, so that an instant and a range agree to the last bit.
fn vector() -> impl Strategy<Value = String> {
    let windowed = prop::sample::select(vec![
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "changes",
        "resets",
        "rate",
        "increase",
        "delta",
        "irate",
        "deriv",
        "absent_over_time",
        "ts_of_max_over_time",
        "mad_over_time",
    ]);
    let leaf = prop_oneof![
        3 => selector(),
        2 => (windowed.clone(), ranged()).prop_map(|(f, r)| format!("{f}({r})")),
        1 => Just("vector(time() % 7)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let grouping =
            prop::sample::select(vec!["", " by (x)", " without (x)", " by (y, __name__)"]);
        let aggregation = prop::sample::select(vec!["sum", "min", "max", "count", "group", "avg"]);
        let ranked = prop::sample::select(vec![
            "topk(2, ",
            "bottomk(1, ",
            "quantile(0.5, ",
            "count_values(\"v\", ",
            "limitk(1, ",
        ]);
        let function = prop::sample::select(vec![
            "abs",
            "ceil",
            "sgn",
            "timestamp",
            "absent",
            "-",
            "sort",
            "hour",
            "sqrt",
        ]);
        let operator = prop::sample::select(vec![
            "+",
            "*",
            "/",
            "%",
            "^",
            "> bool",
            "==",
            "<",
            "!= bool",
            "and",
            "or",
            "unless",
            "* on (x)",
            "> ignoring (y)",
            "and on (x)",
            "* on (x) group_left (y)",
            "< on (x) group_right ()",
            "or on (y)",
            "unless ignoring (x)",
        ]);
        let scalar = prop::sample::select(vec!["2", "-1", "NaN", "time()", "scalar(a{x=\"1\"})"]);
        let with_scalar = prop::sample::select(vec!["+", "-", "/", "> bool", "<=", "!="]);
        prop_oneof![
            (aggregation, grouping.clone(), inner.clone())
                .prop_map(|(a, g, e)| format!("{a}{g} ({e})")),
            (ranked, inner.clone()).prop_map(|(r, e)| format!("{r}{e})")),
            (function, inner.clone()).prop_map(|(f, e)| format!("{f}({e})")),
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, o, b)| format!("({a}) {o} ({b})")),
            (inner.clone(), with_scalar.clone(), scalar.clone())
                .prop_map(|(e, o, s)| format!("({e}) {o} {s}")),
            (scalar, with_scalar, inner.clone()).prop_map(|(s, o, e)| format!("{s} {o} ({e})")),
            (windowed.clone(), inner.clone(), 1_i64..90, 1_i64..30)
                .prop_map(|(f, e, range, step)| format!("{f}(({e})[{range}s:{step}s])")),
            (inner.clone(), 0_i64..3).prop_map(|(e, d)| {
                format!("label_replace({e}, \"y\", \"$1{d}\", \"x\", \"(.*)\")")
            }),
            inner.prop_map(|e| format!("clamp({e}, -1, 4)")),
        ]
    })
}

fn storage() -> impl Strategy<Value = Vec<Series>> {
    let names = [("a", "1"), ("a", "2"), ("b", "1"), ("b", ""), ("c", "2")];
    prop::collection::vec(any_samples(), names.len()).prop_map(move |all| {
        let named = names.iter().zip(&all);
        named
            .map(|((name, x), samples)| series(Labels::metric(name, &[("x", x)]), samples))
            .collect()
    })
}

type Elements = BTreeMap<Labels, u64>;

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_range_is_what_its_instants_give(text in vector(), source in storage(), step_s in 5_i64..60) {
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

    #[test]
    fn texts_are_queries_or_refused(
        text in "([a-z]{1,6}|[(){}\\[\\]:,=!~<>+*/%^@#'\"\\\\ -]|[0-9.e]{1,22}|offset|inf|nan|by|sum|rate|bool|[0-9]{1,12}[smhdwy]){0,14}"
    ) {
        let _ = Query::parse(&text);
    }

    #[test]
    fn damaged_queries_are_queries_or_refused(text in vector(), at in any::<prop::sample::Index>(), byte in "[ -~]") {
        let mut damaged = text.clone();
        let at = at.index(damaged.len());
        damaged.replace_range(at..=at, &byte);
        if let Ok(query) = Query::parse(&damaged) {
            let _ = promql::instant(&query, &Vec::new(), Instant::default(), &Limits::default());
        }
    }
}
