use base::{Digest, Instant, PhaseId, PipelineId, Subject, Track, VerdictKind};
use serde::{Deserialize, Serialize};

use crate::Finding;

/// The judgement of all open phases at one instant: a pure function of definition, ledger,
/// evidence and instant. Its canonical JSON is what a stranger recomputes byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Version of this format; 1.
    pub schema: u32,
    /// Name and version of the evaluator, such as `phasegate/0.1.0`.
    pub evaluator: String,
    /// The pipeline that was judged.
    pub pipeline: PipelineId,
    /// Digest of the resolved pipeline.
    pub policy: Digest,
    /// The instant of the judgement.
    pub at: Instant,
    /// Open phases in the pipeline's order, internal before public.
    pub phases: Vec<PhaseEvaluation>,
}

/// The judgement of one track of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseEvaluation {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// Which attempt at this track this is, from 1.
    pub attempt: u32,
    /// What the evidence has to be about; `None` when nothing is deployed.
    pub subject: Option<Subject>,
    /// What was decided.
    pub verdict: VerdictKind,
    /// For a reset: the phase that the programme goes back to.
    pub reset_to: Option<PhaseId>,
    /// All reasons, most severe first, as full sentences; never empty.
    pub reasons: Vec<String>,
    /// Waivers that overlaid a finding.
    pub waivers: Vec<WaiverNote>,
    /// Findings in the order of the definition.
    pub findings: Vec<Finding>,
}

/// A waiver as it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverNote {
    /// The gate that is waived.
    pub gate: base::GateId,
    /// Why.
    pub reason: String,
    /// Until when; it stops counting at that instant.
    pub expires: Instant,
    /// Sequence number of the ledger entry.
    pub entry: u64,
}
