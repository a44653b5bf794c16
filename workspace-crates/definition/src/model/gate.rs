use std::fmt;

use base::{Duration, GateId, Instant, PhaseId, Track};
use diagnostics::Location;
use serde::{Deserialize, Serialize, Serializer};

use super::Text;
use crate::Params;

/// Whether a gate stands before or behind its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It has to pass before the track is deployed.
    Entry,
    /// It has to pass before the track is left.
    Exit,
}

/// One check on entry to or exit from one track of a phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// Its name within the phase; `<stage>.<gate>` when the stage includes it from another.
    pub id: GateId,
    /// What it is called in reports.
    pub title: String,
    /// Which evaluator judges it.
    pub kind: String,
    /// Where the kind is named.
    #[serde(skip)]
    pub kind_location: Location,
    /// The track that it guards.
    pub track: Track,
    /// Whether it guards the entry to or the exit from the track.
    pub on: Side,
    /// What its evaluator needs to know; never empty.
    pub params: Params,
    /// It is judged and shown, and never blocks.
    pub advisory: bool,
    /// What a failure does to the phase.
    pub on_fail: OnFail,
    /// Oldest evidence that counts; no limit when nothing is said.
    pub max_age: Option<Duration>,
    /// When it has to have passed.
    pub deadline: Option<Deadline>,
    /// Who has to act when it does not pass: a role or a principal.
    pub owner: Option<String>,
    /// One sentence for participants.
    pub why: String,
    /// What must make it fail.
    pub control: Control,
    /// Where the gate stands.
    #[serde(skip)]
    pub location: Location,
}

/// What a failed gate does to its phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The phase stays where it is.
    Hold,
    /// The programme goes back to this phase: the gate's own, or one before it.
    Reset(PhaseId),
}

/// When a gate has to have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// This long after its track was entered.
    After(Duration),
    /// At this instant.
    At(Instant),
}

/// The positive control of a gate: what must make it fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// A defect of the reference network.
    Defect(String),
    /// A file of bad evidence, relative to the root of the definitions.
    BadSample(String),
}

/// A PromQL expression that is true (1) or false (0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The name that soaks use; `<stage>.<name>` when the stage includes it from another.
    pub name: String,
    /// What it is called in reports.
    pub title: String,
    /// The expression, with stage parameters filled in.
    pub query: Text,
}

/// Something done to a running network at a set time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operation {
    /// Its name within the phase.
    pub id: String,
    /// The track on which it is done.
    pub track: Track,
    /// How long after the start of the deployment.
    pub at: Duration,
    /// What is done; the driver reads it.
    pub action: Params,
    /// Where the operation stands.
    #[serde(skip)]
    pub location: Location,
}

/// A gate of a pipeline, written `phase-4/internal-soak`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GateRef {
    /// The phase.
    pub phase: PhaseId,
    /// The gate within the phase.
    pub gate: GateId,
}

impl fmt::Display for GateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.phase, self.gate)
    }
}

impl Serialize for GateRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
