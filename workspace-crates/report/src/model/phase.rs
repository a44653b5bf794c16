use base::{PhaseId, Subject, Track, VerdictKind};
use gates::PhaseEvaluation;
use serde::Serialize;

use super::{FindingModel, clean_all, finding};
use crate::{Input, NextEvent, PhaseRow, Standing, TrackRow, clean, words};

/// One phase of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseModel {
    /// The phase.
    pub phase: PhaseId,
    /// How sentences call it: `Phase 1`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What happens in it.
    pub summary: String,
    /// Where it stands.
    pub standing: Standing,
    /// The same in a sentence.
    pub state: String,
    /// Which attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Its internal track.
    pub internal: TrackRow,
    /// Its public track.
    pub public: TrackRow,
    /// What happens to it next.
    pub next: Option<NextEvent>,
    /// The tracks that were judged, internal first.
    pub tracks: Vec<TrackModel>,
}

/// The judgement of one track.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackModel {
    /// The track.
    pub track: Track,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// What was decided.
    pub verdict: VerdictKind,
    /// For a reset: where the programme goes back to.
    pub reset_to: Option<PhaseId>,
    /// What the evidence is about; `None` when nothing was deployed.
    pub subject: Option<Subject>,
    /// All reasons, most severe first.
    pub reasons: Vec<String>,
    /// The gates, in the order of the definition.
    pub findings: Vec<FindingModel>,
}

/// Every phase, in the order of the rows.
pub(super) fn phases(input: &Input<'_>) -> Vec<PhaseModel> {
    input.phases.iter().map(|row| phase(input, row)).collect()
}

fn phase(input: &Input<'_>, row: &PhaseRow) -> PhaseModel {
    let defined = input.pipeline.phase(&row.phase);
    let judged = input.evaluation.phases.iter().filter(|one| one.phase == row.phase);
    PhaseModel {
        phase: row.phase.clone(),
        name: words::phase_name(&row.phase),
        title: defined.map(|phase| clean(&phase.title)).unwrap_or_default(),
        summary: defined.map(|phase| clean(&phase.summary)).unwrap_or_default(),
        standing: row.standing,
        state: clean(&row.state),
        attempt: row.attempt,
        internal: row.internal.clone(),
        public: row.public.clone(),
        next: row.next,
        tracks: judged.map(track).collect(),
    }
}

fn track(evaluation: &PhaseEvaluation) -> TrackModel {
    TrackModel {
        track: evaluation.track,
        attempt: evaluation.attempt,
        verdict: evaluation.verdict,
        reset_to: evaluation.reset_to.clone(),
        subject: evaluation.subject.as_ref().map(subject),
        reasons: clean_all(&evaluation.reasons),
        findings: finding::findings(evaluation),
    }
}

fn subject(subject: &Subject) -> Subject {
    let artifacts = subject.artifacts.iter().map(|(name, digest)| (clean(name), *digest));
    let versions = subject.versions.iter().map(|(name, version)| (clean(name), clean(version)));
    Subject {
        network: subject.network.clone(),
        artifacts: artifacts.collect(),
        configuration: subject.configuration,
        versions: versions.collect(),
    }
}
