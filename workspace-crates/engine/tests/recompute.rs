//! Judging again from evidence alone: the same bytes, or a difference that names its gate.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::{Digest, Duration};
use common::server::Server;
use common::{World, at, phase, when};
use definition::Pipeline;
use engine::EngineError;
use engine::recompute::{self, Recomputed};
use evidence::Store as _;
use ledger::Body;
use samples::{Labels, Store};

/// Places of all evaluations.
fn evaluations(world: &World) -> Vec<u64> {
    world.state().evaluations.iter().map(|judged| judged.seq).collect()
}

fn again(world: &World, seq: u64, pipeline: &Pipeline) -> Result<Recomputed, EngineError> {
    let ledger = world.ledger();
    let recorded = recompute::read(&ledger, seq)?;
    // A store of its own with the listed evidence only: nothing else is read.
    let carried = evidence::MemoryStore::new();
    for digest in recorded.inputs.closure(&world.evidence)? {
        carried.put(&world.evidence.get(&digest)?)?;
    }
    recompute::recompute(&ledger, &carried, pipeline, &recorded)
}

fn assert_all_same(world: &World) -> usize {
    let all = evaluations(world);
    for seq in &all {
        let again = again(world, *seq, world.pipeline()).unwrap();
        assert!(again.is_same(), "entry {seq}: {:#?}", again.differences);
        assert_eq!(again.differences, []);
    }
    all.len()
}

#[test]
fn every_evaluation_of_a_programme_recomputes_to_the_same_bytes() {
    let world = World::new();
    world.networks.borrow_mut().break_at("first.internal.1", at("2026-01-10T12:00:00Z"));
    world.tick_until(when(6, "mon"));
    assert!(assert_all_same(&world) >= 6, "{:#?}", world.trace());
}

#[test]
fn waivers_and_approvals_count_as_they_did_then() {
    let world = World::quorum();
    world.tick_until(when(1, "mon"));
    world.consent("lead", when(1, "mon"));
    world.consent("bob", when(1, "mon"));
    world.tick_until(when(3, "mon"));
    assert!(assert_all_same(&world) >= 3);
}

#[test]
fn answers_of_servers_are_read_from_evidence() {
    let mut store = Store::new();
    for node in 0..4 {
        let name = format!("validator-{node}");
        let labels = [("instance", name.as_str()), ("role", "validator")];
        let target = store.add_target(vec![Labels::metric("up", &labels)]);
        let mut now = when(1, "thu");
        while now <= when(1, "mon") {
            store.append(target, now.unix_millis(), &[1.0]).unwrap();
            now += Duration::from_minutes(30);
        }
    }
    let server = Server::new(store);
    let world = World::over_server(&server.url);
    world.tick_until(when(1, "mon"));
    let asked = server.queries();
    assert!(asked > 0);
    assert_eq!(assert_all_same(&world), 1);
    assert_eq!(server.queries(), asked, "judging again asked the server");
}

#[test]
fn another_definition_gives_a_difference_that_names_the_gate() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let seq = evaluations(&world)[0];
    let mut pipeline = world.pipeline().clone();
    let soak = |pipeline: &mut Pipeline| {
        let gates = &mut pipeline.phases[0].gates;
        let soak = gates.iter_mut().find(|gate| gate.id.as_str() == "soak").unwrap();
        soak.advisory = true;
    };
    soak(&mut pipeline);
    let again = again(&world, seq, &pipeline).unwrap();
    assert!(!again.is_same());
    let named: Vec<String> = again.differences.iter().map(ToString::to_string).collect();
    assert!(named.iter().any(|one| one.starts_with("policy: recorded ")), "{named:?}");
    assert!(named.iter().any(|one| one.starts_with("first/soak (internal) ")), "{named:?}");
}

#[test]
fn evidence_that_is_missing_is_an_error_and_never_a_pass() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let ledger = world.ledger();
    let recorded = recompute::read(&ledger, evaluations(&world)[0]).unwrap();
    for lost in recorded.inputs.closure(&world.evidence).unwrap() {
        let carried = evidence::MemoryStore::new();
        for digest in recorded.inputs.closure(&world.evidence).unwrap() {
            if digest != lost {
                carried.put(&world.evidence.get(&digest).unwrap()).unwrap();
            }
        }
        let error = recompute::recompute(&ledger, &carried, world.pipeline(), &recorded);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&lost.to_string()), "{error}");
    }
}

