//! What the L1's contracts and the validators refuse: forged, foreign, early and repeated calls.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::sync::Arc;

use base::{Duration, Instant};
use devnet::{
    Action, Block, Command, Committee, Compute as _, CryptoKind, Cx, Direct, Durable, Event,
    GovernanceVote, Header, Job, JobOutput, KeyId, L1Update, Machine, Message, Move, NetworkSpec,
    NodeConfig, NodeId, PersistId, PostedBlock, Proof, ProofSystem as _, Record, SignedReexecution,
    SlashVote, Snapshot, State, Statement, TimerId, build, names, quorum,
};

fn spec() -> Arc<NetworkSpec> {
    Arc::new(NetworkSpec {
        validators: 6,
        committee: 4,
        epoch_slots: 4,
        proving: Duration::from_seconds(20),
        l1_finality: Duration::from_seconds(60),
        crypto: CryptoKind::Ed25519,
        ..NetworkSpec::default()
    })
}

fn genesis() -> Instant {
    Instant::from_unix_micros(1_800_000_000_000_000)
}

fn config(id: NodeId) -> NodeConfig {
    NodeConfig {
        spec: spec(),
        id,
        genesis: genesis(),
        version: 1,
        upgrades: Vec::new(),
        started: genesis(),
    }
}

/// One machine that a test drives by hand.
struct Bench {
    machine: Box<dyn Machine>,
    compute: Direct,
    now: Instant,
    view: Option<Arc<L1Update>>,
    seen: Vec<&'static str>,
    tick: i64,
}

impl Bench {
    fn new(id: NodeId, durable: Durable) -> Self {
        let mut bench = Self {
            machine: build(config(id)).unwrap(),
            compute: Direct::new(&spec()),
            now: genesis(),
            view: None,
            seen: Vec::new(),
            tick: 0,
        };
        bench.handle(Event::Boot(durable));
        bench
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        let cx = Cx { now: self.now, compute: &self.compute };
        self.machine.handle(&cx, event, &mut out);
        for action in &out {
            match action {
                Action::Observe(seen) => self.seen.push(seen.name),
                Action::Multicast(_, message) => {
                    if let Message::L1Update(view) = &**message {
                        self.view = Some(Arc::clone(view));
                    }
                }
                _ => {}
            }
        }
        out
    }

    fn say(&mut self, from: NodeId, message: Message) -> Vec<Action> {
        self.handle(Event::Message(from, Arc::new(message)))
    }

    /// Lets L1 blocks pass until `seconds` after the genesis.
    fn pass(&mut self, seconds: i64) {
        while self.tick * 12 <= seconds {
            self.now = genesis() + Duration::from_seconds(self.tick * 12);
            self.handle(Event::Timer(TimerId(1)));
            self.tick += 1;
        }
        self.now = genesis() + Duration::from_seconds(seconds);
    }

    fn committee(&self, epoch: u64) -> Arc<Committee> {
        Arc::clone(self.view.as_ref().unwrap().committee(epoch).unwrap())
    }

    fn height(&self) -> u64 {
        self.machine.facts().tips.pending.height
    }

    fn rejected(&self) -> f64 {
        let mut values = Vec::new();
        self.machine.metrics(self.now, &mut values);
        *values.last().unwrap()
    }

    /// The block that `slot`'s proposer would build on the pending tip.
    fn block(&self, slot: u64) -> Block {
        let tip = self.machine.facts().tips.pending;
        let header = Header {
            height: tip.height + 1,
            slot,
            proposer: self.committee(slot / 4).proposer(slot).unwrap(),
            parent: tip.digest,
            state_root: State::genesis().root(),
            protocol_version: 1,
            rollup_version: 1,
        };
        Block::new(header, Vec::new(), Vec::new())
    }

    fn sign(&self, block: &Block, members: &[NodeId]) -> PostedBlock {
        let root = block.attestation_root(&self.compute.domain());
        let sign = |node: &NodeId| {
            let signature = self.compute.crypto().sign(KeyId::node(*node), &root.0).unwrap();
            (*node, signature)
        };
        PostedBlock {
            block: Arc::new(block.clone()),
            attestations: members.iter().map(sign).collect(),
        }
    }

    fn post(&mut self, posted: PostedBlock) {
        let from = posted.block.header().proposer;
        self.say(from, Message::Post(Arc::new(posted)));
    }
}

/// An L1 in the middle of slot 1.
fn l1() -> Bench {
    let mut bench = Bench::new(NodeId::L1, Durable::default());
    bench.pass(37);
    bench
}

#[test]
fn a_block_with_a_quorum_of_valid_attestations_is_taken() {
    let mut l1 = l1();
    let (block, members) = (l1.block(1), l1.committee(0).members.clone());
    assert_eq!((members.len(), quorum(4)), (4, 3));
    l1.post(l1.sign(&block, &members[..3]));
    l1.pass(50);
    assert_eq!((l1.height(), l1.rejected()), (1, 0.0));
}

