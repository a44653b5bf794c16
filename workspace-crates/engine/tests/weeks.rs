//! Whole weeks: what the ledger holds after them, entry by entry.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::Track;
use common::{World, at, phase, when};
use engine::state::Standing;

/// The trace for people: one line for each entry.
macro_rules! assert_trace {
    ($world:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!($world.trace().join("\n"));
        });
    };
}

#[test]
fn three_phases_pass_in_clean_weeks() {
    let world = World::new();
    world.tick_until(when(4, "announce"));
    assert!(world.state().is_shipped());
    assert!(world.state().is_announced());
    assert!(world.networks.borrow().up.is_empty(), "a network was left behind");
    assert_trace!(world);
}

#[test]
fn a_hold_is_replaced_by_a_fresh_attempt_on_the_next_thursday() {
    let world = World::new();
    world.networks.borrow_mut().break_at("first.internal.1", at("2026-01-10T12:00:00Z"));
    world.tick_until(when(1, "tue"));
    assert_eq!(world.state().standing(&phase("first")), Standing::InternalSoak);
    world.tick_until(when(2, "tue"));
    let state = world.state();
    assert_eq!(state.standing(&phase("first")), Standing::PublicSoak);
    assert_eq!(state.phase(&phase("first")).unwrap().internal.attempts, 2);
    let log = world.networks.borrow().log.join(", ");
    assert_eq!(
        log,
        "up first.internal.1, down first.internal.1, up first.internal.2, \
         down first.internal.2, up first.public.1"
    );
    assert_trace!(world);
}

#[test]
fn a_network_that_is_lost_with_its_machine_is_recorded_and_deployed_again() {
    let world = World::new();
    world.tick_until(when(1, "thu"));
    world.networks.borrow_mut().up.clear();
    world.tick_until(when(1, "tue"));
    let state = world.state();
    assert_eq!(state.standing(&phase("first")), Standing::Ready);
    let lost = state.history.iter().find(|one| one.what == "torn-down").unwrap();
    assert_eq!(lost.text, "The network is gone: its machine or its files were lost.");
    world.tick_until(when(2, "tue"));
    let state = world.state();
    assert_eq!(state.standing(&phase("first")), Standing::PublicSoak);
    assert_eq!(state.phase(&phase("first")).unwrap().internal.attempts, 2);
}

#[test]
fn a_failed_public_gate_resets_what_depends_on_it_and_next_week_starts_again() {
    let world = World::new();
    // In week 2 the first phase is public, and the second one runs internally on top of it.
    world.networks.borrow_mut().break_at("first.public.1", at("2026-01-16T00:00:00Z"));
    world.tick_until(when(2, "tue"));
    let state = world.state();
    assert_eq!(state.standing(&phase("first")), Standing::Ready);
    assert_eq!(state.standing(&phase("second")), Standing::Locked);
    assert!(state.passes.is_empty(), "a revoked advance still counts");
    assert!(world.networks.borrow().up.is_empty(), "a network was left behind");
    let second = &state.phase(&phase("second")).unwrap().internal;
    assert_eq!(second.held, ["first was reset, and this phase depends on it."]);
    world.tick_until(when(3, "tue"));
    assert_eq!(world.state().standing(&phase("first")), Standing::PublicSoak);
    assert_trace!(world);
}

#[test]
fn a_machine_that_fails_says_nothing_about_the_phase() {
    let world = World::new();
    world.networks.borrow_mut().refused.push("first.internal.1".to_owned());
    world.tick_until(when(1, "announce"));
    assert!(world.trace()[1].contains("deployment-failed first/internal · "));
    assert!(world.trace()[1].contains("no memory is left"));
    assert_eq!(world.state().standing(&phase("first")), Standing::Ready);
    world.tick_until(when(2, "announce"));
    assert_eq!(world.state().standing(&phase("first")), Standing::Cleared);
}

#[test]
fn a_public_phase_without_consent_is_held_and_stays_up() {
    let world = World::new();
    for now in common::train(3) {
        world.tick(now);
    }
    let state = world.state();
    assert_eq!(state.standing(&phase("second")), Standing::PublicSoak);
    let second = state.phase(&phase("second")).unwrap();
    assert!(second.track(Track::Public).live().is_some());
    assert!(second.public.held.iter().any(|reason| reason.starts_with("Partners are onboarded:")));
    // The proposal lapses after 14 days; as long as the network runs there is a newer one.
    world.tick(when(5, "thu"));
    assert_eq!(world.state().proposals.len(), 2);
    world.approve(when(5, "mon"));
    world.tick(when(5, "mon"));
    assert_eq!(world.state().standing(&phase("second")), Standing::Complete);
}
