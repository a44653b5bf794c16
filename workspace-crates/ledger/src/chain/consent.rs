//! Whether the people who have to agree to a proposal do.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Instant, PhaseId, PrincipalId, Track};

use super::{VerifiedEntry, VerifiedLedger};
use crate::body::{
    Approval, Body, DEPLOYED, Proposal, Proposed, ProposedTransition, RolesChange, Waiver,
};
use crate::roles::{PrincipalKind, Roles};

/// Who agrees to a proposal, and whether it can still be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The proposal.
    pub proposal: Proposal,
    /// Distinct people whose approval counts.
    pub counted: BTreeSet<PrincipalId>,
    /// Approvals that do not count, each with its reason, in the order of the ledger.
    pub aside: Vec<(PrincipalId, Aside)>,
    /// What the deciding role needs under the roles in force, and for a change of roles under the
    /// proposed ones too.
    pub shares: Vec<Share>,
    /// Why it can no longer be carried out.
    pub lapse: Option<Lapse>,
}

/// How many members of the deciding role agree, under one version of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The version of the roles.
    pub roles_version: u32,
    /// Distinct members whose approval counts.
    pub given: usize,
    /// How many are needed.
    pub needed: u32,
}

impl Share {
    fn of(roles: &Roles, role: &str, counted: &BTreeSet<PrincipalId>) -> Self {
        let (given, needed) = roles.roles.get(role).map_or((0, u32::MAX), |role| {
            (role.of.iter().filter(|member| counted.contains(*member)).count(), role.threshold)
        });
        Self { roles_version: roles.version, given, needed }
    }

    /// Whether that is enough.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.given >= self.needed as usize
    }
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Aside {
    /// Taken back.
    #[error("it was withdrawn")]
    Withdrawn,
    /// The same person said it before.
    #[error("one person counts once")]
    Twice,
    /// Consent to what oneself operates is none.
    #[error("the operator of the deployment does not approve it")]
    Operator,
    /// Consent to what oneself judged is none.
    #[error("who signed the evaluation does not approve what follows from it")]
    Judge,
    /// Said in another role, such as a partner's.
    #[error("it was given in a role that does not decide this")]
    OtherRole,
    /// No member of the role any more, or never a person.
    #[error("the role that decides this does not list this person")]
    NotAMember,
}

/// Why a proposal can no longer be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// Its time is over.
    #[error("it expired at {0}")]
    Expired(Instant),
    /// Something newer is known.
    #[error("entry {0:06} judged anew")]
    NewerEvaluation(u64),
    /// Others decide now.
    #[error("entry {0:06} changed the roles")]
    OtherRoles(u64),
    /// It was carried out.
    #[error("entry {0:06} carried it out, and a proposal counts once")]
    Consumed(u64),
}

impl Consent {
    /// Whether enough people agree, and the proposal can still be carried out.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.lapse.is_none() && self.shares.iter().all(Share::is_reached)
    }

    /// How many more people have to agree; 0 when enough do.
    #[must_use]
    pub fn missing(&self) -> usize {
        let missing = |share: &Share| (share.needed as usize).saturating_sub(share.given);
        self.shares.iter().map(missing).max().unwrap_or_default()
    }
}

impl VerifiedLedger {
    /// Who agrees, at the instant `at`, to the proposal whose entry has the digest `digest`.
    /// Nothing when there is no such proposal.
    #[must_use]
    pub fn consent(&self, digest: &Digest, at: Instant) -> Option<Consent> {
        let (from, proposal) = self.proposal(digest)?;
        let rests_on_evaluation = matches!(proposal.what, Proposed::Transition(_));
        let mut lapse = (at >= proposal.expires).then_some(Lapse::Expired(proposal.expires));
        let mut approvals: BTreeMap<Digest, (&Approval, bool)> = BTreeMap::new();
        let mut order = Vec::new();
        for later in self.iter().skip(from as usize + 1) {
            let seq = later.entry.seq;
            if self.is_void(seq) {
                continue;
            }
            match &later.entry.body {
                Body::Approval(approval) if approval.proposal == *digest => {
                    approvals.insert(later.digest, (approval, false));
                    order.push(later.digest);
                }
                Body::Withdraw(withdraw) => {
                    if let Some((_, is_withdrawn)) = approvals.get_mut(&withdraw.approval) {
                        *is_withdrawn = true;
                    }
                }
                body if body.carries_out() == Some(*digest) => {
                    lapse = lapse.or(Some(Lapse::Consumed(seq)));
                }
                Body::Evaluation(_) if rests_on_evaluation => {
                    lapse = lapse.or(Some(Lapse::NewerEvaluation(seq)));
                }
                Body::Roles(_) => lapse = lapse.or(Some(Lapse::OtherRoles(seq))),
                _ => {}
            }
        }
        let mut counted = BTreeSet::new();
        let mut aside = Vec::new();
        for (approval, is_withdrawn) in order.iter().filter_map(|digest| approvals.get(digest)) {
            let who = &approval.principal;
            match self.standing(proposal, approval, *is_withdrawn) {
                Some(reason) => aside.push((who.clone(), reason)),
                None if counted.insert(who.clone()) => {}
                None => aside.push((who.clone(), Aside::Twice)),
            }
        }
        let role = proposal.what.decided_by();
        let shares = self.deciding(proposal).map(|roles| Share::of(roles, role, &counted));
        let shares = shares.collect();
        Some(Consent { proposal: proposal.clone(), counted, aside, shares, lapse })
    }

