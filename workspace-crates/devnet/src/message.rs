use std::sync::Arc;

use base::{Digest, Instant};

use crate::wire::{wire_enum, wire_struct};
use crate::{
    Block, Committee, Deposit, NodeId, PostedBlock, Signature, Snapshot, Statement,
    TransactionBatch,
};

/// What nodes send each other, and what they send to and hear from the L1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Load generator to validators: transactions for their mempools.
    Transactions(Arc<TransactionBatch>),
    /// Proposer to committee: a block to re-execute and attest to.
    Proposal(Arc<Block>),
    /// Committee member to proposer.
    Attestation(Attestation),
    /// Proposer to L1: a block with its attestations.
    Post(Arc<PostedBlock>),
    /// Prover to L1: an epoch's proof.
    Proof(Arc<Proof>),
    /// Committee member to L1: who was inactive in an epoch.
    SlashVote(Arc<SlashVote>),
    /// Validator to L1: support of a governance proposal.
    GovernanceVote(GovernanceVote),
    /// Validator to L1: it moves its stake to the registered rollup.
    Move(Move),
    /// Any node to L1: asks for the present view; the value is the view's number that it has.
    ViewRequest(u64),
    /// L1 to all nodes: what its contracts say now.
    L1Update(Arc<L1Update>),
    /// Node to node: asks for blocks.
    SyncRequest(SyncRequest),
    /// The answer.
    SyncResponse(Arc<SyncResponse>),
}

wire_enum!(Message, "message" {
    1 => Transactions,
    2 => Proposal,
    3 => Attestation,
    4 => Post,
    5 => Proof,
    6 => SlashVote,
    7 => GovernanceVote,
    8 => Move,
    9 => ViewRequest,
    10 => L1Update,
    11 => SyncRequest,
    12 => SyncResponse,
});

impl Message {
    /// A number that tells the kinds apart, as on the wire.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Transactions(_) => 1,
            Self::Proposal(_) => 2,
            Self::Attestation(_) => 3,
            Self::Post(_) => 4,
            Self::Proof(_) => 5,
            Self::SlashVote(_) => 6,
            Self::GovernanceVote(_) => 7,
            Self::Move(_) => 8,
            Self::ViewRequest(_) => 9,
            Self::L1Update(_) => 10,
            Self::SyncRequest(_) => 11,
            Self::SyncResponse(_) => 12,
        }
    }

    /// What the message is about, free of signatures and digests: the schedule half of a trace.
    #[must_use]
    pub fn shape(&self) -> u64 {
        match self {
            Self::Transactions(batch) => batch.transactions().len() as u64,
            Self::Proposal(block) => block.header().slot,
            Self::Attestation(attestation) => attestation.slot,
            Self::Post(posted) => posted.block.header().slot,
            Self::Proof(proof) => proof.statement.epoch,
            Self::SlashVote(vote) => vote.epoch,
            Self::GovernanceVote(vote) => vote.proposal,
            Self::Move(step) => u64::from(step.version),
            Self::ViewRequest(number) => *number,
            Self::L1Update(update) => update.number,
            Self::SyncRequest(request) => request.from_height,
            Self::SyncResponse(response) => response.blocks.len() as u64,
        }
    }
}

/// A committee member's signature under a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attestation {
    /// The block's slot.
    pub slot: u64,
    /// The block's digest.
    pub block: Digest,
    /// The member.
    pub validator: NodeId,
    /// Signature over the block's attestation root.
    pub signature: Signature,
}

wire_struct!(Attestation { slot, block, validator, signature });

/// A proof that an epoch's blocks lead from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What is proven.
    pub statement: Statement,
    /// Who proved it.
    pub prover: NodeId,
    /// The proof in its system's own encoding.
    pub bytes: Vec<u8>,
}

wire_struct!(Proof { statement, prover, bytes });

/// A committee member's judgement of its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlashVote {
    /// The epoch.
    pub epoch: u64,
    /// The voter: a member of the epoch's committee.
    pub voter: NodeId,
    /// Members without any attestation in the epoch, ascending.
    pub offenders: Vec<NodeId>,
    /// Signature over [`SlashVote::root`].
    pub signature: Signature,
}

wire_struct!(SlashVote { epoch, voter, offenders, signature });

