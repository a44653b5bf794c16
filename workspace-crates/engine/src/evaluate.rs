//! Judging: from what was gathered to an evaluation and its transitions.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Instant, PhaseId, Track, VerdictKind};
use definition::{Pipeline, Side};
use gates::{Evaluation, PhaseEvaluation, PhaseFacts, StoredRecord, judge_phase};
use ledger::LedgerStore;
use ledger::body::{self, EvaluationRef};

use crate::agreement::{Agreement, Wanted, states};
use crate::decide::{self, Transition};
use crate::engine::Engine;
use crate::gather::{FromLedger, Judging, phase_facts};
use crate::inputs::{Inputs, SideInputs};
use crate::state::{Judged, Standing, State};
use crate::tick::PASSED;
use crate::{EngineError, document};

/// Name and version of the evaluator, as evaluations state it.
pub const EVALUATOR: &str = concat!("phasegate/", env!("CARGO_PKG_VERSION"));

impl<S: LedgerStore> Engine<'_, S> {
    /// Judges every open track at `at`. Nothing is appended.
    ///
    /// # Errors
    /// When evidence cannot be gathered or stored; what cannot be judged is an outcome, not an error.
    pub fn judge(&mut self, at: Instant) -> Result<Evaluation, EngineError> {
        Ok(self.judge_all(at)?.0)
    }

    /// Judges every open track at `at`, and lists what was judged.
    fn judge_all(&mut self, at: Instant) -> Result<(Evaluation, Inputs), EngineError> {
        let state = self.state();
        let (mut phases, mut sides) = (Vec::new(), Vec::new());
        for (phase, judged) in open_sides(&state) {
            let phase = self.phase(&phase)?;
            let mut found = Vec::new();
            for (track, side) in judged {
                let judging = Judging { phase, track, side, at };
                let (evaluation, inputs) = self.judge_side(&state, judging)?;
                found.push(evaluation);
                sides.push(inputs);
            }
            phases.extend(found.into_iter().reduce(joined));
        }
        let evaluation = evaluation(self.setup.pipeline, EVALUATOR, at, phases)?;
        Ok((evaluation, Inputs::new(self.setup.overrides.clone(), sides)))
    }

    /// Judges the gates of one side of one track.
    pub(crate) fn judge_side(
        &mut self,
        state: &State,
        judging: Judging<'_>,
    ) -> Result<(PhaseEvaluation, SideInputs), EngineError> {
        let Judging { phase, track, side, .. } = judging;
        let mut gathered = self.gather(state, judging)?;
        let mut records = std::mem::take(&mut gathered.records);
        let from_ledger = FromLedger::read(self.ledger(), state, phase, track)?;
        let facts = phase_facts(state, judging, &gathered, &from_ledger);
        self.ask_servers(facts, side, &mut records)?;
        let judged = judge_phase(&PhaseFacts { records: &records, ..facts });
        let names = |records: &Vec<StoredRecord>| records.iter().map(|one| one.digest).collect();
        let inputs = SideInputs {
            phase: phase.id.clone(),
            track,
            side,
            observation: gathered.sealed.as_ref().map(|sealed| sealed.digest),
            candidate: gathered.candidate,
            records: records.iter().map(|(gate, found)| (gate.clone(), names(found))).collect(),
        };
        Ok((judged, inputs))
    }

    /// Judges at `at` and appends the evaluation.
    pub(crate) fn record_evaluation(&mut self, at: Instant) -> Result<Evaluation, EngineError> {
        let (evaluation, inputs) = self.judge_all(at)?;
        let bytes = base::canonical_json(&evaluation)?;
        let inputs_bytes = base::canonical_json(&inputs)?;
        let inputs_digest = Digest::of(&inputs_bytes);
        let week = self.setup.calendar.week(at);
        let verdicts: BTreeMap<String, VerdictKind> = evaluation
            .phases
            .iter()
            .map(|judged| (format!("{}/{}", judged.phase, judged.track), judged.verdict))
            .collect();
        let findings = evaluation.phases.iter().flat_map(|judged| &judged.findings);
        let mut evidence: BTreeSet<Digest> =
            findings.flat_map(|finding| finding.evidence.iter().copied()).collect();
        evidence.extend(inputs.digests());
        evidence.insert(inputs_digest);
        let text = summary(&verdicts);
        let files = BTreeMap::from([
            (document::path(&week, self.ledger().view().next_seq()), bytes.clone()),
            (ledger::store::evidence_path(inputs_digest), inputs_bytes),
        ]);
        let document = Digest::of(&bytes);
        let entry = body::Evaluation { at, week, document, inputs: inputs_digest, verdicts };
        self.append(at, entry, evidence, files)?;
        self.happened(at, None, None, "evaluation", text);
        Ok(evaluation)
    }

    /// Judges at `at` and records it without moving anything.
    ///
    /// # Errors
    /// As [`Engine::judge`], and when the ledger cannot be appended to.
    pub fn evaluate_now(&mut self, at: Instant) -> Result<Evaluation, EngineError> {
        self.decided_anew(|engine| engine.record_evaluation(at))
    }

    /// Judges now, and moves `phase` on when every gate of its open track passes.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] with what blocks it; nothing has moved then.
    pub fn advance_phase(&mut self, phase: &PhaseId, now: Instant) -> Result<(), EngineError> {
        self.phase(phase)?;
        // Counted once: a pass that stands when this is decided anew is what was asked for.
        let passes = self.state().passes.len();
        self.decided_anew(|engine| engine.advance_once(phase, passes, now))
    }

    fn advance_once(
        &mut self,
        phase: &PhaseId,
        passes: usize,
        now: Instant,
    ) -> Result<(), EngineError> {
        let refuse =
            |why: String| EngineError::NotNow { phase: phase.clone(), what: "advance", why };
        self.restore(&self.state(), now)?;
        self.carry_out_agreed(now)?;
        self.finish_passed(&self.state(), now)?;
        let state = self.state();
        if state.passes.iter().skip(passes).any(|pass| pass.phase == *phase) {
            return Ok(());
        }
        if !decide::open_tracks(&state).iter().any(|(open, _)| open == phase) {
            let standing = state.standing(phase).describe();
            return Err(refuse(format!("it is {standing}, so there is nothing to judge")));
        }
        let evaluation = self.record_evaluation(now)?;
        let state = self.state();
        let Some(judged) = state.evaluations.last().cloned() else { return Ok(()) };
        let transitions =
            decide::transitions(self.setup.pipeline, &state, &self.setup.calendar, &evaluation);
        let own = transitions.into_iter().find(|one| subject_of(one).0 == *phase);
        match own {
            Some(advance @ Transition::Advance { track, .. }) => {
                let reference = EvaluationRef { seq: judged.seq, digest: judged.digest };
                self.take(advance, reference, now)?;
                if self.state().settled.contains(&(judged.seq, phase.clone(), track)) {
                    return Ok(());
                }
                Err(refuse("it is proposed now, and waits for its approvals".to_owned()))
            }
            Some(Transition::Hold { reasons, .. }) => Err(refuse(reasons.join(" "))),
            Some(Transition::Reset { reason, .. }) => Err(refuse(reason)),
            None => Err(refuse("a reset of another phase takes it back".to_owned())),
        }
    }

    /// Sends the programme back from `phase` to `to`, for `reason`.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when `to` comes after `phase`.
    pub fn reset_phase(
        &mut self,
        phase: &PhaseId,
        to: &PhaseId,
        reason: &str,
        now: Instant,
    ) -> Result<(), EngineError> {
        self.phase(phase)?;
        self.phase(to)?;
        self.decided_anew(|engine| engine.reset_once(phase, to, reason, now))
    }

    fn reset_once(
        &mut self,
        phase: &PhaseId,
        to: &PhaseId,
        reason: &str,
        now: Instant,
    ) -> Result<(), EngineError> {
        let state = self.state();
        if !state.downstream(to).contains(phase) {
            return Err(EngineError::NotNow {
                phase: phase.clone(),
                what: "be reset",
                why: format!("{to} does not come before it"),
            });
        }
        self.restore(&state, now)?;
        let state = self.state();
        let track = match state.standing(phase) {
            Standing::PublicSoak | Standing::Complete => Track::Public,
            _ => Track::Internal,
        };
        let reset = decide::reset(&state, phase.clone(), track, to.clone(), reason.to_owned());
        // A reset by hand rests on no evaluation; the reference is not written for resets.
        self.take(reset, EvaluationRef { seq: 0, digest: Digest::default() }, now)
    }

    /// Takes the transitions of the newest evaluation that were not taken yet.
    pub(crate) fn take_transitions(
        &mut self,
        judged: &Judged,
        evaluation: &Evaluation,
        now: Instant,
    ) -> Result<(), EngineError> {
        let state = self.state();
        let transitions =
            decide::transitions(self.setup.pipeline, &state, &self.setup.calendar, evaluation);
        let reference = EvaluationRef { seq: judged.seq, digest: judged.digest };
        for transition in transitions {
            let (phase, track) = subject_of(&transition);
            match transition {
                Transition::Reset { to, .. }
                    if state.undone.contains(&(judged.seq, to.clone())) => {}
                // What a reset revokes depends on what the one before it has left.
                Transition::Reset { to, reason, .. } => {
                    let reset = decide::reset(&self.state(), phase, track, to, reason);
                    self.take(reset, reference, now)?;
                }
                _ if state.undone.contains(&(judged.seq, phase.clone())) => {}
                _ if state.settled.contains(&(judged.seq, phase, track)) => {}
                other => self.take(other, reference, now)?,
            }
        }
        Ok(())
    }

    /// Appends one transition and takes down what it ends.
    pub(crate) fn take(
        &mut self,
        transition: Transition,
        evaluation: EvaluationRef,
        now: Instant,
    ) -> Result<(), EngineError> {
        match transition {
            Transition::Advance { phase, track, reason } => {
                let (from, to) = states(track);
                let wanted = Wanted { phase: &phase, track };
                let proposal = match self.agreement(wanted, evaluation, now)? {
                    Agreement::NotNeeded => None,
                    Agreement::Given(proposal) => Some(proposal),
                    // A later tick carries it out, once the leads have approved.
                    Agreement::Open => return Ok(()),
                };
                let entry = body::Advance {
                    phase: phase.clone(),
                    track,
                    from: from.to_owned(),
                    to: to.to_owned(),
                    evaluation,
                    proposal,
                    reason: reason.clone(),
                };
                self.append(now, entry, [], BTreeMap::new())?;
                self.happened(now, Some(&phase), Some(track), "advance", reason);
                self.take_down(&phase, track, now, PASSED)
            }
            Transition::Hold { phase, track, reasons } => {
                let text = reasons.join(" ");
                let entry = body::Hold { phase: phase.clone(), track, evaluation, reasons };
                self.append(now, entry, [], BTreeMap::new())?;
                self.happened(now, Some(&phase), Some(track), "hold", text);
                Ok(())
            }
            Transition::Reset { phase, track, to, reason, revokes, takes_down } => {
                // The networks go first: after the entry nothing in the ledger names them any more.
                let state = self.state();
                let ending: Vec<(PhaseId, Track)> = state
                    .live()
                    .filter(|(_, _, deployed)| takes_down.contains(&deployed.id))
                    .map(|(phase, track, _)| (phase.clone(), track))
                    .collect();
                for (phase, track) in ending {
                    let why = match phase == to {
                        true => "The phase is reset.".to_owned(),
                        false => format!("{to} is reset, and this phase depends on it."),
                    };
                    self.take_down(&phase, track, now, &why)?;
                }
                let entry = body::Reset {
                    phase: phase.clone(),
                    track,
                    to,
                    reason: reason.clone(),
                    revokes,
                };
                self.append(now, entry, [], BTreeMap::new())?;
                self.happened(now, Some(&phase), Some(track), "reset", reason);
                Ok(())
            }
        }
    }
}

