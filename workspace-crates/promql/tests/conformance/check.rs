//! Evaluates a case and compares.

use std::collections::BTreeMap;

use base::{Duration, Instant};
use promql::{Annotated, Annotations, Limits, Matrix, Query, Value};
use samples::{Labels, Series};

use crate::script::{At, Case, Entry, Remark, Storage};

/// The interval that the upstream runner takes for subqueries without a step.
const SUBQUERY_STEP: Duration = Duration::from_minutes(1);

type Points = BTreeMap<Labels, BTreeMap<i64, f64>>;

pub fn check(case: &Case, storage: &Storage) -> Result<(), String> {
    let outcome = evaluate(case, storage);
    match outcome {
        Err(reason) if case.fails => fails_as_expected(case, &reason),
        Ok(()) if case.fails => Err("it should fail and does not".to_owned()),
        other => other,
    }
    .map_err(|reason| {
        let native = storage.has_histograms_for(&case.query)
            || case.series.iter().any(|(_, entries)| entries.contains(&Entry::Histogram));
        if native { "native histograms".to_owned() } else { reason }
    })
}

fn evaluate(case: &Case, storage: &Storage) -> Result<(), String> {
    let query =
        Query::parse_with_subquery_step(&case.query, SUBQUERY_STEP).map_err(|e| e.to_string())?;
    let source = storage.series();
    match case.at {
        At::Instant(at_ms) => {
            let Annotated { value, annotations } = instant(&query, &source, at_ms)?;
            if case.fails {
                return Ok(());
            }
            check_remarks(case, &annotations, storage)?;
            compare_instant(case, at_ms, &value)?;
            agrees_with_range(case, &query, &source, at_ms, &value)
        }
        At::Range { start_ms, end_ms, step_ms } => {
            let Annotated { value: matrix, annotations } =
                range(&query, &source, start_ms, end_ms, step_ms)?;
            if case.fails {
                return Ok(());
            }
            check_remarks(case, &annotations, storage)?;
            compare(&expected_points(case, start_ms, step_ms), &points_of(&matrix))
        }
    }
}

/// How our failures say what those of Prometheus say.
const FAILURES: [(&str, &str); 5] = [
    ("Parameter value is NaN", "must not be NaN"),
    ("Ratio value is NaN", "the ratio must not be NaN"),
    ("vector cannot contain metrics with the same labelset", "have the same labels"),
    ("invalid label name", "is not a label name"),
    // Labels are UTF-8 here, so the text is refused before it names one.
    ("invalid label name", "an escape names a byte beyond ASCII"),
];

fn fails_as_expected(case: &Case, reason: &str) -> Result<(), String> {
    let Some(expected) = &case.failure else { return Ok(()) };
    let mut ours = FAILURES.iter().filter(|(theirs, _)| expected.starts_with(theirs));
    if ours.any(|(_, ours)| reason.contains(ours)) {
        return Ok(());
    }
    Err(format!("it fails with `{reason}` instead of `{expected}`"))
}

/// Where there are native histograms, a remark that is expected may be on them: this evaluator sees
/// none, and the result shows whether the rest is right.
fn check_remarks(case: &Case, annotations: &Annotations, storage: &Storage) -> Result<(), String> {
    let may_be_native = storage.has_histograms();
    let warnings: Vec<String> = annotations.warnings().map(ToString::to_string).collect();
    let infos: Vec<String> = annotations.infos().map(ToString::to_string).collect();
    for remark in &case.remarks {
        let (found, holds) = match remark {
            Remark::NoWarning => (&warnings, warnings.is_empty()),
            Remark::NoInfo => (&infos, infos.is_empty()),
            Remark::Warning(text) => (&warnings, has(&warnings, text.as_ref())),
            Remark::Info(text) => (&infos, has(&infos, text.as_ref())),
        };
        let is_expected = matches!(remark, Remark::Warning(_) | Remark::Info(_));
        if !(holds || is_expected && may_be_native) {
            return Err(format!("the remarks are {found:?}, expected is {remark:?}"));
        }
    }
    Ok(())
}

fn has(found: &[String], text: Option<&String>) -> bool {
    text.map_or(!found.is_empty(), |text| found.contains(text))
}

fn instant(query: &Query, source: &Vec<Series>, at_ms: i64) -> Result<Annotated<Value>, String> {
    let at = Instant::from_unix_millis(at_ms);
    promql::instant_annotated(query, source, at, &Limits::default()).map_err(|e| e.to_string())
}

