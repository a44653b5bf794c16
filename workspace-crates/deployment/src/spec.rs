use base::{DeploymentId, Instant, PhaseId, PipelineId, Track};
use devnet::{NetworkSpec, ScheduledAction};
use serde::{Deserialize, Serialize};

/// Everything that makes one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSpec {
    /// Names the deployment.
    pub id: DeploymentId,
    /// The pipeline that it is for.
    pub pipeline: PipelineId,
    /// The phase that it is for.
    pub phase: PhaseId,
    /// The track that it is for.
    pub track: Track,
    /// Which attempt at the track, from 1.
    pub attempt: u32,
    /// The network.
    pub network: NetworkSpec,
    /// What is done to the network, with times counted from `start`.
    pub schedule: Vec<ScheduledAction>,
    /// When the network is to start. A driver in real time starts at once and reports when.
    pub start: Instant,
}
