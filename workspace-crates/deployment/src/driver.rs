use base::{DeploymentId, Instant, Subject};
use devnet::ScheduledAction;
use serde_json::Value;

use crate::{Capabilities, DeploymentSpec, DriverError, Observation, Plan, Status};

/// How far a deployment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its present time.
    pub at: Instant,
    /// The time that it is to reach.
    pub until: Instant,
}

/// What one node answered to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcAnswer {
    /// The node's name.
    pub node: String,
    /// Its result, or why there is none, as a full sentence.
    pub answer: Result<Value, String>,
}

/// Brings networks up, runs them, observes them and takes them down.
pub trait Driver {
    /// The driver's name, such as `simulator`.
    fn name(&self) -> &'static str;

    /// How networks run under this driver: `simulated` or `process`.
    fn host(&self) -> &'static str;

    /// What the driver can do.
    fn capabilities(&self) -> Capabilities;

    /// What the deployed network is, as evidence about it says, while its nodes run the client
    /// `node_version` and its registry points to the first rollup.
    ///
    /// # Errors
    /// When the artifact that would run cannot be read.
    fn subject(&self, spec: &DeploymentSpec, node_version: u32) -> Result<Subject, DriverError>;

    /// What [`Driver::up`] would do. Starts nothing.
    ///
    /// # Errors
    /// When the network is impossible, or an action is impossible or not one that the driver
    /// performs.
    fn plan(&self, spec: &DeploymentSpec) -> Result<Plan, DriverError>;

    /// Brings the network up and waits until every node is ready.
    ///
    /// # Errors
    /// As [`Driver::plan`]; when the deployment exists already; [`DriverError::Infra`] when the
    /// machine did not let the network come up, after a bounded number of attempts.
    fn up(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError>;

    /// Takes up a deployment that an earlier program brought up: attaches to it where it went on
    /// by itself, else brings it up again from its start with the same results.
    ///
    /// # Errors
    /// As [`Driver::up`]; when nothing is left of a deployment that should have gone on.
    fn restore(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError>;

    /// Lets deployments run until `until`: in virtual time runs them, in real time gathers what
    /// was observed so far, without waiting.
    ///
    /// # Errors
    /// When a network breaks one of its own laws, or what was observed cannot be read.
    fn advance(
        &mut self,
        until: Instant,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DriverError>;

    /// How a deployment is.
    ///
    /// # Errors
    /// When there is no such deployment, or its files cannot be read.
    fn status(&self, id: &DeploymentId) -> Result<Status, DriverError>;

    /// What was seen of a deployment so far.
    ///
    /// # Errors
    /// When there is no such deployment, it never started, or its files cannot be read.
    fn observe(&self, id: &DeploymentId) -> Result<Observation, DriverError>;

    /// Calls `method` of every node with the role `role`; nodes that are down answer with an error.
    ///
    /// # Errors
    /// When there is no such deployment or role.
    fn rpc(
        &self,
        id: &DeploymentId,
        role: &str,
        method: &str,
    ) -> Result<Vec<RpcAnswer>, DriverError>;

    /// Does something to a running network. The action's time counts from the network's start; a
    /// time that has passed means now.
    ///
    /// # Errors
    /// When there is no such deployment, or the action is impossible or not one that the driver
    /// performs.
    fn inject(&mut self, id: &DeploymentId, action: &ScheduledAction) -> Result<(), DriverError>;

    /// The last `lines` lines of the log of a node, or of the deployment's own log.
    ///
    /// # Errors
    /// When there is no such deployment or node, or the log cannot be read.
    fn logs(
        &self,
        id: &DeploymentId,
        node: Option<&str>,
        lines: usize,
    ) -> Result<String, DriverError>;

    /// Takes a deployment down and leaves nothing of it. Taking down what is not there is fine.
    ///
    /// # Errors
    /// When something could not be removed; calling it again tries again.
    fn down(&mut self, id: &DeploymentId) -> Result<(), DriverError>;

    /// All deployments of this driver, in order of their ids.
    ///
    /// # Errors
    /// When their files cannot be read.
    fn list(&self) -> Result<Vec<Status>, DriverError>;
}
