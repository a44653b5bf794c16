//! The text that a scrape returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use samples::formats::exposition::{Dialect, Exposition, parse};
use samples::formats::{Layout, Scraper, openmetrics};
use samples::{Labels, Series};

use crate::Target;

/// Bytes of a scrape, read in both dialects.
pub const TARGET: Target = Target {
    name: "exposition",
    run,
    seeds: crate::no_seeds,
    repair: crate::no_repair,
    words: &[
        "# TYPE ",
        "# HELP ",
        "# UNIT ",
        "# EOF\n",
        " counter\n",
        " histogram\n",
        "{",
        "}",
        "=\"",
        "\",",
        "_bucket",
        "le=\"+Inf\"",
        " # {",
        "\\n",
        "\\\"",
        "\\\\",
        "\t",
        "\r\n",
        "é",
        "\u{feff}",
        "_created",
        "_total",
        "__name__=\"",
        "{\"a.b\"",
        " 1700000000.123\n",
    ],
};

/// Samples by series and time, with the bits of their values.
type Read = BTreeMap<Labels, BTreeMap<i64, u64>>;

/// What is read can be written and is read again the same, and a second scrape is like the first.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    scrape_twice(bytes, Dialect::Prometheus);
    scrape_twice(bytes, Dialect::OpenMetrics);
    let read = [Dialect::Prometheus, Dialect::OpenMetrics].map(|dialect| parse(bytes, dialect));
    let mut accepted = false;
    for read in read.into_iter().flatten() {
        write_and_read(&read);
        accepted |= !read.samples.is_empty();
    }
    accepted
}

fn scrape_twice(bytes: &[u8], dialect: Dialect) {
    let mut scraper = Scraper::new(Labels::empty());
    let first = scraper.scrape(Some((bytes, dialect)));
    assert_eq!(first.series.len(), first.values.len());
    let values: Vec<u64> = first.values.iter().map(|value| value.to_bits()).collect();
    let second = scraper.scrape(Some((bytes, dialect)));
    assert_eq!(second.layout, Layout::Same, "the same text has other series");
    let again: Vec<u64> = second.values.iter().map(|value| value.to_bits()).collect();
    assert_eq!(again, values, "the same text has other values");
}

fn write_and_read(read: &Exposition) {
    let samples = samples_of(read);
    let mut text = Vec::new();
    let source: Vec<Series> = samples.iter().filter_map(series).collect();
    let window = (i64::MIN, i64::MAX);
    if openmetrics::write(&source, &[], window, &read.families, &mut text).is_err() {
        return;
    }
    let shown = String::from_utf8_lossy(&text);
    let Ok(again) = parse(&text, Dialect::OpenMetrics) else {
        panic!("what was written is not whole: {shown}")
    };
    assert_eq!(samples_of(&again), samples, "written as: {shown}");
}

fn samples_of(read: &Exposition) -> Read {
    let mut samples = Read::new();
    for sample in &read.samples {
        let Some(labels) = read.series.get(sample.series) else { panic!("a sample of no series") };
        let times = samples.entry(labels.clone()).or_default();
        times.insert(sample.t_ms.unwrap_or(0), sample.value.to_bits());
    }
    samples
}

fn series((labels, samples): (&Labels, &BTreeMap<i64, u64>)) -> Option<Series> {
    let values = samples.values().map(|bits| f64::from_bits(*bits)).collect();
    Series::new(labels.clone(), Arc::new(samples.keys().copied().collect()), values).ok()
}
