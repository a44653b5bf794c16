use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use base::{DeploymentId, Digest, Instant, Subject};
use devnet::ScheduledAction;
use devnet_host::{HostConfig, NodeFiles};
use rustix::process::{Resource, Signal, getrlimit};
use samples::archive::ArchiveMark;
use samples::{Archive, ArchiveError};

use super::attach::{ask_all, ask_statuses, borrowed, nodes_of, now_of, state_of, tail};
use super::files::{Answer, DeploymentFiles, SpecFile, deployments, io, read_json, write_json};
use super::processes::{find, kill_all, node_arguments, signal, supervisor_arguments};
use super::start::{Supervision, start, supervision};
use super::watch::read_events;
use crate::actions::{ALL_KINDS, check_actions, evidence_event, plan_schedule};
use crate::{
    Capabilities, DeploymentSpec, DeploymentState, Driver, DriverError, Observation, Plan,
    Progress, RpcAnswer, Status, intervals, subject_of,
};

const NAME: &str = "process";
const HOST: &str = "process";
/// How often bringing a network up is tried before the machine is blamed.
const ATTEMPTS_MAX: u32 = 2;
/// How long a supervisor may take to end its nodes; then they are killed.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How long killed processes may take to vanish.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a supervisor may take to take a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Open files beyond one per node that a supervisor or a hub of the network needs.
const SPARE_FILES: u64 = 200;

/// Runs networks in real time, one process per node on loopback, under a supervisor that goes on
/// when this program ends.
#[derive(Debug)]
pub struct ProcessDriver {
    state: PathBuf,
    executable: PathBuf,
    binary: RefCell<Option<Digest>>,
    /// Supervisors that this program started: it has to take their ends in.
    children: RefCell<BTreeMap<DeploymentId, Child>>,
    /// When each deployment was observed last, with the samples as they were then.
    observed: RefCell<BTreeMap<DeploymentId, (ArchiveMark, Arc<samples::Store>)>>,
}

impl ProcessDriver {
    /// A driver that keeps its files under `state` and runs `executable` as supervisor and as every
    /// node; see [`super::hidden_command`] for how it is called.
    ///
    /// # Errors
    /// When the present directory is unknown and `state` is relative to it.
    pub fn new(state: &Path, executable: &Path) -> Result<Self, DriverError> {
        // Processes are found by these paths, so they have to be the same from everywhere.
        let state = std::path::absolute(state).map_err(io("find", state))?;
        let executable = std::path::absolute(executable).map_err(io("find", executable))?;
        Ok(Self {
            state,
            executable,
            binary: RefCell::default(),
            children: RefCell::default(),
            observed: RefCell::default(),
        })
    }

    /// Digest of the program that would run.
    fn binary(&self) -> Result<Digest, DriverError> {
        if let Some(known) = *self.binary.borrow() {
            return Ok(known);
        }
        let bytes = std::fs::read(&self.executable).map_err(io("read", &self.executable))?;
        let digest = Digest::of(&bytes);
        *self.binary.borrow_mut() = Some(digest);
        Ok(digest)
    }

    fn files(&self, id: &DeploymentId) -> DeploymentFiles {
        DeploymentFiles::of(&self.state, id)
    }

    /// The deployment's files and what was deployed; `None` inside when bringing it up was
    /// interrupted before that was written.
    fn open(&self, id: &DeploymentId) -> Result<(DeploymentFiles, Option<SpecFile>), DriverError> {
        let files = self.files(id);
        if !files.directory.is_dir() {
            return Err(DriverError::Unknown { driver: NAME, id: id.clone() });
        }
        self.reap(id);
        let spec = read_json(&files.spec())?;
        Ok((files, spec))
    }

    fn open_whole(&self, id: &DeploymentId) -> Result<(DeploymentFiles, SpecFile), DriverError> {
        let (files, spec) = self.open(id)?;
        let reason = "bringing it up was interrupted; take it down and deploy again".to_owned();
        let spec = spec.ok_or(DriverError::Unobserved { id: id.clone(), reason })?;
        Ok((files, spec))
    }