    /// Every proposal that can still be carried out at `at`, oldest first: the digest of its entry,
    /// and who agrees to it.
    #[must_use]
    pub fn open_proposals(&self, at: Instant) -> Vec<(Digest, Consent)> {
        let all = self.iter().filter(|one| matches!(one.entry.body, Body::Proposal(_)));
        let all = all.filter_map(|one| Some((one.digest, self.consent(&one.digest, at)?)));
        all.filter(|(_, consent)| consent.lapse.is_none()).collect()
    }

    /// The oldest waiver or change of roles that was proposed, has enough approvals at `at`, and
    /// waits for the entry that carries it out. Transitions are not among them: the weekly job
    /// carries those out, with everything that they start and end.
    #[must_use]
    pub fn ready(&self, at: Instant) -> Option<Body> {
        let open = self.open_proposals(at).into_iter().filter(|(_, consent)| consent.is_given());
        let mut ready = open.filter_map(|(digest, consent)| match consent.proposal.what {
            Proposed::Waiver(waiver) if at < waiver.expires => {
                Some(Body::Waiver(Waiver { proposal: Some(digest), ..waiver }))
            }
            Proposed::Roles(change) => {
                Some(Body::Roles(RolesChange { proposal: Some(digest), ..change }))
            }
            Proposed::Waiver(_) | Proposed::Transition(_) => None,
        });
        ready.next()
    }

    /// The proposal in the entry with this digest, with the place of that entry. Nothing when the
    /// entry is another one, or no longer counts.
    pub(super) fn proposal(&self, digest: &Digest) -> Option<(u64, &Proposal)> {
        let found = self.by_digest(digest).filter(|one| !self.is_void(one.entry.seq))?;
        match &found.entry.body {
            Body::Proposal(proposal) => Some((found.entry.seq, proposal)),
            _ => None,
        }
    }

    /// The versions of the roles under which a proposal has to be approved.
    pub(super) fn deciding<'a>(
        &'a self,
        proposal: &'a Proposal,
    ) -> impl Iterator<Item = &'a Roles> + 'a {
        let proposed = match &proposal.what {
            Proposed::Roles(change) => Some(&change.roles),
            Proposed::Transition(_) | Proposed::Waiver(_) => None,
        };
        std::iter::once(self.roles()).chain(proposed)
    }

    /// The newest entry that counts and says that this track of a phase was deployed.
    #[must_use]
    pub fn deployed(&self, phase: &PhaseId, track: Track) -> Option<&VerifiedEntry> {
        self.iter().rev().find(|one| match &one.entry.body {
            Body::Event(event) => {
                event.event == DEPLOYED
                    && event.phase.as_ref() == Some(phase)
                    && event.track == Some(track)
                    && !self.is_void(one.entry.seq)
            }
            _ => false,
        })
    }

    /// Whether `who` operates what would move: by the proposal's word, and by the newest entry that
    /// says who deployed it, so that nobody gets around it by naming somebody else.
    fn operates(&self, transition: &ProposedTransition, who: &PrincipalId) -> bool {
        let deployed = self.deployed(&transition.phase, transition.track);
        transition.operator == *who || deployed.is_some_and(|one| one.signers.contains(who))
    }

    /// Why an approval does not count; nothing when it does.
    fn standing(&self, proposal: &Proposal, approval: &Approval, withdrawn: bool) -> Option<Aside> {
        let who = &approval.principal;
        let role = proposal.what.decided_by();
        let mut deciding = self.deciding(proposal);
        let is_member = deciding.any(|roles| is_human_member(roles, role, who));
        let transition = proposal.what.transition();
        let judged = transition.and_then(|one| self.by_digest(&one.evaluation));
        if withdrawn {
            Some(Aside::Withdrawn)
        } else if approval.role != role {
            Some(Aside::OtherRole)
        } else if transition.is_some_and(|one| self.operates(one, who)) {
            Some(Aside::Operator)
        } else if judged.is_some_and(|judged| judged.signers.contains(who)) {
            Some(Aside::Judge)
        } else if !is_member {
            Some(Aside::NotAMember)
        } else {
            None
        }
    }
}

/// Whether `who` is a person whom `role` lists.
pub(super) fn is_human_member(roles: &Roles, role: &str, who: &PrincipalId) -> bool {
    roles.principal(who).is_some_and(|one| one.kind == PrincipalKind::Human)
        && roles.is_member(role, who)
}
