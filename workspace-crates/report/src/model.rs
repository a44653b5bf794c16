//! The report as values: what every rendering shows, without any format.

mod finding;
mod front;
mod hypothesis;
mod phase;
mod verdict;

use base::{Digest, Instant, PipelineId};
use serde::Serialize;

use crate::{Host, Input, LedgerState, TimelineItem, clean};

pub use finding::{FindingModel, MeasureModel, WaiverModel};
pub use front::{AdvisoryModel, FrontWaiver, UpcomingModel};
pub use hypothesis::{Answer, HypothesisGate, HypothesisModel};
pub use phase::{PhaseModel, TrackModel};
pub use verdict::{TrackVerdict, Verdict};

/// Everything that a report shows. Foreign text in it is cleaned (see [`crate::clean`]).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportModel {
    /// Version of this format; 1.
    pub schema: u32,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its title.
    pub title: String,
    /// What it is for.
    pub summary: String,
    /// ISO week: `2026-W03`.
    pub week: String,
    /// The instant of the judgement.
    pub at: Instant,
    /// Until when the report stands: when the next one is due. Nothing when none is planned.
    pub valid_until: Option<Instant>,
    /// Name and version of the evaluator.
    pub evaluator: String,
    /// Digest of the resolved pipeline.
    pub policy: Digest,
    /// What was decided, first of all.
    pub verdict: Verdict,
    /// What a reader has to know before reading on: rehearsal, one signer, kind of evidence.
    pub notices: Vec<String>,
    /// Waivers that count.
    pub waivers: Vec<FrontWaiver>,
    /// Gates that are shown and do not block.
    pub advisory: Vec<AdvisoryModel>,
    /// What is not known, as full sentences.
    pub not_known: Vec<String>,
    /// What happens next, in time order.
    pub upcoming: Vec<UpcomingModel>,
    /// Every phase of the pipeline.
    pub phases: Vec<PhaseModel>,
    /// What the programme is meant to find out, and the answers so far.
    pub hypotheses: Vec<HypothesisModel>,
    /// The course of the programme, in time order.
    pub timeline: Vec<TimelineItem>,
    /// What the network ran on.
    pub host: Host,
    /// The ledger before the entries of this judgement.
    pub ledger: LedgerState,
}

/// Builds the report.
#[must_use]
pub fn build(input: &Input<'_>) -> ReportModel {
    let phases = phase::phases(input);
    let mut timeline = input.timeline.clone();
    timeline.sort_by_key(|item| item.at);
    ReportModel {
        schema: 1,
        pipeline: input.pipeline.id.clone(),
        title: clean(&input.pipeline.title),
        summary: clean(&input.pipeline.summary),
        week: clean(&input.week),
        at: input.evaluation.at,
        valid_until: input.valid_until,
        evaluator: clean(&input.evaluation.evaluator),
        policy: input.evaluation.policy,
        verdict: verdict::verdict(input),
        notices: front::notices(input),
        waivers: front::waivers(input),
        advisory: front::advisory(input),
        not_known: front::not_known(input),
        upcoming: front::upcoming(input),
        phases,
        hypotheses: hypothesis::hypotheses(input),
        timeline,
        host: clean_host(&input.host),
        ledger: input.ledger.clone(),
    }
}

fn clean_host(host: &Host) -> Host {
    let epoch_evidence = match &host.epoch_evidence {
        crate::EpochEvidence::Proof(system) => crate::EpochEvidence::Proof(clean(system)),
        other => other.clone(),
    };
    Host {
        name: clean(&host.name),
        simulated: host.simulated,
        signatures: clean(&host.signatures),
        epoch_evidence,
    }
}

fn clean_all(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| clean(text)).collect()
}