    /// Takes in that a supervisor of ours has ended, so that it does not linger as a zombie.
    fn reap(&self, id: &DeploymentId) {
        let mut children = self.children.borrow_mut();
        if children.get_mut(id).is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
            children.remove(id);
        }
    }

    fn status_of(&self, id: &DeploymentId, ask: bool) -> Result<Status, DriverError> {
        let (files, spec) = self.open(id)?;
        let supervision = supervision(&files)?;
        let config: Option<HostConfig> = read_json(&files.config())?;
        let mut nodes = match &spec {
            Some(spec) => nodes_of(spec, config.as_ref(), &supervision),
            None => Vec::new(),
        };
        if ask {
            ask_statuses(&mut nodes)?;
        }
        let started = match &supervision {
            Supervision::Never => None,
            _ => config.as_ref().map(|config| config.genesis),
        };
        Ok(Status {
            deployment: id.clone(),
            driver: NAME.to_owned(),
            host: HOST.to_owned(),
            state: state_of(&files, &supervision),
            started,
            now: now_of(config.as_ref()),
            nodes,
            directory: Some(files.directory),
        })
    }

    fn ids(&self) -> Result<Vec<DeploymentId>, DriverError> {
        let directory = deployments(&self.state);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("read", &directory)(error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<_> = names.filter_map(|name| DeploymentId::new(name).ok()).collect();
        ids.sort();
        Ok(ids)
    }

    fn check_limits(&self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        if !Path::new("/proc/self/stat").exists() {
            return Err(DriverError::Platform);
        }
        let needed = u64::from(spec.network.node_count()) + SPARE_FILES;
        match getrlimit(Resource::Nofile).current {
            Some(limit) if limit < needed => Err(DriverError::Infra {
                id: spec.id.clone(),
                reason: format!(
                    "a process may open {limit} files, but {needed} are needed; raise the limit with `ulimit -n {needed}`"
                ),
                attempts: 0,
            }),
            _ => Ok(()),
        }
    }

    fn request(&self, files: &DeploymentFiles, action: &ScheduledAction) -> Result<(), String> {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let name = format!("{nanos:020}-{}.json", std::process::id());
        let answer = files.answers().join(&name);
        write_json(&files.requests().join(&name), action).map_err(|error| error.to_string())?;
        let deadline = StdInstant::now() + REQUEST_TIMEOUT;
        while StdInstant::now() < deadline {
            if let Some(found) = read_json::<Answer>(&answer).map_err(|error| error.to_string())? {
                // What is left of it goes with the deployment.
                let _ = std::fs::remove_file(&answer);
                return found.problem.map_or(Ok(()), Err);
            }
            std::thread::sleep(POLL);
        }
        Err(format!("it took no request within {} s", REQUEST_TIMEOUT.as_secs()))
    }

    /// The samples on disk; read again only when there are others.
    fn samples(
        &self,
        id: &DeploymentId,
        files: &DeploymentFiles,
    ) -> Result<Arc<samples::Store>, DriverError> {
        let path = files.samples();
        let refuse = |source| DriverError::Samples { id: id.clone(), source };
        let mark = match Archive::mark(&path) {
            Err(ArchiveError::NotAnArchive(_)) => return Ok(Arc::default()),
            mark => mark.map_err(refuse)?,
        };
        let mut observed = self.observed.borrow_mut();
        match observed.get(id) {
            Some((known, store)) if *known == mark => Ok(Arc::clone(store)),
            _ => {
                let reader = Archive::read(&path).map_err(refuse)?;
                let store = Arc::new(reader.into_store().map_err(refuse)?);
                observed.insert(id.clone(), (mark, Arc::clone(&store)));
                Ok(store)
            }
        }
    }

    fn end_supervisor(&self, id: &DeploymentId, files: &DeploymentFiles) {
        let arguments = supervisor_arguments(&files.directory);
        let arguments = borrowed(&arguments);
        let deadline = StdInstant::now() + END_TIMEOUT;
        for process in find(&arguments) {
            signal(process, Signal::TERM);
        }
        loop {
            self.reap(id);
            if find(&arguments).is_empty() || StdInstant::now() >= deadline {
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends every process of the deployment, whoever started it.
    fn end_processes(&self, id: &DeploymentId, files: &DeploymentFiles) -> Result<(), DriverError> {
        self.end_supervisor(id, files);
        let supervisor = supervisor_arguments(&files.directory);
        let nodes = node_arguments(&files.config());
        let ours = || {
            self.reap(id);
            let mut found = find(&borrowed(&supervisor));
            found.extend(find(&borrowed(&nodes)));
            found
        };
        let left = kill_all(ours, KILL_TIMEOUT);
        self.reap(id);
        match left.first() {
            None => Ok(()),
            Some(process) => Err(DriverError::Supervisor {
                id: id.clone(),
                reason: format!(
                    "{} processes do not end, the first is {}; try again",
                    left.len(),
                    process.pid
                ),
            }),
        }
    }
}

impl Driver for ProcessDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn host(&self) -> &'static str {
        HOST
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { actions: ALL_KINDS.to_vec(), virtual_time: false, survives: true }
    }

    fn subject(&self, spec: &DeploymentSpec, node_version: u32) -> Result<Subject, DriverError> {
        Ok(subject_of(spec, Some(self.binary()?), node_version, crate::subject::FIRST_ROLLUP)?)
    }

    fn plan(&self, spec: &DeploymentSpec) -> Result<Plan, DriverError> {
        let (nodes, schedule) = plan_schedule(spec, &self.capabilities(), NAME)?;
        self.check_limits(spec)?;
        let directory = self.files(&spec.id).directory;
        Ok(Plan {
            deployment: spec.id.clone(),
            driver: NAME,
            host: HOST,
            nodes,
            steps: vec![
                format!("Create {}.", directory.display()),
                format!("Start a supervisor with {}.", self.executable.display()),
                format!(
                    "Start {} processes that listen on 127.0.0.1 only, on two free ports each.",
                    spec.network.node_count()
                ),
                "Wait until every node answers.".to_owned(),
                format!("Scrape every node every {}.", spec.network.scrape_interval),
            ],
            schedule,
        })
    }

    fn up(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        self.plan(spec)?;
        let binary = self.binary()?;
        let files = self.files(&spec.id);
        let parent = deployments(&self.state);
        std::fs::create_dir_all(&parent).map_err(io("create", &parent))?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS_MAX {
            std::fs::create_dir(&files.directory).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => DriverError::Exists(spec.id.clone()),
                _ => io("create", &files.directory)(error),
            })?;
            match start(&self.state, &files, spec, &self.executable, binary) {
                Ok(Ok(child)) => {
                    self.children.borrow_mut().insert(spec.id.clone(), child);
                    return Ok(());
                }
                Ok(Err(reason)) => {
                    self.down(&spec.id)?;
                    last = reason;
                }
                Err(error) => {
                    self.down(&spec.id)?;
                    return Err(error);
                }
            }
        }
        Err(DriverError::Infra { id: spec.id.clone(), reason: last, attempts: ATTEMPTS_MAX })
    }

    fn restore(&mut self, spec: &DeploymentSpec) -> Result<(), DriverError> {
        let status = self.status_of(&spec.id, false)?;
        match status.state {
            DeploymentState::Failed { reason } => {
                Err(DriverError::Unobserved { id: spec.id.clone(), reason })
            }
            _ => Ok(()),
        }
    }

    fn advance(
        &mut self,
        until: Instant,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DriverError> {
        for id in self.ids()? {
            let config: Option<HostConfig> = read_json(&self.files(&id).config())?;
            let at = now_of(config.as_ref()).min(until);
            progress(Progress { deployment: id, at, until });
        }
        Ok(())
    }

    fn status(&self, id: &DeploymentId) -> Result<Status, DriverError> {
        self.status_of(id, true)
    }

    fn observe(&self, id: &DeploymentId) -> Result<Observation, DriverError> {
        let (files, file) = self.open_whole(id)?;
        let unobserved =
            |reason: &str| DriverError::Unobserved { id: id.clone(), reason: reason.to_owned() };
        let config: HostConfig = read_json(&files.config())?
            .ok_or_else(|| unobserved("bringing it up was interrupted"))?;
        let supervision = supervision(&files)?;
        let (state, ended) = match supervision {
            Supervision::Never => return Err(unobserved("its supervisor never ran")),
            Supervision::Alive(state) => (state, false),
            Supervision::Gone(state) => (state, true),
        };
        let observed_until = state.observed_until.unwrap_or(config.genesis);
        let read = read_events(&files.events());
        let events: Vec<_> = read.events.into_iter().map(evidence_event).collect();
        let stats = [
            ("scrapes", state.scrapes),
            ("scrapes_failed", state.scrapes_failed),
            ("events_unreadable", state.events_unreadable + read.unreadable),
            ("ready_after_ms", state.ready_after_ms.unwrap_or(0)),
        ];
        Ok(Observation {
            samples: self.samples(id, &files)?,
            intervals: intervals(&file.spec, Some(file.binary), config.genesis, &events)?,
            events,
            started: config.genesis,
            ended: ended.then_some(observed_until),
            observed_until,
            scrape_interval: file.spec.network.scrape_interval,
            host: HOST,
            crypto: file.spec.network.crypto.as_str(),
            stats: stats.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            digests: BTreeMap::from([("binary".to_owned(), file.binary)]),
        })
    }

    fn rpc(
        &self,
        id: &DeploymentId,
        role: &str,
        method: &str,
    ) -> Result<Vec<RpcAnswer>, DriverError> {
        let mut nodes = self.status_of(id, false)?.nodes;
        nodes.retain(|node| node.role == role);
        if nodes.is_empty() {
            return Err(DriverError::UnknownNode { id: id.clone(), name: role.to_owned() });
        }
        ask_all(&nodes, method)
    }

    fn inject(&mut self, id: &DeploymentId, action: &ScheduledAction) -> Result<(), DriverError> {
        let (files, file) = self.open_whole(id)?;
        check_actions(&file.spec, std::slice::from_ref(action), &self.capabilities(), NAME)?;
        let refuse = |reason: String| DriverError::Supervisor { id: id.clone(), reason };
        match supervision(&files)? {
            Supervision::Alive(_) => self.request(&files, action).map_err(refuse),
            _ => Err(refuse("it does not run; `deploy status` says more".to_owned())),
        }
    }

    fn logs(
        &self,
        id: &DeploymentId,
        node: Option<&str>,
        lines: usize,
    ) -> Result<String, DriverError> {
        let (files, spec) = self.open(id)?;
        let Some(name) = node else { return tail(&files.log(), lines) };
        let nodes = spec.map(|file| file.spec.network.nodes()).unwrap_or_default();
        if nodes.iter().all(|known| known.name != name) {
            return Err(DriverError::UnknownNode { id: id.clone(), name: name.to_owned() });
        }
        tail(&NodeFiles::beside(&files.config(), name).log(), lines)
    }

    fn down(&mut self, id: &DeploymentId) -> Result<(), DriverError> {
        let files = self.files(id);
        // Also without its directory: a process may have outlived it.
        self.end_processes(id, &files)?;
        self.observed.borrow_mut().remove(id);
        match std::fs::remove_dir_all(&files.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &files.directory)(error))
            }
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<Status>, DriverError> {
        self.ids()?.iter().map(|id| self.status_of(id, false)).collect()
    }
}
