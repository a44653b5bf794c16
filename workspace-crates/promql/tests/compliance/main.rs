//! A list of queries in the manner of the PromQL compliance tests: every aggregation, function,
//! operator, modifier. Here each must be evaluated, or refused where the list says so; that the
//! answers are right is the matter of `../live`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../live/data.rs"]
mod data;
mod expand;

use std::collections::BTreeSet;

use base::{Duration, Instant};
use promql::{Limits, Query};

/// As many as the compliance tests of Prometheus have.
const ENTRIES_MIN: usize = 537;

#[test]
fn each_query_is_evaluated_or_refused_as_listed() {
    let source = data::stored(&data::series(1));
    let start = Instant::from_unix_millis(data::START_MS + 7_000);
    let end = start + Duration::from_millis(data::LENGTH_MS - 60_000);
    let step = Duration::from_minutes(5);
    let mut wrong = Vec::new();
    for entry in expand::entries() {
        let outcome = Query::parse(&entry.query).map_err(|e| e.to_string()).and_then(|query| {
            promql::range(&query, &source, start, end, step, &Limits::default())
                .map_err(|e| e.to_string())
        });
        match outcome {
            Ok(_) if entry.refused => wrong.push(format!("{}: is not refused", entry.query)),
            Err(reason) if !entry.refused => wrong.push(reason),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_list_is_as_long_as_the_original_and_repeats_nothing() {
    let entries = expand::entries();
    let different: BTreeSet<&str> = entries.iter().map(|entry| entry.query.as_str()).collect();
    assert_eq!(different.len(), entries.len());
    assert!(entries.len() >= ENTRIES_MIN, "{} queries", entries.len());
}

#[test]
fn nearly_all_of_the_list_is_also_compared_with_prometheus() {
    let entries = expand::entries();
    let differing = entries.iter().filter(|entry| entry.differs.is_some()).count();
    assert!(differing * 20 < entries.len(), "{differing} of {}", entries.len());
}
