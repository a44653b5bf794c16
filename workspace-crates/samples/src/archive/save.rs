//! Writes an archive: what is new first, then the manifest, then what is old goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Archive;
use super::error::{ArchiveError, io_error};
use super::layout::{Directory, SetAside, Span};
use super::load::Stored;
use super::manifest::{BlockEntry, Manifest};
use crate::block::Block;
use crate::log_file::{self, LogFile};
use crate::storage::{Access, Storage, StorageFile};
use crate::{Store, TargetId};

/// Records are handed over when so many bytes of them are gathered.
const GATHERED_MAX: usize = 1 << 20;

/// Creates the directory if need be and keeps other writers out of it.
pub(super) fn lock(
    storage: &dyn Storage,
    directory: &Directory,
) -> Result<Box<dyn StorageFile>, ArchiveError> {
    let root = directory.root();
    storage.create_dir(root).map_err(io_error("creating", root))?;
    let path = directory.lock();
    let mut lock = storage.open(&path, Access::Append).map_err(io_error("opening", &path))?;
    match lock.try_lock().map_err(io_error("locking", &path))? {
        true => Ok(lock),
        false => Err(ArchiveError::Locked(root.to_owned())),
    }
}

/// Makes an empty archive; its manifest comes last.
pub(super) fn create(
    storage: &dyn Storage,
    directory: &Directory,
    out_of_order_ms: i64,
) -> Result<Vec<u8>, ArchiveError> {
    for path in [directory.blocks(), directory.logs()] {
        storage.create_dir(&path).map_err(io_error("creating", &path))?;
    }
    let manifest = Manifest::new(out_of_order_ms);
    LogFile::open(storage, &directory.targets())?.start(storage, 0)?;
    write_log(storage, directory, manifest.log, &Store::new())?;
    if let Some(parent) = directory.root().parent().filter(|p| !p.as_os_str().is_empty()) {
        storage.sync_dir(parent).map_err(io_error("syncing", parent))?;
    }
    write_manifest(storage, directory, &manifest)?;
    Ok(manifest.encode())
}

/// Keeps a damaged log under a name that says which time it concerns; a missing one leaves an
/// empty file.
pub(super) fn set_aside(
    storage: &dyn Storage,
    directory: &Directory,
    log: u64,
    span: Span,
) -> Result<String, ArchiveError> {
    let bytes = match log_file::read(storage, &directory.log(log)) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let file = SetAside { log, span }.file();
    write_file(storage, &directory.logs().join(&file), &bytes)?;
    sync_names(storage, &directory.logs())?;
    Ok(format!("log/{file}"))
}

/// Writes a file as a whole and waits until its contents are on the disk; what was written of it is
/// removed when that fails.
fn write_file(
    storage: &dyn Storage,
    path: &Path,
    bytes: &[u8],
) -> Result<Box<dyn StorageFile>, ArchiveError> {
    let write = || {
        let mut file = storage.open(path, Access::Replace)?;
        file.append_at(0, bytes)?;
        file.sync()?;
        Ok(file)
    };
    write().map_err(|source| {
        let _ = storage.remove(path);
        io_error("writing", path)(source)
    })
}

pub(super) fn sync_names(storage: &dyn Storage, directory: &Path) -> Result<(), ArchiveError> {
    storage.sync_dir(directory).map_err(io_error("syncing", directory))
}

/// Puts a new manifest in the place of the old one. When this succeeds, the new one counts for
/// every process; it survives a crash of the machine once the directory is synced, too.
pub(super) fn write_manifest(
    storage: &dyn Storage,
    directory: &Directory,
    manifest: &Manifest,
) -> Result<(), ArchiveError> {
    let (fresh, path) = (directory.fresh_manifest(), directory.manifest());
    write_file(storage, &fresh, &manifest.encode())?;
    storage.rename(&fresh, &path).map_err(io_error("replacing", &path))
}

/// Writes a log of what is not in blocks, and waits until it is on the disk.
pub(super) fn write_log(
    storage: &dyn Storage,
    directory: &Directory,
    number: u64,
    store: &Store,
) -> Result<LogFile, ArchiveError> {
    let path = directory.log(number);
    let write = || {
        let mut log = LogFile::open(storage, &path)?.start(storage, 0)?;
        let mut rows: Vec<(i64, TargetId, &[f64])> =
            store.head_rows().map(|(target, t_ms, values)| (t_ms, target, values)).collect();
        rows.sort_by_key(|(t_ms, target, _)| (*t_ms, *target));
        for (t_ms, target, values) in rows {
            log.put_scrape(target, t_ms, values);
            if log.gathered() >= GATHERED_MAX {
                log.write()?;
            }
        }
        log.write()?;
        log.sync()?;
        Ok(log)
    };
    write().map_err(|error: crate::LogError| {
        let _ = storage.remove(&path);
        error.into()
    })
}

