//! Writes samples as OpenMetrics text, with their times.
//!
//! The families are in the order of their names, the series of a family in the order of their
//! labels, and only one family is in memory at a time. A family whose kind is known as counter or
//! gauge says so; everything else has the type `unknown`, because histograms would have to be
//! written point by point. Times are in seconds and exact to the millisecond in any reader, also in
//! one that multiplies floats. Staleness markers cannot be expressed: they are left out and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;

use super::FormatError;
use super::exposition::{Family, MetricKind};
use super::syntax::split_name;
use crate::{Labels, METRIC_NAME, Matcher, SampleSource, Series, is_stale};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Series with at least one sample.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Staleness markers, which were left out.
    pub stale: u64,
}

/// Writes the samples with `start_ms < t <= end_ms` of the series that satisfy all `matchers`.
///
/// `families` says what is known about metrics, as an [`Exposition`](super::exposition::Exposition)
/// gives it; it may be empty.
///
/// # Errors
/// When a series has no metric name, the source cannot be read or `out` not be written. What was
/// written before then lacks its last line, `# EOF`, and no reader takes it for the whole.
pub fn write(
    source: &dyn SampleSource,
    matchers: &[Matcher],
    (start_ms, end_ms): (i64, i64),
    families: &BTreeMap<String, Family>,
    out: &mut dyn Write,
) -> Result<Written, FormatError> {
    let mut written = Written::default();
    let metrics = metric_names(source, matchers, (start_ms, end_ms))?;
    let mut line = String::new();
    for metric in &metrics {
        let mut all = matchers.to_vec();
        all.push(Matcher::equal(METRIC_NAME, metric));
        let series = source.select(&all, start_ms, end_ms)?;
        line.clear();
        header(metric, families, &metrics, &mut line);
        out.write_all(line.as_bytes())?;
        for one in &series {
            write_series(one, &mut line, out, &mut written)?;
        }
    }
    out.write_all(b"# EOF\n")?;
    out.flush()?;
    Ok(written)
}

/// The names of all metrics that are selected, sorted.
pub(super) fn metric_names(
    source: &dyn SampleSource,
    matchers: &[Matcher],
    (start_ms, end_ms): (i64, i64),
) -> Result<BTreeSet<String>, FormatError> {
    let mut names = BTreeSet::new();
    let mut nameless = None;
    for part in source.parts(matchers, start_ms, end_ms)? {
        part.read(&mut |series| {
            let name = series.labels().metric_name();
            if name.is_empty() {
                nameless = Some(series.labels().to_string());
                return ControlFlow::Break(());
            }
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
            ControlFlow::Continue(())
        })?;
        if let Some(labels) = nameless {
            return Err(FormatError::Nameless { labels });
        }
    }
    Ok(names)
}

fn header(
    metric: &str,
    families: &BTreeMap<String, Family>,
    metrics: &BTreeSet<String>,
    line: &mut String,
) {
    let (name, known) = family_of(metric, families, metrics);
    let mut quoted = String::new();
    push_name(name, &mut quoted);
    let kind = match known.map(|family| family.kind) {
        Some(MetricKind::Counter) => "counter",
        Some(MetricKind::Gauge) => "gauge",
        _ => "unknown",
    };
    let _ = writeln!(line, "# TYPE {quoted} {kind}");
    let Some(family) = known else { return };
    // The format wants the unit at the end of the name.
    if !family.unit.is_empty() && name.ends_with(&format!("_{}", family.unit)) {
        let _ = writeln!(line, "# UNIT {quoted} {}", family.unit);
    }
    if !family.help.is_empty() {
        let _ = write!(line, "# HELP {quoted} ");
        push_escaped(&family.help, line);
        line.push('\n');
    }
}

/// The family under which a metric can be written, and what is known about it. A counter's family
/// is its name without `_total`, whichever of the two names the source declared it by.
fn family_of<'a>(
    metric: &'a str,
    families: &'a BTreeMap<String, Family>,
    metrics: &BTreeSet<String>,
) -> (&'a str, Option<&'a Family>) {
    if let Some(base) = metric.strip_suffix("_total").filter(|base| !base.is_empty()) {
        let known = families.get(base).or_else(|| families.get(metric));
        let is_counter = known.is_some_and(|family| family.kind == MetricKind::Counter);
        // Two families may not have one name, and `_created` would belong to the counter.
        let is_free = !metrics.contains(base) && !metrics.contains(&format!("{base}_created"));
        if is_counter && is_free {
            return (base, known);
        }
    }
    let known = families.get(metric).filter(|family| family.kind != MetricKind::Counter);
    (metric, known)
}

