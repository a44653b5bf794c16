//! `bench promql`: our sample store and evaluator, beside the servers that people run.
//!
//! The same samples go into all of them. Each query is asked of a fresh process whose files the
//! system has forgotten, several times; the table has the medians, the ratios, and the goals. An
//! answer that differs from ours is named: a fast wrong answer is no answer.

mod data;
mod http;
mod load;

mod ours;
mod peer;
mod remote_write;
mod rows;
mod stored;
mod table;
mod text;

use std::path::{Path, PathBuf};
use std::time::Instant as Clock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::ours::{Measured, Written, milliseconds};
use self::peer::{Peer, Server};
use self::rows::{Dialect, ROWS, Row};
use self::table::{Figures, Report};
use crate::bench::machine;
use crate::bench::machine::median;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, print, print_json, say};

/// Measure the sample store and PromQL, beside Prometheus and VictoriaMetrics where installed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The part of the 428 nodes that takes part, such as 0.1
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Runs whose median is shown
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// A folder where loaded data stays, and is found the next time
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Measure only our own store
    #[arg(long)]
    alone: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What a process of its own measures: a way to take samples in, or the number of a row
    #[arg(long, hide = true, requires = "keep")]
    child: Option<String>,
}

/// Measures and prints; judges nothing.
pub fn run(args: &Args) -> Outcome {
    if !(args.scale > 0.0 && args.scale <= 1.0) || args.runs == 0 {
        return Err(Failure::new(
            Exit::Usage,
            "--scale is above 0 and at most 1, --runs at least 1",
        ));
    }
    if let (Some(task), Some(folder)) = (&args.child, &args.keep) {
        return run_child(task, folder, data::nodes(args.scale));
    }
    let temporary;
    let folder = match &args.keep {
        Some(folder) => folder.as_path(),
        None => {
            temporary = tempfile::tempdir()
                .map_err(|e| Failure::new(Exit::File, format!("cannot make a folder: {e}")))?;
            temporary.path()
        }
    };
    let report = Bench { args, folder, nodes: data::nodes(args.scale) }.report()?;
    match args.format {
        Format::Human => print(&report.text()),
        Format::Json => print_json(&report),
    }
}

fn run_child(task: &str, folder: &Path, nodes: usize) -> Outcome {
    match task.parse::<usize>() {
        Ok(row) => print_json(&ours::measure(folder, row)?),
        Err(_) => print_json(&ours::take_in(task, folder, nodes)?),
    }
}

struct Bench<'a> {
    args: &'a Args,
    folder: &'a Path,
    nodes: usize,
}

impl Bench<'_> {
    fn report(&self) -> Result<Report, Failure> {
        let (ours, samples) = self.our_figures()?;
        let mut peers = Vec::new();
        for peer in Peer::ALL.into_iter().filter(|_| !self.args.alone) {
            if machine::is_installed(peer.program()) {
                peers.push(self.figures_of(peer, &ours)?);
            } else {
                say(format!("skipped: {} (no {})", peer.name(), peer.program()));
            }
        }
        let (nodes, runs) = (self.nodes, self.args.runs);
        Ok(Report { nodes, samples, runs, ours, peers })
    }

    /// This program again, in a process of its own.
    fn child<T: DeserializeOwned>(&self, task: &str, folder: &Path) -> Result<T, Failure> {
        let scale = self.args.scale.to_string();
        let failed =
            |reason: String| Failure::new(Exit::Failed, format!("measuring {task}: {reason}"));
        let text = duct::cmd!(
            super::this_program()?,
            "bench",
            "promql",
            "--child",
            task,
            "--scale",
            scale,
            "--keep",
            folder
        )
        .read()
        .map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    fn our_figures(&self) -> Result<(Figures, u64), Failure> {
        let folder = self.folder.join("phasegate");
        let note = self.folder.join("phasegate.json");
        let written: Written = match read_note(&note, self.nodes) {
            Some(written) => written,
            None => {
                say("Writing our own store …");
                empty(&folder)?;
                let rate = |way: &str| self.child::<f64>(way, &folder);
                let written = Written {
                    nodes: self.nodes,
                    samples: (self.nodes * data::SCRAPES * data::SERIES) as u64,
                    array_samples_per_second: rate("arrays")?,
                    text_samples_per_second: rate("text")?,
                    archive_samples_per_second: rate("archive")?,
                    bytes_per_sample: stored::bytes_per_sample(&folder)?,
                };
                write_note(&note, &written)?;
                written
            }
        };
        let mut rows = Vec::new();
        for place in 0..ROWS.len() {
            let once = || self.child(&place.to_string(), &folder);
            rows.push(Some(self.median_of(once)?));
        }
        let figures = Figures {
            name: "Phasegate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bytes_per_sample: written.bytes_per_sample,
            samples_per_second: written.array_samples_per_second,
            durable_samples_per_second: written.archive_samples_per_second,
            text_samples_per_second: Some(written.text_samples_per_second),
            objections: rows.iter().map(|_| None).collect(),
            rows,
        };
        Ok((figures, written.samples))
    }

    fn figures_of(&self, peer: Peer, ours: &Figures) -> Result<Figures, Failure> {
        let folder = self.folder.join(peer.program());
        let loaded = load::load(peer, &folder, self.nodes)?;
        say(format!("Asking {} …", peer.name()));
        let (mut rows, mut objections) = (Vec::new(), Vec::new());
        for (row, own) in ROWS.iter().zip(&ours.rows) {
            match self.median_of(|| ask_once(peer, &folder, row)) {
                Ok(measured) => {
                    let own = own.as_ref().map_or(f64::NAN, |own| own.value);
                    let dialect = row.dialects[usize::from(peer == Peer::VictoriaMetrics)];
                    objections.push(objection(dialect, self.nodes, own, measured.value));
                    rows.push(Some(measured));
                }
                Err(failure) => {
                    objections.push(Some(failure.message));
                    rows.push(None);
                }
            }
        }
        Ok(Figures {
            name: peer.name().to_owned(),
            version: peer.version(),
            bytes_per_sample: loaded.bytes as f64 / loaded.samples as f64,
            samples_per_second: loaded.samples_per_second,
            durable_samples_per_second: loaded.samples_per_second,
            text_samples_per_second: Some(loaded.text_samples_per_second),
            rows,
            objections,
        })
    }

    /// The medians of several runs.
    fn median_of(
        &self,
        mut once: impl FnMut() -> Result<Measured, Failure>,
    ) -> Result<Measured, Failure> {
        let mut runs = Vec::new();
        for _ in 0..self.args.runs {
            runs.push(once()?);
        }
        let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        Ok(Measured {
            value: of(|run| run.value),
            open_ms: of(|run| run.open_ms),
            cold_ms: of(|run| run.cold_ms),
            warm_ms: of(|run| run.warm_ms),
            peak_bytes: of(|run| run.peak_bytes as f64) as u64,
            files_forgotten: runs.iter().all(|run| run.files_forgotten),
        })
    }
}

