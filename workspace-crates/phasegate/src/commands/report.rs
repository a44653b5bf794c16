//! `report`: build, verify and publish reports.

mod bundle;
mod check;
mod heads;
pub mod recompute;
mod split;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::{Instant, VerdictKind};
use clap::Subcommand;
use definition::Pipeline;
use ledger::LedgerStore;
use serde::Deserialize;

use self::check::STATEMENT;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::material::{Material, Where, Which};
use crate::output::{Format, print};
use crate::session::Session;
use crate::world::{Global, World};

/// Build, verify, recompute and publish reports
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build and sign the report of the newest evaluation
    #[command(after_help = "Example:
  cargo xtask report build --out report")]
    Build {
        /// The folder that the files are written to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Verify a ledger, and a report against it: chain, roles, digests, age
    #[command(after_help = "Examples:
  cargo xtask report verify
  cargo xtask report verify rehearsal/reports/2026-W03 --ledger rehearsal/ledger.git
  cargo xtask report verify 2026-W03.tar --genesis 3b0c… --remember heads.json
  cargo xtask report verify --ledger mine --against theirs")]
    Verify(verify::Args),
    /// Judge an evaluation again from its evidence, and compare the bytes
    #[command(after_help = "Examples:
  cargo xtask report recompute
  cargo xtask report recompute 2026-W03.tar
  cargo xtask report recompute --rehearsal rehearsal --all")]
    Recompute {
        #[command(flatten)]
        from: Where,
        #[command(flatten)]
        which: Which,
        /// Judge every evaluation of the ledger again
        #[arg(long, conflicts_with_all = ["week", "entry", "bundle"])]
        all: bool,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write ledger, evidence and rules of one evaluation to a file, for use offline
    #[command(after_help = "Examples:
  cargo xtask report bundle --out 2026-W03.tar --week 2026-W03
  cargo xtask report bundle --out newest.tar --rehearsal rehearsal")]
    Bundle {
        /// The file that is written
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The folder of a rehearsal [default: this repository]
        #[arg(long, value_name = "DIR")]
        rehearsal: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
    /// Write every report of the ledger, and an index page, as a site
    #[command(after_help = "Example:
  cargo xtask report site --out site")]
    Site {
        /// The folder that the site is written to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Carries out a command of `report`.
pub fn run(global: &Global, command: &Command) -> Outcome {
    match command {
        Command::Build { out } => build(&World::find(global)?, out),
        Command::Site { out } => site(&World::find(global)?, out),
        Command::Verify(args) => verify::run(|| World::find(global), args),
        Command::Recompute { from, which, all, format } => {
            let material = Material::open(from, || World::find(global))?;
            recompute::run(&material, which, *all, *format)
        }
        Command::Bundle { out, rehearsal, which } => {
            let from = Where { bundle: None, rehearsal: rehearsal.clone() };
            bundle::run(&Material::open(&from, || World::find(global))?, which, out)
        }
    }
}

/// Writes one file as the files of reports are written: no reader sees it torn.
fn write_file(path: &Path, bytes: Vec<u8>) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let files = BTreeMap::from([(name, bytes)]);
    Ok(engine::write_files(folder.unwrap_or(Path::new(".")), &files)?)
}

fn build(world: &World, out: &Path) -> Outcome {
    let (mut session, ledger) = Session::open_to_judge(world, None)?;
    let engine = session.engine(ledger)?;
    let state = engine.state();
    let Some(judged) = state.evaluations.last() else {
        return Err(Failure::new(Exit::NotNow, "nothing was judged yet")
            .hint("`cargo xtask phase evaluate` judges and records."));
    };
    let files = engine.report(&state, judged)?;
    engine::write_files(out, &files)?;
    for name in files.keys() {
        print(&format!("{}\n", out.join(name).display()))?;
    }
    Ok(Exit::Done)
}

fn site(world: &World, out: &Path) -> Outcome {
    let ledger = world.ledger()?;
    let store = ledger.store();
    let mut folders: BTreeMap<String, engine::Files> = BTreeMap::new();
    for path in store.list_files("reports")? {
        // An evaluation that was not announced is no report.
        let mut parts = path.split('/').skip(1);
        let (Some(folder), Some(name)) = (parts.next(), parts.next()) else { continue };
        if let Some(bytes) = store.read_file(&path)? {
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), bytes);
        }
    }
    for (folder, files) in folders.iter().filter(|(_, files)| files.contains_key(STATEMENT)) {
        engine::write_files(&out.join(folder), files)?;
    }
    let definitions = world.definitions(&definition::Overrides::default())?;
    let pipeline = crate::world::pipeline(&definitions, Some(ledger.view().pipeline()))?;
    write_site(out, pipeline)?;
    print(&format!("{}\n", out.join("index.html").display()))
}

/// The part of a report that the index page shows.
#[derive(Deserialize)]
struct Head {
    at: Instant,
    week: String,
    title: String,
    verdict: HeadVerdict,
}

#[derive(Deserialize)]
struct HeadVerdict {
    kind: Option<VerdictKind>,
    sentence: String,
}

/// Writes the index page over all reports in `folder`.
pub fn write_site(folder: &Path, pipeline: &Pipeline) -> Result<(), Failure> {
    let mut entries = Vec::new();
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    let found = std::fs::read_dir(folder).map_err(|error| Failure::file("read", folder, &error))?;
    for entry in found {
        let entry = entry.map_err(|error| Failure::file("read", folder, &error))?;
        let path = entry.path().join(report::JSON_FILE);
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(Exit::File, format!("{} is not a report: {error}", path.display()))
        })?;
        entries.push(report::site::Entry {
            at: head.at,
            week: head.week,
            title: head.title,
            verdict: head.verdict.kind,
            sentence: head.verdict.sentence,
            folder: entry.file_name().to_string_lossy().into_owned(),
        });
    }
    tracing::debug!(pipeline = %pipeline.id, reports = entries.len(), "writing the index page");
    let page = report::site::index(&entries).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let files = BTreeMap::from([("index.html".to_owned(), page.into_bytes())]);
    Ok(engine::write_files(folder, &files)?)
}
