//! `pipeline check`, `graph` and `plan` on the definitions that ship, and on damaged ones.

use crate::support::Repository;

const PIPELINE: &str = "pipeline/sequencer-prover-testnet.toml";

#[test]
fn the_definitions_that_ship_are_sound() {
    let repository = Repository::with_own_definitions();
    let answer = repository.run(&["pipeline", "check"]).ends(0).says("0 errors");
    assert!(answer.stdout.starts_with("sequencer-prover-testnet: 4 phases, "), "{}", answer.stdout);
    let json = repository.run(&["pipeline", "check", "--format", "json"]).ends(0).json();
    assert_eq!(json["diagnostics"].as_array().map(Vec::len), Some(0), "{json}");
    let sarif = repository.run(&["pipeline", "check", "--format", "sarif"]).ends(0).json();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().map(Vec::len), Some(0), "{sarif}");
}

#[test]
fn all_mistakes_are_told_at_once_in_every_format() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "stage = \"stability\"", "stage = \"stabilty\"");
    repository.edit(PIPELINE, "validators = 128,", "validatrs = 128,");
    let answer = repository.run(&["pipeline", "check"]).ends(3);
    assert!(answer.stdout.is_empty(), "diagnostics are no data");
    insta::assert_snapshot!("two_mistakes", answer.stderr);
    let json = repository.run(&["pipeline", "check", "--format", "json"]).ends(3).json();
    assert!(json["diagnostics"].as_array().is_some_and(|all| all.len() >= 2), "{json}");
    let sarif = repository.run(&["pipeline", "check", "--format", "sarif"]).ends(3).json();
    let results = sarif["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    assert!(results.len() >= 2, "{sarif}");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], PIPELINE);
    assert!(place["region"]["startLine"].as_u64() > Some(0), "{place}");
}

/// The exit code is 3, and standard error says where: file, line and column.
#[track_caller]
fn is_refused(repository: &Repository, place: &str, why: &str) {
    for command in [&["pipeline", "check"][..], &["rehearse", "sequencer-prover-testnet"][..]] {
        repository.run(command).ends(3).says(place).says(why);
    }
    assert!(!repository.path("target").exists(), "nothing is written before the check");
}

#[test]
fn malformed_toml_is_refused() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "schema = 1", "schema = = 1");
    is_refused(&repository, "sequencer-prover-testnet.toml:2:10", "error[PG");
}

#[test]
fn a_cycle_is_refused() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "id = \"phase-1\"\n", "id = \"phase-1\"\nafter = [\"phase-4\"]\n");
    is_refused(&repository, "sequencer-prover-testnet.toml:48:6", "phases wait for each other");
}

#[test]
fn an_unknown_stage_is_refused() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "stage = \"stability\"", "stage = \"stabilty\"");
    is_refused(&repository, "sequencer-prover-testnet.toml:43:9", "`stability`");
}

#[test]
fn an_unknown_parameter_is_refused() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "validators = 48,", "validators = 48, validatrs = 48,");
    is_refused(&repository, "sequencer-prover-testnet.toml:44:29", "`validators`");
}

#[test]
fn an_impossible_soak_is_refused_with_the_arithmetic() {
    let repository = Repository::with_own_definitions();
    repository.edit(PIPELINE, "validators = 48,", "validators = 48, internal_soak = \"96h\",");
    is_refused(&repository, "sequencer-prover-testnet.toml:", "95h30m");
}

#[test]
fn a_parameter_that_no_stage_has_cannot_be_set() {
    let repository = Repository::tiny();
    repository.run(&["pipeline", "check", "--set", "soak=1h"]).ends(3).says("internal_soak");
    repository.run(&["pipeline", "check", "--set", "soak"]).ends(2).says("NAME=VALUE");
    repository.run(&["pipeline", "check", "--time-scale", "0"]).ends(3).says("time scale");
}

#[test]
fn codes_are_explained() {
    let repository = Repository::tiny();
    repository.run(&["pipeline", "check", "--explain", "PG0503"]).ends(0).prints("PG0503: ");
    repository.run(&["pipeline", "check", "--explain", "PG0000"]).ends(2);
}

#[test]
fn a_pipeline_is_drawn() {
    let repository = Repository::with_own_definitions();
    let graph = ["pipeline", "graph", "sequencer-prover-testnet"];
    let mermaid = repository.run(&graph).ends(0).stdout;
    insta::assert_snapshot!("graph", mermaid);
    let svg = repository.run(&[&graph[..], &["--format", "svg"]].concat()).ends(0).stdout;
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(["phase-1", "phase-4"].iter().all(|phase| svg.contains(phase)), "{svg}");
}

#[test]
fn the_plan_has_the_dates_of_the_programme() {
    let repository = Repository::with_own_definitions();
    let plan = ["pipeline", "plan", "sequencer-prover-testnet", "--start", "2026-01-05T00:00:00Z"];
    let human = repository.run(&plan).ends(0).stdout;
    insta::assert_snapshot!("plan", human);
    let json = repository.run(&[&plan[..], &["--format", "json"]].concat()).ends(0).json();
    let first = &json["phases"][0];
    assert_eq!(first["deployed"], "2026-01-08T15:00:00Z");
    assert_eq!(first["advanced"], "2026-01-12T14:30:00Z");
    assert_eq!(first["released"], "2026-01-13T15:00:00Z");
    assert_eq!(json["phases"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["completed"], json["phases"][3]["completed"]);
}

#[test]
fn an_unknown_pipeline_is_a_mistake_of_the_command_line() {
    let repository = Repository::with_own_definitions();
    repository
        .run(&["pipeline", "plan", "sequencer-prover-tesnet"])
        .ends(2)
        .says("sequencer-prover-testnet");
}