fn range(
    query: &Query,
    source: &Vec<Series>,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
) -> Result<Annotated<Matrix>, String> {
    let (start, end) = (Instant::from_unix_millis(start_ms), Instant::from_unix_millis(end_ms));
    let step = Duration::from_millis(step_ms);
    promql::range_annotated(query, source, start, end, step, &Limits::default())
        .map_err(|e| e.to_string())
}

fn compare_instant(case: &Case, at_ms: i64, value: &Value) -> Result<(), String> {
    match (value, &case.text, case.scalar) {
        (Value::Text(text), Some(expected), _) if text == expected => Ok(()),
        (Value::Scalar(point), None, Some(expected)) if close(point.value, expected) => Ok(()),
        (Value::Vector(samples), None, None) if case.range_vector.is_none() => {
            if case.ordered {
                let found: Vec<&Labels> = samples.iter().map(|s| &s.labels).collect();
                let expected: Vec<&Labels> = case.series.iter().map(|(labels, _)| labels).collect();
                if found != expected {
                    return Err(format!("the order is {found:?}"));
                }
            }
            compare(&expected_points(case, at_ms, 1), &points_of_value(value))
        }
        (Value::Matrix(matrix), None, None) => {
            let (start_ms, _, step_ms) =
                case.range_vector.ok_or("a range vector is not expected")?;
            compare(&expected_points(case, start_ms, step_ms), &points_of(matrix))
        }
        _ => Err(format!("it gives {value:?}")),
    }
}

/// An instant result must be what a range over that instant gives for it.
fn agrees_with_range(
    case: &Case,
    query: &Query,
    source: &Vec<Series>,
    at_ms: i64,
    value: &Value,
) -> Result<(), String> {
    let depends_on_range = ["start()", "end()", "range()", "step()"];
    let is_number = matches!(value, Value::Vector(_) | Value::Scalar(_));
    if !is_number || depends_on_range.iter().any(|word| case.query.contains(word)) {
        return Ok(());
    }
    // At other times the query may be ambiguous; that says nothing about this one.
    let Ok(Annotated { value: matrix, .. }) =
        range(query, source, at_ms - 60_000, at_ms + 60_000, 60_000)
    else {
        return Ok(());
    };
    let mut found = points_of(&matrix);
    found.values_mut().for_each(|points| points.retain(|t_ms, _| *t_ms == at_ms));
    found.retain(|_, points| !points.is_empty());
    compare(&points_of_value(value), &found).map_err(|reason| format!("as a range: {reason}"))
}

fn expected_points(case: &Case, start_ms: i64, step_ms: i64) -> Points {
    let mut expected = Points::new();
    for (labels, entries) in &case.series {
        let points = expected.entry(labels.clone()).or_default();
        for (t_ms, entry) in (0..).map(|n| start_ms + n * step_ms).zip(entries) {
            match entry {
                Entry::Number(value) => {
                    points.insert(t_ms, *value);
                }
                // No float equals it, so the comparison fails.
                Entry::Histogram => {
                    points.insert(t_ms, f64::MIN_POSITIVE);
                }
                Entry::Gap => {}
            }
        }
    }
    expected.retain(|_, points| !points.is_empty());
    expected
}

fn points_of(matrix: &Matrix) -> Points {
    let series = matrix.series.iter();
    series
        .map(|s| (s.labels.clone(), s.points.iter().map(|p| (p.t_ms, p.value)).collect()))
        .collect()
}

fn points_of_value(value: &Value) -> Points {
    match value {
        Value::Scalar(p) => {
            BTreeMap::from([(Labels::empty(), BTreeMap::from([(p.t_ms, p.value)]))])
        }
        Value::Vector(samples) => samples
            .iter()
            .map(|s| (s.labels.clone(), BTreeMap::from([(s.t_ms, s.value)])))
            .collect(),
        Value::Matrix(matrix) => points_of(matrix),
        Value::Text(_) => Points::new(),
    }
}

fn compare(expected: &Points, found: &Points) -> Result<(), String> {
    for (labels, points) in expected {
        let Some(found) = found.get(labels) else {
            return Err(format!(
                "{labels} is missing among {:?}",
                found.keys().map(ToString::to_string).collect::<Vec<_>>()
            ));
        };
        let same = points.len() == found.len()
            && points.iter().zip(found).all(|(a, b)| a.0 == b.0 && close(*a.1, *b.1));
        if !same {
            return Err(format!("{labels} is {found:?} instead of {points:?}"));
        }
    }
    match found.keys().find(|labels| !expected.contains_key(*labels)) {
        Some(labels) => Err(format!("{labels} is not expected")),
        None => Ok(()),
    }
}

/// Equal within a millionth, as the upstream runner compares.
fn close(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}