#[test]
fn bad_attestations_are_refused() {
    let check = |spoil: &dyn Fn(&Bench, &mut PostedBlock)| {
        let mut l1 = l1();
        let (block, members) = (l1.block(1), l1.committee(0).members.clone());
        let mut posted = l1.sign(&block, &members[..3]);
        spoil(&l1, &mut posted);
        l1.post(posted);
        l1.pass(50);
        assert_eq!((l1.height(), l1.rejected()), (0, 1.0));
    };
    check(&|_, posted| {
        posted.attestations.pop();
    });
    check(&|_, posted| posted.attestations[1].1.0[3] ^= 1);
    check(&|_, posted| posted.attestations[1].0 = posted.attestations[0].0);
    check(&|_, posted| posted.attestations.swap(0, 1));
    check(&|l1, posted| {
        let members = &l1.committee(0).members;
        let outsider = spec().validator_ids().find(|id| !members.contains(id)).unwrap();
        posted.attestations = l1.sign(&posted.block, &[outsider]).attestations;
        posted.attestations.extend(l1.sign(&posted.block, &members[..2]).attestations);
        posted.attestations.sort_by_key(|(node, _)| *node);
    });
    check(&|l1, posted| {
        // Signatures under another block of the same slot.
        let header = Header { protocol_version: 9, ..posted.block.header().clone() };
        let other = Block::new(header, Vec::new(), Vec::new());
        posted.attestations = l1.sign(&other, &l1.committee(0).members[..3]).attestations;
    });
}

#[test]
fn a_block_of_the_wrong_proposer_slot_rollup_or_parent_is_refused() {
    let check = |spoil: &dyn Fn(&mut Header)| {
        let mut l1 = l1();
        let members = l1.committee(0).members.clone();
        let mut header = l1.block(1).header().clone();
        spoil(&mut header);
        let block = Block::new(header, Vec::new(), Vec::new());
        l1.post(l1.sign(&block, &members));
        l1.pass(50);
        assert_eq!((l1.height(), l1.rejected()), (0, 1.0));
    };
    check(&|header| header.proposer = NodeId(if header.proposer == NodeId(2) { 3 } else { 2 }));
    check(&|header| header.slot = 3);
    check(&|header| header.slot = u64::MAX);
    check(&|header| header.rollup_version = 2);
    check(&|header| header.height = 2);
    check(&|header| header.parent.0[0] ^= 1);
}

#[test]
fn a_block_that_comes_two_slots_late_or_twice_is_refused() {
    let mut l1 = l1();
    let members = l1.committee(0).members.clone();
    let posted = l1.sign(&l1.block(1), &members);
    l1.pass(109);
    l1.post(posted);
    l1.pass(130);
    assert_eq!((l1.height(), l1.rejected()), (0, 1.0));
    let posted = l1.sign(&l1.block(3), &members);
    l1.post(posted.clone());
    l1.post(posted);
    l1.pass(150);
    assert_eq!((l1.height(), l1.rejected()), (1, 2.0));
}

/// An L1 after epoch 0 with one block, and the proof of it.
fn with_proof(prover: NodeId) -> (Bench, Proof) {
    let mut l1 = l1();
    let (block, members) = (l1.block(1), l1.committee(0).members.clone());
    l1.post(l1.sign(&block, &members));
    l1.pass(60);
    let blocks = [Arc::new(block)];
    let genesis = State::genesis();
    let statement = Statement::over(0, genesis.root(), &blocks).unwrap();
    let (crypto, domain) = (l1.compute.crypto(), l1.compute.domain());
    let bytes =
        SignedReexecution.prove(crypto, &domain, prover, &statement, &genesis, &blocks).unwrap();
    (l1, Proof { statement, prover, bytes })
}

const PROVER: NodeId = NodeId(8);

#[test]
fn an_epoch_is_proven_once_and_not_before_its_end() {
    let (mut l1, proof) = with_proof(PROVER);
    let message = || Message::Proof(Arc::new(proof.clone()));
    l1.say(PROVER, message());
    l1.pass(140);
    assert_eq!((l1.machine.facts().tips.proven.height, l1.rejected()), (0, 1.0));
    l1.pass(146);
    l1.say(PROVER, message());
    l1.say(PROVER, message());
    l1.pass(170);
    assert_eq!((l1.machine.facts().tips.proven.height, l1.rejected()), (1, 2.0));
    assert_eq!(l1.seen.iter().filter(|name| **name == names::EPOCH_PROVEN).count(), 1);
    assert_eq!(l1.machine.facts().tips.finalized.height, 0);
    l1.pass(240);
    assert_eq!(l1.machine.facts().tips.finalized.height, 1);
}