/// What is judged of each open track, in the pipeline's order. With the way out of the internal track
/// goes the way into the public one, because an advance is the promise to release.
pub(crate) fn open_sides(state: &State) -> Vec<(PhaseId, Vec<(Track, Side)>)> {
    let sides = |track| match track {
        Track::Internal => vec![(track, Side::Exit), (Track::Public, Side::Entry)],
        Track::Public => vec![(track, Side::Exit)],
    };
    let open = decide::open_tracks(state).into_iter();
    open.map(|(phase, track)| (phase, sides(track))).collect()
}

/// The evaluation that `phases` are the judgements of.
pub(crate) fn evaluation(
    pipeline: &Pipeline,
    evaluator: &str,
    at: Instant,
    phases: Vec<PhaseEvaluation>,
) -> Result<Evaluation, EngineError> {
    Ok(Evaluation {
        schema: 1,
        evaluator: evaluator.to_owned(),
        pipeline: pipeline.id.clone(),
        policy: pipeline.digest()?,
        at,
        phases,
    })
}

/// Exit and entry gates judged together: the more severe verdict counts, all reasons are kept.
pub(crate) fn joined(exit: PhaseEvaluation, entry: PhaseEvaluation) -> PhaseEvaluation {
    if entry.findings.is_empty() {
        return exit;
    }
    let verdict = exit.verdict.max(entry.verdict);
    let blocking = |one: &PhaseEvaluation| one.verdict != VerdictKind::Advance;
    let reasons = match (blocking(&exit), blocking(&entry)) {
        (true, false) => exit.reasons,
        (false, true) => entry.reasons,
        (true, true) => [exit.reasons, entry.reasons].concat(),
        (false, false) => {
            let required = exit.findings.iter().chain(&entry.findings);
            let required = required.filter(|finding| !finding.advisory).count();
            vec![format!("All {required} required gates pass.")]
        }
    };
    PhaseEvaluation {
        verdict,
        reasons,
        reset_to: exit.reset_to.or(entry.reset_to),
        waivers: [exit.waivers, entry.waivers].concat(),
        findings: [exit.findings, entry.findings].concat(),
        phase: exit.phase,
        track: exit.track,
        attempt: exit.attempt,
        subject: exit.subject,
    }
}

fn subject_of(transition: &Transition) -> (PhaseId, Track) {
    match transition {
        Transition::Advance { phase, track, .. }
        | Transition::Hold { phase, track, .. }
        | Transition::Reset { phase, track, .. } => (phase.clone(), *track),
    }
}

fn summary(verdicts: &BTreeMap<String, VerdictKind>) -> String {
    if verdicts.is_empty() {
        return "Nothing is deployed, so nothing was judged.".to_owned();
    }
    let each: Vec<String> =
        verdicts.iter().map(|(track, verdict)| format!("{track}: {verdict}")).collect();
    format!("Judged {}.", each.join(", "))
}
