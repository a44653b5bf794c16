//! The whole programme in virtual time, through the same engine as in production.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Duration, Instant, Outcome, PhaseId, PrincipalId, Track, VerdictKind};
use calendar::PlanPhase;
use collectors::ScriptedApproval;
use definition::Side;
use deployment::Progress;
use ledger::body::Approval;
use ledger::roles::LEAD;
use ledger::{Draft, LedgerStore, Signer};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::gather::Judging;
use crate::state::{Standing, State, verdict_of};
use crate::{EngineError, Happening, document};

/// A soak that is not complete when it should be is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_hours(24);

/// What a rehearsal needs beyond the engine.
pub struct Rehearsal<'a> {
    /// The virtual instant at which it starts.
    pub start: Instant,
    /// It ends unfinished after this many weeks.
    pub weeks_max: u32,
    /// Approvals that are signed on the way.
    pub approvals: Vec<ScriptedApproval>,
    /// Who signs them.
    pub signers: BTreeMap<PrincipalId, &'a dyn Signer>,
}

/// What a rehearsal tells while it runs.
pub enum Told<'a> {
    /// Networks run.
    Progress(&'a Progress),
    /// Something was done.
    Happened(&'a Happening),
}

/// What came out of a rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsed {
    /// Weeks from its start to its end, rounded up.
    pub weeks: u32,
    /// Hours that networks ran, added up over all deployments.
    pub virtual_hours: f64,
    /// Signatures that were made in the networks.
    pub signatures: u64,
    /// Digest over the traces of all deployments.
    pub trace_digest: Digest,
    /// What became of each phase.
    pub phases: Vec<PhaseOutcome>,
    /// Where it ended.
    pub ended: Instant,
    /// Whether every phase is complete.
    pub shipped: bool,
}

/// What became of one phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseOutcome {
    /// The phase.
    pub id: PhaseId,
    /// Where it stands.
    pub outcome: Standing,
    /// Internal deployments that it took.
    pub attempts: u32,
    /// How often it was held.
    pub holds: u32,
    /// How often it was reset.
    pub resets: u32,
    /// Hours of the internal soak that passed; `None` when none did.
    pub internal_soak_hours: Option<f64>,
    /// Hours of the public soak that passed; `None` when none did.
    pub public_soak_hours: Option<f64>,
}

