use std::sync::Arc;

use base::{Digest, Duration, Instant};

use crate::follower::Follower;
use crate::mempool::Mempool;
use crate::{
    Action, Attestation, Block, Command, Committee, Cx, Event, Facts, GovernanceVote, Header, Job,
    JobId, JobOutput, KeyId, L1Update, Machine, Message, Move, NodeConfig, NodeId, PersistId,
    PostedBlock, Record, Signature, SlashVote, TimerId, quorum,
};

/// Most deposits that one block credits.
const DEPOSITS_PER_BLOCK: usize = 8;

/// What a timer, job or write is for: the upper bits of its number; the lower ones are the slot
/// or epoch.
const PROPOSE: u64 = 1 << 56;
const COLLECT: u64 = 2 << 56;
const EPOCH_END: u64 = 3 << 56;
const ATTEST: u64 = 4 << 56;
const VERIFY: u64 = 5 << 56;
const KIND: u64 = 0xff << 56;

/// Proposes, re-executes, attests, votes.
pub(crate) struct Validator {
    follower: Follower,
    mempool: Mempool,
    proposed: Option<u64>,
    voted: Option<u64>,
    proposal: Option<Collection>,
    vote: Option<(Attestation, NodeId)>,
    stalled_until: Option<Instant>,
    /// First epoch whose duties are not looked at yet.
    next_duty_epoch: u64,
    /// Version of the rollup that this validator moved to.
    rollup_version: u32,
    /// The last epoch in which it repeated its votes and moves on L1.
    repeated_in: Option<u64>,
    supported_proposal: u64,
    attestations: u64,
}

/// A proposer's own block while attestations arrive.
struct Collection {
    block: Arc<Block>,
    committee: Arc<Committee>,
    attestations: Vec<(NodeId, Signature)>,
    verifying: bool,
    posted: bool,
    /// The window is over: post as soon as there is a quorum.
    closed: bool,
}

impl Validator {
    pub(crate) fn new(config: NodeConfig) -> Self {
        let number = config.id.0.saturating_sub(2);
        let mempool = Mempool::new(config.spec.mempool_size_of(number));
        Self {
            follower: Follower::new(config),
            mempool,
            proposed: None,
            voted: None,
            proposal: None,
            vote: None,
            stalled_until: None,
            next_duty_epoch: 0,
            rollup_version: 1,
            repeated_in: None,
            supported_proposal: 0,
            attestations: 0,
        }
    }

    fn id(&self) -> NodeId {
        self.follower.config.id
    }

    fn on_view(&mut self, cx: &Cx<'_>, out: &mut Vec<Action>) {
        self.mempool.prune(self.follower.state());
        let Some(view) = self.follower.view().cloned() else { return };
        self.schedule_duties(cx, &view, out);
        self.take_part_in_governance(cx, &view, out);
    }

    fn schedule_duties(&mut self, cx: &Cx<'_>, view: &L1Update, out: &mut Vec<Action>) {
        for committee in &view.committees {
            if committee.epoch < self.next_duty_epoch {
                continue;
            }
            self.next_duty_epoch = committee.epoch + 1;
            if !committee.contains(self.id()) {
                continue;
            }
            let slots = committee.proposers.len() as u64;
            let first = committee.epoch * slots;
            for (offset, proposer) in committee.proposers.iter().enumerate() {
                let slot = first + offset as u64;
                let start = self.follower.slot_start(slot);
                if *proposer == self.id() && start >= cx.now {
                    out.push(Action::SetTimer(TimerId(PROPOSE | slot), start));
                }
            }
            let end = self.follower.slot_start(first + slots);
            let spec = &self.follower.config.spec;
            let vote_at = end + spec.slot + spec.l1_slot;
            if vote_at > cx.now {
                out.push(Action::SetTimer(TimerId(EPOCH_END | committee.epoch), vote_at));
            }
        }
    }

    fn propose(&mut self, cx: &Cx<'_>, slot: u64, out: &mut Vec<Action>) {
        let stalled = self.stalled_until.is_some_and(|until| cx.now < until);
        let too_late = cx.now >= self.follower.slot_start(slot) + self.follower.config.spec.slot;
        let again = self.proposed >= Some(slot) && self.proposed.is_some();
        if stalled || too_late || again || !self.follower.is_synced() {
            return;
        }
        let Some(view) = self.follower.view().cloned() else { return };
        let epoch = self.follower.config.spec.epoch_of(slot);
        let Some(committee) = view.committee(epoch) else { return };
        let tip = self.follower.tip();
        if tip.height > 0 && tip.slot >= slot {
            return;
        }
        let Some(block) = self.build(slot, &view) else { return };
        self.proposed = Some(slot);
        self.proposal = Some(Collection {
            block: Arc::new(block),
            committee: Arc::clone(committee),
            attestations: Vec::new(),
            verifying: false,
            posted: false,
            closed: false,
        });
        out.push(Action::Persist(PersistId(PROPOSE | slot), Record::Proposed(slot)));
    }

