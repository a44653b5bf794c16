use base::{Digest, GateId, Instant, Outcome};
use gates::{
    Coverage, Explanation, Finding, Measure, PhaseEvaluation, Relation, Series, SoakProgress,
    WaiverNote,
};
use serde::Serialize;

use super::clean_all;
use crate::clean;

/// The judgement of one gate as a report shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingModel {
    /// The gate.
    pub gate: GateId,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Whether it is shown without blocking.
    pub advisory: bool,
    /// Who acts when it does not pass.
    pub owner: Option<String>,
    /// Why it exists.
    pub why: String,
    /// What was found; a waiver does not change it.
    pub outcome: Outcome,
    /// The waiver that overlays it.
    pub waiver: Option<WaiverModel>,
    /// The rule with its threshold.
    pub rule: String,
    /// Why the outcome is what it is.
    pub reasons: Vec<String>,
    /// Measured values against their thresholds.
    pub measures: Vec<MeasureModel>,
    /// How much of the expected evidence was there.
    pub coverage: Option<Coverage>,
    /// Progress of a soak.
    pub soak: Option<SoakProgress>,
    /// Digests of the evidence that was used.
    pub evidence: Vec<Digest>,
    /// Queries by name.
    pub queries: Vec<(String, String)>,
    /// How the values were computed.
    pub steps: Vec<String>,
    /// First breach of the rule.
    pub first_breach: Option<Instant>,
    /// Last breach of the rule.
    pub last_breach: Option<Instant>,
    /// The smallest change that would turn the outcome.
    pub would_change: Option<String>,
    /// What is drawn. Left out of the JSON form: the evaluation next to it has every point.
    #[serde(skip)]
    pub series: Vec<Series>,
}

/// One measured value against its threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureModel {
    /// What was measured.
    pub name: String,
    /// The value; `None` when it could not be measured.
    pub value: Option<f64>,
    /// Unit of value and threshold.
    pub unit: String,
    /// How it is compared.
    pub relation: Relation,
    /// The threshold.
    pub threshold: f64,
    /// Distance to the threshold; positive when the rule is met with room to spare.
    pub distance: Option<f64>,
    /// Whether the value meets its threshold; `None` when it could not be measured.
    pub met: Option<bool>,
}

/// A waiver as it was applied.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaiverModel {
    /// Why.
    pub reason: String,
    /// Until when it counts.
    pub expires: Instant,
    /// Its entry in the ledger.
    pub entry: u64,
}

/// The findings of one judged track.
pub(super) fn findings(evaluation: &PhaseEvaluation) -> Vec<FindingModel> {
    let waiver = |gate: &GateId| evaluation.waivers.iter().find(|waiver| waiver.gate == *gate);
    evaluation.findings.iter().map(|finding| model(finding, waiver(&finding.gate))).collect()
}

fn model(finding: &Finding, waiver: Option<&WaiverNote>) -> FindingModel {
    let Explanation { queries, steps, first_breach, last_breach, would_change, series } =
        &finding.explanation;
    FindingModel {
        gate: finding.gate.clone(),
        title: clean(&finding.title),
        kind: clean(&finding.kind),
        advisory: finding.advisory,
        owner: finding.owner.as_deref().map(clean),
        why: clean(&finding.why),
        outcome: finding.outcome,
        waiver: waiver.map(|waiver| WaiverModel {
            reason: clean(&waiver.reason),
            expires: waiver.expires,
            entry: waiver.entry,
        }),
        rule: clean(&finding.rule),
        reasons: clean_all(&finding.reasons),
        measures: finding.measures.iter().map(measure).collect(),
        coverage: finding.coverage.clone(),
        soak: finding.soak.as_ref().map(soak),
        evidence: finding.evidence.clone(),
        queries: queries.iter().map(|(name, query)| (clean(name), clean(query))).collect(),
        steps: clean_all(steps),
        first_breach: *first_breach,
        last_breach: *last_breach,
        would_change: would_change.as_deref().map(clean),
        series: series.iter().map(clean_series).collect(),
    }
}

fn measure(measure: &Measure) -> MeasureModel {
    let value = measure.value.filter(|value| value.is_finite());
    let threshold = measure.threshold;
    let met = value.map(|value| match measure.relation {
        Relation::AtLeast => value >= threshold,
        Relation::Above => value > threshold,
        Relation::Below => value < threshold,
        Relation::AtMost => value <= threshold,
        Relation::Equals => value == threshold,
    });
    MeasureModel {
        name: clean(&measure.name),
        value,
        unit: clean(&measure.unit),
        relation: measure.relation,
        threshold,
        distance: value.and(measure.distance()),
        met,
    }
}

fn soak(soak: &SoakProgress) -> SoakProgress {
    let mut soak = soak.clone();
    for one in &mut soak.breaks {
        one.condition = clean(&one.condition);
    }
    soak
}

fn clean_series(series: &Series) -> Series {
    Series { title: clean(&series.title), unit: clean(&series.unit), ..series.clone() }
}
