//! A network without faults.

mod common;

use base::Duration;
use common::{count, last, run, samples, small, start, value_at};
use devnet::{CryptoKind, NetworkSpec, names};
use simulator::{Options, Simulation, SimulationError};

#[test]
fn phase_1_fills_its_slots_reaches_its_rate_and_proves_every_epoch() {
    let simulation = run(&NetworkSpec::default(), Vec::new(), 8 * 3_600);
    let slots = last(&simulation, "devnet_slots_total", "l1");
    let filled = last(&simulation, "devnet_slots_filled_total", "l1");
    assert!(filled >= slots - 2.0, "{filled} of {slots}");
    let transactions = last(&simulation, "devnet_transactions_total", "l1");
    assert!(transactions / (8.0 * 3_600.0) >= 0.02, "{transactions} transactions");
    let proven: f64 = samples(&simulation, "devnet_epochs_proven_total", "l1")
        .iter()
        .rev()
        .take(1)
        .map(|(_, value)| value)
        .sum();
    let epochs = last(&simulation, "devnet_epochs_total", "l1");
    assert!(epochs >= 23.0 && proven <= epochs, "{proven} of {epochs}");
    assert!(count(&simulation, names::EPOCH_PROVEN) as f64 >= epochs - 1.0);
    for quiet in [names::EPOCH_PRUNED, names::VALIDATOR_SLASHED, names::NODE_FATAL] {
        assert_eq!(count(&simulation, quiet), 0, "{quiet}");
    }
    assert_eq!(last(&simulation, "devnet_posts_rejected_total", "l1"), 0.0);
    assert!(last(&simulation, "devnet_deposits_credited_total", "l1") >= 24.0);
    common::assert_recovered(&simulation);
}

#[test]
fn the_final_tip_follows_the_proven_tip_and_that_the_pending_tip() {
    let simulation = run(&small(), Vec::new(), 2 * 3_600);
    let tip = |name: &str| last(&simulation, name, "validator-0");
    let (pending, proven, finalized) =
        (tip("devnet_pending_height"), tip("devnet_proven_height"), tip("devnet_final_height"));
    assert!(pending > proven && proven >= finalized && finalized > 100.0);
    assert!(pending - finalized < 32.0, "{pending} {proven} {finalized}");
    assert!(last(&simulation, "devnet_proof_delay_seconds", "l1") < 2.0 * 288.0);
    assert!(last(&simulation, "devnet_inclusion_delay_seconds", "load") < 72.0);
}

#[test]
fn one_transaction_per_second_is_carried_by_real_signatures() {
    let spec = NetworkSpec {
        load_tps: 1.0,
        max_txs_per_block: 72,
        crypto: CryptoKind::Ed25519,
        ..small()
    };
    let simulation = run(&spec, Vec::new(), 1_800);
    let included = last(&simulation, "devnet_transactions_total", "l1");
    assert!(included > 1_700.0, "{included}");
    let stats = simulation.stats();
    assert!(stats.verifications >= stats.signatures - 100, "{stats:?}");
    assert!(stats.executions < 60 && stats.executions_remembered > 1_000, "{stats:?}");
}

#[test]
fn more_load_than_a_block_holds_stays_in_the_mempool() {
    let spec = NetworkSpec { load_tps: 0.1, mempool_size: 64, ..small() };
    let simulation = run(&spec, Vec::new(), 3_600);
    let transactions = last(&simulation, "devnet_transactions_total", "l1");
    assert!(transactions <= 100.0 && transactions > 95.0, "{transactions}");
    assert!(last(&simulation, "devnet_mempool_transactions", "validator-3") > 50.0);
}

#[test]
fn external_provers_take_turns_with_internal_ones() {
    let spec = NetworkSpec { internal_provers: 1, external_provers: 1, ..small() };
    let simulation = run(&spec, Vec::new(), 7_200);
    let by = |operator: &str| {
        let proven = simulation.events().iter().filter(|event| event.name == names::EPOCH_PROVEN);
        proven.filter(|event| event.attributes["operator"] == operator).count()
    };
    assert!(by("internal") >= 10 && by("external") >= 10);
}

#[test]
fn impossible_networks_are_refused_with_every_reason() {
    let spec = NetworkSpec { committee: 100, epoch_slots: 0, ..NetworkSpec::default() };
    let refused = Simulation::new(spec, Vec::new(), start(), Options::default());
    let Err(error @ SimulationError::Spec(_)) = refused else { panic!("taken") };
    let text = error.to_string();
    assert!(text.contains("`committee`") && text.contains("`epoch_slots`"), "{text}");
}

#[test]
fn metrics_are_scraped_at_the_interval() {
    let simulation = run(&small(), Vec::new(), 3_600);
    let up = samples(&simulation, "up", "validator-0");
    assert_eq!(up.len(), 60);
    assert!(up.iter().all(|(_, value)| *value == 1.0));
    assert_eq!(up[1].0 - up[0].0, Duration::from_seconds(60).millis());
    assert!(value_at(&simulation, "devnet_pending_height", "validator-0", 1_800) > 40.0);
}
