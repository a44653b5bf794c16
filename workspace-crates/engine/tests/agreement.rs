//! Programmes in which several leads have to agree before a phase moves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use base::{Duration, Track};
use common::{World, phase, pins, when};
use engine::EngineError;
use engine::state::Standing;
use ledger::{Draft, Signer, VerifiedEntry, body};

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

#[test]
fn what_was_approved_before_a_reset_is_not_carried_out_after_it() {
    let world = World::quorum();
    let now = when(1, "mon");
    world.tick_until(now);
    world.consent("lead", now);
    world.consent("bob", now);
    let first = phase("first");
    world.run(now, |engine| engine.reset_phase(&first, &first, "A bug.", now)).unwrap();
    world.tick(now);
    assert_eq!(standing(&world), Standing::Ready, "{:#?}", world.trace());

    // Nor does it count when somebody with the evaluator's key carries it out nevertheless.
    let ledger = world.ledger();
    let found = |kind: &str| ledger.view().iter().rev().find(|one| one.entry.body.kind() == kind);
    let (judged, proposed) = (found("evaluation").unwrap(), found("proposal").unwrap());
    world.append(now, advance(judged, proposed), "ci");
    assert_eq!(standing(&world), Standing::Ready, "{:#?}", world.trace());
}

/// The advance of the first phase's internal track.
fn advance(judged: &VerifiedEntry, proposed: &VerifiedEntry) -> body::Advance {
    let (from, to) = engine::states(Track::Internal);
    body::Advance {
        phase: phase("first"),
        track: Track::Internal,
        from: from.to_owned(),
        to: to.to_owned(),
        evaluation: body::EvaluationRef { seq: judged.entry.seq, digest: judged.digest },
        proposal: Some(proposed.digest),
        reason: "Every gate passes.".to_owned(),
    }
}

#[test]
fn a_reset_revokes_an_advance_whose_key_is_no_longer_trusted() {
    let world = World::quorum();
    let now = when(1, "mon");
    world.tick_until(now);
    world.consent("lead", now);
    world.consent("bob", now);
    let ledger = world.ledger();
    let found = |kind: &str| ledger.view().iter().rev().find(|one| one.entry.body.kind() == kind);
    let (judged, proposed) = (found("evaluation").unwrap(), found("proposal").unwrap());
    world.append(now, advance(judged, proposed), "carol");
    let mut roles = world.ledger().view().roles().clone();
    roles.version += 1;
    roles.principals.retain(|one| one.id.as_str() != "carol");
    for role in roles.roles.values_mut() {
        role.of.retain(|one| one.as_str() != "carol");
    }
    let fingerprint = world.keys["carol"].public_key().fingerprint();
    let distrust = vec![body::Distrust { fingerprint, last_trusted: proposed.entry.seq }];
    let change = body::RolesChange { roles, distrust, proposal: None };
    let mut ledger = world.ledger();
    let signers: [&dyn Signer; 2] = [&world.keys["lead"], &world.keys["bob"]];
    ledger.append(Draft::new(now, pins(), change), &signers, BTreeMap::new()).unwrap();
    assert_eq!(standing(&world), Standing::InternalSoak);
    assert_eq!(world.ledger().view().unrevoked_voids().len(), 1);

    let first = phase("first");
    world.run(now, |engine| engine.reset_phase(&first, &first, "Stolen.", now)).unwrap();
    assert!(world.ledger().view().unrevoked_voids().is_empty(), "nothing could ever move again");
}
