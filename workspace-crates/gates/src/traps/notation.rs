//! Series as text, in the notation of Prometheus' own tests.

use std::collections::BTreeMap;

use base::Duration;
use samples::{Labels, METRIC_NAME, STALE_NAN, SampleSource, Series, Store};

use crate::testing::START;

/// What a store holds after all blocks were appended, and how many scrapes it refused.
///
/// `load 1m` begins a block, `load 1m at 3h` one that begins three hours after the start. Below it
/// stands one series a line: `up{instance="a"} 1x399 0x99 _x9 stale 1+2x30 NaN`. `1x399` is 1 and
/// then 399 times the same, `1+2x30` grows by 2, `_x9` are nine scrapes without a sample.
pub(super) fn load(text: &str) -> (Vec<Series>, usize) {
    let (mut store, mut targets, mut refused) = (Store::new(), BTreeMap::new(), 0);
    let mut block = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("load ") {
            block = Some(steps(rest));
            continue;
        }
        let (first_ms, step_ms) = block.unwrap_or_else(|| panic!("no `load` before: {line}"));
        let (labels, values) = series(line);
        let target = *targets
            .entry(labels.clone())
            .or_insert_with(|| store.add_target(vec![labels.clone()]));
        for (index, value) in values.into_iter().enumerate() {
            let Some(value) = value else { continue };
            let t_ms = first_ms + step_ms * index as i64;
            refused += usize::from(store.append(target, t_ms, &[value]).is_err());
        }
    }
    (store.select(&[], i64::MIN, i64::MAX).unwrap(), refused)
}

/// `1m`, or `1m at 3h`: the first time and the step, in milliseconds.
fn steps(text: &str) -> (i64, i64) {
    let (step, start) = text.split_once(" at ").unwrap_or((text, "0s"));
    let millis = |text: &str| text.trim().parse::<Duration>().unwrap().millis();
    (START.unix_millis() + millis(start), millis(step))
}

fn series(line: &str) -> (Labels, Vec<Option<f64>>) {
    let end = line.find('}').map_or_else(|| line.find(' ').unwrap(), |brace| brace + 1);
    let (head, values) = line.split_at(end);
    let (name, inside) = head.split_once('{').unwrap_or((head, "}"));
    let mut pairs = vec![(METRIC_NAME.to_owned(), name.to_owned())];
    for pair in inside.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or_else(|| panic!("no label: {pair}"));
        pairs.push((key.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
    }
    (Labels::from_pairs(pairs), values.split_whitespace().flat_map(sequence).collect())
}

fn sequence(token: &str) -> Vec<Option<f64>> {
    let (base, repeats) = match token.rsplit_once('x') {
        Some((base, repeats)) => (base, repeats.parse().unwrap()),
        None => (token, 0),
    };
    match base {
        "_" => vec![None; repeats.max(1)],
        "stale" => vec![Some(STALE_NAN); repeats + 1],
        _ => {
            let (first, delta) = start_and_delta(base);
            (0..=repeats).map(|index| Some(first + delta * index as f64)).collect()
        }
    }
}

fn start_and_delta(text: &str) -> (f64, f64) {
    if let Ok(only) = text.parse() {
        return (only, 0.0);
    }
    let halves = |at: usize| Some((text[..at].parse().ok()?, text[at..].parse().ok()?));
    let signs = text.match_indices(['+', '-']).map(|(at, _)| at);
    signs.filter_map(halves).next().unwrap_or_else(|| panic!("no number: {text}"))
}

#[test]
fn the_notation_is_read_as_prometheus_reads_it() {
    let text = "load 1m\n  up{instance=\"a\", job=\"x\"} 1x2 _x2 0\n# a comment\nheight 1+2x2\nload 30s at 2m\nheight 9 stale -1-1x1";
    let (series, refused) = load(text);
    assert_eq!(refused, 1);
    let minutes = |s: &Series| -> Vec<f64> {
        s.times_ms().iter().map(|t| (t - START.unix_millis()) as f64 / 60_000.0).collect()
    };
    assert_eq!(series[0].labels().to_string(), "height");
    assert_eq!(minutes(&series[0]), [0.0, 1.0, 2.0, 2.5, 3.0, 3.5]);
    assert_eq!(series[0].values()[..3], [1.0, 3.0, 5.0]);
    assert!(samples::is_stale(series[0].values()[3]));
    assert_eq!(series[0].values()[4..], [-1.0, -2.0]);
    assert_eq!(minutes(&series[1]), [0.0, 1.0, 2.0, 5.0]);
    assert_eq!(series[1].values(), [1.0, 1.0, 1.0, 0.0]);
}
