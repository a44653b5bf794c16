use std::collections::BTreeMap;

use base::{GateId, Instant, Outcome, PhaseId, Subject, Track, VerdictKind};
use definition::{Deadline, OnFail, Phase, Side};

use crate::{
    ApprovalFact, Context, DeploymentFacts, EarlierPass, Finding, Judgement, PhaseEvaluation,
    Question, StoredRecord, Waiver, WaiverNote, kinds,
};

/// Everything that one track of one phase is judged by.
#[derive(Clone, Copy)]
pub struct PhaseFacts<'a> {
    /// The instant of the judgement.
    pub at: Instant,
    /// The phase.
    pub phase: &'a Phase,
    /// The track.
    pub track: Track,
    /// Only gates of this side are judged; `None` judges both.
    pub side: Option<Side>,
    /// Which attempt at the track it is, from 1.
    pub attempt: u32,
    /// The deployment of the track; `None` when nothing is deployed.
    pub deployment: Option<DeploymentFacts<'a>>,
    /// What would be deployed, where nothing is: waivers of entry gates are limited to it.
    pub candidate: Option<&'a Subject>,
    /// Collected records by gate, oldest first.
    pub records: &'a BTreeMap<GateId, Vec<StoredRecord>>,
    /// Approvals of the phase, in the order of the ledger.
    pub approvals: &'a [ApprovalFact],
    /// Last passing evaluations by gate, newest last.
    pub earlier: &'a BTreeMap<GateId, Vec<EarlierPass>>,
    /// Waivers of the ledger; those that do not count are left aside.
    pub waivers: &'a [Waiver],
}

impl<'a> PhaseFacts<'a> {
    /// What the evidence has to be about.
    #[must_use]
    pub fn subject(&self) -> Option<&'a Subject> {
        self.deployment.map(|deployment| deployment.candidate).or(self.candidate)
    }

    fn context(&self, gate: &'a definition::Gate) -> Context<'a> {
        Context {
            at: self.at,
            phase: self.phase,
            gate,
            deployment: self.deployment,
            records: self.records.get(&gate.id).map_or(&[], Vec::as_slice),
            approvals: self.approvals,
            earlier: self.earlier.get(&gate.id).map_or(&[], Vec::as_slice),
        }
    }
}

/// What the server of a gate still has to be asked before the gate can be judged: with no record
/// of answers everything, after they were collected nothing. Gates without a server ask nothing.
#[must_use]
pub fn questions(facts: &PhaseFacts<'_>, gate: &definition::Gate) -> Vec<Question> {
    questions_of(&facts.context(gate))
}

pub(crate) fn questions_of(context: &Context<'_>) -> Vec<Question> {
    let gate = kinds::parse(context.gate, context.phase);
    gate.map_or_else(|_| Vec::new(), |gate| gate.judge(context).unanswered)
}

/// Judges one gate.
#[must_use]
pub fn judge_gate(context: &Context<'_>) -> Finding {
    match kinds::parse(context.gate, context.phase) {
        Ok(gate) => {
            let judgement = gate.judge(context);
            apply_deadline(judgement, context).into_finding(context, gate.rule())
        }
        Err(problems) => {
            let mut judgement = Judgement::error("The definition of this gate cannot be used.");
            judgement.reasons.extend(problems.iter().map(|p| format!("{}.", p.message)));
            judgement.into_finding(context, "The gate has no usable rule.".to_owned())
        }
    }
}

/// What is not known after the deadline counts as not reached.
fn apply_deadline(mut judgement: Judgement, context: &Context<'_>) -> Judgement {
    let deadline = match context.gate.deadline {
        Some(Deadline::At(at)) => Some(at),
        Some(Deadline::After(length)) => context.deployment.map(|d| d.started + length),
        None => None,
    };
    if let Some(deadline) = deadline
        && context.at >= deadline
        && judgement.outcome == Outcome::Inconclusive
    {
        judgement.outcome = Outcome::Fail;
        judgement.reasons.insert(0, format!("The gate had to pass by {deadline} and did not."));
    }
    judgement
}

