use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use devnet::{JobId, Message, NodeId, PersistId, Record, TimerId};

use crate::pool::Cell;

/// What is going to happen.
pub(crate) enum What {
    /// A message arrives.
    Deliver { to: NodeId, from: NodeId, message: Arc<Message> },
    /// A timer runs out.
    Timer { node: NodeId, incarnation: u32, id: TimerId },
    /// A job is done.
    Job { node: NodeId, incarnation: u32, id: JobId, cell: Arc<Cell> },
    /// A record is on disk.
    Persisted { node: NodeId, incarnation: u32, id: PersistId, record: Record },
    /// A scheduled action starts.
    Begin(usize),
    /// A scheduled action ends.
    End(usize),
    /// An upgrade replaces its next node.
    Replace { action: usize, node: NodeId },
    /// All metrics are scraped.
    Scrape,
}

pub(crate) struct Item {
    pub(crate) at_micros: i64,
    /// Order of things at one time: that in which they were caused.
    pub(crate) sequence: u64,
    pub(crate) what: What,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        (self.at_micros, self.sequence) == (other.at_micros, other.sequence)
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_micros, other.sequence).cmp(&(self.at_micros, self.sequence))
    }
}

/// All that is going to happen, soonest first.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Item>,
    sequence: u64,
}

impl Queue {
    /// Adds something; gives its sequence number.
    pub(crate) fn push(&mut self, at_micros: i64, what: What) -> u64 {
        self.sequence += 1;
        self.heap.push(Item { at_micros, sequence: self.sequence, what });
        self.sequence
    }

    /// The next thing at or before `until_micros`.
    pub(crate) fn pop(&mut self, until_micros: i64) -> Option<Item> {
        if self.heap.peek()?.at_micros > until_micros {
            return None;
        }
        self.heap.pop()
    }
}
