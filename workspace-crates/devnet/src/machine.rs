use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Digest, Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::{
    Block, Crypto, Durable, ExecutionError, Job, JobOutput, KeyId, Message, NetworkSpec, NodeId,
    Record, Signature, SignedMessage, State, Tips, TransactionBatch, execute,
};

/// A node's program: a state machine without I/O.
pub trait Machine: Send {
    /// Takes one event in and appends what is to be done about it.
    fn handle(&mut self, cx: &Cx<'_>, event: Event, out: &mut Vec<Action>);

    /// Digest of what the node believes; equal for equal histories.
    fn state_digest(&self) -> Digest;

    /// Appends the present value of each metric of the node's role, in the order of
    /// [`crate::metrics_of`]; the host adds `up`.
    fn metrics(&self, now: Instant, out: &mut Vec<f64>);

    /// What invariant checkers look at.
    fn facts(&self) -> Facts;
}

/// What a machine may use while it handles an event.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// This node's clock, which may be wrong.
    pub now: Instant,
    /// Pure services of the host.
    pub compute: &'a dyn Compute,
}

impl std::fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Pure functions that a host may remember or defer, but never answer differently.
pub trait Compute: Send + Sync {
    /// The network's signatures.
    fn crypto(&self) -> &dyn Crypto;

    /// See [`NetworkSpec::domain`].
    fn domain(&self) -> Digest;

    /// The state after `block`.
    ///
    /// # Errors
    /// When the block cannot be executed on `parent`.
    fn execute(&self, parent: &Arc<State>, block: &Block) -> Result<Arc<State>, ExecutionError> {
        execute(parent, block)
    }

    /// Whether every signature in the batch is valid.
    fn batch_is_valid(&self, batch: &TransactionBatch) -> bool {
        batch.is_valid(self.crypto(), &self.domain())
    }

    /// Whether every transaction in the block is signed by its sender.
    fn transactions_are_valid(&self, block: &Block) -> bool {
        crate::transaction::transactions_are_valid(
            block.transactions(),
            self.crypto(),
            &self.domain(),
        )
    }

    /// For each attestation whether it is a valid signature over `root`.
    fn valid_attestations(&self, root: &Digest, attestations: &[(NodeId, Signature)]) -> Vec<bool> {
        let signed: Vec<_> = attestations
            .iter()
            .map(|(node, signature)| SignedMessage {
                key: KeyId::node(*node),
                message: &root.0,
                signature: *signature,
            })
            .collect();
        if self.crypto().verify_batch(&signed) {
            return vec![true; signed.len()];
        }
        signed.iter().map(|each| self.crypto().verify(each)).collect()
    }
}

/// Computes everything anew: what a process does.
pub struct Direct {
    crypto: Box<dyn Crypto>,
    domain: Digest,
}

impl Direct {
    /// The services of a network.
    #[must_use]
    pub fn new(spec: &NetworkSpec) -> Self {
        Self { crypto: crate::provider(spec), domain: spec.domain() }
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("crypto", &self.crypto.kind()).finish_non_exhaustive()
    }
}

impl Compute for Direct {
    fn crypto(&self) -> &dyn Crypto {
        &*self.crypto
    }

    fn domain(&self) -> Digest {
        self.domain
    }
}

/// Names a timer of one node. Setting it again moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// Names a job of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Names one write of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistId(pub u64);

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Event {
    /// It starts; always the first event, with what is on its disk.
    Boot(Durable),
    /// A timer that it set has run out.
    Timer(TimerId),
    /// A message arrived.
    Message(NodeId, Arc<Message>),
    /// A job is done.
    JobDone(JobId, JobOutput),
    /// A record is safely on disk.
    Persisted(PersistId),
    /// An operator or a drill tells it something.
    Command(Command),
}

/// What an operator or a drill tells a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// To the L1: undo the newest blocks.
    Reorg {
        /// How many.
        depth: u32,
    },
    /// To the L1: include nothing until then.
    StallL1 {
        /// When it goes on.
        until: Instant,
    },
    /// To the L1: open a governance proposal for this rollup version.
    Propose {
        /// The version.
        version: u32,
    },
    /// To a validator: propose no blocks until then.
    StallProposals {
        /// When it goes on.
        until: Instant,
    },
}

/// What a node wants done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send a message; it may get lost.
    Send(NodeId, Arc<Message>),
    /// Send one message to several nodes; the sender skips itself.
    Multicast(Arc<[NodeId]>, Arc<Message>),
    /// Call back at this time of the node's own clock; a time in the past means at once.
    SetTimer(TimerId, Instant),
    /// Do not call back.
    CancelTimer(TimerId),
    /// Run a job and report. The length is what the simulator takes for it; a process takes as
    /// long as it takes, except that proofs wait for it so that proving in real time is modelled.
    Job(JobId, Job, Duration),
    /// Write a record, then report.
    Persist(PersistId, Record),
    /// Tell whoever watches.
    Observe(Observation),
}

/// Something that a node saw; the host adds time and node and makes a [`crate::NetworkEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// One of [`crate::names`].
    pub name: &'static str,
    /// Details.
    pub attributes: BTreeMap<String, String>,
}

impl Observation {
    /// An observation with its details.
    #[must_use]
    pub fn new<const N: usize>(name: &'static str, attributes: [(&str, String); N]) -> Self {
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value));
        Self { name, attributes: attributes.collect() }
    }
}

/// What invariant checkers look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The tips as the node sees them.
    pub tips: Tips,
    /// The state at the node's pending tip, for nodes that execute.
    pub state: Option<Arc<State>>,
    /// Stake of all validators, for the L1.
    pub stake: u64,
    /// Stake taken away so far, for the L1.
    pub slashed: u64,
    /// Whether the node follows the L1's pending tip.
    pub synced: bool,
}

/// A client upgrade as the new client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The protocol version that the upgrade brings.
    pub version: u32,
    /// The first slot with the new rules.
    pub activation_slot: u64,
}

/// All that a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The network.
    pub spec: Arc<NetworkSpec>,
    /// Which of its nodes.
    pub id: NodeId,
    /// When the network was born: the start of slot 0.
    pub genesis: Instant,
    /// The client's version.
    pub version: u32,
    /// The upgrades that this client knows, in ascending order.
    pub upgrades: Vec<Upgrade>,
    /// When this process started.
    pub started: Instant,
}

impl NodeConfig {
    /// The protocol version of blocks in `slot`, as far as this client knows.
    #[must_use]
    pub fn protocol_at(&self, slot: u64) -> u32 {
        let active = self.upgrades.iter().filter(|upgrade| slot >= upgrade.activation_slot);
        active.map(|upgrade| upgrade.version).max().unwrap_or(self.spec.node_version)
    }
}
