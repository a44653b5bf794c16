//! What the supervisor does to the network: the same actions as the simulator's, by signals,
//! restarts and the nodes' RPC.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration as StdDuration;

use base::{Duration, Instant};
use devnet::{Command, NetworkAction, NetworkEvent, NodeId, ScheduledAction, Upgrade, names};
use devnet_host::{Injection, http, rpc};
use serde_json::json;
use tokio::task::JoinSet;

use super::agenda::{Agenda, Step};
use super::nodes::ManagedNode;
use crate::DriverError;
use crate::actions::nodes_of;

/// How long a node may take to confirm an injection.
const INJECTION_TIMEOUT: StdDuration = StdDuration::from_secs(5);

/// A client upgrade under way.
#[derive(Debug)]
struct Upgrading {
    upgrade: Upgrade,
    /// When each replaced node got the new client; those that follow again are taken out.
    replaced: BTreeMap<NodeId, Instant>,
    waiting: BTreeSet<NodeId>,
    activated: bool,
}

/// The actions of a deployment and what they need.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) nodes: Vec<ManagedNode>,
    pub(crate) agenda: Agenda,
    /// Events that the supervisor itself caused, not yet written.
    pub(crate) events: Vec<NetworkEvent>,
    network: devnet::NetworkSpec,
    genesis: Instant,
    planned: Vec<(ScheduledAction, Vec<NodeId>)>,
    upgrading: Option<Upgrading>,
    injections: JoinSet<()>,
}

impl Operations {
    pub(crate) fn new(
        network: devnet::NetworkSpec,
        genesis: Instant,
        nodes: Vec<ManagedNode>,
    ) -> Self {
        Self {
            nodes,
            agenda: Agenda::default(),
            events: Vec::new(),
            network,
            genesis,
            planned: Vec::new(),
            upgrading: None,
            injections: JoinSet::new(),
        }
    }

    /// Puts an action on the agenda; its time counts from the network's start.
    pub(crate) fn plan(&mut self, action: ScheduledAction) -> Result<(), DriverError> {
        let nodes = nodes_of(&self.network, &action)
            .map_err(|source| DriverError::Targets { action: action.id.clone(), source })?;
        let at = self.genesis + action.at;
        self.planned.push((action, nodes));
        self.agenda.add(at, Step::Begin(self.planned.len() - 1));
        Ok(())
    }

    /// Does everything that is due.
    pub(crate) fn work(&mut self, now: Instant) -> Result<(), DriverError> {
        while let Some(step) = self.agenda.pop(now) {
            match step {
                Step::Begin(index) => self.begin(index, now)?,
                Step::End(index) => self.end(index, now)?,
                Step::Replace(index, node) => self.replace(index, node, now)?,
            }
        }
        while self.injections.try_join_next().is_some() {}
        Ok(())
    }

    fn begin(&mut self, index: usize, now: Instant) -> Result<(), DriverError> {
        let (scheduled, nodes) = self.planned[index].clone();
        let action = &scheduled.action;
        tracing::info!("action `{}` ({}) begins", scheduled.id, action.kind());
        if action.is_fault() {
            self.drill(names::DRILL_INJECTED, index, now);
        }
        let until = now + action.duration().unwrap_or(Duration::ZERO);
        if action.duration().is_some() {
            self.agenda.add(until, Step::End(index));
        }
        match action {
            NetworkAction::Kill { .. } | NetworkAction::ProverOutage { .. } => {
                self.kill_all(&nodes, "killed", &scheduled.id, now);
            }
            NetworkAction::BadBinary { .. } => {
                self.kill_all(&nodes, "the client dies at its start", &scheduled.id, now);
                self.start_all(&nodes, true)?;
            }
            NetworkAction::Restart { .. } => {
                for node in &nodes {
                    self.nodes[node.index()].kill();
                }
                self.start_all(&nodes, false)?;
            }
            NetworkAction::Pause { .. } => {
                nodes.iter().for_each(|node| self.nodes[node.index()].freeze());
            }
            NetworkAction::Upgrade { version, interval, activation } => {
                self.begin_upgrade(index, *version, *interval, now + *activation, now);
            }
            _ => self.inject_all(action, &nodes, until),
        }
        if let NetworkAction::L1Reorg { .. } = action {
            self.drill(names::DRILL_CLEARED, index, now);
        }
        Ok(())
    }

