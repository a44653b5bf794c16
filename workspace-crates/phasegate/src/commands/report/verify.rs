//! `report verify`: a ledger by itself, and a report, its freshness and its evidence against it.

use std::path::{Path, PathBuf};

use base::Digest;
use ledger::{Expectations, GitStore, Ledger, VerifiedLedger};
use serde::Serialize;

use super::check::{self, FoundEvidence, FoundReport, ReportFiles};
use super::{heads, split};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::material::{AnyLedger, Material, read_bundle};
use crate::output::{Format, count, print, print_json, say};
use crate::world::{self, CLOCK_SKEW, World};
use report::bundle::Bundle;

/// What `report verify` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a report, or a bundle; without it only the ledger is verified
    report: Option<PathBuf>,
    /// The repository with the ledger [default: the bundle, or this repository]
    #[arg(long, value_name = "REPOSITORY")]
    ledger: Option<PathBuf>,
    /// Digest of the genesis entry, as published out of band
    #[arg(long, value_name = "SHA256")]
    genesis: Option<Digest>,
    /// Remember the newest entry in this file, and refuse a ledger that lost or replaced it
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
    /// Another copy of the ledger: if the two contradict each other, both entries are the proof
    #[arg(long, value_name = "REPOSITORY")]
    against: Option<PathBuf>,
    /// Check that this folder has the evidence of the report, unaltered
    #[arg(long, value_name = "DIR", requires = "report")]
    evidence: Option<PathBuf>,
    /// Refuse a report that a newer one has replaced, or should have by now
    #[arg(long, requires = "report")]
    fresh: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What was found, for programs.
#[derive(Serialize)]
struct Found<'a> {
    genesis: Digest,
    head: Digest,
    entries: usize,
    roles_version: u32,
    solo: bool,
    report: Option<&'a FoundReport>,
    evidence: Option<&'a FoundEvidence>,
}

/// A ledger, and the evidence that came with it.
type Opened = (AnyLedger, Option<Box<dyn evidence::Store>>);

/// Verifies what `args` name.
pub fn run(world: impl FnOnce() -> Result<World, Failure>, args: &Args) -> Outcome {
    let now = world::now();
    let bundle = match &args.report {
        Some(path) if path.is_file() => Some(read_bundle(path)?),
        _ => None,
    };
    let expected = Expectations {
        genesis: args.genesis,
        not_after: Some(now + CLOCK_SKEW),
        ..Expectations::default()
    };
    let (ledger, carried) = opened(args, bundle.as_ref(), &expected, world)?;
    let view = ledger.view();
    if let Some(file) = &args.remember {
        heads::check(file, view)?;
    }
    let human = args.format == Format::Human;
    if human {
        show_ledger(view)?;
    }
    let report = report_files(args, bundle.as_ref());
    let report = report.map(|files| check::report(&files, view, now)).transpose()?;
    let store = match &args.evidence {
        Some(folder) if !folder.is_dir() => {
            let path = folder.display();
            return Err(Failure::new(Exit::File, format!("there is no folder {path}")));
        }
        Some(folder) => {
            Some(Box::new(evidence::DirStore::open(folder.clone())?) as Box<dyn evidence::Store>)
        }
        None => carried,
    };
    let evidence = match (&report, &store) {
        (Some(found), Some(store)) => Some(check::evidence(&**store, &ledger, found.evaluation)?),
        _ => None,
    };
    if human && let Some(found) = &report {
        show_report(found, evidence.as_ref())?;
    }
    if let Some(other) = &args.against {
        split::compare(&ledger, &open(other, &Expectations::default())?, args.format)?;
    }
    if let Some(file) = &args.remember {
        heads::remember(file, view)?;
    }
    if !human {
        print_json(&Found {
            genesis: view.genesis().digest,
            head: view.last().digest,
            entries: view.len(),
            roles_version: view.roles().version,
            solo: view.is_solo(),
            report: report.as_ref(),
            evidence: evidence.as_ref(),
        })?;
    }
    check::demand(report.as_ref().filter(|_| args.fresh), evidence.as_ref())
}

