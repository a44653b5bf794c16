//! `samples`: look after archives of samples, and exchange samples with other tools.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use base::{Duration, Instant};
use clap::{Subcommand, ValueEnum};
use samples::archive::{self, BlockInfo, Damage, Scrape};
use samples::formats::exposition::{Dialect, Exposition, parse};
use samples::formats::{FormatError, Grouper, SeriesSamples, openmetrics};
use samples::{Archive, ArchiveError};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, count, print, print_json, say, table};
use crate::queries::{Origin, times};
use crate::serving::selector::Selectors;
use crate::world::Global;

/// Look after archives of samples; bring samples in and out
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What an archive holds
    #[command(after_help = "Example:
  cargo xtask samples info archive")]
    Info {
        /// The archive
        archive: PathBuf,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check every byte of an archive
    #[command(after_help = "Example:
  cargo xtask samples verify archive")]
    Verify {
        /// The archive
        archive: PathBuf,
    },
    /// Merge small blocks; with --step, keep only one sample of each step
    #[command(after_help = "Examples:
  cargo xtask samples compact archive
  cargo xtask samples compact archive --step 5m --before -30d --dry-run")]
    Compact {
        /// The archive
        archive: PathBuf,
        /// Keep the last sample of each step; the others are removed
        #[arg(long, value_name = "DURATION")]
        step: Option<Duration>,
        /// Touch only what ends by this instant
        #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
        before: Option<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Remove what is older than a length of time, counted from the newest sample
    #[command(after_help = "Example:
  cargo xtask samples retain archive --keep 90d --dry-run")]
    Retain {
        /// The archive
        archive: PathBuf,
        /// How much is kept
        #[arg(long, value_name = "DURATION")]
        keep: Duration,
        #[command(flatten)]
        consent: Consent,
    },
    /// Write samples in the format of another tool
    #[command(after_help = "Examples:
  cargo xtask samples export --deployment phase-1.internal.1 --out samples.txt
  cargo xtask samples export --samples archive --match 'up{role=\"prover\"}' --range -6h..now --out up.txt")]
    Export(ExportArgs),
    /// Bring samples of a text file into an archive, which is made when there is none
    #[command(after_help = "Examples:
  cargo xtask samples import archive --from samples.txt
  cargo xtask samples import archive --from metrics.prom --text --at 2026-01-08T15:00:00Z")]
    Import {
        /// The archive
        archive: PathBuf,
        /// The file
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The file is in Prometheus' text format, not in OpenMetrics
        #[arg(long)]
        text: bool,
        /// The time of samples that state none
        #[arg(long, value_name = "INSTANT")]
        at: Option<Instant>,
    },
}

/// Whether something is removed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Consent {
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Remove samples; without it nothing is removed
    #[arg(long)]
    yes: bool,
}

/// What `samples export` is asked.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    origin: Origin,
    /// Only the series that this selector selects
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only the samples of this time [default: all]
    #[arg(long, value_name = "FROM..TO", allow_hyphen_values = true)]
    range: Option<String>,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    to: Target,
    /// The file that is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A format that samples are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// OpenMetrics text with times, which promtool and VictoriaMetrics import.
    #[default]
    Openmetrics,
    /// Apache Parquet, one row for each sample.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Carries out a command of `samples`.
pub fn run(global: &Global, command: &Command) -> Outcome {
    match command {
        Command::Info { archive, format } => info(archive, *format),
        Command::Verify { archive } => verify(archive),
        Command::Compact { archive, step, before, consent } => {
            compact(archive, *step, before.as_deref(), *consent)
        }
        Command::Retain { archive, keep, consent } => retain(archive, *keep, *consent),
        Command::Export(args) => export(global, args),
        Command::Import { archive, from, text, at } => import(archive, from, *text, *at),
    }
}

fn refused(error: ArchiveError) -> Failure {
    let failure = Failure::of(Exit::File, &error);
    match error {
        ArchiveError::NotAnArchive(_) => {
            failure.hint("`cargo xtask samples import` makes one; `--samples` of other commands takes single files, too.")
        }
        _ => failure,
    }
}

fn at(ms: i64) -> String {
    Instant::from_unix_millis(ms).to_string()
}

fn info(path: &Path, format: Format) -> Outcome {
    let info = archive::info(path).map_err(refused)?;
    if format == Format::Json {
        let extent = info.extent_ms.map(|(first, last)| [at(first), at(last)]);
        return print_json(&serde_json::json!({
            "samples": info.samples, "scrapes": info.scrapes, "series": info.series,
            "targets": info.targets, "families": info.families, "extent": extent,
            "log": { "scrapes": info.log_scrapes, "bytes": info.log_bytes },
            "blocks": info.blocks.iter().map(block_json).collect::<Vec<_>>(),
            "damage": info.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "leftovers": info.leftovers,
        }));
    }
    let mut text = format!(
        "{} in {} of {}\n",
        count(info.samples as usize, "sample", "samples"),
        count(info.series as usize, "series", "series"),
        count(info.targets as usize, "target", "targets"),
    );
    if let Some((first, last)) = info.extent_ms {
        text.push_str(&format!("from {} to {}\n", at(first), at(last)));
    }
    let log = count(info.log_scrapes as usize, "scrape", "scrapes");
    text.push_str(&format!("log: {log}, {} bytes\n", info.log_bytes));
    if let Some(bytes) = info.bytes_per_sample() {
        text.push_str(&format!("blocks: {bytes:.2} bytes for each sample\n"));
    }
    if !info.blocks.is_empty() {
        text.push_str(&blocks(&info.blocks));
    }
    print(&text)?;
    tell_damage(&info.damage);
    Ok(Exit::Done)
}

