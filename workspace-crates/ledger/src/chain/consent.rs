//! Whether the people who have to agree to a proposal do.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Instant, PrincipalId};

use super::VerifiedLedger;
use crate::body::{Approval, Body, Proposal};
use crate::roles::{LEAD, PrincipalKind};

/// Who agrees to a proposal, and whether it can still be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The proposal.
    pub proposal: Proposal,
    /// Distinct people whose approval counts.
    pub counted: BTreeSet<PrincipalId>,
    /// Approvals that do not count, each with its reason, in the order of the ledger.
    pub aside: Vec<(PrincipalId, Aside)>,
    /// How many people the role `lead` needs.
    pub threshold: u32,
    /// Why it can no longer be carried out.
    pub lapse: Option<Lapse>,
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
    #[error("the role `lead` does not list this person")]
    NotALead,
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
        self.lapse.is_none() && self.counted.len() >= self.threshold as usize
    }
}

impl VerifiedLedger {
    /// Who agrees, at the instant `at`, to the proposal whose entry has the digest `digest`.
    /// Nothing when there is no such proposal.
    #[must_use]
    pub fn consent(&self, digest: &Digest, at: Instant) -> Option<Consent> {
        let proposed = self.by_digest(digest).filter(|one| !self.is_void(one.entry.seq))?;
        let Body::Proposal(proposal) = &proposed.entry.body else { return None };
        let mut lapse = (at >= proposal.expires).then_some(Lapse::Expired(proposal.expires));
        let mut approvals: BTreeMap<Digest, (&Approval, bool)> = BTreeMap::new();
        let mut order = Vec::new();
        for later in self.iter().skip(proposed.entry.seq as usize + 1) {
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
                Body::Evaluation(_) => lapse = lapse.or(Some(Lapse::NewerEvaluation(seq))),
                Body::Roles(_) => lapse = lapse.or(Some(Lapse::OtherRoles(seq))),
                Body::Advance(advance) if advance.proposal == Some(*digest) => {
                    lapse = lapse.or(Some(Lapse::Consumed(seq)));
                }
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
        let threshold = self.roles().roles.get(LEAD).map_or(u32::MAX, |role| role.threshold);
        Some(Consent { proposal: proposal.clone(), counted, aside, threshold, lapse })
    }

    /// Why an approval does not count; nothing when it does.
    fn standing(&self, proposal: &Proposal, approval: &Approval, withdrawn: bool) -> Option<Aside> {
        let who = &approval.principal;
        let roles = self.roles();
        let is_human = roles.principal(who).is_some_and(|one| one.kind == PrincipalKind::Human);
        let judged = self.by_digest(&proposal.evaluation);
        if withdrawn {
            Some(Aside::Withdrawn)
        } else if approval.role != LEAD {
            Some(Aside::OtherRole)
        } else if *who == proposal.operator {
            Some(Aside::Operator)
        } else if judged.is_some_and(|judged| judged.signers.contains(who)) {
            Some(Aside::Judge)
        } else if !is_human || !roles.is_member(LEAD, who) {
            Some(Aside::NotALead)
        } else {
            None
        }
    }
}