impl<S: LedgerStore> Engine<'_, S> {
    /// Runs the programme from `rehearsal.start` until every phase is complete and reported.
    ///
    /// # Errors
    /// Whatever [`Engine::tick`] and the networks fail with. A programme that does not end in time
    /// is not an error: the result says so.
    pub fn rehearse(
        &mut self,
        rehearsal: &Rehearsal<'_>,
        tell: &mut dyn FnMut(Told<'_>),
    ) -> Result<Rehearsed, EngineError> {
        let mut now = rehearsal.start;
        let end = rehearsal.start + Duration::from_hours(7 * 24).times(rehearsal.weeks_max.into());
        let mut signed = BTreeSet::new();
        let mut looked: BTreeMap<base::DeploymentId, Instant> = BTreeMap::new();
        while let Some(next) = self.next_instant(now, rehearsal, &signed, &looked) {
            if next > end {
                break;
            }
            self.advance_networks(next, &mut |progress| tell(Told::Progress(&progress)))?;
            now = next;
            self.sign_scripted(rehearsal, &mut signed, now)?;
            self.conclude_watches(&mut looked, now)?;
            self.tick(now)?;
            if self.agree_as_leads(rehearsal, now)? {
                self.tick(now)?;
            }
            for happening in self.take_happenings() {
                tell(Told::Happened(&happening));
            }
            if self.is_finished() {
                break;
            }
        }
        self.conclude(rehearsal.start, now)
    }

    fn is_finished(&self) -> bool {
        let state = self.state();
        state.is_shipped() && state.is_announced()
    }

    fn next_instant(
        &self,
        now: Instant,
        rehearsal: &Rehearsal<'_>,
        signed: &BTreeSet<usize>,
        looked: &BTreeMap<base::DeploymentId, Instant>,
    ) -> Option<Instant> {
        let state = self.state();
        let calendar = self.setup.calendar.next_any(now).map(|next| next.at);
        let approvals = due_approvals(&state, rehearsal, signed).map(|(_, at, _)| at);
        let watches = self.watches(&state, looked).into_iter().map(|(_, at)| at);
        calendar.into_iter().chain(approvals).chain(watches).map(|at| at.max(now)).min()
    }

    /// When each watched public deployment is looked at to be concluded.
    fn watches(
        &self,
        state: &State,
        looked: &BTreeMap<base::DeploymentId, Instant>,
    ) -> Vec<(PhaseId, Instant)> {
        let Some(margin) = self.setup.watch_after_soak else { return Vec::new() };
        let mut watches = Vec::new();
        for (id, track, deployed) in state.live() {
            let Some(phase) = self.setup.pipeline.phase(id) else { continue };
            let has_operations = phase.operations.iter().any(|one| one.track == Track::Public);
            if track == Track::Internal || has_operations {
                continue;
            }
            let need = PlanPhase::of(phase);
            let planned = deployed.started + need.warm_up + need.public_soak + margin;
            let at = looked.get(&deployed.id).map_or(planned, |last| *last + LOOK_AGAIN);
            watches.push((id.clone(), at));
        }
        watches
    }

    fn conclude_watches(
        &mut self,
        looked: &mut BTreeMap<base::DeploymentId, Instant>,
        now: Instant,
    ) -> Result<(), EngineError> {
        let state = self.state();
        for (id, at) in self.watches(&state, looked) {
            if at > now {
                continue;
            }
            let phase = self.phase(&id)?;
            let judging = Judging { phase, track: Track::Public, side: Side::Exit, at: now };
            let (judged, _) = self.judge_side(&state, judging)?;
            let mut settled = judged.findings.iter().filter_map(|finding| {
                let soak = finding.soak.as_ref()?;
                Some(!soak.remaining.is_positive() || finding.outcome == Outcome::Fail)
            });
            if settled.all(|one| one) {
                let text = "The public soak is decided; a rehearsal does not run the network on.";
                self.take_down(&id, Track::Public, now, text)?;
            } else if let Some(live) = state.phase(&id).and_then(|one| one.public.live()) {
                looked.insert(live.id.clone(), now);
            }
        }
        Ok(())
    }

    fn sign_scripted(
        &mut self,
        rehearsal: &Rehearsal<'_>,
        signed: &mut BTreeSet<usize>,
        now: Instant,
    ) -> Result<(), EngineError> {
        loop {
            let state = self.state();
            let due = due_approvals(&state, rehearsal, signed).find(|(_, at, _)| *at <= now);
            let Some((index, _, proposal)) = due else { return Ok(()) };
            signed.insert(index);
            let scripted = &rehearsal.approvals[index];
            let Some(signer) = rehearsal.signers.get(&scripted.principal) else { continue };
            let role = self.role_of(&scripted.principal);
            let approval = Approval {
                proposal,
                principal: scripted.principal.clone(),
                role,
                statement: scripted.statement.clone(),
            };
            self.append_signed(now, approval, *signer)?;
        }
    }

    /// Lets the leads agree to what was judged to pass, where one person does not decide alone:
    /// nobody is there to do it. Tells whether anything was signed.
    fn agree_as_leads(
        &mut self,
        rehearsal: &Rehearsal<'_>,
        now: Instant,
    ) -> Result<bool, EngineError> {
        let mut signed = false;
        while let Some((proposal, principal)) = self.next_consent(rehearsal, now) {
            let Some(signer) = rehearsal.signers.get(&principal) else { break };
            let approval = Approval {
                proposal,
                principal,
                role: LEAD.to_owned(),
                statement: "Scripted: this is a rehearsal.".to_owned(),
            };
            self.append_signed(self.entry_time(now), approval, *signer)?;
            signed = true;
        }
        Ok(signed)
    }

    /// A proposal that passed its evaluation and lacks approvals, and a lead who has not given one.
    fn next_consent(
        &self,
        rehearsal: &Rehearsal<'_>,
        now: Instant,
    ) -> Option<(Digest, PrincipalId)> {
        let view = self.ledger().view();
        let state = self.state();
        let leads = view.roles().roles.get(LEAD).map(|role| role.of.as_slice())?;
        view.open_proposals(self.entry_time(now)).into_iter().find_map(|(digest, consent)| {
            let wanted = consent.proposal.what.transition()?;
            let judged = state.evaluations.iter().find(|one| one.digest == wanted.evaluation)?;
            let passes = verdict_of(judged, &wanted.phase, wanted.track);
            if passes != Some(VerdictKind::Advance) || consent.missing() == 0 {
                return None;
            }
            let may = |lead: &&PrincipalId| {
                rehearsal.signers.contains_key(*lead)
                    && **lead != wanted.operator
                    && !consent.counted.contains(*lead)
                    && !consent.aside.iter().any(|(who, _)| who == *lead)
            };
            Some((digest, leads.iter().find(may)?.clone()))
        })
    }

    /// The role of a principal that is neither root, lead nor evaluator; else the first one.
    fn role_of(&self, principal: &PrincipalId) -> String {
        let roles = &self.ledger().view().roles().roles;
        let own = roles.iter().filter(|(_, role)| role.of.contains(principal));
        own.map(|(name, _)| name.clone())
            .max_by_key(|name| !["root", "lead", "evaluator"].contains(&name.as_str()))
            .unwrap_or_default()
    }

    fn conclude(&self, start: Instant, ended: Instant) -> Result<Rehearsed, EngineError> {
        let state = self.state();
        let totals = self.totals()?;
        let week = Duration::from_hours(7 * 24).micros();
        let weeks = (ended - start).micros().div_euclid(week) + 1;
        let phases = state.phases.iter().map(|phase| self.outcome(&state, &phase.id));
        Ok(Rehearsed {
            weeks: u32::try_from(weeks).unwrap_or(u32::MAX),
            virtual_hours: totals.hours,
            signatures: totals.signatures,
            trace_digest: Digest::of(totals.traces.join("\n").as_bytes()),
            phases: phases.collect::<Result<_, _>>()?,
            ended,
            shipped: state.is_shipped(),
        })
    }

    fn outcome(&self, state: &State, phase: &PhaseId) -> Result<PhaseOutcome, EngineError> {
        let count = |what: &str| {
            let all = state.history.iter();
            let own = all.filter(|one| one.phase.as_ref() == Some(phase) && one.what == what);
            u32::try_from(own.count()).unwrap_or(u32::MAX)
        };
        Ok(PhaseOutcome {
            id: phase.clone(),
            outcome: state.standing(phase),
            attempts: state.phase(phase).map_or(0, |one| one.internal.attempts),
            holds: count("hold"),
            resets: count("reset"),
            internal_soak_hours: self.soak_hours(state, phase, Track::Internal)?,
            public_soak_hours: self.soak_hours(state, phase, Track::Public)?,
        })
    }

    /// The longest run of the soak in the evaluation that let the track pass.
    fn soak_hours(
        &self,
        state: &State,
        phase: &PhaseId,
        track: Track,
    ) -> Result<Option<f64>, EngineError> {
        let pass = state.passes.iter().rev().find(|one| one.phase == *phase && one.track == track);
        let Some(pass) = pass else { return Ok(None) };
        let evaluation = document::read(self.ledger(), state, pass.evaluation)?;
        let judged = evaluation.phases.iter();
        let findings = judged
            .filter(|one| one.phase == *phase && one.track == track)
            .flat_map(|one| &one.findings);
        let runs = findings.filter_map(|finding| Some(finding.soak.as_ref()?.longest_run));
        Ok(runs.max().map(Duration::hours))
    }

    /// Adds up what the networks did, from the sealed observations that the ledger names.
    fn totals(&self) -> Result<Totals, EngineError> {
        let mut totals = Totals::default();
        for verified in self.ledger().view().iter() {
            let ledger::Body::Event(event) = &verified.entry.body else { continue };
            let Some(digest) = event.detail["observation"].as_str() else { continue };
            let Ok(digest) = digest.parse::<Digest>() else { continue };
            let record = self.setup.evidence.get_record(&digest)?;
            let run = Run::deserialize(&record.body).map_err(base::CanonicalError::from)?;
            totals.hours += (run.observed_until - run.started).hours();
            totals.signatures += run.stats.get("signatures").copied().unwrap_or(0);
            let trace = run.digests.get("trace").copied().unwrap_or_default();
            totals.traces.push(format!("{} {trace}", record.for_whom));
        }
        Ok(totals)
    }

    fn append_signed(
        &mut self,
        now: Instant,
        approval: Approval,
        signer: &dyn Signer,
    ) -> Result<(), EngineError> {
        let text = format!("{} says: {}.", approval.principal, approval.statement);
        let draft = Draft::new(now, self.setup.pins.clone(), approval);
        self.append_draft(draft, signer)?;
        self.happened(now, None, None, "approval", text);
        Ok(())
    }
}

