use std::collections::BTreeMap;

use base::{Digest, Duration, Instant, Outcome, PhaseId, Track, VerdictKind};
use definition::{GateRef, Pipeline};
use gates::Evaluation;
use serde::Serialize;

/// Everything that a report is made of. The engine fills it; nothing else is read.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The pipeline that was judged.
    pub pipeline: &'a Pipeline,
    /// The judgement.
    pub evaluation: &'a Evaluation,
    /// ISO week of the report, such as `2026-W03`.
    pub week: String,
    /// Until when the report stands: when the next one is due. Nothing when none is planned.
    pub valid_until: Option<Instant>,
    /// Where every phase stands after the judgement, in the order of the pipeline.
    pub phases: Vec<PhaseRow>,
    /// The latest outcome of each gate that was ever judged, by which hypotheses are answered.
    pub answers: BTreeMap<GateRef, GateAnswer>,
    /// Whether one person signs alone (the `solo` policy); the report says so on its first page.
    pub solo: bool,
    /// What the network ran on.
    pub host: Host,
    /// The ledger before the entries of this judgement.
    pub ledger: LedgerState,
    /// What happened in the programme so far, and what is planned.
    pub timeline: Vec<TimelineItem>,
    /// What is not known beyond the findings, as full sentences.
    pub not_known: Vec<String>,
}

/// Where a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It waits for a phase before it.
    Locked,
    /// It can be deployed internally.
    Ready,
    /// It runs internally.
    Internal,
    /// Its internal gates pass; it waits for its release.
    Approved,
    /// It runs in public.
    Public,
    /// It is done.
    Complete,
}

/// One phase as it stands after the judgement.
#[derive(Debug, Clone)]
pub struct PhaseRow {
    /// The phase.
    pub phase: PhaseId,
    /// Where it stands.
    pub standing: Standing,
    /// The same in one full sentence, with what blocks it.
    pub state: String,
    /// Which attempt at the phase this is, from 1; 0 before the first.
    pub attempt: u32,
    /// Its internal track.
    pub internal: TrackRow,
    /// Its public track.
    pub public: TrackRow,
    /// What happens to it next.
    pub next: Option<NextEvent>,
}

/// One track of a phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrackRow {
    /// When the current attempt was deployed.
    pub deployed: Option<Instant>,
    /// When the track was passed.
    pub passed: Option<Instant>,
    /// How long the soak has held.
    pub accrued: Option<Duration>,
    /// How long it has to hold.
    pub required: Option<Duration>,
}

/// The next event of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NextEvent {
    /// When.
    pub at: Instant,
    /// What.
    pub step: NextStep,
}

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// It is judged.
    Evaluation,
    /// It is deployed publicly.
    PublicDeployment,
    /// It is deployed internally.
    InternalDeployment,
}

/// The latest outcome of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateAnswer {
    /// What was found.
    pub outcome: Outcome,
    /// Whether a waiver overlaid it; a waived gate answers no hypothesis.
    pub waived: bool,
    /// When.
    pub at: Instant,
}

/// What the network ran on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Its name, such as `simulator` or `process`.
    pub name: String,
    /// Whether time was virtual.
    pub simulated: bool,
    /// The signature scheme of the nodes, such as `Ed25519`.
    pub signatures: String,
    /// What stands behind a final epoch.
    pub epoch_evidence: EpochEvidence,
}

/// What stands behind a final epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochEvidence {
    /// A prover executes the epoch again and signs what it found. This is not a proof.
    SignedReExecution,
    /// A proof of this proof system.
    Proof(String),
}

/// The ledger at one point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerState {
    /// Digest of the genesis entry: which ledger it is.
    pub genesis: Digest,
    /// Digest of the last entry.
    pub head: Digest,
    /// Sequence number of the last entry.
    pub seq: u64,
}

/// One thing in the course of the programme.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineItem {
    /// When.
    pub at: Instant,
    /// Which phase.
    pub phase: PhaseId,
    /// Which track.
    pub track: Track,
    /// What.
    pub event: TimelineEvent,
    /// Whether it lies ahead and may still change.
    pub planned: bool,
}

/// What is shown on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineEvent {
    /// A network was brought up.
    Deployed,
    /// It was judged.
    Evaluated(VerdictKind),
    /// It was taken down.
    Ended,
}
