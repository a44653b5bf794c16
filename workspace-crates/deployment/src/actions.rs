use std::collections::BTreeMap;

use base::Digest;
use devnet::{NetworkAction, NetworkEvent, NodeId, Role, ScheduledAction, TargetError, Targets};
use simulator::{Options, Simulation, SimulationError};

use crate::{Capabilities, DeploymentSpec, DriverError, PlannedAction};

/// Every kind of action that there is, sorted.
pub(crate) const ALL_KINDS: [&str; 14] = [
    "bad_binary",
    "clock_skew",
    "exporter_down",
    "governance",
    "kill",
    "l1_reorg",
    "l1_stall",
    "latency",
    "partition",
    "pause",
    "prover_outage",
    "restart",
    "stall",
    "upgrade",
];

/// The nodes that an action concerns, in order: those that it names, all provers for a prover
/// outage, all validators for a stall, all but the L1 for an upgrade; none for the others.
pub(crate) fn nodes_of(
    spec: &devnet::NetworkSpec,
    scheduled: &ScheduledAction,
) -> Result<Vec<NodeId>, TargetError> {
    let nodes = spec.nodes();
    let all = |role| Targets { role: Some(role), ..Targets::default() };
    let targets = match &scheduled.action {
        NetworkAction::ProverOutage { .. } => all(Role::Prover),
        NetworkAction::Stall { .. } => all(Role::Validator),
        NetworkAction::Upgrade { .. } => {
            return Ok(nodes.iter().map(|node| node.id).filter(|id| *id != NodeId::L1).collect());
        }
        NetworkAction::Latency { targets: None, .. } => {
            return Ok(nodes.iter().map(|node| node.id).collect());
        }
        other => match other.targets() {
            Some(targets) => targets.clone(),
            None => return Ok(Vec::new()),
        },
    };
    // Two actions of one network draw different nodes.
    let name = Digest::of(scheduled.id.as_bytes()).0;
    let salt = u64::from_le_bytes([
        name[0], name[1], name[2], name[3], name[4], name[5], name[6], name[7],
    ]);
    targets.select(&nodes, spec.seed ^ salt)
}

/// Checks a deployment and lists its nodes and its schedule in order of time.
pub(crate) fn plan_schedule(
    spec: &DeploymentSpec,
    capabilities: &Capabilities,
    driver: &'static str,
) -> Result<(BTreeMap<&'static str, u32>, Vec<PlannedAction>), DriverError> {
    spec.network.check().map_err(DriverError::Spec)?;
    check_actions(spec, &spec.schedule, capabilities, driver)?;
    let nodes = spec.network.nodes();
    let mut counts = BTreeMap::new();
    for node in &nodes {
        *counts.entry(node.role.as_str()).or_insert(0) += 1;
    }
    let mut schedule = Vec::new();
    for scheduled in &spec.schedule {
        let targets = |source| DriverError::Targets { action: scheduled.id.clone(), source };
        let ids = nodes_of(&spec.network, scheduled).map_err(targets)?;
        schedule.push(PlannedAction {
            id: scheduled.id.clone(),
            kind: scheduled.action.kind(),
            at: spec.start + scheduled.at,
            nodes: ids.len() as u32,
        });
    }
    schedule.sort_by_key(|planned| planned.at);
    Ok((counts, schedule))
}

/// Checks that the driver performs the actions and that they are possible in this network. The
/// simulator knows what is possible, for every driver.
pub(crate) fn check_actions(
    spec: &DeploymentSpec,
    actions: &[ScheduledAction],
    capabilities: &Capabilities,
    driver: &'static str,
) -> Result<(), DriverError> {
    for scheduled in actions {
        if !capabilities.perform(&scheduled.action) {
            let problem = format!(
                "the driver `{driver}` cannot perform `{}`; it can perform {}",
                scheduled.action.kind(),
                capabilities.actions.join(", ")
            );
            return Err(DriverError::Action { action: scheduled.id.clone(), problem });
        }
    }
    if actions.is_empty() {
        return Ok(());
    }
    let options = Options { threads: 1, invariants: false };
    Simulation::new(spec.network.clone(), actions.to_vec(), spec.start, options)
        .map(|_| ())
        .map_err(|source| refusal(&spec.id, source))
}

/// What the simulator refuses, in the words of drivers.
pub(crate) fn refusal(id: &base::DeploymentId, source: SimulationError) -> DriverError {
    match source {
        SimulationError::Spec(problems) => DriverError::Spec(problems),
        SimulationError::Targets { id, source } => DriverError::Targets { action: id, source },
        SimulationError::Action { id, problem } => DriverError::Action { action: id, problem },
        source => DriverError::Simulation { id: id.clone(), source },
    }
}

/// A network's event as evidence has it.
pub(crate) fn evidence_event(event: NetworkEvent) -> evidence::Event {
    evidence::Event {
        at: event.at,
        name: event.name,
        node: event.node,
        attributes: event.attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::ALL_KINDS;

    #[test]
    fn the_kinds_are_those_that_devnet_reads() {
        for kind in ALL_KINDS {
            let error = serde_json::from_value::<devnet::NetworkAction>(
                serde_json::json!({ "kind": kind, "no such field": 1 }),
            )
            .unwrap_err();
            assert!(!error.to_string().contains("unknown variant"), "{kind}: {error}");
        }
        let unknown = serde_json::json!({ "kind": "none of them" });
        let error = serde_json::from_value::<devnet::NetworkAction>(unknown).unwrap_err();
        let listed = error.to_string().matches('`').count() / 2 - 1;
        assert_eq!(listed, ALL_KINDS.len(), "{error}");
        assert!(ALL_KINDS.is_sorted());
    }
}
