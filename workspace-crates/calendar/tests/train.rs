//! The weekly train with the numbers of the first programme.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;

use base::{Duration, PhaseId, Track};
use calendar::{Calendar, Closable, EventKind, Handling, PlanError, PlanPhase, PlanStepKind};
use common::{at, event, freeze, long, recurring_freeze, weekly};
use definition::Missed;

fn definition(zone: &str) -> definition::Calendar {
    common::calendar(
        zone,
        vec![
            weekly(EventKind::Deploy, "TH", 15, 0, Some("5h30m")),
            weekly(EventKind::Evaluate, "MO", 14, 30, Some("24h")),
            weekly(EventKind::Announce, "MO", 18, 0, Some("24h")),
            weekly(EventKind::Release, "TU", 15, 0, None),
        ],
        vec![freeze("year-end", "2026-12-21T00:00:00", "2027-01-04T00:00:00", &common::ALL)],
    )
}

fn train(zone: &str) -> Calendar {
    Calendar::new(&definition(zone)).unwrap()
}

fn phase(id: &str, after: &[&str], warm_up: &str, public: &str) -> PlanPhase {
    PlanPhase {
        id: PhaseId::new(id).unwrap(),
        after: after.iter().map(|id| PhaseId::new(*id).unwrap()).collect(),
        warm_up: long(warm_up),
        internal_soak: long("90h"),
        public_soak: long(public),
    }
}

fn programme() -> Vec<PlanPhase> {
    vec![
        phase("phase-1", &[], "1h", "120h"),
        phase("phase-2", &["phase-1"], "1h", "120h"),
        phase("phase-3", &["phase-2"], "1h", "1w"),
        phase("phase-4", &["phase-3"], "1h", "1w"),
    ]
}

#[test]
fn a_week_has_its_four_events_at_their_times() {
    let calendar = train("UTC");
    let mut now = at("2026-01-05T00:00:00Z");
    let mut keys = Vec::new();
    for _ in 0..5 {
        let next = calendar.next_any(now).unwrap();
        now = next.at;
        keys.push(next.key);
    }
    assert_eq!(
        keys,
        [
            "evaluate@2026-01-05T14:30:00Z",
            "announce@2026-01-05T18:00:00Z",
            "release@2026-01-06T15:00:00Z",
            "deploy@2026-01-08T15:00:00Z",
            "evaluate@2026-01-12T14:30:00Z",
        ]
    );
}

#[test]
fn local_times_stay_local_over_both_daylight_saving_changes() {
    let calendar = train("Europe/Berlin");
    let deploys = |from: &str, until: &str| -> Vec<String> {
        let found = calendar.occurrences(EventKind::Deploy, at(from), at(until));
        found.iter().map(|one| one.at.to_string()).collect()
    };
    assert_eq!(
        deploys("2026-03-24T00:00:00Z", "2026-04-05T00:00:00Z"),
        ["2026-03-26T14:00:00Z", "2026-04-02T13:00:00Z"]
    );
    assert_eq!(
        deploys("2026-10-20T00:00:00Z", "2026-11-01T00:00:00Z"),
        ["2026-10-22T13:00:00Z", "2026-10-29T14:00:00Z"]
    );
}

#[test]
fn the_weekend_of_a_daylight_saving_change_is_an_hour_shorter_or_longer() {
    let calendar = train("Europe/Berlin");
    let weekend = |thursday: &str| {
        let deploy = calendar.next(EventKind::Deploy, at(thursday)).unwrap().at;
        let evaluate = calendar.next(EventKind::Evaluate, deploy).unwrap().at;
        calendar.feasible(deploy, long("1h"), long("90h"), evaluate)
    };
    assert_eq!(weekend("2026-03-26T00:00:00Z").slack, long("3h30m"));
    assert_eq!(weekend("2026-10-22T00:00:00Z").slack, long("5h30m"));
    assert_eq!(weekend("2026-01-08T00:00:00Z").slack, long("4h30m"));
}