fn opened(
    args: &Args,
    bundle: Option<&Bundle>,
    expected: &Expectations,
    world: impl FnOnce() -> Result<World, Failure>,
) -> Result<Opened, Failure> {
    match (&args.ledger, bundle) {
        (Some(path), _) => Ok((open(path, expected)?, None)),
        (None, Some(bundle)) => {
            let Material { ledger, evidence, .. } = Material::of_bundle(bundle, expected)?;
            Ok((ledger, Some(evidence)))
        }
        (None, None) => {
            let named = "Name the clone of the ledger with --ledger, or run this in a repository with definitions.";
            let world = world().map_err(|failure| failure.hint(named))?;
            Ok((open(&world.root, expected)?, None))
        }
    }
}

/// Opens the ledger of a repository, or of a bundle.
fn open(path: &Path, expected: &Expectations) -> Result<AnyLedger, Failure> {
    if path.is_file() {
        return Ok(Material::of_bundle(&read_bundle(path)?, expected)?.ledger);
    }
    let ledger = Ledger::open(GitStore::open(path)?, expected).map_err(|error| match error {
        ledger::Error::Empty => Failure::new(
            Exit::Ledger,
            format!("{} has no ledger (branch `phase-ledger`)", path.display()),
        )
        .hint("Fetch it: `git fetch origin phase-ledger:phase-ledger`, or name it with --ledger."),
        error => Failure::of(Exit::NotVerified, &error).hint(
            "Fetch the branch again from where it is published, and compare the genesis digest.",
        ),
    })?;
    Ok(ledger.boxed())
}

fn report_files(args: &Args, bundle: Option<&Bundle>) -> Option<ReportFiles> {
    let Some(bundle) = bundle else { return args.report.clone().map(ReportFiles::Folder) };
    let folder = bundle.about.report.as_ref();
    if folder.is_none() {
        say("No report of this evaluation was announced; the bundle has its evidence only.");
    }
    folder.map(|folder| ReportFiles::of_bundle(bundle, folder))
}

fn show_ledger(view: &VerifiedLedger) -> Result<(), Failure> {
    print(&format!(
        "ledger    {} entries verify, genesis {}, head {}\n",
        view.len(),
        view.genesis().digest,
        view.last().digest
    ))?;
    if view.is_solo() {
        say("One person signs alone in this ledger (policy `solo`).");
    }
    Ok(())
}

fn show_report(found: &FoundReport, evidence: Option<&FoundEvidence>) -> Result<(), Failure> {
    let mut lines: Vec<String> =
        found.files.iter().map(|name| format!("file      {name} is what was signed")).collect();
    let result = match found.result {
        ledger::vsa::VerificationResult::Passed => "PASSED",
        ledger::vsa::VerificationResult::Failed => "FAILED",
    };
    lines.push(format!(
        "statement {} {result}, judged at {}, signed by {}",
        found.resource, found.judged_at, found.signed_by
    ));
    match found.announced {
        Some(announced) => {
            lines.push(format!("published in entry {} at {}", announced.seq, announced.at));
        }
        None => say("The ledger has not announced this report; it is signed but not published."),
    }
    let freshness = match (&found.newer, found.valid_until) {
        (Some(week), _) => format!("not the newest: {week} was judged later"),
        (None, None) => "the newest here; it does not say until when it stands".to_owned(),
        (None, Some(until)) if found.is_overdue => {
            format!("the newest here, but it stood until {until}")
        }
        (None, Some(until)) => format!("the newest, and it stands until {until}"),
    };
    lines.push(format!("age       {}; {freshness}", age(found.age)));
    if let Some(evidence) = evidence {
        let all = evidence.at_hand + evidence.missing.len();
        let pieces = count(all, "piece", "pieces");
        lines.push(format!("evidence  {} of {pieces} are at hand, unaltered", evidence.at_hand));
    }
    for line in lines {
        print(&format!("{line}\n"))?;
    }
    Ok(())
}

/// An age as people say it: whole days from two days on.
fn age(age: base::Duration) -> String {
    match age.hours() {
        hours if hours >= 48.0 => format!("{:.0} days", (hours / 24.0).floor()),
        _ => age.to_string(),
    }
}
