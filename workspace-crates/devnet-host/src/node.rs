use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Instant;
use devnet::{
    Action, Cx, Direct, Durable, Event, Job, JobId, JobOutput, Machine, Message, MetricKind,
    NetworkEvent, NodeConfig, NodeId, NodeInfo, Observation, PersistId, Record, TimerId, encode,
};

use crate::clock::HostClock;
use crate::error::io_error;
use crate::frame::frame;
use crate::http::{Call, Request, Response};
use crate::injection::{Fate, Faults};
use crate::page::{HostMetric, exposition};
use crate::peers::{Inbound, Peers};
use crate::rpc::{self, Procedure};
use crate::timers::Timers;
use crate::{HostError, Journal};

/// A state file longer than this is rewritten with what still counts.
const JOURNAL_BYTES_MAX: u64 = 1_024 * 1_024;

/// What a node is made of when it starts.
pub(crate) struct Parts {
    pub(crate) info: NodeInfo,
    pub(crate) config: NodeConfig,
    pub(crate) machine: Box<dyn Machine>,
    pub(crate) clock: HostClock,
    pub(crate) journal: Journal,
    pub(crate) durable: Durable,
    pub(crate) events: File,
    pub(crate) events_path: PathBuf,
    pub(crate) peers: Peers,
}

/// A node: its program, and what the program's actions act on.
pub(crate) struct Node {
    parts: Parts,
    compute: Direct,
    faults: Faults,
    /// On the node's own clock, which may be wrong.
    timers: Timers<TimerId>,
    /// Finished proofs that wait for the time that proving is modelled to take.
    jobs: Timers<(JobId, JobOutput)>,
    /// Messages that a fault holds back.
    held: Timers<(NodeId, Arc<Message>)>,
    queue: VecDeque<Event>,
    unsynced: Vec<PersistId>,
}

impl Node {
    pub(crate) fn new(parts: Parts) -> Self {
        let compute = Direct::new(&parts.config.spec);
        let queue = VecDeque::from([Event::Boot(parts.durable.clone())]);
        Self {
            parts,
            compute,
            faults: Faults::default(),
            timers: Timers::default(),
            jobs: Timers::default(),
            held: Timers::default(),
            queue,
            unsynced: Vec::new(),
        }
    }

    fn own_now(&self) -> Instant {
        let now = self.parts.clock.now();
        now + self.faults.skew(now)
    }

    /// Handles everything that has happened, and everything that follows from it at once.
    pub(crate) fn settle(&mut self) -> Result<(), HostError> {
        self.queue_due();
        let mut actions = Vec::new();
        loop {
            while let Some(event) = self.queue.pop_front() {
                let cx = Cx { now: self.own_now(), compute: &self.compute };
                self.parts.machine.handle(&cx, event, &mut actions);
                for action in actions.drain(..) {
                    self.act(action)?;
                }
            }
            if self.unsynced.is_empty() {
                return Ok(());
            }
            // One flush for all records of this round.
            self.parts.journal.sync()?;
            self.queue.extend(self.unsynced.drain(..).map(Event::Persisted));
            if self.parts.journal.length() > JOURNAL_BYTES_MAX {
                self.parts.journal.replace(&records_of(&self.parts.durable))?;
            }
        }
    }

    fn queue_due(&mut self) {
        let now = self.parts.clock.now();
        let own_now = now + self.faults.skew(now);
        while let Some(timer) = self.timers.pop(own_now) {
            self.queue.push_back(Event::Timer(timer));
        }
        while let Some((job, output)) = self.jobs.pop(now) {
            self.queue.push_back(Event::JobDone(job, output));
        }
        while let Some((peer, message)) = self.held.pop(now) {
            self.queue.push_back(Event::Message(peer, message));
        }
    }

    /// When [`Node::settle`] has to be called again, if nothing else happens before.
    pub(crate) fn wake(&self) -> Option<tokio::time::Instant> {
        let now = self.parts.clock.now();
        let skew = self.faults.skew(now);
        let timer = self.timers.next().map(|own| own - skew);
        // When a skew ends, timers are due at other times.
        let others = [self.jobs.next(), self.held.next(), self.faults.skew_end(now)];
        let next = others.into_iter().chain([timer]).flatten().min()?;
        Some(self.parts.clock.deadline(next))
    }

    fn act(&mut self, action: Action) -> Result<(), HostError> {
        match action {
            Action::Send(peer, message) => self.send(&[peer], &message),
            Action::Multicast(peers, message) => {
                let me = self.parts.info.id;
                let others: Vec<_> = peers.iter().copied().filter(|peer| *peer != me).collect();
                self.send(&others, &message);
            }
            Action::SetTimer(timer, at) => {
                self.timers.cancel(|set| *set == timer);
                self.timers.set(at, timer);
            }
            Action::CancelTimer(timer) => self.timers.cancel(|set| *set == timer),
            Action::Job(id, job, length) => {
                let output = job.run(&self.compute);
                if matches!(job, Job::Prove { .. }) {
                    self.jobs.set(self.parts.clock.now() + length, (id, output));
                } else {
                    self.queue.push_back(Event::JobDone(id, output));
                }
            }
            Action::Persist(id, record) => {
                self.parts.journal.append(&encode(&record))?;
                self.parts.durable.apply(record);
                self.unsynced.push(id);
            }
            Action::Observe(observation) => self.observe(observation)?,
        }
        Ok(())
    }