#[test]
fn other_inputs_than_those_that_were_open_are_refused() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let ledger = world.ledger();
    let recorded = recompute::read(&ledger, evaluations(&world)[0]).unwrap();
    let refusal = |change: &dyn Fn(&mut recompute::Recorded)| {
        let mut other = recorded.clone();
        change(&mut other);
        let again =
            recompute::recompute(&ledger, &world.evidence, world.pipeline(), &other).unwrap_err();
        again.to_string()
    };
    let fewer = refusal(&|other| other.inputs.sides.clear());
    assert!(fewer.contains("its inputs lack those of first/internal"), "{fewer}");
    let foreign = refusal(&|other| other.inputs.sides[0].phase = phase("second"));
    assert!(foreign.contains("its inputs lack those of first/internal"), "{foreign}");
    let more = refusal(&|other| {
        let again = other.inputs.sides[0].clone();
        other.inputs.sides.push(again);
    });
    assert!(more.contains("which was not open"), "{more}");
}

#[test]
fn an_observation_that_the_ledger_does_not_name_is_refused() {
    let world = World::new();
    world.tick_until(when(1, "tue"));
    let now = when(2, "mon");
    let id = "first.public.1".parse().unwrap();
    world.run(now, |engine| engine.take_down_now(&id, now)).unwrap();
    world.run(now, |engine| engine.evaluate_now(now)).unwrap();
    let ledger = world.ledger();
    let seq = *evaluations(&world).last().unwrap();
    let mut recorded = recompute::read(&ledger, seq).unwrap();
    assert!(
        recompute::recompute(&ledger, &world.evidence, world.pipeline(), &recorded)
            .unwrap()
            .is_same()
    );
    recorded.inputs.sides[0].observation = Some(Digest::of(b"another"));
    let error = recompute::recompute(&ledger, &world.evidence, world.pipeline(), &recorded);
    assert!(error.unwrap_err().to_string().contains("the ledger names the observation"));
}

#[test]
fn an_observation_of_another_deployment_is_refused() {
    let world = World::new();
    world.networks.borrow_mut().break_at("first.internal.1", at("2026-01-10T12:00:00Z"));
    world.tick_until(when(2, "mon"));
    let ledger = world.ledger();
    let read = |index: usize| recompute::read(&ledger, evaluations(&world)[index]).unwrap();
    let (earlier, mut forged) = (read(0), read(1));
    let judge = |recorded: &recompute::Recorded| {
        recompute::recompute(&ledger, &world.evidence, world.pipeline(), recorded)
    };
    assert!(judge(&forged).unwrap().is_same());
    let honest = forged.clone();
    forged.inputs.sides[0].observation = earlier.inputs.sides[0].observation;
    let error = judge(&forged).unwrap_err().to_string();
    assert!(error.contains("is not of the deployment of first/internal"), "{error}");

    // What would be deployed is nothing that ran.
    let mut forged = honest;
    let side = forged.inputs.sides.iter_mut().find(|one| one.candidate.is_some()).unwrap();
    let candidate = side.candidate.take();
    forged.inputs.sides[0].candidate = candidate;
    let error = judge(&forged).unwrap_err().to_string();
    assert!(error.contains("name something to deploy"), "{error}");
}

#[test]
fn only_evaluations_can_be_judged_again() {
    let world = World::new();
    world.tick_until(when(1, "mon"));
    let ledger = world.ledger();
    for one in ledger.view().iter().filter(|one| !matches!(one.entry.body, Body::Evaluation(_))) {
        let error = recompute::read(&ledger, one.entry.seq).unwrap_err();
        assert!(error.to_string().contains("not an evaluation"), "{error}");
    }
    let error = recompute::read(&ledger, 10_000).unwrap_err();
    assert!(error.to_string().contains("no such entry"), "{error}");
}