impl SlashVote {
    /// What the voter signs.
    #[must_use]
    pub fn root(domain: &Digest, epoch: u64, offenders: &[NodeId]) -> Digest {
        let mut bytes = domain.0.to_vec();
        bytes.extend_from_slice(b"sla1");
        bytes.extend_from_slice(&epoch.to_le_bytes());
        for offender in offenders {
            bytes.extend_from_slice(&offender.0.to_le_bytes());
        }
        Digest::of(&bytes)
    }
}

/// A validator's support of a governance proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GovernanceVote {
    /// The proposal's number.
    pub proposal: u64,
    /// The validator.
    pub voter: NodeId,
    /// Signature over [`GovernanceVote::root`].
    pub signature: Signature,
}

wire_struct!(GovernanceVote { proposal, voter, signature });

impl GovernanceVote {
    /// What the voter signs.
    #[must_use]
    pub fn root(domain: &Digest, proposal: u64) -> Digest {
        let mut bytes = domain.0.to_vec();
        bytes.extend_from_slice(b"gov1");
        bytes.extend_from_slice(&proposal.to_le_bytes());
        Digest::of(&bytes)
    }
}

/// A validator moves to another rollup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The rollup's version.
    pub version: u32,
    /// The validator.
    pub validator: NodeId,
    /// Signature over [`Move::root`].
    pub signature: Signature,
}

wire_struct!(Move { version, validator, signature });

impl Move {
    /// What the validator signs.
    #[must_use]
    pub fn root(domain: &Digest, version: u32) -> Digest {
        let mut bytes = domain.0.to_vec();
        bytes.extend_from_slice(b"mov1");
        bytes.extend_from_slice(&version.to_le_bytes());
        Digest::of(&bytes)
    }
}

/// A block by its place and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockRef {
    /// Its height; 0 is the genesis.
    pub height: u64,
    /// Its digest; all zero for the genesis.
    pub digest: Digest,
    /// Its slot; 0 for the genesis.
    pub slot: u64,
    /// Root of the state after it.
    pub state_root: Digest,
}

wire_struct!(BlockRef { height, digest, slot, state_root });

/// The three tips of the rollup chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tips {
    /// The newest block on L1.
    pub pending: BlockRef,
    /// The newest block whose epoch is proven on L1.
    pub proven: BlockRef,
    /// The newest proven block whose proof is final on L1.
    pub finalized: BlockRef,
}

wire_struct!(Tips { pending, proven, finalized });

/// What governance says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GovernanceView {
    /// The open proposal's number; proposals count from 1.
    pub proposal: u64,
    /// The version that it proposes.
    pub version: u32,
    /// When it may be executed, once it has its quorum.
    pub executable_at: Option<Instant>,
}

wire_struct!(GovernanceView { proposal, version, executable_at });

/// All that nodes read from L1. Each view is complete, so a lost one does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L1Update {
    /// Counts the views; a greater one replaces a smaller one, also after an L1 reorg.
    pub number: u64,
    /// Height of the L1.
    pub l1_height: u64,
    /// The rollup's tips.
    pub tips: Tips,
    /// Blocks that became pending since the view before, in order.
    pub blocks: Vec<Arc<PostedBlock>>,
    /// The committees of the last, the present and the next epochs.
    pub committees: Vec<Arc<Committee>>,
    /// Deposits that the pending chain has not credited yet, in order.
    pub deposits: Vec<Deposit>,
    /// The rollup that the registry points to.
    pub registered_rollup: u32,
    /// The first slot whose block belongs to the registered rollup.
    pub rollup_from_slot: u64,
    /// The open governance proposal.
    pub governance: Option<GovernanceView>,
}

wire_struct!(L1Update {
    number,
    l1_height,
    tips,
    blocks,
    committees,
    deposits,
    registered_rollup,
    rollup_from_slot,
    governance,
});

impl L1Update {
    /// The committee of `epoch`, if L1 has drawn and not yet forgotten it.
    #[must_use]
    pub fn committee(&self, epoch: u64) -> Option<&Arc<Committee>> {
        self.committees.iter().find(|committee| committee.epoch == epoch)
    }
}

/// Asks a peer for the blocks from a height on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncRequest {
    /// The first height wanted.
    pub from_height: u64,
    /// Digest of the block before it, as the asking node has it.
    pub parent: Digest,
}

wire_struct!(SyncRequest { from_height, parent });

/// Blocks in order, and the state before them when the peer no longer has the blocks asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResponse {
    /// A finalized state to start from.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Blocks in order, at most 64.
    pub blocks: Vec<Arc<PostedBlock>>,
}

wire_struct!(SyncResponse { snapshot, blocks });
