use std::collections::VecDeque;
use std::sync::Arc;

use base::{Digest, Duration, Instant};

use super::contracts::{Call, Contracts, Transaction};
use crate::follower::genesis_ref;
use crate::wire::Wire as _;
use crate::{
    Action, BlockRef, Command, Cx, Event, Facts, L1Update, Machine, Message, NodeConfig, NodeId,
    Observation, Operator, PostedBlock, SyncRequest, SyncResponse, TimerId, Tips, names,
};

const TICK: TimerId = TimerId(1);
/// Most blocks in one answer.
const RESPONSE_BLOCKS: usize = 64;

/// One L1 block that is not final.
struct L1Block {
    at: Instant,
    /// The contracts before it.
    before: Arc<Contracts>,
    included: Vec<Transaction>,
}

/// What watchers count: never undone by a reorg.
#[derive(Default)]
struct Counters {
    filled_slots: u64,
    last_filled: Option<u64>,
    transactions: u64,
    epochs: u64,
    /// An epoch with blocks that has not ended.
    open_epoch: Option<u64>,
    proven_internal: u64,
    proven_external: u64,
    last_proven_height: u64,
    prunes: u64,
    reorgs: u64,
    deposits_made: u64,
    deposits_credited: u64,
    rejected: u64,
    protocol: u32,
}

/// The embedded L1 as a node.
pub(crate) struct L1 {
    config: NodeConfig,
    everybody: Arc<[NodeId]>,
    contracts: Arc<Contracts>,
    blocks: VecDeque<L1Block>,
    height: u64,
    next_tick: u64,
    mempool: VecDeque<(Instant, Transaction)>,
    finalized: BlockRef,
    /// Rollup blocks from some way below the finalized tip on: the blobs.
    archive: VecDeque<Arc<PostedBlock>>,
    view: Arc<L1Update>,
    announced_at: Instant,
    stalled_until: Option<Instant>,
    counters: Counters,
}

impl L1 {
    pub(crate) fn new(config: NodeConfig) -> Self {
        let contracts = Arc::new(Contracts::new(&config.spec));
        let everybody = (1..config.spec.node_count()).map(NodeId).collect();
        let tips = Tips { pending: genesis_ref(), proven: genesis_ref(), finalized: genesis_ref() };
        let view = L1Update {
            number: 0,
            l1_height: 0,
            tips,
            blocks: Vec::new(),
            committees: Vec::new(),
            deposits: Vec::new(),
            registered_rollup: 1,
            rollup_from_slot: 0,
            governance: None,
        };
        let counters = Counters { protocol: config.spec.node_version, ..Counters::default() };
        Self {
            everybody,
            contracts,
            blocks: VecDeque::new(),
            height: 0,
            next_tick: 0,
            mempool: VecDeque::new(),
            finalized: genesis_ref(),
            archive: VecDeque::new(),
            view: Arc::new(view),
            announced_at: config.genesis,
            stalled_until: None,
            counters,
            config,
        }
    }

    fn tick_at(&self, number: u64) -> Instant {
        let micros = self.config.spec.l1_slot.micros().saturating_mul(number as i64);
        self.config.genesis + Duration::from_micros(micros)
    }

    fn tick(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        let late =
            (cx.now - self.config.genesis).micros() / self.config.spec.l1_slot.micros().max(1);
        self.next_tick = (self.next_tick + 1).max(u64::try_from(late).unwrap_or(0) + 1);
        out.push(Action::SetTimer(TICK, self.tick_at(self.next_tick)));
        self.count_epochs(cx.now);
        if self.stalled_until.is_some_and(|until| cx.now < until) {
            return;
        }
        let blocks = self.mine(cx, out);
        let finalized = self.finalize(cx.now);
        let quiet = cx.now - self.announced_at >= self.config.spec.slot;
        if blocks.is_some() || finalized || quiet {
            self.announce(cx.now, blocks.unwrap_or_default(), out);
        }
    }

    /// Makes one L1 block; gives the rollup blocks in it when the contracts changed.
    fn mine(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) -> Option<Vec<Arc<PostedBlock>>> {
        let before = Arc::clone(&self.contracts);
        let call = Call {
            spec: &self.config.spec,
            genesis: self.config.genesis,
            now: cx.now,
            compute: cx.compute,
            domain: cx.compute.domain(),
        };
        let eligible = self.mempool.iter().take_while(|(from, _)| *from <= cx.now).count();
        let included: Vec<_> = self.mempool.drain(..eligible).map(|(_, each)| each).collect();
        self.height += 1;
        if included.is_empty() && !before.is_due(&call) {
            self.blocks.push_back(L1Block { at: cx.now, before, included });
            return None;
        }
        let mut contracts = (*before).clone();
        let mut seen = Vec::new();
        let mut posted = Vec::new();
        contracts.advance(&call, &mut seen);
        for transaction in &included {
            let tip = contracts.rollup.pending().height;
            if contracts.apply(&call, transaction, &mut seen).is_err() {
                self.counters.rejected += 1;
            } else if contracts.rollup.pending().height > tip {
                posted.extend(contracts.rollup.newest().cloned());
            }
        }
        self.contracts = Arc::new(contracts);
        self.blocks.push_back(L1Block { at: cx.now, before, included });
        self.count(&posted, &mut seen);
        self.keep(&posted);
        out.extend(seen.into_iter().map(Action::Observe));
        Some(posted)
    }

