//! What a report can be verified and judged again from: a ledger, evidence and rules, wherever they
//! lie.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ledger::{
    Body, Expectations, GitStore, Ledger, LedgerStore, MemoryStore, Pins, VerifiedLedger,
};
use tempfile::TempDir;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::world::World;
use report::bundle::{self, About, Bundle};

/// A ledger, wherever it is stored.
pub type AnyLedger = Ledger<Box<dyn LedgerStore>>;

/// Where the material is.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Where {
    /// A bundle file, as `report bundle` writes it [default: this repository]
    #[arg(value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
    /// The folder of a rehearsal
    #[arg(long, value_name = "DIR", conflicts_with = "bundle")]
    pub rehearsal: Option<PathBuf>,
}

/// Which evaluation is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Which {
    /// The newest evaluation of this week, such as 2026-W04 [default: the newest of all]
    #[arg(long, value_name = "WEEK", conflicts_with = "entry")]
    pub week: Option<String>,
    /// The evaluation in this entry of the ledger
    #[arg(long, value_name = "NUMBER")]
    pub entry: Option<u64>,
}

impl Which {
    /// The place of the evaluation in the ledger.
    pub fn find(&self, view: &VerifiedLedger) -> Result<u64, Failure> {
        if let Some(seq) = self.entry {
            return Ok(seq);
        }
        let mut counted = view.iter().rev().filter(|one| !view.is_void(one.entry.seq));
        let newest = counted.find(|one| match &one.entry.body {
            Body::Evaluation(judged) => self.week.as_ref().is_none_or(|week| judged.week == *week),
            _ => false,
        });
        newest.map(|one| one.entry.seq).ok_or_else(|| match &self.week {
            Some(week) => Failure::new(Exit::NotNow, format!("nothing was judged in {week}")),
            None => Failure::new(Exit::NotNow, "nothing was judged yet"),
        })
    }
}

/// The material of one ledger.
pub struct Material {
    /// The ledger, verified.
    pub ledger: AnyLedger,
    /// The evidence that is at hand.
    pub evidence: Box<dyn evidence::Store>,
    /// What the bundle says that it is about.
    pub about: Option<About>,
    rules: Source,
}

/// Where rules are found.
enum Source {
    /// In a repository: as they are now, or as git remembers them.
    Repository(World),
    /// In a folder that a bundle brought.
    Folder(TempDir),
}

/// Reads a bundle file.
///
/// # Errors
/// When it cannot be read, or is no bundle.
pub fn read_bundle(path: &Path) -> Result<Bundle, Failure> {
    let unreadable = |error: &std::io::Error| Failure::file("read", path, error);
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Usage, format!("{} is not a file", path.display())));
    }
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    Bundle::parse(std::io::BufReader::new(file), metadata.len()).map_err(|error| {
        Failure::new(Exit::NotVerified, format!("{} is not a bundle: {error}", path.display()))
            .hint("`cargo xtask report bundle --out FILE` writes one; fetch it again.")
    })
}

/// The rules that an entry pins, as a repository that can be read.
pub struct Rules {
    /// The folder with `pipeline/` and `stages/`.
    pub world: World,
    /// Removes the folder, when it was made for this.
    _copy: Option<TempDir>,
}

impl Material {
    /// Opens what `from` names.
    pub fn open(
        from: &Where,
        world: impl FnOnce() -> Result<World, Failure>,
    ) -> Result<Self, Failure> {
        match (&from.bundle, &from.rehearsal) {
            (Some(path), _) => Self::of_bundle(&read_bundle(path)?, &Expectations::default()),
            (None, Some(folder)) => Self::of_rehearsal(folder, world()?),
            (None, None) => Self::of_repository(world()?),
        }
    }

    fn of_repository(world: World) -> Result<Self, Failure> {
        let evidence = Box::new(world.evidence()?);
        let ledger = world.ledger()?.boxed();
        Ok(Self { ledger, evidence, about: None, rules: Source::Repository(world) })
    }

    fn of_rehearsal(folder: &Path, world: World) -> Result<Self, Failure> {
        let rehearsed = crate::queries::origin::Rehearsed::open(folder)?;
        Ok(Self {
            ledger: rehearsed.ledger.boxed(),
            evidence: Box::new(rehearsed.evidence),
            about: None,
            rules: Source::Repository(world),
        })
    }

    /// The ledger, the evidence and the rules in a bundle.
    pub fn of_bundle(bundle: &Bundle, expected: &Expectations) -> Result<Self, Failure> {
        let refuse = |error: &dyn std::error::Error| Failure::of(Exit::NotVerified, error);
        let store = MemoryStore::of_tree(bundle.under(bundle::LEDGER));
        let store: Box<dyn LedgerStore> = Box::new(store.map_err(|error| refuse(&error))?);
        let ledger = Ledger::open(store, expected).map_err(|error| refuse(&error))?;
        let evidence = evidence::MemoryStore::new();
        for (name, bytes) in bundle.under(bundle::EVIDENCE) {
            let digest = evidence::Store::put(&evidence, &bytes)?;
            if name != digest.to_string() {
                return Err(Failure::new(
                    Exit::NotVerified,
                    format!("the evidence `{name}` in the bundle has the digest {digest}"),
                )
                .hint("It was altered; fetch the bundle again."));
            }
        }
        Ok(Self {
            ledger,
            evidence: Box::new(evidence),
            about: Some(bundle.about.clone()),
            rules: Source::Folder(unpack_rules(bundle)?),
        })
    }

    /// The rules that `pins` name.
    pub fn rules(&self, pins: &Pins) -> Result<Rules, Failure> {
        match &self.rules {
            Source::Folder(folder) => {
                let world = World { root: folder.path().to_owned() };
                let found = world.pins()?;
                if (&found.pipeline, &found.stages) != (&pins.pipeline, &pins.stages) {
                    return Err(Failure::new(
                        Exit::NotVerified,
                        "the rules in the bundle are not those that the ledger's entry pins",
                    )
                    .hint("They were altered; fetch the bundle again."));
                }
                Ok(Rules { world, _copy: None })
            }
            Source::Repository(world) => {
                let now = world.pins()?;
                if (&now.pipeline, &now.stages) == (&pins.pipeline, &pins.stages) {
                    return Ok(Rules { world: world.clone(), _copy: None });
                }
                let copy = scratch()?;
                let git = GitStore::open(&world.root)?;
                for (name, id) in [("pipeline", &pins.pipeline), ("stages", &pins.stages)] {
                    git.write_definition(id, &copy.path().join(name)).map_err(|error| {
                        Failure::of(Exit::NotVerified, &error).hint(
                            "Without the rules that were in use, nothing can be judged again.",
                        )
                    })?;
                }
                Ok(Rules { world: World { root: copy.path().to_owned() }, _copy: Some(copy) })
            }
        }
    }
}

fn unpack_rules(bundle: &Bundle) -> Result<TempDir, Failure> {
    let folder = scratch()?;
    for (path, bytes) in bundle.under(bundle::RULES) {
        let target = folder.path().join(&path);
        let written = target.parent().map_or(Ok(()), std::fs::create_dir_all);
        let mode = if bundle.is_program(bundle::RULES, &path) { 0o755 } else { 0o644 };
        let written = written.and_then(|()| {
            std::fs::write(&target, bytes)?;
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode))
        });
        written.map_err(|error| Failure::file("write", &target, &error))?;
    }
    Ok(folder)
}

fn scratch() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("phasegate-").tempdir();
    made.map_err(|error| Failure::file("make", &std::env::temp_dir(), &error))
}