fn block_json(block: &BlockInfo) -> serde_json::Value {
    serde_json::json!({
        "file": block.file, "from": at(block.from_ms), "until": at(block.to_ms),
        "step": block.step_ms.map(|step| Duration::from_millis(step).to_string()),
        "samples": block.samples, "bytes": block.bytes,
    })
}

fn blocks(blocks: &[BlockInfo]) -> String {
    let rows = blocks.iter().map(|block| {
        vec![
            block.file.clone(),
            at(block.from_ms),
            at(block.to_ms),
            block.step_ms.map_or("all".to_owned(), |step| Duration::from_millis(step).to_string()),
            block.samples.map_or("unreadable".to_owned(), |samples| samples.to_string()),
            block.bytes.to_string(),
        ]
    });
    table(&["block", "from", "until", "step", "samples", "bytes"], rows)
}

fn tell_damage(damage: &[Damage]) {
    for one in damage {
        say(format!("damaged: {one}"));
    }
}

fn verify(path: &Path) -> Outcome {
    let found = archive::verify(path).map_err(refused)?;
    print(&format!(
        "{} with {}, and {} in the log\n",
        count(found.blocks as usize, "block", "blocks"),
        count(found.block_samples as usize, "sample", "samples"),
        count(found.log_scrapes as usize, "scrape", "scrapes"),
    ))?;
    if found.cut_bytes > 0 {
        say(format!(
            "The log ends in {} of an unfinished scrape, which is no damage.",
            count(found.cut_bytes as usize, "byte", "bytes")
        ));
    }
    if found.damage.is_empty() {
        say("Every byte is as it was written.");
        return Ok(Exit::Done);
    }
    tell_damage(&found.damage);
    let what = count(found.damage.len(), "part", "parts");
    Err(Failure::new(Exit::NotVerified, format!("{} is damaged in {what}", path.display()))
        .hint("Take the files from a copy; queries that touch what is damaged fail until then."))
}

fn compact(path: &Path, step: Option<Duration>, before: Option<&str>, consent: Consent) -> Outcome {
    let usage = |error| Failure::new(Exit::Usage, error);
    let step_ms = step.map(|step| step.millis());
    if step_ms.is_some_and(|step| step <= 0) {
        return Err(usage("the step must be at least a millisecond".to_owned()));
    }
    let before = before.map(|text| times::instant(text, crate::world::now())).transpose();
    let before_ms = before.map_err(usage)?.map(Instant::unix_millis);
    // Merging alone loses nothing.
    let asks = step_ms.is_some() && !consent.yes;
    let done =
        archive::compact(path, step_ms, before_ms, consent.dry_run || asks).map_err(refused)?;
    if done.merges.is_empty() {
        say("There is nothing to compact.");
        return Ok(Exit::Done);
    }
    let from: Vec<BlockInfo> = done.merges.iter().flat_map(|merge| merge.from.clone()).collect();
    let to: Vec<BlockInfo> = done.merges.iter().filter_map(|merge| merge.to.clone()).collect();
    print(&blocks(if to.is_empty() { &from } else { &to }))?;
    tell_damage(&done.damage);
    let (old, new) =
        (count(from.len(), "block", "blocks"), count(done.merges.len(), "block", "blocks"));
    if !done.dry_run {
        say(format!("{old} became {new}."));
        return Ok(Exit::Done);
    }
    say(format!("These {old} would become {new}."));
    consent.needed(asks)
}

fn retain(path: &Path, keep: Duration, consent: Consent) -> Outcome {
    if !keep.is_positive() {
        return Err(Failure::new(Exit::Usage, "what is kept must be longer than nothing"));
    }
    let done = archive::retain(path, keep.millis(), !consent.yes).map_err(refused)?;
    let Some(cutoff) = done.cutoff_ms else {
        say("The archive is empty.");
        return Ok(Exit::Done);
    };
    if done.blocks.is_empty() && done.damage.is_empty() {
        say(format!("No block lies wholly before {}; nothing is removed.", at(cutoff)));
        return Ok(Exit::Done);
    }
    print(&blocks(&done.blocks))?;
    tell_damage(&done.damage);
    let all = count(done.blocks.len(), "block", "blocks");
    if !done.dry_run {
        say(format!("{all} before {} were removed.", at(cutoff)));
        return Ok(Exit::Done);
    }
    say(format!("{all} before {} would be removed.", at(cutoff)));
    consent.needed(true)
}