    fn end(&mut self, index: usize, now: Instant) -> Result<(), DriverError> {
        let (scheduled, nodes) = self.planned[index].clone();
        tracing::info!("action `{}` ends", scheduled.id);
        match scheduled.action {
            NetworkAction::Kill { .. }
            | NetworkAction::ProverOutage { .. }
            | NetworkAction::BadBinary { .. } => self.start_all(&nodes, false)?,
            NetworkAction::Pause { .. } => {
                nodes.iter().for_each(|node| self.nodes[node.index()].unfreeze());
            }
            // The nodes were told the end when the fault began.
            _ => {}
        }
        self.drill(names::DRILL_CLEARED, index, now);
        Ok(())
    }

    fn kill_all(&mut self, nodes: &[NodeId], cause: &str, drill: &str, now: Instant) {
        for node in nodes {
            if self.nodes[node.index()].kill() {
                let cause = format!("{cause} (drill {drill})");
                self.record(now, names::NODE_CRASHED, Some(*node), [("cause", cause)]);
            }
        }
    }

    fn start_all(&mut self, nodes: &[NodeId], broken: bool) -> Result<(), DriverError> {
        for node in nodes {
            let node = &mut self.nodes[node.index()];
            node.client.broken = broken;
            node.start()?;
        }
        Ok(())
    }

    fn begin_upgrade(
        &mut self,
        index: usize,
        version: u32,
        interval: Duration,
        activation: Instant,
        now: Instant,
    ) {
        let slot = self.network.slot_at(self.genesis, activation) + 1;
        let nodes = self.planned[index].1.clone();
        self.upgrading = Some(Upgrading {
            upgrade: Upgrade { version, activation_slot: slot },
            replaced: BTreeMap::new(),
            waiting: nodes.iter().copied().collect(),
            activated: false,
        });
        let attributes = [("version", version.to_string()), ("activation_slot", slot.to_string())];
        self.record(now, names::UPGRADE_STARTED, None, attributes);
        for (position, node) in nodes.into_iter().enumerate() {
            let at = now + interval.times(position as i64 + 1);
            self.agenda.add(at, Step::Replace(index, node));
        }
    }

    fn replace(&mut self, index: usize, node: NodeId, now: Instant) -> Result<(), DriverError> {
        let NetworkAction::Upgrade { version, .. } = self.planned[index].0.action else {
            return Ok(());
        };
        let Some(upgrading) = &mut self.upgrading else { return Ok(()) };
        let upgrade = upgrading.upgrade;
        upgrading.replaced.insert(node, now);
        let held = &mut self.nodes[node.index()];
        held.kill();
        held.upgrade(upgrade);
        held.start()?;
        let attributes = [("version", version.to_string())];
        self.record(now, names::UPGRADE_REPLACED, Some(node), attributes);
        Ok(())
    }

    /// Follows a client upgrade by what nodes observed.
    pub(crate) fn follow(&mut self, event: &NetworkEvent) {
        let Some(upgrading) = &mut self.upgrading else { return };
        let version = upgrading.upgrade.version.to_string();
        if event.name == names::UPGRADE_ACTIVATED {
            upgrading.activated = true;
        } else if event.name == names::NODE_SYNCED {
            let name = event.node.as_deref();
            let Some(node) = self.nodes.iter().find(|node| Some(&*node.info.name) == name) else {
                return;
            };
            let node = node.info.id;
            let replaced = upgrading.replaced.get(&node).is_some_and(|at| *at <= event.at);
            if !replaced || !upgrading.waiting.remove(&node) {
                return;
            }
            let height = event.attributes.get("height").cloned().unwrap_or_default();
            self.record(event.at, names::UPGRADE_RESYNCED, Some(node), [("height", height)]);
        } else {
            return;
        }
        if self.upgrading.as_ref().is_some_and(|u| u.activated && u.waiting.is_empty()) {
            self.upgrading = None;
            self.record(event.at, names::UPGRADE_COMPLETED, None, [("version", version)]);
        }
    }

    /// Tells the nodes that an action concerns; those that do not run cannot be told.
    fn inject_all(&mut self, action: &NetworkAction, nodes: &[NodeId], until: Instant) {
        for (node, injection) in injections(action, nodes, self.nodes.len(), until) {
            let port = self.nodes[node.index()].http_port;
            let name = self.nodes[node.index()].info.name.clone();
            self.injections.spawn(async move {
                let body = rpc::call("devnet_inject", json!(injection));
                let answer = http::ask(port, "/", Some(&body), INJECTION_TIMEOUT).await;
                let result = answer.map_err(|e| e.to_string()).and_then(|a| rpc::result_of(&a));
                if let Err(problem) = result {
                    tracing::warn!("{name} could not be told of an action: {problem}");
                }
            });
        }
    }

