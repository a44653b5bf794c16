//! Where the samples of a query come from: a deployment that is up, the sealed evidence of one that
//! is not, or a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use base::{DeploymentId, Digest, Duration, Instant};
use deployment::{Driver, ProcessDriver};
use ledger::body::Body;
use ledger::{GitStore, Ledger};
use samples::{Archive, ArchiveReader, Labels, METRIC_NAME, SampleLog, SampleSource, Store};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::count;
use crate::session;
use crate::world::{self, Global, World};

/// How a sealed sample store and a scraper's log begin.
const STORE_MAGIC: &[u8] = b"PGSAMPLE";
const LOG_MAGIC: &[u8] = b"PGSAMLOG";
/// A file is read again at most this often, when nothing says how often it grows.
const REFRESH: Duration = Duration::from_seconds(15);

/// Which samples are meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Origin {
    /// The deployment, up or already taken down [default: the only one that is up]
    #[arg(long, value_name = "ID", conflicts_with = "samples")]
    pub deployment: Option<DeploymentId>,
    /// Samples on disk: an archive (a folder), a sealed store, or the log of a scraper
    #[arg(long, value_name = "PATH", conflicts_with = "rehearsal")]
    pub samples: Option<PathBuf>,
    /// The folder of a rehearsal, in which the deployment is looked up
    #[arg(long, value_name = "DIR")]
    pub rehearsal: Option<PathBuf>,
}

/// Samples that are ready to be asked.
#[derive(Clone)]
pub struct Sampled {
    /// What they are of, for people.
    pub name: String,
    /// The samples.
    source: Arc<dyn SampleSource + Send + Sync>,
    /// Every series, sorted, each once.
    pub labels: Arc<Vec<Labels>>,
    /// The times of the first and the last sample.
    pub extent: Option<(Instant, Instant)>,
    /// What `now` means: the machine's time while samples still come, else that of the last one.
    pub now: Instant,
    /// How often the samples were scraped, where that is known.
    pub scrape_interval: Option<Duration>,
    /// Whether samples still come.
    is_live: bool,
}

/// Samples with the place that they come from, so that they can be read again.
pub struct Feed {
    place: Place,
    sampled: Sampled,
}

enum Place {
    Running { driver: ProcessDriver, id: DeploymentId },
    Sealed,
    File { path: PathBuf, stamp: Stamp },
}

/// What tells that a file has changed.
type Stamp = (u64, Option<SystemTime>);

impl Origin {
    /// Finds the samples and reads them.
    ///
    /// # Errors
    /// When there is no such deployment or file, it is not clear which is meant, or the samples are
    /// damaged.
    pub fn open(&self, global: &Global) -> Result<Feed, Failure> {
        if let Some(path) = &self.samples {
            return Feed::of_file(path);
        }
        if let Some(folder) = &self.rehearsal {
            return Rehearsed::open(folder)?.feed(self.deployment.as_ref());
        }
        let world = World::find(global)?;
        let driver = session::driver(&world)?;
        let up: Vec<DeploymentId> =
            driver.list()?.into_iter().map(|status| status.deployment).collect();
        match (&self.deployment, up.as_slice()) {
            (Some(id), up) if up.contains(id) => Feed::of_running(driver, id.clone()),
            (Some(id), up) => finished(&world, id, up),
            (None, [only]) => Feed::of_running(driver, only.clone()),
            (None, []) => Err(Failure::new(Exit::Usage, "no deployment is up").hint(
                "Name one that was taken down with --deployment, a rehearsal with --rehearsal, or a file with --samples.",
            )),
            (None, up) => Err(Failure::new(
                Exit::Usage,
                format!("{} are up", count(up.len(), "deployment", "deployments")),
            )
            .hint(format!("Name one with --deployment: {}.", listed(up)))),
        }
    }
}

