//! `bench ledger`: verifying a long ledger, beside git and OpenSSH over as many signatures; and
//! appending to it.
//!
//! The ledger is one that was appended to entry by entry, in a bare repository. The commits beside
//! it are as many, each signed for `git log --show-signature` to verify.

mod append;
mod build;
mod peer;
mod recompute;
mod table;

use std::path::Path;
use std::time::Instant as Clock;

use ledger::{Expectations, GitStore, Ledger};
use serde::{Deserialize, Serialize};

use self::append::Latency;
use self::table::Report;
use super::machine::{self, median};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, print, print_json, say};
use crate::world::{Global, World};

/// Measure the ledger: verifying it beside git, appending to it, judging again
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Entries of the ledger, and commits beside it
    #[arg(long, default_value_t = 5_000)]
    entries: usize,
    /// Runs whose median is shown
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Appends that are timed, with and without waiting for the disk
    #[arg(long, default_value_t = 100)]
    appends: usize,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// A process of its own verifies the ledger in this repository
    #[arg(long, hide = true)]
    child: Option<std::path::PathBuf>,
}

/// One process that opened and verified the ledger twice.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Verified {
    entries: usize,
    signatures: usize,
    first_ms: f64,
    second_ms: f64,
    /// Processor time of the second time, on all cores.
    processor_ms: f64,
    peak_bytes: u64,
    /// Whether the system had forgotten the files before the first time.
    files_forgotten: bool,
}

/// Measures and prints; judges nothing.
pub fn run(global: &Global, args: &Args) -> Outcome {
    if let Some(repository) = &args.child {
        return print_json(&verify_twice(repository)?);
    }
    if args.entries < 2 || args.runs == 0 || args.appends == 0 {
        return Err(Failure::new(Exit::Usage, "--entries is at least 2, the others at least 1"));
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::File, format!("cannot make a folder: {error}")))?;
    let report = measure(&World::find(global)?, args, folder.path())?;
    match args.format {
        Format::Human => print(&report.text()),
        Format::Json => print_json(&report),
    }
}

fn measure(world: &World, args: &Args, folder: &Path) -> Result<Report, Failure> {
    say(format!("Appending {} entries …", args.entries));
    let (ours, keys) = (folder.join("ledger.git"), build::Keys::new()?);
    build::ledger(&ours, &keys, args.entries)?;
    let verified = median_of(&ours, args.runs)?;

    say(format!("Signing {} commits …", args.entries));
    let theirs = folder.join("commits.git");
    peer::commits(&theirs, keys.evaluator(), args.entries)?;
    say("Letting git verify them …");
    let (git_ms, git_processor_ms) = peer::show_signatures(&theirs, args.entries)?;
    let ssh_keygen_ms = peer::verify_one(folder, keys.evaluator(), args.runs)?;

    say("Appending one by one …");
    let flushed = Latency::of(&ours, &keys, ledger::Durability::Flushed, args.appends)?;
    let buffered = Latency::of(&ours, &keys, ledger::Durability::Buffered, args.appends)?;
    say("Rehearsing a phase, and judging it again …");
    let recompute_ms = recompute::measure(world, folder, args.runs)?;
    Ok(Report {
        runs: args.runs,
        verified,
        repository_bytes: machine::folder_bytes(&ours),
        git_version: peer::version()?,
        git_ms,
        git_processor_ms,
        git_repository_bytes: machine::folder_bytes(&theirs),
        ssh_keygen_ms,
        flush_ms: append::flush_ms(folder, args.appends)?,
        flushed,
        buffered,
        recompute_ms,
    })
}

/// The median of several processes.
fn median_of(repository: &Path, runs: usize) -> Result<Verified, Failure> {
    let failed = |reason: String| Failure::new(Exit::Failed, format!("verifying: {reason}"));
    let mut all: Vec<Verified> = Vec::new();
    for _ in 0..runs {
        let text = duct::cmd!(super::this_program()?, "bench", "ledger", "--child", repository)
            .read()
            .map_err(|error| failed(error.to_string()))?;
        all.push(serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?);
    }
    let first = *all.first().ok_or_else(|| failed("nothing ran".to_owned()))?;
    let of = |figure: fn(&Verified) -> f64| median(all.iter().map(figure).collect());
    Ok(Verified {
        first_ms: of(|one| one.first_ms),
        second_ms: of(|one| one.second_ms),
        processor_ms: of(|one| one.processor_ms),
        peak_bytes: of(|one| one.peak_bytes as f64) as u64,
        files_forgotten: all.iter().all(|one| one.files_forgotten),
        ..first
    })
}

fn verify_twice(repository: &Path) -> Result<Verified, Failure> {
    let files_forgotten = machine::forget_files(repository);
    let once = || -> Result<(f64, Ledger<GitStore>), Failure> {
        let clock = Clock::now();
        let ledger = Ledger::open(GitStore::open(repository)?, &Expectations::default())?;
        Ok((milliseconds(clock), ledger))
    };
    let (first_ms, ledger) = once()?;
    // Before there are two of them in memory.
    let peak_bytes = machine::peak_bytes(std::process::id());
    let (before, _) = machine::processor_ms();
    let (second_ms, _) = once()?;
    let processor_ms = machine::processor_ms().0 - before;
    let signatures = ledger.view().iter().map(|one| one.signers.len()).sum();
    let entries = ledger.view().len();
    Ok(Verified {
        entries,
        signatures,
        first_ms,
        second_ms,
        processor_ms,
        peak_bytes,
        files_forgotten,
    })
}

fn milliseconds(clock: Clock) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}