    fn send(&mut self, peers: &[NodeId], message: &Arc<Message>) {
        let now = self.parts.clock.now();
        let mut encoded = None;
        for peer in peers {
            if *peer == self.parts.info.id {
                self.queue.push_back(Event::Message(*peer, Arc::clone(message)));
            } else if self.faults.lets_out(*peer, now) {
                self.parts.peers.send(*peer, encoded.get_or_insert_with(|| frame(message)));
            }
        }
    }

    fn observe(&mut self, observation: Observation) -> Result<(), HostError> {
        tracing::info!("{} {:?}", observation.name, observation.attributes);
        let event = NetworkEvent {
            at: self.parts.clock.now(),
            name: observation.name.to_owned(),
            node: Some(self.parts.info.name.clone()),
            attributes: observation.attributes,
        };
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        let failed = io_error("write to", &self.parts.events_path);
        self.parts.events.write_all(&line).map_err(failed)
    }

    pub(crate) fn take_inbound(&mut self, inbound: Inbound) {
        let Some((peer, message)) = self.parts.peers.take(inbound) else { return };
        let now = self.parts.clock.now();
        match self.faults.fate(peer, now) {
            Fate::Arrives => self.queue.push_back(Event::Message(peer, message)),
            Fate::Late(late) => self.held.set(now + late, (peer, message)),
            Fate::Lost => {}
        }
    }

    pub(crate) fn take_call(&mut self, call: Call) {
        let response = self.answer(&call.request);
        // A client that has gone away needs no answer.
        let _ = call.answer.send(response);
    }

    fn answer(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/metrics") => self.metrics(),
            ("GET", "/health") => Response::json(&rpc::health(self.parts.machine.facts().synced)),
            ("POST", "/") => self.call(request),
            (_, "/" | "/metrics" | "/health") => {
                Response::text(405, "GET /metrics, GET /health, or POST / with JSON-RPC\n")
            }
            _ => Response::text(404, "there are /metrics, /health, and JSON-RPC by POST to /\n"),
        }
    }

    fn call(&mut self, request: &Request) -> Response {
        let (procedure, id) = match rpc::read(request) {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let facts = self.parts.machine.facts();
        let result = match procedure {
            Procedure::Health => rpc::health(facts.synced),
            Procedure::Tips => rpc::tips(&facts.tips),
            Procedure::Status => {
                let version = self.parts.config.version;
                rpc::status(&self.parts.info, version, &facts, self.parts.clock.now())
            }
            Procedure::Inject(injection) => {
                tracing::warn!("a fault or command was injected: {injection:?}");
                let command = self.faults.add(injection);
                self.queue.extend(command.map(Event::Command));
                true.into()
            }
        };
        rpc::result(&id, result)
    }

    fn metrics(&self) -> Response {
        let now = self.parts.clock.now();
        if self.faults.is_silent(now) {
            return Response::text(503, "the exporter is down\n");
        }
        let mut values = Vec::new();
        self.parts.machine.metrics(self.own_now(), &mut values);
        let counters = self.parts.peers.counters();
        let metric = |name, kind, help, value: &std::sync::atomic::AtomicU64| HostMetric {
            name,
            kind,
            help,
            value: value.load(Ordering::Relaxed) as f64,
        };
        let host = [
            metric(
                "devnet_host_garbage_total",
                MetricKind::Counter,
                "Connections closed because a peer sent what no node of this network sends.",
                &counters.garbage,
            ),
            metric(
                "devnet_host_messages_dropped_total",
                MetricKind::Counter,
                "Messages dropped because a peer could not be reached or did not keep up.",
                &counters.dropped,
            ),
            metric(
                "devnet_host_connections",
                MetricKind::Gauge,
                "Open connections to peers.",
                &counters.open,
            ),
        ];
        let body = exposition(&self.parts.info, &values, &host).into_bytes();
        Response { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }
}

/// The fewest records that give `durable` again.
fn records_of(durable: &Durable) -> Vec<Vec<u8>> {
    let records = [
        durable.proposed.map(Record::Proposed),
        durable.voted.map(Record::Voted),
        durable.finalized.clone().map(Record::Finalized),
    ];
    records.into_iter().flatten().map(|record| encode(&record)).collect()
}

#[cfg(test)]
mod tests {
    use super::records_of;
    use devnet::{BlockRef, Durable, Record, Snapshot, State, decode};
    use std::sync::Arc;

    #[test]
    fn the_fewest_records_give_the_same_again() {
        let at = BlockRef { height: 9, ..BlockRef::default() };
        let finalized = Arc::new(Snapshot { at, state: Arc::new(State::genesis()) });
        let full = Durable { proposed: Some(3), voted: Some(7), finalized: Some(finalized) };
        for durable in [Durable::default(), full] {
            let mut again = Durable::default();
            for record in records_of(&durable) {
                again.apply(decode::<Record>(&record).unwrap());
            }
            assert_eq!(again, durable);
        }
    }
}
