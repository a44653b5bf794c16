//! Runs the tests of Prometheus itself, in their `.test` format, on this evaluator.
//!
//! The files are not part of the repository. `expected-failures.txt` names every case that is not
//! expected to pass, with the reason: a listed case that passes fails this test, as does an unlisted
//! one that fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

mod check;
mod script;

use std::collections::BTreeMap;
use std::path::Path;

use script::Command;

const LIST: &str = include_str!("../expected-failures.txt");

/// Places (`file:line`) with reasons.
fn expected_failures() -> BTreeMap<&'static str, &'static str> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').expect("a place, a tab and a reason")).collect()
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed_as_listed: usize,
    /// What passed of how many, by file.
    files: Vec<(String, usize, usize)>,
    wrong: Vec<String>,
    unused: BTreeMap<&'static str, &'static str>,
}

#[test]
fn conformance() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/promqltest/testdata");
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: conformance (no ../shared/promqltest)");
        return;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut tally = Tally { unused: expected_failures(), ..Tally::default() };
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "test")) {
        run_file(file, &mut tally);
    }
    let unused = tally.unused.iter();
    tally
        .wrong
        .extend(unused.map(|(place, _)| format!("{place}\tlisted, but there is no such case")));
    for (name, passed, all) in &tally.files {
        eprintln!("conformance: {name}: {passed} of {all}");
    }
    eprintln!(
        "conformance: {} cases passed, {} failed as listed",
        tally.passed, tally.failed_as_listed
    );
    assert!(tally.wrong.is_empty(), "{} surprises:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
}

fn run_file(path: &Path, tally: &mut Tally) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let commands = script::parse(&text);
    let cases = commands.iter().filter(|c| matches!(c, Command::Eval(_))).count();
    let passed_before = tally.passed;
    let mut storage = script::Storage::default();
    for command in commands {
        match command {
            Command::Clear => storage = script::Storage::default(),
            Command::Load(load) => storage.load(&load),
            Command::Eval(case) => {
                let place = format!("{name}:{}", case.line);
                let outcome = check::check(&case, &storage);
                match (outcome, tally.unused.remove(place.as_str())) {
                    (Ok(()), None) => tally.passed += 1,
                    (Err(_), Some(_)) => tally.failed_as_listed += 1,
                    (Ok(()), Some(_)) => {
                        tally.wrong.push(format!("{place}\tlisted, but it passes"))
                    }
                    (Err(reason), None) => {
                        tally.wrong.push(format!("{place}\t{reason}\n    {}", case.query));
                    }
                }
            }
        }
    }
    tally.files.push((name.to_owned(), tally.passed - passed_before, cases));
}
