use crate::testing::{START, World, minutes};
use base::Outcome::{Fail, Inconclusive, Pass};
use evidence::Event;

fn governance() -> World {
    World::new(
        "event-chain",
        "events = [{ name = 'proposed' }, { name = 'voted', within = '4h' }, { name = 'executed', within = '8h', not_before = '2h' }]",
    )
}

#[test]
fn events_in_order_and_in_time_pass() {
    let world = governance()
        .with_event(10, "proposed")
        .with_event(100, "voted")
        .with_event(200, "executed");
    let finding = world.judge();
    assert_eq!(finding.outcome, Pass);
    assert_eq!(
        finding.reasons,
        ["All 3 events happened in order, the last 3h10m after the first."]
    );
    assert_eq!(finding.explanation.steps.len(), 3);
}

#[test]
fn what_has_not_begun_is_inconclusive_however_late() {
    let (outcome, reasons) = governance().verdict();
    assert_eq!(
        (outcome, reasons.as_str()),
        (Inconclusive, "`proposed` has not happened, so the chain has not begun.")
    );
    // Later events without the first show nothing.
    assert_eq!(governance().with_event(100, "voted").verdict().0, Inconclusive);
}

#[test]
fn a_missing_event_is_open_until_its_deadline_and_a_failure_after() {
    let begun = || governance().with_event(10, "proposed");
    let (outcome, reasons) = begun().at_minute(250).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(
        reasons.starts_with("`voted` has not happened yet; it has until 2026-01-08T19:10:00Z."),
        "{reasons}"
    );
    let (outcome, reasons) = begun().at_minute(251).verdict();
    assert_eq!(outcome, Fail);
    assert!(
        reasons.starts_with("`voted` has not happened within 4h of the first event."),
        "{reasons}"
    );
    let mut ended = begun().at_minute(600);
    ended.ended = Some(START + minutes(100));
    assert_eq!(ended.verdict().0, Inconclusive, "it ended before the deadline");
}

#[test]
fn late_early_and_swapped_events_fail() {
    let late = governance()
        .with_event(10, "proposed")
        .with_event(251, "voted")
        .with_event(300, "executed");
    assert!(late.verdict().1.contains("`voted` took 4h1m; it had to happen within 4h."));
    let early =
        governance().with_event(10, "proposed").with_event(20, "voted").with_event(100, "executed");
    let (outcome, reasons) = early.verdict();
    assert_eq!(outcome, Fail);
    assert!(reasons.contains("before 2h had passed"), "{reasons}");
    let swapped = governance()
        .with_event(10, "proposed")
        .with_event(200, "voted")
        .with_event(190, "executed");
    let (outcome, reasons) = swapped.verdict();
    assert_eq!(outcome, Fail);
    assert!(reasons.contains("came before an event that must precede it"), "{reasons}");
}

#[test]
fn events_of_the_future_do_not_count() {
    let world = governance()
        .with_event(10, "proposed")
        .with_event(100, "voted")
        .with_event(200, "executed");
    assert_eq!(world.at_minute(150).verdict().0, Inconclusive);
}

#[test]
fn one_node_that_reports_twice_counts_once() {
    let params = "events = [{ name = 'started' }, { name = 'replaced', count = 2, within = '3h' }]";
    let mut world = World::new("event-chain", params).with_event(1, "started");
    for (minute, node) in [(10, "a"), (20, "a")] {
        world.events.push(Event::new(START + minutes(minute), "replaced").on_node(node));
    }
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Fail);
    assert!(reasons.contains("`replaced` happened 1 of 2 times within 3h"), "{reasons}");
    world.events.push(Event::new(START + minutes(30), "replaced").on_node("b"));
    assert_eq!(world.verdict().0, Pass);
}

#[test]
fn senseless_chains_are_refused_at_their_place() {
    let cases = [
        ("events = []", "has no event"),
        ("events = [{ name = '' }]", "has no name"),
        ("events = [{ name = 'a', count = 0 }]", "zero times"),
        ("events = [{ name = 'a', within = '1h' }]", "starts the clock"),
        (
            "events = [{ name = 'a' }, { name = 'b', within = '1h', not_before = '2h' }]",
            "must come after 2h",
        ),
        ("events = [{ name = 'a' }, { name = 'b', witin = '1h' }]", "did you mean `within`"),
    ];
    for (params, expected) in cases {
        let problems = World::new("event-chain", params).problems();
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}
