//! `rehearse` of a tiny programme, through the whole way from TOML to signed reports.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Repository, files};

/// Runs the tiny programme into `out` and gives its JSON.
fn rehearse(repository: &Repository, out: &str) -> serde_json::Value {
    repository.run(&["rehearse", "tiny", "--out", out, "--format", "json"]).ends(0).json()
}

/// The same but for what is about this machine.
fn about_the_programme(mut json: serde_json::Value) -> serde_json::Value {
    for name in ["wall_seconds", "peak_rss_mb"] {
        assert!(json.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    json
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let repository = Repository::tiny();
    let first = about_the_programme(rehearse(&repository, "one"));
    let again = about_the_programme(rehearse(&repository, "two"));
    assert_eq!(first, again);
    let reports = files(&repository.path("one/reports"));
    assert!(reports.len() >= 9, "{:?}", reports.keys());
    assert!(reports == files(&repository.path("two/reports")));
    let other = repository
        .run(&["rehearse", "tiny", "--out", "three", "--format", "json", "--seed", "2"])
        .ends(0)
        .json();
    assert_ne!(first["trace_digest"], other["trace_digest"], "the seed matters");
    assert_ne!(first["ledger_head"], other["ledger_head"]);
}

#[test]
fn the_json_has_what_it_promises() {
    let repository = Repository::tiny();
    let json = rehearse(&repository, "out");
    assert_eq!(json["pipeline"], "tiny");
    assert_eq!(json["seed"], 1);
    assert_eq!(json["weeks"], 1);
    assert_eq!(json["shipped"], true);
    assert!(json["signatures"].as_u64() > Some(1_000), "real signatures: {json}");
    let phase = &json["phases"][0];
    assert_eq!(phase["id"], "small");
    assert_eq!(phase["outcome"], "complete");
    assert_eq!(phase["attempts"], 1);
    assert!(phase["internal_soak_hours"].as_f64() >= Some(1.0 / 3.0), "{phase}");
    assert!(phase["public_soak_hours"].as_f64() >= Some(1.0 / 3.0), "{phase}");
    // The first report of the week comes first.
    let reports = json["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0], "reports/2026-W02/report.html");
    for report in reports {
        assert!(repository.path("out").join(report.as_str().unwrap()).is_file(), "{report}");
    }
    assert!(repository.path("out/reports/index.html").is_file());
    let mut digests = [&json["trace_digest"], &json["ledger_head"]].into_iter();
    assert!(digests.all(|digest| digest.as_str().is_some_and(|text| text.len() == 64)));
}

#[test]
fn a_stall_holds_the_phase_and_the_next_day_tries_again() {
    let repository = Repository::tiny();
    let stall = "stall@small.internal+10m";
    let run = ["rehearse", "tiny", "--out", "out", "--format", "json", "--fault", stall];
    let answer = repository.run(&run).ends(0).says("hold");
    let phase = &answer.json()["phases"][0];
    assert_eq!(phase["holds"], 1, "{phase}");
    assert_eq!(phase["outcome"], "complete");
    assert_eq!(phase["attempts"], 2);
    let report = repository.read("out/reports/2026-W02/report.md");
    assert!(report.contains("Blocks keep coming"), "{report}");
}

#[test]
fn a_programme_that_does_not_finish_is_10() {
    let repository = Repository::tiny();
    let run = ["rehearse", "tiny", "--out", "out", "--weeks-max", "0"];
    repository.run(&run).ends(10).says("did not finish");
}

#[test]
fn a_fault_that_cannot_happen_is_refused() {
    let repository = Repository::tiny();
    let rehearse = |fault| repository.run(&["rehearse", "tiny", "--out", "out", "--fault", fault]);
    rehearse("stall").ends(2).says("no phase `phase-2`").says("@small.internal");
    rehearse("stal@small.internal").ends(2).says("`stall`");
    rehearse("stall@small").ends(2).says("PHASE.TRACK");
    rehearse("governance-stuck@small.public").ends(2).says("no operation");
    assert!(!repository.path("out").exists());
    let late = "stall@small.internal.7+10m";
    repository.run(&["rehearse", "tiny", "--out", "out", "--fault", late]).ends(0).says("never");
}

#[test]
fn what_is_not_a_rehearsal_is_not_replaced() {
    let repository = Repository::tiny();
    let answer = repository.run(&["rehearse", "tiny", "--out", "stages"]).ends(2);
    assert!(answer.stderr.contains("was not made by a rehearsal"), "{}", answer.stderr);
    assert!(repository.path("stages/tiny/stage.toml").is_file());
    let below_a_file = "pipeline/tiny.toml/out";
    repository.run(&["rehearse", "tiny", "--out", below_a_file]).ends(8).says(below_a_file);
    rehearse(&repository, "out");
    repository.write("out/left-over", "of an earlier rehearsal");
    rehearse(&repository, "out");
    assert!(!repository.path("out/left-over").exists());
}

#[test]
fn a_killed_rehearsal_is_replaced_by_the_next() {
    let repository = Repository::tiny();
    let expected = about_the_programme(rehearse(&repository, "whole"));
    let mut command = repository.command(&["rehearse", "tiny", "--out", "out"]);
    let mut running = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("deployed"), "{first}");
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().code(), None, "it was killed before its end");
    assert!(repository.path("out").is_dir());
    assert_eq!(about_the_programme(rehearse(&repository, "out")), expected);
    assert!(
        files(&repository.path("out/reports")) == files(&repository.path("whole/reports")),
        "nothing of the killed one is left"
    );
}
