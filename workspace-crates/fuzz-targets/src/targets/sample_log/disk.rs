//! A disk in memory that holds one file.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use samples::{Access, Entry, Storage, StorageFile};

/// The disk; clones share the file.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<Vec<u8>>>);

impl Disk {
    /// A disk whose file has these bytes.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(bytes.to_vec())))
    }

    /// What the file has.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.with(|bytes| bytes.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for Disk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, _: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        if access == Access::Replace {
            self.with(Vec::clear);
        }
        Ok(Box::new(self.clone()))
    }

    fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl StorageFile for Disk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(|bytes| {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let end = start.saturating_add(buffer.len());
            let part = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(part);
            Ok(())
        })
    }

    fn append_at(&mut self, offset: u64, added: &[u8]) -> io::Result<()> {
        self.with(|bytes| {
            bytes.truncate(usize::try_from(offset).map_err(io::Error::other)?);
            bytes.extend_from_slice(added);
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.with(|bytes| {
            bytes.truncate(usize::try_from(length).map_err(io::Error::other)?);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
