use std::sync::Arc;

use base::{Digest, Instant};

use super::governance::Governance;
use super::rollup::Rollup;
use super::staking::Staking;
use crate::{Command, Compute, Message, NetworkSpec, NodeId, Observation};

/// What a contract call sees.
pub(super) struct Call<'a> {
    pub(super) spec: &'a NetworkSpec,
    pub(super) genesis: Instant,
    /// Time of the L1 block.
    pub(super) now: Instant,
    pub(super) compute: &'a dyn Compute,
    pub(super) domain: Digest,
}

impl Call<'_> {
    pub(super) fn slot(&self) -> u64 {
        self.spec.slot_at(self.genesis, self.now)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.spec.epoch_of(self.slot())
    }

    pub(super) fn epoch_end(&self, epoch: u64) -> Instant {
        let slot = (epoch + 1).saturating_mul(u64::from(self.spec.epoch_slots));
        self.spec.slot_start(self.genesis, slot)
    }
}

/// A transaction on L1.
#[derive(Clone)]
pub(super) enum Transaction {
    /// A node's message.
    Message(NodeId, Arc<Message>),
    /// The operator's call.
    Command(Command),
}

/// Why a contract refuses a call; the text names the rule.
pub(super) type Refused = &'static str;

/// The state of all contracts after one L1 block. Cloned whenever it changes, so that a reorg is
/// to go back to an older clone.
#[derive(Clone)]
pub(super) struct Contracts {
    pub(super) rollup: Rollup,
    pub(super) staking: Staking,
    pub(super) governance: Governance,
}

impl Contracts {
    pub(super) fn new(spec: &NetworkSpec) -> Self {
        Self { rollup: Rollup::new(), staking: Staking::new(spec), governance: Governance::new() }
    }

    /// Whether the passing of time alone changes something now.
    pub(super) fn is_due(&self, call: &Call<'_>) -> bool {
        self.rollup.is_due(call) || self.governance.is_due(call)
    }

    /// What time alone brings: committees, deposits, prunes, executions.
    pub(super) fn advance(&mut self, call: &Call<'_>, seen: &mut Vec<Observation>) {
        self.governance.advance(call, seen);
        self.rollup.advance(call, &self.staking, &self.governance, seen);
    }

    /// Runs one transaction; refused ones change nothing.
    pub(super) fn apply(
        &mut self,
        call: &Call<'_>,
        transaction: &Transaction,
        seen: &mut Vec<Observation>,
    ) -> Result<(), Refused> {
        match transaction {
            Transaction::Command(Command::Propose { version }) => {
                self.governance.propose(*version, seen)
            }
            Transaction::Command(_) => Err("not a contract call"),
            Transaction::Message(from, message) => match &**message {
                Message::Post(posted) => {
                    self.rollup.post(call, *from, posted, &self.governance, seen)
                }
                Message::Proof(proof) => {
                    self.rollup.prove(call, *from, proof, seen)?;
                    self.governance.on_proven(&self.rollup, seen);
                    Ok(())
                }
                Message::SlashVote(vote) => {
                    let committee = self.rollup.committee(vote.epoch).cloned();
                    let committee = committee.ok_or("the epoch's committee is forgotten")?;
                    self.staking.vote(call, *from, &committee, vote, seen)
                }
                Message::GovernanceVote(vote) => {
                    self.governance.vote(call, *from, vote, &self.staking, seen)
                }
                Message::Move(step) => {
                    self.governance.register(call, *from, step, &self.staking, seen)
                }
                _ => Err("not a contract call"),
            },
        }
    }
}
