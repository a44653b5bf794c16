//! Reads an archive into memory, without changing anything.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::{ArchiveError, Damage, DamageKind, io_error, manifest_error};
use super::layout::{
    BlockName, Directory, FRESH_MANIFEST, FRESH_TARGETS, SetAside, Span, log_name, log_number,
};
use super::manifest::{BlockEntry, Manifest};
use crate::block::{Block, BlockError, ReadAt};
use crate::log_records::{self, Beginning, Found, HEADER_LEN, Record, Scan};
use crate::storage::{Access, Entry, Storage, StorageFile, read_all};
use crate::{AppendError, Appended, Labels, Store, TargetId, log_file};

/// How far beyond the last whole scrape damage at the end of a log may reach: a log is replaced
/// whenever a window of this length is sealed.
const LOG_REACH_MS: i64 = 2 * 60 * 60 * 1_000;

const SET_ASIDE: &str = "this log was found damaged and was set aside; what was whole in it is kept; remove the file to go on without the rest";

/// What opening an archive found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// Scrapes that were read from the log.
    pub log_scrapes: u64,
    /// Scrapes of the log that blocks hold, too; each is served once.
    pub log_overlap: u64,
    /// Bytes of an unfinished last record, which are cut off (or, when only reading, left out).
    pub cut_bytes: u64,
    /// Files that an interrupted step left behind and that hold nothing of their own, relative to
    /// the archive. They are removed (or, when only reading, left alone).
    pub leftovers: Vec<String>,
    /// What cannot be served.
    pub damage: Vec<Damage>,
}

/// How thoroughly blocks are checked when they are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checking {
    /// Headers and indices; samples are checked when they are read.
    Indices,
    /// Every byte.
    Everything,
}

/// An archive in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) store: Store,
    pub(crate) targets: BTreeMap<Vec<Labels>, TargetId>,
    pub(crate) opening: Opening,
    /// Where the last whole record of the list of targets ends.
    pub(crate) targets_length: u64,
    /// Where the last whole record of the log ends; `None` when the log must be replaced.
    pub(crate) log_length: Option<u64>,
    /// Damage of the log that no file records yet.
    pub(crate) fresh_damage: Option<Span>,
}

/// The manifest as it is on the disk.
pub(crate) fn read_manifest(
    storage: &dyn Storage,
    directory: &Directory,
) -> Result<Vec<u8>, ArchiveError> {
    let path = directory.manifest();
    let bytes = storage.open(&path, Access::Read).and_then(|file| read_all(&*file));
    bytes.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => without_manifest(storage, directory),
        _ => io_error("reading", &path)(error),
    })
}

/// What it means that there is no manifest: the first thing that an archive gets is one.
fn without_manifest(storage: &dyn Storage, directory: &Directory) -> ArchiveError {
    let samples = |path: &Path, empty: u64| {
        storage.list(path).is_ok_and(|entries| entries.iter().any(|entry| entry.bytes > empty))
    };
    if samples(&directory.blocks(), 0) || samples(&directory.logs(), HEADER_LEN as u64) {
        let problem = "it is missing, although there are samples";
        return ArchiveError::Manifest { path: directory.manifest(), problem };
    }
    ArchiveError::NotAnArchive(directory.root().to_owned())
}

fn decode_manifest(directory: &Directory, bytes: &[u8]) -> Result<Manifest, ArchiveError> {
    Manifest::decode(bytes).map_err(|problem| manifest_error(directory.manifest(), &problem))
}

/// Length of the log that a manifest lists; 0 when it is not there.
pub(crate) fn log_bytes(
    storage: &dyn Storage,
    directory: &Directory,
    manifest: &[u8],
) -> Result<u64, ArchiveError> {
    let path = directory.log(decode_manifest(directory, manifest)?.log);
    match storage.open(&path, Access::Read).and_then(|file| file.length()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        length => length.map_err(io_error("reading", &path)),
    }
}

pub(crate) fn load(
    storage: &dyn Storage,
    directory: &Directory,
    manifest: &[u8],
    checking: Checking,
) -> Result<Loaded, ArchiveError> {
    let manifest = decode_manifest(directory, manifest)?;
    // The log before the targets: no scrape is logged before its target is listed.
    let log = match log_file::read(storage, &directory.log(manifest.log)) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let mut loaded = Loaded {
        store: Store::with_out_of_order(manifest.out_of_order_ms),
        manifest,
        targets: BTreeMap::new(),
        opening: Opening::default(),
        targets_length: 0,
        log_length: None,
        fresh_damage: None,
    };
    loaded.read_targets(storage, directory)?;
    loaded.read_blocks(storage, directory, checking)?;
    loaded.read_log(directory, log.as_deref())?;
    loaded.read_names(storage, directory)?;
    Ok(loaded)
}