    fn build(&self, slot: u64, view: &L1Update) -> Option<Block> {
        let (tip, state) = (self.follower.tip(), self.follower.state());
        let count_max = self.follower.config.spec.max_txs_per_block as usize;
        let transactions = self.mempool.select(state, count_max);
        let credited = state.deposits_credited();
        let due = view.deposits.iter().filter(|deposit| deposit.number >= credited);
        let deposits: Vec<_> = due.take(DEPOSITS_PER_BLOCK).cloned().collect();
        let next = state.after(&deposits, &transactions).ok()?;
        let header = Header {
            height: tip.height + 1,
            slot,
            proposer: self.id(),
            parent: tip.digest,
            state_root: next.root(),
            protocol_version: self.follower.config.protocol_at(slot),
            rollup_version: rollup_at(view, slot),
        };
        Some(Block::new(header, transactions, deposits))
    }

    fn publish(&mut self, cx: &Cx<'_>, slot: u64, out: &mut Vec<Action>) {
        let Some(collection) = &self.proposal else { return };
        if collection.block.header().slot != slot {
            return;
        }
        let block = Arc::clone(&collection.block);
        let members: Arc<[NodeId]> = collection.committee.members.as_slice().into();
        out.push(Action::Multicast(members, Arc::new(Message::Proposal(Arc::clone(&block)))));
        let window = self.follower.config.spec.attestation_window;
        out.push(Action::SetTimer(TimerId(COLLECT | slot), cx.now + window));
        self.on_proposal(cx, self.id(), &block, out);
    }

    fn on_proposal(
        &mut self,
        cx: &Cx<'_>,
        from: NodeId,
        block: &Arc<Block>,
        out: &mut Vec<Action>,
    ) {
        let header = block.header();
        let slot = header.slot;
        let acceptable = self.is_timely(cx.now, slot)
            && self.voted < Some(slot)
            && from == header.proposer
            && self.follower.is_synced()
            && self.extends_tip(header)
            && self.follower.view().is_some_and(|view| self.is_due(view, header));
        if !acceptable {
            return;
        }
        if header.protocol_version != self.follower.config.protocol_at(slot) {
            let cause = format!("slot {slot} was proposed under unknown rules");
            self.follower.refuse(block.digest(), cause, out);
            return;
        }
        self.voted = Some(slot);
        let signature = Signature([0; 64]);
        let attestation =
            Attestation { slot, block: block.digest(), validator: self.id(), signature };
        self.vote = Some((attestation, from));
        let parent = Arc::clone(self.follower.state());
        let job = Job::Attest { validator: self.id(), parent, block: Arc::clone(block) };
        let length = self.follower.config.spec.reexecution;
        out.push(Action::Job(JobId(ATTEST | slot), job, length));
    }

    fn is_timely(&self, now: Instant, slot: u64) -> bool {
        let start = self.follower.slot_start(slot);
        let length = self.follower.config.spec.slot;
        let early = Duration::from_micros(length.micros() / 4);
        start - early <= now && now < start + length
    }

    fn extends_tip(&self, header: &Header) -> bool {
        let tip = self.follower.tip();
        header.parent == tip.digest
            && header.height == tip.height + 1
            && (tip.height == 0 || header.slot > tip.slot)
    }

    fn is_due(&self, view: &L1Update, header: &Header) -> bool {
        let epoch = self.follower.config.spec.epoch_of(header.slot);
        let rollup = rollup_at(view, header.slot);
        view.committee(epoch).is_some_and(|committee| {
            committee.contains(self.id())
                && committee.proposer(header.slot) == Some(header.proposer)
        }) && header.rollup_version == rollup
            && self.rollup_version >= rollup
    }

    fn on_attested(&mut self, slot: u64, result: Result<Signature, String>, out: &mut Vec<Action>) {
        let Some((attestation, _)) = &mut self.vote else { return };
        if attestation.slot != slot {
            return;
        }
        match result {
            Ok(signature) => {
                attestation.signature = signature;
                out.push(Action::Persist(PersistId(ATTEST | slot), Record::Voted(slot)));
            }
            Err(cause) => {
                let block = attestation.block;
                self.vote = None;
                self.follower.refuse(block, cause, out);
            }
        }
    }