#[test]
fn an_occurrence_in_the_gap_happens_once_and_one_in_the_fold_too() {
    let mut rules = definition("Europe/Berlin");
    rules.events[1].rule.value = "FREQ=HOURLY".to_owned();
    let calendar = Calendar::new(&rules).unwrap();
    let count = |from: &str, until: &str| {
        calendar.occurrences(EventKind::Evaluate, at(from), at(until)).len()
    };
    // The spring day has 23 hours on the clock and in time; the repeated hour of autumn counts once.
    assert_eq!(count("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), 23);
    assert_eq!(count("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), 24);
}

#[test]
fn a_ninety_hour_soak_leaves_five_and_a_half_hours_and_cannot_start_after_half_past_eight() {
    let calendar = train("UTC");
    let evaluate = at("2026-01-12T14:30:00Z");
    let soak = long("90h");
    let planned = calendar.feasible(at("2026-01-08T15:00:00Z"), Duration::ZERO, soak, evaluate);
    assert_eq!(planned.slack, long("5h30m"));
    assert_eq!(planned.latest_start, at("2026-01-08T20:30:00Z"));
    let last = calendar.feasible(at("2026-01-08T20:30:00Z"), Duration::ZERO, soak, evaluate);
    assert!(last.is_possible() && last.finishes_at == evaluate);
    let late = calendar.feasible(at("2026-01-08T20:30:01Z"), Duration::ZERO, soak, evaluate);
    assert!(!late.is_possible());
    assert_eq!(late.slack, long("-1s"));
}

#[test]
fn the_arithmetic_is_told_in_words() {
    let calendar = train("UTC");
    let evaluate = at("2026-01-12T14:30:00Z");
    let told = |start: &str, warm_up: &str| {
        calendar.feasible(at(start), long(warm_up), long("90h"), evaluate).arithmetic
    };
    assert_eq!(
        told("2026-01-08T15:00:00Z", "1h"),
        "Thu 8 Jan 15:00 → Mon 12 Jan 14:30 (UTC) is 95h30m; a 90h soak after 1h warm-up \
         leaves 4h30m; the latest start is Thu 8 Jan 19:30"
    );
    assert_eq!(
        told("2026-01-08T21:00:00Z", "0s"),
        "Thu 8 Jan 21:00 → Mon 12 Jan 14:30 (UTC) is 89h30m; a 90h soak is 30m too long; \
         the latest start is Thu 8 Jan 20:30"
    );
}

#[test]
fn ninety_hours_are_nine_thousand_slots_and_the_load_fills_seventy_two_of_a_hundred() {
    let (soak, slot) = (long("90h"), long("36s"));
    assert_eq!(soak.micros() / slot.micros(), 9_000);
    assert_eq!(soak.seconds() / (slot.seconds() * 32.0), 281.25);
    assert_eq!((slot.times(32)).seconds(), 1_152.0);
    // 0.02 transactions a second and one in a block: exact in millionths.
    assert_eq!(20_000 * slot.micros() / 1_000_000, 720_000);
}

#[test]
fn a_public_soak_of_five_days_ends_on_sunday_and_one_of_a_week_after_monday() {
    let calendar = train("UTC");
    let release = at("2026-01-13T15:00:00Z");
    let monday = calendar.next(EventKind::Evaluate, release).unwrap().at;
    let ends =
        |warm_up: &str, soak: &str| calendar.feasible(release, long(warm_up), long(soak), monday);
    assert_eq!(ends("0s", "120h").finishes_at, at("2026-01-18T15:00:00Z"));
    assert_eq!(ends("1h", "120h").finishes_at, at("2026-01-18T16:00:00Z"));
    assert!(ends("1h", "120h").is_possible());
    assert_eq!(ends("0s", "1w").finishes_at, at("2026-01-20T15:00:00Z"));
    assert!(!ends("0s", "1w").is_possible());
    assert_eq!((monday - release).hours(), 143.5);
}

#[test]
fn the_programme_takes_seven_weeks_because_two_phases_cost_two_each() {
    let plan = train("UTC").plan(&programme(), at("2026-01-05T00:00:00Z")).unwrap();
    let dates: Vec<[String; 4]> = plan
        .phases
        .iter()
        .map(|one| [one.deployed, one.advanced, one.released, one.completed].map(|t| t.to_string()))
        .collect();
    assert_eq!(dates[0], dates_of("01-08", "01-12", "01-13", "01-19"));
    assert_eq!(dates[1], dates_of("01-15", "01-19", "01-20", "01-26"));
    assert_eq!(dates[2], dates_of("01-22", "01-26", "01-27", "02-09"));
    assert_eq!(dates[3], dates_of("01-29", "02-02", "02-10", "02-23"));
    assert_eq!(plan.completed, Some(at("2026-02-23T14:30:00Z")));
}

fn dates_of(deployed: &str, advanced: &str, released: &str, completed: &str) -> [String; 4] {
    [
        format!("2026-{deployed}T15:00:00Z"),
        format!("2026-{advanced}T14:30:00Z"),
        format!("2026-{released}T15:00:00Z"),
        format!("2026-{completed}T14:30:00Z"),
    ]
}

#[test]
fn the_plan_of_a_one_week_soak_shows_the_monday_that_comes_too_early() {
    let plan = train("UTC").plan(&programme(), at("2026-01-05T00:00:00Z")).unwrap();
    let steps = &plan.phases[2].steps;
    let judged: Vec<_> = steps
        .iter()
        .filter_map(|step| match &step.kind {
            PlanStepKind::Evaluate { track: Track::Public, elapsed, advances, .. } => {
                Some((step.week.as_str(), *elapsed, *advances))
            }
            _ => None,
        })
        .collect();
    assert_eq!(judged, [("2026-W06", long("143h30m"), false), ("2026-W07", long("311h30m"), true)]);
}

#[test]
fn a_plan_passes_over_a_freeze() {
    let plan = train("UTC").plan(&programme()[..1], at("2026-12-14T00:00:00Z")).unwrap();
    let phase = &plan.phases[0];
    assert_eq!(phase.deployed, at("2026-12-17T15:00:00Z"));
    // Two Mondays and Tuesdays are closed; the soak is long over when the third comes.
    assert_eq!(phase.advanced, at("2027-01-04T14:30:00Z"));
    assert_eq!(phase.released, at("2027-01-05T15:00:00Z"));
}

#[test]
fn a_deployment_at_the_very_start_counts() {
    let plan = train("UTC").plan(&programme()[..1], at("2026-01-08T15:00:00Z")).unwrap();
    assert_eq!(plan.phases[0].deployed, at("2026-01-08T15:00:00Z"));
}

#[test]
fn a_phase_before_its_upstream_and_a_calendar_without_release_have_no_plan() {
    let calendar = train("UTC");
    let mut swapped = programme();
    swapped.swap(0, 1);
    let error = calendar.plan(&swapped, at("2026-01-05T00:00:00Z")).unwrap_err();
    assert!(matches!(error, PlanError::Order { .. }), "{error}");
    let mut rules = definition("UTC");
    rules.events.pop();
    let calendar = Calendar::new(&rules).unwrap();
    let error = calendar.plan(&programme(), at("2026-01-05T00:00:00Z")).unwrap_err();
    assert!(matches!(error, PlanError::NoEvent { event: EventKind::Release, .. }), "{error}");
}

#[test]
fn a_freeze_closes_its_first_instant_and_not_its_last() {
    let calendar = train("Europe/Berlin");
    let closed = |text: &str| calendar.closed(Closable::Deploy, at(text)).is_some();
    assert!(!closed("2026-12-20T22:59:59Z"));
    assert!(closed("2026-12-20T23:00:00Z"));
    assert!(closed("2027-01-03T22:59:59Z"));
    assert!(!closed("2027-01-03T23:00:00Z"));
}

#[test]
fn a_recurring_freeze_closes_every_weekend() {
    let mut rules = definition("Europe/Berlin");
    let fridays = "FREQ=WEEKLY;BYDAY=FR;BYHOUR=18;BYMINUTE=0;BYSECOND=0";
    rules.freezes[0] = recurring_freeze("weekend", fridays, "62h", &[Closable::Release], &[]);
    let calendar = Calendar::new(&rules).unwrap();
    let closed = |text: &str| calendar.closed(Closable::Release, at(text));
    assert!(closed("2026-07-10T15:59:00Z").is_none());
    assert_eq!(closed("2026-07-10T16:00:00Z").unwrap().id, "weekend");
    assert_eq!(closed("2026-07-12T12:00:00Z").unwrap().until, Some(at("2026-07-13T06:00:00Z")));
    assert!(closed("2026-07-13T06:00:00Z").is_none());
    assert!(calendar.closed(Closable::Deploy, at("2026-07-12T12:00:00Z")).is_none());
}

#[test]
fn an_opening_window_closes_everything_outside_it() {
    let mut rules = definition("UTC");
    let tuesdays = "FREQ=WEEKLY;BYDAY=TU;BYHOUR=12;BYMINUTE=0;BYSECOND=0";
    rules.freezes[0] = recurring_freeze("office", tuesdays, "6h", &[], &[Closable::Release]);
    let calendar = Calendar::new(&rules).unwrap();
    let closed = |text: &str| calendar.closed(Closable::Release, at(text));
    assert!(closed("2026-01-13T12:00:00Z").is_none());
    assert!(closed("2026-01-13T17:59:59Z").is_none());
    let closure = closed("2026-01-13T18:00:00Z").unwrap();
    assert_eq!(closure.until, Some(at("2026-01-20T12:00:00Z")));
    assert!(calendar.closed(Closable::Advance, at("2026-01-14T00:00:00Z")).is_none());
}

#[test]
fn missed_events_are_performed_caught_up_or_skipped_as_the_policy_says() {
    let calendar = train("UTC");
    let since = at("2026-01-07T00:00:00Z");
    let none = BTreeSet::new();
    let due = |now: &str| calendar.due(since, &none, at(now));
    assert!(due("2026-01-08T14:59:59Z").is_empty());
    assert_eq!(due("2026-01-08T15:00:00Z")[0].policy, Handling::Perform);
    assert_eq!(due("2026-01-08T15:30:00Z")[0].policy, Handling::Perform);
    assert_eq!(due("2026-01-08T15:31:00Z")[0].policy, Handling::CatchUp);
    assert_eq!(due("2026-01-08T20:30:00Z")[0].policy, Handling::CatchUp);
    let late = due("2026-01-08T20:31:00Z").remove(0);
    assert_eq!(late.late_by, long("5h31m"));
    assert!(matches!(late.policy, Handling::Skip { reason } if reason.contains("5h31m late")));
}

#[test]
fn after_a_dead_weekend_the_evaluation_is_caught_up_and_the_release_is_skipped() {
    let calendar = train("UTC");
    let due =
        calendar.due(at("2026-01-09T00:00:00Z"), &BTreeSet::new(), at("2026-01-13T16:00:00Z"));
    let told: Vec<String> = due
        .iter()
        .map(|one| {
            let policy = match &one.policy {
                Handling::Perform => "perform".to_owned(),
                Handling::CatchUp => "catch up".to_owned(),
                Handling::Skip { reason } => reason.clone(),
            };
            format!("{}: {policy}", one.occurrence.kind)
        })
        .collect();
    assert_eq!(
        told,
        [
            "evaluate: It is 25h30m late; it is caught up within 24h.",
            "announce: catch up",
            "release: It is 1h late, and the calendar skips a missed release event.",
        ]
    );
}

#[test]
fn an_event_that_a_newer_one_replaces_is_skipped() {
    let mut rules = definition("UTC");
    rules.events[1].rule.value = "FREQ=HOURLY".to_owned();
    let calendar = Calendar::new(&rules).unwrap();
    let due =
        calendar.due(at("2026-01-05T00:00:00Z"), &BTreeSet::new(), at("2026-01-05T02:00:00Z"));
    assert_eq!(due.len(), 2);
    assert!(matches!(&due[0].policy, Handling::Skip { reason } if reason.contains("replaces it")));
    assert_eq!(due[1].policy, Handling::Perform);
}

#[test]
fn an_event_in_a_freeze_is_skipped_and_an_evaluation_is_not() {
    let calendar = train("UTC");
    let policy_at = |since: &str, now: &str| {
        let due = calendar.due(at(since), &BTreeSet::new(), at(now));
        due.into_iter().next().unwrap().policy
    };
    let evaluate = policy_at("2026-12-28T14:00:00Z", "2026-12-28T14:30:00Z");
    assert_eq!(evaluate, Handling::Perform);
    let release = policy_at("2026-12-29T14:00:00Z", "2026-12-29T15:00:00Z");
    let Handling::Skip { reason } = release else { panic!("{release:?}") };
    assert_eq!(
        reason,
        "`year-end` keeps it closed until Mon 4 Jan 00:00: Nobody is on call over the turn of the year."
    );
}

#[test]
fn weeks_are_those_of_iso_8601_in_the_zone() {
    assert_eq!(train("UTC").week(at("2026-01-12T14:30:00Z")), "2026-W03");
    assert_eq!(train("UTC").week(at("2026-01-08T15:00:00Z")), "2026-W02");
    assert_eq!(train("UTC").week(at("2027-01-01T12:00:00Z")), "2026-W53");
    assert_eq!(train("UTC").week(at("2026-01-11T23:30:00Z")), "2026-W02");
    assert_eq!(train("Europe/Berlin").week(at("2026-01-11T23:30:00Z")), "2026-W03");
}

#[test]
fn every_problem_of_a_bad_calendar_is_told_at_once() {
    let mut bad = definition("Mars/Olympus");
    bad.events[0].rule.value = "FREQ=SOMETIMES".to_owned();
    bad.events[1].on_missed = Missed::CatchUp { within: Duration::ZERO };
    bad.events.push(event(EventKind::Announce, "FREQ=DAILY", None));
    bad.freezes = vec![
        freeze("backwards", "2026-12-21T00:00:00", "2026-12-20T00:00:00", &common::ALL),
        freeze("dated", "2026-12-01T00:00:00Z", "2026-12-20T00:00:00", &common::ALL),
        recurring_freeze("short", "FREQ=DAILY", "0s", &common::ALL, &[]),
    ];
    let problems = Calendar::new(&bad).unwrap_err();
    let told: Vec<_> = problems.iter().map(|one| (one.code, one.message.as_str())).collect();
    let codes: Vec<_> = told.iter().map(|one| one.0).collect();
    assert_eq!(
        codes,
        ["PG0502", "PG0501", "PG0204", "PG0206", "PG0204", "PG0504", "PG0204"],
        "{told:?}"
    );
    assert!(problems.iter().all(|one| one.primary.is_some() && one.help.is_some()));
}
