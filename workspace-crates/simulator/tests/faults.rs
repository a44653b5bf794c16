//! Networks under faults: they suffer as they should, and recover.

mod common;

use base::Duration;
use common::{
    assert_recovered, at, count, last, named, names, run, samples, share, small, start, value_at,
};
use devnet::{NetworkAction, NetworkSpec, Role, names as n};
use simulator::{Options, Simulation, SimulationError};

/// Length of an epoch of the small network, in seconds.
const EPOCH: i64 = 288;

fn lasting(seconds: i64) -> Duration {
    Duration::from_seconds(seconds)
}

#[test]
fn a_quarter_of_the_validators_dies_for_three_epochs_and_comes_back() {
    let kill = NetworkAction::Kill {
        targets: share(Role::Validator, 0.25),
        duration: Some(lasting(3 * EPOCH)),
    };
    let simulation = run(&small(), vec![at(10 * EPOCH, "kill", kill)], 20 * EPOCH);
    assert_eq!(count(&simulation, n::NODE_CRASHED), 6);
    assert_recovered(&simulation);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    let during = filled(13 * EPOCH) - filled(10 * EPOCH);
    assert!((8.0..24.0).contains(&during), "{during} of 24 slots");
    let after = filled(20 * EPOCH) - filled(15 * EPOCH);
    assert!(after >= 39.0, "{after} of 40 slots");
    let dead = simulation.events().iter().find(|event| event.name == n::NODE_CRASHED).unwrap();
    let up = samples(&simulation, "up", dead.node.as_deref().unwrap());
    let downs = up.iter().filter(|(_, value)| *value == 0.0).count();
    assert!((14..=15).contains(&downs), "{downs} scrapes");
    assert_eq!(count(&simulation, n::DRILL_INJECTED), 1);
    assert_eq!(count(&simulation, n::DRILL_CLEARED), 1);
}

#[test]
fn inactive_validators_lose_exactly_the_penalty() {
    let kill = NetworkAction::Kill {
        targets: share(Role::Validator, 0.25),
        duration: Some(lasting(4 * EPOCH)),
    };
    let spec = small();
    let simulation = run(&spec, vec![at(10 * EPOCH, "kill", kill)], 20 * EPOCH);
    let slashed = count(&simulation, n::VALIDATOR_SLASHED) as u64;
    assert!(slashed >= 3, "{slashed}");
    let total = last(&simulation, "devnet_slashed_total", "l1") as u64;
    assert_eq!(total, slashed * spec.inactivity_penalty);
    let stake = last(&simulation, "devnet_stake_total", "l1") as u64;
    assert_eq!(stake + total, 24 * spec.stake);
    let dead: Vec<_> = simulation.events().iter().filter(|e| e.name == n::NODE_CRASHED).collect();
    for event in simulation.events().iter().filter(|e| e.name == n::VALIDATOR_SLASHED) {
        let offender = Some(&event.attributes["validator"]);
        assert!(dead.iter().any(|dead| dead.node.as_ref() == offender), "{offender:?}");
    }
}

#[test]
fn a_partition_of_a_fifth_stops_nothing_and_heals() {
    let cut = NetworkAction::Partition {
        targets: share(Role::Validator, 0.2),
        duration: lasting(2 * EPOCH),
    };
    let simulation = run(&small(), vec![at(10 * EPOCH, "cut", cut)], 16 * EPOCH);
    assert!(simulation.stats().messages_lost > 0);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(12 * EPOCH) - filled(10 * EPOCH) >= 8.0);
    assert!(filled(16 * EPOCH) - filled(13 * EPOCH) >= 23.0);
    assert_recovered(&simulation);
}

#[test]
fn a_partition_of_half_halts_the_chain_until_it_heals() {
    let cut =
        NetworkAction::Partition { targets: share(Role::Validator, 0.5), duration: lasting(EPOCH) };
    let simulation = run(&small(), vec![at(10 * EPOCH, "cut", cut)], 16 * EPOCH);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    let during = filled(11 * EPOCH) - filled(10 * EPOCH);
    assert!(during <= 2.0, "{during}");
    let after = filled(16 * EPOCH) - filled(12 * EPOCH);
    assert!(after >= 31.0, "{after}");
    assert_recovered(&simulation);
}

