//! What only the simulator promises: the same results however it is run, cheaply handed out.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::sync::Arc;

use base::Duration;
use common::{deployment, ms};
use deployment::{DeploymentSpec, DeploymentState, Driver, Observation, SimulatorDriver};
use devnet::{NetworkAction, ScheduledAction};

fn spec(id: &str) -> DeploymentSpec {
    let mut spec = deployment(id);
    spec.network.epoch_slots = 8;
    spec
}

/// Observations after `minutes`, one per deployment.
fn run(specs: &[DeploymentSpec], minutes: i64) -> Vec<Observation> {
    let mut driver = SimulatorDriver::new();
    for spec in specs {
        driver.up(spec).unwrap();
    }
    let until = specs[0].start + Duration::from_minutes(minutes);
    let mut reported = std::collections::BTreeSet::new();
    driver
        .advance(until, &mut |progress| {
            assert!({
                reported.insert(progress.deployment);
                progress.at <= until
            })
        })
        .unwrap();
    assert_eq!(reported.len(), specs.len());
    specs.iter().map(|spec| driver.observe(&spec.id).unwrap()).collect()
}

#[test]
fn deployments_that_run_side_by_side_do_not_touch_each_other() {
    let specs = [spec("a"), spec("b"), spec("c")];
    let together = run(&specs, 2);
    for (spec, seen) in specs.iter().zip(&together) {
        let alone = run(std::slice::from_ref(spec), 2);
        assert_eq!(alone[0].digests, seen.digests);
        assert_eq!(alone[0].events, seen.events);
    }
    assert!(together[0].stats["signatures"] > 0);
}

#[test]
fn samples_are_handed_out_without_copying_them_again() {
    let spec = spec("a");
    let mut driver = SimulatorDriver::new();
    driver.up(&spec).unwrap();
    driver.advance(spec.start + ms(10_000), &mut |_| ()).unwrap();
    let first = driver.observe(&spec.id).unwrap();
    let again = driver.observe(&spec.id).unwrap();
    assert!(Arc::ptr_eq(&first.samples, &again.samples));
    driver.advance(spec.start + ms(20_000), &mut |_| ()).unwrap();
    let later = driver.observe(&spec.id).unwrap();
    assert!(later.samples.scrape_count() > first.samples.scrape_count());
}

#[test]
fn a_schedule_is_performed_at_its_times() {
    let mut spec = spec("a");
    let action = NetworkAction::L1Reorg { depth: 2 };
    spec.schedule = vec![ScheduledAction { id: "reorg".into(), at: ms(30_000), action }];
    let mut driver = SimulatorDriver::new();
    let plan = driver.plan(&spec).unwrap();
    assert_eq!((plan.schedule[0].kind, plan.schedule[0].at), ("l1_reorg", spec.start + ms(30_000)));
    driver.up(&spec).unwrap();
    driver.advance(spec.start + ms(60_000), &mut |_| ()).unwrap();
    let seen = driver.observe(&spec.id).unwrap();
    let injected = seen.events.iter().find(|event| event.name == "drill.injected").unwrap();
    assert_eq!(injected.at, spec.start + ms(30_000));
    assert_eq!(driver.status(&spec.id).unwrap().state, DeploymentState::Running);
}