/// Judges all gates of one track of a phase and decides: the most severe gate that is neither
/// advisory nor waived counts, and the reasons of all of them are kept.
#[must_use]
pub fn judge_phase(facts: &PhaseFacts<'_>) -> PhaseEvaluation {
    let gates: Vec<&definition::Gate> = facts
        .phase
        .gates
        .iter()
        .filter(|gate| gate.track == facts.track && facts.side.is_none_or(|side| gate.on == side))
        .collect();
    let findings: Vec<Finding> =
        gates.iter().map(|gate| judge_gate(&facts.context(gate))).collect();
    let waivers = waivers_in_use(facts, &findings);
    let (verdict, reset_to) = decide(&gates, &findings, &waivers, facts.phase);
    PhaseEvaluation {
        phase: facts.phase.id.clone(),
        track: facts.track,
        attempt: facts.attempt,
        subject: facts.subject().cloned(),
        verdict,
        reset_to,
        reasons: reasons(&findings, &waivers),
        waivers,
        findings,
    }
}

/// For each blocking finding the first waiver that covers it.
fn waivers_in_use(facts: &PhaseFacts<'_>, findings: &[Finding]) -> Vec<WaiverNote> {
    findings
        .iter()
        .filter(|finding| blocks(finding))
        .filter_map(|finding| {
            let covering = facts.waivers.iter().find(|waiver| {
                waiver.covers(&facts.phase.id, &finding.gate, facts.subject(), facts.at)
            })?;
            Some(WaiverNote {
                gate: finding.gate.clone(),
                reason: covering.reason.clone(),
                expires: covering.expires,
                entry: covering.entry,
            })
        })
        .collect()
}

fn blocks(finding: &Finding) -> bool {
    !finding.advisory && !finding.outcome.lets_advance()
}

fn is_waived(finding: &Finding, waivers: &[WaiverNote]) -> bool {
    waivers.iter().any(|waiver| waiver.gate == finding.gate)
}

/// Reset before hold before advance. Of several resets the one that goes back furthest counts:
/// a phase before this one weighs more than this one.
fn decide(
    gates: &[&definition::Gate],
    findings: &[Finding],
    waivers: &[WaiverNote],
    phase: &Phase,
) -> (VerdictKind, Option<PhaseId>) {
    let mut verdict = VerdictKind::Advance;
    let mut reset_to: Option<PhaseId> = None;
    for (gate, finding) in gates.iter().zip(findings) {
        if !blocks(finding) || is_waived(finding, waivers) {
            continue;
        }
        verdict = verdict.max(VerdictKind::Hold);
        if let (Outcome::Fail, OnFail::Reset(target)) = (finding.outcome, &gate.on_fail) {
            verdict = VerdictKind::Reset;
            if reset_to.as_ref().is_none_or(|current| *current == phase.id) {
                reset_to = Some(target.clone());
            }
        }
    }
    (verdict, reset_to)
}

/// The reasons of all findings that block, most severe first; otherwise that nothing blocks.
fn reasons(findings: &[Finding], waivers: &[WaiverNote]) -> Vec<String> {
    if findings.is_empty() {
        return vec!["No gate guards this track, so nothing blocks it.".to_owned()];
    }
    let mut blocking: Vec<&Finding> = findings.iter().filter(|finding| blocks(finding)).collect();
    // The sort is stable: equally severe gates stay in the order of the definition.
    blocking.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
    let mut reasons: Vec<String> = Vec::new();
    for finding in &blocking {
        let waived = if is_waived(finding, waivers) { " (waived)" } else { "" };
        for reason in &finding.reasons {
            reasons.push(format!("{}{waived}: {reason}", finding.title));
        }
    }
    if blocking.is_empty() {
        let required = findings.iter().filter(|finding| !finding.advisory).count();
        reasons.push(match required {
            1 => "The only required gate passes.".to_owned(),
            _ => format!("All {required} required gates pass."),
        });
    }
    reasons
}

#[cfg(test)]
mod tests;
