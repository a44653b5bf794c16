//! Laws that hold for every calendar and every instant.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;

use base::{Duration, Instant};
use calendar::{Calendar, EVENT_KINDS, EventKind, Handling};
use common::event;
use definition::Missed;
use proptest::prelude::*;

const ZONES: [&str; 5] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

fn calendars() -> impl Strategy<Value = Calendar> {
    let timing = (0_usize..7, 0_u8..24, 0_u8..60, 1_u16..3, 0_i64..72);
    (0_usize..ZONES.len(), prop::collection::vec(timing, 4)).prop_map(|(zone, events)| {
        let events = EVENT_KINDS.into_iter().zip(events).map(
            |(kind, (day, hour, minute, interval, within))| {
                let day = DAYS[day];
                let rule = format!(
                    "FREQ=WEEKLY;INTERVAL={interval};BYDAY={day};BYHOUR={hour};BYMINUTE={minute}"
                );
                let mut event = event(kind, &rule, None);
                if within > 0 {
                    event.on_missed = Missed::CatchUp { within: Duration::from_hours(within) };
                }
                event
            },
        );
        Calendar::new(&common::calendar(ZONES[zone], events.collect(), Vec::new())).unwrap()
    })
}

fn instants() -> impl Strategy<Value = Instant> {
    (1_700_000_000_i64..1_900_000_000).prop_map(|s| Instant::from_unix_micros(s * 1_000_000))
}

fn kinds() -> impl Strategy<Value = EventKind> {
    prop::sample::select(EVENT_KINDS.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn occurrences_strictly_increase_and_lie_in_their_window(
        calendar in calendars(), kind in kinds(), from in instants(), days in 1_i64..60,
    ) {
        let until = from + Duration::from_hours(24 * days);
        let found = calendar.occurrences(kind, from, until);
        prop_assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
        prop_assert!(found.iter().all(|one| from <= one.at && one.at < until));
    }

    #[test]
    fn a_window_cut_in_two_has_the_same_occurrences(
        calendar in calendars(), kind in kinds(), from in instants(),
        first in 1_i64..2_000, second in 1_i64..2_000,
    ) {
        let middle = from + Duration::from_hours(first);
        let until = middle + Duration::from_hours(second);
        let mut parts = calendar.occurrences(kind, from, middle);
        parts.extend(calendar.occurrences(kind, middle, until));
        prop_assert_eq!(parts, calendar.occurrences(kind, from, until));
    }

    #[test]
    fn next_is_the_first_occurrence_after(
        calendar in calendars(), kind in kinds(), after in instants(),
    ) {
        let next = calendar.next(kind, after).unwrap();
        prop_assert!(next.at > after);
        let between = calendar.occurrences(kind, after + Duration::from_micros(1), next.at);
        prop_assert!(between.is_empty());
        prop_assert!(calendar.next_any(after).unwrap().at <= next.at);
    }

    #[test]
    fn what_is_handled_is_never_due_and_due_is_handled_once(
        calendar in calendars(), since in instants(), hours in 0_i64..1_000, share in 0_usize..8,
    ) {
        let now = since + Duration::from_hours(hours);
        let all = calendar.due(since, &BTreeSet::new(), now);
        let mut handled: BTreeSet<String> =
            all.iter().take(share).map(|due| due.occurrence.key.clone()).collect();
        let rest = calendar.due(since, &handled, now);
        prop_assert!(rest.iter().all(|due| !handled.contains(&due.occurrence.key)));
        prop_assert_eq!(rest.len() + handled.len(), all.len());
        handled.extend(rest.iter().map(|due| due.occurrence.key.clone()));
        prop_assert!(calendar.due(since, &handled, now).is_empty());
    }

    #[test]
    fn due_is_the_same_in_one_step_or_in_two(
        calendar in calendars(), since in instants(), first in 0_i64..400, second in 0_i64..400,
    ) {
        let middle = since + Duration::from_hours(first);
        let now = middle + Duration::from_hours(second);
        let keys = |due: Vec<calendar::Due>| -> Vec<String> {
            due.into_iter().map(|one| one.occurrence.key).collect()
        };
        let mut stepwise = keys(calendar.due(since, &BTreeSet::new(), middle));
        let handled: BTreeSet<String> = stepwise.iter().cloned().collect();
        stepwise.extend(keys(calendar.due(since, &handled, now)));
        stepwise.sort();
        let mut at_once = keys(calendar.due(since, &BTreeSet::new(), now));
        at_once.sort();
        prop_assert_eq!(stepwise, at_once);
    }

    #[test]
    fn at_most_the_latest_event_of_a_kind_is_carried_out(
        calendar in calendars(), since in instants(), hours in 0_i64..1_000,
    ) {
        let now = since + Duration::from_hours(hours);
        let due = calendar.due(since, &BTreeSet::new(), now);
        for kind in EVENT_KINDS {
            let carried_out = due.iter().filter(|one| {
                one.occurrence.kind == kind && !matches!(one.policy, Handling::Skip { .. })
            });
            prop_assert!(carried_out.count() <= 1);
        }
    }

    #[test]
    fn a_start_is_feasible_exactly_until_the_latest_start(
        calendar in calendars(), start in instants(), warm_up in 0_i64..100,
        soak in 0_i64..10_000, length in 0_i64..20_000,
    ) {
        let minutes = Duration::from_minutes;
        let deadline = start + minutes(length);
        let found = calendar.feasible(start, minutes(warm_up), minutes(soak), deadline);
        prop_assert_eq!(found.is_possible(), start <= found.latest_start);
        prop_assert_eq!(found.finishes_at + found.slack, deadline);
    }

    #[test]
    fn foreign_text_is_refused_and_never_panics(zone in ".{0,40}", rule in ".{0,60}") {
        let events = vec![event(EventKind::Deploy, &rule, None)];
        let _ = Calendar::new(&common::calendar(&zone, events, Vec::new()));
    }

    #[test]
    fn any_well_formed_rule_is_taken_or_refused_and_never_panics(
        freq in prop::sample::select(vec!["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]),
        parts in prop::collection::btree_map(
            prop::sample::select(vec![
                "INTERVAL", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYHOUR",
                "BYMINUTE",
            ]),
            -400_i32..400,
            0..3,
        ),
    ) {
        let mut rule = format!("FREQ={freq}");
        for (name, value) in parts {
            rule.push_str(&format!(";{name}={value}"));
        }
        let events = vec![event(EventKind::Deploy, &rule, None)];
        let rules = common::calendar("Europe/Berlin", events, Vec::new());
        if let Ok(calendar) = Calendar::new(&rules) {
            let now = "2026-01-05T00:00:00Z".parse().unwrap();
            if let Some(next) = calendar.next(EventKind::Deploy, now) {
                prop_assert!(next.at > now);
            }
        }
    }
}
