//! The model in words: every number, date and outcome as the text that people read.
//!
//! Markdown and HTML are made from these texts, so that they say the same.

mod gate;
mod phase;

use base::{Outcome, VerdictKind};
use serde::Serialize;

use crate::model::{Answer, HypothesisModel};
use crate::{NextStep, ReportModel, chart, words};

pub(crate) use gate::{GateView, MeasureView};
pub(crate) use phase::{PhaseView, TrackView};

/// A whole report in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    pub(crate) pipeline: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) week: String,
    pub(crate) at: String,
    pub(crate) at_exact: String,
    pub(crate) evaluator: String,
    pub(crate) policy: String,
    pub(crate) verdict: Badge,
    pub(crate) sentence: String,
    pub(crate) verdicts: Vec<VerdictView>,
    pub(crate) notices: Vec<String>,
    pub(crate) waivers: Vec<WaiverRow>,
    pub(crate) advisory: Vec<AdvisoryRow>,
    pub(crate) not_known: Vec<String>,
    pub(crate) upcoming: Vec<UpcomingView>,
    pub(crate) phases: Vec<PhaseView>,
    pub(crate) hypotheses: Vec<HypothesisView>,
    pub(crate) timeline: Option<String>,
    pub(crate) host: Vec<Fact>,
    pub(crate) ledger: Vec<Fact>,
    pub(crate) namespace: &'static str,
}

/// A word with the class of its colour; the word alone says it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Badge {
    pub(crate) class: &'static str,
    pub(crate) label: &'static str,
}

