use std::sync::Arc;

use crate::wire::{wire_enum, wire_struct};
use crate::{BlockRef, State};

/// A finalized block's place and the state after it: enough to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The block.
    pub at: BlockRef,
    /// The state after it; its root is `at.state_root`.
    pub state: Arc<State>,
}

wire_struct!(Snapshot { at, state });

/// What a node persists; later records of a kind replace earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The newest slot in which this node proposed: never again in it.
    Proposed(u64),
    /// The newest slot in which this node attested: never again in it.
    Voted(u64),
    /// The newest finalized state.
    Finalized(Arc<Snapshot>),
}

wire_enum!(Record, "record" { 1 => Proposed, 2 => Voted, 3 => Finalized });

/// All that a node finds on its disk at a start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durable {
    /// The newest slot in which it proposed.
    pub proposed: Option<u64>,
    /// The newest slot in which it attested.
    pub voted: Option<u64>,
    /// The newest finalized state.
    pub finalized: Option<Arc<Snapshot>>,
}

wire_struct!(Durable { proposed, voted, finalized });

impl Durable {
    /// Takes one record in; hosts replay their logs with it.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Proposed(slot) => self.proposed = self.proposed.max(Some(slot)),
            Record::Voted(slot) => self.voted = self.voted.max(Some(slot)),
            Record::Finalized(snapshot) => {
                let held = self.finalized.as_ref().map(|held| held.at.height);
                if held < Some(snapshot.at.height) {
                    self.finalized = Some(snapshot);
                }
            }
        }
    }
}