#[test]
fn an_l1_reorg_of_depth_3_is_followed_by_everybody() {
    let schedule =
        (0..5).map(|n| at(3_000 + n * 307, "reorg", NetworkAction::L1Reorg { depth: 3 })).collect();
    let simulation = run(&small(), schedule, 6_000);
    assert_eq!(count(&simulation, n::L1_REORG), 5);
    assert_eq!(last(&simulation, "devnet_l1_reorgs_total", "l1"), 5.0);
    let fell = simulation.events().iter().filter(|event| {
        event.name == n::L1_REORG
            && event.attributes["pending_after"] != event.attributes["pending_before"]
    });
    assert!(fell.count() >= 3);
    assert_recovered(&simulation);
    let filled = last(&simulation, "devnet_slots_filled_total", "l1");
    assert!(filled >= 150.0, "{filled} of 166");
}

#[test]
fn an_outage_of_the_provers_beyond_the_window_prunes_and_recovers() {
    let outage = NetworkAction::ProverOutage { duration: lasting(4 * EPOCH) };
    let simulation = run(&small(), vec![at(8 * EPOCH, "outage", outage)], 20 * EPOCH);
    assert!(count(&simulation, n::EPOCH_PRUNED) >= 1);
    let heights = samples(&simulation, "devnet_pending_height", "validator-0");
    assert!(heights.windows(2).any(|pair| pair[1].1 < pair[0].1), "the pending tip fell");
    let proven = |seconds| value_at(&simulation, "devnet_proven_height", "validator-0", seconds);
    assert!(proven(20 * EPOCH) > proven(13 * EPOCH) + 20.0);
    assert!(last(&simulation, "devnet_transactions_dropped_total", "load") > 0.0);
    assert_recovered(&simulation);
}

#[test]
fn a_short_outage_of_the_provers_prunes_nothing() {
    let outage = NetworkAction::ProverOutage { duration: lasting(EPOCH) };
    let simulation = run(&small(), vec![at(8 * EPOCH, "outage", outage)], 16 * EPOCH);
    assert_eq!(count(&simulation, n::EPOCH_PRUNED), 0);
    assert_recovered(&simulation);
}

#[test]
fn a_stall_of_the_proposers_fills_no_slot() {
    let stall = NetworkAction::Stall { duration: lasting(EPOCH) };
    let simulation = run(&small(), vec![at(8 * EPOCH, "stall", stall)], 12 * EPOCH);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(9 * EPOCH) - filled(8 * EPOCH + 60) <= 1.0);
    assert!(filled(12 * EPOCH) - filled(10 * EPOCH) >= 15.0);
}

#[test]
fn an_l1_stall_delays_and_the_chain_goes_on() {
    let stall = NetworkAction::L1Stall { duration: lasting(EPOCH) };
    let simulation = run(&small(), vec![at(8 * EPOCH, "l1", stall)], 14 * EPOCH);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(9 * EPOCH) - filled(8 * EPOCH + 60) <= 1.0);
    assert!(filled(14 * EPOCH) - filled(11 * EPOCH) >= 23.0);
    assert_recovered(&simulation);
}

#[test]
fn slow_lossy_links_and_wrong_clocks_are_survived() {
    let schedule = vec![
        at(
            8 * EPOCH,
            "slow",
            NetworkAction::Latency {
                targets: None,
                extra: Duration::from_millis(500),
                jitter: Duration::from_millis(500),
                loss: 0.02,
                duration: lasting(3 * EPOCH),
            },
        ),
        at(
            8 * EPOCH,
            "skew",
            NetworkAction::ClockSkew {
                targets: share(Role::Validator, 0.2),
                skew: Duration::from_seconds(2),
                duration: lasting(3 * EPOCH),
            },
        ),
    ];
    let simulation = run(&small(), schedule, 16 * EPOCH);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(11 * EPOCH) - filled(8 * EPOCH) >= 12.0);
    assert!(filled(16 * EPOCH) - filled(13 * EPOCH) >= 23.0);
    assert_recovered(&simulation);
}