/// Writes a block, and gives it as it is on the disk.
pub(super) fn write_block(
    storage: &dyn Storage,
    directory: &Directory,
    manifest: &mut Manifest,
    block: &Block,
    step_ms: Option<i64>,
) -> Result<Block, ArchiveError> {
    let bytes = block.bytes().unwrap_or_default();
    let span = Span { from_ms: block.start_ms(), to_ms: block.end_ms() };
    let name = manifest.name_block(span);
    let file = write_file(storage, &directory.block(name), bytes)?;
    let (length, crc) = (bytes.len() as u64, crc32fast::hash(bytes));
    manifest.insert(BlockEntry { name, step_ms, bytes: length, crc });
    Ok(Block::open(&name.file(), Arc::new(Stored(file)))?)
}

impl Archive {
    /// Saves what was sealed; a failure is kept for [`Archive::save_problem`], because the scrapes
    /// are in the log anyway.
    pub(super) fn save_if_sealed(&mut self) {
        let blocks = self.store.blocks().len();
        let sealed = std::mem::replace(&mut self.known_blocks, blocks) < blocks;
        let again = self.save_again_from_ms.is_some_and(|from| self.last_ms >= Some(from));
        if !sealed && !again {
            return;
        }
        if let Err(error) = self.save() {
            let last_ms = self.last_ms.unwrap_or(0);
            self.save_again_from_ms = Some(last_ms.saturating_add(super::SAVE_AGAIN_AFTER_MS));
            self.save_problem = Some(error);
        }
    }

    /// Moves sealed samples from memory into block files, and the rest into a new log.
    pub(super) fn save(&mut self) -> Result<(), ArchiveError> {
        let storage = Arc::clone(&self.storage);
        let mut manifest = self.manifest.clone();
        manifest.log += 1;
        let mut saved: Vec<(usize, Block)> = Vec::new();
        let log = self.save_new(&mut manifest, &mut saved).inspect_err(|_| {
            // What was written so far would only take the space that is lacking.
            let fresh = |block: &&BlockEntry| block.name.number >= self.manifest.next_block;
            let blocks = manifest.blocks.iter().filter(fresh);
            let blocks = blocks.map(|block| self.directory.block(block.name));
            for path in blocks.chain([self.directory.log(manifest.log)]) {
                let _ = storage.remove(&path);
            }
        })?;
        self.obsolete.push(self.directory.log(self.manifest.log));
        self.manifest = manifest;
        self.log = log;
        self.names_unsynced = true;
        for (at, block) in saved {
            self.store.blocks[at] = Arc::new(block);
        }
        (self.save_problem, self.save_again_from_ms) = (None, None);
        self.tidy()
    }

    /// All that is written before the new manifest counts, and the manifest.
    fn save_new(
        &self,
        manifest: &mut Manifest,
        saved: &mut Vec<(usize, Block)>,
    ) -> Result<LogFile, ArchiveError> {
        let storage = &*self.storage;
        for (at, block) in self.store.blocks().iter().enumerate() {
            if block.bytes().is_some() {
                saved.push((at, write_block(storage, &self.directory, manifest, block, None)?));
            }
        }
        if !saved.is_empty() {
            sync_names(storage, &self.directory.blocks())?;
        }
        let log = write_log(storage, &self.directory, manifest.log, &self.store)?;
        write_manifest(storage, &self.directory, manifest)?;
        Ok(log)
    }

    /// Waits until the manifest's name is on the disk, and removes what is then of no use. A file
    /// that cannot be removed is tried again.
    pub(super) fn tidy(&mut self) -> Result<(), ArchiveError> {
        if self.names_unsynced {
            sync_names(&*self.storage, self.directory.root())?;
            self.names_unsynced = false;
        }
        let gone = |path: &PathBuf| match self.storage.remove(path) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.obsolete.retain(|path| !gone(path));
        Ok(())
    }

    /// Writes the list of targets anew after a failure that could not be undone.
    pub(super) fn replace_targets(&mut self) -> Result<(), ArchiveError> {
        let storage = &*self.storage;
        let fresh = self.directory.fresh_targets();
        let mut file = LogFile::open(storage, &fresh)?.start(storage, 0)?;
        for (_, series) in self.store.targets() {
            file.put_target(series);
        }
        file.write()?;
        file.sync()?;
        let path = self.directory.targets();
        storage.rename(&fresh, &path).map_err(io_error("replacing", &path))?;
        file.renamed(&path);
        self.targets_file = file;
        (self.names_unsynced, self.targets_unsynced) = (true, true);
        Ok(())
    }
}
