use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Duration, Instant};
use devnet::{
    Action, Command, Cx, Durable, Event, JobOutput, Machine, Message, NetworkAction, NetworkEvent,
    NetworkSpec, NodeConfig, NodeId, NodeInfo, Observation, ScheduledAction, TimerId, Upgrade,
};
use samples::Store;

use crate::drills::{Planned, Upgrading};
use crate::invariants::{Invariants, Violation};
use crate::memory::Memory;
use crate::network::Network;
use crate::queue::{Item, Queue, What};
use crate::scrape::{Answer, Scraper};
use crate::trace::Trace;
use crate::{NodeStatus, Options, SimulationError, Stats, TraceDigest};

/// Time of a write to disk.
const WRITE: Duration = Duration::from_millis(2);

/// One node with its disk.
pub(crate) struct Node {
    pub(crate) info: NodeInfo,
    /// `None` while it is dead.
    machine: Option<Box<dyn Machine>>,
    /// Counts its lives: what an earlier life caused does not reach a later one.
    incarnation: u32,
    starts: u32,
    durable: Durable,
    pub(crate) version: u32,
    pub(crate) upgrades: Vec<Upgrade>,
    pub(crate) skew: Duration,
    pub(crate) paused_until: Option<Instant>,
    pub(crate) exporter_down: bool,
    timers: Vec<(TimerId, u64)>,
}

