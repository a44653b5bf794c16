//! Programmes in which several leads have to agree before a phase moves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::Duration;
use common::{World, phase, when};
use engine::EngineError;
use engine::state::Standing;

fn standing(world: &World) -> Standing {
    world.state().standing(&phase("first"))
}

#[test]
fn a_phase_that_passes_is_proposed_and_moves_when_two_leads_agree() {
    let world = World::quorum();
    world.tick_until(when(1, "mon"));
    assert_eq!(standing(&world), Standing::InternalSoak);
    let proposed =
        |world: &World| world.trace().iter().filter(|line| line.contains(" proposal")).count();
    assert_eq!(proposed(&world), 1, "{:#?}", world.trace());
    let soon = when(1, "mon") + Duration::from_minutes(10);
    world.consent("lead", soon);
    world.tick(soon);
    assert_eq!(standing(&world), Standing::InternalSoak);
    world.consent("bob", soon);
    world.tick(soon);
    assert_eq!(standing(&world), Standing::Cleared);
    assert_eq!(proposed(&world), 1, "ticking proposed again");
    world.tick_until(when(1, "tue"));
    assert_eq!(standing(&world), Standing::PublicSoak);
}

#[test]
fn without_approvals_nothing_moves_and_next_week_judges_anew() {
    let world = World::quorum();
    world.tick_until(when(1, "mon"));
    world.consent("lead", when(1, "mon"));
    world.tick_until(when(2, "mon"));
    assert_eq!(standing(&world), Standing::InternalSoak);
    // The approval of last week's proposal says nothing about this week's.
    world.consent("bob", when(2, "mon"));
    world.tick(when(2, "mon"));
    assert_eq!(standing(&world), Standing::InternalSoak);
    world.consent("carol", when(2, "mon"));
    world.tick(when(2, "mon"));
    assert_eq!(standing(&world), Standing::Cleared);
}

#[test]
fn advancing_by_hand_proposes_first_and_carries_out_what_was_approved() {
    let world = World::quorum();
    world.tick_until(when(1, "thu"));
    let now = when(1, "mon") - Duration::from_hours(1);
    let first = phase("first");
    let refused = world.run(now, |engine| engine.advance_phase(&first, now)).unwrap_err();
    assert!(matches!(refused, EngineError::NotNow { .. }), "{refused}");
    assert!(refused.to_string().contains("waits for its approvals"), "{refused}");
    world.consent("lead", now);
    world.consent("carol", now);
    world.run(now, |engine| engine.advance_phase(&first, now)).unwrap();
    assert_eq!(standing(&world), Standing::Cleared);
}

#[test]
fn a_program_that_died_after_the_approvals_carries_them_out_once() {
    let world = World::quorum();
    world.tick_until(when(1, "mon"));
    world.consent("lead", when(1, "mon"));
    world.consent("bob", when(1, "mon"));
    let at = when(1, "mon");
    let (one, two) = (world.try_tick(at), world.try_tick(at));
    one.and(two).unwrap();
    let advanced = world.trace().iter().filter(|line| line.contains(" advance")).count();
    assert_eq!(advanced, 1, "{:#?}", world.trace());
}
