use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::Instant;
use devnet::{NetworkEvent, NodeId, ScheduledAction, names};
use devnet_host::{ClientFile, HostClock, HostConfig, describe, http};
use samples::archive::{Opening, Scrape};
use samples::{Archive, Labels, TargetId};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::files::{
    Answer, DeploymentFiles, SpecFile, SupervisorFile, SupervisorPhase, io, read_json, write_json,
};
use super::nodes::{ManagedNode, end_all};
use super::operations::Operations;
use super::processes::identify;
use super::watch::{self, EventLog, EventTail, series_of, values_of};
use crate::DriverError;

/// How often the supervisor looks at its nodes, its agenda and its requests.
const TICK: Duration = Duration::from_millis(100);
/// How long all nodes together may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Nodes that are asked at the same time whether they are ready.
const ASKED_AT_ONCE: usize = 8;
/// How long nodes may take to end after they were asked to.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait for one node's metrics.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);

/// Supervises the deployment in `directory` until SIGTERM: starts its nodes, performs its
/// schedule, gathers samples and events, and ends the nodes. It detaches itself from the terminal,
/// so that it survives the program that started it.
///
/// # Errors
/// When the deployment's files cannot be used or its nodes do not come up; what happened is then
/// also in the deployment's files.
pub fn run_supervisor(directory: &Path) -> Result<(), DriverError> {
    // Fails only when this process leads a group already, which is as good.
    let _ = rustix::process::setsid();
    let files = DeploymentFiles { directory: directory.to_owned() };
    start_log(&files)?;
    let own = identify(std::process::id()).ok_or(DriverError::Platform)?;
    let mut state = SupervisorFile::new(own);
    write_json(&files.supervisor(), &state)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("start a runtime for", directory))?;
    let result = runtime.block_on(supervise(&files, &mut state));
    if let Err(error) = &result {
        let reason = describe(error);
        tracing::error!("the supervisor gives up: {reason}");
        state.phase = SupervisorPhase::Failed { reason };
        write_json(&files.supervisor(), &state)?;
    }
    result
}

fn start_log(files: &DeploymentFiles) -> Result<(), DriverError> {
    let path = files.log();
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(io("open", &path))?;
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::sync::Mutex::new(file))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

