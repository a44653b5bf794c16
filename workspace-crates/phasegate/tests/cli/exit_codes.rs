//! The exit codes that scripts and workflows rely on. Definitions, ledgers and reports have files
//! of their own.

use crate::support::{Repository, program};

#[test]
fn a_command_line_that_is_not_understood_is_2() {
    let repository = Repository::tiny();
    for wrong in [
        &["frobnicate"][..],
        &["phase"][..],
        &["phase", "waive", "small/soak"][..],
        &["pipeline", "check", "--format", "xml"][..],
        &["phase", "status", "Not An Id"][..],
        &["report", "verify", "--genesis", "00"][..],
        &["rehearse", "tiny", "--seed", "-1"][..],
    ] {
        let answer = repository.run(wrong).ends(2);
        assert!(answer.stdout.is_empty(), "{wrong:?}");
        assert!(answer.stderr.starts_with("error: ") || wrong == ["phase"], "{}", answer.stderr);
    }
}

#[test]
fn without_definitions_it_says_where_it_looked() {
    let empty = tempfile::tempdir().unwrap();
    let output = program(empty.path(), &["pipeline", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("`pipeline/`") && text.contains("--root"), "{text}");
}

#[test]
fn the_repository_is_found_from_below_and_by_name() {
    let repository = Repository::tiny();
    let below = repository.path("pipeline/rehearsals");
    let output = program(&below, &["pipeline", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let elsewhere = tempfile::tempdir().unwrap();
    let root = repository.root().to_str().unwrap();
    let named = ["--root", root, "pipeline", "check"];
    assert_eq!(program(elsewhere.path(), &named).output().unwrap().status.code(), Some(0));
}

#[test]
fn unknown_deployments_are_5() {
    let repository = Repository::tiny_with_ledger();
    let unknown = "small.internal.9";
    let action = r#"{"kind":"l1_reorg","depth":3}"#;
    for command in [
        &["deploy", "status", unknown][..],
        &["deploy", "down", unknown][..],
        &["deploy", "logs", unknown][..],
        &["drill", "run", "reorg", "--deployment", unknown, "--action", action][..],
    ] {
        repository.run(command).ends(5).says("there is no deployment `small.internal.9`");
    }
    repository.run(&["deploy", "status"]).ends(0).prints("No deployment is up.");
}

#[test]
fn what_the_state_does_not_allow_is_6() {
    let repository = Repository::tiny_with_ledger();
    repository.run(&["phase", "advance", "small"]).ends(6).says("small cannot advance");
    repository.run(&["phase", "explain", "small/soak"]).ends(6).says("was not judged yet");
    repository.run(&["report", "build", "--out", "report"]).ends(6).says("nothing was judged yet");
    let public = ["deploy", "up", "small", "--track", "public"];
    repository.run(&public).ends(6).says("small cannot be deployed");
    assert_eq!(repository.entries().len(), 1, "a refusal changes nothing");
}

#[test]
fn unknown_phases_and_gates_are_2_with_what_there_is() {
    let repository = Repository::tiny_with_ledger();
    repository.run(&["phase", "status", "big"]).ends(2).says("There are: small.");
    repository.run(&["phase", "advance", "big"]).ends(2).says("it has small");
    repository.run(&["deploy", "up", "big", "--plan"]).ends(2).says("it has small");
    repository.run(&["phase", "explain", "small/sok"]).ends(2).says("soak");
    repository.run(&["phase", "explain", "small/sok", "--live"]).ends(2).says("soak");
    repository.run(&["phase", "explain", "small"]).ends(2).says("PHASE/GATE");
    repository.run(&["phase", "reset", "small", "--reason", " "]).ends(2).says("--reason");
}

#[test]
fn a_drill_that_no_network_knows_is_2() {
    let repository = Repository::tiny_with_ledger();
    for action in ["{}", "kill", r#"{"kind":"meteor"}"#] {
        let run = ["drill", "run", "x", "--deployment", "small.internal.1", "--action", action];
        repository.run(&run).ends(2).says("the action is not one that a network knows");
    }
}

#[test]
fn a_plan_of_a_deployment_starts_nothing() {
    let repository = Repository::tiny_with_ledger();
    let plan = repository.run(&["deploy", "up", "small", "--plan"]).ends(0);
    assert!(plan.stdout.starts_with("small.internal.1 on `process`: "), "{}", plan.stdout);
    repository.run(&["deploy", "status"]).ends(0).prints("No deployment is up.");
    assert_eq!(repository.entries().len(), 1);
}

#[test]
fn the_reference_pages_are_printed_anywhere_and_leave_nothing() {
    let empty = tempfile::tempdir().unwrap();
    let title = [
        ("gates", "# Gate kinds"),
        ("exit-codes", "# Exit codes"),
        ("drivers", "# Drivers"),
        ("network", "# The reference network"),
    ];
    for (page, title) in title {
        let output = program(empty.path(), &["reference", page]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with(title) && text.lines().count() > 10, "{page}: {text}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
