//! `query` on files and on the deployments of a rehearsal, and what `phase explain` makes of it.

use std::path::Path;

use samples::{Labels, Store};

use crate::support::{Answer, Repository, files, program};

/// Two nodes for an hour, every 15 s; the second one stands still for ten minutes.
pub fn store() -> Store {
    let mut store = Store::new();
    let labels =
        |name: &str, node: &str| Labels::metric(name, &[("instance", node), ("role", "validator")]);
    for (node, stands) in [("a", false), ("b", true)] {
        let target = store.add_target(vec![labels("up", node), labels("devnet_height", node)]);
        for step in 0..=240_i64 {
            let height = if stands { step.min(80) + (step - 120).max(0) } else { step };
            let t_ms = 1_768_000_000_000 + step * 15_000;
            store.append(target, t_ms, &[1.0, height as f64]).unwrap();
        }
    }
    store
}

/// A folder with the file `samples` in it.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("samples"), store().encode().unwrap()).unwrap();
    folder
}

/// Runs a command in `folder`.
pub fn run(folder: &Path, arguments: &[&str]) -> Answer {
    Answer::of(program(folder, arguments).output().unwrap())
}

fn query(folder: &Path, text: &str, more: &[&str]) -> Answer {
    let arguments: Vec<&str> =
        ["query", text, "--samples", "samples"].iter().chain(more).copied().collect();
    run(folder, &arguments)
}

fn page(answers: &[(&str, Answer)]) -> String {
    let shown = answers.iter().map(|(command, answer)| {
        let code = answer.code.unwrap();
        format!("$ {command}\n{}{}[{code}]\n\n", answer.stdout, answer.stderr)
    });
    shown.collect()
}

#[test]
fn results_are_tables_and_lines() {
    let folder = folder();
    let asked: &[(&str, &[&str])] = &[
        ("sum(up)", &[]),
        ("devnet_height", &["--at", "-30m"]),
        ("devnet_height[30s]", &["--at", "2026-01-09T23:20:00Z"]),
        ("rate(devnet_height[5m])", &["--range", "-1h..now", "--step", "5m"]),
        ("max(devnet_height) - min(devnet_height)", &["--range", "-1h..now"]),
        ("time() - 1768000000", &[]),
        ("\"text\"", &[]),
        ("up == 0", &[]),
        ("rate(devnet_height[5m:1m])", &[]),
    ];
    let answers: Vec<(&str, Answer)> = asked
        .iter()
        .map(|(text, more)| (*text, query(folder.path(), text, more).ends(0)))
        .collect();
    insta::assert_snapshot!("results", page(&answers));
}

#[test]
fn mistakes_are_shown_at_their_place_with_a_cure() {
    let folder = folder();
    let asked: &[(&str, &[&str])] = &[
        ("sum(rate(devnet_height[5m])", &[]),
        ("sum(up) bby (role)", &[]),
        ("rate(up)", &[]),
        ("up + info(up)", &[]),
        ("devnet_heigth", &[]),
        ("up", &["--max-samples", "100", "--range", "-1h..now", "--step", "15s"]),
        ("up", &["--range", "-1h..now", "--step", "1ms"]),
        ("up + on(role) up", &[]),
        ("up[5m]", &["--range", "-1h..now"]),
        ("up", &["--at", "yesterday"]),
        ("up", &["--range", "now..-1h"]),
        ("up", &["--timeout", "0s"]),
    ];
    let answers: Vec<(&str, Answer)> =
        asked.iter().map(|(text, more)| (*text, query(folder.path(), text, more))).collect();
    insta::assert_snapshot!("mistakes", page(&answers));
    for (text, answer) in &answers {
        // A metric that is not there is missing data, and no mistake of the query.
        let expected = if *text == "devnet_heigth" { Some(0) } else { answer.code };
        assert_eq!(answer.code, expected, "{text}");
        assert!(answer.stdout.is_empty(), "{text}: {}", answer.stdout);
    }
}

#[test]
fn json_is_the_response_of_prometheus() {
    let folder = folder();
    let answer = query(folder.path(), "sum(up) by (role)", &["--format", "json"]).ends(0);
    assert_eq!(
        answer.stdout,
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"role\":\"validator\"},\"value\":[1768003600,\"2\"]}]}}\n"
    );
    let arguments = ["--range", "1768000000..1768000030", "--step", "15s", "--format", "json"];
    let answer = query(folder.path(), "0/0 + sum(up)", &arguments).ends(0);
    let values = &answer.json()["data"]["result"][0]["values"];
    assert_eq!(values[2], serde_json::json!([1_768_000_030, "NaN"]), "{values}");
}

#[test]
fn files_that_hold_no_good_samples_are_refused() {
    let folder = folder();
    let good = std::fs::read(folder.path().join("samples")).unwrap();
    let change = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        bytes
    };
    for (bytes, says) in [
        (change(8, 99), "use a newer release"),
        (change(good.len() / 2, good[good.len() / 2] ^ 1), "damaged"),
        (good[..good.len() - 1].to_vec(), "cut"),
        (b"up 1\n".to_vec(), "neither"),
        (Vec::new(), "neither"),
    ] {
        std::fs::write(folder.path().join("samples"), bytes).unwrap();
        query(folder.path(), "up", &[]).ends(8).says(says);
    }
    run(folder.path(), &["query", "up", "--samples", "none"]).ends(8).says("cannot read none");
    run(folder.path(), &["query", "up", "--samples", "."]).ends(8).says("no sample archive");
    run(folder.path(), &["query", "up", "--rehearsal", "."]).ends(2).says("rehearsal");
}

#[test]
fn deployments_are_named_when_it_is_not_clear_which() {
    let repository = Repository::tiny_with_ledger();
    repository.run(&["query", "up"]).ends(2).says("no deployment is up").says("--rehearsal");
    let unknown = ["query", "up", "--deployment", "small.internal.9"];
    repository.run(&unknown).ends(5).says("there is no deployment `small.internal.9`");
    // Without a repository around it there are no deployments.
    let elsewhere = tempfile::tempdir().unwrap();
    run(elsewhere.path(), &["query", "up"]).ends(2).says("`pipeline/`");
}

#[test]
fn a_rehearsal_can_be_asked_and_explained() {
    let repository = Repository::tiny();
    repository.run(&["rehearse", "tiny", "--out", "out"]).ends(0);
    let before = files(&repository.path("out"));
    let of = |text: &'static str, id: &'static str| {
        repository.run(&["query", text, "--rehearsal", "out", "--deployment", id])
    };
    of("count(up{role=\"validator\"})", "small.internal.1").ends(0).prints("4");
    of("up", "small.internal.7").ends(5).says("did you mean `small.internal.1`?");
    repository
        .run(&["query", "up", "--rehearsal", "out"])
        .ends(2)
        .says("small.internal.1")
        .says("small.public.1");
    let explained =
        repository.run(&["phase", "explain", "small/soak", "--rehearsal", "out"]).ends(0);
    let text = &explained.stdout;
    for part in ["MEASURED", "Coverage: ", "held throughout", "has to be", "Evidence:"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    // Times are written for people: no long fractions.
    assert!(!text.contains("66666") && !text.contains("33333"), "{text}");
    let week = ["phase", "explain", "small/soak", "--rehearsal", "out", "--week", "2026-W50"];
    repository.run(&week).ends(6).says("in 2026-W50");
    assert!(files(&repository.path("out")) == before, "asking changes nothing");
}
