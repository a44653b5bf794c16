//! Our own figures. Each comes from a process of its own, so that nothing is warm and the peak of
//! its memory is that of one query.

use std::path::Path;
use std::time::Instant as Clock;

use base::{Duration, Instant};
use promql::{Limits, Query, Value};
use samples::SampleSource;
use serde::{Deserialize, Serialize};

use super::data::{END_MS, INTERVAL_MS, SCRAPES, SERIES, START_MS};
use super::rows::{Question, ROWS, longest_run_seconds};
use super::stored;
use crate::bench::machine;
use crate::exit::Exit;
use crate::failure::Failure;

/// What a row of the table took once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// The answer.
    pub value: f64,
    /// Opening the store; 0 for a server, which had opened it before.
    pub open_ms: f64,
    /// The first answer of the process.
    pub cold_ms: f64,
    /// The second one.
    pub warm_ms: f64,
    /// The most memory at once, after the first answer.
    pub peak_bytes: u64,
    /// Whether the first answer came from files that the system had to read from the disk.
    pub files_forgotten: bool,
}

/// What writing the data set took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    pub nodes: usize,
    pub samples: u64,
    /// Into memory, blocks sealed.
    pub array_samples_per_second: f64,
    /// The same out of the text of scrapes.
    pub text_samples_per_second: f64,
    /// Into an archive on the disk, with its log.
    pub archive_samples_per_second: f64,
    pub bytes_per_sample: f64,
}

/// Takes in samples in one of the ways, and returns how many per second. The archive stays in
/// `folder`.
pub fn take_in(way: &str, folder: &Path, nodes: usize) -> Result<f64, Failure> {
    let samples = (nodes * SCRAPES * SERIES) as u64;
    let (samples, took) = match way {
        "arrays" => (samples, stored::append(nodes)?),
        "text" => stored::parse(nodes)?,
        "archive" => (samples, stored::write(folder, nodes)?),
        _ => return Err(Failure::new(Exit::Usage, format!("there is no `{way}`"))),
    };
    Ok(samples as f64 / took.as_secs_f64())
}

/// Answers one row of the table from the store in `folder`.
pub fn measure(folder: &Path, row: usize) -> Result<Measured, Failure> {
    let row = ROWS.get(row).ok_or_else(|| Failure::new(Exit::Usage, "there is no such row"))?;
    let clock = Clock::now();
    let source = stored::open(folder)?;
    let open_ms = milliseconds(clock);
    // Opening has read some of the files; the query finds none of them.
    let files_forgotten = machine::forget_files(folder);
    let clock = Clock::now();
    let value = ask(&source, &row.question)?;
    let cold_ms = milliseconds(clock);
    let peak_bytes = machine::peak_bytes(std::process::id());
    let clock = Clock::now();
    ask(&source, &row.question)?;
    Ok(Measured {
        value,
        open_ms,
        cold_ms,
        warm_ms: milliseconds(clock),
        peak_bytes,
        files_forgotten,
    })
}

pub fn milliseconds(since: Clock) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn ask(source: &dyn SampleSource, question: &Question) -> Result<f64, Failure> {
    match question {
        Question::Value(text) => {
            let end = Instant::from_unix_millis(END_MS);
            let value = promql::instant(&parse(text)?, source, end, &limits());
            match value.map_err(|error| Failure::of(Exit::Failed, &error))? {
                Value::Vector(samples) if samples.len() == 1 => Ok(samples[0].value),
                other => Err(Failure::new(Exit::Failed, format!("`{text}` gives {other:?}"))),
            }
        }
        Question::LongestRun(conditions) => {
            let runs = conditions.iter().map(|text| over(source, text));
            let runs = runs.collect::<Result<Vec<Vec<(i64, f64)>>, Failure>>()?;
            Ok(longest_run_seconds(&runs, INTERVAL_MS))
        }
    }
}

/// A condition at every scrape interval.
fn over(source: &dyn SampleSource, text: &str) -> Result<Vec<(i64, f64)>, Failure> {
    let (start, end) = (START_MS + INTERVAL_MS, END_MS);
    let (start, end) = (Instant::from_unix_millis(start), Instant::from_unix_millis(end));
    let step = Duration::from_millis(INTERVAL_MS);
    let matrix = promql::range(&parse(text)?, source, start, end, step, &limits())
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let points = matrix.single().map(|series| series.points.as_slice()).unwrap_or_default();
    Ok(points.iter().map(|point| (point.t_ms, point.value)).collect())
}

fn parse(text: &str) -> Result<Query, Failure> {
    Query::parse(text).map_err(|error| Failure::of(Exit::Failed, &error))
}

fn limits() -> Limits {
    Limits { max_samples: u64::MAX, ..Limits::default() }
}
