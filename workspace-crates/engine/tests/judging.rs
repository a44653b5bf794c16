//! Judgements and what follows from them by hand: reproducible, refused with reasons, published once.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::{Digest, Duration, Track, VerdictKind};
use common::{World, at, phase, when};
use engine::EngineError;
use engine::state::Standing;
use ledger::REPORT_NAMESPACE;
use ledger::keys::PublicKey;
use ledger::sshsig::verify_detached;
use ledger::{LedgerStore as _, Signer as _};

#[test]
fn the_same_ledger_and_evidence_give_the_same_document() {
    let (one, two) = (World::new(), World::new());
    for world in [&one, &two] {
        world.networks.borrow_mut().break_at("first.internal.1", at("2026-01-10T12:00:00Z"));
        world.tick_until(when(2, "mon"));
    }
    let documents = |world: &World| -> Vec<Digest> {
        let state = world.state();
        state.evaluations.iter().map(|judged| judged.evaluation.document).collect()
    };
    assert_eq!(documents(&one).len(), 2);
    assert_eq!(documents(&one), documents(&two));
    let head = |world: &World| world.ledger().view().last().digest;
    assert_eq!(head(&one), head(&two));
}

#[test]
fn judging_twice_appends_nothing_and_gives_the_same_bytes() {
    let world = World::new();
    world.tick_until(when(1, "thu"));
    let now = when(1, "mon");
    let before = world.trace();
    let judge = || {
        let evaluation = world.run(now, |engine| engine.judge(now)).unwrap();
        base::canonical_json(&evaluation).unwrap()
    };
    assert_eq!(judge(), judge());
    assert_eq!(world.trace(), before);
}

#[test]
fn a_sealed_observation_is_judged_like_the_live_network() {
    let world = World::new();
    world.tick_until(when(1, "tue"));
    let now = when(2, "mon");
    let judge = || world.run(now, |engine| engine.judge(now)).unwrap();
    let live = judge();
    assert_eq!(live.phases[0].track, Track::Public);
    assert_eq!(live.phases[0].verdict, VerdictKind::Advance);
    let id = "first.public.1".parse().unwrap();
    world.run(now, |engine| engine.take_down_now(&id, now)).unwrap();
    assert!(world.networks.borrow().up.is_empty());
    assert_eq!(judge(), live);
    // What happens to the world later does not change it either.
    world.networks.borrow_mut().break_at("first.public.1", at("2026-01-16T00:00:00Z"));
    assert_eq!(judge(), live);
}

#[test]
fn each_evaluation_is_reported_once_and_the_report_verifies() {
    let world = World::new();
    world.tick_until(when(2, "announce"));
    world.tick(when(2, "announce") + Duration::from_minutes(5));
    let announced = world.trace().iter().filter(|line| line.contains(" announced ")).count();
    assert_eq!(announced, 2);
    let keys: Vec<PublicKey> = vec![world.keys["ci"].public_key().clone()];
    for week in ["2026-W03", "2026-W04"] {
        let file = |name: &str| world.file(&format!("reports/{week}/{name}")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&file("report.json")).unwrap();
        assert_eq!(report["host"]["signatures"], "keyed-hash", "{}", report["host"]);
        let statement = file("statement.json");
        let signature = file("statement.json.sig");
        verify_detached(&keys, REPORT_NAMESPACE, &statement, &signature).unwrap();
        let altered = [statement.as_slice(), b" "].concat();
        verify_detached(&keys, REPORT_NAMESPACE, &altered, &signature).unwrap_err();
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        let subjects = statement["subject"].as_array().unwrap();
        assert!(subjects.len() >= 4, "{subjects:#?}");
        for subject in subjects {
            let name = subject["name"].as_str().unwrap();
            let digest = subject["digest"]["sha256"].as_str().unwrap();
            assert_eq!(Digest::of(&file(name)).to_string(), digest, "{name} of {week}");
        }
    }
}

#[test]
fn of_two_evaluations_before_an_announcement_the_newer_is_published_under_its_own_name() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let now = when(1, "mon") + Duration::from_hours(1);
    world.run(now, |engine| engine.evaluate_now(now)).unwrap();
    let newest = world.state().evaluations.last().unwrap().seq;
    world.tick_until(when(1, "announce"));
    assert!(world.state().is_announced());
    assert!(world.file(&format!("reports/2026-W03-{newest:06}/statement.json")).is_some());
    assert!(world.file("reports/2026-W03/statement.json").is_none());
}

