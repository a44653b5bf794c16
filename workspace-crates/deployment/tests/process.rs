//! What only processes can do: outlive their program, be killed in the wrong moment, leave things
//! behind.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::path::Path;

use common::{Down, count, deployment, last, now_action, one, process_driver, until};
use deployment::{DeploymentState, Driver, DriverError, NodeState};
use devnet::{NetworkAction, names};
use rustix::process::{Pid, Signal, kill_process};

fn supervisor_pid(state: &Path) -> u32 {
    let path = state.join("deployments/phase-1.internal.1/supervisor.json");
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    u32::try_from(value["process"]["pid"].as_u64().unwrap()).unwrap()
}

/// Command lines of processes that name the state directory.
fn processes_of(state: &Path) -> Vec<String> {
    let needle = state.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("devnet-") && line.contains(&needle))
        .collect()
}

/// Kills a process and waits until it is dead; its parent may still have to take that in.
fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    while lives() {
        std::thread::yield_now();
    }
}

#[test]
fn a_deployment_outlives_its_driver_and_its_dead_supervisor_is_noticed() {
    let state = tempfile::tempdir().unwrap();
    let spec = deployment("phase-1.internal.1");
    let _down = Down(state.path(), spec.id.clone());
    process_driver(state.path()).up(&spec).unwrap();

    // Another driver, as another program would have it.
    let mut driver = process_driver(state.path());
    driver.restore(&spec).unwrap();
    until(&mut driver, &spec.id, "a block", |_, seen| {
        last(seen, "devnet_pending_height", "validator-0") >= 1.0
    });
    assert_eq!(driver.status(&spec.id).unwrap().state, DeploymentState::Running);
    let nodes = spec.network.node_count() as usize;
    assert_eq!(processes_of(state.path()).len(), nodes + 1);

    kill(supervisor_pid(state.path()));
    let status = driver.status(&spec.id).unwrap();
    let DeploymentState::Degraded { reason } = &status.state else { panic!("{status:?}") };
    assert!(reason.contains("gone") && reason.contains("deploy down"), "{reason}");
    assert!(status.nodes.iter().all(|node| node.state == NodeState::Up && node.pid.is_some()));
    let seen = driver.observe(&spec.id).unwrap();
    assert_eq!(seen.ended, Some(seen.observed_until));
    let action = now_action("x", NetworkAction::Restart { targets: one("load") });
    assert!(matches!(driver.inject(&spec.id, &action), Err(DriverError::Supervisor { .. })));

    driver.down(&spec.id).unwrap();
    assert_eq!(processes_of(state.path()), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(state.path().join("deployments")).unwrap().count(), 0);
}

#[test]
fn a_node_that_dies_by_itself_is_an_event_and_paused_ones_go_on() {
    let state = tempfile::tempdir().unwrap();
    let spec = deployment("phase-1.internal.1");
    let _down = Down(state.path(), spec.id.clone());
    let mut driver = process_driver(state.path());
    driver.up(&spec).unwrap();
    let status = driver.status(&spec.id).unwrap();
    let victim = status.nodes.iter().find(|node| node.name == "validator-2").unwrap();
    kill(victim.pid.unwrap());
    until(&mut driver, &spec.id, "the crash", |_, seen| count(seen, names::NODE_CRASHED) == 1);
    let status = driver.status(&spec.id).unwrap();
    let DeploymentState::Degraded { reason } = &status.state else { panic!("{status:?}") };
    assert!(reason.contains("validator-2"), "{reason}");

    let targets = one("validator-2");
    driver.inject(&spec.id, &now_action("back", NetworkAction::Restart { targets })).unwrap();
    let pause = NetworkAction::Pause { targets: one("validator-3"), duration: common::ms(2_500) };
    driver.inject(&spec.id, &now_action("freeze", pause)).unwrap();
    until(&mut driver, &spec.id, "the pause to show", |_, seen| {
        common::values(seen, "up", "validator-3").last() == Some(&0.0)
    });
    until(&mut driver, &spec.id, "everybody to answer again", |driver, seen| {
        count(seen, names::DRILL_CLEARED) == 1
            && driver
                .status(&spec.id)
                .unwrap()
                .nodes
                .iter()
                .all(|node| node.state == NodeState::Up && node.pending_height.is_some())
    });
    // A frozen node has to end as well.
    let pause = NetworkAction::Pause { targets: one("validator-3"), duration: common::ms(600_000) };
    driver.inject(&spec.id, &now_action("freeze-again", pause)).unwrap();
    until(&mut driver, &spec.id, "the second pause", |driver, _| {
        let nodes = driver.status(&spec.id).unwrap().nodes;
        nodes.iter().any(|node| node.state == NodeState::Paused)
    });
    driver.down(&spec.id).unwrap();
    assert_eq!(processes_of(state.path()), Vec::<String>::new());
}

