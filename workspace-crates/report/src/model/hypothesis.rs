use base::{Instant, Outcome};
use serde::Serialize;

use crate::{Input, clean};

/// Something that the programme is meant to find out, and the answer so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HypothesisModel {
    /// Its id.
    pub id: String,
    /// The statement.
    pub statement: String,
    /// The answer so far.
    pub answer: Answer,
    /// The gates that answer it.
    pub gates: Vec<HypothesisGate>,
}

/// The answer to a hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Every gate that answers it passes.
    Holds,
    /// A gate that answers it fails.
    DoesNotHold,
    /// A gate has not been judged, is not conclusive, or is waived.
    NotKnown,
}

/// One gate that answers a hypothesis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HypothesisGate {
    /// The gate, as `phase-4/throughput`.
    pub gate: String,
    /// Its latest outcome; `None` when it was never judged.
    pub outcome: Option<Outcome>,
    /// Whether that outcome is waived.
    pub waived: bool,
    /// When it was judged.
    pub at: Option<Instant>,
}

/// Every hypothesis of the pipeline with its answer.
pub(super) fn hypotheses(input: &Input<'_>) -> Vec<HypothesisModel> {
    let hypotheses = input.pipeline.hypotheses.iter();
    hypotheses
        .map(|hypothesis| {
            let gates: Vec<_> = hypothesis.gates.iter().map(|gate| answered(input, gate)).collect();
            HypothesisModel {
                id: clean(&hypothesis.id),
                statement: clean(&hypothesis.statement),
                answer: answer(&gates),
                gates,
            }
        })
        .collect()
}

fn answered(input: &Input<'_>, gate: &definition::GateRef) -> HypothesisGate {
    let answer = input.answers.get(gate);
    HypothesisGate {
        gate: gate.to_string(),
        outcome: answer.map(|answer| answer.outcome),
        waived: answer.is_some_and(|answer| answer.waived),
        at: answer.map(|answer| answer.at),
    }
}

fn answer(gates: &[HypothesisGate]) -> Answer {
    let refuted = gates.iter().any(|gate| gate.outcome == Some(Outcome::Fail));
    // A waiver lets a phase go on; it finds nothing out.
    let holds = |gate: &HypothesisGate| gate.outcome == Some(Outcome::Pass) && !gate.waived;
    if refuted {
        Answer::DoesNotHold
    } else if !gates.is_empty() && gates.iter().all(holds) {
        Answer::Holds
    } else {
        Answer::NotKnown
    }
}