impl Loaded {
    fn read_targets(
        &mut self,
        storage: &dyn Storage,
        directory: &Directory,
    ) -> Result<(), ArchiveError> {
        let path = directory.targets();
        let bytes = log_file::read(storage, &path)?;
        let damaged = |offset| ArchiveError::Targets { path: path.clone(), offset };
        match log_records::beginning(&bytes) {
            Beginning::Whole => {}
            Beginning::Newer(found) => {
                let (path, reads) = (path, log_records::VERSION);
                return Err(ArchiveError::NewerVersion { path, found, reads });
            }
            Beginning::Torn | Beginning::Foreign | Beginning::Damaged => return Err(damaged(0)),
        }
        let mut scan = Scan::new(&bytes);
        self.targets_length = HEADER_LEN as u64;
        while let Some(found) = scan.next() {
            match found {
                Found::Record(Record::Target(series)) => {
                    let target = self.store.add_target(series.clone());
                    self.targets.insert(series, target);
                    self.targets_length = scan.good_length();
                }
                Found::TornEnd => break,
                Found::Record(Record::Scrape { .. }) | Found::Damage => {
                    return Err(damaged(self.targets_length));
                }
            }
        }
        Ok(())
    }

    fn read_blocks(
        &mut self,
        storage: &dyn Storage,
        directory: &Directory,
        checking: Checking,
    ) -> Result<(), ArchiveError> {
        for entry in self.manifest.blocks.clone() {
            let path = directory.block(entry.name);
            let file = match storage.open(&path, Access::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let problem = "the block is not there; take it from a copy".to_owned();
                    self.damaged_block(&entry, DamageKind::MissingBlock, problem);
                    continue;
                }
                // Such as too many open files, which says nothing about the block.
                Err(error) => return Err(io_error("opening", &path)(error)),
            };
            let problem = match open_block(file, &entry, checking) {
                Ok((block, problem)) => {
                    let refused = self.store.add_block(block).err().map(|error| error.to_string());
                    refused.or(problem)
                }
                Err(error @ BlockError::NewerVersion { .. }) => return Err(error.into()),
                Err(error) => Some(with_cause(&error)),
            };
            if let Some(problem) = problem {
                self.damaged_block(&entry, DamageKind::DamagedBlock, problem);
            }
        }
        Ok(())
    }

    fn damaged_block(&mut self, entry: &BlockEntry, kind: DamageKind, problem: String) {
        let file = format!("blocks/{}", entry.name.file());
        self.opening.damage.push(damage(kind, file, problem, entry.name.span));
    }

    fn read_log(&mut self, directory: &Directory, log: Option<&[u8]>) -> Result<(), ArchiveError> {
        let path = directory.log(self.manifest.log);
        let Some(bytes) = log else {
            let span = self.reach(self.last_ms(), None);
            self.fresh_damage = Some(span);
            let problem = "the log is not there; take it from a copy".to_owned();
            self.damaged_log(DamageKind::MissingLog, problem, span);
            return Ok(());
        };
        let mut lost: Option<Span> = None;
        let whole = match log_records::beginning(bytes) {
            Beginning::Whole => true,
            Beginning::Newer(found) => {
                let reads = log_records::VERSION;
                return Err(ArchiveError::NewerVersion { path, found, reads });
            }
            Beginning::Torn => {
                (self.log_length, self.opening.cut_bytes) = (Some(0), bytes.len() as u64);
                return Ok(());
            }
            Beginning::Foreign | Beginning::Damaged => false,
        };
        let mut scan = Scan::new(bytes);
        let mut values = Vec::new();
        let mut last_ms = self.last_ms();
        // Whether a record was lost since the last whole one.
        let mut gap = !whole;
        for found in scan.by_ref() {
            let t_ms = match found {
                Found::TornEnd => break,
                Found::Record(Record::Scrape { target, t_ms, values: raw }) => {
                    raw.read_into(&mut values);
                    self.replay(target, t_ms, &values).then_some(t_ms)
                }
                Found::Damage | Found::Record(Record::Target(_)) => None,
            };
            let Some(t_ms) = t_ms else {
                gap = true;
                continue;
            };
            if std::mem::take(&mut gap) {
                lost = Some(union(lost, self.reach(last_ms, Some(t_ms))));
            }
            last_ms = Some(last_ms.map_or(t_ms, |last| last.max(t_ms)));
        }
        if gap {
            lost = Some(union(lost, self.reach(last_ms, None)));
        }
        match lost {
            None => {
                let good = scan.good_length();
                (self.log_length, self.opening.cut_bytes) = (Some(good), bytes.len() as u64 - good);
            }
            Some(span) => {
                self.fresh_damage = Some(span);
                let problem = "the log is damaged before its end; take it from a copy".to_owned();
                self.damaged_log(DamageKind::DamagedLog, problem, span);
            }
        }
        Ok(())
    }

    /// Takes a logged scrape in; `false` when the store could never have taken it.
    fn replay(&mut self, target: TargetId, t_ms: i64, values: &[f64]) -> bool {
        let sealed = self.store.sealed_until_ms(target).is_some_and(|sealed| t_ms <= sealed);
        let appended = if sealed { None } else { Some(self.store.append(target, t_ms, values)) };
        match appended {
            Some(Ok(Appended::New | Appended::Late)) => self.opening.log_scrapes += 1,
            None | Some(Ok(Appended::Duplicate) | Err(AppendError::TooLate { .. })) => {
                self.opening.log_overlap += 1;
            }
            Some(Err(_)) => return false,
        }
        true
    }

    /// The time of what was lost between the last scrape before and the first one after it, with
    /// what may have come late. Without a scrape after it, a log reaches no farther than a window.
    fn reach(&self, before_ms: Option<i64>, after_ms: Option<i64>) -> Span {
        let late_ms = self.manifest.out_of_order_ms;
        let to_ms = match (after_ms, before_ms) {
            (Some(after_ms), _) => after_ms.max(before_ms.unwrap_or(after_ms)).saturating_add(1),
            (None, Some(before_ms)) => before_ms.saturating_add(LOG_REACH_MS),
            (None, None) => i64::MAX,
        };
        let from_ms = match (before_ms, after_ms) {
            (Some(before_ms), Some(after_ms)) => before_ms.min(after_ms).saturating_sub(late_ms),
            (Some(before_ms), None) => before_ms.saturating_sub(late_ms),
            (None, _) => i64::MIN,
        };
        Span { from_ms, to_ms: to_ms.saturating_add(late_ms) }
    }

    fn last_ms(&self) -> Option<i64> {
        self.store.extent_ms().map(|(_, last_ms)| last_ms)
    }

    fn damaged_log(&mut self, kind: DamageKind, problem: String, span: Span) {
        let file = format!("log/{}", log_name(self.manifest.log));
        self.opening.damage.push(damage(kind, file, problem, span));
    }

    /// Sorts the other files out by their names.
    fn read_names(
        &mut self,
        storage: &dyn Storage,
        directory: &Directory,
    ) -> Result<(), ArchiveError> {
        let listing = |path: &Path| storage.list(path).map_err(io_error("listing", path));
        let listed = |file: &str| self.manifest.blocks.iter().any(|b| b.name.file() == file);
        for Entry { name, .. } in listing(&directory.blocks())? {
            if BlockName::of_file(&name).is_some() && !listed(&name) {
                self.opening.leftovers.push(format!("blocks/{name}"));
            }
        }
        for Entry { name, .. } in listing(&directory.logs())? {
            let (aside, log) = (SetAside::of_file(&name), log_number(&name));
            let file = format!("log/{name}");
            if log.is_some_and(|number| number > self.manifest.log + 1) {
                let (path, problem) = (directory.manifest(), "it is older than the logs");
                return Err(ArchiveError::Manifest { path, problem });
            }
            if let Some(aside) = aside.filter(|aside| aside.log != self.manifest.log) {
                let problem = SET_ASIDE.to_owned();
                let damage = damage(DamageKind::DamagedLog, file, problem, aside.span);
                self.opening.damage.push(damage);
            } else if aside.is_some() || log.is_some_and(|number| number != self.manifest.log) {
                self.opening.leftovers.push(file);
            }
        }
        let fresh = [FRESH_MANIFEST, FRESH_TARGETS];
        let names = listing(directory.root())?.into_iter().map(|entry| entry.name);
        self.opening.leftovers.extend(names.filter(|name| fresh.contains(&name.as_str())));
        Ok(())
    }
}