/// A network in virtual time.
///
/// The same specification, schedule and start give the same history, byte for byte, with any
/// number of threads and in any build.
pub struct Simulation {
    pub(crate) spec: Arc<NetworkSpec>,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) queue: Queue,
    pub(crate) network: Network,
    pub(crate) planned: Vec<Planned>,
    pub(crate) upgrade: Option<Upgrading>,
    events: Vec<NetworkEvent>,
    memory: Memory,
    scraper: Scraper,
    invariants: Option<Invariants>,
    schedule_trace: Trace,
    crypto_trace: Trace,
    handled: u64,
    messages: u64,
    lost: u64,
    actions: Vec<Action>,
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("network", &self.spec.network)
            .field("now", &self.now)
            .field("events", &self.handled)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Starts a network at `start`, with what is going to be done to it.
    ///
    /// # Errors
    /// When the specification or an action is impossible, or no thread can be started.
    pub fn new(
        spec: NetworkSpec,
        schedule: Vec<ScheduledAction>,
        start: Instant,
        options: Options,
    ) -> Result<Self, SimulationError> {
        spec.check().map_err(SimulationError::Spec)?;
        let infos = spec.nodes();
        let memory = Memory::new(&spec, options.threads)
            .map_err(|error| SimulationError::Worker(error.to_string()))?;
        let mut simulation = Self {
            start,
            now: start,
            queue: Queue::default(),
            network: Network::new(&spec),
            planned: Vec::new(),
            upgrade: None,
            events: Vec::new(),
            memory,
            scraper: Scraper::new(&infos),
            invariants: options.invariants.then(|| Invariants::new(infos.len())),
            schedule_trace: Trace::default(),
            crypto_trace: Trace::default(),
            handled: 0,
            messages: 0,
            lost: 0,
            actions: Vec::new(),
            nodes: infos.into_iter().map(|info| Node::new(info, spec.node_version)).collect(),
            spec: Arc::new(spec),
        };
        for scheduled in schedule {
            simulation.schedule(scheduled)?;
        }
        for index in 0..simulation.nodes.len() {
            simulation.boot(NodeId(index as u32))?;
        }
        let first_scrape = start + simulation.spec.scrape_interval;
        simulation.queue.push(first_scrape.unix_micros(), What::Scrape);
        Ok(simulation)
    }

    /// Adds an action; its time counts from the network's start and must not be past.
    ///
    /// # Errors
    /// When the action is impossible.
    pub fn schedule(&mut self, scheduled: ScheduledAction) -> Result<(), SimulationError> {
        let at = self.start + scheduled.at;
        if at < self.now {
            let problem = format!("starts at {at}, but it is {} already", self.now);
            return Err(SimulationError::Action { id: scheduled.id, problem });
        }
        let planned = self.plan(scheduled)?;
        self.planned.push(planned);
        self.queue.push(at.unix_micros(), What::Begin(self.planned.len() - 1));
        Ok(())
    }

    /// Does something to the network now.
    ///
    /// # Errors
    /// When the action is impossible.
    pub fn inject(
        &mut self,
        id: impl Into<String>,
        action: NetworkAction,
    ) -> Result<(), SimulationError> {
        self.schedule(ScheduledAction { id: id.into(), at: self.now - self.start, action })
    }

    /// Lets virtual time pass until `until`, inclusive.
    ///
    /// # Errors
    /// When an invariant is violated or a worker thread dies; the simulation is then over.
    pub fn run_until(&mut self, until: Instant) -> Result<(), SimulationError> {
        while let Some(item) = self.queue.pop(until.unix_micros()) {
            self.now = Instant::from_unix_micros(item.at_micros);
            self.step(item)?;
        }
        self.now = self.now.max(until);
        match self.memory.settle() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let detail = "a signature that was made is not valid".to_owned();
                Err(self.violation(("signatures verify", detail)))
            }
            Err(_) => Err(worker_died()),
        }
    }

    /// The present virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The metrics that were scraped so far.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.scraper.store
    }

    /// What happened so far, in order.
    #[must_use]
    pub fn events(&self) -> &[NetworkEvent] {
        &self.events
    }

    /// The network's specification.
    #[must_use]
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Gives the metrics and the events away and ends the simulation.
    #[must_use]
    pub fn into_parts(self) -> (Store, Vec<NetworkEvent>) {
        (self.scraper.store, self.events)
    }

    /// What was done so far. The counts of signatures are complete after [`Simulation::run_until`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counted = self.memory.counted();
        let crypto = self.memory.counting();
        let digests: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|node| node.machine.as_ref())
            .map(|machine| machine.state_digest())
            .collect();
        Stats {
            events: self.handled,
            messages: self.messages,
            messages_lost: self.lost,
            signatures: crypto.signatures.load(Ordering::Relaxed),
            verifications: crypto.verifications.load(Ordering::Relaxed),
            verifications_remembered: counted.verifications_remembered,
            executions: counted.executions,
            executions_remembered: counted.executions_remembered,
            trace_digest: TraceDigest {
                schedule: self.schedule_trace.digest(&[]),
                crypto: self.crypto_trace.digest(&digests),
            },
        }
    }

    /// How each node is.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.iter().map(Node::status).collect()
    }

    pub(crate) fn infos(&self) -> Vec<NodeInfo> {
        self.nodes.iter().map(|node| node.info.clone()).collect()
    }

    fn step(&mut self, item: Item) -> Result<(), SimulationError> {
        let Item { what, sequence, .. } = item;
        let node = match &what {
            What::Deliver { to, .. } => *to,
            What::Timer { node, .. } | What::Job { node, .. } | What::Persisted { node, .. } => {
                *node
            }
            What::Begin(index) => return self.begin(*index),
            What::End(index) => return self.end(*index),
            What::Replace { action, node } => return self.replace(*action, *node),
            What::Scrape => return self.scrape(),
        };
        let held = &mut self.nodes[node.index()];
        if let Some(until) = held.paused_until {
            if self.now < until {
                let again = self.queue.push(until.unix_micros(), what);
                held.move_timer(sequence, again);
                return Ok(());
            }
            held.paused_until = None;
        }
        let incarnation = held.incarnation;
        let event = match what {
            What::Deliver { from, message, .. } => Event::Message(from, message),
            What::Timer { incarnation: life, id, .. } => {
                if life != incarnation || !held.take_timer(id, sequence) {
                    return Ok(());
                }
                Event::Timer(id)
            }
            What::Job { incarnation: life, id, cell, .. } => {
                let output = self.memory.finish(&cell).map_err(|_| worker_died())?;
                if life != incarnation {
                    return Ok(());
                }
                self.trace_output(&output);
                Event::JobDone(id, output)
            }
            What::Persisted { incarnation: life, id, record, .. } => {
                if life != incarnation {
                    return Ok(());
                }
                held.durable.apply(record);
                Event::Persisted(id)
            }
            _ => return Ok(()),
        };
        self.handle(node, event)
    }

    /// Lets a node handle an event and does what it wants done.
    fn handle(&mut self, node: NodeId, event: Event) -> Result<(), SimulationError> {
        let held = &mut self.nodes[node.index()];
        let Some(machine) = &mut held.machine else { return Ok(()) };
        self.handled += 1;
        let moves_chain = moves_chain(node, &event);
        trace_event(&mut self.schedule_trace, self.now, node, &event);
        let cx = Cx { now: self.now + held.skew, compute: &self.memory };
        let mut actions = std::mem::take(&mut self.actions);
        machine.handle(&cx, event, &mut actions);
        if moves_chain && let Some(invariants) = &mut self.invariants {
            let facts = machine.facts();
            let checked = invariants.check(node, &facts);
            if node == NodeId::L1 {
                self.crypto_trace.bytes(&facts.tips.pending.digest.0[..8]);
            }
            checked.map_err(|violation| self.violation(violation))?;
            if let Some(root) = self.memory.unconserved() {
                return Err(self.violation(("balances are conserved", format!("state {root}"))));
            }
        }
        for action in actions.drain(..) {
            self.act(node, action)?;
        }
        self.actions = actions;
        Ok(())
    }

    fn act(&mut self, node: NodeId, action: Action) -> Result<(), SimulationError> {
        let incarnation = self.nodes[node.index()].incarnation;
        match action {
            Action::Send(to, message) => {
                if let (Message::Attestation(vote), Some(laws)) = (&*message, &mut self.invariants)
                {
                    laws.vote(vote).map_err(|violation| self.violation(violation))?;
                }
                self.send(node, to, message);
            }
            Action::Multicast(receivers, message) => {
                for to in receivers.iter().filter(|to| **to != node) {
                    self.send(node, *to, Arc::clone(&message));
                }
            }
            Action::SetTimer(id, at) => {
                let at = (at - self.nodes[node.index()].skew).max(self.now);
                let what = What::Timer { node, incarnation, id };
                let sequence = self.queue.push(at.unix_micros(), what);
                self.nodes[node.index()].set_timer(id, sequence);
            }
            Action::CancelTimer(id) => {
                self.nodes[node.index()].timers.retain(|(set, _)| *set != id);
            }
            Action::Job(id, job, length) => {
                let cell = self.memory.start(job);
                let at = (self.now + length).unix_micros();
                self.queue.push(at, What::Job { node, incarnation, id, cell });
            }
            Action::Persist(id, record) => {
                let at = (self.now + WRITE).unix_micros();
                self.queue.push(at, What::Persisted { node, incarnation, id, record });
            }
            Action::Observe(seen) => self.observe(node, seen)?,
        }
        Ok(())
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Arc<Message>) {
        if to.index() >= self.nodes.len() {
            return;
        }
        self.messages += 1;
        match self.network.fate(from, to) {
            Some(delay) => {
                let at = self.now.unix_micros() + delay;
                self.queue.push(at, What::Deliver { to, from, message });
            }
            None => self.lost += 1,
        }
    }

    fn observe(&mut self, node: NodeId, seen: Observation) -> Result<(), SimulationError> {
        if let Some(invariants) = &mut self.invariants {
            invariants.observe(&seen).map_err(|violation| self.violation(violation))?;
        }
        let height = seen.attributes.get("height").cloned();
        let (at, name) = (self.now, seen.name.to_owned());
        let node_name = Some(self.nodes[node.index()].info.name.clone());
        self.events.push(NetworkEvent { at, name, node: node_name, attributes: seen.attributes });
        self.follow_upgrade(node, seen.name, height);
        Ok(())
    }

    /// Writes an event that the host itself observed.
    pub(crate) fn record<const N: usize>(
        &mut self,
        name: &'static str,
        node: Option<NodeId>,
        attributes: [(&str, String); N],
    ) {
        let seen = Observation::new(name, attributes);
        let node = node.map(|id| self.nodes[id.index()].info.name.clone());
        let (at, name) = (self.now, seen.name.to_owned());
        self.events.push(NetworkEvent { at, name, node, attributes: seen.attributes });
    }

    /// Tells a node something.
    pub(crate) fn command(
        &mut self,
        node: NodeId,
        command: Command,
    ) -> Result<(), SimulationError> {
        self.handle(node, Event::Command(command))
    }

    /// Kills a node; `true` when it lived. What it had not persisted is lost.
    pub(crate) fn kill(&mut self, node: NodeId) -> bool {
        let held = &mut self.nodes[node.index()];
        held.incarnation += 1;
        held.timers.clear();
        held.paused_until = None;
        held.machine.take().is_some()
    }

    /// Starts a dead node from what it persisted; a live one stays as it is.
    pub(crate) fn boot(&mut self, node: NodeId) -> Result<(), SimulationError> {
        let held = &mut self.nodes[node.index()];
        if held.machine.is_some() {
            return Ok(());
        }
        let config = NodeConfig {
            spec: Arc::clone(&self.spec),
            id: node,
            genesis: self.start,
            version: held.version,
            upgrades: held.upgrades.clone(),
            started: self.now,
        };
        let machine =
            devnet::build(config).map_err(|error| SimulationError::Worker(error.to_string()))?;
        held.machine = Some(machine);
        held.starts += 1;
        let durable = held.durable.clone();
        self.handle(node, Event::Boot(durable))
    }

    fn scrape(&mut self) -> Result<(), SimulationError> {
        for (index, node) in self.nodes.iter().enumerate() {
            let frozen = node.paused_until.is_some_and(|until| self.now < until);
            let answer = match &node.machine {
                _ if node.exporter_down => Answer::Vanished,
                Some(machine) if !frozen => Answer::Up(&**machine),
                _ => Answer::Down,
            };
            self.scraper.scrape(index, self.now, &answer)?;
        }
        let next = self.now + self.spec.scrape_interval;
        self.queue.push(next.unix_micros(), What::Scrape);
        Ok(())
    }

    fn trace_output(&mut self, output: &JobOutput) {
        match output {
            JobOutput::Attested(Ok(signature)) => self.crypto_trace.bytes(&signature.0[..16]),
            JobOutput::Signed(transactions) => {
                for transaction in transactions {
                    self.crypto_trace.bytes(&transaction.signature.0[..16]);
                }
            }
            JobOutput::Proven(Ok(bytes)) => self.crypto_trace.bytes(bytes),
            JobOutput::Verified(valid) => self.crypto_trace.word(valid.len() as u64),
            JobOutput::Attested(Err(_)) | JobOutput::Proven(Err(_)) => self.crypto_trace.word(0),
        }
    }

    fn violation(&self, (invariant, detail): Violation) -> SimulationError {
        SimulationError::Invariant {
            invariant,
            seed: self.spec.seed,
            at: self.now,
            after: self.now - self.start,
            events: self.handled,
            detail,
        }
    }
}

