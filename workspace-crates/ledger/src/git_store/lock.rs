//! One writer at a time, and recovery of what a dead writer left.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::StoreError;

/// How long one wait for the lock of another git process takes.
pub(super) const FOREIGN_LOCK_WAIT: Duration = Duration::from_millis(20);
/// How many such waits there are before the append is given up: two seconds in all.
pub(super) const FOREIGN_LOCK_WAITS: u32 = 100;

/// Held while something is appended.
///
/// The file carries a mark while a writer works. The operating system releases the lock when a
/// writer dies, but the mark stays: then the branch's own lock file, which git makes and would
/// have removed, is a dead writer's and is cleared. A lock file without the mark belongs to
/// another git process and is left alone.
pub(super) struct WriteLock {
    file: File,
}

impl WriteLock {
    pub(super) fn take(common_dir: &Path, branch_lock: &Path) -> Result<Self, StoreError> {
        let folder = common_dir.join("phasegate");
        let path = folder.join("ledger.flock");
        let io = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { action, path, source }
        };
        std::fs::create_dir_all(&folder).map_err(io("making the folder", &folder))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("opening the lock file", &path))?;
        file.lock().map_err(io("locking", &path))?;
        let mut mark = String::new();
        file.read_to_string(&mut mark).map_err(io("reading", &path))?;
        if !mark.is_empty() {
            clear(branch_lock)?;
            clear_drafts(&common_dir.join("objects"));
        }
        set_mark(&mut file, "writing\n").map_err(io("writing", &path))?;
        Ok(Self { file })
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // A mark that stays only makes the next writer look for a stale lock file.
        let _ = set_mark(&mut self.file, "");
        let _ = self.file.unlock();
    }
}

fn set_mark(file: &mut File, mark: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(mark.as_bytes())
}

fn clear(branch_lock: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(branch_lock) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            let path: PathBuf = branch_lock.to_owned();
            Err(StoreError::Io { action: "removing the stale lock file", path, source })
        }
        _ => Ok(()),
    }
}

/// Removes the files that a dead writer had not yet given their names. They are only litter, so
/// one that cannot be removed does no harm. Git itself names its own drafts otherwise.
fn clear_drafts(objects: &Path) {
    for (folder, prefix) in
        [(objects.to_owned(), "tmp_object_git2_"), (objects.join("pack"), "pack_git2_")]
    {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with(prefix) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}
