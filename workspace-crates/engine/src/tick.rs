//! What is due now, each thing exactly once, however often and by however many this is called.

use std::collections::BTreeMap;

use base::{Digest, Instant, PhaseId, Track, VerdictKind};
use calendar::{Due, Handling};
use definition::{EventKind, Phase, Side};
use deployment::Progress;
use ledger::LedgerStore;
use ledger::body::{self, Event};
use serde_json::json;

use crate::agreement::Wanted;
use crate::decide::{self, Move};
use crate::engine::Engine;
use crate::gather::Judging;
use crate::state::{Deployed, Standing, State};
use crate::{EngineError, document};

/// Why the network of a track that advanced is taken down.
pub(crate) const PASSED: &str = "The track has passed; its network is taken down.";

impl<S: LedgerStore> Engine<'_, S> {
    /// Does everything that is due at `now` and was not done yet, oldest first.
    ///
    /// Two callers at once are fine: whoever appends second reads the ledger again and finds it done.
    ///
    /// # Errors
    /// When the ledger, the driver or the evidence store fails, or others append all the time. What
    /// was done stays done; calling again carries on.
    pub fn tick(&mut self, now: Instant) -> Result<(), EngineError> {
        loop {
            self.refresh()?;
            if !self.decided_anew(|engine| engine.step(now))? {
                return Ok(());
            }
        }
    }

    /// Finishes what an earlier call left half done, then settles the oldest due time; `false`
    /// when none is left.
    fn step(&mut self, now: Instant) -> Result<bool, EngineError> {
        self.restore(&self.state(), now)?;
        self.carry_out_agreed(now)?;
        let state = self.state();
        self.finish_passed(&state, now)?;
        let state = self.state();
        self.propose_missing(&state, now)?;
        let due = self.setup.calendar.due(state.began, &state.handled, now);
        let Some(first) = due.into_iter().next() else { return Ok(false) };
        self.settle(&first, now)?;
        Ok(true)
    }

    /// Takes down networks whose track has advanced: whoever advanced it may have died before.
    pub(crate) fn finish_passed(&mut self, state: &State, now: Instant) -> Result<(), EngineError> {
        let passed = |phase: &PhaseId, track| {
            state.phase(phase).is_some_and(|one| one.track(track).advanced.is_some())
        };
        for (phase, track, _) in state.live().filter(|(phase, track, _)| passed(phase, *track)) {
            self.take_down(phase, track, now, PASSED)?;
        }
        Ok(())
    }

    /// Proposes again where a proposal is missing or has lapsed while its network runs.
    fn propose_missing(&mut self, state: &State, now: Instant) -> Result<(), EngineError> {
        for (phase, track, deployed) in state.live().filter(|one| one.1 == Track::Public) {
            let is_open = |(seq, one): &(u64, body::Proposal)| {
                let about = one.what.transition();
                about.is_some_and(|about| about.phase == *phase && about.track == track)
                    && *seq > deployed.seq
                    && one.expires > now
            };
            if !state.proposals.values().any(is_open) {
                self.propose_completion(self.phase(phase)?, now)?;
            }
        }
        Ok(())
    }

    /// Lets live deployments run until `until`.
    ///
    /// # Errors
    /// When a network breaks one of its own laws, or cannot be observed.
    pub fn advance_networks(
        &mut self,
        until: Instant,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        Ok(self.setup.driver.advance(until, progress)?)
    }

    /// What deploying `track` of `phase` now would do. Starts nothing.
    ///
    /// # Errors
    /// When there is no such phase, or its network cannot be.
    pub fn plan(
        &self,
        phase: &PhaseId,
        track: Track,
        now: Instant,
    ) -> Result<deployment::Plan, EngineError> {
        let attempt = self.state().phase(phase).map_or(0, |one| one.track(track).attempts) + 1;
        let spec = self.spec(self.phase(phase)?, track, attempt, now)?;
        Ok(self.setup.driver.plan(&spec)?)
    }

    /// Deploys `track` of `phase` now, outside of the calendar: by hand, for a trial.
    ///
    /// # Errors
    /// [`EngineError::NotNow`] when the track is up already, or the phase is not cleared for it.
    pub fn deploy_now(
        &mut self,
        phase: &PhaseId,
        track: Track,
        now: Instant,
    ) -> Result<(), EngineError> {
        self.decided_anew(|engine| engine.deploy_once(phase, track, now))
    }

    fn deploy_once(
        &mut self,
        phase: &PhaseId,
        track: Track,
        now: Instant,
    ) -> Result<(), EngineError> {
        let definition = self.phase(phase)?;
        self.restore(&self.state(), now)?;
        let state = self.state();
        let refuse =
            |why: String| EngineError::NotNow { phase: phase.clone(), what: "be deployed", why };
        let own = state.phase(phase).map(|one| one.track(track).clone()).unwrap_or_default();
        if let Some(live) = own.live() {
            return Err(refuse(format!("`{}` is up; take it down first", live.id)));
        }
        let standing = state.standing(phase);
        let is_open = match track {
            Track::Internal => matches!(standing, Standing::Ready | Standing::InternalSoak),
            Track::Public => standing == Standing::Cleared,
        };
        if !is_open {
            return Err(refuse(format!("it is {}", standing.describe())));
        }
        self.bring_up(definition, track, own.attempts + 1, None, now)
    }

    /// Seals what was seen of the deployment `id` and takes it down.
    ///
    /// # Errors
    /// [`EngineError::Driver`] when neither the ledger nor the driver knows it.
    pub fn take_down_now(
        &mut self,
        id: &base::DeploymentId,
        now: Instant,
    ) -> Result<(), EngineError> {
        self.decided_anew(|engine| engine.take_down_once(id, now))
    }

    fn take_down_once(&mut self, id: &base::DeploymentId, now: Instant) -> Result<(), EngineError> {
        let state = self.state();
        let live = state.live().find(|(_, _, deployed)| deployed.id == *id);
        match live.map(|(phase, track, _)| (phase.clone(), track)) {
            Some((phase, track)) => {
                self.take_down(&phase, track, now, "It was taken down by hand.")
            }
            None => {
                self.setup.driver.status(id)?;
                Ok(self.setup.driver.down(id)?)
            }
        }
    }

    /// Attaches to deployments that an earlier program brought up, and clears away those that the
    /// ledger does not know as up: their maker or their remover died halfway.
    ///
    /// A network that is gone with its machine or its files is recorded as taken down: the phase
    /// then goes on with what is left, instead of failing at every tick.
    pub(crate) fn restore(&mut self, state: &State, now: Instant) -> Result<(), EngineError> {
        let known = self.setup.driver.list()?;
        // What another place runs looks lost from here, and is not.
        let elsewhere = |one: &&Deployed| !one.place.is_empty() && one.place != self.setup.place;
        if let Some(deployed) = state.live().map(|(_, _, deployed)| deployed).find(elsewhere) {
            let (deployment, place) = (deployed.id.clone(), deployed.place.clone());
            return Err(EngineError::Elsewhere { deployment, place });
        }
        for (phase, track, deployed) in state.live() {
            if known.iter().any(|status| status.deployment == deployed.id) {
                continue;
            }
            let attempts = state.phase(phase).map_or(1, |one| one.track(track).attempts);
            let spec = self.spec(self.phase(phase)?, track, attempts, deployed.started)?;
            match self.setup.driver.restore(&spec) {
                Err(deployment::DriverError::Unknown { .. }) => {
                    let text = "The network is gone: its machine or its files were lost.";
                    self.take_down(phase, track, now, text)?;
                    self.happened(now, Some(phase), Some(track), "lost", text.to_owned());
                }
                other => other?,
            }
        }
        for phase in &state.phases {
            for track in [Track::Internal, Track::Public] {
                let own = phase.track(track);
                let ended = own.deployment.as_ref().filter(|one| one.ended.is_some());
                let ended = ended.filter(|one| known.iter().any(|up| up.deployment == one.id));
                for left in own.begun.iter().chain(ended.map(|one| &one.id)) {
                    self.setup.driver.down(left)?;
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, due: &Due, now: Instant) -> Result<(), EngineError> {
        let kind = due.occurrence.kind;
        let key = due.occurrence.key.as_str();
        let text = match &due.policy {
            Handling::Skip { reason } => reason.clone(),
            Handling::Perform | Handling::CatchUp => {
                match kind {
                    EventKind::Deploy => self.deploy(key, now)?,
                    EventKind::Evaluate => self.evaluate(due.occurrence.at, now)?,
                    EventKind::Announce => self.announce(now)?,
                    EventKind::Release => self.release(key, now)?,
                }
                match due.policy {
                    Handling::CatchUp => format!("Caught up {} late.", due.late_by),
                    _ => String::new(),
                }
            }
        };
        let skipped = matches!(due.policy, Handling::Skip { .. });
        let mut event = Event::new(if skipped { "missed".to_owned() } else { kind.to_string() });
        event.due = Some(due.occurrence.key.clone());
        if !text.is_empty() {
            event.detail = json!({ "text": text });
        }
        self.append(now, event, [], BTreeMap::new())?;
        if skipped {
            self.happened(
                now,
                None,
                None,
                "missed",
                format!("The {kind} event was skipped: {text}"),
            );
        }
        Ok(())
    }

    fn deploy(&mut self, due: &str, now: Instant) -> Result<(), EngineError> {
        let state = self.state();
        let moves = decide::deployments(self.setup.pipeline, &state, &self.setup.calendar, now);
        self.make(moves, "deployment-refused", due, now)
    }

    fn release(&mut self, due: &str, now: Instant) -> Result<(), EngineError> {
        let moves = decide::releases(&self.state(), &self.setup.calendar, now);
        self.make(moves, "release-held", due, now)
    }

    /// Makes `moves`, but for those that an earlier call made for the same due time.
    fn make(
        &mut self,
        moves: Vec<Move>,
        refused: &str,
        due: &str,
        now: Instant,
    ) -> Result<(), EngineError> {
        for one in moves {
            let (Move::Refuse { phase, track, .. } | Move::Deploy { phase, track, .. }) = &one;
            if self.state().parts.contains(&(due.to_owned(), phase.clone(), *track)) {
                continue;
            }
            match one {
                Move::Refuse { phase, track, reason } => {
                    self.note(refused, &phase, track, Some(due), reason, now)?;
                }
                Move::Deploy { phase, track, attempt, replaces } => {
                    let state = self.state();
                    let definition = self.phase(&phase)?;
                    let judging = Judging { phase: definition, track, side: Side::Entry, at: now };
                    let (entry, _) = self.judge_side(&state, judging)?;
                    if entry.verdict != VerdictKind::Advance {
                        let why = entry.reasons.join(" ");
                        self.note(refused, &phase, track, Some(due), why, now)?;
                        continue;
                    }
                    if replaces.is_some() {
                        let text = "A fresh attempt takes its place.";
                        self.take_down(&phase, track, now, text)?;
                    }
                    self.bring_up(definition, track, attempt, Some(due), now)?;
                }
            }
        }
        Ok(())
    }

    /// Brings one track up. The ledger names the deployment before anything starts, so that a
    /// maker that dies in between leaves something that the next one finds and clears away.
    pub(crate) fn bring_up(
        &mut self,
        phase: &Phase,
        track: Track,
        attempt: u32,
        due: Option<&str>,
        now: Instant,
    ) -> Result<(), EngineError> {
        let spec = self.spec(phase, track, attempt, now)?;
        let mut event = event_about("deploying", &phase.id, track);
        event.deployment = Some(spec.id.clone());
        self.append(now, event.clone(), [], BTreeMap::new())?;
        let subject = self.setup.driver.subject(&spec, spec.network.node_version)?;
        match self.setup.driver.up(&spec) {
            Ok(()) => {}
            Err(error @ deployment::DriverError::Infra { .. }) => {
                // The machine failed, not the network: it says nothing about the phase.
                let why = format!("{error}.");
                return self.note("deployment-failed", &phase.id, track, due, why, now);
            }
            Err(error) => return Err(error.into()),
        }
        let started = self.setup.driver.status(&spec.id)?.started.unwrap_or(now);
        let text = format!(
            "{} was deployed {}: {} validators, a committee of {}, attempt {attempt}.",
            phase.title,
            match track {
                Track::Internal => "internally",
                Track::Public => "in public",
            },
            spec.network.validators,
            spec.network.committee,
        );
        event.event = "deployed".to_owned();
        event.due = due.map(str::to_owned);
        event.subject = Some(subject);
        event.detail = json!({
            "driver": self.setup.driver.name(), "started": started, "text": text,
        });
        for (name, text) in [("note", &self.setup.note), ("place", &self.setup.place)] {
            if !text.is_empty() {
                event.detail[name] = json!(text);
            }
        }
        self.append(now, event, [], BTreeMap::new())?;
        self.happened(now, Some(&phase.id), Some(track), "deployed", text);
        if track == Track::Public {
            self.propose_completion(phase, now)?;
        }
        Ok(())
    }

    /// Approval gates on the way out of the public track need a proposal to consent to.
    fn propose_completion(&mut self, phase: &Phase, now: Instant) -> Result<(), EngineError> {
        let mut exits = phase.gates_on(Track::Public, Side::Exit);
        if !exits.any(|gate| gate.kind == "approval") {
            return Ok(());
        }
        let state = self.state();
        let Some(judged) = state.evaluations.last() else { return Ok(()) };
        let evaluation = judged.digest;
        self.propose(Wanted { phase: &phase.id, track: Track::Public }, evaluation, now)
    }

    /// Seals what was seen of the deployment of `track`, says why it ends, and takes it down. The
    /// entry comes first: a network that is left behind is found and removed, but one that is gone
    /// while the ledger says that it runs could not be observed any more.
    pub(crate) fn take_down(
        &mut self,
        phase: &PhaseId,
        track: Track,
        now: Instant,
        why: &str,
    ) -> Result<(), EngineError> {
        let state = self.state();
        let live = state.phase(phase).and_then(|one| one.track(track).live().cloned());
        let Some(deployed) = live else { return Ok(()) };
        let observation = self.seal_last(&deployed)?;
        let mut event = event_about("torn-down", phase, track);
        event.deployment = Some(deployed.id.clone());
        event.detail = json!({ "text": why, "observation": observation });
        self.append(now, event, observation, BTreeMap::new())?;
        Ok(self.setup.driver.down(&deployed.id)?)
    }

    /// The last observation; `None` when there is nothing to see any more.
    fn seal_last(&mut self, deployed: &Deployed) -> Result<Option<Digest>, EngineError> {
        match self.sealed(deployed) {
            Ok(sealed) => Ok(Some(sealed.digest)),
            Err(EngineError::Driver(
                error @ (deployment::DriverError::Unobserved { .. }
                | deployment::DriverError::Unknown { .. }),
            )) => {
                tracing::warn!(deployment = %deployed.id, %error, "nothing could be sealed");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn note(
        &mut self,
        what: &str,
        phase: &PhaseId,
        track: Track,
        due: Option<&str>,
        text: String,
        now: Instant,
    ) -> Result<(), EngineError> {
        let mut event = event_about(what, phase, track);
        event.due = due.map(str::to_owned);
        event.detail = json!({ "text": text });
        self.append(now, event, [], BTreeMap::new())?;
        self.happened(now, Some(phase), Some(track), what, text);
        Ok(())
    }

    /// Judges what is open and takes the transitions. An evaluation that an earlier call recorded
    /// for the same due time is carried on with, not made again.
    fn evaluate(&mut self, due: Instant, now: Instant) -> Result<(), EngineError> {
        let recorded = |state: &State| {
            state.evaluations.last().filter(|judged| judged.evaluation.at >= due).cloned()
        };
        let state = self.state();
        let evaluation = match recorded(&state) {
            Some(judged) => document::read(self.ledger(), &state, judged.seq)?,
            None => self.record_evaluation(now)?,
        };
        let Some(judged) = recorded(&self.state()) else { return Ok(()) };
        self.take_transitions(&judged, &evaluation, now)
    }
}

fn event_about(what: &str, phase: &PhaseId, track: Track) -> Event {
    let mut event = Event::new(what);
    event.phase = Some(phase.clone());
    event.track = Some(track);
    event
}
