use std::collections::VecDeque;
use std::sync::Arc;

use base::{Digest, Duration, Instant};

use crate::follower::Follower;
use crate::{
    Action, Cx, Event, Facts, Job, JobId, JobOutput, Machine, Message, NodeConfig, NodeId,
    Signature, State, TimerId, Transaction, TransactionBatch,
};

const SEND: TimerId = TimerId(1);
/// Most transactions that are sent again at once.
const RESENT_MAX: usize = 256;
/// Slots after which a transaction that is not included is sent again.
const PATIENCE_SLOTS: i64 = 8;

struct Sent {
    transaction: Arc<Transaction>,
    first_at: Instant,
    last_at: Instant,
}

/// Users that together send transfers at the target rate and repeat what gets lost.
pub(crate) struct Load {
    follower: Follower,
    validators: Arc<[NodeId]>,
    /// Each user's next nonce; unknown until the chain is followed.
    nonces: Option<Vec<u64>>,
    created: u64,
    waiting: VecDeque<Sent>,
    included: VecDeque<Sent>,
    height: u64,
    jobs: u64,
    sent: u64,
    repeated: u64,
    inclusion_delay_seconds: f64,
}

impl Load {
    pub(crate) fn new(config: NodeConfig) -> Self {
        Self {
            validators: config.spec.validator_ids().collect(),
            follower: Follower::new(config),
            nonces: None,
            created: 0,
            waiting: VecDeque::new(),
            included: VecDeque::new(),
            height: 0,
            jobs: 0,
            sent: 0,
            repeated: 0,
            inclusion_delay_seconds: 0.0,
        }
    }

    /// The middle of the next slot: the next proposer has the transactions in time.
    fn next_send(&self, now: Instant) -> Instant {
        let half = Duration::from_micros(self.follower.config.spec.slot.micros() / 2);
        let slot = self.follower.slot_at(now);
        let this = self.follower.slot_start(slot) + half;
        if this > now { this } else { self.follower.slot_start(slot + 1) + half }
    }

    fn tick(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        out.push(Action::SetTimer(SEND, self.next_send(cx.now)));
        self.create(cx, out);
        self.repeat(cx, out);
    }

    fn create(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        let config = &self.follower.config;
        let Some(nonces) = &mut self.nonces else { return };
        let elapsed = (cx.now - config.started.max(config.genesis)).seconds().max(0.0);
        let due = (config.spec.load_tps * elapsed) as u64;
        let mut unsigned = Vec::new();
        while self.created < due {
            let number = self.created;
            let from = (number % u64::from(State::USERS)) as u32;
            let nonce = &mut nonces[from as usize];
            unsigned.push(Transaction {
                from,
                to: ((number * 7 + 3) % u64::from(State::USERS)) as u32,
                amount: 1 + number % 1_000,
                fee: 1,
                nonce: *nonce,
                signature: Signature([0; 64]),
            });
            *nonce += 1;
            self.created += 1;
        }
        if !unsigned.is_empty() {
            self.jobs += 1;
            let length = Duration::from_micros(12 * unsigned.len() as i64);
            let job = Job::SignTransactions { unsigned };
            out.push(Action::Job(JobId(self.jobs), job, length));
        }
    }

    fn multicast(&self, transactions: Vec<Arc<Transaction>>, out: &mut Vec<Action>) {
        let batch = Arc::new(TransactionBatch::new(transactions));
        let message = Arc::new(Message::Transactions(batch));
        out.push(Action::Multicast(Arc::clone(&self.validators), message));
    }

    fn on_signed(&mut self, now: Instant, signed: Vec<Arc<Transaction>>, out: &mut Vec<Action>) {
        self.sent += signed.len() as u64;
        for transaction in &signed {
            let transaction = Arc::clone(transaction);
            self.waiting.push_back(Sent { transaction, first_at: now, last_at: now });
        }
        self.multicast(signed, out);
    }

    fn repeat(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        let patience = self.follower.config.spec.slot.micros().saturating_mul(PATIENCE_SLOTS);
        let overdue =
            self.waiting.iter_mut().filter(|sent| (cx.now - sent.last_at).micros() >= patience);
        let mut again = Vec::new();
        for sent in overdue.take(RESENT_MAX) {
            sent.last_at = cx.now;
            again.push(Arc::clone(&sent.transaction));
        }
        if !again.is_empty() {
            self.repeated += again.len() as u64;
            self.multicast(again, out);
        }
    }

    fn on_view(&mut self, cx: &Cx<'_>) {
        if !self.follower.is_synced() {
            return;
        }
        let state = Arc::clone(self.follower.state());
        if self.nonces.is_none() {
            let nonce = |user| state.account(user).unwrap_or_default().nonce;
            self.nonces = Some((0..State::USERS).map(nonce).collect());
        }
        let height = self.follower.tip().height;
        if height < self.height {
            self.take_back(&state);
        }
        self.height = height;
        let mut still = VecDeque::with_capacity(self.waiting.len());
        for sent in self.waiting.drain(..) {
            if is_executed(&state, &sent.transaction) {
                self.inclusion_delay_seconds = (cx.now - sent.first_at).seconds();
                self.included.push_back(sent);
            } else {
                still.push_back(sent);
            }
        }
        self.waiting = still;
        let finalized = self.follower.tips().finalized.height;
        if let Some(state) = self.follower.state_at(finalized) {
            while self.included.front().is_some_and(|sent| is_executed(&state, &sent.transaction)) {
                self.included.pop_front();
            }
        }
    }

    /// Blocks fell off the chain: what they held waits again, in front.
    fn take_back(&mut self, state: &State) {
        let (stay, back): (VecDeque<_>, VecDeque<_>) =
            self.included.drain(..).partition(|sent| is_executed(state, &sent.transaction));
        self.included = stay;
        self.waiting = back.into_iter().chain(self.waiting.drain(..)).collect();
    }
}

fn is_executed(state: &State, transaction: &Transaction) -> bool {
    state.account(transaction.from).is_some_and(|account| transaction.nonce < account.nonce)
}

impl Machine for Load {
    fn handle(&mut self, cx: &Cx<'_>, event: Event, out: &mut Vec<Action>) {
        if self.follower.handle(cx, &event, out) {
            self.on_view(cx);
        }
        match event {
            Event::Boot(durable) => {
                self.follower.boot(cx, &durable, out);
                out.push(Action::SetTimer(SEND, self.next_send(cx.now)));
            }
            Event::Timer(SEND) => self.tick(cx, out),
            Event::JobDone(_, JobOutput::Signed(signed)) => self.on_signed(cx.now, signed, out),
            _ => {}
        }
    }

    fn state_digest(&self) -> Digest {
        self.follower.digest()
    }

    fn metrics(&self, _: Instant, out: &mut Vec<f64>) {
        out.extend([self.sent as f64, self.inclusion_delay_seconds, self.repeated as f64]);
    }

    fn facts(&self) -> Facts {
        self.follower.facts()
    }
}