#[derive(Default)]
struct Totals {
    hours: f64,
    signatures: u64,
    traces: Vec<String>,
}

/// The part of a sealed observation that is added up.
#[derive(Deserialize)]
struct Run {
    started: Instant,
    observed_until: Instant,
    stats: BTreeMap<String, u64>,
    digests: BTreeMap<String, Digest>,
}

/// Scripted approvals that are not signed yet, with their time and the proposal they consent to.
fn due_approvals<'a>(
    state: &'a State,
    rehearsal: &'a Rehearsal<'_>,
    signed: &'a BTreeSet<usize>,
) -> impl Iterator<Item = (usize, Instant, Digest)> + 'a {
    let open = rehearsal.approvals.iter().enumerate().filter(|(at, _)| !signed.contains(at));
    open.filter_map(|(index, scripted)| {
        let phase: PhaseId = scripted.gate.split('/').next()?.parse().ok()?;
        let newest = state.proposals.iter().filter(|(_, (_, one))| {
            one.what.transition().is_some_and(|proposed| proposed.phase == phase)
        });
        let (digest, _) = newest.max_by_key(|(_, (seq, _))| *seq)?;
        let deployed = state.phase(&phase)?.public.deployment.as_ref()?;
        Some((index, deployed.started + scripted.after, *digest))
    })
}
