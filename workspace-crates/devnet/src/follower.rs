use std::collections::VecDeque;
use std::sync::Arc;

use base::{Digest, Duration, Instant};

use crate::{
    Action, BlockRef, Cx, Durable, Event, Facts, L1Update, Message, NodeConfig, NodeId,
    Observation, PersistId, PostedBlock, Record, Snapshot, State, SyncRequest, SyncResponse,
    TimerId, Tips, names,
};

/// Blocks that are kept below the finalized tip, for peers that resync.
const RETAINED_BLOCKS: u64 = 64;
/// Most blocks in one answer.
const RESPONSE_BLOCKS: usize = 64;

const SYNC_TIMER: TimerId = TimerId(0);
const SNAPSHOT_WRITE: PersistId = PersistId(0);

struct Entry {
    posted: Arc<PostedBlock>,
    state: Arc<State>,
}

impl Entry {
    fn at(&self) -> BlockRef {
        block_ref(&self.posted)
    }
}

pub(crate) fn block_ref(posted: &PostedBlock) -> BlockRef {
    let header = posted.block.header();
    BlockRef {
        height: header.height,
        digest: posted.block.digest(),
        slot: header.slot,
        state_root: header.state_root,
    }
}

/// Follows the rollup chain as L1 states it: the part that validators, provers and the load
/// generator share.
pub(crate) struct Follower {
    pub(crate) config: NodeConfig,
    /// The block below the first entry.
    base: BlockRef,
    base_state: Arc<State>,
    entries: VecDeque<Entry>,
    view: Option<Arc<L1Update>>,
    finalized: BlockRef,
    synced: bool,
    announced: bool,
    requests: u32,
    /// The last block that could not be taken: it is reported once.
    refused: Option<Digest>,
    pub(crate) fatal_errors: u64,
}

impl Follower {
    pub(crate) fn new(config: NodeConfig) -> Self {
        Self {
            config,
            base: genesis_ref(),
            base_state: Arc::new(State::genesis()),
            entries: VecDeque::new(),
            view: None,
            finalized: genesis_ref(),
            synced: false,
            announced: false,
            requests: 0,
            refused: None,
            fatal_errors: 0,
        }
    }

    /// Starts from what is on disk and asks L1 for its view.
    pub(crate) fn boot(&mut self, cx: &Cx<'_>, durable: &Durable, out: &mut Vec<Action>) {
        if let Some(snapshot) = &durable.finalized {
            self.start_from(snapshot);
        }
        out.push(Action::Observe(Observation::new(
            names::NODE_STARTED,
            [("version", self.config.version.to_string())],
        )));
        self.ask(cx, out);
    }

    fn start_from(&mut self, snapshot: &Snapshot) {
        self.base = snapshot.at;
        self.base_state = Arc::clone(&snapshot.state);
        self.finalized = snapshot.at;
        self.entries.clear();
    }

    /// Handles what concerns following; `true` when the node's view of the chain may have changed.
    pub(crate) fn handle(&mut self, cx: &Cx<'_>, event: &Event, out: &mut Vec<Action>) -> bool {
        match event {
            Event::Timer(SYNC_TIMER) => {
                if self.view.is_none() || !self.synced {
                    self.ask(cx, out);
                }
                false
            }
            Event::Message(NodeId::L1, message) if matches!(**message, Message::L1Update(_)) => {
                match &**message {
                    Message::L1Update(update) => self.take_view(cx, update, out),
                    _ => false,
                }
            }
            Event::Message(from, message) => match &**message {
                Message::SyncRequest(request) => {
                    let response = Arc::new(self.serve(request));
                    out.push(Action::Send(*from, Arc::new(Message::SyncResponse(response))));
                    false
                }
                Message::SyncResponse(response) => self.take_response(cx, response, out),
                _ => false,
            },
            _ => false,
        }
    }

    fn take_view(&mut self, cx: &Cx<'_>, update: &Arc<L1Update>, out: &mut Vec<Action>) -> bool {
        if self.view.as_ref().is_some_and(|view| view.number >= update.number) {
            return false;
        }
        self.view = Some(Arc::clone(update));
        for posted in &update.blocks {
            self.append(cx, posted, out);
        }
        self.reconcile(cx, out);
        true
    }

