//! What an archive holds, and whether it is whole.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::{ArchiveError, Damage, DamageKind};
use super::layout::Directory;
use super::load::{Checking, Loaded};
use super::load_unlocked;
use super::manifest::BlockEntry;
use crate::block::Block;
use crate::storage::{OsStorage, Storage};

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArchiveInfo {
    /// The blocks, in the order of time.
    pub blocks: Vec<BlockInfo>,
    /// Scrapes in the log, which are not in a block yet.
    pub log_scrapes: u64,
    /// Length of the log in bytes.
    pub log_bytes: u64,
    /// All samples, staleness markers included.
    pub samples: u64,
    /// All scrapes of all targets together.
    pub scrapes: u64,
    /// Targets that were ever scraped. The same series in the same order are one target.
    pub targets: u64,
    /// Different series.
    pub series: u64,
    /// Different metric names.
    pub families: u64,
    /// The times of the first and the last scrape, in milliseconds since the Unix epoch.
    pub extent_ms: Option<(i64, i64)>,
    /// What cannot be served.
    pub damage: Vec<Damage>,
    /// Files that an interrupted step left behind; the next writer removes them.
    pub leftovers: Vec<String>,
}

/// One block of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockInfo {
    /// The file's name within `blocks`.
    pub file: String,
    /// The first time of its window, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The first time after its window.
    pub to_ms: i64,
    /// The step to which it was compacted, in milliseconds; `None` when it has all samples.
    pub step_ms: Option<i64>,
    /// Its samples, staleness markers included; `None` when it cannot be read.
    pub samples: Option<u64>,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// What checking every byte found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Blocks that were read.
    pub blocks: u64,
    /// Samples in these blocks.
    pub block_samples: u64,
    /// Scrapes of the log whose checksums were checked.
    pub log_scrapes: u64,
    /// Bytes of an unfinished last record of the log, which is no damage: a crash, or a writer that
    /// is at work, leaves one.
    pub cut_bytes: u64,
    /// What is damaged; nothing when all is well.
    pub damage: Vec<Damage>,
}

impl BlockInfo {
    pub(super) fn new(entry: &BlockEntry, block: Option<&Block>) -> Self {
        Self {
            file: entry.name.file(),
            from_ms: entry.name.span.from_ms,
            to_ms: entry.name.span.to_ms,
            step_ms: entry.step_ms,
            samples: block.map(Block::sample_count),
            bytes: entry.bytes,
        }
    }
}

impl ArchiveInfo {
    /// Bytes per sample of the blocks; `None` when there are no blocks.
    #[must_use]
    pub fn bytes_per_sample(&self) -> Option<f64> {
        let samples: u64 = self.blocks.iter().filter_map(|block| block.samples).sum();
        let readable = self.blocks.iter().filter(|block| block.samples.is_some());
        let bytes: u64 = readable.map(|block| block.bytes).sum();
        (samples > 0).then(|| bytes as f64 / samples as f64)
    }
}

/// What the archive in `path` holds. Samples of blocks are not read.
///
/// # Errors
/// As [`Archive::read`](super::Archive::read).
pub fn info(path: &Path) -> Result<ArchiveInfo, ArchiveError> {
    info_on(&OsStorage, path)
}

pub(super) fn info_on(storage: &dyn Storage, path: &Path) -> Result<ArchiveInfo, ArchiveError> {
    let directory = Directory(path.to_owned());
    let loaded = load_unlocked(storage, &directory, Checking::Indices)?;
    let Loaded { manifest, store, opening, .. } = &loaded;
    let block = |entry: &BlockEntry| {
        let file = entry.name.file();
        let block = store.blocks().iter().find(|block| block.name() == file);
        BlockInfo::new(entry, block.map(|block| &**block))
    };
    let series: BTreeSet<_> = store.series().collect();
    let families: BTreeSet<_> = series.iter().map(|labels| labels.metric_name()).collect();
    let log = storage.open(&directory.log(manifest.log), crate::storage::Access::Read);
    Ok(ArchiveInfo {
        blocks: manifest.blocks.iter().map(block).collect(),
        log_scrapes: opening.log_scrapes,
        log_bytes: log.and_then(|file| file.length()).unwrap_or(0),
        samples: store.sample_count(),
        scrapes: store.scrape_count(),
        targets: store.targets().count() as u64,
        series: series.len() as u64,
        families: families.len() as u64,
        extent_ms: store.extent_ms(),
        damage: opening.damage.clone(),
        leftovers: opening.leftovers.clone(),
    })
}

/// Checks every byte of the archive in `path`, and takes every frame of its blocks apart.
///
/// # Errors
/// As [`Archive::read`](super::Archive::read). Damage is no error but in what is returned.
pub fn verify(path: &Path) -> Result<Verification, ArchiveError> {
    verify_on(&OsStorage, path)
}

pub(super) fn verify_on(storage: &dyn Storage, path: &Path) -> Result<Verification, ArchiveError> {
    let directory = Directory(path.to_owned());
    let loaded = load_unlocked(storage, &directory, Checking::Everything)?;
    let mut found = Verification {
        log_scrapes: loaded.opening.log_scrapes,
        cut_bytes: loaded.opening.cut_bytes,
        damage: loaded.opening.damage,
        ..Verification::default()
    };
    for entry in &loaded.manifest.blocks {
        let name = entry.name.file();
        let Some(block) = loaded.store.blocks().iter().find(|block| block.name() == name) else {
            continue;
        };
        found.blocks += 1;
        found.block_samples += block.sample_count();
        let file = format!("blocks/{name}");
        let known = found.damage.iter().any(|damage| damage.file == file);
        if let (Err(error), false) = (block.verify(), known) {
            let (kind, problem) = (DamageKind::DamagedBlock, error.to_string());
            let (from_ms, to_ms) = (entry.name.span.from_ms, entry.name.span.to_ms);
            found.damage.push(Damage { kind, file, problem, from_ms, to_ms });
        }
    }
    Ok(found)
}
