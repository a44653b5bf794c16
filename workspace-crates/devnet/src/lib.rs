//! The reference network: node state machines without I/O, the protocol, its metrics and faults.
//!
//! Every role is a [`Machine`]: it takes an [`Event`] and returns [`Action`]s. A host gives it
//! time, a network and a disk: `simulator` in virtual time, `devnet-host` as real processes.
//!
//! Architecture invariant: `devnet` knows no clock, socket, thread or file; the same events give
//! the same actions, byte for byte. `clippy.toml` beside this crate enforces it.

mod block;
mod crypto;
mod event;
mod fault;
mod follower;
mod identity;
mod job;
mod l1;
mod load;
mod machine;
mod mempool;
mod message;
mod metrics;
mod proof;
mod prover;
mod record;
mod spec;
mod state;
mod transaction;
mod validator;
mod wire;

pub use block::{Block, Committee, Header, PostedBlock, quorum};
pub use crypto::{
    Crypto, CryptoKind, Ed25519, KeyId, KeyedHash, PublicKey, Signature, SignedMessage, provider,
};
pub use event::{NetworkEvent, names};
pub use fault::{NetworkAction, ScheduledAction, TargetError, Targets};
pub use identity::{NodeId, NodeInfo, Operator, Role};
pub use job::{Job, JobOutput};
pub use machine::{
    Action, Command, Compute, Cx, Direct, Event, Facts, JobId, Machine, NodeConfig, Observation,
    PersistId, TimerId, Upgrade,
};
pub use message::{
    Attestation, BlockRef, GovernanceView, GovernanceVote, L1Update, Message, Move, Proof,
    SlashVote, SyncRequest, SyncResponse, Tips,
};
pub use metrics::{METRICS, MetricDefinition, MetricKind, metrics_of, metrics_page};
pub use proof::{ProofError, ProofSystem, SignedReexecution, Statement};
pub use record::{Durable, Record, Snapshot};
pub use spec::{NetworkSpec, SmallMempools, SpecError};
pub use state::{Account, ExecutionError, State, execute};
pub use transaction::{Deposit, Transaction, TransactionBatch};
pub use wire::{MESSAGE_BYTES_MAX, WIRE_VERSION, Wire, WireError, decode, encode};

/// The program of one node, by its role.
///
/// # Errors
/// When the network has no such node.
pub fn build(config: NodeConfig) -> Result<Box<dyn Machine>, UnknownNode> {
    match config.spec.role_of(config.id) {
        Some(Role::L1) => Ok(Box::new(l1::L1::new(config))),
        Some(Role::Load) => Ok(Box::new(load::Load::new(config))),
        Some(Role::Validator) => Ok(Box::new(validator::Validator::new(config))),
        Some(Role::Prover) => Ok(Box::new(prover::Prover::new(config))),
        None => Err(UnknownNode(config.id)),
    }
}

/// A node that the network does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network has no node {}", .0.0)]
pub struct UnknownNode(pub NodeId);
