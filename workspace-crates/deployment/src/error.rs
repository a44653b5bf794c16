use std::io;
use std::path::PathBuf;

use base::DeploymentId;
use devnet::{SpecError, TargetError};

/// Why a driver could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// There is no such deployment.
    #[error(
        "there is no deployment `{id}` under the driver `{driver}`; `deploy status` lists them"
    )]
    Unknown {
        /// The driver.
        driver: &'static str,
        /// The deployment.
        id: DeploymentId,
    },
    /// There is one already.
    #[error("the deployment `{0}` exists already; take it down first with `deploy down`")]
    Exists(DeploymentId),
    /// The network cannot exist.
    #[error("the network cannot exist: {}", join(.0))]
    Spec(Vec<SpecError>),
    /// The driver does not do this.
    #[error("action `{action}`: {problem}")]
    Action {
        /// Name of the action.
        action: String,
        /// Why it cannot be performed, and what can be done instead.
        problem: String,
    },
    /// The action names nodes that do not exist.
    #[error("action `{action}`: {source}")]
    Targets {
        /// Name of the action.
        action: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// There is no such node.
    #[error("the deployment `{id}` has no node or role `{name}`")]
    UnknownNode {
        /// The deployment.
        id: DeploymentId,
        /// What was asked for.
        name: String,
    },
    /// The machine did not let the network come up. It says nothing about the network.
    #[error("the deployment `{id}` could not be brought up: {reason} ({attempts} attempts)")]
    Infra {
        /// The deployment.
        id: DeploymentId,
        /// What went wrong the last time.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The deployment never started, so there is nothing to see.
    #[error("nothing was observed of the deployment `{id}`: {reason}")]
    Unobserved {
        /// The deployment.
        id: DeploymentId,
        /// Why.
        reason: String,
    },
    /// The deployment's supervisor did not do what it was asked for.
    #[error("the supervisor of `{id}` did not answer: {reason}")]
    Supervisor {
        /// The deployment.
        id: DeploymentId,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file could not be used.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried, such as `write`.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file does not have its format.
    #[error("{path} is damaged or was written by another version: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Samples could not be read or stored.
    #[error("the samples of `{id}` cannot be used")]
    Samples {
        /// The deployment.
        id: DeploymentId,
        /// Why.
        #[source]
        source: samples::ArchiveError,
    },
    /// A file could not be written in its canonical form.
    #[error(transparent)]
    Canonical(#[from] base::CanonicalError),
    /// The simulation stopped.
    #[error("the simulation of `{id}` stopped")]
    Simulation {
        /// The deployment.
        id: DeploymentId,
        /// Why.
        #[source]
        source: simulator::SimulationError,
    },
    /// The operation is not possible on this system.
    #[error("the driver `process` needs Linux: it finds its processes in /proc")]
    Platform,
}

fn join(problems: &[SpecError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