#[test]
fn a_paused_node_and_a_vanished_exporter_look_different() {
    let schedule = vec![
        at(
            3_000,
            "freeze",
            NetworkAction::Pause { targets: named(&["validator-1"]), duration: lasting(600) },
        ),
        at(
            3_000,
            "blind",
            NetworkAction::ExporterDown {
                targets: named(&["validator-2"]),
                duration: lasting(600),
            },
        ),
    ];
    let simulation = run(&small(), schedule, 6_000);
    let ups = |name: &str| samples(&simulation, "up", name);
    assert_eq!(ups("validator-1").iter().filter(|(_, up)| *up == 0.0).count(), 10);
    assert_eq!(ups("validator-0").len() - ups("validator-2").len(), 10);
    assert!(ups("validator-2").iter().all(|(_, up)| *up == 1.0));
    assert_recovered(&simulation);
}

#[test]
fn the_whole_network_restarts_and_goes_on_from_its_disks() {
    let kill =
        NetworkAction::Kill { targets: share(Role::Validator, 1.0), duration: Some(lasting(300)) };
    let simulation = run(&small(), vec![at(10 * EPOCH, "all", kill)], 16 * EPOCH);
    assert_recovered(&simulation);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(16 * EPOCH) - filled(13 * EPOCH) >= 23.0);
}

#[test]
fn a_node_that_was_away_for_long_starts_from_a_peers_snapshot() {
    let kill = NetworkAction::Kill {
        targets: named(&["validator-5"]),
        duration: Some(lasting(30 * EPOCH)),
    };
    let simulation = run(&small(), vec![at(5 * EPOCH, "long", kill)], 40 * EPOCH);
    assert_recovered(&simulation);
}

#[test]
fn a_client_upgrade_replaces_every_node_and_activates() {
    let upgrade = NetworkAction::Upgrade {
        version: 2,
        interval: Duration::from_seconds(20),
        activation: lasting(3 * EPOCH),
    };
    let simulation = run(&small(), vec![at(8 * EPOCH, "soft-fork", upgrade)], 16 * EPOCH);
    let seen = names(&simulation);
    let place = |name: &str| seen.iter().position(|each| *each == name).unwrap();
    assert!(place(n::UPGRADE_STARTED) < place(n::UPGRADE_REPLACED));
    assert!(place(n::UPGRADE_REPLACED) < place(n::UPGRADE_ACTIVATED));
    assert!(place(n::UPGRADE_ACTIVATED) <= place(n::UPGRADE_COMPLETED));
    assert_eq!(count(&simulation, n::UPGRADE_REPLACED), 26);
    assert_eq!(count(&simulation, n::UPGRADE_RESYNCED), 26);
    assert_eq!(count(&simulation, n::NODE_FATAL), 0);
    assert_eq!(last(&simulation, "devnet_client_version", "validator-7"), 2.0);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(16 * EPOCH) - filled(8 * EPOCH) >= 58.0);
    assert_recovered(&simulation);
}

#[test]
fn governance_moves_the_validators_to_the_new_rollup() {
    let propose = NetworkAction::Governance { version: 2 };
    let simulation = run(&small(), vec![at(8 * EPOCH, "hard-fork", propose)], 24 * EPOCH);
    let seen = names(&simulation);
    let place = |name: &str| seen.iter().position(|each| *each == name).unwrap();
    let chain = [
        n::GOVERNANCE_PROPOSED,
        n::GOVERNANCE_VOTED,
        n::GOVERNANCE_QUEUED,
        n::GOVERNANCE_EXECUTED,
        n::GOVERNANCE_MOVED,
        n::GOVERNANCE_OLD_PROVED,
    ];
    assert!(chain.map(place).is_sorted(), "{chain:?}");
    let time = |name: &str| simulation.events().iter().find(|e| e.name == name).unwrap().at;
    let waited = time(n::GOVERNANCE_EXECUTED) - time(n::GOVERNANCE_QUEUED);
    assert!(waited >= small().governance_delay, "{waited}");
    assert_eq!(last(&simulation, "devnet_registered_rollup_version", "l1"), 2.0);
    assert_eq!(last(&simulation, "devnet_rollup_version", "validator-4"), 2.0);
    let filled = |seconds| value_at(&simulation, "devnet_slots_filled_total", "l1", seconds);
    assert!(filled(24 * EPOCH) - filled(8 * EPOCH) >= 126.0);
    assert_recovered(&simulation);
}

