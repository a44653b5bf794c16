//! Compares this crate with a live Prometheus 2.42, the one that Debian 12 has.
//!
//! Where `prometheus` is installed, the tests start it on a free port, write samples to it, and ask
//! both the same: generated queries, and the list in `../compliance`. Where it is not, they say that
//! they were skipped. What differs on purpose between Prometheus 2.42 and the language of
//! Prometheus 3 that this crate has is in `dialect.rs`, with a case for each that shows it.
//!
//! `PROMQL_LIVE_CASES` is the number of generated queries (default: 600), `PROMQL_LIVE_SEED` the
//! first seed (default: 1). Every 100 queries get samples of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod compare;
#[path = "../compliance/expand.rs"]
mod compliance;
mod data;
mod dialect;
mod queries;
mod server;

use server::{Server, When};

/// When the queries of the compliance list are asked, in seconds after the samples begin.
const COMPLIANCE: [(i64, i64, i64); 2] = [(7, 3_900, 290), (1_807, 1_807, 10)];
/// Queries that are asked of the same samples.
const QUERIES_PER_DATA: usize = 100;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn server(test: &str) -> Option<Server> {
    let server = Server::start();
    if server.is_none() {
        eprintln!("skipped: {test} (no prometheus)");
    }
    server
}

#[test]
fn generated_queries_are_answered_as_prometheus_answers_them() {
    let name = "generated_queries_are_answered_as_prometheus_answers_them";
    let (cases, first_seed) = (number("PROMQL_LIVE_CASES", 600), number("PROMQL_LIVE_SEED", 1));
    let mut wrong = Vec::new();
    let (mut with_points, mut refused) = (0, 0);
    for (round, seed) in (0..cases.div_ceil(QUERIES_PER_DATA)).zip(first_seed as u64..) {
        let Some(server) = server(name) else { return };
        let source = data::series(seed);
        server.write(&source);
        // Samples in memory and in the store are read in different ways.
        let stored = data::stored(&source);
        let mut generator = queries::Generator::new(seed);
        for _ in 0..QUERIES_PER_DATA.min(cases - round * QUERIES_PER_DATA) {
            let (query, when) = generator.case();
            let theirs = server.ask(&dialect::spelled_for_prometheus_2(&query), when);
            match &theirs {
                Ok(points) => with_points += usize::from(!points.is_empty()),
                Err(_) => refused += 1,
            }
            let ours = match seed % 2 {
                0 => compare::ours(&query, &source, when),
                _ => compare::ours(&query, &stored, when),
            };
            if let Err(reason) = compare::difference(&ours, &theirs) {
                wrong.push(format!("seed {seed}, {when:?}\n    {query}\n    {reason}"));
            }
        }
    }
    eprintln!("live: {cases} generated queries, {with_points} with points, {refused} refused");
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    // Two evaluators easily agree on nothing.
    assert!(with_points * 2 > cases, "only {with_points} of {cases} queries have points");
}

#[test]
fn the_compliance_list_is_answered_as_prometheus_answers_it() {
    let Some(server) = server("the_compliance_list_is_answered_as_prometheus_answers_it") else {
        return;
    };
    let source = data::series(1);
    server.write(&source);
    let source = data::stored(&source);
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in compliance::entries() {
        let outcome = COMPLIANCE.map(|(start, end, step)| {
            let second = |seconds| data::START_MS / 1_000 + seconds;
            let when = When::Range { start: second(start), end: second(end), step };
            let theirs = server.ask(&dialect::spelled_for_prometheus_2(&entry.query), when);
            if entry.refused && theirs.is_ok() {
                return Err("Prometheus does not refuse it".to_owned());
            }
            compare::difference(&compare::ours(&entry.query, &source, when), &theirs)
        });
        let agrees = outcome.iter().all(Result::is_ok);
        count += 1;
        match entry.differs {
            Some(name) if !dialect::is_listed(name) => {
                wrong.push(format!("{}\n    `{name}` is not in dialect.rs", entry.query));
            }
            Some(name) if agrees => {
                wrong.push(format!("{}\n    listed as `{name}`, but it agrees", entry.query));
            }
            None if !agrees => wrong.push(format!("{}\n    {outcome:?}", entry.query)),
            _ => {}
        }
    }
    eprintln!("live: {count} queries of the compliance list");
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_listed_difference_is_real() {
    let Some(server) = server("every_listed_difference_is_real") else { return };
    let source = dialect::series();
    server.write(&source);
    let checked = dialect::DIFFERENCES.iter().map(|case| case.check(&server, &source));
    let wrong: Vec<String> = checked.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
