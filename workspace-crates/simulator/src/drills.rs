use base::{Duration, Instant};
use devnet::{Command, NetworkAction, NodeId, Role, ScheduledAction, Targets, Upgrade, names};

use crate::SimulationError;
use crate::network::{Disturbance, Kind};
use crate::queue::What;
use crate::simulation::Simulation;

/// A scheduled action with the nodes that it concerns.
pub(crate) struct Planned {
    pub(crate) scheduled: ScheduledAction,
    pub(crate) nodes: Vec<NodeId>,
}

impl Simulation {
    /// Checks an action and finds its nodes.
    pub(crate) fn plan(&self, scheduled: ScheduledAction) -> Result<Planned, SimulationError> {
        let id = scheduled.id.clone();
        let seed = self.spec.seed ^ fold(&id);
        let infos = self.infos();
        let all = |role| Targets { role: Some(role), ..Targets::default() };
        let targets = match &scheduled.action {
            NetworkAction::ProverOutage { .. } => Some(all(Role::Prover)),
            NetworkAction::Stall { .. } => Some(all(Role::Validator)),
            other => other.targets().cloned(),
        };
        let nodes = match targets {
            Some(targets) => targets
                .select(&infos, seed)
                .map_err(|source| SimulationError::Targets { id: id.clone(), source })?,
            None => infos.iter().map(|info| info.id).filter(|id| *id != NodeId::L1).collect(),
        };
        match self.problem(&scheduled, &nodes) {
            Some(problem) => Err(SimulationError::Action { id, problem }),
            None => Ok(Planned { scheduled, nodes }),
        }
    }

    fn problem(&self, scheduled: &ScheduledAction, nodes: &[NodeId]) -> Option<String> {
        if scheduled.at < Duration::ZERO {
            return Some("starts before the network".into());
        }
        if scheduled.action.duration().is_some_and(|length| length <= Duration::ZERO) {
            return Some("lasts no time".into());
        }
        let needs_l1 = matches!(
            scheduled.action,
            NetworkAction::Kill { .. }
                | NetworkAction::Restart { .. }
                | NetworkAction::Pause { .. }
                | NetworkAction::BadBinary { .. }
        );
        if needs_l1 && nodes.contains(&NodeId::L1) {
            return Some("the embedded L1 cannot be killed or paused; use l1_stall".into());
        }
        match &scheduled.action {
            NetworkAction::L1Reorg { depth } => {
                let most = self.spec.reorg_depth_max();
                let bad = *depth == 0 || *depth > most;
                bad.then(|| format!("a reorg of depth {depth}: possible are 1 to {most}, above which L1 blocks are final"))
            }
            NetworkAction::Latency { loss, .. } if !(0.0..=1.0).contains(loss) => {
                Some("loss is a share from 0 to 1".into())
            }
            NetworkAction::Governance { version } => {
                let next = 2 + self
                    .planned_before(|action| matches!(action, NetworkAction::Governance { .. }));
                (*version != next).then(|| format!("the next rollup has version {next}"))
            }
            NetworkAction::Upgrade { version, .. } if *version <= self.newest_client() => {
                Some(format!("version {version} is not newer than client {}", self.newest_client()))
            }
            NetworkAction::Upgrade { interval, activation, .. } => {
                let all =
                    Duration::from_micros(interval.micros().saturating_mul(nodes.len() as i64));
                let bad = *interval < Duration::ZERO || all > *activation;
                bad.then(|| format!("replacing {} nodes every {interval} takes {all}, longer than the {activation} until activation", nodes.len()))
            }
            _ => None,
        }
    }

    fn planned_before(&self, which: impl Fn(&NetworkAction) -> bool) -> u32 {
        self.planned.iter().filter(|planned| which(&planned.scheduled.action)).count() as u32
    }

    /// The newest client that runs or will run.
    fn newest_client(&self) -> u32 {
        let planned = self.planned.iter().filter_map(|planned| match planned.scheduled.action {
            NetworkAction::Upgrade { version, .. } => Some(version),
            _ => None,
        });
        planned.max().unwrap_or(0).max(self.spec.node_version)
    }

    /// Starts a planned action.
    pub(crate) fn begin(&mut self, index: usize) -> Result<(), SimulationError> {
        let action = self.planned[index].scheduled.action.clone();
        let nodes = self.planned[index].nodes.clone();
        let until = action.duration().map(|length| self.now + length);
        if action.is_fault() {
            self.drill(names::DRILL_INJECTED, index);
        }
        if let Some(until) = until {
            self.queue.push(until.unix_micros(), What::End(index));
        }
        let until = until.unwrap_or(self.now);
        match &action {
            NetworkAction::Kill { .. } | NetworkAction::ProverOutage { .. } => {
                self.kill_all(&nodes, index, "killed");
            }
            NetworkAction::BadBinary { .. } => {
                self.kill_all(&nodes, index, "the client dies at its start");
            }
            NetworkAction::Restart { .. } => {
                for node in nodes {
                    self.kill(node);
                    self.boot(node)?;
                }
            }
            NetworkAction::Pause { .. } => {
                for node in nodes {
                    self.nodes[node.index()].paused_until = Some(until);
                }
            }
            NetworkAction::Partition { .. } => self.disturb(index, &nodes, Kind::Partition),
            NetworkAction::Latency { extra, jitter, loss, .. } => {
                let kind = Kind::Latency { extra: *extra, jitter: *jitter, loss: *loss };
                self.disturb(index, &nodes, kind);
            }
            NetworkAction::L1Reorg { depth } => {
                self.command(NodeId::L1, Command::Reorg { depth: *depth })?;
                self.drill(names::DRILL_CLEARED, index);
            }
            NetworkAction::L1Stall { .. } => {
                self.command(NodeId::L1, Command::StallL1 { until })?;
            }
            NetworkAction::Stall { .. } => self.stall(&nodes, until)?,
            NetworkAction::ClockSkew { skew, .. } => {
                for node in nodes {
                    self.nodes[node.index()].skew = *skew;
                }
            }
            NetworkAction::ExporterDown { .. } => {
                for node in nodes {
                    self.nodes[node.index()].exporter_down = true;
                }
            }
            NetworkAction::Upgrade { version, interval, activation } => {
                self.begin_upgrade(index, *version, *interval, *activation);
            }
            NetworkAction::Governance { version } => {
                self.command(NodeId::L1, Command::Propose { version: *version })?;
            }
        }
        Ok(())
    }