    fn take_response(
        &mut self,
        cx: &Cx<'_>,
        response: &SyncResponse,
        out: &mut Vec<Action>,
    ) -> bool {
        if self.synced {
            return false;
        }
        let tip = self.tip().height;
        if let (Some(snapshot), Some(view)) = (&response.snapshot, &self.view) {
            let wanted = snapshot.at == view.tips.finalized
                && snapshot.state.root() == snapshot.at.state_root;
            if wanted && !self.has(&snapshot.at) {
                self.start_from(snapshot);
            }
        }
        for posted in &response.blocks {
            self.append(cx, posted, out);
        }
        self.reconcile(cx, out);
        if !self.synced && self.tip().height > tip {
            self.request_blocks(out);
        }
        true
    }

    /// Takes a block whose parent is known; drops what stood in its place.
    fn append(&mut self, cx: &Cx<'_>, posted: &Arc<PostedBlock>, out: &mut Vec<Action>) {
        let header = posted.block.header();
        let Some(parent_height) = header.height.checked_sub(1) else { return };
        let Some((parent, parent_state)) = self.at(parent_height) else { return };
        if parent.digest != header.parent {
            return;
        }
        if self.has(&block_ref(posted)) {
            return;
        }
        let known_rules = self.config.protocol_at(header.slot) == header.protocol_version;
        let executed = if known_rules {
            cx.compute.execute(&parent_state, &posted.block).map_err(|error| error.to_string())
        } else {
            Err(format!(
                "block {} follows protocol {}, which this client does not know",
                header.height, header.protocol_version
            ))
        };
        match executed {
            Ok(state) => {
                self.truncate(parent_height);
                self.entries.push_back(Entry { posted: Arc::clone(posted), state });
            }
            Err(cause) => self.refuse(posted.block.digest(), cause, out),
        }
    }

    /// Reports something that the node cannot go on with, once per block.
    pub(crate) fn refuse(&mut self, block: Digest, cause: String, out: &mut Vec<Action>) {
        if self.refused.replace(block) != Some(block) {
            self.fatal_errors += 1;
            out.push(Action::Observe(Observation::new(names::NODE_FATAL, [("cause", cause)])));
        }
    }

    /// Brings the chain in line with the tips that L1 states.
    fn reconcile(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        let Some(view) = self.view.clone() else { return };
        let pending = view.tips.pending;
        self.synced = self.has(&pending);
        if !self.synced {
            self.request_blocks(out);
            out.push(Action::SetTimer(SYNC_TIMER, cx.now + self.retry_after()));
            return;
        }
        self.truncate(pending.height);
        if !self.announced {
            self.announced = true;
            out.push(Action::CancelTimer(SYNC_TIMER));
            out.push(Action::Observe(Observation::new(
                names::NODE_SYNCED,
                [("height", pending.height.to_string())],
            )));
        }
        self.finalize(&view.tips.finalized, out);
    }

    fn finalize(&mut self, finalized: &BlockRef, out: &mut Vec<Action>) {
        if finalized.height <= self.finalized.height || !self.has(finalized) {
            return;
        }
        if let Some((at, state)) = self.at(finalized.height) {
            let snapshot = Arc::new(Snapshot { at, state });
            self.finalized = at;
            out.push(Action::Persist(SNAPSHOT_WRITE, Record::Finalized(snapshot)));
        }
        while self.base.height + RETAINED_BLOCKS < finalized.height {
            let Some(entry) = self.entries.pop_front() else { break };
            self.base = entry.at();
            self.base_state = entry.state;
        }
    }