#[test]
fn an_interrupted_start_is_explained_and_cleaned() {
    let state = tempfile::tempdir().unwrap();
    let mut driver = process_driver(state.path());
    let spec = deployment("phase-1.internal.1");
    let _down = Down(state.path(), spec.id.clone());
    let directory = state.path().join("deployments/phase-1.internal.1");
    // Killed after the first directory was made: nothing is in it.
    std::fs::create_dir_all(&directory).unwrap();
    let status = driver.status(&spec.id).unwrap();
    let DeploymentState::Failed { reason } = &status.state else { panic!("{status:?}") };
    assert!(reason.contains("interrupted") && reason.contains("deploy down"), "{reason}");
    assert!(matches!(driver.observe(&spec.id), Err(DriverError::Unobserved { .. })));
    assert!(matches!(driver.up(&spec), Err(DriverError::Exists(_))));
    driver.down(&spec.id).unwrap();
    assert!(!directory.exists());

    // Killed with the supervisor while nodes were starting: one node runs, unrecorded.
    driver.up(&spec).unwrap();
    kill(supervisor_pid(state.path()));
    std::fs::remove_file(directory.join("supervisor.json")).unwrap();
    assert!(matches!(driver.status(&spec.id).unwrap().state, DeploymentState::Failed { .. }));
    assert!(!processes_of(state.path()).is_empty());
    driver.down(&spec.id).unwrap();
    assert_eq!(processes_of(state.path()), Vec::<String>::new());
}

#[test]
fn a_machine_that_does_not_play_along_is_an_outcome_of_its_own() {
    let state = tempfile::tempdir().unwrap();
    let spec = deployment("phase-1.internal.1");
    let _down = Down(state.path(), spec.id.clone());
    // A program that ends at once instead of supervising.
    let mut driver = deployment::ProcessDriver::new(state.path(), Path::new("/bin/false")).unwrap();
    let refused = driver.up(&spec).unwrap_err();
    assert!(matches!(refused, DriverError::Infra { attempts: 2, .. }), "{refused}");
    assert!(driver.list().unwrap().is_empty());

    // A state directory that cannot be one.
    let file = state.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = process_driver(&file).up(&spec).unwrap_err();
    assert!(refused.to_string().contains("cannot create"), "{refused}");
}

#[test]
fn a_damaged_state_file_is_named_and_does_not_keep_anything_running() {
    let state = tempfile::tempdir().unwrap();
    let spec = deployment("phase-1.internal.1");
    let _down = Down(state.path(), spec.id.clone());
    let mut driver = process_driver(state.path());
    driver.up(&spec).unwrap();
    let pid = supervisor_pid(state.path());
    kill(pid);
    let path = state.path().join("deployments/phase-1.internal.1/supervisor.json");
    std::fs::write(&path, "{ half").unwrap();
    let refused = driver.status(&spec.id).unwrap_err();
    assert!(matches!(refused, DriverError::Damaged { .. }), "{refused}");
    driver.down(&spec.id).unwrap();
    assert_eq!(processes_of(state.path()), Vec::<String>::new());
}
