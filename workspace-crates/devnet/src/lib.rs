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
mod identity;
mod job;
mod machine;
mod message;
mod metrics;
mod proof;
mod record;
mod spec;
mod state;
mod transaction;
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
