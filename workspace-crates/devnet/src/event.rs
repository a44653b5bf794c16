use std::collections::BTreeMap;

use base::Instant;
use serde::{Deserialize, Serialize};

/// Something that happened in a network and that gates may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEvent {
    /// When it was observed.
    pub at: Instant,
    /// What happened; one of [`names`].
    pub name: String,
    /// The node that it happened to or that saw it, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Details, in the order of their keys.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// The names of all network events.
pub mod names {
    /// A fault was injected; attributes `id`, `kind`.
    pub const DRILL_INJECTED: &str = "drill.injected";
    /// A fault was taken back; attributes `id`, `kind`.
    pub const DRILL_CLEARED: &str = "drill.cleared";
    /// A client upgrade began; attributes `version`, `activation_slot`.
    pub const UPGRADE_STARTED: &str = "client_upgrade.started";
    /// One node runs the new client; attribute `version`.
    pub const UPGRADE_REPLACED: &str = "client_upgrade.node_replaced";
    /// A replaced node follows the pending tip again; attribute `height`.
    pub const UPGRADE_RESYNCED: &str = "client_upgrade.node_resynced";
    /// The first block under the new rules is on L1; attributes `version`, `slot`.
    pub const UPGRADE_ACTIVATED: &str = "client_upgrade.activated";
    /// Every node runs the new client and follows; attribute `version`.
    pub const UPGRADE_COMPLETED: &str = "client_upgrade.completed";
    /// A governance proposal exists on L1; attributes `proposal`, `version`.
    pub const GOVERNANCE_PROPOSED: &str = "governance.proposed";
    /// A proposal reached its quorum; attributes `proposal`, `votes`, `of`.
    pub const GOVERNANCE_VOTED: &str = "governance.voted";
    /// A proposal waits for its delay; attributes `proposal`, `executable_at`.
    pub const GOVERNANCE_QUEUED: &str = "governance.queued";
    /// The registry points to the new rollup; attributes `proposal`, `version`.
    pub const GOVERNANCE_EXECUTED: &str = "governance.executed";
    /// More than 2/3 of the validators moved; attributes `version`, `moved`, `of`.
    pub const GOVERNANCE_MOVED: &str = "governance.validators_moved";
    /// The old rollup's last block is proven; attributes `version`, `height`.
    pub const GOVERNANCE_OLD_PROVED: &str = "governance.old_rollup_proved";
    /// An epoch was proven; attributes `epoch`, `height`, `operator`, `prover`, `system`.
    pub const EPOCH_PROVEN: &str = "epoch.proven";
    /// Unproven blocks fell off the chain; attributes `epoch`, `from_height`, `to_height`.
    pub const EPOCH_PRUNED: &str = "epoch.pruned";
    /// L1 blocks were undone; attributes `depth`, `pending_before`, `pending_after`.
    pub const L1_REORG: &str = "l1.reorg";
    /// A deposit shrank; attributes `validator`, `epoch`, `before`, `after`, `penalty`.
    pub const VALIDATOR_SLASHED: &str = "validator.slashed";
    /// A node died; attributes `cause` and, when a drill killed it, `drill`.
    pub const NODE_CRASHED: &str = "node.crashed";
    /// A node started; attribute `version`.
    pub const NODE_STARTED: &str = "node.started";
    /// A node follows the pending tip after a start; attribute `height`.
    pub const NODE_SYNCED: &str = "node.synced";
    /// A node met something that it cannot go on with; attribute `cause`.
    pub const NODE_FATAL: &str = "node.fatal_error";
    /// An L1 deposit was credited on L2; attributes `deposit`, `account`, `amount`.
    pub const DEPOSIT_CREDITED: &str = "deposit.credited";
}
