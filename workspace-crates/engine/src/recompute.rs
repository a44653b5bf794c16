//! Judges again what was judged before, from evidence alone.
//!
//! Nothing is collected and nobody is asked: what the evaluation's entry names, the definition that
//! it pins and the entries before it are all that is read. Whoever has these gets the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use base::{Digest, GateId, Instant, PhaseId, Track, canonical_json};
use definition::{Pipeline, Side};
use evidence::Store;
use gates::{Evaluation, Finding, PhaseEvaluation, judge_phase};
use ledger::store::evidence_path;
use ledger::{Body, Ledger, LedgerStore, Pins, body};
use serde::Serialize;

use crate::evaluate::{evaluation, joined, open_sides};
use crate::gather::{FromLedger, Judging, phase_facts};
use crate::inputs::{Inputs, SideInputs};
use crate::state::{Deployed, State};
use crate::{EVALUATOR, EngineError, document};

/// The most bytes that a list of inputs may have.
const INPUTS_BYTES_MAX: usize = 256 * 1024;

/// One evaluation of a ledger, with what it takes to judge it again.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Place of its entry.
    pub seq: u64,
    /// Digest of its entry.
    pub digest: Digest,
    /// What the entry says.
    pub entry: body::Evaluation,
    /// The rules that were in use.
    pub pins: Pins,
    /// The evaluation in full.
    pub evaluation: Evaluation,
    /// What was judged.
    pub inputs: Inputs,
}

/// What judging again gave.
#[derive(Debug, Clone, Serialize)]
pub struct Recomputed {
    /// Place of the evaluation's entry.
    pub seq: u64,
    /// The instant that was judged.
    pub at: Instant,
    /// Digest of the evaluation as it was recorded.
    pub recorded: Digest,
    /// Digest of the evaluation as it was judged again.
    pub recomputed: Digest,
    /// The evaluator that judged then.
    pub evaluator_then: String,
    /// The evaluator that judged now.
    pub evaluator_now: String,
    /// Where both differ, in the order of the pipeline; empty when their bytes are the same.
    pub differences: Vec<Difference>,
}

impl Recomputed {
    /// Whether the same bytes came out.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.recorded == self.recomputed
    }
}

/// One thing that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The phase, where it is about one.
    pub phase: Option<PhaseId>,
    /// The track, where it is about one.
    pub track: Option<Track>,
    /// The gate, where it is about one.
    pub gate: Option<GateId>,
    /// The field.
    pub field: &'static str,
    /// Its value as it was recorded.
    pub recorded: String,
    /// Its value as it was judged again.
    pub recomputed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, track, gate, field, recorded, recomputed } = self;
        match (phase, track, gate) {
            (Some(phase), Some(track), Some(gate)) => write!(f, "{phase}/{gate} ({track}) ")?,
            (Some(phase), Some(track), None) => write!(f, "{phase} ({track}) ")?,
            _ => {}
        }
        write!(f, "{field}: recorded {recorded}, judged again {recomputed}")
    }
}

/// Reads the evaluation in entry `seq`, and the list of what it was judged on.
///
/// # Errors
/// [`EngineError::Evaluation`] when the entry is no evaluation, or a file that it names is missing
/// or is not what it names.
pub fn read<S: LedgerStore>(ledger: &Ledger<S>, seq: u64) -> Result<Recorded, EngineError> {
    let refuse = |why: String| EngineError::Evaluation { seq, why };
    let found = ledger.view().get(seq).ok_or_else(|| refuse("there is no such entry".into()))?;
    let Body::Evaluation(entry) = &found.entry.body else {
        return Err(refuse("the entry is not an evaluation".to_owned()));
    };
    if !found.entry.evidence.contains(&entry.inputs) {
        return Err(refuse("its inputs are not among its evidence".to_owned()));
    }
    let path = evidence_path(entry.inputs);
    let bytes = ledger.store().read_file(&path)?;
    let bytes = bytes.ok_or_else(|| refuse(format!("`{path}` is missing")))?;
    if Digest::of(&bytes) != entry.inputs {
        return Err(refuse(format!("`{path}` does not have the digest that it is named by")));
    }
    let inputs: Inputs = ledger::parse_strict(&bytes, INPUTS_BYTES_MAX)
        .map_err(|error| refuse(format!("`{path}`: {error}")))?;
    if inputs.schema != 1 {
        return Err(refuse(format!("`{path}` has the version {}, not 1", inputs.schema)));
    }
    if let Some(foreign) = inputs.digests().iter().find(|one| !found.entry.evidence.contains(one)) {
        return Err(refuse(format!("the input {foreign} is not among its evidence")));
    }
    Ok(Recorded {
        seq,
        digest: found.digest,
        entry: entry.clone(),
        pins: found.entry.pins.clone(),
        evaluation: document::read_entry(ledger, seq, entry)?,
        inputs,
    })
}

