//! A log as a file: records are gathered and handed to the disk together.

use std::io;
use std::path::{Path, PathBuf};

use crate::log::LogError;
use crate::log_records::{HEADER_LEN, Records, header};
use crate::storage::{Access, Storage, StorageFile, read_all};
use crate::{Labels, TargetId};

/// A log that is open for appending.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Box<dyn StorageFile>,
    length: u64,
    broken: bool,
    records: Records,
}

impl LogFile {
    /// Opens and locks a log, or creates it. It takes records after [`LogFile::start`].
    pub(crate) fn open(storage: &dyn Storage, path: &Path) -> Result<Self, LogError> {
        let io = |action| io_error(path, action);
        let mut file = storage.open(path, Access::Append).map_err(io("opening"))?;
        if !file.try_lock().map_err(io("locking"))? {
            return Err(LogError::Locked(path.to_owned()));
        }
        let length = file.length().map_err(io("reading"))?;
        let path = path.to_owned();
        Ok(Self { path, file, length, broken: false, records: Records::default() })
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, LogError> {
        read_all(&*self.file).map_err(io_error(&self.path, "reading"))
    }

    /// Makes the log ready for appending after its first `good_length` bytes; what follows them is
    /// cut off.
    pub(crate) fn start(
        mut self,
        storage: &dyn Storage,
        good_length: u64,
    ) -> Result<Self, LogError> {
        let io = |action| io_error(&self.path, action);
        if good_length < self.length {
            self.file.truncate(good_length).map_err(io("cutting the torn end of"))?;
        }
        self.length = good_length;
        if good_length == 0 {
            self.file.append_at(0, &header()).map_err(io("creating"))?;
            self.length = HEADER_LEN as u64;
        }
        self.file.sync().map_err(io("syncing"))?;
        // The name of a new log has to survive, too.
        storage.sync_dir(&directory_of(&self.path)).map_err(io("syncing the directory of"))?;
        Ok(self)
    }

    /// Gathers the definition of a target.
    pub(crate) fn put_target(&mut self, series: &[Labels]) {
        self.records.put_target(self.length, series);
    }

    /// Gathers a scrape.
    pub(crate) fn put_scrape(&mut self, target: TargetId, t_ms: i64, values: &[f64]) {
        self.records.put_scrape(self.length, target, t_ms, values);
    }

    /// Bytes of the records that were gathered.
    pub(crate) fn gathered(&self) -> usize {
        self.records.bytes().len()
    }

    /// The file has another name now.
    pub(crate) fn renamed(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }

    /// Hands the gathered records to the disk. When that fails, the log is as before without them.
    pub(crate) fn write(&mut self) -> Result<(), LogError> {
        if self.broken {
            self.records.clear();
            return Err(LogError::Broken(self.path.clone()));
        }
        if self.records.bytes().is_empty() {
            return Ok(());
        }
        let written = self.file.append_at(self.length, self.records.bytes());
        if written.is_ok() {
            self.length += self.records.bytes().len() as u64;
        } else {
            self.broken = self.file.truncate(self.length).is_err();
        }
        self.records.clear();
        written.map_err(io_error(&self.path, "appending to"))
    }

    /// Whether an earlier write or sync failed in a way that could not be undone.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Waits until everything that was handed over is on the disk. When the disk cannot say so,
    /// nobody knows what it holds, and the log takes no more.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken(self.path.clone()));
        }
        self.file.sync().map_err(|source| {
            self.broken = true;
            io_error(&self.path, "syncing")(source)
        })
    }
}

/// Reads a log without changing it.
pub(crate) fn read(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>, LogError> {
    let file = storage.open(path, Access::Read).map_err(io_error(path, "opening"))?;
    read_all(&*file).map_err(io_error(path, "reading"))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn io_error(path: &Path, action: &'static str) -> impl Fn(io::Error) -> LogError + use<> {
    let path = path.to_owned();
    move |source| LogError::Io { action, path: path.clone(), source }
}