#[test]
fn impossible_actions_are_refused_before_the_network_starts() {
    let refuse = |action: NetworkAction, text: &str| {
        let schedule = vec![at(60, "bad", action)];
        let refused = Simulation::new(small(), schedule, start(), Options::default());
        let error = refused.err().unwrap();
        assert!(error.to_string().contains(text), "{error}");
        assert!(matches!(error, SimulationError::Action { .. } | SimulationError::Targets { .. }));
    };
    refuse(NetworkAction::L1Reorg { depth: 11 }, "1 to 10");
    refuse(NetworkAction::L1Reorg { depth: 0 }, "1 to 10");
    refuse(NetworkAction::Kill { targets: named(&["l1"]), duration: None }, "l1_stall");
    refuse(NetworkAction::Kill { targets: named(&["nobody"]), duration: None }, "nobody");
    refuse(NetworkAction::Stall { duration: Duration::ZERO }, "no time");
    let upgrade =
        NetworkAction::Upgrade { version: 2, interval: lasting(60), activation: lasting(600) };
    refuse(upgrade, "26 nodes");
    let old = NetworkAction::Upgrade { version: 1, interval: lasting(1), activation: lasting(600) };
    refuse(old, "not newer");
    refuse(NetworkAction::Governance { version: 3 }, "version 2");
}

#[test]
fn mempools_of_mixed_sizes_lose_load_but_no_block() {
    let spec = NetworkSpec {
        load_tps: 0.2,
        max_txs_per_block: 8,
        small_mempools: Some(devnet::SmallMempools { share: 0.5, size: 2 }),
        ..small()
    };
    let simulation = run(&spec, Vec::new(), 12 * EPOCH);
    assert!(last(&simulation, "devnet_slots_filled_total", "l1") >= 94.0);
    assert!(last(&simulation, "devnet_mempool_transactions", "validator-0") <= 2.0);
}

#[test]
fn phase_2_survives_both_forks_at_its_own_size() {
    let spec = NetworkSpec {
        validators: 128,
        load_tps: 0.11,
        max_txs_per_block: 5,
        crypto: devnet::CryptoKind::KeyedHash,
        ..NetworkSpec::default()
    };
    let hour = 3_600;
    let upgrade = NetworkAction::Upgrade {
        version: 2,
        interval: Duration::from_seconds(60),
        activation: Duration::from_hours(4),
    };
    let schedule = vec![
        at(10 * hour, "soft-fork", upgrade),
        at(20 * hour, "hard-fork", NetworkAction::Governance { version: 2 }),
    ];
    let simulation = run(&spec, schedule, 40 * hour);
    for done in [n::UPGRADE_COMPLETED, n::GOVERNANCE_MOVED, n::GOVERNANCE_OLD_PROVED] {
        assert_eq!(count(&simulation, done), 1, "{done}");
    }
    for quiet in [n::NODE_FATAL, n::EPOCH_PRUNED, n::VALIDATOR_SLASHED] {
        assert_eq!(count(&simulation, quiet), 0, "{quiet}");
    }
    let transactions = last(&simulation, "devnet_transactions_total", "l1");
    assert!(transactions / (40.0 * 3_600.0) >= 0.1, "{transactions}");
    let filled = last(&simulation, "devnet_slots_filled_total", "l1");
    assert!(filled / last(&simulation, "devnet_slots_total", "l1") > 0.99, "{filled}");
    assert_recovered(&simulation);
}