    fn drill(&mut self, name: &str, index: usize, now: Instant) {
        let scheduled = &self.planned[index].0;
        let attributes =
            [("id", scheduled.id.clone()), ("kind", scheduled.action.kind().to_owned())];
        self.record(now, name, None, attributes);
    }

    pub(crate) fn record<const N: usize>(
        &mut self,
        at: Instant,
        name: &str,
        node: Option<NodeId>,
        attributes: [(&str, String); N],
    ) {
        let node = node.map(|node| self.nodes[node.index()].info.name.clone());
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value));
        let attributes = attributes.collect();
        self.events.push(NetworkEvent { at, name: name.to_owned(), node, attributes });
    }
}

/// What each node is told when an action begins.
fn injections(
    action: &NetworkAction,
    nodes: &[NodeId],
    node_count: usize,
    until: Instant,
) -> Vec<(NodeId, Injection)> {
    let everybody = || (0..node_count as u32).map(NodeId);
    let targets: BTreeSet<_> = nodes.iter().copied().collect();
    let to_l1 = |command| vec![(NodeId::L1, Injection::Command { command })];
    let to_targets = |injection: Injection| {
        nodes.iter().map(|node| (*node, injection.clone())).collect::<Vec<_>>()
    };
    match action {
        NetworkAction::L1Reorg { depth } => to_l1(Command::Reorg { depth: *depth }),
        NetworkAction::L1Stall { .. } => to_l1(Command::StallL1 { until }),
        NetworkAction::Governance { version } => to_l1(Command::Propose { version: *version }),
        NetworkAction::Stall { .. } => {
            to_targets(Injection::Command { command: Command::StallProposals { until } })
        }
        NetworkAction::ClockSkew { skew, .. } => to_targets(Injection::Skew { skew: *skew, until }),
        NetworkAction::ExporterDown { .. } => to_targets(Injection::Silence { until }),
        NetworkAction::Partition { .. } => {
            let peers = everybody().filter(|node| !targets.contains(node)).collect();
            to_targets(Injection::Cut { peers, until })
        }
        NetworkAction::Latency { extra, jitter, loss, .. } => everybody()
            .map(|node| {
                // A target's links in both directions: it waits for all, the others for it.
                let peers = (!targets.contains(&node)).then(|| targets.clone());
                let (extra, jitter, loss) = (*extra, *jitter, *loss);
                (node, Injection::Delay { peers, extra, jitter, loss, until })
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::injections;
    use base::{Duration, Instant};
    use devnet::{NetworkAction, NodeId, Targets};
    use devnet_host::Injection;
    use std::collections::BTreeSet;

    fn told(action: NetworkAction, nodes: &[u32]) -> Vec<(NodeId, Injection)> {
        let nodes: Vec<_> = nodes.iter().copied().map(NodeId).collect();
        injections(&action, &nodes, 5, Instant::from_unix_millis(9))
    }

    #[test]
    fn a_partition_cuts_the_targets_off_from_the_others_only() {
        let duration = Duration::from_seconds(1);
        let told =
            told(NetworkAction::Partition { targets: Targets::default(), duration }, &[2, 3]);
        let others = BTreeSet::from([NodeId(0), NodeId(1), NodeId(4)]);
        let names: Vec<_> = told.iter().map(|(node, _)| node.0).collect();
        assert_eq!(names, [2, 3]);
        assert!(told.iter().all(|(_, injection)| matches!(
            injection, Injection::Cut { peers, .. } if *peers == others)));
    }

    #[test]
    fn latency_concerns_both_ends_of_a_link() {
        let action = NetworkAction::Latency {
            targets: Some(Targets::default()),
            extra: Duration::from_seconds(1),
            jitter: Duration::ZERO,
            loss: 0.0,
            duration: Duration::from_seconds(1),
        };
        let told = told(action, &[2]);
        assert_eq!(told.len(), 5);
        for (node, injection) in told {
            let Injection::Delay { peers, .. } = injection else { panic!("{injection:?}") };
            let expected = (node != NodeId(2)).then(|| BTreeSet::from([NodeId(2)]));
            assert_eq!(peers, expected);
        }
    }
}