fn listed(ids: &[DeploymentId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

/// The samples of a deployment that was taken down, from the evidence of this repository.
fn finished(world: &World, id: &DeploymentId, up: &[DeploymentId]) -> Result<Feed, Failure> {
    let sealed = match world.ledger() {
        Ok(ledger) => sealed_observations(&ledger),
        // Without a ledger there is nothing but what is up.
        Err(_) if !up.is_empty() => BTreeMap::new(),
        Err(failure) => return Err(failure),
    };
    let Some(digest) = sealed.get(id) else {
        return Err(unknown(id, sealed.keys().chain(up)));
    };
    Feed::of_sealed(&world.evidence()?, id, *digest)
}

fn unknown<'a>(id: &DeploymentId, known: impl Iterator<Item = &'a DeploymentId>) -> Failure {
    let known: BTreeSet<&str> = known.map(DeploymentId::as_str).collect();
    let failure = Failure::new(
        Exit::Deployment,
        format!("there is no deployment `{id}`, neither up nor in the ledger"),
    );
    match diagnostics::suggestion(id.as_str(), known) {
        Some(near) => failure.hint(near),
        None => failure.hint("None was deployed so far."),
    }
}

/// The sealed observation of every deployment that was taken down; of several the newest.
fn sealed_observations(ledger: &Ledger<GitStore>) -> BTreeMap<DeploymentId, Digest> {
    let ended = ledger.view().iter().filter_map(|verified| match &verified.entry.body {
        Body::Event(event) if event.event == "torn-down" => {
            let digest = event.detail["observation"].as_str()?.parse().ok()?;
            Some((event.deployment.clone()?, digest))
        }
        _ => None,
    });
    ended.collect()
}

/// The folder that a rehearsal has written.
pub struct Rehearsed {
    /// The ledger, verified.
    pub ledger: Ledger<GitStore>,
    /// The evidence.
    pub evidence: evidence::DirStore,
}

impl Rehearsed {
    /// Opens the ledger and the evidence in `folder`.
    ///
    /// # Errors
    /// When it is not the folder of a rehearsal that came to its end, or its ledger is not valid.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let repository = folder.join("ledger.git");
        if !repository.is_dir() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is not the folder of a rehearsal", folder.display()),
            )
            .hint("`cargo xtask rehearse PIPELINE --out DIR` writes one."));
        }
        let store = GitStore::open(&repository)?;
        let ledger = Ledger::open(store, &ledger::Expectations::default())?;
        Ok(Self { ledger, evidence: evidence::DirStore::open(folder.join("evidence"))? })
    }

    fn feed(&self, id: Option<&DeploymentId>) -> Result<Feed, Failure> {
        let sealed = sealed_observations(&self.ledger);
        let all: Vec<DeploymentId> = sealed.keys().cloned().collect();
        match (id, all.as_slice()) {
            (Some(id), _) => {
                let digest = sealed.get(id).ok_or_else(|| unknown(id, sealed.keys()))?;
                Feed::of_sealed(&self.evidence, id, *digest)
            }
            (None, [only]) => Feed::of_sealed(&self.evidence, only, sealed[only]),
            (None, _) => Err(Failure::new(Exit::Usage, "name a deployment of the rehearsal")
                .hint(format!("Say --deployment with one of {}.", listed(&all)))),
        }
    }
}

impl Feed {
    fn of_running(driver: ProcessDriver, id: DeploymentId) -> Result<Self, Failure> {
        let sampled = running(&driver, &id)?;
        Ok(Self { place: Place::Running { driver, id }, sampled })
    }

    fn of_sealed(
        store: &dyn evidence::Store,
        id: &DeploymentId,
        digest: Digest,
    ) -> Result<Self, Failure> {
        let sealed = engine::seal::unseal(store, digest)?;
        let name = format!("{id} (sealed evidence {})", sealed.samples_digest.short());
        let mut sampled = Sampled::new(name, sealed.samples, false);
        sampled.scrape_interval = Some(sealed.scrape_interval);
        Ok(Self { place: Place::Sealed, sampled })
    }

    fn of_file(path: &Path) -> Result<Self, Failure> {
        let stamp = stamp(path)?;
        let sampled = file(path)?;
        Ok(Self { place: Place::File { path: path.to_owned(), stamp }, sampled })
    }

    /// The samples as they were read last, as of now.
    pub fn sampled(&self) -> Sampled {
        let mut sampled = self.sampled.clone();
        if sampled.is_live {
            sampled.now = world::now();
        }
        sampled
    }

    /// How often it makes sense to read again; `None` when nothing can change.
    pub fn refresh_interval(&self) -> Option<Duration> {
        match self.place {
            Place::Sealed => None,
            _ => Some(self.sampled.scrape_interval.unwrap_or(REFRESH)),
        }
    }

    /// Reads again what may have changed. What was read before stays when that fails.
    ///
    /// # Errors
    /// When the deployment or the file is gone or damaged.
    pub fn refresh(&mut self) -> Result<(), Failure> {
        match &mut self.place {
            Place::Sealed => {}
            Place::Running { driver, id } => self.sampled = running(driver, id)?,
            Place::File { path, stamp: known } => {
                let found = stamp(path)?;
                if found != *known {
                    self.sampled = file(path)?;
                    *known = found;
                }
            }
        }
        Ok(())
    }
}

