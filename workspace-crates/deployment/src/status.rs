use std::path::PathBuf;

use base::{DeploymentId, Instant};
use serde::{Deserialize, Serialize};

/// How a deployment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeploymentState {
    /// It is being brought up.
    Starting,
    /// It runs and is watched.
    Running,
    /// Nobody watches it any more, or a part of it is gone without having been asked to.
    Degraded {
        /// What is wrong and what to do, in full sentences.
        reason: String,
    },
    /// It did not come up, or broke down.
    Failed {
        /// What happened and what to do, in full sentences.
        reason: String,
    },
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It runs.
    Up,
    /// It is frozen by an action.
    Paused,
    /// It was stopped by an action.
    Stopped,
    /// It stopped without having been asked to.
    Crashed,
}

/// One node of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name, such as `validator-0`.
    pub name: String,
    /// Its role, such as `validator`.
    pub role: String,
    /// How it is.
    pub state: NodeState,
    /// Version of its client.
    pub version: u32,
    /// How often it was started.
    pub starts: u32,
    /// Height of its pending tip, where known.
    pub pending_height: Option<u64>,
    /// Height of its finalized tip, where known.
    pub finalized_height: Option<u64>,
    /// Whether it follows the L1's pending tip, where known.
    pub synced: Option<bool>,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// Where it answers HTTP: `/metrics`, and JSON-RPC by POST.
    pub endpoint: Option<String>,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The driver that runs it.
    pub driver: String,
    /// How it runs: `simulated` or `process`.
    pub host: String,
    /// How it is.
    #[serde(flatten)]
    pub state: DeploymentState,
    /// When the network started; `None` when it has not.
    pub started: Option<Instant>,
    /// The network's present time.
    pub now: Instant,
    /// Its nodes, in the order of the network.
    pub nodes: Vec<NodeStatus>,
    /// Where its files are, when it has any.
    pub directory: Option<PathBuf>,
}
