//! Random faults on random days: no law of the protocol breaks, and the network recovers.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod common;

use base::Duration;
use common::{assert_recovered, at, last, small, start};
use devnet::{NetworkAction, NetworkSpec, Role, ScheduledAction, Targets};
use simulator::{Options, Simulation};

/// A small generator of its own, so that a seed means the same for ever.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn action(chance: &mut Chance) -> NetworkAction {
    let duration = Duration::from_seconds(30 + chance.below(900) as i64);
    let some = |chance: &mut Chance, most: u64| Targets {
        role: Some(Role::Validator),
        count: Some(1 + chance.below(most) as u32),
        ..Targets::default()
    };
    match chance.below(10) {
        0 => NetworkAction::Kill { targets: some(chance, 24), duration: Some(duration) },
        1 => NetworkAction::Restart { targets: some(chance, 24) },
        2 => NetworkAction::Pause { targets: some(chance, 24), duration },
        3 => NetworkAction::Partition { targets: some(chance, 23), duration },
        4 => NetworkAction::Latency {
            targets: None,
            extra: Duration::from_millis(chance.below(2_000) as i64),
            jitter: Duration::from_millis(chance.below(4_000) as i64),
            loss: chance.below(40) as f64 / 100.0,
            duration,
        },
        5 => NetworkAction::L1Reorg { depth: 1 + chance.below(10) as u32 },
        6 => NetworkAction::L1Stall { duration },
        7 => NetworkAction::ProverOutage { duration },
        8 => NetworkAction::ClockSkew {
            targets: some(chance, 24),
            skew: Duration::from_millis(chance.below(40_000) as i64 - 20_000),
            duration,
        },
        _ => NetworkAction::Stall { duration },
    }
}

fn schedule(seed: u64) -> Vec<ScheduledAction> {
    let mut chance = Chance(seed);
    let mut all: Vec<_> = (0..12)
        .map(|number| {
            let seconds = 600 + chance.below(7_200) as i64;
            at(seconds, &format!("chaos-{number}"), action(&mut chance))
        })
        .collect();
    all.push(at(2_000, "hard-fork", NetworkAction::Governance { version: 2 }));
    all
}

#[test]
fn no_law_breaks_and_the_network_recovers() {
    for seed in 0..24 {
        let spec = NetworkSpec { seed, load_tps: 0.1, max_txs_per_block: 6, ..small() };
        let mut simulation =
            Simulation::new(spec, schedule(seed), start(), Options::default()).unwrap();
        let calm = Duration::from_seconds(16_000);
        simulation.run_until(start() + calm).unwrap_or_else(|error| panic!("{error}"));
        let filled = last(&simulation, "devnet_slots_filled_total", "l1");
        simulation.run_until(start() + calm + calm).unwrap_or_else(|error| panic!("{error}"));
        let gained = last(&simulation, "devnet_slots_filled_total", "l1") - filled;
        assert!(gained >= 430.0, "seed {seed}: {gained} of 444 slots after the faults");
        assert_recovered(&simulation);
    }
}
