//! `cargo xtask ci`: what `.ci/run` runs, in this order, with times.
use std::time::{Duration, Instant};

use crate::Error;
use crate::workspace::run_cargo;
use crate::{docs, test_runner, tidy};

type Step = (&'static str, fn() -> Result<(), Error>);

const STEPS: &[Step] = &[
    ("test", || test_runner::run(&[])),
    // Tests behind features that are off by default.
    ("features", || run_cargo(&["test", "-p", "samples", "--features", "parquet", "parquet"], &[])),
    ("format", || run_cargo(&["fmt", "--all", "--check"], &[])),
    ("clippy", || {
        run_cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
    }),
    ("tidy", tidy::run),
    ("rustdoc", || {
        let deny_warnings = [("RUSTDOCFLAGS", "-D warnings")];
        run_cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"], &deny_warnings)
    }),
    ("docs", || docs::run(&["--check".to_owned()])),
];

/// Runs every step even after one has failed, so that one run shows everything that is wrong.
pub(crate) fn run() -> Result<(), Error> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n==> cargo xtask ci: {name}");
        let start = Instant::now();
        let outcome = step();
        if let Err(error) = &outcome {
            eprintln!("error in {name}: {error}");
        }
        results.push((*name, start.elapsed(), outcome.is_ok()));
    }
    eprint!("\n{}", summary(&results));
    let failed: Vec<&str> =
        results.iter().filter(|(_, _, passed)| !passed).map(|(name, _, _)| *name).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Check(format!("these steps failed: {}", failed.join(", "))))
}

fn summary(results: &[(&str, Duration, bool)]) -> String {
    let line = |(name, elapsed, passed): &(&str, Duration, bool)| {
        let outcome = if *passed { "ok" } else { "FAILED" };
        format!("{name:<10} {:>7.1} s  {outcome}\n", elapsed.as_secs_f64())
    };
    let total: Duration = results.iter().map(|(_, elapsed, _)| *elapsed).sum();
    let lines: String = results.iter().map(line).collect();
    format!("{lines}{:<10} {:>7.1} s\n", "all", total.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_each_step_its_time_and_its_outcome() {
        let results = [
            ("test", Duration::from_millis(1500), true),
            ("tidy", Duration::from_millis(40), false),
        ];
        assert_eq!(
            summary(&results),
            "test           1.5 s  ok\ntidy           0.0 s  FAILED\nall            1.5 s\n"
        );
    }
}