    /// Takes a planned action back.
    pub(crate) fn end(&mut self, index: usize) -> Result<(), SimulationError> {
        let nodes = self.planned[index].nodes.clone();
        match &self.planned[index].scheduled.action {
            NetworkAction::Kill { .. }
            | NetworkAction::ProverOutage { .. }
            | NetworkAction::BadBinary { .. } => {
                for node in nodes {
                    self.boot(node)?;
                }
            }
            NetworkAction::Partition { .. } | NetworkAction::Latency { .. } => {
                self.network.disturbances.retain(|each| each.action != index);
            }
            NetworkAction::ClockSkew { .. } => {
                for node in nodes {
                    self.nodes[node.index()].skew = Duration::ZERO;
                }
            }
            NetworkAction::ExporterDown { .. } => {
                for node in nodes {
                    self.nodes[node.index()].exporter_down = false;
                }
            }
            // These end by themselves at the time that they were told.
            _ => {}
        }
        self.drill(names::DRILL_CLEARED, index);
        Ok(())
    }

    fn drill(&mut self, name: &'static str, index: usize) {
        let scheduled = &self.planned[index].scheduled;
        let attributes =
            [("id", scheduled.id.clone()), ("kind", scheduled.action.kind().to_owned())];
        self.record(name, None, attributes);
    }

    fn kill_all(&mut self, nodes: &[NodeId], index: usize, cause: &str) {
        for node in nodes {
            if self.kill(*node) {
                let drill = self.planned[index].scheduled.id.clone();
                let attributes = [("cause", cause.to_owned()), ("drill", drill)];
                self.record(names::NODE_CRASHED, Some(*node), attributes);
            }
        }
    }

    fn disturb(&mut self, action: usize, nodes: &[NodeId], kind: Kind) {
        let mut concerned = vec![false; self.nodes.len()];
        for node in nodes {
            concerned[node.index()] = true;
        }
        self.network.disturbances.push(Disturbance { action, concerned, kind });
    }

    fn stall(&mut self, nodes: &[NodeId], until: Instant) -> Result<(), SimulationError> {
        for node in nodes {
            self.command(*node, Command::StallProposals { until })?;
        }
        Ok(())
    }

    fn begin_upgrade(
        &mut self,
        index: usize,
        version: u32,
        interval: Duration,
        activation: Duration,
    ) {
        let slot = self.spec.slot_at(self.start, self.now + activation) + 1;
        self.upgrade = Some(Upgrading {
            upgrade: Upgrade { version, activation_slot: slot },
            resyncing: self.planned[index].nodes.clone(),
            activated: false,
        });
        self.record(
            names::UPGRADE_STARTED,
            None,
            [("version", version.to_string()), ("activation_slot", slot.to_string())],
        );
        let mut at = self.now;
        for node in self.planned[index].nodes.clone() {
            at += interval;
            self.queue.push(at.unix_micros(), What::Replace { action: index, node });
        }
    }

    /// Replaces a node by the new client; what it persisted stays.
    pub(crate) fn replace(&mut self, action: usize, node: NodeId) -> Result<(), SimulationError> {
        let NetworkAction::Upgrade { version, .. } = self.planned[action].scheduled.action else {
            return Ok(());
        };
        let Some(upgrading) = &self.upgrade else { return Ok(()) };
        let upgrade = upgrading.upgrade;
        self.kill(node);
        let held = &mut self.nodes[node.index()];
        held.version = version;
        held.upgrades.push(upgrade);
        self.record(names::UPGRADE_REPLACED, Some(node), [("version", version.to_string())]);
        self.boot(node)
    }

    /// Follows the upgrade's progress by what nodes observe.
    pub(crate) fn follow_upgrade(&mut self, node: NodeId, name: &str, height: Option<String>) {
        let Some(upgrading) = &mut self.upgrade else { return };
        let version = upgrading.upgrade.version;
        if name == names::UPGRADE_ACTIVATED {
            upgrading.activated = true;
        } else if name == names::NODE_SYNCED && self.nodes[node.index()].version == version {
            let before = upgrading.resyncing.len();
            upgrading.resyncing.retain(|waiting| *waiting != node);
            if upgrading.resyncing.len() < before {
                let height = height.unwrap_or_default();
                self.record(names::UPGRADE_RESYNCED, Some(node), [("height", height)]);
            }
        } else {
            return;
        }
        let done = self.upgrade.as_ref();
        if done.is_some_and(|upgrading| upgrading.activated && upgrading.resyncing.is_empty()) {
            self.upgrade = None;
            self.record(names::UPGRADE_COMPLETED, None, [("version", version.to_string())]);
        }
    }
}

/// A client upgrade under way.
pub(crate) struct Upgrading {
    upgrade: Upgrade,
    /// Nodes that were not seen to follow with the new client.
    resyncing: Vec<NodeId>,
    activated: bool,
}

fn fold(text: &str) -> u64 {
    text.bytes().fold(0, |sum, byte| crate::network::mix(sum ^ u64::from(byte)))
}
