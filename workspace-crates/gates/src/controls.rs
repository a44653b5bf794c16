//! Positive controls: for each kind an input that it must pass and one that it must fail. A kind
//! that no input can fail is a defect of ours. Definitions name files of bad evidence; those are
//! read here as they are.

use std::path::{Path, PathBuf};

use base::Outcome::{Fail, Inconclusive, Pass};
use base::{Outcome, PhaseId, PrincipalId, Track};
use definition::{Operation, Params};
use evidence::Event;
use evidence::formats::github_issues;
use serde_json::{Value, json};

use crate::testing::{START, World, location, minutes, provenance, public_key, sealed, series};
use crate::{ApprovalFact, EarlierPass, Measure, Relation, registry};

/// A world that passes, and the same with the fault that the kind is there for.
struct Pair {
    kind: &'static str,
    fault: &'static str,
    good: World,
    bad: World,
    /// What the fault leads to; approvals that are missing can still come.
    expected: Outcome,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn bad_sample(name: &str) -> String {
    let path = repository().join("stages/stability/assets/bad").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A good and a bad course of the one series `value`.
fn measured(kind: &'static str, fault: &'static str, params: &str, good: f64, bad: f64) -> Pair {
    let world = |value: f64| {
        let mut world =
            World::new(kind, params).with_conditions(&[("calm", "max(value) < bool 2")]);
        world.earlier.push(EarlierPass {
            at: START,
            subject: None,
            measures: vec![Measure {
                name: "mean".to_owned(),
                value: Some(1.0),
                unit: String::new(),
                relation: Relation::AtMost,
                threshold: 1.1,
            }],
        });
        let fault = move |m: i64| Some(if m < 60 { good } else { value });
        world.with_series(series("value", &[], 0..601, fault))
    };
    Pair { kind, fault, good: world(good), bad: world(bad), expected: Fail }
}

fn document() -> Pair {
    let sections = "path = 'guide.md'\nsections = ['Requirements', 'Setup', 'Upgrade', 'Getting help']\nlinks = false";
    let world = |text: &str| {
        World::new("document", sections)
            .with_record("document", json!({"path": "guide.md", "text": text}))
    };
    let good = std::fs::read_to_string(repository().join("stages/stability/assets/node-guide.md"))
        .unwrap();
    let bad = world(&bad_sample("node-guide-without-setup.md"));
    Pair { kind: "document", fault: "no setup section", good: world(&good), bad, expected: Fail }
}

fn issues() -> Pair {
    let world = |page: &str| {
        let issues = github_issues::read_page("page", page.as_bytes()).unwrap();
        World::new("issues", "repository = 'o/r'\nnumbers = [10023, 10025, 9456, 8955, 8793]")
            .with_record("issues", json!({"repository": "o/r", "issues": issues, "complete": true}))
    };
    let bad = bad_sample("issues-not-planned.json");
    let good = world(&bad.replace("not_planned", "completed"));
    Pair { kind: "issues", fault: "closed as not planned", good, bad: world(&bad), expected: Fail }
}

fn approval() -> Pair {
    let world = |people: &[&str]| {
        let mut world =
            World::new("approval", "role = 'partner'\ncount = 2\nstatement = 'onboarded'");
        world.approvals = people
            .iter()
            .map(|who| ApprovalFact {
                principal: PrincipalId::new(*who).unwrap(),
                role: "partner".to_owned(),
                human: true,
                statement: "onboarded".to_owned(),
                phase: PhaseId::new("phase-1").unwrap(),
                at: START,
                expires: None,
                entry: 1,
            })
            .collect();
        world
    };
    let sample: Vec<Value> =
        serde_json::from_str(&bad_sample("approvals-one-person-twice.json")).unwrap();
    let twice: Vec<&str> = sample.iter().map(|a| a["principal"].as_str().unwrap()).collect();
    let good = world(&["partner-north", "partner-south"]);
    let bad = world(&twice);
    Pair { kind: "approval", fault: "one person twice", good, bad, expected: Inconclusive }
}

fn attestation() -> Pair {
    let params = format!(
        "path = 'node.jsonl'\nartifact = 'node'\nkeys = ['{}']\nbuilder = 'https://example.org/builder'",
        public_key(1)
    );
    let world = |text: &str| {
        World::new("attestation", &params)
            .with_record("document", json!({"path": "node.jsonl", "text": text}))
    };
    let good = world(&sealed(&provenance(b"v1"), 1));
    let bad = world(&bad_sample("provenance-by-another-key.jsonl"));
    Pair { kind: "attestation", fault: "signed by another key", good, bad, expected: Fail }
}

fn probe() -> Pair {
    let world = |answer: Value| {
        let params = "rpc = 'health'\nrole = 'validator'\npointer = '/status'\nequals = 'ok'";
        World::new("probe", params)
            .with_record("probe", json!({"rpc": "health", "answers": {"a": answer}}))
    };
    let good = world(json!({"role": "validator", "result": {"status": "ok"}}));
    let bad = world(json!({"role": "validator", "error": "timed out"}));
    Pair { kind: "probe", fault: "no answer", good, bad, expected: Fail }
}

fn event_chain() -> Pair {
    let world = || {
        World::new(
            "event-chain",
            "events = [{ name = 'proposed' }, { name = 'executed', within = '1h' }]",
        )
        .with_event(10, "proposed")
    };
    let good = world().with_event(60, "executed");
    Pair { kind: "event-chain", fault: "governance is stuck", good, bad: world(), expected: Fail }
}

fn drill() -> Pair {
    let world = |noticed: i64| {
        let params = "operation = 'reorg'\ndetected_by = 'max(seen_total) > bool 0'\ndetected_within = '10m'\nrecovered_when = 'max(age) < bool 120'\nrecovered_within = '30m'";
        let mut world = World::new("drill", params);
        world.phase.operations.push(Operation {
            id: "reorg".to_owned(),
            track: Track::Internal,
            at: minutes(100),
            action: Params::empty(location()),
            location: location(),
        });
        for name in ["drill.injected", "drill.cleared"] {
            world.events.push(Event::new(START + minutes(100), name).with("id", "reorg"));
        }
        let seen = move |m| Some(f64::from(u8::from(m >= noticed)));
        world.with_series(series("seen_total", &[], 0..601, seen)).with_series(series(
            "age",
            &[],
            0..601,
            |_| Some(36.0),
        ))
    };
    Pair {
        kind: "drill",
        fault: "the reorg is ignored",
        good: world(102),
        bad: world(10_000),
        expected: Fail,
    }
}

fn controls() -> Vec<Pair> {
    let number = "query = 'max(value)'\nreduce = 'mean'\nwindow = 'deployment'\nstep = '1m'";
    vec![
        approval(),
        attestation(),
        document(),
        drill(),
        event_chain(),
        issues(),
        measured("metric", "too much", &format!("{number}\nbelow = 2"), 1.0, 3.0),
        probe(),
        measured("regression", "drift", number, 1.0, 1.2),
        measured(
            "soak",
            "a stall",
            "stable_for = '5h'\nconditions = ['calm']\nstep = '1m'\non_breach = 'fail'",
            1.0,
            3.0,
        ),
    ]
}

#[test]
fn every_kind_passes_the_good_and_not_the_bad() {
    for pair in controls() {
        let Pair { kind, fault, good, bad, expected } = pair;
        assert_eq!(good.verdict(), (Pass, good.verdict().1), "{kind} without {fault}");
        let (outcome, reasons) = bad.verdict();
        assert_eq!(outcome, expected, "{kind} with {fault}: {reasons}");
    }
}

#[test]
fn every_kind_has_a_control_and_says_every_reason_as_a_sentence() {
    let kinds: Vec<&str> = registry().iter().map(|kind| kind.name).collect();
    let controlled: Vec<&str> = controls().iter().map(|pair| pair.kind).collect();
    assert_eq!(kinds, controlled);
    for pair in controls() {
        for finding in [pair.good.judge(), pair.bad.judge()] {
            assert!(!finding.reasons.is_empty(), "{}", pair.kind);
            for sentence in
                finding.reasons.iter().chain([&finding.rule]).chain(&finding.explanation.steps)
            {
                assert!(sentence.ends_with('.'), "{}: {sentence}", pair.kind);
                assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{sentence}");
            }
            assert!(finding.measures.iter().all(|m| m.value.is_none_or(f64::is_finite)));
            assert!(base::canonical_json(&finding).is_ok());
        }
    }
}

#[test]
fn every_kind_is_inconclusive_when_nothing_is_known() {
    for pair in controls() {
        let mut nothing = pair.good;
        nothing.samples = None;
        nothing.events.clear();
        nothing.records.clear();
        nothing.approvals.clear();
        assert_eq!(nothing.verdict().0, Inconclusive, "{}", pair.kind);
        nothing.deployed = false;
        assert_eq!(nothing.verdict().0, Inconclusive, "{}", pair.kind);
    }
}