#[test]
fn proofs_of_another_statement_by_another_sender_or_damaged_are_refused() {
    let check = |from: NodeId, spoil: &dyn Fn(&mut Proof)| {
        let (mut l1, mut proof) = with_proof(PROVER);
        spoil(&mut proof);
        l1.pass(146);
        l1.say(from, Message::Proof(Arc::new(proof)));
        l1.pass(170);
        assert_eq!((l1.machine.facts().tips.proven.height, l1.rejected()), (0, 1.0));
    };
    check(PROVER, &|proof| proof.bytes[7] ^= 1);
    check(PROVER, &|proof| proof.bytes.clear());
    check(PROVER, &|proof| proof.statement.next_root.0[0] ^= 1);
    check(PROVER, &|proof| proof.statement.epoch = 1);
    check(NodeId(3), &|_| {});
    check(NodeId(3), &|proof| proof.prover = NodeId(3));
}

#[test]
fn unproven_blocks_are_pruned_after_the_window() {
    let (mut l1, _) = with_proof(PROVER);
    // Epochs of 144 s; the window of two epochs ends with epoch 2.
    l1.pass(431);
    assert_eq!(l1.height(), 1);
    l1.pass(433);
    assert_eq!(l1.height(), 0);
    assert!(l1.seen.contains(&names::EPOCH_PRUNED));
}

#[test]
fn a_reorg_undoes_a_block_and_includes_it_again() {
    let (mut l1, _) = with_proof(PROVER);
    l1.handle(Event::Command(Command::Reorg { depth: 3 }));
    assert_eq!(l1.height(), 0);
    l1.pass(72);
    assert_eq!(l1.height(), 1);
    assert!(l1.seen.contains(&names::L1_REORG));
}

#[test]
fn a_penalty_needs_a_quorum_of_the_committee_and_is_taken_once() {
    let mut l1 = l1();
    l1.pass(150);
    let members = l1.committee(0).members.clone();
    let stake = l1.machine.facts().stake;
    let vote = |l1: &Bench, voter: NodeId, offender: NodeId| {
        let offenders = vec![offender];
        let root = SlashVote::root(&l1.compute.domain(), 0, &offenders);
        let signature = l1.compute.crypto().sign(KeyId::node(voter), &root.0).unwrap();
        Message::SlashVote(Arc::new(SlashVote { epoch: 0, voter, offenders, signature }))
    };
    for voter in [members[0], members[1], members[1]] {
        let message = vote(&l1, voter, members[3]);
        l1.say(voter, message);
    }
    // A vote that somebody else sends does not count.
    let stolen = vote(&l1, members[2], members[3]);
    l1.say(members[0], stolen);
    l1.pass(170);
    assert_eq!(l1.machine.facts().stake, stake);
    let third = vote(&l1, members[2], members[3]);
    l1.say(members[2], third.clone());
    l1.say(members[2], third);
    l1.pass(190);
    let facts = l1.machine.facts();
    assert_eq!((facts.stake + 500, facts.slashed), (stake, 500));
}

#[test]
fn governance_waits_for_quorum_and_delay() {
    let mut l1 = l1();
    l1.handle(Event::Command(Command::Propose { version: 3 }));
    l1.handle(Event::Command(Command::Propose { version: 2 }));
    l1.pass(50);
    assert_eq!(l1.rejected(), 1.0);
    let voters: Vec<_> = spec().validator_ids().collect();
    let vote = |l1: &mut Bench, voter: NodeId| {
        let root = GovernanceVote::root(&l1.compute.domain(), 1);
        let signature = l1.compute.crypto().sign(KeyId::node(voter), &root.0).unwrap();
        l1.say(voter, Message::GovernanceVote(GovernanceVote { proposal: 1, voter, signature }));
    };
    for voter in [0, 0, 1, 2, 3].map(|index: usize| voters[index]) {
        vote(&mut l1, voter);
    }
    l1.pass(80);
    assert!(!l1.seen.contains(&names::GOVERNANCE_QUEUED));
    vote(&mut l1, voters[4]);
    l1.pass(100);
    assert!(l1.seen.contains(&names::GOVERNANCE_QUEUED));
    // Moving before the registry points to the new rollup is refused.
    let root = Move::root(&l1.compute.domain(), 2);
    let signature = l1.compute.crypto().sign(KeyId::node(voters[0]), &root.0).unwrap();
    let step = Move { version: 2, validator: voters[0], signature };
    l1.say(voters[0], Message::Move(step));
    l1.pass(7_200);
    assert_eq!(l1.rejected(), 2.0);
    assert!(!l1.seen.contains(&names::GOVERNANCE_EXECUTED));
    l1.pass(7_320);
    assert!(l1.seen.contains(&names::GOVERNANCE_EXECUTED));
}