fn ask_once(peer: Peer, folder: &Path, row: &Row) -> Result<Measured, Failure> {
    let server = Server::start(peer, folder)?;
    // Starting has read some files; the query finds none of them.
    let files_forgotten = machine::forget_files(&folder.join("data"));
    let clock = Clock::now();
    let value = server.ask(&row.question)?;
    let cold_ms = milliseconds(clock);
    let peak_bytes = server.peak_bytes();
    let clock = Clock::now();
    server.ask(&row.question)?;
    let warm_ms = milliseconds(clock);
    Ok(Measured { value, open_ms: 0.0, cold_ms, warm_ms, peak_bytes, files_forgotten })
}

/// Why two answers are not the same.
fn objection(dialect: Dialect, nodes: usize, ours: f64, theirs: f64) -> Option<String> {
    let apart =
        |ours: f64| (ours - theirs).abs() / ours.abs().max(theirs.abs()).max(f64::MIN_POSITIVE);
    if apart(ours) <= 1e-6 {
        return None;
    }
    let reason = match dialect {
        Dialect::Within(allowed, reason) if apart(ours) <= allowed => Some(reason),
        Dialect::CountsBirths if apart(ours + nodes as f64) <= 1e-6 => {
            Some("its changes() counts the birth of a series")
        }
        _ => None,
    };
    Some(match reason {
        Some(reason) => format!("answers {theirs}, not {ours}: {reason}"),
        None => format!("WRONG ANSWER: {theirs}, not {ours}"),
    })
}

pub fn read_note<T: DeserializeOwned + HasNodes>(path: &Path, nodes: usize) -> Option<T> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text).ok().filter(|note: &T| note.nodes() == nodes)
}

/// A note about data that stay in a folder.
pub trait HasNodes {
    fn nodes(&self) -> usize;
}

impl HasNodes for Written {
    fn nodes(&self) -> usize {
        self.nodes
    }
}

pub fn write_note<T: Serialize>(path: &Path, note: &T) -> Result<(), Failure> {
    let text = serde_json::to_vec(note).map_err(|error| Failure::new(Exit::Failed, error))?;
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}

pub fn empty(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|e| Failure::file("remove", folder, &e))?;
    }
    std::fs::create_dir_all(folder).map_err(|e| Failure::file("make", folder, &e))
}

#[cfg(test)]
mod tests {
    use super::objection;
    use super::rows::Dialect;

    #[test]
    fn a_wrong_answer_is_named() {
        let within = Dialect::Within(0.1, "reason");
        assert_eq!(objection(Dialect::Same, 5, 100.0, 100.0), None);
        let cases = [(Dialect::Same, 101.0), (within, 112.0), (Dialect::CountsBirths, 104.0)];
        for (dialect, theirs) in cases {
            let text = objection(dialect, 5, 100.0, theirs).unwrap();
            assert!(text.starts_with("WRONG"), "{text}");
        }
        for (dialect, theirs) in [(within, 105.0), (Dialect::CountsBirths, 105.0)] {
            let text = objection(dialect, 5, 100.0, theirs).unwrap();
            assert!(text.starts_with("answers"), "{text}");
        }
        assert!(objection(Dialect::Same, 5, 100.0, f64::NAN).is_some());
    }
}
