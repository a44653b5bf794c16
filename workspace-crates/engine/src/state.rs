//! Where the programme stands: a fold over the ledger's entries, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use base::{DeploymentId, Digest, Instant, PhaseId, Subject, Track, VerdictKind};
use ledger::body;
use ledger::{Body, Entry, VerifiedLedger};

/// Where one phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// An upstream phase has not been released yet.
    Locked,
    /// Waits for the next internal deployment.
    Ready,
    /// Runs internally.
    InternalSoak,
    /// Passed internally; waits for its public deployment.
    Cleared,
    /// Runs in public.
    PublicSoak,
    /// Passed in public.
    Complete,
}

impl Standing {
    /// Whether phases downstream may be deployed internally.
    #[must_use]
    pub fn is_released(self) -> bool {
        matches!(self, Self::PublicSoak | Self::Complete)
    }

    /// The standing in plain words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Locked => "locked until the phases before it are released",
            Self::Ready => "ready for its internal deployment",
            Self::InternalSoak => "soaking internally",
            Self::Cleared => "cleared for its public deployment",
            Self::PublicSoak => "soaking in public",
            Self::Complete => "complete",
        }
    }
}

/// A deployment as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its id.
    pub id: DeploymentId,
    /// The entry that says so.
    pub seq: u64,
    /// When it started.
    pub started: Instant,
    /// What was deployed: the candidate that evidence has to be about.
    pub subject: Subject,
    /// Name of the driver that runs it.
    pub driver: String,
    /// What is not real about it, for reports; empty when nothing.
    pub note: String,
    /// The place whose driver runs it; empty where there is one place only.
    pub place: String,
    /// When it was taken down.
    pub ended: Option<Instant>,
    /// The sealed observation, once it was taken down.
    pub sealed: Option<Digest>,
}

/// An advance that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// The entry.
    pub seq: u64,
    /// When.
    pub at: Instant,
}

/// One track of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackState {
    /// Deployments so far, over the whole history.
    pub attempts: u32,
    /// The newest deployment since the last reset.
    pub deployment: Option<Deployed>,
    /// A deployment that was begun and is not known to be up: its maker may have died.
    pub begun: Option<DeploymentId>,
    /// The advance, unless it was revoked.
    pub advanced: Option<Advanced>,
    /// Reasons of the newest hold or refusal since the last deployment.
    pub held: Vec<String>,
}

impl TrackState {
    /// The deployment that is up.
    #[must_use]
    pub fn live(&self) -> Option<&Deployed> {
        self.deployment.as_ref().filter(|one| one.ended.is_none())
    }
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseState {
    /// The phase.
    pub id: PhaseId,
    /// The phases that it waits for.
    pub after: Vec<PhaseId>,
    /// The internal track.
    pub internal: TrackState,
    /// The public track.
    pub public: TrackState,
}

impl PhaseState {
    /// The state of `track`.
    #[must_use]
    pub fn track(&self, track: Track) -> &TrackState {
        match track {
            Track::Internal => &self.internal,
            Track::Public => &self.public,
        }
    }

    fn track_mut(&mut self, track: Track) -> &mut TrackState {
        match track {
            Track::Internal => &mut self.internal,
            Track::Public => &mut self.public,
        }
    }
}

/// A waiver that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The entry.
    pub seq: u64,
    /// What was granted.
    pub waiver: body::Waiver,
}

/// An approval, with the proposal that it consents to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The entry.
    pub seq: u64,
    /// Digest of the entry.
    pub digest: Digest,
    /// When.
    pub at: Instant,
    /// What was approved.
    pub approval: body::Approval,
    /// The proposal.
    pub proposal: body::Proposal,
    /// Whether a person signed, by the roles in force then.
    pub human: bool,
}

/// An evaluation as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The entry.
    pub seq: u64,
    /// Digest of the entry.
    pub digest: Digest,
    /// What it says.
    pub evaluation: body::Evaluation,
}

/// A track that passed an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The entry with the advance.
    pub advance: u64,
    /// The entry with the evaluation.
    pub evaluation: u64,
}