fn union(one: Option<Span>, other: Span) -> Span {
    one.map_or(other, |one| Span {
        from_ms: one.from_ms.min(other.from_ms),
        to_ms: one.to_ms.max(other.to_ms),
    })
}

fn damage(kind: DamageKind, file: String, problem: String, span: Span) -> Damage {
    Damage { kind, file, problem, from_ms: span.from_ms, to_ms: span.to_ms }
}

/// An error with its cause, in one line.
pub(super) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Opens a block; the text says what is wrong with its contents.
fn open_block(
    file: Box<dyn StorageFile>,
    entry: &BlockEntry,
    checking: Checking,
) -> Result<(Block, Option<String>), BlockError> {
    let name = entry.name.file();
    let io = |source| BlockError::Io { block: name.clone(), source };
    let found = file.length().map_err(io)?;
    if found != entry.bytes {
        return Err(BlockError::WrongLength { block: name, expected: entry.bytes, found });
    }
    let crc = match checking {
        Checking::Indices => None,
        Checking::Everything => Some(file_crc(&*file).map_err(io)?),
    };
    let block = Block::open(&name, Arc::new(Stored(file)))?;
    let problem = crc
        .filter(|crc| *crc != entry.crc)
        .map(|_| "its checksum does not fit; take it from a copy".to_owned());
    Ok((block, problem))
}

/// CRC-32 of a whole file, a piece at a time.
pub(super) fn file_crc(file: &dyn StorageFile) -> io::Result<u32> {
    const PIECE: u64 = 1 << 20;
    let length = file.length()?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; PIECE.min(length) as usize];
    let mut offset = 0;
    while offset < length {
        let piece = &mut buffer[..PIECE.min(length - offset) as usize];
        file.read_at(offset, piece)?;
        hasher.update(piece);
        offset += piece.len() as u64;
    }
    Ok(hasher.finalize())
}

/// A stored file as the source of a block.
#[derive(Debug)]
pub(super) struct Stored(pub(super) Box<dyn StorageFile>);

impl ReadAt for Stored {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn byte_length(&self) -> io::Result<u64> {
        self.0.length()
    }
}
