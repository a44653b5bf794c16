//! The workflows and the systemd units: pinned, least rights, one writer of the ledger, and every
//! `cargo xtask` line exists. Each property is also broken on purpose, to see that it is noticed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_norway::Value;

/// The workflows that write the ledger, with the moments at which they start.
const LEDGER_WORKFLOWS: &[(&str, &[&str])] = &[
    ("deploy.yml", &["0 15 * * 4"]),
    ("evaluate.yml", &["30 14 * * 1", "0 18 * * 1"]),
    ("release.yml", &["0 15 * * 2"]),
];

const LEDGER_GROUP: &str = "phase-ledger";

/// Names the remote that the program shares its ledger through.
const LEDGER_REMOTE: &str = "PHASEGATE_LEDGER_REMOTE";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn workflows() -> BTreeMap<String, String> {
    let folder = root().join(".github/workflows");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or_default()
}

fn jobs(workflow: &Value) -> Vec<(&str, &Value)> {
    let jobs = get(workflow, &["jobs"]).and_then(Value::as_mapping);
    jobs.into_iter().flatten().map(|(name, job)| (name.as_str().unwrap_or_default(), job)).collect()
}

fn steps(job: &Value) -> &[Value] {
    get(job, &["steps"]).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

/// Everything that is wrong with one workflow.
fn violations(name: &str, source: &str) -> Vec<String> {
    let workflow: Value = match serde_norway::from_str(source) {
        Ok(workflow) => workflow,
        Err(error) => return vec![format!("not YAML: {error}")],
    };
    let crons =
        LEDGER_WORKFLOWS.iter().find(|(ledger, _)| *ledger == name).map(|(_, crons)| *crons);
    let mut wrong = general(&workflow, source);
    wrong.extend(lines(source));
    match crons {
        Some(crons) => wrong.extend(writes_the_ledger(&workflow, source, crons)),
        None => wrong.extend(only_reads(&workflow, source)),
    }
    if name == "evaluate.yml" {
        wrong.extend(publishes(&workflow));
    }
    wrong
}

fn general(workflow: &Value, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let triggers = get(workflow, &["on"]).and_then(Value::as_mapping);
    if !triggers.is_some_and(|on| on.contains_key("workflow_dispatch")) {
        wrong.push("no manual trigger".into());
    }
    if source.contains("pull_request_target") || source.contains("workflow_run") {
        wrong.push("a trigger that runs foreign code with our rights".into());
    }
    let rights = get(workflow, &["permissions"]).and_then(Value::as_mapping);
    if !rights.is_some_and(|rights| rights.is_empty()) {
        wrong.push("rights for all jobs".into());
    }
    if text(workflow, &["concurrency", "group"]).is_empty() {
        wrong.push("no concurrency group".into());
    }
    if jobs(workflow).is_empty() {
        wrong.push("no jobs".into());
    }
    for (name, job) in jobs(workflow) {
        wrong.extend(job_violations(job).into_iter().map(|what| format!("{name}: {what}")));
    }
    wrong
}

fn job_violations(job: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if get(job, &["timeout-minutes"]).and_then(Value::as_u64).is_none() {
        wrong.push("no time limit".into());
    }
    // A job that is switched off looks like one that passed.
    if get(job, &["if"]).is_some() {
        wrong.push("a condition on a whole job".into());
    }
    let rights = get(job, &["permissions"]).and_then(Value::as_mapping);
    if rights.is_none_or(|rights| rights.is_empty()) {
        wrong.push("no rights of its own".into());
    }
    if steps(job).is_empty() {
        wrong.push("no steps".into());
    }
    for step in steps(job) {
        if get(step, &["if"]).is_some_and(|condition| condition.as_str() != Some("always()")) {
            wrong.push("a step with a condition other than always()".into());
        }
    }
    wrong
}

/// Rules on the text, because comments and repeated lines matter.
fn lines(source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in source.lines() {
        let line = line.trim_start().trim_start_matches("- ");
        if let Some(action) = line.strip_prefix("uses:")
            && !is_pinned(action)
        {
            wrong.push(format!("not pinned by a commit and its version: {action}"));
        }
        if let Some(command) = line.strip_prefix("run:") {
            if !command.starts_with(" cargo xtask ") {
                wrong.push(format!("not a call of xtask: {command}"));
            }
            // An expression is pasted into the shell as text; a variable is not.
            if command.contains("${{") || command.contains("&&") || command.contains(';') {
                wrong.push(format!("more than one plain call: {command}"));
            }
        }
        if line.contains("continue-on-error") {
            wrong.push("an error is ignored".into());
        }
    }
    for example in xtask::in_workflow(source) {
        wrong.extend(example.unknown_command());
    }
    wrong
}

/// `owner/name@<40 hex digits> # v1.2.3`
fn is_pinned(action: &str) -> bool {
    let Some((reference, version)) = action.split_once(" # v") else { return false };
    let Some((_, commit)) = reference.split_once('@') else { return false };
    commit.len() == 40
        && commit.chars().all(|c| c.is_ascii_hexdigit())
        && version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3
}

fn only_reads(workflow: &Value, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if source.contains("secrets.") {
        wrong.push("a secret where pull requests run".into());
    }
    if text(workflow, &["concurrency", "group"]) == LEDGER_GROUP {
        wrong.push("waits for the ledger without writing it".into());
    }
    for (name, job) in jobs(workflow) {
        if rights(job) != BTreeMap::from([("contents", "read")]) {
            wrong.push(format!("{name}: more rights than to read"));
        }
        for step in steps(job).iter().filter(|step| is_checkout(step)) {
            if get(step, &["with", "persist-credentials"]).and_then(Value::as_bool) != Some(false) {
                wrong.push(format!("{name}: leaves its token in the checkout"));
            }
        }
    }
    wrong
}

fn rights(job: &Value) -> BTreeMap<&str, &str> {
    let rights = get(job, &["permissions"]).and_then(Value::as_mapping);
    let pairs = rights.into_iter().flatten();
    pairs.filter_map(|(what, right)| Some((what.as_str()?, right.as_str()?))).collect()
}

fn is_checkout(step: &Value) -> bool {
    text(step, &["uses"]).starts_with("actions/checkout@")
}

fn writes_the_ledger(workflow: &Value, source: &str, crons: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let schedule = get(workflow, &["on", "schedule"]).and_then(Value::as_sequence);
    let scheduled: Vec<&str> =
        schedule.into_iter().flatten().map(|entry| text(entry, &["cron"])).collect();
    if scheduled != crons {
        wrong.push(format!("scheduled at {scheduled:?} instead of {crons:?}"));
    }
    let triggers = get(workflow, &["on"]).and_then(Value::as_mapping).map_or(0, |on| on.len());
    if triggers != 2 {
        wrong.push("started by something else than its schedule and by hand".into());
    }
    if text(workflow, &["concurrency", "group"]) != LEDGER_GROUP {
        wrong.push("more than one writer of the ledger".into());
    }
    if get(workflow, &["concurrency", "cancel-in-progress"]).and_then(Value::as_bool) != Some(false)
    {
        wrong.push("a writer can be cancelled".into());
    }
    match get(workflow, &["jobs", "tick"]) {
        Some(job) => wrong.extend(tick_violations(job)),
        None => wrong.push("no job that ticks".into()),
    }
    if source.matches("secrets.").count() != 1 {
        wrong.push("the key is used in more than one place".into());
    }
    wrong
}

fn tick_violations(job: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if rights(job) != BTreeMap::from([("contents", "write")]) {
        wrong.push("other rights than to push the ledger".into());
    }
    let checkout = steps(job).iter().find(|step| is_checkout(step));
    let option = |name| checkout.and_then(|step| get(step, &["with", name]));
    if option("clean").and_then(Value::as_bool) != Some(false) {
        wrong.push("the checkout deletes the state of running networks".into());
    }
    if option("fetch-depth").and_then(Value::as_u64) != Some(0) {
        wrong.push("the definitions of earlier weeks are missing".into());
    }
    let at = |call: &str| {
        let is_it = |step: &Value| text(step, &["run"]).starts_with(&format!("cargo xtask {call}"));
        steps(job).iter().position(is_it)
    };
    let order = ["pipeline check", "signing-key write", "phase tick", "signing-key remove"];
    let places: Vec<Option<usize>> = order.iter().map(|call| at(call)).collect();
    if places.iter().any(Option::is_none) || !places.is_sorted() {
        wrong.push(format!("the calls are not {order:?} in this order"));
    }
    let step = |call: &str| at(call).and_then(|index| steps(job).get(index));
    if step("signing-key remove").is_none_or(|step| text(step, &["if"]) != "always()") {
        wrong.push("the key is left behind after a failure".into());
    }
    // For the whole job, so that the report is built from the same ledger.
    if text(job, &["env", LEDGER_REMOTE]) != "origin" {
        wrong.push("the ledger stays on the machine".into());
    }
    if step("signing-key write")
        .is_none_or(|step| !text(step, &["env", "PHASEGATE_SIGNING_KEY"]).contains("secrets."))
    {
        wrong.push("the key is not given to the step that writes it".into());
    }
    let tick = step("phase tick");
    if tick.is_none_or(|step| text(step, &["env", "PHASEGATE_SIGNING_KEY_FILE"]).is_empty()) {
        wrong.push("the tick does not know where the key is".into());
    }
    if tick.is_none_or(|step| {
        get(step, &["env", "RUNNER_TRACKING_ID"]).and_then(Value::as_str) != Some("")
    }) {
        wrong.push("the runner kills the networks at the end of the job".into());
    }
    wrong
}

fn publishes(workflow: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let uses = |job: &str, action: &str| {
        let steps = get(workflow, &["jobs", job]).map(steps).unwrap_or_default();
        steps.iter().any(|step| text(step, &["uses"]).starts_with(&format!("actions/{action}@")))
    };
    if !uses("tick", "upload-artifact") || !uses("tick", "upload-pages-artifact") {
        wrong.push("the report is not kept".into());
    }
    if !uses("publish", "deploy-pages") {
        wrong.push("the report is not published".into());
    }
    let rights = get(workflow, &["jobs", "publish"]).map(rights).unwrap_or_default();
    if rights != BTreeMap::from([("pages", "write"), ("id-token", "write")]) {
        wrong.push("other rights than to publish".into());
    }
    wrong
}

#[test]
fn the_workflows_are_these_and_keep_the_rules() {
    let workflows = workflows();
    let names: Vec<&str> = workflows.keys().map(String::as_str).collect();
    assert_eq!(names, ["ci.yml", "deploy.yml", "evaluate.yml", "release.yml"]);
    for (name, source) in &workflows {
        assert_eq!(violations(name, source), Vec::<String>::new(), "{name}");
    }
}

/// Replaces a piece of a workflow and expects that this is noticed, in these words.
#[track_caller]
fn check_broken(name: &str, from: &str, to: &str, expected: &str) {
    let source = &workflows()[name];
    assert!(source.contains(from), "{name} has no `{from}`");
    let wrong = violations(name, &source.replacen(from, to, 1));
    assert!(wrong.iter().any(|what| what.contains(expected)), "{name}, {to}: {wrong:?}");
}

#[test]
fn loose_actions_are_noticed() {
    let commit = "@11bd71901bbe5b1630ceea73d27597364c9af683";
    check_broken("ci.yml", commit, "@v4", "not pinned");
    check_broken("deploy.yml", commit, "@main", "not pinned");
    check_broken("deploy.yml", " # v4.2.2", "", "not pinned");
}

#[test]
fn wide_rights_are_noticed() {
    check_broken("ci.yml", "permissions: {}", "permissions: write-all", "rights for all jobs");
    check_broken("ci.yml", "contents: read", "contents: write", "more rights than to read");
    check_broken("ci.yml", "persist-credentials: false", "fetch-depth: 1", "token in the checkout");
    check_broken("release.yml", "contents: write", "actions: write", "other rights");
    check_broken("evaluate.yml", "pages: write", "contents: write", "other rights than to publish");
    check_broken("ci.yml", "pull_request:", "pull_request_target:", "foreign code");
}

#[test]
fn a_second_writer_of_the_ledger_is_noticed() {
    check_broken("deploy.yml", "group: phase-ledger", "group: deploy", "more than one writer");
    check_broken(
        "deploy.yml",
        "cancel-in-progress: false",
        "cancel-in-progress: true",
        "cancelled",
    );
    check_broken("ci.yml", "group: ci-${{ github.ref }}", "group: phase-ledger", "waits for the");
}

#[test]
fn a_job_that_is_switched_off_is_noticed() {
    check_broken(
        "deploy.yml",
        "    timeout-minutes: 60",
        "    if: false",
        "a condition on a whole",
    );
    check_broken("deploy.yml", "if: always()", "if: failure()", "left behind after a failure");
    check_broken(
        "ci.yml",
        "- run: cargo xtask ci",
        "- run: cargo xtask ci\n        continue-on-error: true",
        "ignored",
    );
}

#[test]
fn a_key_in_the_wrong_place_is_noticed() {
    let key = "PHASEGATE_SIGNING_KEY_FILE: ${{ runner.temp }}/signing-key";
    let raw = "PHASEGATE_SIGNING_KEY: ${{ secrets.PHASEGATE_SIGNING_KEY }}";
    check_broken("evaluate.yml", key, raw, "more than one place");
    check_broken("evaluate.yml", key, raw, "does not know where the key is");
    check_broken(
        "ci.yml",
        "- run: cargo xtask ci",
        "- run: cargo xtask ci\n        env: { A: '${{ secrets.A }}' }",
        "pull requests",
    );
}

#[test]
fn calls_that_do_not_exist_are_noticed() {
    check_broken("ci.yml", "cargo xtask ci", "cargo xtask check-all", "does not exist");
    check_broken("deploy.yml", "xtask phase tick", "xtask phase tock", "has no `tock`");
    check_broken("ci.yml", "cargo xtask ci", "make", "not a call of xtask");
    check_broken(
        "ci.yml",
        "cargo xtask ci",
        "cargo xtask ci && curl x",
        "more than one plain call",
    );
    check_broken(
        "ci.yml",
        "cargo xtask ci",
        "cargo xtask ci ${{ github.head_ref }}",
        "more than one",
    );
}

#[test]
fn a_changed_schedule_is_noticed() {
    check_broken("deploy.yml", "0 15 * * 4", "0 15 * * 5", "scheduled at");
    check_broken("evaluate.yml", "    - cron: \"0 18 * * 1\"", "", "scheduled at");
    check_broken("release.yml", "  workflow_dispatch:", "  push:", "no manual trigger");
}

#[test]
fn lost_state_is_noticed() {
    check_broken("deploy.yml", "clean: false", "clean: true", "state of running networks");
    check_broken("deploy.yml", "fetch-depth: 0", "fetch-depth: 1", "earlier weeks");
    check_broken("deploy.yml", "RUNNER_TRACKING_ID: \"\"", "OTHER: \"\"", "kills the networks");
    check_broken(
        "deploy.yml",
        "cargo xtask signing-key write",
        "cargo xtask signing-key remove",
        "in this order",
    );
    let shared = "PHASEGATE_LEDGER_REMOTE: origin";
    check_broken("deploy.yml", shared, "OTHER: origin", "stays on the machine");
    check_broken("evaluate.yml", shared, "PHASEGATE_LEDGER_REMOTE: ''", "stays on the machine");
    check_broken("evaluate.yml", "actions/upload-artifact@", "actions/cache@", "not kept");
    check_broken("evaluate.yml", "actions/deploy-pages@", "actions/cache@", "not published");
}

fn unit(name: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs/systemd").join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn values<'a>(unit: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    unit.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn the_systemd_unit_makes_the_call_of_the_workflows() {
    let service = unit("phasegate-tick.service");
    assert_eq!(values(&service, "ExecStart"), ["cargo xtask phase tick"]);
    let remote = format!("{LEDGER_REMOTE}=origin");
    assert!(values(&service, "Environment").contains(&remote.as_str()), "the ledger stays here");
    assert_eq!(values(&service, "KillMode"), ["process"]);
    for (key, value) in &service {
        let raw_key = key == "Environment" && value.starts_with("PHASEGATE_SIGNING_KEY=");
        assert!(!raw_key, "the key is in the unit's environment");
    }
    for hardening in ["NoNewPrivileges", "ProtectSystem", "ProtectHome", "CapabilityBoundingSet"] {
        assert_eq!(values(&service, hardening).len(), 1, "{hardening}");
    }
}

#[test]
fn the_systemd_timer_has_the_moments_of_the_workflows() {
    let timer = unit("phasegate-tick.timer");
    let moments = values(&timer, "OnCalendar");
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    for cron in LEDGER_WORKFLOWS.iter().flat_map(|(_, crons)| *crons) {
        let fields: Vec<&str> = cron.split(' ').collect();
        let day = days[fields[4].parse::<usize>().unwrap()];
        let number = |index: usize| fields[index].parse::<u32>().unwrap();
        let expected = format!("{day} *-*-* {:02}:{:02}:00 UTC", number(1), number(0));
        assert!(moments.contains(&expected.as_str()), "{expected} is not in {moments:?}");
    }
    assert_eq!(values(&timer, "Persistent"), ["true"]);
}