fn write_series(
    series: &Series,
    line: &mut String,
    out: &mut dyn Write,
    written: &mut Written,
) -> Result<(), FormatError> {
    let mut prefix = String::new();
    push_labels(series.labels(), &mut prefix);
    let before = written.samples;
    for (t_ms, value) in series.times_ms().iter().zip(series.values()) {
        if is_stale(*value) {
            written.stale += 1;
            continue;
        }
        line.clear();
        line.push_str(&prefix);
        line.push(' ');
        push_value(*value, line);
        line.push(' ');
        push_seconds(*t_ms, line);
        line.push('\n');
        out.write_all(line.as_bytes())?;
        written.samples += 1;
    }
    written.series += u64::from(written.samples > before);
    Ok(())
}

/// `name{a="b"}`, or `{"my.name","x.y"="z"}` for names of the new form.
fn push_labels(labels: &Labels, line: &mut String) {
    let metric = labels.metric_name();
    let plain = is_plain(metric, true);
    let mut separator = '{';
    if plain {
        line.push_str(metric);
    } else {
        line.push('{');
        push_name(metric, line);
        separator = ',';
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        line.push(separator);
        separator = ',';
        if is_plain(name, false) {
            line.push_str(name);
        } else {
            push_quoted(name, line);
        }
        line.push('=');
        push_quoted(value, line);
    }
    if separator == ',' {
        line.push('}');
    }
}

/// A metric's name, in quotes when it is not of the old form.
fn push_name(name: &str, line: &mut String) {
    if is_plain(name, true) {
        line.push_str(name);
    } else {
        push_quoted(name, line);
    }
}

fn is_plain(name: &str, metric: bool) -> bool {
    split_name(name, metric).is_some_and(|(_, rest)| rest.is_empty())
}

fn push_quoted(text: &str, line: &mut String) {
    line.push('"');
    push_escaped(text, line);
    line.push('"');
}

fn push_escaped(text: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '"' => line.push_str("\\\""),
            '\n' => line.push_str("\\n"),
            other => line.push(other),
        }
    }
}

/// The shortest digits that read back as the same bits.
fn push_value(value: f64, line: &mut String) {
    let _ = match value {
        f64::INFINITY => write!(line, "+Inf"),
        f64::NEG_INFINITY => write!(line, "-Inf"),
        _ if value.is_nan() => write!(line, "NaN"),
        _ => write!(line, "{value:?}"),
    };
}

fn push_seconds(t_ms: i64, line: &mut String) {
    let start = line.len();
    let (sign, size) = (if t_ms < 0 { "-" } else { "" }, t_ms.unsigned_abs());
    let _ = write!(line, "{sign}{}.{:03}", size / 1_000, size % 1_000);
    // Servers multiply a float by 1,000 and cut off: a microsecond more keeps them on this side.
    let read = line[start..].parse::<f64>().map(|seconds| (seconds * 1_000.0) as i64);
    if read != Ok(t_ms) {
        line.push_str("001");
    }
}

#[cfg(test)]
mod tests {
    use super::{Written, write};
    use crate::formats::exposition::{Dialect, Family, MetricKind, parse};
    use crate::{Labels, Matcher, STALE_NAN, Series};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const ALL: (i64, i64) = (i64::MIN, i64::MAX);

    fn series(labels: Labels, samples: &[(i64, f64)]) -> Series {
        let (times, values) = samples.iter().copied().unzip();
        Series::new(labels, Arc::new(times), values).unwrap()
    }

    fn family(kind: MetricKind, unit: &str, help: &str) -> Family {
        Family { kind, unit: unit.to_owned(), help: help.to_owned() }
    }

