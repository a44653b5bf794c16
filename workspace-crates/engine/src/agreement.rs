//! What people have to agree to before a phase moves.

use std::collections::BTreeMap;

use base::{Digest, Instant, PhaseId, Track};
use ledger::body::{self, Body, EvaluationRef, Proposed};
use ledger::roles::LEAD;
use ledger::{LedgerStore, chain};

use crate::decide::{self, Transition};
use crate::engine::Engine;
use crate::{EngineError, document};

/// Whether the leads agree to one transition.
pub(crate) enum Agreement {
    /// One person decides alone here.
    NotNeeded,
    /// They approved the proposal with this digest.
    Given(Digest),
    /// It is proposed, and approvals are missing.
    Open,
}

/// One move of a track, before anybody agreed to it.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) phase: &'a PhaseId,
    pub(crate) track: Track,
}

/// The states that an advance of `track` leaves and takes.
#[must_use]
pub fn states(track: Track) -> (&'static str, &'static str) {
    match track {
        Track::Internal => ("internal-soak", "cleared"),
        Track::Public => ("public-soak", "complete"),
    }
}

impl<S: LedgerStore> Engine<'_, S> {
    /// Whether the leads agree to `wanted` on the grounds of `evaluation`. Proposes it when nobody
    /// has.
    pub(crate) fn agreement(
        &mut self,
        wanted: Wanted<'_>,
        evaluation: EvaluationRef,
        now: Instant,
    ) -> Result<Agreement, EngineError> {
        if self.ledger().view().is_solo() {
            return Ok(Agreement::NotNeeded);
        }
        if let Some((digest, consent)) = self.open_proposal(wanted, evaluation, now) {
            let given = consent.is_given();
            return Ok(if given { Agreement::Given(digest) } else { Agreement::Open });
        }
        self.propose(wanted, evaluation.digest, now)?;
        let threshold =
            self.ledger().view().roles().roles.get(LEAD).map_or(0, |role| role.threshold);
        let Wanted { phase, track, .. } = wanted;
        let text = format!(
            "{phase} passes its {track} gates. It moves on when {threshold} leads approve; `phase approve` does that."
        );
        self.happened(now, Some(phase), Some(track), "proposed", text);
        Ok(Agreement::Open)
    }

    /// Carries out what was proposed and has been approved since: waivers, changes of roles, and
    /// what was proposed after the newest evaluation.
    pub(crate) fn carry_out_agreed(&mut self, now: Instant) -> Result<(), EngineError> {
        while let Some(body) = self.ledger().view().ready(self.entry_time(now)) {
            let (what, text) = match &body {
                Body::Waiver(one) => ("waiver", format!("{}/{} is waived.", one.phase, one.gate)),
                _ => ("roles", "The roles were changed.".to_owned()),
            };
            self.append(now, body, [], BTreeMap::new())?;
            self.happened(now, None, None, what, text);
        }
        if self.ledger().view().is_solo() {
            return Ok(());
        }
        let state = self.state();
        let Some(judged) = state.evaluations.last() else { return Ok(()) };
        let document = document::read(self.ledger(), &state, judged.seq)?;
        let evaluation = EvaluationRef { seq: judged.seq, digest: judged.digest };
        let transitions =
            decide::transitions(self.setup.pipeline, &state, &self.setup.calendar, &document);
        for transition in transitions {
            let Transition::Advance { phase, track, .. } = &transition else { continue };
            let wanted = Wanted { phase, track: *track };
            let is_settled = state.settled.contains(&(judged.seq, phase.clone(), *track))
                || state.is_undone(phase, judged.seq);
            let open = self.open_proposal(wanted, evaluation, now);
            if !is_settled && open.is_some_and(|(_, consent)| consent.is_given()) {
                self.take(transition, evaluation, now)?;
            }
        }
        Ok(())
    }

    /// The newest proposal of `wanted` that can still be carried out.
    pub(crate) fn open_proposal(
        &self,
        wanted: Wanted<'_>,
        evaluation: EvaluationRef,
        now: Instant,
    ) -> Option<(Digest, chain::Consent)> {
        let view = self.ledger().view();
        let (from, to) = states(wanted.track);
        let now = now.max(view.last().entry.time);
        let proposed = view.iter().rev().filter(|one| match &one.entry.body {
            Body::Proposal(one) => one.what.transition().is_some_and(|one| {
                one.phase == *wanted.phase
                    && one.track == wanted.track
                    && one.from == from
                    && one.to == to
                    && one.evaluation == evaluation.digest
            }),
            _ => false,
        });
        // Oldest last, so that of several proposals the newest counts.
        let mut consents =
            proposed.filter_map(|one| Some((one.digest, view.consent(&one.digest, now)?)));
        consents.find(|(_, consent)| consent.lapse.is_none())
    }

    /// Appends the proposal of `wanted` that rests on the evaluation entry `evaluation`.
    pub(crate) fn propose(
        &mut self,
        wanted: Wanted<'_>,
        evaluation: Digest,
        now: Instant,
    ) -> Result<(), EngineError> {
        let (from, to) = states(wanted.track);
        let transition = body::ProposedTransition {
            phase: wanted.phase.clone(),
            track: wanted.track,
            from: from.to_owned(),
            to: to.to_owned(),
            evaluation,
            policy: self.setup.pipeline.digest()?,
            operator: self.setup.signer.principal().clone(),
        };
        let proposal = body::Proposal {
            what: Proposed::Transition(transition),
            roles_version: self.ledger().view().roles().version,
            expires: now + chain::PROPOSAL_LASTS_MAX,
        };
        self.append(now, proposal, [], BTreeMap::new())
    }
}