    fn count(&mut self, posted: &[Arc<PostedBlock>], seen: &mut Vec<Observation>) {
        let spec = Arc::clone(&self.config.spec);
        for block in posted.iter().map(|posted| &posted.block) {
            let header = block.header();
            if self.counters.last_filled.is_some_and(|last| header.slot <= last) {
                continue;
            }
            self.counters.last_filled = Some(header.slot);
            self.counters.filled_slots += 1;
            self.counters.transactions += block.transactions().len() as u64;
            let epoch = spec.epoch_of(header.slot);
            if self.counters.open_epoch.is_some_and(|open| open < epoch) {
                self.counters.epochs += 1;
            }
            self.counters.open_epoch = Some(epoch);
            if header.protocol_version > self.counters.protocol {
                self.counters.protocol = header.protocol_version;
                seen.push(Observation::new(
                    names::UPGRADE_ACTIVATED,
                    [
                        ("version", header.protocol_version.to_string()),
                        ("slot", header.slot.to_string()),
                    ],
                ));
            }
        }
        self.count_contracts(seen);
    }

    fn count_contracts(&mut self, seen: &[Observation]) {
        let rollup = &self.contracts.rollup;
        let counters = &mut self.counters;
        counters.deposits_made = counters.deposits_made.max(rollup.deposits_made);
        counters.deposits_credited = counters.deposits_credited.max(rollup.credited());
        for each in seen {
            match each.name {
                names::EPOCH_PRUNED => counters.prunes += 1,
                // A proof that a reorg undid and that is included again counts once.
                names::EPOCH_PROVEN if rollup.proven.height > counters.last_proven_height => {
                    counters.last_proven_height = rollup.proven.height;
                    let internal = Operator::Internal.as_str();
                    if each.attributes.get("operator").is_some_and(|by| by == internal) {
                        counters.proven_internal += 1;
                    } else {
                        counters.proven_external += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn count_epochs(&mut self, now: Instant) {
        let spec = &self.config.spec;
        // A block can be included until the slot after its own is over.
        let epoch = spec.epoch_of(spec.slot_at(self.config.genesis, now - spec.slot));
        if self.counters.open_epoch.is_some_and(|open| open < epoch) {
            self.counters.open_epoch = None;
            self.counters.epochs += 1;
        }
    }

    fn keep(&mut self, posted: &[Arc<PostedBlock>]) {
        for posted in posted {
            let height = posted.block.header().height;
            while self.archive.back().is_some_and(|last| last.block.header().height >= height) {
                self.archive.pop_back();
            }
            self.archive.push_back(Arc::clone(posted));
        }
    }

    /// Lets L1 blocks become final by their age; `true` when the rollup's finalized tip moved.
    fn finalize(&mut self, now: Instant) -> bool {
        let before = self.finalized;
        while self
            .blocks
            .front()
            .is_some_and(|oldest| now - oldest.at >= self.config.spec.l1_finality)
        {
            self.blocks.pop_front();
            let after = self.blocks.front().map_or(&self.contracts, |next| &next.before);
            self.finalized = after.rollup.proven;
        }
        let keep_from = self.finalized.height.saturating_sub(RESPONSE_BLOCKS as u64);
        while self.archive.front().is_some_and(|kept| kept.block.header().height <= keep_from) {
            self.archive.pop_front();
        }
        self.finalized != before
    }

    fn announce(&mut self, now: Instant, blocks: Vec<Arc<PostedBlock>>, out: &mut Vec<Action>) {
        self.announced_at = now;
        let (rollup, governance) = (&self.contracts.rollup, &self.contracts.governance);
        let view = L1Update {
            number: self.view.number + 1,
            l1_height: self.height,
            tips: Tips {
                pending: rollup.pending(),
                proven: rollup.proven,
                finalized: self.finalized,
            },
            blocks,
            committees: rollup.committees(),
            deposits: rollup.uncredited(),
            registered_rollup: governance.registered,
            rollup_from_slot: governance.from_slot,
            governance: governance.view(),
        };
        self.view = Arc::new(view);
        let message = Arc::new(Message::L1Update(Arc::clone(&self.view)));
        out.push(Action::Multicast(Arc::clone(&self.everybody), message));
    }

    /// Undoes the newest blocks; their transactions wait for inclusion again, in order.
    fn reorg(&mut self, now: Instant, depth: u32, out: &mut Vec<Action>) {
        let pending_before = self.contracts.rollup.pending().height;
        let keep = self.blocks.len().saturating_sub(depth as usize);
        let undone = self.blocks.split_off(keep);
        let Some(oldest) = undone.front() else { return };
        self.contracts = Arc::clone(&oldest.before);
        self.height -= undone.len() as u64;
        let again: Vec<_> =
            undone.iter().flat_map(|block| block.included.iter().cloned()).collect();
        for transaction in again.into_iter().rev() {
            self.mempool.push_front((now, transaction));
        }
        self.counters.reorgs += 1;
        out.push(Action::Observe(Observation::new(
            names::L1_REORG,
            [
                ("depth", undone.len().to_string()),
                ("pending_before", pending_before.to_string()),
                ("pending_after", self.contracts.rollup.pending().height.to_string()),
            ],
        )));
        self.announce(now, Vec::new(), out);
    }

    fn enqueue(&mut self, now: Instant, transaction: Transaction) {
        let eligible = now + self.config.spec.l1_inclusion_delay;
        self.mempool.push_back((eligible, transaction));
    }

    fn on_message(
        &mut self,
        cx: &Cx<'_>,
        from: NodeId,
        message: Arc<Message>,
        out: &mut Vec<Action>,
    ) {
        match &*message {
            Message::ViewRequest(_) => {
                // The bodies come from peers or on request: a view must stay small.
                let view = L1Update { blocks: Vec::new(), ..(*self.view).clone() };
                out.push(Action::Send(from, Arc::new(Message::L1Update(Arc::new(view)))));
            }
            Message::SyncRequest(request) => {
                let response = Arc::new(self.serve(request));
                out.push(Action::Send(from, Arc::new(Message::SyncResponse(response))));
            }
            Message::Post(_)
            | Message::Proof(_)
            | Message::SlashVote(_)
            | Message::GovernanceVote(_)
            | Message::Move(_) => {
                let transaction = Transaction::Message(from, Arc::clone(&message));
                self.enqueue(cx.now, transaction);
            }
            _ => {}
        }
    }

    fn serve(&self, request: &SyncRequest) -> SyncResponse {
        let known = |posted: &&Arc<PostedBlock>| {
            let header = posted.block.header();
            header.height == request.from_height && header.parent == request.parent
        };
        let skip = self.archive.iter().position(|posted| known(&posted)).unwrap_or(0);
        let blocks = self.archive.iter().skip(skip).take(2 * RESPONSE_BLOCKS).cloned();
        SyncResponse { snapshot: None, blocks: blocks.collect() }
    }
}

impl Machine for L1 {
    fn handle(&mut self, cx: &Cx<'_>, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Boot(_) => out.push(Action::SetTimer(TICK, self.tick_at(0))),
            Event::Timer(TICK) => self.tick(cx, out),
            Event::Message(from, message) => self.on_message(cx, from, message, out),
            Event::Command(Command::Reorg { depth }) => self.reorg(cx.now, depth, out),
            Event::Command(Command::StallL1 { until }) => self.stalled_until = Some(until),
            Event::Command(command) => self.enqueue(cx.now, Transaction::Command(command)),
            _ => {}
        }
    }

    fn state_digest(&self) -> Digest {
        let mut bytes = Vec::new();
        self.facts().tips.put(&mut bytes);
        self.height.put(&mut bytes);
        self.contracts.staking.total().put(&mut bytes);
        self.contracts.governance.registered.put(&mut bytes);
        Digest::of(&bytes)
    }

    fn metrics(&self, now: Instant, out: &mut Vec<f64>) {
        let (counters, contracts) = (&self.counters, &self.contracts);
        out.extend([
            self.config.spec.slot_at(self.config.genesis, now) as f64,
            counters.filled_slots as f64,
            counters.transactions as f64,
            counters.epochs as f64,
            counters.proven_internal as f64,
            counters.proven_external as f64,
            contracts.rollup.proof_delay.seconds(),
            counters.prunes as f64,
            counters.reorgs as f64,
            self.height as f64,
            counters.deposits_made as f64,
            counters.deposits_credited as f64,
            contracts.staking.total() as f64,
            contracts.staking.slashed as f64,
            contracts.staking.active().len() as f64,
            f64::from(contracts.governance.registered),
            counters.rejected as f64,
        ]);
    }

    fn facts(&self) -> Facts {
        Facts {
            tips: Tips {
                pending: self.contracts.rollup.pending(),
                proven: self.contracts.rollup.proven,
                finalized: self.finalized,
            },
            state: None,
            stake: self.contracts.staking.total(),
            slashed: self.contracts.staking.slashed,
            synced: true,
        }
    }
}