/// A validator of epoch 0's committee that follows the L1, the view, and a block for slot 1.
fn validator(durable: Durable) -> (Bench, Block, NodeId) {
    let l1 = l1();
    let block = l1.block(1);
    let proposer = block.header().proposer;
    let member = *l1.committee(0).members.iter().find(|id| **id != proposer).unwrap();
    let mut validator = Bench::new(member, durable);
    validator.now = l1.now;
    let view = Message::L1Update(Arc::clone(l1.view.as_ref().unwrap()));
    validator.say(NodeId::L1, view);
    (validator, block, proposer)
}

fn jobs(actions: &[Action]) -> Vec<Job> {
    let job = |action: &Action| match action {
        Action::Job(_, job, _) => Some(job.clone()),
        _ => None,
    };
    actions.iter().filter_map(job).collect()
}

#[test]
fn a_validator_attests_once_per_slot_also_after_a_restart() {
    let (mut node, block, proposer) = validator(Durable::default());
    let propose = |block: &Block| Message::Proposal(Arc::new(block.clone()));
    let first = jobs(&node.say(proposer, propose(&block)));
    assert_eq!(first.len(), 1);
    assert!(matches!(first[0].run(&node.compute), JobOutput::Attested(Ok(_))));
    let header = Header { state_root: Default::default(), ..block.header().clone() };
    let other = Block::new(header, Vec::new(), Vec::new());
    assert!(jobs(&node.say(proposer, propose(&other))).is_empty());

    let mut durable = Durable::default();
    durable.apply(Record::Voted(1));
    let (mut restarted, block, proposer) = validator(durable);
    assert!(jobs(&restarted.say(proposer, propose(&block))).is_empty());
}

#[test]
fn an_attestation_leaves_the_node_only_after_it_is_on_disk() {
    let (mut node, block, proposer) = validator(Durable::default());
    let actions = node.say(proposer, Message::Proposal(Arc::new(block)));
    let Some(Action::Job(id, job, _)) =
        actions.iter().find(|action| matches!(action, Action::Job(..)))
    else {
        panic!("no job")
    };
    let output = job.run(&node.compute);
    let after_job = node.handle(Event::JobDone(*id, output));
    let sends = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Send(..))).count()
    };
    assert_eq!(sends(&after_job), 0);
    let Some(Action::Persist(write, Record::Voted(1))) = after_job.first() else {
        panic!("not persisted")
    };
    assert_eq!(sends(&node.handle(Event::Persisted(PersistId(write.0)))), 1);
}

#[test]
fn a_validator_ignores_proposals_from_others_and_refuses_false_roots() {
    let (mut node, block, proposer) = validator(Durable::default());
    let propose = |block: &Block| Message::Proposal(Arc::new(block.clone()));
    assert!(jobs(&node.say(NodeId::LOAD, propose(&block))).is_empty());
    let mut header = block.header().clone();
    header.state_root.0[0] ^= 1;
    let lie = Block::new(header, Vec::new(), Vec::new());
    let job = jobs(&node.say(proposer, propose(&lie))).remove(0);
    assert!(matches!(job.run(&node.compute), JobOutput::Attested(Err(_))));
}

#[test]
fn a_snapshot_that_l1_does_not_confirm_is_not_taken() {
    let (mut node, _, _) = validator(Durable::default());
    let before = node.machine.state_digest();
    let mut at = node.machine.facts().tips.pending;
    at.height = 70;
    let snapshot = Some(Arc::new(Snapshot { at, state: Arc::new(State::genesis()) }));
    let response = devnet::SyncResponse { snapshot, blocks: Vec::new() };
    node.say(NodeId(5), Message::SyncResponse(Arc::new(response)));
    assert_eq!(node.machine.state_digest(), before);
}

#[test]
fn a_prover_that_signs_a_false_statement_is_refused() {
    let check = |spoil: &dyn Fn(&mut Statement)| {
        let (mut l1, mut proof) = with_proof(PROVER);
        spoil(&mut proof.statement);
        let root = proof.statement.root(&l1.compute.domain(), PROVER);
        let signature = l1.compute.crypto().sign(KeyId::node(PROVER), &root.0).unwrap();
        proof.bytes = signature.0.to_vec();
        l1.pass(146);
        l1.say(PROVER, Message::Proof(Arc::new(proof)));
        l1.pass(170);
        assert_eq!((l1.machine.facts().tips.proven.height, l1.rejected()), (0, 1.0));
    };
    check(&|statement| statement.next_root.0[0] ^= 1);
    check(&|statement| statement.previous_root.0[0] ^= 1);
    check(&|statement| statement.epoch_digest.0[0] ^= 1);
    check(&|statement| statement.epoch = 1);
    check(&|statement| statement.last_height = 2);
}