    #[test]
    fn families_are_contiguous_and_typed_where_that_is_known() {
        let source = vec![
            series(Labels::metric("tx_total", &[("A", "1")]), &[(1_700_000_000_123, 1.0)]),
            series(Labels::metric("tx_total", &[("z", "\"\n\\")]), &[(-1_500, 2e300)]),
            series(Labels::metric("lag_seconds", &[]), &[(1, f64::NAN), (2, STALE_NAN), (3, -0.0)]),
            series(Labels::metric("b_seconds_bucket", &[("le", "+Inf")]), &[(1_001, 7.0)]),
            series(Labels::metric("runs_total", &[]), &[(0, 1.0)]),
            series(Labels::metric("runs_created", &[]), &[(0, 1.0)]),
            series(Labels::metric("my.name", &[("x.y", "z")]), &[(0, f64::INFINITY)]),
            series(Labels::metric("gone", &[]), &[(0, STALE_NAN)]),
        ];
        let families = BTreeMap::from([
            ("tx_total".to_owned(), family(MetricKind::Counter, "", "Sent\n.")),
            ("lag_seconds".to_owned(), family(MetricKind::Gauge, "seconds", "")),
            ("b_seconds".to_owned(), family(MetricKind::Histogram, "", "")),
            ("runs".to_owned(), family(MetricKind::Counter, "", "")),
        ]);
        let mut out = Vec::new();
        let written = write(&source, &[], ALL, &families, &mut out).unwrap();
        assert_eq!(written, Written { series: 7, samples: 8, stale: 2 });
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        # TYPE b_seconds_bucket unknown
        b_seconds_bucket{le="+Inf"} 7.0 1.001001
        # TYPE gone unknown
        # TYPE lag_seconds gauge
        # UNIT lag_seconds seconds
        lag_seconds NaN 0.001
        lag_seconds -0.0 0.003
        # TYPE "my.name" unknown
        {"my.name","x.y"="z"} +Inf 0.000
        # TYPE runs_created unknown
        runs_created 1.0 0.000
        # TYPE runs_total unknown
        runs_total 1.0 0.000
        # TYPE tx counter
        # HELP tx Sent\n.
        tx_total{A="1"} 1.0 1700000000.123
        tx_total{z="\"\n\\"} 2e300 -1.500
        # EOF
        "#);
    }

    #[test]
    fn only_the_selection_is_written() {
        let source = vec![
            series(Labels::metric("a", &[]), &[(1, 1.0), (2, 2.0)]),
            series(Labels::metric("b", &[]), &[(1, 3.0)]),
        ];
        let mut out = Vec::new();
        let matchers = [Matcher::equal("__name__", "a")];
        write(&source, &matchers, (1, 5), &BTreeMap::new(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "# TYPE a unknown\na 2.0 0.002\n# EOF\n");
    }

    #[test]
    fn a_series_without_a_name_and_a_full_disk_are_errors() {
        let source = vec![series(Labels::from_pairs([("a", "b")]), &[(1, 1.0)])];
        let error = write(&source, &[], ALL, &BTreeMap::new(), &mut Vec::new()).unwrap_err();
        let expected = "the series {a=\"b\"} has no metric name, which the format needs";
        assert_eq!(error.to_string(), expected);
        let source = vec![series(Labels::metric("a", &[]), &[(1, 1.0), (2, 2.0)])];
        let mut full = &mut [0_u8; 20][..];
        let error = write(&source, &[], ALL, &BTreeMap::new(), &mut full).unwrap_err();
        assert!(error.to_string().starts_with("the samples could not be written: "), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            read in prop::collection::btree_map(
                ("\\PC{1,6}|[a-c]{1,2}", "\\PC{0,6}|[\n\"\\\\}]{0,4}"),
                prop::collection::btree_map(-(1_i64 << 53)..(1 << 53), any::<u64>(), 1..6),
                0..6)
        ) {
            let source: Vec<Series> = read
                .iter()
                .map(|((name, value), samples)| {
                    let samples: Vec<(i64, f64)> =
                        samples.iter().map(|(t, bits)| (*t, f64::from_bits(*bits))).collect();
                    series(Labels::metric(name, &[("l", value)]), &samples)
                })
                .collect();
            let mut out = Vec::new();
            write(&source, &[], ALL, &BTreeMap::new(), &mut out).unwrap();
            let parsed = parse(&out, Dialect::OpenMetrics).unwrap();
            prop_assert!(parsed.errors.is_empty(), "{}", parsed.errors);
            let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
            let mut expected: Vec<(Labels, i64, u64)> = source
                .iter()
                .flat_map(|s| s.times_ms().iter().zip(s.values()).map(|(t, v)| (s.labels().clone(), *t, *v)))
                .filter(|(_, _, value)| !crate::is_stale(*value))
                .map(|(labels, t_ms, value)| (labels, t_ms, bits(value)))
                .collect();
            let mut found: Vec<(Labels, i64, u64)> = parsed
                .samples
                .iter()
                .map(|s| (parsed.series[s.series].clone(), s.t_ms.unwrap(), bits(s.value)))
                .collect();
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn servers_that_multiply_floats_read_the_same_millisecond(t_ms in -(1_i64 << 42)..(1 << 42)) {
            let mut text = String::new();
            super::push_seconds(t_ms, &mut text);
            prop_assert_eq!((text.parse::<f64>().unwrap() * 1_000.0) as i64, t_ms);
        }
    }
}
