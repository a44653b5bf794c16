//! Networks in memory: they live on when a program ends, and break when they are told to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base::{DeploymentId, Duration, Instant, Subject};
use deployment::{
    Capabilities, DeploymentSpec, DeploymentState, Driver, DriverError, Observation, Plan,
    Progress, RpcAnswer, Status,
};
use devnet::ScheduledAction;
use evidence::SubjectInterval;
use samples::{Labels, Store};

const SCRAPE_INTERVAL: Duration = Duration::from_minutes(30);

/// All networks, and what is wrong with them.
#[derive(Default)]
pub struct Networks {
    pub now: Instant,
    pub up: BTreeMap<String, DeploymentSpec>,
    /// What was done, in order: `up` and `down` with the deployment.
    pub log: Vec<String>,
    /// From when to when the nodes of a deployment are down.
    pub broken: BTreeMap<String, (Instant, Instant)>,
    /// Deployments that the machine does not let come up.
    pub refused: Vec<String>,
    /// Whether the networks run as processes, and not simulated.
    pub is_real: bool,
    /// Before or right after this operation, counted from 0, the program dies.
    pub dies: Option<(usize, bool)>,
    operations: usize,
}

impl Networks {
    /// Breaks `id` for two hours from `from` on.
    pub fn break_at(&mut self, id: &str, from: Instant) {
        self.broken.insert(id.to_owned(), (from, from + Duration::from_hours(2)));
    }

    fn operate(&mut self, what: &str, id: &DeploymentId, act: impl FnOnce(&mut Self)) -> Died {
        let dies = self.dies.filter(|(at, _)| *at == self.operations);
        self.operations += 1;
        let died = || DriverError::Supervisor { id: id.clone(), reason: "it died".to_owned() };
        if let Some((_, false)) = dies {
            return Err(died());
        }
        act(self);
        self.log.push(format!("{what} {id}"));
        if dies.is_some() { Err(died()) } else { Ok(()) }
    }
}

type Died = Result<(), DriverError>;

/// A driver over shared networks; like real processes, nothing brings back one that is gone.
pub struct Fake(pub Rc<RefCell<Networks>>);

impl Fake {
    fn spec(&self, id: &DeploymentId) -> Result<DeploymentSpec, DriverError> {
        let known = self.0.borrow().up.get(id.as_str()).cloned();
        known.ok_or_else(|| DriverError::Unknown { driver: "fake", id: id.clone() })
    }

    fn status_of(&self, spec: &DeploymentSpec) -> Status {
        Status {
            deployment: spec.id.clone(),
            driver: "fake".to_owned(),
            host: self.host().to_owned(),
            state: DeploymentState::Running,
            started: Some(spec.start),
            now: self.0.borrow().now,
            nodes: Vec::new(),
            directory: None,
        }
    }
}

impl Driver for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn host(&self) -> &'static str {
        if self.0.borrow().is_real { "process" } else { "simulated" }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { actions: Vec::new(), virtual_time: true, survives: true }
    }

    fn subject(&self, spec: &DeploymentSpec, node_version: u32) -> Result<Subject, DriverError> {
        Ok(deployment::subject(spec, node_version)?)
    }

    fn plan(&self, spec: &DeploymentSpec) -> Result<Plan, DriverError> {
        Ok(Plan {
            deployment: spec.id.clone(),
            driver: "fake",
            host: "simulated",
            nodes: BTreeMap::new(),
            steps: Vec::new(),
            schedule: Vec::new(),
        })
    }

    fn up(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        let mut networks = self.0.borrow_mut();
        if networks.up.contains_key(spec.id.as_str()) {
            return Err(DriverError::Exists(spec.id.clone()));
        }
        if networks.refused.iter().any(|id| *id == spec.id.as_str()) {
            let reason = "no memory is left".to_owned();
            return Err(DriverError::Infra { id: spec.id.clone(), reason, attempts: 3 });
        }
        networks.operate("up", &spec.id, |networks| {
            networks.up.insert(spec.id.to_string(), spec.clone());
        })
    }

    fn restore(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        self.spec(&spec.id).map(|_| ())
    }

    fn advance(&mut self, _: Instant, _: &mut dyn FnMut(Progress)) -> Result<(), DriverError> {
        Ok(())
    }

    fn status(&self, id: &DeploymentId) -> Result<Status, DriverError> {
        Ok(self.status_of(&self.spec(id)?))
    }

    fn observe(&self, id: &DeploymentId) -> Result<Observation, DriverError> {
        let spec = self.spec(id)?;
        let networks = self.0.borrow();
        let (broken_from, broken_until) =
            networks.broken.get(id.as_str()).copied().unwrap_or_default();
        let mut samples = Store::new();
        for node in 0..spec.network.validators {
            let name = format!("validator-{node}");
            let labels = [("instance", name.as_str()), ("role", "validator")];
            let target = samples.add_target(vec![Labels::metric("up", &labels)]);
            let mut now = spec.start;
            while now <= networks.now {
                let is_down = broken_from <= now && now < broken_until;
                let value = if is_down { 0.0 } else { 1.0 };
                samples.append(target, now.unix_millis(), &[value]).unwrap();
                now += SCRAPE_INTERVAL;
            }
        }
        let subject = deployment::subject(&spec, spec.network.node_version)?;
        Ok(Observation {
            samples: Arc::new(samples),
            events: Vec::new(),
            intervals: vec![SubjectInterval { from: spec.start, subject }],
            started: spec.start,
            ended: None,
            observed_until: networks.now,
            scrape_interval: SCRAPE_INTERVAL,
            host: if networks.is_real { "process" } else { "simulated" },
            crypto: "keyed-hash",
            stats: BTreeMap::new(),
            digests: BTreeMap::new(),
        })
    }

    fn rpc(&self, id: &DeploymentId, _: &str, _: &str) -> Result<Vec<RpcAnswer>, DriverError> {
        self.spec(id).map(|_| Vec::new())
    }

    fn inject(&mut self, id: &DeploymentId, _: &ScheduledAction) -> Result<(), DriverError> {
        self.spec(id).map(|_| ())
    }

    fn logs(&self, id: &DeploymentId, _: Option<&str>, _: usize) -> Result<String, DriverError> {
        self.spec(id).map(|_| String::new())
    }

    fn down(&mut self, id: &DeploymentId) -> Result<(), DriverError> {
        let mut networks = self.0.borrow_mut();
        if !networks.up.contains_key(id.as_str()) {
            return Ok(());
        }
        networks.operate("down", id, |networks| {
            networks.up.remove(id.as_str());
        })
    }

    fn list(&self) -> Result<Vec<Status>, DriverError> {
        let specs: Vec<DeploymentSpec> = self.0.borrow().up.values().cloned().collect();
        Ok(specs.iter().map(|spec| self.status_of(spec)).collect())
    }
}
