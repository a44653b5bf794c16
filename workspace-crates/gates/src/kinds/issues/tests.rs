use crate::testing::World;
use base::Duration;
use base::Outcome::{Error, Fail, Inconclusive, Pass};
use serde_json::{Value, json};

fn numbered() -> World {
    World::new("issues", "repository = 'o/r'\nnumbers = [1, 2]")
}

fn queried() -> World {
    World::new("issues", "repository = 'o/r'\nmilestone = 42\nlabels = ['P0', 'sp']")
}

fn issue(number: u64, state: &str, reason: Option<&str>) -> Value {
    json!({
        "number": number, "title": format!("Issue {number}"), "state": state,
        "state_reason": reason, "labels": ["P0", "sp"], "milestone": 42,
    })
}

fn done(number: u64) -> Value {
    issue(number, "closed", Some("completed"))
}

fn fetched(world: World, issues: &[Value]) -> World {
    world.with_record("issues", json!({"repository": "o/r", "issues": issues, "complete": true}))
}

#[test]
fn only_completed_issues_pass() {
    let (outcome, reasons) = fetched(numbered(), &[done(1), done(2)]).verdict();
    assert_eq!((outcome, reasons.as_str()), (Pass, "All 2 issues are closed as completed."));
    let cases = [
        (issue(2, "open", None), Fail, "1 issue is still open: #2."),
        (issue(2, "open", Some("reopened")), Fail, "1 issue is still open: #2."),
        (
            issue(2, "closed", Some("not_planned")),
            Fail,
            "Issue #2 was closed as not planned, so its work was not done.",
        ),
        (
            issue(2, "closed", Some("duplicate")),
            Fail,
            "Issue #2 was closed as a duplicate, so its work was not done.",
        ),
        (issue(2, "closed", None), Inconclusive, "The tracker does not say why #2 was closed."),
        (done(3), Inconclusive, "The tracker's answer does not contain #2."),
    ];
    for (second, outcome, reason) in cases {
        assert_eq!(fetched(numbered(), &[done(1), second]).verdict(), (outcome, reason.to_owned()));
    }
}

#[test]
fn all_reasons_are_kept_and_the_worst_decides() {
    let world = fetched(numbered(), &[issue(1, "closed", Some("not_planned"))]);
    let finding = world.judge();
    assert_eq!(finding.outcome, Fail);
    assert_eq!(finding.reasons.len(), 2, "{:?}", finding.reasons);
    assert_eq!((finding.measures[0].value, finding.measures[0].threshold), (Some(0.0), 2.0));
}

#[test]
fn a_query_needs_its_milestone_and_every_label() {
    let mut other_label = done(8);
    other_label["labels"] = json!(["P0"]);
    let mut other_milestone = issue(9, "open", None);
    other_milestone["milestone"] = json!(41);
    let world = fetched(queried(), &[done(7), other_label, other_milestone]);
    assert_eq!(world.verdict(), (Pass, "The issue is closed as completed.".to_owned()));
}

#[test]
fn an_empty_answer_never_passes() {
    let (outcome, reasons) = fetched(queried(), &[]).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("an empty list says nothing"), "{reasons}");
    assert_eq!(fetched(numbered(), &[]).verdict().0, Inconclusive);
    assert_eq!(queried().verdict().0, Inconclusive);
}

#[test]
fn a_cut_answer_is_inconclusive_for_a_query() {
    let body = json!({"repository": "o/r", "issues": [done(1), done(2)], "complete": false});
    assert_eq!(queried().with_record("issues", body.clone()).verdict().0, Inconclusive);
    assert_eq!(numbered().with_record("issues", body).verdict().0, Pass);
}

#[test]
fn trouble_of_the_server_is_told_apart() {
    for (kind, expected) in
        [("rate_limited", Inconclusive), ("unreachable", Error), ("malformed", Error)]
    {
        let problem = json!({"kind": kind, "text": "It did not work."});
        let body = json!({"repository": "o/r", "issues": [done(1), done(2)], "complete": false, "problem": problem});
        assert_eq!(numbered().with_record("issues", body).verdict().0, expected, "{kind}");
    }
    assert_eq!(numbered().with_record("issues", json!({"issues": 3})).verdict().0, Error);
}

#[test]
fn old_answers_and_those_of_another_repository_do_not_count() {
    let mut world = fetched(numbered(), &[done(1), done(2)]);
    world.at += Duration::from_hours(24);
    assert_eq!(world.verdict().0, Inconclusive);
    world.gate.max_age = Some(Duration::from_hours(48));
    assert_eq!(world.verdict().0, Pass);
    let other = json!({"repository": "o/s", "issues": [done(1), done(2)], "complete": true});
    assert_eq!(numbered().with_record("issues", other).verdict().0, Inconclusive);
}

#[test]
fn a_gate_without_issues_is_refused() {
    let problems = World::new("issues", "repository = 'o/r'").problems();
    assert!(problems[0].starts_with("PG0406"), "{problems:?}");
    let problems = World::new("issues", "repository = 'o/r/s'\nnumbers = [1]").problems();
    assert!(problems[0].contains("is no repository"), "{problems:?}");
}