#[test]
fn what_the_publisher_writes_is_what_the_ledger_holds() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let folder = tempfile::tempdir().unwrap();
    let now = when(1, "announce");
    let mut driver = common::Fake(std::rc::Rc::clone(&world.networks));
    let mut setup = world.setup(&mut driver);
    setup.publish = Some(folder.path().to_owned());
    engine::Engine::new(setup, world.ledger()).tick(now).unwrap();
    let written = std::fs::read_dir(folder.path().join("2026-W03")).unwrap();
    let mut names: Vec<String> =
        written.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in &names {
        let bytes = std::fs::read(folder.path().join("2026-W03").join(name)).unwrap();
        assert_eq!(world.file(&format!("reports/2026-W03/{name}")).unwrap(), bytes, "{name}");
    }
    let kept = world.store.list_files("reports/2026-W03").unwrap();
    // The evaluation that the entry names is kept under its own name besides.
    assert_eq!(names.len() + 1, kept.len(), "{kept:?}");
}

fn refused(result: Result<(), EngineError>) -> String {
    match result {
        Err(error @ EngineError::NotNow { .. }) => error.to_string(),
        other => panic!("it was not refused: {other:?}"),
    }
}

#[test]
fn an_advance_by_hand_is_refused_with_reasons_and_moves_nothing() {
    let world = World::new();
    world.tick_until(when(1, "thu"));
    let first = phase("first");
    let early = at("2026-01-10T12:00:00Z");
    let why = refused(world.run(early, |engine| engine.advance_phase(&first, early)));
    assert!(why.contains("Stable over the weekend: The network has been stable for"), "{why}");
    assert_eq!(world.state().standing(&first), Standing::InternalSoak);
    assert!(world.state().phase(&first).unwrap().internal.live().is_some());
    assert!(world.trace().iter().all(|line| !line.contains(" advance ")));

    let second = phase("second");
    let why = refused(world.run(early, |engine| engine.advance_phase(&second, early)));
    assert!(why.contains("locked until the phases before it are released"), "{why}");
    let unknown = world.run(early, |engine| engine.advance_phase(&phase("fourth"), early));
    assert!(matches!(unknown, Err(EngineError::UnknownPhase { .. })));
}

#[test]
fn an_advance_by_hand_moves_a_phase_that_passes() {
    let world = World::new();
    world.tick_until(when(1, "thu"));
    let (first, now) = (phase("first"), at("2026-01-12T10:00:00Z"));
    world.run(now, |engine| engine.advance_phase(&first, now)).unwrap();
    assert_eq!(world.state().standing(&first), Standing::Cleared);
    assert!(world.networks.borrow().up.is_empty());
    // The evaluation of that Monday finds nothing left to judge.
    world.tick_until(when(1, "tue"));
    assert_eq!(world.state().standing(&first), Standing::PublicSoak);
    assert_eq!(world.trace().iter().filter(|line| line.contains(" advance ")).count(), 1);
}

#[test]
fn a_reset_goes_upstream_only() {
    let world = World::new();
    world.tick_until(when(2, "thu"));
    let (first, second, now) = (phase("first"), phase("second"), when(2, "thu"));
    let before = world.trace();
    let why = refused(world.run(now, |engine| engine.reset_phase(&first, &second, "No.", now)));
    assert!(why.contains("second does not come before it"), "{why}");
    assert_eq!(world.trace(), before);
    world.run(now, |engine| engine.reset_phase(&second, &first, "A leaked key.", now)).unwrap();
    let state = world.state();
    assert_eq!(state.standing(&first), Standing::Ready);
    assert_eq!(state.standing(&second), Standing::Locked);
    assert!(world.networks.borrow().up.is_empty());
    assert!(world.trace().last().unwrap().ends_with("to first, revokes 1 advances: A leaked key."));
}

#[test]
fn an_evaluation_from_before_a_reset_moves_nothing_any_more() {
    let world = World::new();
    world.tick_until(when(2, "thu"));
    let now = when(2, "mon");
    // The program dies after its evaluation; before the next one, somebody resets by hand.
    world.store.die_at(0, true);
    world.try_tick(now).unwrap_err();
    assert!(
        world.trace().last().unwrap().contains("first/public=advance, second/internal=advance")
    );
    let first = phase("first");
    world.run(now, |engine| engine.reset_phase(&first, &first, "A leaked key.", now)).unwrap();
    world.tick(now);
    assert_eq!(world.state().standing(&first), Standing::Ready);
    assert_eq!(world.state().standing(&phase("second")), Standing::Locked);
}

#[test]
fn a_deployment_by_hand_is_refused_where_it_is_not_its_turn() {
    let world = World::new();
    world.tick_until(when(1, "thu"));
    let now = at("2026-01-09T12:00:00Z");
    let deploy = |id: &str, track| {
        let id = phase(id);
        refused(world.run(now, |engine| engine.deploy_now(&id, track, now)))
    };
    assert!(deploy("first", Track::Internal).contains("`first.internal.1` is up"));
    assert!(deploy("first", Track::Public).contains("it is soaking internally"));
    assert!(deploy("second", Track::Internal).contains("it is locked"));
    assert_eq!(world.networks.borrow().log, ["up first.internal.1"]);
}
