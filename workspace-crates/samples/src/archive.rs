//! Samples on disk: a directory that survives crashes.
//!
//! An archive has a list of targets (`targets.pglog`), a log of the latest scrapes
//! (`log/<number>.pglog`), blocks of the older ones (`blocks/<from>-<to>-<number>.pgblock`), and a
//! `manifest` that says which blocks and which log count; a writer locks the file `lock`. Blocks and logs are written under names
//! that were never used, then synced; then a new manifest takes the place of the old one in one
//! step; only then is removed what is no longer listed. So a crash at any point leaves the state
//! before or the state after, and files that are not listed hold nothing of their own.

mod error;
mod inspect;
mod layout;
mod load;
mod maintain;
mod manifest;
mod save;
#[cfg(test)]
mod tests;

#[cfg(test)]
use inspect::{info_on, verify_on};
#[cfg(test)]
use maintain::{compact_on, retain_on};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{ArchiveError, Damage, DamageKind};
pub use inspect::{ArchiveInfo, BlockInfo, Verification, info, verify};
pub use load::Opening;
pub use maintain::{Compaction, Merge, Retention, compact, retain};

use crate::log_file::LogFile;
use crate::storage::{OsStorage, Storage, StorageFile};
use crate::{
    AppendError, Appended, Labels, Matcher, Part, SampleSource, Series, SourceError, Store,
    TargetId,
};
use layout::{Directory, Span};
use load::{Checking, Loaded};
use manifest::Manifest;

/// How late a scrape may be in an archive that is not told otherwise, in milliseconds: 5 minutes.
pub const OUT_OF_ORDER_MS: i64 = 5 * 60 * 1_000;
/// A step forward in time that is counted as a jump, in milliseconds: 1 hour.
pub const FORWARD_JUMP_MS: i64 = 60 * 60 * 1_000;
/// How much newer scrapes must be before saving is tried again after it failed.
const SAVE_AGAIN_AFTER_MS: i64 = 60 * 1_000;
/// How often reading is tried while a writer rewrites the archive.
const READ_ATTEMPTS: u32 = 10;

/// One scrape of one target.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// Whose scrape it is.
    pub target: TargetId,
    /// When, in milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// One value for each series of the target.
    pub values: &'a [f64],
}

/// What became of the scrapes since the archive was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stored, later than all others of their target.
    pub new: u64,
    /// Stored, although they came late.
    pub late: u64,
    /// Not stored again: the same scrape was there already.
    pub duplicates: u64,
    /// Refused: older than what is still taken, such as after the clock was put back; other values
    /// at the same time; the wrong number of values.
    pub refused: u64,
    /// Stored, but later by more than [`FORWARD_JUMP_MS`] than everything before. After a pause
    /// that is right; when the clock is wrong, scrapes with the right time are refused from then on.
    pub forward_jumps: u64,
}

/// A directory of samples that is open for writing.
///
/// A scrape is acknowledged when it was handed to the operating system: it survives the end of the
/// process from then on, and a crash of the machine once [`Archive::sync`] has returned. When two
/// hours are complete they are sealed in a block and leave the log; a failure of that, such as a
/// full disk, does not fail the scrape: everything stays in the log, it is tried again, and
/// [`Archive::save_problem`] says why. One process writes at a time; others read meanwhile with
/// [`Archive::read`].
#[derive(Debug)]
pub struct Archive {
    storage: Arc<dyn Storage>,
    directory: Directory,
    /// Held open for its lock.
    _lock: Box<dyn StorageFile>,
    manifest: Manifest,
    store: Store,
    targets: BTreeMap<Vec<Labels>, TargetId>,
    targets_file: LogFile,
    targets_unsynced: bool,
    log: LogFile,
    damage: Vec<Damage>,
    counts: Counts,
    last_ms: Option<i64>,
    /// Blocks of the store when it was last looked whether there are new ones.
    known_blocks: usize,
    save_problem: Option<ArchiveError>,
    save_again_from_ms: Option<i64>,
    /// The manifest's new name may not be on the disk yet.
    names_unsynced: bool,
    /// Files that go as soon as it is.
    obsolete: Vec<PathBuf>,
}

