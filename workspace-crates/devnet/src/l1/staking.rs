use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::contracts::{Call, Refused};
use crate::{
    Committee, KeyId, NetworkSpec, NodeId, Observation, SignedMessage, SlashVote, names, quorum,
};

/// The staking contract: deposits, and penalties that a committee votes.
#[derive(Clone)]
pub(super) struct Staking {
    /// Each validator's stake, in units.
    stakes: Arc<BTreeMap<NodeId, u64>>,
    /// Stake below which a validator is not drawn.
    least: u64,
    pub(super) slashed: u64,
    /// Votes by epoch and offenders.
    votes: BTreeMap<(u64, Vec<NodeId>), BTreeSet<NodeId>>,
    /// Epochs that were judged; older ones than all of them are closed.
    judged: BTreeSet<u64>,
}

impl Staking {
    pub(super) fn new(spec: &NetworkSpec) -> Self {
        let stakes = spec.validator_ids().map(|id| (id, spec.stake)).collect();
        Self {
            stakes: Arc::new(stakes),
            least: spec.stake / 2,
            slashed: 0,
            votes: BTreeMap::new(),
            judged: BTreeSet::new(),
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.stakes.values().sum()
    }

    /// Validators that can be drawn, ascending: those with at least half of the first deposit.
    pub(super) fn active(&self) -> Vec<NodeId> {
        let enough = self.stakes.iter().filter(|(_, stake)| **stake >= self.least);
        enough.map(|(id, _)| *id).collect()
    }

    pub(super) fn is_active(&self, id: NodeId) -> bool {
        self.stakes.get(&id).is_some_and(|stake| *stake >= self.least)
    }

    /// Counts a committee member's vote; at the quorum every offender pays the penalty.
    pub(super) fn vote(
        &mut self,
        call: &Call<'_>,
        from: NodeId,
        committee: &Committee,
        vote: &SlashVote,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        if vote.voter != from || !committee.contains(from) {
            return Err("the sender is not in the epoch's committee");
        }
        if vote.epoch >= call.epoch() || self.judged.contains(&vote.epoch) {
            return Err("the epoch has not ended or is judged already");
        }
        if !vote.offenders.iter().all(|offender| committee.contains(*offender)) {
            return Err("an offender is not in the epoch's committee");
        }
        let signed = SignedMessage {
            key: KeyId::node(from),
            message: &SlashVote::root(&call.domain, vote.epoch, &vote.offenders).0,
            signature: vote.signature,
        };
        if !call.compute.crypto().verify(&signed) {
            return Err("the vote's signature is not valid");
        }
        let voters = self.votes.entry((vote.epoch, vote.offenders.clone())).or_default();
        voters.insert(from);
        if voters.len() >= quorum(committee.members.len()) {
            self.slash(call, vote, seen);
        }
        Ok(())
    }

    fn slash(&mut self, call: &Call<'_>, vote: &SlashVote, seen: &mut Vec<Observation>) {
        self.judged.insert(vote.epoch);
        self.votes.retain(|(epoch, _), _| *epoch > vote.epoch);
        let stakes = Arc::make_mut(&mut self.stakes);
        for offender in &vote.offenders {
            let Some(stake) = stakes.get_mut(offender) else { continue };
            let before = *stake;
            let penalty = call.spec.inactivity_penalty.min(before);
            *stake = before - penalty;
            self.slashed += penalty;
            seen.push(Observation::new(
                names::VALIDATOR_SLASHED,
                [
                    ("validator", format!("validator-{}", offender.0.saturating_sub(2))),
                    ("epoch", vote.epoch.to_string()),
                    ("before", before.to_string()),
                    ("after", stake.to_string()),
                    ("penalty", penalty.to_string()),
                ],
            ));
        }
    }
}
