//! Judging: from what was gathered to an evaluation and its transitions.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Instant, PhaseId, Track, VerdictKind};
use definition::{Phase, Side};
use gates::{Evaluation, PhaseEvaluation, PhaseFacts, judge_phase};
use ledger::LedgerStore;
use ledger::body::{self, EvaluationRef};

use crate::agreement::{Agreement, Wanted, states};
use crate::decide::{self, Transition};
use crate::engine::Engine;
use crate::gather::facts;
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
        let state = self.state();
        let mut phases = Vec::new();
        for (phase, track) in decide::open_tracks(&state) {
            let phase = self.phase(&phase)?;
            phases.push(self.judge_track(&state, phase, track, at)?);
        }
        Ok(Evaluation {
            schema: 1,
            evaluator: EVALUATOR.to_owned(),
            pipeline: self.setup.pipeline.id.clone(),
            policy: self.setup.pipeline.digest()?,
            at,
            phases,
        })
    }

    /// Judges the exit of one track; for the internal track also the entry to the public one,
    /// because an advance is the promise to release.
    fn judge_track(
        &mut self,
        state: &State,
        phase: &Phase,
        track: Track,
        at: Instant,
    ) -> Result<PhaseEvaluation, EngineError> {
        let exit = self.judge_side(state, phase, track, Side::Exit, at)?;
        if track == Track::Public {
            return Ok(exit);
        }
        let entry = self.judge_side(state, phase, Track::Public, Side::Entry, at)?;
        Ok(joined(exit, entry))
    }

    /// Judges the gates of one side of one track.
    pub(crate) fn judge_side(
        &mut self,
        state: &State,
        phase: &Phase,
        track: Track,
        side: Side,
        at: Instant,
    ) -> Result<PhaseEvaluation, EngineError> {
        let mut gathered = self.gather(state, phase, track, side, at)?;
        let mut records = std::mem::take(&mut gathered.records);
        let track_state = state.phase(&phase.id).map(|one| one.track(track));
        let attempt = track_state.map_or(1, |one| one.attempts.max(1));
        let deployed = track_state.and_then(|one| one.deployment.as_ref());
        let deployment = deployed
            .zip(gathered.sealed.as_ref())
            .map(|(deployed, sealed)| facts(deployed, attempt, track, sealed));
        let candidate = match (&deployment, side) {
            (None, Side::Entry) => {
                let spec = self.spec(phase, track, attempt, at)?;
                let version = spec.network.node_version;
                Some(self.setup.driver.subject(&spec, version)?)
            }
            _ => None,
        };
        let facts = PhaseFacts {
            at,
            phase,
            track,
            side: Some(side),
            attempt,
            deployment,
            candidate: candidate.as_ref(),
            records: &gathered.records,
            approvals: &gathered.approvals,
            earlier: &gathered.earlier,
            waivers: &gathered.waivers,
        };
        self.ask_servers(facts, side, &mut records)?;
        Ok(judge_phase(&PhaseFacts { records: &records, ..facts }))
    }

    /// Judges at `at` and appends the evaluation.
    pub(crate) fn record_evaluation(&mut self, at: Instant) -> Result<Evaluation, EngineError> {
        let evaluation = self.judge(at)?;
        let bytes = base::canonical_json(&evaluation)?;
        let week = self.setup.calendar.week(at);
        let path = document::path(&week, self.ledger().view().next_seq());
        let verdicts: BTreeMap<String, VerdictKind> = evaluation
            .phases
            .iter()
            .map(|judged| (format!("{}/{}", judged.phase, judged.track), judged.verdict))
            .collect();
        let evidence: BTreeSet<Digest> = evaluation
            .phases
            .iter()
            .flat_map(|judged| &judged.findings)
            .flat_map(|finding| finding.evidence.iter().copied())
            .collect();
        let text = summary(&verdicts);
        let entry = body::Evaluation { at, week, document: Digest::of(&bytes), verdicts };
        self.append(at, entry, evidence, BTreeMap::from([(path, bytes)]))?;
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

/// Exit and entry gates judged together: the more severe verdict counts, all reasons are kept.
fn joined(exit: PhaseEvaluation, entry: PhaseEvaluation) -> PhaseEvaluation {
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