impl Consent {
    /// Nothing was done: because nothing should be, or because nobody agreed.
    fn needed(self, removes: bool) -> Outcome {
        match removes && !self.dry_run {
            false => Ok(Exit::Done),
            true => Err(Failure::new(Exit::Usage, "samples would be removed; nothing was done")
                .hint("Say --yes to remove them, or --dry-run to look only.")),
        }
    }
}

fn export(global: &Global, args: &ExportArgs) -> Outcome {
    let usage = |error| Failure::new(Exit::Usage, error);
    let sampled = args.origin.open(global)?.sampled();
    let matchers = args.selector.as_deref().map(Selectors::one).transpose().map_err(usage)?;
    let range = args.range.as_deref().map(|text| times::range(text, sampled.now)).transpose();
    let span = match range.map_err(usage)? {
        // The first instant belongs to it.
        Some((from, until)) => (from.unix_millis().saturating_sub(1), until.unix_millis()),
        None => (i64::MIN, i64::MAX),
    };
    let refuse = |error: &std::io::Error| Failure::file("write", &args.out, error);
    let file = File::create_new(&args.out).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            refuse(&error).hint("Name a file that is not there yet; nothing is replaced.")
        }
        _ => refuse(&error),
    })?;
    let mut out = BufWriter::new(file);
    let matchers = matchers.unwrap_or_default();
    let written = match args.to {
        Target::Openmetrics => {
            let families = std::collections::BTreeMap::new();
            openmetrics::write(sampled.source(), &matchers, span, &families, &mut out)
        }
        #[cfg(feature = "parquet")]
        Target::Parquet => {
            samples::formats::parquet::write(sampled.source(), &matchers, span, &mut out)
        }
    };
    let written = written.map_err(|error| {
        Failure::new(Exit::File, format!("cannot write {}: {error}", args.out.display()))
    })?;
    out.flush().map_err(|error| refuse(&error))?;
    print(&format!(
        "{} of {}\n",
        count(written.samples as usize, "sample", "samples"),
        count(written.series as usize, "series", "series")
    ))?;
    if written.stale > 0 {
        say(format!("{} ends of series cannot be expressed and were left out.", written.stale));
    }
    if written.samples == 0 {
        say("No series was selected; the file has no samples.");
    }
    Ok(Exit::Done)
}

fn import(path: &Path, from: &Path, text: bool, at: Option<Instant>) -> Outcome {
    let bytes = std::fs::read(from).map_err(|error| Failure::file("read", from, &error))?;
    let dialect = if text { Dialect::Prometheus } else { Dialect::OpenMetrics };
    let exposition = parse(&bytes, dialect).map_err(|error| {
        let failure = Failure::new(Exit::File, format!("cannot use {}: {error}", from.display()));
        match error {
            FormatError::Cut => {
                failure.hint("Prometheus' own text format has no such end; say --text for it.")
            }
            _ => failure,
        }
    })?;
    drop(bytes);
    let series = timed(&exposition, at)?;
    for error in exposition.errors.listed() {
        say(format!("left out: {error}"));
    }
    let (mut archive, opening) = Archive::open(path).map_err(refused)?;
    tell_damage(&opening.damage);
    for group in Grouper::new().group(series) {
        let target = archive.target(&group.series).map_err(refused)?;
        let scrapes: Vec<Scrape<'_>> = group
            .rows
            .iter()
            .map(|(t_ms, values)| Scrape { target, t_ms: *t_ms, values })
            .collect();
        for refusal in
            archive.append_all(&scrapes).map_err(refused)?.into_iter().filter_map(Result::err)
        {
            tracing::debug!(%refusal, "a scrape was refused");
        }
    }
    archive.sync().map_err(refused)?;
    let counts = archive.counts();
    print(&format!(
        "{} stored, {} there already, {} refused\n",
        count((counts.new + counts.late) as usize, "scrape", "scrapes"),
        counts.duplicates,
        counts.refused
    ))?;
    let left_out = exposition.errors.count();
    if left_out > 0 || counts.refused > 0 {
        let lines = count(left_out as usize, "line", "lines");
        return Err(Failure::new(
            Exit::File,
            format!("{lines} could not be read and {} scrapes were refused; the rest is stored", counts.refused),
        )
        .hint("Scrapes are refused when newer ones of the same series are stored already; --verbose names lines and reasons."));
    }
    Ok(Exit::Done)
}

/// The samples of each series, with the time `at` where they state none.
fn timed(exposition: &Exposition, at: Option<Instant>) -> Result<Vec<SeriesSamples>, Failure> {
    let mut series: Vec<SeriesSamples> = exposition
        .series
        .iter()
        .map(|labels| SeriesSamples { labels: labels.clone(), samples: Vec::new() })
        .collect();
    for sample in &exposition.samples {
        let t_ms = sample.t_ms.or(at.map(Instant::unix_millis)).ok_or_else(|| {
            Failure::new(Exit::Usage, "the file has samples without a time")
                .hint("Say when they were taken with --at.")
        })?;
        series[sample.series].samples.push((t_ms, sample.value));
    }
    Ok(series)
}