impl Sampled {
    /// The samples in `store`; `is_live` says whether more will come.
    pub fn new(name: String, store: Arc<Store>, is_live: bool) -> Self {
        let mut sampled = Self::about(name, &store, is_live);
        sampled.source = store;
        sampled
    }

    /// The samples of an archive. Queries that touch what is damaged fail.
    fn of_archive(name: String, reader: ArchiveReader) -> Self {
        let mut sampled = Self::about(name, reader.store(), false);
        sampled.source = Arc::new(reader);
        sampled
    }

    /// Everything but the samples themselves.
    fn about(name: String, store: &Store, is_live: bool) -> Self {
        let extent = store.extent_ms().map(|(first, last)| {
            (Instant::from_unix_millis(first), Instant::from_unix_millis(last))
        });
        let labels: BTreeSet<Labels> = store.series().cloned().collect();
        let source: Arc<dyn SampleSource + Send + Sync> = Arc::new(Vec::new());
        let last = extent.map(|(_, last)| last).filter(|_| !is_live);
        let now = last.unwrap_or_else(world::now);
        let labels = Arc::new(labels.into_iter().collect());
        Self { name, source, labels, extent, now, scrape_interval: None, is_live }
    }

    /// The samples, for an evaluation.
    pub fn source(&self) -> &dyn SampleSource {
        &*self.source
    }

    /// The names of all metrics, sorted.
    pub fn metrics(&self) -> BTreeSet<&str> {
        self.labels.iter().map(|one| one.get(METRIC_NAME)).filter(|name| !name.is_empty()).collect()
    }

    /// A sentence about what there is.
    pub fn describe(&self) -> String {
        let series = count(self.labels.len(), "series", "series");
        match self.extent {
            Some((first, last)) => format!("{}: {series} from {first} to {last}", self.name),
            None => format!("{}: no samples yet", self.name),
        }
    }
}

fn running(driver: &ProcessDriver, id: &DeploymentId) -> Result<Sampled, Failure> {
    let observation = driver.observe(id)?;
    let is_live = observation.ended.is_none();
    let state = if is_live { "running" } else { "stopped" };
    let mut sampled = Sampled::new(format!("{id} ({state})"), observation.samples, is_live);
    sampled.scrape_interval = Some(observation.scrape_interval);
    Ok(sampled)
}

/// Of an archive the times of its files count: its log grows, its blocks are replaced.
fn stamp(path: &Path) -> Result<Stamp, Failure> {
    let refuse = |error| Failure::file("read", path, &error);
    let found = std::fs::metadata(path).map_err(refuse)?;
    if !found.is_dir() {
        return Ok((found.len(), found.modified().ok()));
    }
    let mut stamp: Stamp = (0, found.modified().ok());
    for part in ["log", "blocks", "."] {
        let Ok(entries) = std::fs::read_dir(path.join(part)) else { continue };
        let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
        for one in files.filter(std::fs::Metadata::is_file) {
            stamp.0 += one.len();
            stamp.1 = stamp.1.max(one.modified().ok());
        }
    }
    Ok(stamp)
}

/// The samples of an archive.
fn archive(path: &Path) -> Result<Sampled, Failure> {
    let reader = Archive::read(path).map_err(|error| {
        let failure = Failure::of(Exit::File, &error);
        match path.join("ledger.git").is_dir() {
            true => failure.hint("It is the folder of a rehearsal; name it with --rehearsal."),
            false => failure,
        }
    })?;
    for damage in &reader.opening().damage {
        tracing::warn!("{}: {damage}", path.display());
    }
    Ok(Sampled::of_archive(path.display().to_string(), reader))
}

fn file(path: &Path) -> Result<Sampled, Failure> {
    if path.is_dir() {
        return archive(path);
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let store = if bytes.starts_with(LOG_MAGIC) {
        drop(bytes);
        let (store, replay) =
            SampleLog::read(path).map_err(|error| Failure::of(Exit::File, &error))?;
        if replay.cut_bytes > 0 {
            let cut = count(replay.cut_bytes as usize, "byte", "bytes");
            tracing::warn!("{} ends in an unfinished record; {cut} are left out", path.display());
        }
        store
    } else if bytes.starts_with(STORE_MAGIC) {
        Store::decode(&bytes).map_err(|error| {
            Failure::new(Exit::File, format!("cannot use {}: {error}", path.display()))
        })?
    } else {
        return Err(Failure::new(
            Exit::File,
            format!(
                "{} holds no samples: it is neither a sealed store nor a scraper's log",
                path.display()
            ),
        )
        .hint("Text is brought into an archive by `cargo xtask samples import`."));
    };
    Ok(Sampled::new(path.display().to_string(), Arc::new(store), false))
}
