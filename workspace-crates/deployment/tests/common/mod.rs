//! What the tests of all drivers share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::{DeploymentId, Duration, Instant, NetworkId, PhaseId, PipelineId, Track};
use deployment::{DeploymentSpec, Driver, Observation, ProcessDriver};
use devnet::{NetworkAction, NetworkSpec, ScheduledAction, Targets};
use samples::{Matcher, SampleSource as _, is_stale};

/// Longer than anything here takes, also on a busy machine; reaching it is a failure.
const PATIENCE: StdDuration = StdDuration::from_secs(150);

pub fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis)
}

/// Five validators with slots of half a second.
pub fn network() -> NetworkSpec {
    let mut spec = NetworkSpec {
        network: NetworkId::new("conformance").unwrap(),
        validators: 5,
        committee: 5,
        epoch_slots: 4,
        load_tps: 4.0,
        max_txs_per_block: 8,
        link_latency: ms(1),
        link_jitter: ms(5),
        scrape_interval: ms(500),
        ..NetworkSpec::default()
    }
    .with_slot(ms(500));
    spec.proving = ms(400);
    spec.check().unwrap();
    spec
}

pub fn deployment(id: &str) -> DeploymentSpec {
    DeploymentSpec {
        id: DeploymentId::new(id).unwrap(),
        pipeline: PipelineId::new("testing").unwrap(),
        phase: PhaseId::new("phase-1").unwrap(),
        track: Track::Internal,
        attempt: 1,
        network: network(),
        schedule: Vec::new(),
        start: "2026-01-08T15:00:00Z".parse().unwrap(),
    }
}

pub fn process_driver(state: &Path) -> ProcessDriver {
    ProcessDriver::new(state, Path::new(env!("CARGO_BIN_EXE_devnet-processes"))).unwrap()
}

/// Takes a deployment down when a test ends, also when it fails.
pub struct Down<'a>(pub &'a Path, pub DeploymentId);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        process_driver(self.0).down(&self.1).unwrap();
    }
}

pub fn one(name: &str) -> Targets {
    Targets { ids: vec![name.to_owned()], ..Targets::default() }
}

pub fn now_action(id: &str, action: NetworkAction) -> ScheduledAction {
    ScheduledAction { id: id.to_owned(), at: Duration::ZERO, action }
}

/// Lets time pass, in whichever way it passes under the driver, until `check` holds.
pub fn until(
    driver: &mut dyn Driver,
    id: &DeploymentId,
    what: &str,
    mut check: impl FnMut(&mut dyn Driver, &Observation) -> bool,
) {
    let deadline = StdInstant::now() + PATIENCE;
    loop {
        let seen = driver.observe(id).unwrap();
        if check(driver, &seen) {
            return;
        }
        let late = StdInstant::now() >= deadline
            || seen.observed_until - seen.started > Duration::from_minutes(10);
        assert!(!late, "waited too long for {what}; events: {:#?}", seen.events);
        if driver.capabilities().virtual_time {
            let next = driver.status(id).unwrap().now + ms(500);
            driver.advance(next, &mut |_| ()).unwrap();
        } else {
            driver.advance(Instant::from_unix_millis(i64::MAX / 1_000), &mut |_| ()).unwrap();
            std::thread::park_timeout(StdDuration::from_millis(50));
        }
    }
}

/// The values of a metric of one node, in order of time, without staleness markers.
pub fn values(seen: &Observation, metric: &str, node: &str) -> Vec<f64> {
    let matchers = [Matcher::equal("__name__", metric), Matcher::equal("instance", node)];
    let found = seen.samples.select(&matchers, i64::MIN, i64::MAX).unwrap();
    let values = found.iter().flat_map(|series| series.values().iter().copied());
    values.filter(|value| !is_stale(*value)).collect()
}

pub fn last(seen: &Observation, metric: &str, node: &str) -> f64 {
    values(seen, metric, node).last().copied().unwrap_or(-1.0)
}

pub fn count(seen: &Observation, event: &str) -> usize {
    seen.events.iter().filter(|each| each.name == event).count()
}
