//! `report`: build, verify and publish reports.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base::{Digest, Instant, VerdictKind};
use clap::Subcommand;
use definition::Pipeline;
use ledger::keys::PublicKey;
use ledger::statement::Statement;
use ledger::vsa::{VSA_PREDICATE_TYPE, VerificationSummary};
use ledger::{Expectations, GitStore, Ledger, LedgerStore, REPORT_NAMESPACE, Roles};
use serde::Deserialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::session::Session;
use crate::world::{Global, World};

/// The statement of a report, and its signature.
const STATEMENT: &str = "statement.json";
const SIGNATURE: &str = "statement.json.sig";
/// A statement larger than this is not read.
const STATEMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Build, verify and publish reports
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
    /// Verify a ledger, and a report against it: chain, signatures, roles, digests
    #[command(after_help = "Examples:
  cargo xtask report verify
  cargo xtask report verify rehearsal/reports/2026-W03 --ledger rehearsal/ledger.git
  cargo xtask report verify --genesis 3b0c…")]
    Verify {
        /// The folder of a report; without it only the ledger is verified
        report: Option<PathBuf>,
        /// The repository with the ledger [default: this one]
        #[arg(long, value_name = "REPOSITORY")]
        ledger: Option<PathBuf>,
        /// Digest of the genesis entry, as published out of band
        #[arg(long, value_name = "SHA256")]
        genesis: Option<Digest>,
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
        Command::Verify { report, ledger, genesis } => {
            let repository = match ledger {
                Some(path) => path.clone(),
                None => World::find(global)?.root,
            };
            verify(report.as_deref(), &repository, *genesis)
        }
    }
}

fn build(world: &World, out: &Path) -> Outcome {
    let (mut session, ledger) = Session::open(world, None)?;
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

fn verify(report: Option<&Path>, repository: &Path, genesis: Option<Digest>) -> Outcome {
    let expected = Expectations { genesis, ..Expectations::default() };
    let store = GitStore::open(repository)?;
    let ledger = Ledger::open(store, &expected).map_err(|error| match error {
        ledger::Error::Empty => Failure::new(
            Exit::Ledger,
            format!("{} has no ledger (branch `phase-ledger`)", repository.display()),
        )
        .hint("Fetch it: `git fetch origin phase-ledger:phase-ledger`, or name it with --ledger."),
        error => Failure::of(Exit::NotVerified, &error).hint(
            "Fetch the branch again from where it is published, and compare the genesis digest.",
        ),
    })?;
    let view = ledger.view();
    print(&format!(
        "ledger    {} entries verify, genesis {}, head {}\n",
        view.len(),
        view.genesis().digest,
        view.last().digest
    ))?;
    if view.is_solo() {
        say("One person signs alone in this ledger (policy `solo`).");
    }
    if let Some(folder) = report {
        verify_report(folder, view.roles())?;
        verify_published(folder, &ledger)?;
    }
    Ok(Exit::Done)
}

/// The signature is by a member of `evaluator`, and every file is what the statement says.
fn verify_report(folder: &Path, roles: &Roles) -> Result<(), Failure> {
    let statement = read(&folder.join(STATEMENT), STATEMENT_BYTES_MAX)?;
    let signature = read(&folder.join(SIGNATURE), STATEMENT_BYTES_MAX)?;
    let refuse = |why: String| Failure::new(Exit::NotVerified, why);
    let (signer, _) = keys_of(roles, "evaluator")
        .into_iter()
        .find(|(_, key)| {
            let keys = std::slice::from_ref(key);
            ledger::sshsig::verify_detached(keys, REPORT_NAMESPACE, &statement, &signature).is_ok()
        })
        .ok_or_else(|| {
            refuse(format!("{} is not signed by an evaluator of this ledger", folder.display()))
                .hint("It was altered, or made by somebody else, or belongs to another ledger.")
        })?;
    let parsed: Statement<VerificationSummary> =
        ledger::parse_strict(&statement, STATEMENT_BYTES_MAX as usize)
            .map_err(|error| refuse(format!("{STATEMENT} is not a statement: {error}")))?;
    parsed.check(VSA_PREDICATE_TYPE).map_err(|error| refuse(error.to_string()))?;
    for subject in &parsed.subject {
        let name = subject.name.as_deref().unwrap_or_default();
        // The name comes from a file that somebody sent: it must be a plain file name.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            return Err(refuse(format!("`{name}` is not the name of a report's file")));
        }
        let path = folder.join(name);
        let bytes = read(&path, ledger::store::REPORT_BYTES_MAX as u64)?;
        let found = Digest::of(&bytes).to_string();
        if subject.digest.get("sha256") != Some(&found) {
            return Err(refuse(format!("{} is not what was signed", path.display()))
                .hint("Fetch the report again."));
        }
        print(&format!("file      {name} is what was signed\n"))?;
    }
    let result = match parsed.predicate.verification_result {
        ledger::vsa::VerificationResult::Passed => "PASSED",
        ledger::vsa::VerificationResult::Failed => "FAILED",
    };
    print(&format!(
        "statement {} {result}, judged at {}, signed by {signer}\n",
        parsed.predicate.resource_uri, parsed.predicate.time_verified
    ))?;
    Ok(())
}

/// The ledger announced a report with exactly these files.
fn verify_published<S: LedgerStore>(folder: &Path, ledger: &Ledger<S>) -> Result<(), Failure> {
    let digest = Digest::of(&read(&folder.join(STATEMENT), STATEMENT_BYTES_MAX)?).to_string();
    let announced = ledger.view().iter().find(|verified| match &verified.entry.body {
        ledger::Body::Event(event) => event.detail["files"][STATEMENT] == digest.as_str(),
        _ => false,
    });
    match announced {
        Some(verified) => {
            print(&format!(
                "published in entry {} at {}\n",
                verified.entry.seq, verified.entry.time
            ))?;
        }
        None => say("The ledger has not announced this report; it is signed but not published."),
    }
    Ok(())
}

fn keys_of(roles: &Roles, role: &str) -> Vec<(String, PublicKey)> {
    let members = roles.roles.get(role).map(|role| role.of.as_slice()).unwrap_or_default();
    let principals = members.iter().filter_map(|id| roles.principal(id));
    principals
        .flat_map(|principal| {
            let keys = principal.keys.iter().filter_map(|key| PublicKey::parse(key).ok());
            keys.map(|key| (principal.id.to_string(), key))
        })
        .collect()
}

/// Reads a file of a folder that somebody sent: a plain one, and no more of it than is allowed.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let refuse = |why| Failure::new(Exit::NotVerified, format!("{} {why}", path.display()));
    // A link or a pipe could lead anywhere, and could have no end.
    if !std::fs::symlink_metadata(path).map_err(failed)?.is_file() {
        return Err(refuse("is not a plain file"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(refuse("is too large"));
    }
    Ok(bytes)
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