    fn send_vote(&mut self, slot: u64, out: &mut Vec<Action>) {
        if self.vote.as_ref().is_none_or(|(attestation, _)| attestation.slot != slot) {
            return;
        }
        let Some((attestation, proposer)) = self.vote.take() else { return };
        self.attestations += 1;
        if proposer == self.id() {
            self.on_attestation(proposer, &attestation, out);
        } else {
            out.push(Action::Send(proposer, Arc::new(Message::Attestation(attestation))));
        }
    }

    fn on_attestation(&mut self, from: NodeId, attestation: &Attestation, out: &mut Vec<Action>) {
        let Some(collection) = &mut self.proposal else { return };
        let known = collection.attestations.iter().any(|(node, _)| *node == from);
        if attestation.block != collection.block.digest()
            || attestation.validator != from
            || !collection.committee.contains(from)
            || known
            || collection.verifying
            || collection.posted
        {
            return;
        }
        collection.attestations.push((from, attestation.signature));
        let (count, of) = (collection.attestations.len(), collection.committee.members.len());
        if count == of || (collection.closed && count >= quorum(of)) {
            self.verify(out);
        }
    }

    fn close(&mut self, slot: u64, out: &mut Vec<Action>) {
        let Some(collection) = &mut self.proposal else { return };
        if collection.block.header().slot != slot || collection.posted || collection.verifying {
            return;
        }
        collection.closed = true;
        if collection.attestations.len() >= quorum(collection.committee.members.len()) {
            self.verify(out);
        }
    }

    fn verify(&mut self, out: &mut Vec<Action>) {
        let Some(collection) = &mut self.proposal else { return };
        collection.verifying = true;
        let attestations = std::mem::take(&mut collection.attestations);
        // A model of batch verification: some 12 us for each signature.
        let length = Duration::from_micros(12 * attestations.len() as i64);
        let block = Arc::clone(&collection.block);
        let id = JobId(VERIFY | block.header().slot);
        out.push(Action::Job(id, Job::VerifyAttestations { block, attestations }, length));
    }

    fn on_verified(
        &mut self,
        slot: u64,
        mut valid: Vec<(NodeId, Signature)>,
        out: &mut Vec<Action>,
    ) {
        let Some(collection) = &mut self.proposal else { return };
        if collection.block.header().slot != slot {
            return;
        }
        collection.verifying = false;
        if valid.len() < quorum(collection.committee.members.len()) {
            collection.attestations = valid;
            return;
        }
        collection.posted = true;
        valid.sort_unstable_by_key(|(node, _)| *node);
        let posted = PostedBlock { block: Arc::clone(&collection.block), attestations: valid };
        out.push(Action::Send(NodeId::L1, Arc::new(Message::Post(Arc::new(posted)))));
    }

    /// Judges its epoch: members without any attestation under at least half of the epoch's
    /// possible blocks were inactive.
    fn judge_epoch(&mut self, cx: &Cx<'_>, epoch: u64, out: &mut Vec<Action>) {
        if !self.follower.is_synced() {
            return;
        }
        let Some(committee) = self.follower.view().and_then(|view| view.committee(epoch)) else {
            return;
        };
        let spec = &self.follower.config.spec;
        let mut seen = vec![false; committee.members.len()];
        let mut blocks = 0;
        let newest_first = self.follower.above(0).rev();
        for posted in newest_first {
            let of = spec.epoch_of(posted.block.header().slot);
            if of < epoch {
                break;
            }
            if of == epoch {
                blocks += 1;
                mark(&mut seen, &committee.members, &posted.attestations);
            }
        }
        let missing = committee.members.iter().zip(&seen).filter(|(_, seen)| !**seen);
        let offenders: Vec<_> = missing.map(|(member, _)| *member).collect();
        if offenders.is_empty() || blocks * 2 < spec.epoch_slots {
            return;
        }
        let root = SlashVote::root(&cx.compute.domain(), epoch, &offenders);
        let Some(signature) = cx.compute.crypto().sign(KeyId::node(self.id()), &root.0) else {
            return;
        };
        let vote = SlashVote { epoch, voter: self.id(), offenders, signature };
        out.push(Action::Send(NodeId::L1, Arc::new(Message::SlashVote(Arc::new(vote)))));
    }

