use base::Duration;
use serde::{Deserialize, Serialize};

use crate::{NodeId, NodeInfo, Role};

/// What is done to a running network: faults and operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkAction {
    /// Nodes die without warning; with `duration` they start again after it.
    Kill {
        /// Which nodes.
        targets: Targets,
        /// When they start again; never when left out.
        #[serde(default)]
        duration: Option<Duration>,
    },
    /// Nodes start again: dead ones boot, live ones die and boot at once.
    Restart {
        /// Which nodes.
        targets: Targets,
    },
    /// Nodes freeze: they neither run nor answer, and keep their memory.
    Pause {
        /// Which nodes.
        targets: Targets,
        /// How long.
        duration: Duration,
    },
    /// The targets and everybody else cannot reach each other; each side keeps its L1 access
    /// only when the L1 is on its side.
    Partition {
        /// The nodes that are cut off.
        targets: Targets,
        /// How long.
        duration: Duration,
    },
    /// Messages take longer or get lost.
    Latency {
        /// Which nodes: their links in both directions. All nodes when left out.
        #[serde(default)]
        targets: Option<Targets>,
        /// Added to every message.
        extra: Duration,
        /// Most that chance adds on top.
        #[serde(default)]
        jitter: Duration,
        /// Share of the messages that get lost, 0 to 1.
        #[serde(default)]
        loss: f64,
        /// How long.
        duration: Duration,
    },
    /// The L1's newest blocks are undone.
    L1Reorg {
        /// How many L1 blocks.
        depth: u32,
    },
    /// The L1 includes nothing.
    L1Stall {
        /// How long.
        duration: Duration,
    },
    /// All provers are down.
    ProverOutage {
        /// How long.
        duration: Duration,
    },
    /// Validators propose nothing; they follow and attest.
    Stall {
        /// How long.
        duration: Duration,
    },
    /// The nodes' clocks are wrong.
    ClockSkew {
        /// Which nodes.
        targets: Targets,
        /// Added to their clocks; may be negative.
        skew: Duration,
        /// How long.
        duration: Duration,
    },
    /// The nodes export no metrics although they live.
    ExporterDown {
        /// Which nodes.
        targets: Targets,
        /// How long.
        duration: Duration,
    },
    /// All nodes but the L1 are replaced one by one by a newer client.
    Upgrade {
        /// The new client's version: greater than the running one.
        version: u32,
        /// Time between two replacements.
        interval: Duration,
        /// When the new rules hold, counted from the start of the upgrade; must leave time for
        /// all replacements.
        activation: Duration,
    },
    /// A proposal to point the registry at a new rollup.
    Governance {
        /// The new rollup's version: greater than the registered one.
        version: u32,
    },
    /// Nodes are replaced by a client that dies at its start; after `duration` they get the
    /// right one back.
    BadBinary {
        /// Which nodes.
        targets: Targets,
        /// How long.
        duration: Duration,
    },
}

impl NetworkAction {
    /// The action's name as it is written in definitions.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Partition { .. } => "partition",
            Self::Latency { .. } => "latency",
            Self::L1Reorg { .. } => "l1_reorg",
            Self::L1Stall { .. } => "l1_stall",
            Self::ProverOutage { .. } => "prover_outage",
            Self::Stall { .. } => "stall",
            Self::ClockSkew { .. } => "clock_skew",
            Self::ExporterDown { .. } => "exporter_down",
            Self::Upgrade { .. } => "upgrade",
            Self::Governance { .. } => "governance",
            Self::BadBinary { .. } => "bad_binary",
        }
    }

    /// Whether this is a fault, which a drill injects and clears, and not an operation.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::Upgrade { .. } | Self::Governance { .. } | Self::Restart { .. })
    }

    /// How long the action lasts; `None` when it is done at once or has its own end.
    #[must_use]
    pub const fn duration(&self) -> Option<Duration> {
        match self {
            Self::Kill { duration, .. } => *duration,
            Self::Pause { duration, .. }
            | Self::Partition { duration, .. }
            | Self::Latency { duration, .. }
            | Self::L1Stall { duration }
            | Self::ProverOutage { duration }
            | Self::Stall { duration }
            | Self::ClockSkew { duration, .. }
            | Self::ExporterDown { duration, .. }
            | Self::BadBinary { duration, .. } => Some(*duration),
            _ => None,
        }
    }

    /// The nodes that the action names; `None` when it concerns the network as a whole.
    #[must_use]
    pub const fn targets(&self) -> Option<&Targets> {
        match self {
            Self::Kill { targets, .. }
            | Self::Restart { targets }
            | Self::Pause { targets, .. }
            | Self::Partition { targets, .. }
            | Self::ClockSkew { targets, .. }
            | Self::ExporterDown { targets, .. }
            | Self::BadBinary { targets, .. } => Some(targets),
            Self::Latency { targets, .. } => targets.as_ref(),
            _ => None,
        }
    }
}