/// What an archive held when it was read.
#[derive(Debug)]
pub struct ArchiveReader {
    store: Store,
    opening: Opening,
}

/// Tells one state of an archive from another; see [`Archive::mark`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMark {
    manifest: Vec<u8>,
    log_bytes: u64,
}

impl Archive {
    /// Opens the archive in `path` for writing, or creates it. Every byte is checked; what an
    /// interrupted step left behind is cleaned up and reported. Damage is reported and keeps
    /// queries from touching its time, and writing goes on.
    ///
    /// # Errors
    /// When the disk refuses or is read-only, another process writes, the format is newer, or the
    /// manifest or the list of targets is damaged.
    pub fn open(path: &Path) -> Result<(Self, Opening), ArchiveError> {
        Self::open_on(Arc::new(OsStorage), path, OUT_OF_ORDER_MS)
    }

    /// As [`Archive::open`], on any disk. A new archive takes scrapes that are late by at most
    /// `out_of_order_ms` milliseconds; an existing one keeps what it was created with.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_on(
        storage: Arc<dyn Storage>,
        path: &Path,
        out_of_order_ms: i64,
    ) -> Result<(Self, Opening), ArchiveError> {
        let directory = Directory(path.to_owned());
        let lock = save::lock(&*storage, &directory)?;
        let manifest = match load::read_manifest(&*storage, &directory) {
            Err(ArchiveError::NotAnArchive(_)) => {
                save::create(&*storage, &directory, out_of_order_ms.max(0))?
            }
            read => read?,
        };
        let loaded = load::load(&*storage, &directory, &manifest, Checking::Everything)?;
        Self::start(storage, directory, lock, loaded)
    }

    fn start(
        storage: Arc<dyn Storage>,
        directory: Directory,
        lock: Box<dyn StorageFile>,
        loaded: Loaded,
    ) -> Result<(Self, Opening), ArchiveError> {
        let disk = &*storage;
        let targets_file =
            LogFile::open(disk, &directory.targets())?.start(disk, loaded.targets_length)?;
        let mut manifest = loaded.manifest;
        let mut opening = loaded.opening;
        let mut obsolete = Vec::new();
        let log = match (loaded.log_length, loaded.fresh_damage) {
            (Some(length), None) => {
                LogFile::open(disk, &directory.log(manifest.log))?.start(disk, length)?
            }
            (_, damage) => {
                let span = damage.unwrap_or(Span { from_ms: i64::MIN, to_ms: i64::MAX });
                let file = save::set_aside(disk, &directory, manifest.log, span)?;
                if let Some(damage) = opening.damage.iter_mut().find(|d| d.is_of_log()) {
                    damage.file = file;
                }
                obsolete.push(directory.log(manifest.log));
                manifest.log += 1;
                let log = save::write_log(disk, &directory, manifest.log, &loaded.store)?;
                save::write_manifest(disk, &directory, &manifest)?;
                log
            }
        };
        let last_ms = loaded.store.extent_ms().map(|(_, last_ms)| last_ms);
        let known_blocks = loaded.store.blocks().iter().filter(|b| b.bytes().is_none()).count();
        let mut archive = Self {
            storage,
            directory,
            _lock: lock,
            manifest,
            store: loaded.store,
            targets: loaded.targets,
            targets_file,
            targets_unsynced: false,
            log,
            damage: opening.damage.clone(),
            counts: Counts::default(),
            last_ms,
            known_blocks,
            save_problem: None,
            save_again_from_ms: None,
            names_unsynced: true,
            obsolete,
        };
        archive.clean_up(&opening);
        archive.save_if_sealed();
        Ok((archive, opening))
    }

    /// Removes what holds nothing of its own, unless something that is listed is missing.
    fn clean_up(&mut self, opening: &Opening) {
        let missing = |damage: &Damage| {
            matches!(damage.kind, DamageKind::MissingBlock | DamageKind::MissingLog)
        };
        if !opening.damage.iter().any(missing) {
            let paths = opening.leftovers.iter().map(|file| self.directory.root().join(file));
            self.obsolete.extend(paths);
        }
        // What cannot be removed stays a leftover, which the next opening reports again.
        let _ = self.tidy();
    }

    /// Reads the archive in `path` without changing or locking it, also while a process writes to
    /// it and on a disk that is read-only. Block files stay open as long as the result lives.
    ///
    /// # Errors
    /// As [`Archive::open`], and when there is no archive.
    pub fn read(path: &Path) -> Result<ArchiveReader, ArchiveError> {
        Self::read_on(&OsStorage, path)
    }

    /// What tells the archive's present state from others: as long as it is the same, reading again
    /// gives the same. It is cheap.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn mark(path: &Path) -> Result<ArchiveMark, ArchiveError> {
        let directory = Directory(path.to_owned());
        let manifest = load::read_manifest(&OsStorage, &directory)?;
        let log_bytes = load::log_bytes(&OsStorage, &directory, &manifest)?;
        Ok(ArchiveMark { manifest, log_bytes })
    }

    /// As [`Archive::read`], on any disk.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn read_on(storage: &dyn Storage, path: &Path) -> Result<ArchiveReader, ArchiveError> {
        let directory = Directory(path.to_owned());
        let loaded = load_unlocked(storage, &directory, Checking::Indices)?;
        Ok(ArchiveReader { store: loaded.store, opening: loaded.opening })
    }

    /// The target of these series in this order, for [`Archive::append_all`]; a new one is
    /// registered.
    ///
    /// # Errors
    /// When writing fails.
    pub fn target(&mut self, series: &[Labels]) -> Result<TargetId, ArchiveError> {
        if let Some(target) = self.targets.get(series) {
            return Ok(*target);
        }
        self.targets_file.put_target(series);
        self.targets_file.write()?;
        self.targets_unsynced = true;
        let target = self.store.add_target(series.to_vec());
        self.targets.insert(series.to_vec(), target);
        Ok(target)
    }

    /// Appends one scrape: the series that were read, the time in milliseconds since the Unix
    /// epoch, and one value for each series. The same series in the same order are one target.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] when the archive does not take the scrape, which is also counted;
    /// others when writing fails. Nothing was stored then, and appending can be tried again.
    pub fn append_scrape(
        &mut self,
        series: &[Labels],
        t_ms: i64,
        values: &[f64],
    ) -> Result<Appended, ArchiveError> {
        let target = self.target(series)?;
        let outcome = self.append_all(&[Scrape { target, t_ms, values }])?.pop();
        match outcome {
            Some(Ok(appended)) => Ok(appended),
            Some(Err(refusal)) => Err(ArchiveError::Refused(refusal)),
            None => Ok(Appended::Duplicate),
        }
    }

    /// Appends scrapes, handing all of them to the operating system together, and says of each
    /// what became of it.
    ///
    /// # Errors
    /// When writing fails. Appending all of them again is then safe: what was stored before the
    /// failure counts as duplicate.
    pub fn append_all(
        &mut self,
        scrapes: &[Scrape<'_>],
    ) -> Result<Vec<Result<Appended, AppendError>>, ArchiveError> {
        self.mend()?;
        let mut outcomes = Vec::with_capacity(scrapes.len());
        let mut waiting: BTreeSet<TargetId> = BTreeSet::new();
        let mut handed_over = 0;
        for (at, scrape) in scrapes.iter().enumerate() {
            if waiting.contains(&scrape.target) {
                self.hand_over(&scrapes[handed_over..at], &outcomes[handed_over..])?;
                (handed_over, waiting) = (at, BTreeSet::new());
            }
            let checked = self.store.check(scrape.target, scrape.t_ms, scrape.values);
            if matches!(checked, Ok(Appended::New | Appended::Late)) {
                self.log.put_scrape(scrape.target, scrape.t_ms, scrape.values);
                waiting.insert(scrape.target);
            }
            outcomes.push(checked);
        }
        self.hand_over(&scrapes[handed_over..], &outcomes[handed_over..])?;
        self.save_if_sealed();
        Ok(outcomes)
    }

    fn hand_over(
        &mut self,
        scrapes: &[Scrape<'_>],
        outcomes: &[Result<Appended, AppendError>],
    ) -> Result<(), ArchiveError> {
        self.log.write()?;
        for (scrape, outcome) in scrapes.iter().zip(outcomes) {
            match outcome {
                Err(_) => self.counts.refused += 1,
                Ok(Appended::Duplicate) => self.counts.duplicates += 1,
                Ok(Appended::Late) => self.counts.late += 1,
                Ok(Appended::New) => self.counts.new += 1,
            }
            if matches!(outcome, Ok(Appended::New | Appended::Late)) {
                let Scrape { target, t_ms, values } = *scrape;
                self.store.append(target, t_ms, values).map_err(ArchiveError::Refused)?;
                let last_ms = *self.last_ms.get_or_insert(t_ms);
                self.counts.forward_jumps += u64::from(t_ms - last_ms > FORWARD_JUMP_MS);
                self.last_ms = Some(last_ms.max(t_ms));
            }
        }
        Ok(())
    }

    /// Makes the files fit for the next scrapes: targets are on the disk before their scrapes are,
    /// and a log that broke is replaced.
    fn mend(&mut self) -> Result<(), ArchiveError> {
        if self.targets_file.is_broken() {
            self.replace_targets()?;
        }
        if self.targets_unsynced {
            self.targets_file.sync()?;
            self.tidy()?;
            self.targets_unsynced = false;
        }
        if self.log.is_broken() { self.save() } else { Ok(()) }
    }

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// When the disk cannot say so. Trying again writes the scrapes anew.
    pub fn sync(&mut self) -> Result<(), ArchiveError> {
        self.mend()?;
        self.log.sync()?;
        self.tidy()
    }

    /// What became of the scrapes since the archive was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Why sealed samples could not be moved from the log into a block the last time that it was
    /// tried; nothing is lost, and it is tried again.
    #[must_use]
    pub fn save_problem(&self) -> Option<&ArchiveError> {
        self.save_problem.as_ref()
    }

    /// What cannot be served.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The samples, without regard to damage: what is lost is silently absent here.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Loads an archive that a writer may change meanwhile.
fn load_unlocked(
    storage: &dyn Storage,
    directory: &Directory,
    checking: Checking,
) -> Result<Loaded, ArchiveError> {
    for attempt in 1..=READ_ATTEMPTS {
        let before = load::read_manifest(storage, directory)?;
        let loaded = load::load(storage, directory, &before, checking);
        // A writer lists what is new before it removes what is old: with the same manifest before
        // and after, all that was read belongs together.
        let same = load::read_manifest(storage, directory)? == before;
        let passing = loaded.as_ref().is_err_and(ArchiveError::is_passing);
        if same && (!passing || attempt == READ_ATTEMPTS) {
            return loaded;
        }
    }
    let path = directory.root().to_owned();
    Err(ArchiveError::Changing { path, attempts: READ_ATTEMPTS })
}

impl ArchiveReader {
    /// What reading found: damage, too.
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The samples, when nothing is damaged.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] with the first damage.
    pub fn into_store(self) -> Result<Store, ArchiveError> {
        match self.opening.damage.into_iter().next() {
            None => Ok(self.store),
            Some(damage) => Err(ArchiveError::Damaged(damage)),
        }
    }

    /// The samples, without regard to damage: what is lost is silently absent here.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Refuses queries that touch what is damaged.
fn undamaged(damage: &[Damage], start_ms: i64, end_ms: i64) -> Result<(), SourceError> {
    let touched = |damage: &&Damage| {
        Span { from_ms: damage.from_ms, to_ms: damage.to_ms }.meets(start_ms, end_ms)
    };
    match damage.iter().find(touched) {
        None => Ok(()),
        Some(damage) => Err(SourceError::Unreadable(damage.to_string())),
    }
}

impl SampleSource for Archive {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        undamaged(&self.damage, start_ms, end_ms)?;
        self.store.select(matchers, start_ms, end_ms)
    }

    fn parts<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        undamaged(&self.damage, start_ms, end_ms)?;
        self.store.parts(matchers, start_ms, end_ms)
    }
}

impl SampleSource for ArchiveReader {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        undamaged(&self.opening.damage, start_ms, end_ms)?;
        self.store.select(matchers, start_ms, end_ms)
    }

    fn parts<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        undamaged(&self.opening.damage, start_ms, end_ms)?;
        self.store.parts(matchers, start_ms, end_ms)
    }
}
