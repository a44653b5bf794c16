//! An engine over this repository's own ledger: what `phase`, `deploy` and `drill` work with.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use collectors::{Collectors, Documents, GitHub, Probes, Prometheus};
use definition::{Definitions, Overrides};
use deployment::ProcessDriver;
use engine::{Engine, Setup};
use ledger::{GitStore, Ledger, SshKeySigner};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::world::{self, World};

/// Where issues are asked for when nothing else is said.
const GITHUB: &str = "https://api.github.com";

/// Everything that the engine borrows.
pub struct Session {
    definitions: Definitions,
    driver: ProcessDriver,
    evidence: evidence::DirStore,
    signer: SshKeySigner,
    /// Held while this program may change something, so that two on one machine take turns.
    _lock: File,
    world: World,
    overrides: Overrides,
}

impl Session {
    /// Opens the repository for changes: takes the lock, reads the definitions, finds the key.
    ///
    /// `changes` replaces the changes that live deployments were made with.
    pub fn open(
        world: &World,
        changes: Option<Overrides>,
    ) -> Result<(Self, Ledger<GitStore>), Failure> {
        let lock = lock(world)?;
        Self::over(world, changes, lock, world.shared_ledger()?)
    }

    /// The same for a command that appends nothing, and so can do without the ledger's remote.
    pub fn open_to_judge(
        world: &World,
        changes: Option<Overrides>,
    ) -> Result<(Self, Ledger<GitStore>), Failure> {
        let lock = lock(world)?;
        Self::over(world, changes, lock, world.ledger()?)
    }

    fn over(
        world: &World,
        changes: Option<Overrides>,
        lock: File,
        ledger: Ledger<GitStore>,
    ) -> Result<(Self, Ledger<GitStore>), Failure> {
        let overrides = match changes {
            Some(changes) => changes,
            None => remembered(world)?,
        };
        let definitions = world.definitions(&overrides)?;
        let session = Self {
            definitions,
            driver: driver(world)?,
            evidence: world.evidence()?,
            signer: world.signer(&ledger)?,
            _lock: lock,
            world: world.clone(),
            overrides,
        };
        Ok((session, ledger))
    }

    /// The engine.
    pub fn engine(&mut self, ledger: Ledger<GitStore>) -> Result<Engine<'_, GitStore>, Failure> {
        let pipeline = world::pipeline(&self.definitions, Some(ledger.view().pipeline()))?;
        let token = std::env::var_os("PHASEGATE_GITHUB_TOKEN_FILE").map(PathBuf::from);
        let github = GitHub::new(GITHUB, token.as_deref())
            .map_err(|error| Failure::of(Exit::Failed, &error))?;
        let servers = Prometheus::new(&pipeline.servers, &self.world.root)
            .map_err(|error| Failure::of(Exit::Failed, &error))?;
        let setup = Setup {
            pipeline,
            calendar: world::calendar(&self.definitions, pipeline)?,
            pins: self.world.pins()?,
            signer: &self.signer,
            driver: &mut self.driver,
            collectors: Collectors::new(vec![
                Box::new(Documents::new(&self.world.root)),
                Box::new(github),
                Box::new(Probes),
                Box::new(servers),
            ]),
            evidence: &self.evidence,
            seed: 1,
            faults: Vec::new(),
            watch_after_soak: None,
            publish: Some(self.world.state_dir().join("reports")),
            place: place(&self.world),
            overrides: self.overrides.clone(),
            note: note(&self.overrides),
        };
        Ok(Engine::new(setup, ledger))
    }
}

/// What has to be done about advances that a key signed which is no longer trusted.
pub fn voids(view: &ledger::VerifiedLedger) -> Option<String> {
    let open = view.unrevoked_voids();
    let entries: Vec<String> = open.iter().map(u64::to_string).collect();
    let phases = open.iter().filter_map(|seq| match &view.get(*seq)?.entry.body {
        ledger::Body::Advance(advance) => Some(advance.phase.to_string()),
        _ => None,
    });
    let first = phases.into_iter().next()?;
    Some(format!(
        "Nothing moves: what moved in entry {} was signed with a key that is no longer trusted. `cargo xtask phase reset {first} --reason …` revokes it.",
        entries.join(", ")
    ))
}

/// What a report says about changed parameters: a shortened soak is no soak of the programme. Empty
/// when none was changed.
pub fn note(overrides: &Overrides) -> String {
    let mut changes: Vec<String> =
        overrides.set.iter().map(|(name, value)| format!("`{name}` = {value}")).collect();
    if let Some(scale) = overrides.time_scale {
        changes.insert(0, format!("time runs {scale} times faster"));
    }
    if changes.is_empty() {
        return String::new();
    }
    format!(
        "The parameters of this run were changed ({}), so it says nothing about the programme's own thresholds.",
        changes.join(", ")
    )
}

/// The name of this clone on this machine: networks of processes run in one of them. A digest, so
/// that a public ledger tells nothing about either.
fn place(world: &World) -> String {
    let machine = std::fs::read("/etc/machine-id").or_else(|_| std::fs::read("/etc/hostname"));
    let root = world.root.canonicalize().unwrap_or_else(|_| world.root.clone());
    let mut name = machine.unwrap_or_default();
    name.extend(root.as_os_str().as_encoded_bytes());
    base::Digest::of(&name).short()
}

/// The driver of deployments in real time.
pub fn driver(world: &World) -> Result<ProcessDriver, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::file("find", std::path::Path::new("this program"), &error))?;
    Ok(ProcessDriver::new(&world.state_dir(), &program)?)
}

/// Waits until no other command may change this repository.
pub fn lock(world: &World) -> Result<File, Failure> {
    let path = world.make_state_dir()?.join("lock");
    let file = File::create(&path).map_err(|error| Failure::file("write", &path, &error))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => say("Another command is at work here; waiting for it."),
        Err(TryLockError::Error(error)) => return Err(Failure::file("lock", &path, &error)),
    }
    file.lock().map_err(|error| Failure::file("lock", &path, &error))?;
    Ok(file)
}

fn overrides_path(world: &World) -> PathBuf {
    world.state_dir().join("overrides.json")
}

/// The changes that live deployments were made with; none when no deployment is up, because what
/// is judged later is the programme again.
pub fn remembered(world: &World) -> Result<Overrides, Failure> {
    let live = std::fs::read_dir(world.state_dir().join("deployments"));
    if live.map_or(true, |mut deployments| deployments.next().is_none()) {
        return Ok(Overrides::default());
    }
    let path = overrides_path(world);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Overrides::default());
        }
        Err(error) => return Err(Failure::file("read", &path, &error)),
        Ok(bytes) => bytes,
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Exit::File, format!("{} is damaged: {error}", path.display()))
            .hint("Delete it when no deployment with changed parameters is up.")
    })
}

/// Remembers the changes for the judgements that follow.
pub fn remember(world: &World, overrides: &Overrides) -> Result<(), Failure> {
    let path = overrides_path(world);
    if *overrides == Overrides::default() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::file("remove", &path, &error))
            }
            _ => Ok(()),
        };
    }
    let bytes = base::canonical_json(overrides)?;
    std::fs::write(&path, bytes).map_err(|error| Failure::file("write", &path, &error))
}
