use base::{Digest, Duration, Instant};
use devnet::{SpecError, TargetError};

/// How to run a simulation. None of it changes what happens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads that sign and verify, at least 1: the calling thread is one of them.
    pub threads: usize,
    /// Whether invariants are checked as events happen.
    pub invariants: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, invariants: true }
    }
}

/// What a simulation did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Events that nodes handled.
    pub events: u64,
    /// Messages that were sent, one per receiver.
    pub messages: u64,
    /// Messages that got lost.
    pub messages_lost: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Signatures verified, each once for all nodes.
    pub verifications: u64,
    /// Verifications that were answered from memory because the same one was made before.
    pub verifications_remembered: u64,
    /// Blocks executed, each once for all nodes.
    pub executions: u64,
    /// Executions that were answered from memory.
    pub executions_remembered: u64,
    /// Digest of the whole history.
    pub trace_digest: TraceDigest,
}

/// Digest of a history in two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceDigest {
    /// Which event reached which node when: the same for every signature scheme.
    pub schedule: Digest,
    /// Which signatures were made and what the nodes believe.
    pub crypto: Digest,
}

impl TraceDigest {
    /// Both halves as one digest.
    #[must_use]
    pub fn whole(&self) -> Digest {
        let mut bytes = self.schedule.0.to_vec();
        bytes.extend_from_slice(&self.crypto.0);
        Digest::of(&bytes)
    }
}

/// How one node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Whether it runs; a paused node runs.
    pub alive: bool,
    /// Version of its client.
    pub version: u32,
    /// How often it was started.
    pub starts: u32,
    /// Height of its pending tip.
    pub pending_height: u64,
    /// Height of its finalized tip.
    pub finalized_height: u64,
    /// Whether it follows the L1's pending tip.
    pub synced: bool,
}

/// Why a simulation cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The specification is impossible.
    #[error("the network cannot exist: {}", list(.0))]
    Spec(Vec<SpecError>),
    /// A scheduled action selects no nodes.
    #[error("action `{id}`: {source}")]
    Targets {
        /// The action.
        id: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// A scheduled action has impossible parameters.
    #[error("action `{id}`: {problem}")]
    Action {
        /// The action.
        id: String,
        /// What is impossible, and what would be possible.
        problem: String,
    },
    /// The protocol broke a law: a defect of the network's code.
    #[error(
        "invariant `{invariant}` is violated at {at} ({after} after the start, seed {seed}, {events} events): {detail}"
    )]
    Invariant {
        /// Which law.
        invariant: &'static str,
        /// The network's seed: the same seed shows it again.
        seed: u64,
        /// When.
        at: Instant,
        /// The same, counted from the start.
        after: Duration,
        /// How many events happened before.
        events: u64,
        /// What exactly.
        detail: String,
    },
    /// A worker thread could not be started or died.
    #[error("a worker thread failed: {0}")]
    Worker(String),
    /// The sample store refused a scrape.
    #[error("the sample store refused a scrape")]
    Samples(#[from] samples::AppendError),
}

fn list(errors: &[SpecError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
