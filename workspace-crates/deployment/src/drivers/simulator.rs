use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use base::{DeploymentId, Duration, Instant, Subject};
use devnet::{NodeInfo, ScheduledAction};
use devnet_host::rpc;
use serde_json::{Value, json};
use simulator::{Options, Simulation};

use crate::actions::{ALL_KINDS, evidence_event, plan_schedule, refusal};
use crate::{
    Capabilities, DeploymentSpec, DeploymentState, Driver, DriverError, NodeState, NodeStatus,
    Observation, Plan, Progress, RpcAnswer, Status, intervals, subject,
};

const NAME: &str = "simulator";
const HOST: &str = "simulated";
/// Threads that run deployments or, within one, sign and verify.
const THREADS: usize = 2;
/// How much virtual time passes between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_hours(1);

/// Runs networks in virtual time, in this program.
///
/// The same specification gives the same observations, byte for byte.
#[derive(Debug, Default)]
pub struct SimulatorDriver {
    deployments: BTreeMap<DeploymentId, Simulated>,
}

#[derive(Debug)]
struct Simulated {
    spec: DeploymentSpec,
    nodes: Vec<NodeInfo>,
    simulation: Simulation,
    /// Why it is over, once it is.
    broken: Option<String>,
    /// The samples as they were handed out last, with their number of scrapes.
    handed_out: RefCell<Option<(u64, Arc<samples::Store>)>>,
}

impl SimulatorDriver {
    /// A driver without deployments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn get(&self, id: &DeploymentId) -> Result<&Simulated, DriverError> {
        self.deployments
            .get(id)
            .ok_or_else(|| DriverError::Unknown { driver: NAME, id: id.clone() })
    }
}

fn simulate(spec: &DeploymentSpec) -> Result<Simulation, DriverError> {
    let options = Options { threads: THREADS, ..Options::default() };
    Simulation::new(spec.network.clone(), spec.schedule.clone(), spec.start, options)
        .map_err(|source| refusal(&spec.id, source))
}