/// Where the whole programme stands.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Phases in the pipeline's order.
    pub phases: Vec<PhaseState>,
    /// Due times that were settled.
    pub handled: BTreeSet<String>,
    /// What was settled of a due time that may not be settled as a whole yet.
    pub parts: BTreeSet<(String, PhaseId, Track)>,
    /// Waivers, oldest first.
    pub waivers: Vec<Granted>,
    /// Approvals that were not withdrawn, oldest first.
    pub approvals: Vec<Consent>,
    /// Proposals by the digest of their entry.
    pub proposals: BTreeMap<Digest, (u64, body::Proposal)>,
    /// Evaluations, oldest first.
    pub evaluations: Vec<Judged>,
    /// Passes that were not revoked, oldest first.
    pub passes: Vec<Pass>,
    /// Transitions that were already taken on an evaluation: `(evaluation seq, phase, track)`.
    pub settled: BTreeSet<(u64, PhaseId, Track)>,
    /// Phases that a reset took back since an evaluation: `(evaluation seq, phase)`.
    pub undone: BTreeSet<(u64, PhaseId)>,
    /// What happened, oldest first, for timelines.
    pub history: Vec<Happened>,
    /// When the ledger began.
    pub began: Instant,
    /// Time of the newest entry.
    pub last_time: Instant,
    /// The roles in force.
    pub roles: Option<ledger::Roles>,
    /// Advances that no longer count, because their key is not trusted, and that no reset has
    /// revoked: the entry, and the phase. Nothing advances while there are any.
    pub to_revoke: Vec<(u64, PhaseId)>,
}

/// One line of the programme's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The entry.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// The phase, where it is about one.
    pub phase: Option<PhaseId>,
    /// The track, where it is about one.
    pub track: Option<Track>,
    /// What happened: `deployed`, `advance`, `hold`, `reset`, `torn-down`, …
    pub what: String,
    /// One sentence.
    pub text: String,
}

impl State {
    /// The state after all entries of a ledger, for the phases of `pipeline`. What a key signed that
    /// is no longer trusted has not happened.
    #[must_use]
    pub fn of(pipeline: &definition::Pipeline, view: &VerifiedLedger) -> Self {
        let counted = view.iter().filter(|verified| !view.is_void(verified.entry.seq));
        let mut state =
            Self::fold(pipeline, counted.map(|verified| (&verified.entry, verified.digest)));
        let voids = view.unrevoked_voids().into_iter();
        state.to_revoke = voids
            .filter_map(|seq| match &view.get(seq)?.entry.body {
                Body::Advance(advance) => Some((seq, advance.phase.clone())),
                _ => None,
            })
            .collect();
        state
    }

    /// The state after all `entries`, for the phases of `pipeline`.
    pub fn fold<'e>(
        pipeline: &definition::Pipeline,
        entries: impl IntoIterator<Item = (&'e Entry, Digest)>,
    ) -> Self {
        let mut state = Self {
            phases: pipeline
                .phases
                .iter()
                .map(|phase| PhaseState {
                    id: phase.id.clone(),
                    after: phase.after.clone(),
                    internal: TrackState::default(),
                    public: TrackState::default(),
                })
                .collect(),
            handled: BTreeSet::new(),
            parts: BTreeSet::new(),
            waivers: Vec::new(),
            approvals: Vec::new(),
            proposals: BTreeMap::new(),
            evaluations: Vec::new(),
            passes: Vec::new(),
            settled: BTreeSet::new(),
            undone: BTreeSet::new(),
            history: Vec::new(),
            began: Instant::default(),
            last_time: Instant::default(),
            roles: None,
            to_revoke: Vec::new(),
        };
        for (entry, digest) in entries {
            state.apply(entry, digest);
        }
        state
    }

    /// The state of `phase`, when the pipeline has it.
    #[must_use]
    pub fn phase(&self, phase: &PhaseId) -> Option<&PhaseState> {
        self.phases.iter().find(|state| state.id == *phase)
    }

    /// Where `phase` stands; a phase that the pipeline does not have is locked.
    #[must_use]
    pub fn standing(&self, phase: &PhaseId) -> Standing {
        let Some(state) = self.phase(phase) else { return Standing::Locked };
        if state.public.advanced.is_some() {
            return Standing::Complete;
        }
        // A public deployment that was watched to its end still waits for its evaluation.
        if state.public.deployment.is_some() {
            return Standing::PublicSoak;
        }
        if state.internal.advanced.is_some() {
            return Standing::Cleared;
        }
        if state.internal.live().is_some() {
            return Standing::InternalSoak;
        }
        if self.waits_for(phase).is_empty() { Standing::Ready } else { Standing::Locked }
    }

    /// Upstream phases of `phase` that have not been released.
    #[must_use]
    pub fn waits_for(&self, phase: &PhaseId) -> Vec<&PhaseId> {
        let Some(state) = self.phase(phase) else { return Vec::new() };
        state.after.iter().filter(|upstream| !self.standing(upstream).is_released()).collect()
    }

    /// Upstream phases of `phase` that are not complete.
    #[must_use]
    pub fn incomplete_upstream(&self, phase: &PhaseId) -> Vec<&PhaseId> {
        let Some(state) = self.phase(phase) else { return Vec::new() };
        let open = |upstream: &&PhaseId| self.standing(upstream) != Standing::Complete;
        state.after.iter().filter(open).collect()
    }