async fn supervise(files: &DeploymentFiles, state: &mut SupervisorFile) -> Result<(), DriverError> {
    let path = files.directory.as_path();
    let mut end = signal(SignalKind::terminate()).map_err(io("watch signals for", path))?;
    let missing = |path: PathBuf| DriverError::Damaged { path, problem: "it is missing".into() };
    let spec: SpecFile = read_json(&files.spec())?.ok_or_else(|| missing(files.spec()))?;
    let config: HostConfig = read_json(&files.config())?.ok_or_else(|| missing(files.config()))?;
    let mut supervisor = Supervisor::open(files.clone(), spec, config)?;
    let result = match supervisor.bring_up(&mut end, state).await {
        Ok(true) => supervisor.watch(&mut end, state).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    end_all(&mut supervisor.operations.nodes, END_PATIENCE);
    supervisor.gather_events(state)?;
    supervisor.save(state)?;
    result
}

/// Says what opening the samples found.
fn tell(opening: &Opening) {
    if opening.cut_bytes > 0 {
        tracing::warn!("{} bytes of an unfinished scrape were cut", opening.cut_bytes);
    }
    for damage in &opening.damage {
        tracing::error!("samples are damaged: {damage}");
    }
}

struct Supervisor {
    files: DeploymentFiles,
    spec: SpecFile,
    config: HostConfig,
    operations: Operations,
    series: Vec<Vec<Labels>>,
    samples: Archive,
    /// The node's series as the archive knows them, node by node.
    targets: Vec<TargetId>,
    events: EventLog,
    tails: Vec<EventTail>,
    /// What the state file holds.
    saved: Option<SupervisorFile>,
}

type Scraped = (Instant, Vec<Option<String>>);

impl Supervisor {
    fn open(
        files: DeploymentFiles,
        spec: SpecFile,
        config: HostConfig,
    ) -> Result<Self, DriverError> {
        let infos = spec.spec.network.nodes();
        let first = ClientFile::first(&spec.spec.network);
        let nodes: Vec<_> = infos
            .iter()
            .zip(&config.http_ports)
            .map(|(info, port)| {
                let (config, program) = (files.config(), spec.executable.clone());
                ManagedNode::new(info.clone(), *port, first.clone(), config, program)
            })
            .collect();
        let tails = nodes.iter().map(|node| EventTail::new(node.events())).collect();
        let refuse = |source| DriverError::Samples { id: spec.spec.id.clone(), source };
        let (mut samples, opening) = Archive::open(&files.samples()).map_err(refuse)?;
        tell(&opening);
        let series: Vec<Vec<Labels>> = infos.iter().map(series_of).collect();
        let targets: Result<Vec<TargetId>, _> =
            series.iter().map(|series| samples.target(series)).collect();
        let targets = targets.map_err(refuse)?;
        let mut operations = Operations::new(spec.spec.network.clone(), config.genesis, nodes);
        for action in &spec.spec.schedule {
            operations.plan(action.clone())?;
        }
        for directory in [files.requests(), files.answers()] {
            std::fs::create_dir_all(&directory).map_err(io("create", &directory))?;
        }
        Ok(Self {
            series,
            events: EventLog::open(&files.events())?,
            files,
            spec,
            config,
            operations,
            samples,
            targets,
            tails,
            saved: None,
        })
    }

    fn now(&self) -> Instant {
        HostClock::shared_now(self.config.clock_offset)
    }

    /// Starts all nodes and waits until each answers; `false` when told to end before.
    async fn bring_up(
        &mut self,
        end: &mut Signal,
        state: &mut SupervisorFile,
    ) -> Result<bool, DriverError> {
        let begun = tokio::time::Instant::now();
        for node in &mut self.operations.nodes {
            node.start()?;
        }
        self.save(state)?;
        let ports: Vec<_> = self.operations.nodes.iter().map(|node| node.http_port).collect();
        let mut waiting = JoinSet::new();
        // Few at a time, in the order of their start: asking in vain takes time from the nodes.
        let places = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        for port in ports {
            let places = Arc::clone(&places);
            waiting.spawn(async move {
                let _place = places.acquire_owned().await;
                while http::ask(port, "/health", None, SCRAPE_TIMEOUT).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        let deadline = begun + READY_TIMEOUT;
        let mut look = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                ready = waiting.join_next() => if ready.is_none() { break },
                _ = look.tick() => self.refuse_crashes()?,
                _ = end.recv() => return Ok(false),
                () = tokio::time::sleep_until(deadline) => {
                    let left = waiting.len();
                    return Err(self.infra(format!("{left} nodes did not answer within {} s", READY_TIMEOUT.as_secs())));
                }
            }
        }
        state.ready_after_ms = u64::try_from(begun.elapsed().as_millis()).ok();
        state.phase = SupervisorPhase::Running;
        self.save(state)?;
        tracing::info!("all nodes are ready after {} ms", begun.elapsed().as_millis());
        Ok(true)
    }

    fn refuse_crashes(&mut self) -> Result<(), DriverError> {
        for index in 0..self.operations.nodes.len() {
            let node = &mut self.operations.nodes[index];
            if let Some(status) = node.crash() {
                let (name, words) = (&node.info.name, node.last_words());
                let reason = format!("{name} ended at its start ({status}): {words}");
                return Err(self.infra(reason));
            }
        }
        Ok(())
    }

    fn infra(&self, reason: String) -> DriverError {
        DriverError::Infra { id: self.spec.spec.id.clone(), reason, attempts: 1 }
    }

    /// Watches the nodes until told to end.
    async fn watch(
        &mut self,
        end: &mut Signal,
        state: &mut SupervisorFile,
    ) -> Result<(), DriverError> {
        let micros = self.spec.spec.network.scrape_interval.micros();
        let every = Duration::from_micros(u64::try_from(micros).unwrap_or(1).max(1));
        let mut scrapes = tokio::time::interval(every);
        scrapes.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut look = tokio::time::interval(TICK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sender, mut scraped) = mpsc::channel::<Scraped>(1);
        let mut in_flight = false;
        loop {
            tokio::select! {
                _ = end.recv() => return Ok(()),
                _ = scrapes.tick(), if !in_flight => {
                    in_flight = true;
                    self.begin_scrape(every, &sender);
                }
                Some((at, answers)) = scraped.recv() => {
                    in_flight = false;
                    self.take_scrape(at, &answers, state)?;
                    self.save(state)?;
                }
                _ = look.tick() => {
                    self.look(state)?;
                }
            }
        }
    }

    fn begin_scrape(&self, every: Duration, sender: &mpsc::Sender<Scraped>) {
        let ports = self.operations.nodes.iter().map(|node| node.http_port).collect();
        let (at, sender) = (self.now(), sender.clone());
        let limit = SCRAPE_TIMEOUT.min(every);
        tokio::spawn(async move {
            // The supervisor may have ended.
            let _ = sender.send((at, watch::scrape(ports, limit).await)).await;
        });
    }

    fn take_scrape(
        &mut self,
        at: Instant,
        answers: &[Option<String>],
        state: &mut SupervisorFile,
    ) -> Result<(), DriverError> {
        let t_ms = at.unix_millis();
        let rows: Vec<Vec<f64>> = self
            .series
            .iter()
            .zip(answers)
            .map(|(series, answer)| values_of(series, answer.as_deref()))
            .collect();
        let pairs = self.targets.iter().zip(&rows);
        let scrapes: Vec<Scrape<'_>> =
            pairs.map(|(target, values)| Scrape { target: *target, t_ms, values }).collect();
        let jumps = self.samples.counts().forward_jumps;
        let outcomes = self
            .samples
            .append_all(&scrapes)
            .map_err(|source| DriverError::Samples { id: self.spec.spec.id.clone(), source })?;
        for (outcome, answer) in outcomes.iter().zip(answers) {
            match outcome {
                Ok(_) => state.scrapes += 1,
                Err(refusal) => tracing::warn!("a scrape was not stored: {refusal}"),
            }
            state.scrapes_failed += u64::from(answer.is_none());
        }
        if self.samples.counts().forward_jumps > jumps {
            tracing::warn!("the clock went forward by more than an hour, to {at}");
        }
        if let Some(problem) = self.samples.save_problem() {
            tracing::warn!("sealed samples stay in the log: {}", describe(problem));
        }
        state.observed_until = state.observed_until.max(Some(at));
        self.gather_events(state)
    }

    fn look(&mut self, state: &mut SupervisorFile) -> Result<(), DriverError> {
        let now = self.now();
        for index in 0..self.operations.nodes.len() {
            if let Some(status) = self.operations.nodes[index].crash() {
                let words = self.operations.nodes[index].last_words();
                let cause = format!("{status}: {words}");
                let node = Some(NodeId(index as u32));
                self.operations.record(now, names::NODE_CRASHED, node, [("cause", cause)]);
            }
        }
        self.operations.work(now)?;
        self.take_requests()?;
        self.save(state)
    }

    /// Merges what the nodes and the supervisor itself observed.
    fn gather_events(&mut self, state: &mut SupervisorFile) -> Result<(), DriverError> {
        let mut fresh: Vec<NetworkEvent> = Vec::new();
        for tail in &mut self.tails {
            let new = tail.read();
            state.events_unreadable += new.unreadable;
            fresh.extend(new.events);
        }
        for event in &fresh {
            self.operations.follow(event);
        }
        fresh.append(&mut self.operations.events);
        fresh.sort_by_key(|event| event.at);
        self.events.append(&fresh)
    }

    /// Takes injected actions in, and says of each whether it was taken.
    fn take_requests(&mut self) -> Result<(), DriverError> {
        let directory = self.files.requests();
        let entries = std::fs::read_dir(&directory).map_err(io("read", &directory))?;
        let mut paths: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        for path in paths {
            let action = read_json::<ScheduledAction>(&path);
            let taken = match action {
                Ok(Some(action)) => self.operations.plan(action),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let answer = Answer { problem: taken.err().map(|error| describe(&error)) };
            std::fs::remove_file(&path).map_err(io("remove", &path))?;
            if let Some(name) = path.file_name() {
                write_json(&self.files.answers().join(name), &answer)?;
            }
        }
        Ok(())
    }

    /// Writes the state when it has changed.
    fn save(&mut self, state: &mut SupervisorFile) -> Result<(), DriverError> {
        state.nodes = self.operations.nodes.iter().map(ManagedNode::entry).collect();
        if self.saved.as_ref() != Some(state) {
            write_json(&self.files.supervisor(), state)?;
            self.saved = Some(state.clone());
        }
        Ok(())
    }
}
