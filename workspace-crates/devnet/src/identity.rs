use serde::{Deserialize, Serialize};

use crate::NetworkSpec;

/// A node of one network: its index in [`NetworkSpec::nodes`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The node that runs the embedded L1.
    pub const L1: Self = Self(0);
    /// The load generator.
    pub const LOAD: Self = Self(1);

    /// The node as an index into a list of all nodes.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the embedded L1 chain and its contracts.
    L1,
    /// Sends transactions at the target rate.
    Load,
    /// Proposes, re-executes and attests.
    Validator,
    /// Proves epochs.
    Prover,
}

impl Role {
    /// The role as the label `role` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::Load => "load",
            Self::Validator => "validator",
            Self::Prover => "prover",
        }
    }
}

/// Who runs a prover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The team itself.
    Internal,
    /// A participant.
    External,
}

impl Operator {
    /// The operator as the label `operator` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// One node of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its index.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// Its name and the label `instance`: `l1`, `load`, `validator-0`, `prover-0`.
    pub name: String,
    /// Who runs it, for provers.
    pub operator: Option<Operator>,
}

impl NetworkSpec {
    /// All nodes in order of their index: the L1, the load generator, validators, provers.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let mut nodes = vec![
            NodeInfo { id: NodeId::L1, role: Role::L1, name: "l1".into(), operator: None },
            NodeInfo { id: NodeId::LOAD, role: Role::Load, name: "load".into(), operator: None },
        ];
        for number in 0..self.validators {
            nodes.push(NodeInfo {
                id: NodeId(2 + number),
                role: Role::Validator,
                name: format!("validator-{number}"),
                operator: None,
            });
        }
        for number in 0..self.provers() {
            let internal = number < self.internal_provers;
            nodes.push(NodeInfo {
                id: NodeId(2 + self.validators + number),
                role: Role::Prover,
                name: format!("prover-{number}"),
                operator: Some(if internal { Operator::Internal } else { Operator::External }),
            });
        }
        nodes
    }

    /// What the node `id` does; `None` when the network has no such node.
    #[must_use]
    pub fn role_of(&self, id: NodeId) -> Option<Role> {
        match id.0 {
            0 => Some(Role::L1),
            1 => Some(Role::Load),
            n if n < 2 + self.validators => Some(Role::Validator),
            n if n < self.node_count() => Some(Role::Prover),
            _ => None,
        }
    }

    /// Who runs the prover `id`; `None` for other nodes.
    #[must_use]
    pub fn operator_of(&self, id: NodeId) -> Option<Operator> {
        let number = id.0.checked_sub(2 + self.validators)?;
        if number < self.internal_provers {
            Some(Operator::Internal)
        } else if number < self.provers() {
            Some(Operator::External)
        } else {
            None
        }
    }

    /// All validators in order.
    pub fn validator_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (2..2 + self.validators).map(NodeId)
    }

    /// All provers in order.
    pub fn prover_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (2 + self.validators..self.node_count()).map(NodeId)
    }

    /// How many provers there are, internal and external.
    #[must_use]
    pub const fn provers(&self) -> u32 {
        self.internal_provers.saturating_add(self.external_provers)
    }

    /// How many nodes there are, with the L1 and the load generator.
    #[must_use]
    pub const fn node_count(&self) -> u32 {
        2_u32.saturating_add(self.validators).saturating_add(self.provers())
    }
}