fn worker_died() -> SimulationError {
    SimulationError::Worker("it ended before its work was done".into())
}

/// Whether a node's view of the chain may change with this event.
fn moves_chain(node: NodeId, event: &Event) -> bool {
    match event {
        Event::Message(_, message) => {
            matches!(**message, Message::L1Update(_) | Message::SyncResponse(_))
        }
        Event::Timer(_) | Event::Command(_) => node == NodeId::L1,
        _ => false,
    }
}

fn trace_event(trace: &mut Trace, now: Instant, node: NodeId, event: &Event) {
    let (kind, shape) = match event {
        Event::Boot(durable) => (100, durable.voted.unwrap_or(0)),
        Event::Timer(id) => (101, id.0),
        Event::Message(from, message) => {
            (u64::from(message.tag()) << 32 | u64::from(from.0), message.shape())
        }
        Event::JobDone(id, _) => (102, id.0),
        Event::Persisted(id) => (103, id.0),
        Event::Command(_) => (104, 0),
    };
    trace.word(now.unix_micros() as u64);
    trace.word(kind << 20 ^ u64::from(node.0));
    trace.word(shape);
}

impl Node {
    fn new(info: NodeInfo, version: u32) -> Self {
        Self {
            info,
            machine: None,
            incarnation: 0,
            starts: 0,
            durable: Durable::default(),
            version,
            upgrades: Vec::new(),
            skew: Duration::ZERO,
            paused_until: None,
            exporter_down: false,
            timers: Vec::new(),
        }
    }

    fn set_timer(&mut self, id: TimerId, sequence: u64) {
        match self.timers.iter_mut().find(|(set, _)| *set == id) {
            Some((_, held)) => *held = sequence,
            None => self.timers.push((id, sequence)),
        }
    }

    /// Whether this is the timer's newest setting; takes it then.
    fn take_timer(&mut self, id: TimerId, sequence: u64) -> bool {
        let found = self.timers.iter().position(|timer| *timer == (id, sequence));
        found.map(|index| self.timers.swap_remove(index)).is_some()
    }

    fn move_timer(&mut self, from: u64, to: u64) {
        if let Some((_, held)) = self.timers.iter_mut().find(|(_, held)| *held == from) {
            *held = to;
        }
    }

    fn status(&self) -> NodeStatus {
        let facts = self.machine.as_ref().map(|machine| machine.facts()).unwrap_or_default();
        NodeStatus {
            name: self.info.name.clone(),
            alive: self.machine.is_some(),
            version: self.version,
            starts: self.starts,
            pending_height: facts.tips.pending.height,
            finalized_height: facts.tips.finalized.height,
            synced: facts.synced,
        }
    }
}