/// An action with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledAction {
    /// Names the action in the events that it causes.
    pub id: String,
    /// When, counted from the network's start.
    pub at: Duration,
    /// What.
    pub action: NetworkAction,
}

/// Which nodes: by name, or a number or share of those with a role, drawn by the seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// Only nodes with this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// This share of them, above 0 and up to 1, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// This many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Exactly the nodes with these names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// Targets that select nothing or contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A name that no node has.
    #[error("no node is called `{0}`; names are l1, load, validator-<n> and prover-<n>")]
    Unknown(String),
    /// More than one way to select.
    #[error("targets state more than one of `ids`, `count` and `share`; state one")]
    Ambiguous,
    /// Nothing selected.
    #[error("targets select no node; state `ids`, or `role` with `count` or `share`")]
    Nothing,
    /// A share outside its range.
    #[error("a share must be above 0 and at most 1")]
    Share,
}

impl Targets {
    /// The selected nodes in ascending order; the same for the same `seed`.
    ///
    /// # Errors
    /// When a name is unknown, the selection is empty, or it is stated twice.
    pub fn select(&self, nodes: &[NodeInfo], seed: u64) -> Result<Vec<NodeId>, TargetError> {
        let ways = [!self.ids.is_empty(), self.count.is_some(), self.share.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(TargetError::Ambiguous);
        }
        if !self.ids.is_empty() {
            return self.by_name(nodes);
        }
        let mut pool: Vec<NodeId> = nodes
            .iter()
            .filter(|node| self.role.is_none_or(|role| node.role == role))
            .map(|node| node.id)
            .collect();
        let count = self.count_of(pool.len())?;
        pool.sort_by_key(|id| crate::block::mix(seed, u64::from(id.0)));
        pool.truncate(count);
        pool.sort_unstable();
        if pool.is_empty() { Err(TargetError::Nothing) } else { Ok(pool) }
    }

    fn by_name(&self, nodes: &[NodeInfo]) -> Result<Vec<NodeId>, TargetError> {
        let find = |name: &String| {
            let node = nodes.iter().find(|node| node.name == *name);
            node.map(|node| node.id).ok_or_else(|| TargetError::Unknown(name.clone()))
        };
        let mut ids = self.ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn count_of(&self, pool: usize) -> Result<usize, TargetError> {
        match (self.count, self.share, self.role) {
            (Some(count), _, _) => Ok(count as usize),
            (_, Some(share), _) if share > 0.0 && share <= 1.0 => {
                Ok((share * pool as f64).ceil() as usize)
            }
            (_, Some(_), _) => Err(TargetError::Share),
            (None, None, Some(_)) => Ok(pool),
            (None, None, None) => Err(TargetError::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NetworkAction, TargetError, Targets};
    use crate::{NetworkSpec, Role};

    #[test]
    fn a_quarter_of_48_validators_is_12_and_the_seed_draws_them() {
        let nodes = NetworkSpec::default().nodes();
        let targets =
            Targets { role: Some(Role::Validator), share: Some(0.25), ..Targets::default() };
        let drawn = targets.select(&nodes, 1).unwrap();
        assert_eq!(drawn.len(), 12);
        assert_eq!(drawn, targets.select(&nodes, 1).unwrap());
        assert_ne!(drawn, targets.select(&nodes, 2).unwrap());
    }

    #[test]
    fn unknown_ambiguous_and_empty_targets_are_refused() {
        let nodes = NetworkSpec::default().nodes();
        let check = |targets: Targets, error| {
            assert_eq!(targets.select(&nodes, 1), Err(error));
        };
        let named = |name: &str| Targets { ids: vec![name.into()], ..Targets::default() };
        check(named("validator-48"), TargetError::Unknown("validator-48".into()));
        check(Targets { count: Some(1), ..named("l1") }, TargetError::Ambiguous);
        check(Targets::default(), TargetError::Nothing);
        check(Targets { share: Some(1.5), ..Targets::default() }, TargetError::Share);
    }

    #[test]
    fn actions_are_read_from_data_and_unknown_fields_refused() {
        let text = r#"{"kind":"kill","targets":{"role":"validator","share":0.25},"duration":"1h"}"#;
        let action: NetworkAction = serde_json::from_str(text).unwrap();
        assert_eq!(action.kind(), "kill");
        assert!(action.is_fault());
        let wrong = r#"{"kind":"l1_reorg","depth":3,"dept":4}"#;
        assert!(serde_json::from_str::<NetworkAction>(wrong).is_err());
    }
}
