//! What every driver has to do; each driver runs through all of it.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::collections::BTreeSet;

use common::{Down, count, deployment, last, ms, now_action, one, process_driver, until, values};
use deployment::{DeploymentState, Driver, DriverError, NodeState, Observation, SimulatorDriver};
use devnet::{NetworkAction, names};

#[test]
fn the_simulator_conforms() {
    conform(&mut SimulatorDriver::new());
}

#[test]
fn processes_conform() {
    let state = tempfile::tempdir().unwrap();
    let _down = Down(state.path(), deployment("phase-1.internal.1").id);
    conform(&mut process_driver(state.path()));
}

fn conform(driver: &mut dyn Driver) {
    refuses_what_cannot_be(driver);
    let spec = deployment("phase-1.internal.1");
    let id = &spec.id;
    let plan = driver.plan(&spec).unwrap();
    assert_eq!(plan.nodes.values().sum::<u32>(), spec.network.node_count());
    assert!(!plan.steps.is_empty());
    driver.up(&spec).unwrap();
    assert!(matches!(driver.up(&spec), Err(DriverError::Exists(_))));

    lives(driver, &spec);
    answers(driver, &spec);
    shows_a_kill(driver, &spec);
    shows_a_reorg(driver, &spec);
    shows_an_upgrade(driver, &spec);

    assert_eq!(driver.list().unwrap().len(), 1);
    driver.down(id).unwrap();
    driver.down(id).unwrap();
    assert!(driver.list().unwrap().is_empty());
    assert!(matches!(driver.observe(id), Err(DriverError::Unknown { .. })));
    driver.up(&spec).unwrap();
    driver.down(id).unwrap();
}

fn refuses_what_cannot_be(driver: &mut dyn Driver) {
    let spec = deployment("refused");
    assert!(matches!(driver.status(&spec.id), Err(DriverError::Unknown { .. })));
    driver.down(&spec.id).unwrap();

    let mut impossible = spec.clone();
    impossible.network.committee = 99;
    assert!(matches!(driver.plan(&impossible), Err(DriverError::Spec(_))));
    assert!(matches!(driver.up(&impossible), Err(DriverError::Spec(_))));

    let mut unknown = spec.clone();
    let targets = one("validator-99");
    unknown.schedule = vec![now_action("x", NetworkAction::Restart { targets })];
    assert!(matches!(driver.up(&unknown), Err(DriverError::Targets { .. })));

    let mut deep = spec.clone();
    deep.schedule = vec![now_action("x", NetworkAction::L1Reorg { depth: 0 })];
    assert!(matches!(driver.up(&deep), Err(DriverError::Action { .. })));
    assert!(driver.list().unwrap().is_empty());
}

fn lives(driver: &mut dyn Driver, spec: &deployment::DeploymentSpec) {
    let id = &spec.id;
    until(driver, id, "blocks", |_, seen| {
        last(seen, "devnet_pending_height", "validator-0") >= 3.0
    });
    until(driver, id, "a final block", |_, seen| {
        last(seen, "devnet_final_height", "validator-1") >= 1.0
    });
    let status = driver.status(id).unwrap();
    assert_eq!(status.state, DeploymentState::Running);
    assert!(status.nodes.iter().all(|node| node.state == NodeState::Up && node.starts == 1));
    assert!(status.nodes.iter().any(|node| node.pending_height >= Some(3)));

    let seen = driver.observe(id).unwrap();
    assert_eq!(seen.host, driver.host());
    assert_eq!(seen.crypto, "ed25519");
    assert_eq!(seen.ended, None);
    let first = driver.subject(spec, spec.network.node_version).unwrap();
    assert_eq!(seen.intervals.len(), 1);
    assert_eq!((&seen.intervals[0].subject, seen.intervals[0].from), (&first, seen.started));
    assert_eq!(exported(&seen), expected(spec));
}

/// Every series as text; whoever runs a network, it exports the same.
fn exported(seen: &Observation) -> BTreeSet<String> {
    seen.samples.series().map(ToString::to_string).collect()
}

fn expected(spec: &deployment::DeploymentSpec) -> BTreeSet<String> {
    let nodes = spec.network.nodes();
    let series = nodes.iter().flat_map(|node| {
        let own = |name: &str, label: Option<(&str, &str)>| {
            let operator = node.operator.map(|operator| ("operator", operator.as_str()));
            let fixed = [("instance", node.name.as_str()), ("role", node.role.as_str())];
            let pairs: Vec<_> = fixed.into_iter().chain(operator).chain(label).collect();
            samples::Labels::metric(name, &pairs).to_string()
        };
        let metrics = devnet::metrics_of(node.role).map(|m| own(m.name, m.label));
        metrics.chain([own("up", None)]).collect::<Vec<_>>()
    });
    series.collect()
}

