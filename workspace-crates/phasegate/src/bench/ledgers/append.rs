//! How long an append takes: signing, verifying, storing, and waiting for the disk.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant as Clock;

use ledger::{Durability, Expectations, GitStore, Ledger};
use serde::Serialize;

use super::build::{Keys, draft};
use super::{median, milliseconds};
use crate::failure::Failure;

/// Times of single appends, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub median_ms: f64,
    pub worst_ms: f64,
}

impl Latency {
    /// Appends to a copy of the ledger in `repository`.
    pub fn of(
        repository: &Path,
        keys: &Keys,
        durability: Durability,
        appends: usize,
    ) -> Result<Self, Failure> {
        let copy = repository.with_extension("copy");
        crate::bench::copy(repository, &copy)?;
        let store = GitStore::open(&copy)?.with_durability(durability);
        let mut ledger = Ledger::open(store, &Expectations::default())?;
        let mut times = Vec::new();
        for _ in 0..appends {
            let draft = draft(ledger.view().len())?;
            let clock = Clock::now();
            ledger.append(draft, &[keys.evaluator()], BTreeMap::new())?;
            times.push(milliseconds(clock));
        }
        std::fs::remove_dir_all(&copy).map_err(|error| Failure::file("remove", &copy, &error))?;
        let worst_ms = times.iter().copied().fold(0.0, f64::max);
        Ok(Self { median_ms: median(times), worst_ms })
    }
}

/// How long this disk takes for one small new file; the median.
pub fn flush_ms(folder: &Path, files: usize) -> Result<f64, Failure> {
    let path = folder.join("flushed");
    let once = || {
        let clock = Clock::now();
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&[0; 512])?;
        file.sync_all()?;
        std::fs::remove_file(&path)?;
        Ok(milliseconds(clock))
    };
    let times: Result<Vec<f64>, std::io::Error> = (0..files).map(|_| once()).collect();
    times.map(median).map_err(|error| Failure::file("write", &path, &error))
}