/// A name and what it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct VerdictView {
    pub(crate) track: String,
    pub(crate) badge: Badge,
    pub(crate) sentence: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaiverRow {
    pub(crate) place: String,
    pub(crate) badge: Option<Badge>,
    pub(crate) reason: String,
    pub(crate) expires: String,
    pub(crate) entry: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct AdvisoryRow {
    pub(crate) place: String,
    pub(crate) title: String,
    pub(crate) badge: Badge,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpcomingView {
    pub(crate) at: String,
    pub(crate) what: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct HypothesisView {
    pub(crate) statement: String,
    pub(crate) badge: Badge,
    pub(crate) gates: Vec<HypothesisGateView>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct HypothesisGateView {
    pub(crate) gate: String,
    pub(crate) answer: String,
}

impl View {
    /// Puts a model into words.
    pub(crate) fn of(model: &ReportModel) -> Self {
        Self {
            pipeline: model.pipeline.to_string(),
            title: model.title.clone(),
            summary: model.summary.clone(),
            week: model.week.clone(),
            at: words::long_date(model.at),
            at_exact: model.at.to_string(),
            evaluator: model.evaluator.clone(),
            policy: model.policy.to_string(),
            verdict: model.verdict.kind.map_or(NOTHING_OPEN, verdict_badge),
            sentence: model.verdict.sentence.clone(),
            verdicts: verdicts(model),
            notices: model.notices.clone(),
            waivers: waivers(model),
            advisory: advisory(model),
            not_known: model.not_known.clone(),
            upcoming: upcoming(model),
            phases: model.phases.iter().map(PhaseView::of).collect(),
            hypotheses: model.hypotheses.iter().map(hypothesis).collect(),
            timeline: chart::timeline(&model.phases, &model.timeline, model.at),
            host: host(model),
            ledger: ledger(model),
            namespace: ledger::REPORT_NAMESPACE,
        }
    }
}

const NOTHING_OPEN: Badge = Badge { class: "none", label: "Nothing open" };

pub(crate) fn verdict_badge(verdict: VerdictKind) -> Badge {
    let class = match verdict {
        VerdictKind::Advance => "advance",
        VerdictKind::Hold => "hold",
        VerdictKind::Reset => "reset",
    };
    Badge { class, label: words::verdict(verdict) }
}

pub(crate) fn outcome_badge(outcome: Outcome) -> Badge {
    Badge { class: outcome.as_str(), label: words::outcome(outcome) }
}

fn verdicts(model: &ReportModel) -> Vec<VerdictView> {
    let tracks = model.verdict.tracks.iter();
    tracks
        .map(|one| VerdictView {
            track: format!("{}, {}", words::phase_name(&one.phase), one.track),
            badge: verdict_badge(one.verdict),
            sentence: one.sentence.clone(),
        })
        .collect()
}

fn waivers(model: &ReportModel) -> Vec<WaiverRow> {
    let waivers = model.waivers.iter();
    waivers
        .map(|waiver| WaiverRow {
            place: place(&waiver.phase, waiver.track, &waiver.gate),
            badge: waiver.outcome.map(outcome_badge),
            reason: waiver.reason.clone(),
            expires: words::short_date(waiver.expires),
            entry: waiver.entry,
        })
        .collect()
}

fn place(phase: &base::PhaseId, track: base::Track, gate: &base::GateId) -> String {
    format!("{}, {track}, {gate}", words::phase_name(phase))
}

fn advisory(model: &ReportModel) -> Vec<AdvisoryRow> {
    let advisory = model.advisory.iter();
    advisory
        .map(|gate| AdvisoryRow {
            place: place(&gate.phase, gate.track, &gate.gate),
            title: gate.title.clone(),
            badge: outcome_badge(gate.outcome),
            reason: gate.reason.clone(),
        })
        .collect()
}

fn upcoming(model: &ReportModel) -> Vec<UpcomingView> {
    let upcoming = model.upcoming.iter();
    upcoming
        .map(|next| {
            let name = words::phase_name(&next.phase);
            let what = match next.step {
                NextStep::Evaluation => format!("{name} is judged."),
                NextStep::PublicDeployment => format!("{name} is deployed publicly."),
                NextStep::InternalDeployment => format!("{name} is deployed internally."),
            };
            UpcomingView { at: words::short_date(next.at), what }
        })
        .collect()
}

fn hypothesis(hypothesis: &HypothesisModel) -> HypothesisView {
    let badge = match hypothesis.answer {
        Answer::Holds => Badge { class: "pass", label: "Holds" },
        Answer::DoesNotHold => Badge { class: "fail", label: "Does not hold" },
        Answer::NotKnown => Badge { class: "inconclusive", label: "Not known yet" },
    };
    let gates = hypothesis.gates.iter().map(|gate| {
        let answer = match (gate.outcome, gate.at) {
            (Some(outcome), Some(at)) => {
                let waived = if gate.waived { ", waived" } else { "" };
                format!("{}{waived} ({})", words::outcome(outcome), words::short_date(at))
            }
            _ => "not judged yet".to_owned(),
        };
        HypothesisGateView { gate: gate.gate.clone(), answer }
    });
    HypothesisView { statement: hypothesis.statement.clone(), badge, gates: gates.collect() }
}

fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into() }
}

fn host(model: &ReportModel) -> Vec<Fact> {
    let time = if model.host.simulated { "virtual" } else { "real" };
    let evidence = match &model.host.epoch_evidence {
        crate::EpochEvidence::SignedReExecution => "signed re-execution".to_owned(),
        crate::EpochEvidence::Proof(system) => format!("proof ({system})"),
    };
    vec![
        fact("Network host", model.host.name.clone()),
        fact("Time", time),
        fact("Signatures", model.host.signatures.clone()),
        fact("Behind a final epoch", evidence),
    ]
}

fn ledger(model: &ReportModel) -> Vec<Fact> {
    let until = match model.valid_until {
        Some(until) => format!("{until}, when the next report is due"),
        None => "not stated".to_owned(),
    };
    vec![
        fact("Stands until", until),
        fact("Evaluator", model.evaluator.clone()),
        fact("Rules (digest of the resolved pipeline)", model.policy.to_string()),
        fact("Ledger (digest of its genesis)", model.ledger.genesis.to_string()),
        fact(
            &format!("Ledger head before this report (entry {})", model.ledger.seq),
            model.ledger.head.to_string(),
        ),
    ]
}