fn answers(driver: &mut dyn Driver, spec: &deployment::DeploymentSpec) {
    let id = &spec.id;
    until(driver, id, "health", |driver, _| {
        let answers = driver.rpc(id, "validator", "devnet_health").unwrap();
        assert_eq!(answers.len(), spec.network.validators as usize);
        answers.iter().all(|each| each.answer.as_ref().is_ok_and(|it| it["status"] == "ok"))
    });
    let unknown = driver.rpc(id, "l1", "no_such_method").unwrap();
    assert!(unknown[0].answer.is_err());
    assert!(matches!(
        driver.rpc(id, "king", "devnet_health"),
        Err(DriverError::UnknownNode { .. })
    ));
    assert!(driver.logs(id, Some("validator-0"), 5).unwrap().lines().count() >= 1);
    assert!(matches!(driver.logs(id, Some("nobody"), 5), Err(DriverError::UnknownNode { .. })));
}

fn shows_a_kill(driver: &mut dyn Driver, spec: &deployment::DeploymentSpec) {
    let id = &spec.id;
    let targets = one("validator-1");
    let kill = NetworkAction::Kill { targets, duration: Some(ms(3_000)) };
    driver.inject(id, &now_action("kill-one", kill)).unwrap();
    until(driver, id, "the node to be down", |_, seen| {
        values(seen, "up", "validator-1").last() == Some(&0.0)
    });
    assert!(driver.rpc(id, "validator", "devnet_health").unwrap()[1].answer.is_err());
    until(driver, id, "the node to be up again", |_, seen| {
        count(seen, names::DRILL_CLEARED) == 1
            && values(seen, "up", "validator-1").last() == Some(&1.0)
    });
    let seen = driver.observe(id).unwrap();
    let killed = seen.events.iter().find(|event| event.name == names::DRILL_INJECTED).unwrap();
    assert_eq!((killed.attribute("id"), killed.attribute("kind")), ("kill-one", "kill"));
    let crash = seen.events.iter().find(|event| event.name == names::NODE_CRASHED).unwrap();
    assert_eq!(crash.node.as_deref(), Some("validator-1"));
    assert!(seen.events.is_sorted_by_key(|event| event.at));
    until(driver, id, "the node to follow again", |driver, _| {
        let status = driver.status(id).unwrap();
        let node = status.nodes.iter().find(|node| node.name == "validator-1").unwrap();
        node.starts == 2 && node.synced == Some(true)
    });
}

fn shows_a_reorg(driver: &mut dyn Driver, spec: &deployment::DeploymentSpec) {
    let id = &spec.id;
    driver.inject(id, &now_action("reorg", NetworkAction::L1Reorg { depth: 2 })).unwrap();
    until(driver, id, "the reorg", |_, seen| {
        last(seen, "devnet_l1_reorgs_total", "l1") >= 1.0 && count(seen, names::L1_REORG) == 1
    });
    let late = NetworkAction::L1Reorg { depth: 1_000_000 };
    let refused = driver.inject(id, &now_action("too deep", late));
    assert!(matches!(refused, Err(DriverError::Action { .. })), "{refused:?}");
}

fn shows_an_upgrade(driver: &mut dyn Driver, spec: &deployment::DeploymentSpec) {
    let id = &spec.id;
    let upgrade = NetworkAction::Upgrade { version: 2, interval: ms(500), activation: ms(6_000) };
    driver.inject(id, &now_action("upgrade", upgrade)).unwrap();
    until(driver, id, "the upgrade", |_, seen| count(seen, names::UPGRADE_COMPLETED) == 1);
    let seen = driver.observe(id).unwrap();
    let replaced = spec.network.node_count() as usize - 1;
    assert_eq!(count(&seen, names::UPGRADE_STARTED), 1);
    assert_eq!(count(&seen, names::UPGRADE_REPLACED), replaced);
    assert_eq!(count(&seen, names::UPGRADE_RESYNCED), replaced);
    assert!(count(&seen, names::UPGRADE_ACTIVATED) >= 1);
    until(driver, id, "the new version in samples", |_, seen| {
        last(seen, "devnet_client_version", "validator-0") == 2.0
    });
    let subjects: Vec<_> = seen.intervals.iter().map(|each| each.subject.clone()).collect();
    assert_eq!(
        subjects,
        [driver.subject(spec, 1).unwrap(), driver.subject(spec, 2).unwrap()],
        "one interval per client"
    );
}