    fn truncate(&mut self, height: u64) {
        let keep = height.saturating_sub(self.base.height);
        self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    fn retry_after(&self) -> Duration {
        Duration::from_micros((self.config.spec.slot.micros() / 8).max(1_000))
    }

    fn ask(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        let number = self.view.as_ref().map_or(0, |view| view.number);
        out.push(Action::Send(NodeId::L1, Arc::new(Message::ViewRequest(number))));
        if self.view.is_some() {
            self.request_blocks(out);
        }
        out.push(Action::SetTimer(SYNC_TIMER, cx.now + self.retry_after()));
    }

    /// Asks one peer after the other; every third time the L1, which has the blobs.
    fn request_blocks(&mut self, out: &mut Vec<Action>) {
        self.requests = self.requests.wrapping_add(1);
        let tip = self.tip();
        let request = SyncRequest { from_height: tip.height + 1, parent: tip.digest };
        let validators = self.config.spec.validators.max(1);
        let drawn = crate::block::mix(u64::from(self.config.id.0), u64::from(self.requests));
        let peer = NodeId(2 + (drawn % u64::from(validators)) as u32);
        let ask_l1 = self.requests.is_multiple_of(3) || peer == self.config.id;
        let to = if ask_l1 { NodeId::L1 } else { peer };
        out.push(Action::Send(to, Arc::new(Message::SyncRequest(request))));
    }

    fn serve(&self, request: &SyncRequest) -> SyncResponse {
        let below = request.from_height.wrapping_sub(1);
        let known = self.at(below).is_some_and(|(at, _)| at.digest == request.parent);
        let (snapshot, from) = if known {
            (None, below)
        } else {
            let at = self.at(self.finalized.height);
            let snapshot = at.map(|(at, state)| Arc::new(Snapshot { at, state }));
            (snapshot, self.finalized.height)
        };
        let skip = usize::try_from(from.saturating_sub(self.base.height)).unwrap_or(usize::MAX);
        let blocks = self.entries.iter().skip(skip).take(RESPONSE_BLOCKS);
        SyncResponse { snapshot, blocks: blocks.map(|entry| Arc::clone(&entry.posted)).collect() }
    }

    fn at(&self, height: u64) -> Option<(BlockRef, Arc<State>)> {
        let offset = height.checked_sub(self.base.height)?;
        if offset == 0 {
            return Some((self.base, Arc::clone(&self.base_state)));
        }
        let entry = self.entries.get(usize::try_from(offset - 1).ok()?)?;
        Some((entry.at(), Arc::clone(&entry.state)))
    }

    fn has(&self, block: &BlockRef) -> bool {
        let Some(offset) = block.height.checked_sub(self.base.height) else { return false };
        if offset == 0 {
            return self.base.digest == block.digest;
        }
        let index = usize::try_from(offset - 1).unwrap_or(usize::MAX);
        self.entries.get(index).is_some_and(|entry| entry.posted.block.digest() == block.digest)
    }

    /// The node's own newest block.
    pub(crate) fn tip(&self) -> BlockRef {
        self.entries.back().map_or(self.base, Entry::at)
    }

    /// The state after the node's own newest block.
    pub(crate) fn state(&self) -> &Arc<State> {
        self.entries.back().map_or(&self.base_state, |entry| &entry.state)
    }

    /// The state after the block at `height`, if it is kept.
    pub(crate) fn state_at(&self, height: u64) -> Option<Arc<State>> {
        self.at(height).map(|(_, state)| state)
    }

    /// The blocks above `height`, in order.
    pub(crate) fn above(&self, height: u64) -> impl DoubleEndedIterator<Item = &Arc<PostedBlock>> {
        let skip = usize::try_from(height.saturating_sub(self.base.height)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).map(|entry| &entry.posted)
    }

    pub(crate) fn view(&self) -> Option<&Arc<L1Update>> {
        self.view.as_ref()
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced
    }

    pub(crate) fn slot_at(&self, now: Instant) -> u64 {
        self.config.spec.slot_at(self.config.genesis, now)
    }

    pub(crate) fn slot_start(&self, slot: u64) -> Instant {
        self.config.spec.slot_start(self.config.genesis, slot)
    }

    /// The tips as this node can vouch for them: never above its own newest block.
    pub(crate) fn tips(&self) -> Tips {
        let pending = self.tip();
        let proven = self.view.as_ref().map_or(self.finalized, |view| view.tips.proven);
        let proven = if self.has(&proven) { proven } else { self.finalized };
        Tips { pending, proven, finalized: self.finalized }
    }

    pub(crate) fn lag_blocks(&self) -> u64 {
        let stated = self.view.as_ref().map_or(0, |view| view.tips.pending.height);
        stated.saturating_sub(self.tip().height)
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts {
            tips: self.tips(),
            state: Some(Arc::clone(self.state())),
            synced: self.synced,
            ..Facts::default()
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        crate::wire::Wire::put(&self.tips(), &mut bytes);
        Digest::of(&bytes)
    }
}

pub(crate) fn genesis_ref() -> BlockRef {
    BlockRef { state_root: State::genesis().root(), ..BlockRef::default() }
}
