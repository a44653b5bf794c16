use std::collections::BTreeMap;

use base::{DeploymentId, Instant};
use devnet::NetworkAction;
use serde::Serialize;

/// What a driver can do to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Kinds of actions that the driver performs, as [`NetworkAction::kind`] names them, sorted.
    pub actions: Vec<&'static str>,
    /// Whether time is virtual: [`crate::Driver::advance`] then decides how far it gets.
    pub virtual_time: bool,
    /// Whether a deployment goes on when the program that started it ends.
    pub survives: bool,
}

impl Capabilities {
    /// Whether the driver performs `action`.
    #[must_use]
    pub fn perform(&self, action: &NetworkAction) -> bool {
        self.actions.contains(&action.kind())
    }
}

/// What a driver is about to do; shown before anything starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The driver.
    pub driver: &'static str,
    /// How the network will run: `simulated` or `process`.
    pub host: &'static str,
    /// How many nodes of each role.
    pub nodes: BTreeMap<&'static str, u32>,
    /// What will be started and where, in full sentences.
    pub steps: Vec<String>,
    /// What will be done to the network, in order of time.
    pub schedule: Vec<PlannedAction>,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedAction {
    /// The action's name.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// When it is due, if the network starts at the planned time.
    pub at: Instant,
    /// How many nodes it concerns; 0 when it concerns the network as a whole.
    pub nodes: u32,
}
