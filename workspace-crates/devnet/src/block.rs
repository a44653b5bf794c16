use std::sync::Arc;

use base::Digest;

use crate::transaction::digest_of;
use crate::wire::{Reader, Wire, WireError, wire_struct};
use crate::{Deposit, NodeId, Signature, Transaction};

/// What a block commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Number of blocks before it; the genesis has 0 and no block.
    pub height: u64,
    /// The slot that it was proposed in.
    pub slot: u64,
    /// Who proposed it.
    pub proposer: NodeId,
    /// Digest of the block before it.
    pub parent: Digest,
    /// Root of the state after it.
    pub state_root: Digest,
    /// Version of the rules that it follows: changes at a client upgrade's activation slot.
    pub protocol_version: u32,
    /// Version of the rollup that it belongs to: changes at a governance upgrade.
    pub rollup_version: u32,
}

wire_struct!(Header {
    height,
    slot,
    proposer,
    parent,
    state_root,
    protocol_version,
    rollup_version
});

/// A block with a digest that is computed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    header: Header,
    transactions: Vec<Arc<Transaction>>,
    deposits: Vec<Deposit>,
    digest: Digest,
}

impl Block {
    /// Puts a block together.
    #[must_use]
    pub fn new(
        header: Header,
        transactions: Vec<Arc<Transaction>>,
        deposits: Vec<Deposit>,
    ) -> Self {
        let mut bytes = Vec::with_capacity(256);
        header.put(&mut bytes);
        digest_of(&transactions).put(&mut bytes);
        deposits.put(&mut bytes);
        let digest = Digest::of(&bytes);
        Self { header, transactions, deposits, digest }
    }

    /// What the block commits to.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The transfers, in the order of their execution.
    #[must_use]
    pub fn transactions(&self) -> &[Arc<Transaction>] {
        &self.transactions
    }

    /// The deposits that are credited before the transfers.
    #[must_use]
    pub fn deposits(&self) -> &[Deposit] {
        &self.deposits
    }

    /// Digest of header, transactions and deposits.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What a committee member signs to attest to this block.
    #[must_use]
    pub fn attestation_root(&self, domain: &Digest) -> Digest {
        attestation_root(domain, self.header.slot, &self.digest)
    }
}

impl Wire for Block {
    fn put(&self, out: &mut Vec<u8>) {
        self.header.put(out);
        self.transactions.put(out);
        self.deposits.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::new(Wire::take(input)?, Wire::take(input)?, Wire::take(input)?))
    }
}

pub(crate) fn attestation_root(domain: &Digest, slot: u64, block: &Digest) -> Digest {
    let mut bytes = [0; 76];
    bytes[..32].copy_from_slice(&domain.0);
    bytes[32..36].copy_from_slice(b"att1");
    bytes[36..44].copy_from_slice(&slot.to_le_bytes());
    bytes[44..].copy_from_slice(&block.0);
    Digest::of(&bytes)
}

/// A block with the attestations that its proposer gathered, as it is posted to L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedBlock {
    /// The block.
    pub block: Arc<Block>,
    /// Committee members with their signatures over the block's attestation root, ascending.
    pub attestations: Vec<(NodeId, Signature)>,
}

wire_struct!(PostedBlock { block, attestations });

/// The validators on duty in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    /// The epoch.
    pub epoch: u64,
    /// Its members, ascending.
    pub members: Vec<NodeId>,
    /// The proposer of each slot of the epoch, in order.
    pub proposers: Vec<NodeId>,
}

wire_struct!(Committee { epoch, members, proposers });

impl Committee {
    /// Draws `size` of the active validators and a proposer for each slot of `epoch`.
    ///
    /// With fewer active validators than `size` all of them are drawn.
    #[must_use]
    pub fn draw(seed: u64, epoch: u64, active: &[NodeId], size: u32, epoch_slots: u32) -> Self {
        let epoch_seed = mix(seed ^ 0x00c0_ffee, epoch);
        let mut members = active.to_vec();
        members.sort_by_cached_key(|id| (mix(epoch_seed, u64::from(id.0)), *id));
        members.truncate(size as usize);
        members.sort_unstable();
        let draw = |slot: u32| {
            let drawn = mix(epoch_seed, 1 << 40 | u64::from(slot)) % members.len().max(1) as u64;
            members.get(drawn as usize).copied()
        };
        let proposers = (0..epoch_slots).filter_map(draw).collect();
        Self { epoch, members, proposers }
    }

    /// Whether `node` is a member.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.members.binary_search(&node).is_ok()
    }

    /// Who may propose in `slot`; `None` outside the epoch.
    #[must_use]
    pub fn proposer(&self, slot: u64) -> Option<NodeId> {
        let slots = self.proposers.len() as u64;
        let offset = slot.checked_sub(self.epoch.checked_mul(slots)?)?;
        self.proposers.get(usize::try_from(offset).ok()?).copied()
    }
}

/// How many of `members` are more than two thirds of them.
#[must_use]
pub const fn quorum(members: usize) -> usize {
    members * 2 / 3 + 1
}

/// A well mixed number from two (splitmix64): for draws that need no secrecy.
pub(crate) const fn mix(seed: u64, value: u64) -> u64 {
    let mut z =
        seed ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Committee, quorum};
    use crate::NodeId;
    use proptest::prelude::*;

    #[test]
    fn more_than_two_thirds_are_needed() {
        assert_eq!([1, 2, 3, 4, 16, 128].map(quorum), [1, 2, 3, 3, 11, 86]);
    }

    proptest! {
        #[test]
        fn a_committee_is_a_subset_without_doubles(seed: u64, epoch in 0_u64..1_000_000, size in 1_u32..40) {
            let active: Vec<_> = (2..50).map(NodeId).collect();
            let drawn = Committee::draw(seed, epoch, &active, size, 32);
            prop_assert_eq!(drawn.members.len(), (size as usize).min(48));
            prop_assert!(drawn.members.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(drawn.members.iter().all(|member| active.contains(member)));
            for slot in epoch * 32..epoch * 32 + 32 {
                prop_assert!(drawn.contains(drawn.proposer(slot).unwrap()));
            }
            prop_assert_eq!(drawn.proposer(epoch * 32 + 32), None);
        }
    }

    #[test]
    fn every_validator_serves_in_time() {
        let active: Vec<_> = (2..50).map(NodeId).collect();
        for node in &active {
            let served =
                (0..100).filter(|e| Committee::draw(7, *e, &active, 16, 32).contains(*node));
            // 100 draws of a third: fewer than 15 would be beyond four standard deviations.
            assert!((15..=52).contains(&served.count()), "{node:?}");
        }
    }
}
