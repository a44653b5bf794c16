use std::collections::BTreeSet;

use base::Instant;

use super::contracts::{Call, Refused};
use super::rollup::Rollup;
use super::staking::Staking;
use crate::{
    GovernanceView, GovernanceVote, KeyId, Move, NodeId, Observation, SignedMessage, names, quorum,
};

#[derive(Clone)]
struct Proposal {
    number: u64,
    version: u32,
    voters: BTreeSet<NodeId>,
    executable_at: Option<Instant>,
}

/// The governance contract and the registry of rollups.
#[derive(Clone)]
pub(super) struct Governance {
    proposals: u64,
    open: Option<Proposal>,
    /// The rollup that the registry points to.
    pub(super) registered: u32,
    /// First slot whose block belongs to it.
    pub(super) from_slot: u64,
    moved: BTreeSet<NodeId>,
    moved_announced: bool,
    old_proved_announced: bool,
}

impl Governance {
    pub(super) fn new() -> Self {
        Self {
            proposals: 0,
            open: None,
            registered: 1,
            from_slot: 0,
            moved: BTreeSet::new(),
            moved_announced: true,
            old_proved_announced: true,
        }
    }

    pub(super) fn rollup_at(&self, slot: u64) -> u32 {
        if slot >= self.from_slot { self.registered } else { (self.registered - 1).max(1) }
    }

    pub(super) fn view(&self) -> Option<GovernanceView> {
        self.open.as_ref().map(|open| GovernanceView {
            proposal: open.number,
            version: open.version,
            executable_at: open.executable_at,
        })
    }

    /// Who can be drawn for `epoch`: active validators, for the new rollup those that moved.
    pub(super) fn eligible(&self, call: &Call<'_>, epoch: u64, staking: &Staking) -> Vec<NodeId> {
        let mut active = staking.active();
        let new = epoch.saturating_mul(u64::from(call.spec.epoch_slots)) >= self.from_slot;
        if self.registered > 1 && new {
            active.retain(|id| self.moved.contains(id));
        }
        active
    }

    pub(super) fn propose(
        &mut self,
        version: u32,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        if self.open.is_some() {
            return Err("another proposal is open");
        }
        if version != self.registered + 1 {
            return Err("the proposed rollup is not the next version");
        }
        self.proposals += 1;
        let number = self.proposals;
        let voters = BTreeSet::new();
        self.open = Some(Proposal { number, version, voters, executable_at: None });
        seen.push(Observation::new(
            names::GOVERNANCE_PROPOSED,
            [("proposal", number.to_string()), ("version", version.to_string())],
        ));
        Ok(())
    }

    /// Counts a validator's signal; more than 2/3 of the active ones queue the proposal.
    pub(super) fn vote(
        &mut self,
        call: &Call<'_>,
        from: NodeId,
        vote: &GovernanceVote,
        staking: &Staking,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        let open = self.open.as_mut().filter(|open| open.number == vote.proposal);
        let open = open.ok_or("no such proposal is open")?;
        if open.executable_at.is_some() {
            return Err("the proposal has its quorum already");
        }
        if vote.voter != from || !staking.is_active(from) {
            return Err("the sender is not an active validator");
        }
        let root = GovernanceVote::root(&call.domain, vote.proposal);
        check_signature(call, from, &root.0, vote.signature)?;
        open.voters.insert(from);
        let active = staking.active().len();
        if open.voters.len() >= quorum(active) {
            let at = call.now + call.spec.governance_delay;
            open.executable_at = Some(at);
            let proposal = open.number.to_string();
            seen.push(Observation::new(
                names::GOVERNANCE_VOTED,
                [
                    ("proposal", proposal.clone()),
                    ("votes", open.voters.len().to_string()),
                    ("of", active.to_string()),
                ],
            ));
            seen.push(Observation::new(
                names::GOVERNANCE_QUEUED,
                [("proposal", proposal), ("executable_at", at.to_string())],
            ));
        }
        Ok(())
    }

    pub(super) fn is_due(&self, call: &Call<'_>) -> bool {
        self.open.as_ref().and_then(|open| open.executable_at).is_some_and(|at| call.now >= at)
    }

    /// Executes a queued proposal once its delay is over.
    pub(super) fn advance(&mut self, call: &Call<'_>, seen: &mut Vec<Observation>) {
        if !self.is_due(call) {
            return;
        }
        let Some(open) = self.open.take() else { return };
        self.registered = open.version;
        // Committees are drawn `lag` epochs ahead; one more epoch leaves time to move.
        let epoch = call.epoch() + u64::from(call.spec.committee_lag_epochs) + 2;
        self.from_slot = epoch.saturating_mul(u64::from(call.spec.epoch_slots));
        self.moved = BTreeSet::new();
        self.moved_announced = false;
        self.old_proved_announced = false;
        seen.push(Observation::new(
            names::GOVERNANCE_EXECUTED,
            [
                ("proposal", open.number.to_string()),
                ("version", open.version.to_string()),
                ("from_slot", self.from_slot.to_string()),
            ],
        ));
    }

    /// A validator moves its stake to the registered rollup.
    pub(super) fn register(
        &mut self,
        call: &Call<'_>,
        from: NodeId,
        step: &Move,
        staking: &Staking,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        if step.version != self.registered {
            return Err("the registry points to another rollup");
        }
        if step.validator != from || !staking.is_active(from) {
            return Err("the sender is not an active validator");
        }
        check_signature(call, from, &Move::root(&call.domain, step.version).0, step.signature)?;
        self.moved.insert(from);
        let active = staking.active().len();
        if !self.moved_announced && self.moved.len() >= quorum(active) {
            self.moved_announced = true;
            seen.push(Observation::new(
                names::GOVERNANCE_MOVED,
                [
                    ("version", self.registered.to_string()),
                    ("moved", self.moved.len().to_string()),
                    ("of", active.to_string()),
                ],
            ));
        }
        Ok(())
    }

    /// Notices that the first block of the new rollup is next to be proven or proven.
    pub(super) fn on_proven(&mut self, rollup: &Rollup, seen: &mut Vec<Observation>) {
        let newer = rollup.first_unproven_version().unwrap_or(rollup.proven_version);
        if self.old_proved_announced || newer < self.registered {
            return;
        }
        self.old_proved_announced = true;
        seen.push(Observation::new(
            names::GOVERNANCE_OLD_PROVED,
            [
                ("version", (self.registered - 1).to_string()),
                ("height", rollup.proven.height.to_string()),
            ],
        ));
    }
}

fn check_signature(
    call: &Call<'_>,
    from: NodeId,
    message: &[u8],
    signature: crate::Signature,
) -> Result<(), Refused> {
    let signed = SignedMessage { key: KeyId::node(from), message, signature };
    if call.compute.crypto().verify(&signed) { Ok(()) } else { Err("the signature is not valid") }
}
