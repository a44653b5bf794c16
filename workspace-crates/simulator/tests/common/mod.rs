//! What the tests share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use base::{Duration, Instant};
use devnet::{CryptoKind, NetworkAction, NetworkSpec, Role, ScheduledAction, Targets};
use samples::{Matcher, SampleSource as _, is_stale};
use simulator::{Options, Simulation};

pub fn start() -> Instant {
    "2026-01-08T15:00:00Z".parse().unwrap()
}

/// A small network with epochs of eight slots.
pub fn small() -> NetworkSpec {
    NetworkSpec {
        validators: 24,
        committee: 12,
        epoch_slots: 8,
        proving: Duration::from_seconds(60),
        l1_finality: Duration::from_seconds(120),
        governance_delay: Duration::from_minutes(10),
        crypto: CryptoKind::KeyedHash,
        ..NetworkSpec::default()
    }
}

pub fn at(seconds: i64, id: &str, action: NetworkAction) -> ScheduledAction {
    ScheduledAction { id: id.into(), at: Duration::from_seconds(seconds), action }
}

pub fn run(spec: &NetworkSpec, schedule: Vec<ScheduledAction>, seconds: i64) -> Simulation {
    let mut simulation =
        Simulation::new(spec.clone(), schedule, start(), Options::default()).unwrap();
    simulation.run_until(start() + Duration::from_seconds(seconds)).unwrap();
    simulation
}

pub fn share(role: Role, share: f64) -> Targets {
    Targets { role: Some(role), share: Some(share), ..Targets::default() }
}

pub fn named(names: &[&str]) -> Targets {
    Targets { ids: names.iter().map(|name| (*name).into()).collect(), ..Targets::default() }
}

/// All samples of a metric on one instance, staleness markers left out.
pub fn samples(simulation: &Simulation, metric: &str, instance: &str) -> Vec<(i64, f64)> {
    let matchers = [Matcher::equal("__name__", metric), Matcher::equal("instance", instance)];
    let series = simulation.store().select(&matchers, i64::MIN, i64::MAX).unwrap();
    let mut all: Vec<(i64, f64)> = series
        .iter()
        .flat_map(|one| one.times_ms().iter().copied().zip(one.values().iter().copied()))
        .filter(|(_, value)| !is_stale(*value))
        .collect();
    all.sort_by_key(|(time, _)| *time);
    all
}

pub fn last(simulation: &Simulation, metric: &str, instance: &str) -> f64 {
    samples(simulation, metric, instance).last().unwrap().1
}

/// The value of a metric at the last scrape not later than `seconds` after the start.
pub fn value_at(simulation: &Simulation, metric: &str, instance: &str, seconds: i64) -> f64 {
    let until = (start() + Duration::from_seconds(seconds)).unix_millis();
    let all = samples(simulation, metric, instance);
    all.iter().rev().find(|(time, _)| *time <= until).unwrap().1
}

pub fn names(simulation: &Simulation) -> Vec<&str> {
    simulation.events().iter().map(|event| event.name.as_str()).collect()
}

pub fn count(simulation: &Simulation, name: &str) -> usize {
    simulation.events().iter().filter(|event| event.name == name).count()
}

/// Every node lives, follows, and is near the same tip.
pub fn assert_recovered(simulation: &Simulation) {
    let nodes = simulation.nodes();
    let top = nodes.iter().map(|node| node.pending_height).max().unwrap();
    for node in nodes.iter().filter(|node| node.name != "load") {
        assert!(node.alive && node.synced && node.pending_height + 1 >= top, "{node:?} of {top}");
    }
}