    /// `phase` and every phase that depends on it, in the pipeline's order.
    #[must_use]
    pub fn downstream(&self, phase: &PhaseId) -> Vec<PhaseId> {
        let mut reached = BTreeSet::from([phase.clone()]);
        // Phases are in topological order, so one pass is enough.
        for state in &self.phases {
            if state.after.iter().any(|upstream| reached.contains(upstream)) {
                reached.insert(state.id.clone());
            }
        }
        self.phases.iter().map(|state| state.id.clone()).filter(|id| reached.contains(id)).collect()
    }

    /// Whether every phase is complete.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        self.phases.iter().all(|phase| phase.public.advanced.is_some())
    }

    /// Whether the newest evaluation was announced.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        let announced = self.history.iter().rev().find(|one| one.what == "announced");
        match (self.evaluations.last(), announced) {
            (None, _) => true,
            (Some(judged), Some(announced)) => announced.seq > judged.seq,
            (Some(_), None) => false,
        }
    }

    /// Whether a reset took `phase` back after the evaluation in entry `evaluation`: what that
    /// evaluation says about it is about networks that are gone.
    #[must_use]
    pub fn is_undone(&self, phase: &PhaseId, evaluation: u64) -> bool {
        self.undone.iter().any(|(seq, undone)| undone == phase && *seq >= evaluation)
    }

    /// Every deployment that is up.
    pub fn live(&self) -> impl Iterator<Item = (&PhaseId, Track, &Deployed)> {
        self.phases.iter().flat_map(|phase| {
            [Track::Internal, Track::Public]
                .into_iter()
                .filter_map(|track| Some((&phase.id, track, phase.track(track).live()?)))
        })
    }

    fn apply(&mut self, entry: &Entry, digest: Digest) {
        self.last_time = entry.time;
        match &entry.body {
            Body::Genesis(genesis) => {
                self.began = entry.time;
                self.roles = Some(genesis.roles.clone());
                self.note(entry, None, None, "genesis", "The ledger was opened.".to_owned());
            }
            Body::Roles(change) => {
                self.roles = Some(change.roles.clone());
                // Consent was given under other roles; it has to be given again.
                self.approvals.clear();
            }
            Body::Event(event) => self.apply_event(entry, event),
            Body::Proposal(proposal) => {
                self.proposals.insert(digest, (entry.seq, proposal.clone()));
            }
            Body::Approval(approval) => self.apply_approval(entry, digest, approval),
            Body::Withdraw(withdraw) => self.apply_withdraw(withdraw),
            Body::Waiver(waiver) => {
                self.waivers.push(Granted { seq: entry.seq, waiver: waiver.clone() });
            }
            Body::Evaluation(evaluation) => {
                let evaluation = evaluation.clone();
                self.evaluations.push(Judged { seq: entry.seq, digest, evaluation });
            }
            Body::Advance(advance) => self.apply_advance(entry, advance),
            Body::Hold(hold) => self.apply_hold(entry, hold),
            Body::Reset(reset) => self.apply_reset(entry, reset),
        }
    }

    fn apply_event(&mut self, entry: &Entry, event: &body::Event) {
        // An event about one phase settles its part only; the event without a phase settles the due time.
        if let (Some(due), None) = (&event.due, &event.phase) {
            self.handled.insert(due.clone());
        }
        let (Some(phase), Some(track)) = (&event.phase, event.track) else {
            self.note(entry, None, None, &event.event, text_of(event));
            return;
        };
        if let Some(due) = &event.due {
            self.parts.insert((due.clone(), phase.clone(), track));
        }
        self.note(entry, Some(phase), Some(track), &event.event, text_of(event));
        let Some(state) = self.phases.iter_mut().find(|state| state.id == *phase) else { return };
        let state = state.track_mut(track);
        match event.event.as_str() {
            "deploying" => state.begun.clone_from(&event.deployment),
            "deployed" => {
                state.begun = None;
                let (Some(id), Some(subject)) = (&event.deployment, &event.subject) else { return };
                state.attempts += 1;
                state.held.clear();
                state.deployment = Some(Deployed {
                    id: id.clone(),
                    seq: entry.seq,
                    started: started_of(event).unwrap_or(entry.time),
                    subject: subject.clone(),
                    driver: event.detail["driver"].as_str().unwrap_or_default().to_owned(),
                    note: event.detail["note"].as_str().unwrap_or_default().to_owned(),
                    place: event.detail["place"].as_str().unwrap_or_default().to_owned(),
                    ended: None,
                    sealed: None,
                });
            }
            "torn-down" => {
                if let Some(deployment) = &mut state.deployment
                    && event.deployment.as_ref() == Some(&deployment.id)
                {
                    deployment.ended = Some(entry.time);
                    deployment.sealed =
                        event.detail["observation"].as_str().and_then(|text| text.parse().ok());
                }
            }
            "deployment-failed" => {
                state.begun = None;
                state.attempts += 1;
                state.held = vec![text_of(event)];
            }
            "deployment-refused" | "release-held" => state.held = vec![text_of(event)],
            _ => {}
        }
    }

    fn apply_approval(&mut self, entry: &Entry, digest: Digest, approval: &body::Approval) {
        let Some((_, proposal)) = self.proposals.get(&approval.proposal) else { return };
        let human = self
            .roles
            .as_ref()
            .and_then(|roles| roles.principal(&approval.principal))
            .is_some_and(|principal| principal.kind == ledger::PrincipalKind::Human);
        self.approvals.push(Consent {
            seq: entry.seq,
            digest,
            at: entry.time,
            approval: approval.clone(),
            proposal: proposal.clone(),
            human,
        });
    }

    fn apply_withdraw(&mut self, withdraw: &body::Withdraw) {
        self.approvals.retain(|consent| consent.digest != withdraw.approval);
    }

    fn apply_advance(&mut self, entry: &Entry, advance: &body::Advance) {
        let (phase, track) = (&advance.phase, advance.track);
        if self.is_undone(phase, advance.evaluation.seq) {
            let text = "It rests on what a reset took back, and does not count.".to_owned();
            self.note(entry, Some(phase), Some(track), "advance", text);
            return;
        }
        self.note(entry, Some(phase), Some(track), "advance", advance.reason.clone());
        self.settled.insert((advance.evaluation.seq, phase.clone(), track));
        self.passes.push(Pass {
            phase: phase.clone(),
            track,
            advance: entry.seq,
            evaluation: advance.evaluation.seq,
        });
        if let Some(state) = self.phases.iter_mut().find(|state| state.id == *phase) {
            let state = state.track_mut(track);
            state.advanced = Some(Advanced { seq: entry.seq, at: entry.time });
            state.held.clear();
        }
    }

    fn apply_hold(&mut self, entry: &Entry, hold: &body::Hold) {
        let (phase, track) = (&hold.phase, hold.track);
        self.note(entry, Some(phase), Some(track), "hold", hold.reasons.join(" "));
        self.settled.insert((hold.evaluation.seq, phase.clone(), track));
        if let Some(state) = self.phases.iter_mut().find(|state| state.id == *phase) {
            state.track_mut(track).held.clone_from(&hold.reasons);
        }
    }

    fn apply_reset(&mut self, entry: &Entry, reset: &body::Reset) {
        self.note(entry, Some(&reset.phase), Some(reset.track), "reset", reset.reason.clone());
        self.passes.retain(|pass| !reset.revokes.contains(&pass.advance));
        let revoked: BTreeSet<PhaseId> = self.downstream(&reset.to).into_iter().collect();
        // What the newest evaluation said about these phases is about networks that are gone.
        if let Some(last) = self.evaluations.last() {
            self.undone.extend(revoked.iter().map(|phase| (last.seq, phase.clone())));
        }
        for state in self.phases.iter_mut().filter(|state| revoked.contains(&state.id)) {
            let own = state.id == reset.to;
            for track in [&mut state.internal, &mut state.public] {
                track.advanced = None;
                track.deployment = None;
                track.held = vec![if own {
                    reset.reason.clone()
                } else {
                    format!("{} was reset, and this phase depends on it.", reset.to)
                }];
            }
        }
    }

    fn note(
        &mut self,
        entry: &Entry,
        phase: Option<&PhaseId>,
        track: Option<Track>,
        what: &str,
        text: String,
    ) {
        self.history.push(Happened {
            seq: entry.seq,
            at: entry.time,
            phase: phase.cloned(),
            track,
            what: what.to_owned(),
            text,
        });
    }
}

/// The verdict that the newest evaluation gave `phase` on `track`, when it judged it.
#[must_use]
pub fn verdict_of(judged: &Judged, phase: &PhaseId, track: Track) -> Option<VerdictKind> {
    judged.evaluation.verdicts.get(&format!("{phase}/{track}")).copied()
}

fn text_of(event: &body::Event) -> String {
    event.detail["text"].as_str().unwrap_or_default().to_owned()
}

fn started_of(event: &body::Event) -> Option<Instant> {
    event.detail["started"].as_str()?.parse().ok()
}