/// Judges `recorded` again by `pipeline`, which has to be the definition that its entry pins with
/// the changes that its inputs name.
///
/// # Errors
/// When evidence is missing or damaged, or the inputs are not about what was open then. A judgement
/// that differs is no error: the result names each difference.
pub fn recompute<S: LedgerStore>(
    ledger: &Ledger<S>,
    store: &dyn Store,
    pipeline: &Pipeline,
    recorded: &Recorded,
) -> Result<Recomputed, EngineError> {
    let seq = recorded.seq;
    let refuse = |why: String| EngineError::Evaluation { seq, why };
    let before = ledger.before(seq)?;
    let state = State::of(pipeline, &before);
    let at = recorded.entry.at;
    let mut sides = recorded.inputs.sides.iter();
    let mut phases = Vec::new();
    for (phase, judged) in open_sides(&state) {
        let phase = pipeline
            .phase(&phase)
            .ok_or_else(|| refuse(format!("the definition has no phase `{phase}`")))?;
        let mut found = Vec::new();
        for (track, side) in judged {
            let judging = Judging { phase, track, side, at };
            let inputs =
                sides.next().filter(|inputs| is_about(inputs, judging)).ok_or_else(|| {
                    refuse(format!("its inputs lack those of {}/{track}, which was open", phase.id))
                })?;
            if let Some(why) = foreign_input(&state, inputs, store)? {
                return Err(refuse(why));
            }
            let gathered = inputs.gather(store)?;
            let from_ledger = FromLedger::read(ledger, &state, phase, track)?;
            found.push(judge_phase(&phase_facts(&state, judging, &gathered, &from_ledger)));
        }
        phases.extend(found.into_iter().reduce(joined));
    }
    if let Some(more) = sides.next() {
        let SideInputs { phase, track, .. } = more;
        return Err(refuse(format!("it has inputs of {phase}/{track}, which was not open")));
    }
    // The bytes are compared with what this evaluator finds; its name is compared apart.
    let again = evaluation(pipeline, &recorded.evaluation.evaluator, at, phases)?;
    Ok(Recomputed {
        seq,
        at,
        recorded: recorded.entry.document,
        recomputed: Digest::of(&canonical_json(&again)?),
        evaluator_then: recorded.evaluation.evaluator.clone(),
        evaluator_now: EVALUATOR.to_owned(),
        differences: differences(&recorded.evaluation, &again),
    })
}

fn is_about(inputs: &SideInputs, judging: Judging<'_>) -> bool {
    inputs.phase == judging.phase.id && inputs.track == judging.track && inputs.side == judging.side
}

/// Why these inputs are not what was to be judged. That is the deployment that the ledger names, and
/// of one that ended the observation that it names; a candidate is judged on the way in only.
fn foreign_input(
    state: &State,
    inputs: &SideInputs,
    store: &dyn Store,
) -> Result<Option<String>, EngineError> {
    let SideInputs { phase, track, side, observation, candidate, .. } = inputs;
    let own = state.phase(phase).map(|one| one.track(*track));
    let deployed = own.and_then(|own| own.deployment.as_ref()).filter(|_| *side == Side::Exit);
    let known = deployed.and_then(|one| one.sealed);
    if let Some(known) = known.filter(|known| *observation != Some(*known)) {
        return Ok(Some(format!(
            "the ledger names the observation {known} of {phase}/{track}, and its inputs another"
        )));
    }
    if *side == Side::Exit && candidate.is_some() {
        return Ok(Some(format!("its inputs of {phase}/{track} name something to deploy")));
    }
    let Some(observation) = observation else { return Ok(None) };
    let record = store.get_record(observation)?;
    let is_of = |one: &Deployed| {
        record.for_whom == one.id.as_str() && record.subject.as_ref() == Some(&one.subject)
    };
    Ok(match deployed {
        Some(deployed) if is_of(deployed) => None,
        _ => Some(format!(
            "the observation {observation} is not of the deployment of {phase}/{track} that the ledger names"
        )),
    })
}

