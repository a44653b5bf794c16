use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Account, State, Transaction, TransactionBatch};

/// Transactions that wait for inclusion, in the order of their arrival, batch by batch.
pub(crate) struct Mempool {
    size: usize,
    held: usize,
    batches: VecDeque<Held>,
}

struct Held {
    batch: Arc<TransactionBatch>,
    /// The first so many of the batch fitted in.
    taken: usize,
}

impl Held {
    fn is_executed(&self, state: &State) -> bool {
        let executed = |from: u32, nonce: u64| {
            state.account(from).is_some_and(|account| nonce < account.nonce)
        };
        if self.taken == self.batch.transactions().len() {
            return self.batch.last_nonces().iter().all(|(from, nonce)| executed(*from, *nonce));
        }
        let mut kept = self.batch.transactions().iter().take(self.taken);
        kept.all(|transaction| executed(transaction.from, transaction.nonce))
    }
}

impl Mempool {
    pub(crate) fn new(size: u32) -> Self {
        Self { size: size as usize, held: 0, batches: VecDeque::new() }
    }

    /// How many transactions wait; a batch counts until all of it is executed.
    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// Takes as much of a batch as there is room for.
    pub(crate) fn insert(&mut self, batch: &Arc<TransactionBatch>, state: &State) {
        if self.batches.iter().any(|held| held.batch.digest() == batch.digest()) {
            return;
        }
        if self.held + batch.transactions().len() > self.size {
            self.batches.retain(|held| !held.is_executed(state));
            self.held = self.batches.iter().map(|held| held.taken).sum();
        }
        let taken = batch.transactions().len().min(self.size - self.held);
        if taken > 0 {
            self.held += taken;
            self.batches.push_back(Held { batch: Arc::clone(batch), taken });
        }
    }

    /// Forgets the oldest batches as far as they are executed.
    pub(crate) fn prune(&mut self, state: &State) {
        while self.batches.front().is_some_and(|held| held.is_executed(state)) {
            if let Some(held) = self.batches.pop_front() {
                self.held -= held.taken;
            }
        }
    }

    /// Transactions that can be executed one after the other on `state`.
    pub(crate) fn select(&self, state: &State, count_max: usize) -> Vec<Arc<Transaction>> {
        let mut senders: Vec<Account> =
            (0..State::USERS).map(|user| state.account(user).unwrap_or_default()).collect();
        let mut selected = Vec::new();
        for held in &self.batches {
            for transaction in held.batch.transactions().iter().take(held.taken) {
                if selected.len() == count_max {
                    return selected;
                }
                let Some(sender) = senders.get_mut(transaction.from as usize) else { continue };
                if state.allows(*sender, transaction) {
                    sender.nonce += 1;
                    sender.balance -= transaction.amount + transaction.fee;
                    selected.push(Arc::clone(transaction));
                }
            }
        }
        selected
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Mempool;
    use crate::{Signature, State, Transaction, TransactionBatch};

    fn batch(nonces: std::ops::Range<u64>) -> Arc<TransactionBatch> {
        let signature = Signature([0; 64]);
        let one =
            |nonce| Arc::new(Transaction { from: 0, to: 1, amount: 1, fee: 1, nonce, signature });
        Arc::new(TransactionBatch::new(nonces.map(one).collect()))
    }

    #[test]
    fn a_full_pool_takes_no_more_than_its_size_and_only_executable_ones_are_selected() {
        let state = State::genesis();
        let mut pool = Mempool::new(5);
        pool.insert(&batch(0..3), &state);
        pool.insert(&batch(0..3), &state);
        pool.insert(&batch(3..9), &state);
        assert_eq!(pool.len(), 5);
        let selected = pool.select(&state, 10);
        assert_eq!(selected.iter().map(|tx| tx.nonce).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(pool.select(&state, 2).len(), 2);

        let later = state.after(&[], &selected[..3]).unwrap();
        pool.prune(&later);
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.select(&later, 10)[0].nonce, 3);
        let mut gap = Mempool::new(5);
        gap.insert(&batch(1..3), &state);
        assert!(gap.select(&state, 10).is_empty());
    }
}