impl Driver for SimulatorDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn host(&self) -> &'static str {
        HOST
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { actions: ALL_KINDS.to_vec(), virtual_time: true, survives: false }
    }

    fn subject(&self, spec: &DeploymentSpec, node_version: u32) -> Result<Subject, DriverError> {
        Ok(subject(spec, node_version)?)
    }

    fn plan(&self, spec: &DeploymentSpec) -> Result<Plan, DriverError> {
        let (nodes, schedule) = plan_schedule(spec, &self.capabilities(), NAME)?;
        Ok(Plan {
            deployment: spec.id.clone(),
            driver: NAME,
            host: HOST,
            nodes,
            steps: vec![format!(
                "Run {} nodes in virtual time from {}, in this program.",
                spec.network.node_count(),
                spec.start
            )],
            schedule,
        })
    }

    fn up(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        if self.deployments.contains_key(&spec.id) {
            return Err(DriverError::Exists(spec.id.clone()));
        }
        self.plan(spec)?;
        let simulated = Simulated {
            spec: spec.clone(),
            nodes: spec.network.nodes(),
            simulation: simulate(spec)?,
            broken: None,
            handed_out: RefCell::new(None),
        };
        self.deployments.insert(spec.id.clone(), simulated);
        Ok(())
    }

    fn restore(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        self.up(spec)
    }

    fn advance(
        &mut self,
        until: Instant,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DriverError> {
        let live = self.deployments.values_mut().filter(|each| each.lags(until));
        run_all(live.collect(), until, progress)
    }

    fn status(&self, id: &DeploymentId) -> Result<Status, DriverError> {
        Ok(self.get(id)?.status())
    }

    fn observe(&self, id: &DeploymentId) -> Result<Observation, DriverError> {
        self.get(id)?.observe()
    }

    fn rpc(
        &self,
        id: &DeploymentId,
        role: &str,
        method: &str,
    ) -> Result<Vec<RpcAnswer>, DriverError> {
        let simulated = self.get(id)?;
        let asked: Vec<_> = simulated.statuses().into_iter().filter(|n| n.role == role).collect();
        if asked.is_empty() {
            return Err(DriverError::UnknownNode { id: id.clone(), name: role.to_owned() });
        }
        let now = simulated.simulation.now();
        let answer =
            |node: NodeStatus| RpcAnswer { answer: answer(&node, method, now), node: node.name };
        Ok(asked.into_iter().map(answer).collect())
    }

    fn inject(&mut self, id: &DeploymentId, action: &ScheduledAction) -> Result<(), DriverError> {
        let simulated = self
            .deployments
            .get_mut(id)
            .ok_or_else(|| DriverError::Unknown { driver: NAME, id: id.clone() })?;
        let simulation = &mut simulated.simulation;
        let at = action.at.max(simulation.now() - simulated.spec.start);
        simulation
            .schedule(ScheduledAction { at, ..action.clone() })
            .map_err(|source| refusal(id, source))
    }

    fn logs(
        &self,
        id: &DeploymentId,
        node: Option<&str>,
        lines: usize,
    ) -> Result<String, DriverError> {
        let simulated = self.get(id)?;
        if let Some(name) = node.filter(|name| simulated.nodes.iter().all(|n| n.name != *name)) {
            return Err(DriverError::UnknownNode { id: id.clone(), name: name.to_owned() });
        }
        let events = simulated.simulation.events().iter();
        let wanted: Vec<_> =
            events.filter(|event| node.is_none() || event.node.as_deref() == node).collect();
        let last = wanted.len().saturating_sub(lines);
        let line = |event: &&devnet::NetworkEvent| {
            let node = event.node.as_deref().unwrap_or("-");
            let attributes: Vec<_> =
                event.attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            format!("{} {node} {}{}\n", event.at, event.name, attributes.concat())
        };
        Ok(wanted[last..].iter().map(line).collect())
    }

    fn down(&mut self, id: &DeploymentId) -> Result<(), DriverError> {
        self.deployments.remove(id);
        Ok(())
    }

    fn list(&self) -> Result<Vec<Status>, DriverError> {
        Ok(self.deployments.values().map(Simulated::status).collect())
    }
}

impl Simulated {
    fn lags(&self, until: Instant) -> bool {
        self.broken.is_none() && self.simulation.now() < until
    }

    /// Runs until `until` and reports now and then.
    fn run(&mut self, until: Instant, report: &dyn Fn(Progress)) -> Result<(), DriverError> {
        while self.simulation.now() < until {
            let next = until.min(self.simulation.now() + REPORT_EVERY);
            if let Err(source) = self.simulation.run_until(next) {
                self.broken = Some(source.to_string());
                return Err(DriverError::Simulation { id: self.spec.id.clone(), source });
            }
            report(Progress { deployment: self.spec.id.clone(), at: next, until });
        }
        Ok(())
    }

    fn statuses(&self) -> Vec<NodeStatus> {
        let status = |(info, node): (&NodeInfo, simulator::NodeStatus)| NodeStatus {
            state: if node.alive { NodeState::Up } else { NodeState::Stopped },
            name: node.name,
            role: info.role.as_str().to_owned(),
            version: node.version,
            starts: node.starts,
            pending_height: Some(node.pending_height),
            finalized_height: Some(node.finalized_height),
            synced: Some(node.alive && node.synced),
            pid: None,
            endpoint: None,
        };
        self.nodes.iter().zip(self.simulation.nodes()).map(status).collect()
    }

    fn status(&self) -> Status {
        let state = match &self.broken {
            Some(reason) => DeploymentState::Failed { reason: reason.clone() },
            None => DeploymentState::Running,
        };
        Status {
            deployment: self.spec.id.clone(),
            driver: NAME.to_owned(),
            host: HOST.to_owned(),
            state,
            started: Some(self.spec.start),
            now: self.simulation.now(),
            nodes: self.statuses(),
            directory: None,
        }
    }