fn differences(recorded: &Evaluation, again: &Evaluation) -> Vec<Difference> {
    let mut found = Vec::new();
    let whole = |field, recorded: String, recomputed: String| Difference {
        phase: None,
        track: None,
        gate: None,
        field,
        recorded,
        recomputed,
    };
    if recorded.policy != again.policy {
        found.push(whole("policy", recorded.policy.to_string(), again.policy.to_string()));
    }
    if recorded.pipeline != again.pipeline {
        found.push(whole("pipeline", recorded.pipeline.to_string(), again.pipeline.to_string()));
    }
    if recorded.at != again.at {
        found.push(whole("instant", recorded.at.to_string(), again.at.to_string()));
    }
    let tracks = |one: &Evaluation| -> Vec<(PhaseId, Track)> {
        one.phases.iter().map(|judged| (judged.phase.clone(), judged.track)).collect()
    };
    if tracks(recorded) != tracks(again) {
        let text = |one: &Evaluation| {
            let names = tracks(one).into_iter().map(|(phase, track)| format!("{phase}/{track}"));
            names.collect::<Vec<_>>().join(", ")
        };
        found.push(whole("tracks", text(recorded), text(again)));
        return found;
    }
    for (one, other) in recorded.phases.iter().zip(&again.phases) {
        found.extend(phase_differences(one, other));
    }
    found
}

fn phase_differences(recorded: &PhaseEvaluation, again: &PhaseEvaluation) -> Vec<Difference> {
    let about = |gate: Option<&GateId>, field, recorded: String, recomputed: String| Difference {
        phase: Some(again.phase.clone()),
        track: Some(again.track),
        gate: gate.cloned(),
        field,
        recorded,
        recomputed,
    };
    let mut found = Vec::new();
    let by_gate: BTreeMap<&GateId, &Finding> =
        again.findings.iter().map(|finding| (&finding.gate, finding)).collect();
    for finding in &recorded.findings {
        let gate = Some(&finding.gate);
        match by_gate.get(&finding.gate) {
            None => found.push(about(gate, "finding", "there".into(), "missing".into())),
            Some(other) if finding.outcome != other.outcome => {
                let (one, other) = (finding.outcome.to_string(), other.outcome.to_string());
                found.push(about(gate, "outcome", one, other));
            }
            Some(other) if finding.reasons != other.reasons => {
                let (one, other) = (finding.reasons.join(" "), other.reasons.join(" "));
                found.push(about(gate, "reasons", one, other));
            }
            Some(other) if finding != *other => {
                let (one, other) = (shown(finding), shown(*other));
                found.push(about(gate, "details", one, other));
            }
            Some(_) => {}
        }
    }
    let is_recorded = |gate: &GateId| recorded.findings.iter().any(|one| one.gate == *gate);
    for finding in again.findings.iter().filter(|one| !is_recorded(&one.gate)) {
        found.push(about(Some(&finding.gate), "finding", "missing".into(), "there".into()));
    }
    if recorded.verdict != again.verdict {
        let (one, other) = (recorded.verdict.to_string(), again.verdict.to_string());
        found.push(about(None, "verdict", one, other));
    }
    if found.is_empty() && recorded != again {
        found.push(about(None, "details", shown(recorded), shown(again)));
    }
    found
}

/// A digest stands for details that are too long for a line; the JSON output has them in full.
fn shown<T: Serialize>(value: &T) -> String {
    canonical_json(value).map_or_else(|error| error.to_string(), |bytes| Digest::of(&bytes).short())
}
