//! Due events: once, however often and by however many they are handled; late, frozen, impossible.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::rc::Rc;

use base::Duration;
use common::{Fake, World, at, phase, train, when};
use engine::state::Standing;
use engine::{Engine, EngineError};

#[test]
fn a_second_tick_finds_everything_done() {
    let world = World::new();
    for now in train(2) {
        world.tick(now);
        let entries = world.trace();
        world.tick(now);
        world.tick(now + Duration::from_minutes(10));
        assert_eq!(world.trace(), entries, "at {now}");
    }
}

#[test]
fn two_programs_with_stale_views_do_a_due_thing_once() {
    let world = World::new();
    let alone = World::new();
    for now in train(2) {
        alone.tick(now);
        world.networks.borrow_mut().now = now;
        let (mut one, mut two) =
            (Fake(Rc::clone(&world.networks)), Fake(Rc::clone(&world.networks)));
        // Both have read the ledger before either of them acts.
        let mut first = Engine::new(world.setup(&mut one), world.ledger());
        let mut second = Engine::new(world.setup(&mut two), world.ledger());
        first.tick(now).unwrap();
        second.tick(now).unwrap();
        first.tick(now).unwrap();
    }
    assert_eq!(world.trace(), alone.trace());
    assert_eq!(world.networks.borrow().log, alone.networks.borrow().log);
}

#[test]
fn a_late_event_is_caught_up_and_the_ledger_says_so() {
    let world = World::new();
    world.tick(when(1, "thu") + Duration::from_hours(5));
    assert_eq!(
        world.trace().last().unwrap(),
        "2026-01-08T20:00:00Z deploy · deploy@2026-01-08T15:00:00Z: Caught up 5h late."
    );
    assert_eq!(world.state().standing(&phase("first")), Standing::InternalSoak);
}

#[test]
fn what_is_too_late_is_skipped_and_the_ledger_says_so() {
    let world = World::new();
    // The machine was off from before the deployment until after the release.
    world.tick(at("2026-01-13T18:31:00Z"));
    insta::assert_snapshot!(world.trace().join("\n"));
    assert!(world.networks.borrow().log.is_empty());
}

#[test]
fn of_several_missed_weeks_only_the_newest_event_is_done() {
    let world = World::new();
    world.tick(when(3, "thu"));
    let trace = world.trace();
    assert!(trace[0].contains("missed · deploy@2026-01-08T15:00:00Z: The deploy event of"));
    assert_eq!(trace.iter().filter(|line| line.contains(" deployed ")).count(), 1);
    assert_eq!(world.networks.borrow().log, ["up first.internal.1"]);
}

#[test]
fn a_start_that_cannot_finish_its_soak_is_refused_with_the_arithmetic() {
    let world = World::new();
    world.tick(at("2026-01-08T20:31:00Z"));
    let trace = world.trace();
    assert_eq!(trace.len(), 2, "{trace:#?}");
    assert!(trace[0].contains("deployment-refused first/internal · "), "{}", trace[0]);
    for part in ["90h soak", "too long", "the latest start is Thu 8 Jan 20:30"] {
        assert!(trace[0].contains(part), "`{part}` is missing from {}", trace[0]);
    }
    assert!(world.networks.borrow().log.is_empty(), "something was deployed");

    let in_time = World::new();
    in_time.tick(at("2026-01-08T20:30:00Z"));
    assert_eq!(in_time.networks.borrow().log, ["up first.internal.1"]);
}

#[test]
fn a_freeze_closes_the_deployment() {
    let world = World::frozen(r#"["deploy"]"#);
    world.tick(when(1, "thu"));
    let trace = world.trace();
    assert_eq!(trace.len(), 1);
    assert!(trace[0].contains("missed · deploy@"), "{}", trace[0]);
    assert!(trace[0].contains("Nobody is on call."), "{}", trace[0]);
    assert!(world.networks.borrow().log.is_empty());
}

#[test]
fn a_freeze_turns_an_advance_into_a_hold() {
    let world = World::frozen(r#"["advance"]"#);
    world.tick(when(1, "thu"));
    world.tick(when(1, "mon"));
    let trace = world.trace().join("\n");
    assert!(trace.contains("evaluation · first/internal=advance"), "{trace}");
    assert!(trace.contains("hold first/internal · Every gate passes, but advances are frozen"));
    assert_eq!(world.state().standing(&phase("first")), Standing::InternalSoak);
}

#[test]
fn a_freeze_closes_the_release() {
    let world = World::frozen(r#"["release"]"#);
    world.tick_until(when(1, "tue"));
    let trace = world.trace();
    assert!(trace.last().unwrap().contains("missed · release@"), "{trace:#?}");
    assert_eq!(world.state().standing(&phase("first")), Standing::Cleared);
}

#[test]
fn a_freeze_never_closes_a_reset() {
    let world = World::frozen(r#"["advance"]"#);
    let now = when(1, "thu");
    world.tick(now);
    let first = phase("first");
    world.run(now, |engine| engine.reset_phase(&first, &first, "A leaked key.", now)).unwrap();
    assert_eq!(world.state().standing(&first), Standing::Ready);
    assert!(world.networks.borrow().up.is_empty());
}

#[test]
fn a_failed_gate_resets_during_a_freeze_too() {
    let frozen = World::frozen_from("2026-01-17T00:00:00", r#"["deploy", "advance", "release"]"#);
    frozen.networks.borrow_mut().break_at("first.public.1", at("2026-01-16T00:00:00Z"));
    frozen.tick_until(when(2, "mon"));
    assert_eq!(frozen.state().standing(&phase("first")), Standing::Ready);
    assert!(frozen.trace().iter().any(|line| line.contains("reset first/public")));
}

#[test]
fn a_network_of_another_place_is_left_alone_until_somebody_says_that_it_is_lost() {
    let world = World::new();
    world.place.replace("one".to_owned());
    world.tick_until(when(1, "thu"));
    let before = world.trace();
    let now = when(1, "mon");
    // Another clone, whose driver knows nothing of these networks.
    world.place.replace("two".to_owned());
    let up = std::mem::take(&mut world.networks.borrow_mut().up);
    let refused = world.try_tick(now).unwrap_err();
    assert!(matches!(refused, EngineError::Elsewhere { .. }), "{refused}");
    assert!(refused.to_string().contains("`first.internal.1` runs in another place (`one`)"));
    assert_eq!(world.trace(), before, "nothing is recorded from elsewhere");
    // Where it runs, all goes on.
    world.place.replace("one".to_owned());
    world.networks.borrow_mut().up = up;
    world.tick(now);
    assert!(world.trace().iter().any(|line| line.contains(" advance first/internal")));
}