    fn observe(&self) -> Result<Observation, DriverError> {
        let events: Vec<_> = self.simulation.events().iter().cloned().map(evidence_event).collect();
        let stats = self.simulation.stats();
        let counted = [
            ("events", stats.events),
            ("messages", stats.messages),
            ("messages_lost", stats.messages_lost),
            ("signatures", stats.signatures),
            ("verifications", stats.verifications),
            ("verifications_remembered", stats.verifications_remembered),
            ("executions", stats.executions),
            ("executions_remembered", stats.executions_remembered),
        ];
        let digests = [
            ("trace", stats.trace_digest.whole()),
            ("trace_schedule", stats.trace_digest.schedule),
            ("trace_crypto", stats.trace_digest.crypto),
        ];
        let now = self.simulation.now();
        Ok(Observation {
            samples: self.samples(),
            intervals: intervals(&self.spec, None, self.spec.start, &events)?,
            events,
            started: self.spec.start,
            ended: self.broken.is_some().then_some(now),
            observed_until: now,
            scrape_interval: self.spec.network.scrape_interval,
            host: HOST,
            crypto: self.spec.network.crypto.as_str(),
            stats: counted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            digests: digests.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        })
    }

    /// The store is copied once after it has grown, however often it is asked for.
    fn samples(&self) -> Arc<samples::Store> {
        let store = self.simulation.store();
        let scrapes = store.scrape_count();
        let mut handed_out = self.handed_out.borrow_mut();
        match &*handed_out {
            Some((count, copy)) if *count == scrapes => Arc::clone(copy),
            _ => {
                let copy = Arc::new(store.clone());
                *handed_out = Some((scrapes, Arc::clone(&copy)));
                copy
            }
        }
    }
}

fn answer(node: &NodeStatus, method: &str, now: Instant) -> Result<Value, String> {
    if node.state != NodeState::Up {
        return Err(format!("{} does not answer: it does not run", node.name));
    }
    let height = |height: Option<u64>| json!({ "height": height });
    match method {
        "devnet_health" => Ok(rpc::health(node.synced == Some(true))),
        "devnet_tips" => Ok(json!({
            "pending": height(node.pending_height),
            "finalized": height(node.finalized_height),
        })),
        "devnet_status" => Ok(json!({
            "node": node.name,
            "role": node.role,
            "version": node.version,
            "pending_height": node.pending_height,
            "finalized_height": node.finalized_height,
            "synced": node.synced,
            "now": now,
        })),
        other => Err(format!("simulated nodes have no method `{other}`")),
    }
}

/// Runs the deployments on a few threads. Each is independent of the others, so the order in which
/// they run changes nothing.
fn run_all(
    mut deployments: Vec<&mut Simulated>,
    until: Instant,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DriverError> {
    if let [only] = deployments.as_mut_slice() {
        let progress = RefCell::new(progress);
        return only.run(until, &|report| (*progress.borrow_mut())(report));
    }
    let queue = std::sync::Mutex::new(deployments.into_iter());
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                let sender = sender.clone();
                let queue = &queue;
                scope.spawn(move || work(queue, until, &sender))
            })
            .collect();
        drop(sender);
        for report in receiver {
            progress(report);
        }
        let results = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.collect::<Result<Vec<()>, _>>().map(|_| ())
    })
}

fn work(
    queue: &std::sync::Mutex<std::vec::IntoIter<&mut Simulated>>,
    until: Instant,
    reports: &mpsc::Sender<Progress>,
) -> Result<(), DriverError> {
    loop {
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let Some(simulated) = next else { return Ok(()) };
        simulated.run(until, &|report| {
            // Nobody listening is no reason to stop.
            let _ = reports.send(report);
        })?;
    }
}
