use base::{GateId, Instant, Outcome, PhaseId, Track};
use gates::{Finding, PhaseEvaluation};
use serde::Serialize;

use crate::{EpochEvidence, Input, NextStep, clean, words};

/// A waiver on the first page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrontWaiver {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The gate that is waived.
    pub gate: GateId,
    /// What was found there.
    pub outcome: Option<Outcome>,
    /// Why it is waived.
    pub reason: String,
    /// Until when.
    pub expires: Instant,
    /// Its entry in the ledger.
    pub entry: u64,
}

/// An advisory gate on the first page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdvisoryModel {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The gate.
    pub gate: GateId,
    /// Its title.
    pub title: String,
    /// What was found.
    pub outcome: Outcome,
    /// The first reason.
    pub reason: String,
}

/// What happens to a phase next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpcomingModel {
    /// When.
    pub at: Instant,
    /// The phase.
    pub phase: PhaseId,
    /// What.
    pub step: NextStep,
}

/// What a reader has to know before reading on.
pub(super) fn notices(input: &Input<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    if input.host.simulated {
        notices.push(
            "This is a rehearsal in virtual time: the nodes ran in a simulator, and no machine ran for the hours that are shown."
                .to_owned(),
        );
    }
    if input.solo {
        notices.push(
            "One person signs alone in this project (policy `solo`): nobody else has approved what this report says."
                .to_owned(),
        );
    }
    notices.push(match &input.host.epoch_evidence {
        EpochEvidence::SignedReExecution => {
            "Epochs are confirmed by signed re-execution: a prover executes the epoch again and signs the result. No cryptographic proof was made."
                .to_owned()
        }
        EpochEvidence::Proof(system) => format!("Epochs are proven with {}.", clean(system)),
    });
    notices
}

fn tracks<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a PhaseEvaluation> {
    input.evaluation.phases.iter()
}

fn findings<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'a PhaseEvaluation, &'a Finding)> {
    tracks(input).flat_map(|track| track.findings.iter().map(move |finding| (track, finding)))
}

/// Every waiver that was applied.
pub(super) fn waivers(input: &Input<'_>) -> Vec<FrontWaiver> {
    let waivers = tracks(input).flat_map(|track| track.waivers.iter().map(move |one| (track, one)));
    waivers
        .map(|(track, waiver)| FrontWaiver {
            phase: track.phase.clone(),
            track: track.track,
            gate: waiver.gate.clone(),
            outcome: track
                .findings
                .iter()
                .find(|finding| finding.gate == waiver.gate)
                .map(|finding| finding.outcome),
            reason: clean(&waiver.reason),
            expires: waiver.expires,
            entry: waiver.entry,
        })
        .collect()
}

/// Every advisory gate.
pub(super) fn advisory(input: &Input<'_>) -> Vec<AdvisoryModel> {
    let advisory = findings(input).filter(|(_, finding)| finding.advisory);
    advisory
        .map(|(track, finding)| AdvisoryModel {
            phase: track.phase.clone(),
            track: track.track,
            gate: finding.gate.clone(),
            title: clean(&finding.title),
            outcome: finding.outcome,
            reason: finding.reasons.first().map(|reason| clean(reason)).unwrap_or_default(),
        })
        .collect()
}

/// Every gate that found nothing out, and what the engine adds.
pub(super) fn not_known(input: &Input<'_>) -> Vec<String> {
    let open = findings(input)
        .filter(|(_, finding)| matches!(finding.outcome, Outcome::Inconclusive | Outcome::Error));
    let open = open.map(|(track, finding)| {
        let reason = finding.reasons.first().map(String::as_str).unwrap_or("No reason was given.");
        format!(
            "{}, {} track, {}: {}",
            words::phase_name(&track.phase),
            track.track,
            clean(&finding.title),
            clean(reason)
        )
    });
    open.chain(input.not_known.iter().map(|text| clean(text))).collect()
}

/// What happens next, in time order.
pub(super) fn upcoming(input: &Input<'_>) -> Vec<UpcomingModel> {
    let mut upcoming: Vec<UpcomingModel> = input
        .phases
        .iter()
        .filter_map(|row| {
            let next = row.next?;
            Some(UpcomingModel { at: next.at, phase: row.phase.clone(), step: next.step })
        })
        .collect();
    upcoming.sort_by_key(|next| (next.at, next.step));
    upcoming
}