    /// Supports an open proposal and moves to a newly registered rollup; repeated once per epoch
    /// because a message may get lost.
    fn take_part_in_governance(&mut self, cx: &Cx<'_>, view: &L1Update, out: &mut Vec<Action>) {
        let now_slot = self.follower.slot_at(cx.now);
        let epoch = self.follower.config.spec.epoch_of(now_slot);
        let open = view.governance.filter(|open| open.executable_at.is_none());
        let moving = view.registered_rollup > 1 && now_slot <= view.rollup_from_slot;
        let moved = self.rollup_version >= view.registered_rollup;
        let supported = open.is_none_or(|open| self.supported_proposal >= open.proposal);
        let repeat = self.repeated_in != Some(epoch);
        if let Some(open) = open.filter(|_| !supported || repeat) {
            self.supported_proposal = open.proposal;
            self.repeated_in = Some(epoch);
            let root = GovernanceVote::root(&cx.compute.domain(), open.proposal);
            self.sign_and_send(cx, &root, out, |voter, signature| {
                let vote = GovernanceVote { proposal: open.proposal, voter, signature };
                Message::GovernanceVote(vote)
            });
        }
        if !moved || (moving && repeat) {
            let version = view.registered_rollup;
            self.rollup_version = version;
            self.repeated_in = Some(epoch);
            let root = Move::root(&cx.compute.domain(), version);
            self.sign_and_send(cx, &root, out, |validator, signature| {
                Message::Move(Move { version, validator, signature })
            });
        }
    }

    fn sign_and_send(
        &self,
        cx: &Cx<'_>,
        root: &Digest,
        out: &mut Vec<Action>,
        message: impl FnOnce(NodeId, Signature) -> Message,
    ) {
        if let Some(signature) = cx.compute.crypto().sign(KeyId::node(self.id()), &root.0) {
            out.push(Action::Send(NodeId::L1, Arc::new(message(self.id(), signature))));
        }
    }

    fn on_message(&mut self, cx: &Cx<'_>, from: NodeId, message: &Message, out: &mut Vec<Action>) {
        match message {
            Message::Transactions(batch) if cx.compute.batch_is_valid(batch) => {
                self.mempool.insert(batch, self.follower.state());
            }
            Message::Proposal(block) => self.on_proposal(cx, from, block, out),
            Message::Attestation(attestation) => self.on_attestation(from, attestation, out),
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &Cx<'_>, timer: TimerId, out: &mut Vec<Action>) {
        let number = timer.0 & !KIND;
        match timer.0 & KIND {
            PROPOSE => self.propose(cx, number, out),
            COLLECT => self.close(number, out),
            EPOCH_END => self.judge_epoch(cx, number, out),
            _ => {}
        }
    }
}

fn mark(seen: &mut [bool], members: &[NodeId], attestations: &[(NodeId, Signature)]) {
    for (node, _) in attestations {
        if let Ok(index) = members.binary_search(node) {
            seen[index] = true;
        }
    }
}

/// The rollup that a block in `slot` belongs to.
pub(crate) fn rollup_at(view: &L1Update, slot: u64) -> u32 {
    if slot >= view.rollup_from_slot {
        view.registered_rollup
    } else {
        view.registered_rollup.saturating_sub(1).max(1)
    }
}

impl Machine for Validator {
    fn handle(&mut self, cx: &Cx<'_>, event: Event, out: &mut Vec<Action>) {
        if self.follower.handle(cx, &event, out) {
            self.on_view(cx, out);
        }
        match event {
            Event::Boot(durable) => {
                self.proposed = durable.proposed;
                self.voted = durable.voted;
                self.follower.boot(cx, &durable, out);
            }
            Event::Timer(timer) => self.on_timer(cx, timer, out),
            Event::Message(from, message) => self.on_message(cx, from, &message, out),
            Event::JobDone(id, JobOutput::Attested(result)) => {
                self.on_attested(id.0 & !KIND, result, out);
            }
            Event::JobDone(id, JobOutput::Verified(valid)) => {
                self.on_verified(id.0 & !KIND, valid, out);
            }
            Event::Persisted(id) if id.0 & KIND == PROPOSE => self.publish(cx, id.0 & !KIND, out),
            Event::Persisted(id) if id.0 & KIND == ATTEST => self.send_vote(id.0 & !KIND, out),
            Event::Command(Command::StallProposals { until }) => self.stalled_until = Some(until),
            _ => {}
        }
    }

    fn state_digest(&self) -> Digest {
        self.follower.digest()
    }

    fn metrics(&self, _: Instant, out: &mut Vec<f64>) {
        let tips = self.follower.tips();
        let config = &self.follower.config;
        let pending_at = self.follower.slot_start(tips.pending.slot);
        out.extend([
            tips.pending.height as f64,
            tips.proven.height as f64,
            tips.finalized.height as f64,
            pending_at.unix_seconds(),
            config.started.unix_seconds(),
            self.follower.fatal_errors as f64,
            f64::from(config.version),
            f64::from(self.rollup_version),
            self.mempool.len() as f64,
            self.follower.lag_blocks() as f64,
            self.attestations as f64,
        ]);
    }

    fn facts(&self) -> Facts {
        self.follower.facts()
    }
}
