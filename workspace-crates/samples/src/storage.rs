//! What the log and the archive ask of a disk, so that tests can put a failing one in its place.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading; it has to exist.
    Read,
    /// For reading and appending; it is created when it does not exist.
    Append,
    /// For reading and appending; it is created, and emptied when it exists.
    Replace,
}

/// A directory entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name within its directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// A disk. All methods work on whole paths; a path that is not there gives
/// [`io::ErrorKind::NotFound`].
pub trait Storage: fmt::Debug + Send + Sync {
    /// Creates a directory and those above it; one that exists is left as it is.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Opens a file. A new file survives a crash of the machine after [`Storage::sync_dir`] only.
    ///
    /// # Errors
    /// When the disk refuses.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>>;

    /// The files of a directory by name; directories in it are left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Gives a file another name in the same directory, in one step, replacing a file of that name.
    ///
    /// # Errors
    /// When the disk refuses; both names are then as before.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When the disk refuses.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Waits until created, renamed and removed names of a directory are on the disk.
    ///
    /// # Errors
    /// When the disk cannot say so.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// When the disk cannot say.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// When the disk refuses; [`io::ErrorKind::UnexpectedEof`] when the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` at `offset`, which is the end of what was written before.
    ///
    /// # Errors
    /// When the disk refuses; some of the bytes may then have been written.
    fn append_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// When the disk refuses.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Waits until the contents are on the disk.
    ///
    /// # Errors
    /// When the disk cannot say so. What was written since the last success may be lost.
    fn sync(&mut self) -> io::Result<()>;

    /// Keeps other programs from locking the file until it is closed; `false` when another has it.
    ///
    /// # Errors
    /// When the file system has no locks.
    fn try_lock(&mut self) -> io::Result<bool>;
}

/// All bytes of a file.
pub(crate) fn read_all(file: &dyn StorageFile) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.length()?)
        .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "it does not fit in memory"))?;
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The disk of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsStorage;

impl Storage for OsStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        // An archive that somebody sent may hold links to files elsewhere, and pipes without end.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a plain file"));
        }
        let write = access != Access::Read;
        let mut options = OpenOptions::new();
        options.read(true).write(write).create(write).truncate(access == Access::Replace);
        Ok(Box::new(OsFile(options.open(path)?)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                entries.push(Entry { name, bytes: metadata.len() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[derive(Debug)]
struct OsFile(File);

impl StorageFile for OsFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn append_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
