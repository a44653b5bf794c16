//! The same seed gives the same history.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod common;

use base::Duration;
use common::{at, share, small, start};
use devnet::{CryptoKind, NetworkAction, NetworkSpec, Role, ScheduledAction};
use simulator::{Options, Simulation, Stats};

fn schedule() -> Vec<ScheduledAction> {
    vec![
        at(
            900,
            "kill",
            NetworkAction::Kill {
                targets: share(Role::Validator, 0.25),
                duration: Some(Duration::from_seconds(600)),
            },
        ),
        at(1_500, "reorg", NetworkAction::L1Reorg { depth: 2 }),
    ]
}

fn run(spec: &NetworkSpec, threads: usize) -> (Stats, String) {
    let options = Options { threads, invariants: true };
    let mut simulation = Simulation::new(spec.clone(), schedule(), start(), options).unwrap();
    simulation.run_until(start() + Duration::from_seconds(3_600)).unwrap();
    let events = format!("{:?}", simulation.events());
    (simulation.stats(), events)
}

fn spec(crypto: CryptoKind) -> NetworkSpec {
    NetworkSpec { crypto, load_tps: 0.3, max_txs_per_block: 20, ..small() }
}

#[test]
fn one_and_two_threads_give_the_same_history_twice() {
    let spec = spec(CryptoKind::Ed25519);
    let first = run(&spec, 1);
    assert_eq!(first, run(&spec, 1));
    assert_eq!(first, run(&spec, 2));
    assert_eq!(first, run(&spec, 2));
}

#[test]
fn steps_of_any_length_give_the_same_history() {
    let spec = spec(CryptoKind::KeyedHash);
    let mut simulation =
        Simulation::new(spec.clone(), schedule(), start(), Options::default()).unwrap();
    for step in 1..=360 {
        simulation.run_until(start() + Duration::from_seconds(10 * step)).unwrap();
    }
    assert_eq!(simulation.stats(), run(&spec, 1).0);
}

#[test]
fn the_signature_scheme_changes_the_crypto_half_only() {
    let (real, hashed) = (run(&spec(CryptoKind::Ed25519), 1), run(&spec(CryptoKind::KeyedHash), 1));
    assert_eq!(real.0.trace_digest.schedule, hashed.0.trace_digest.schedule);
    assert_ne!(real.0.trace_digest.crypto, hashed.0.trace_digest.crypto);
    assert_eq!(real.1, hashed.1);
    assert_eq!(real.0.signatures, hashed.0.signatures);
}

#[test]
fn another_seed_gives_another_history() {
    let spec = spec(CryptoKind::KeyedHash);
    let other = NetworkSpec { seed: 2, ..spec.clone() };
    assert_ne!(run(&spec, 1).0.trace_digest, run(&other, 1).0.trace_digest);
}

/// Pinned so that a debug build, a release build and every later version that does not mean to
/// change the protocol give the same history.
#[test]
fn the_history_of_seed_1_is_pinned() {
    let digest = run(&spec(CryptoKind::KeyedHash), 1).0.trace_digest;
    assert_eq!(digest.whole().short(), "b2f3629c");
}
