use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base::Digest;

use crate::{EvidenceError, Store};

/// Larger objects are refused on reading, so that a foreign file cannot exhaust the memory.
const OBJECT_BYTES_MAX: u64 = 4 << 30;

/// A folder with one file for each object; the file's name is the digest in hexadecimal digits.
///
/// A file appears under its name only when all its bytes are on the disk, so a crash leaves
/// whole objects and unfinished `.tmp-…` files, which nobody reads.
#[derive(Debug)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    /// The store in `root`, which is created when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, EvidenceError> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|e| io_error("cannot create", &root, e))?;
        Ok(Self { root })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the object `digest` lies, whether or not it is there.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    fn write_new(&self, digest: &Digest, bytes: &[u8]) -> Result<(), EvidenceError> {
        let temporary = self.root.join(unique_name(digest));
        let written = write_durably(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, self.path(digest)))
            .and_then(|()| File::open(&self.root)?.sync_all());
        if let Err(error) = written {
            // A full disk must not also keep the half-written file.
            let _ = fs::remove_file(&temporary);
            return Err(io_error("cannot write", &self.path(digest), error));
        }
        Ok(())
    }
}

impl Store for DirStore {
    fn put(&self, bytes: &[u8]) -> Result<Digest, EvidenceError> {
        let digest = Digest::of(bytes);
        match self.get(&digest) {
            Ok(_) => Ok(digest),
            // A damaged object is healed by the right bytes.
            Err(EvidenceError::Missing(_) | EvidenceError::Damaged { .. }) => {
                self.write_new(&digest, bytes).map(|()| digest)
            }
            Err(other) => Err(other),
        }
    }

    fn get(&self, digest: &Digest) -> Result<Vec<u8>, EvidenceError> {
        let path = self.path(digest);
        let mut file = match open_plain(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(EvidenceError::Missing(*digest));
            }
            Err(e) => return Err(io_error("cannot open", &path, e)),
        };
        let bytes = read_bounded(&mut file, &path)?;
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(bytes)
        } else {
            Err(EvidenceError::Damaged { expected: *digest, found })
        }
    }

    fn contains(&self, digest: &Digest) -> Result<bool, EvidenceError> {
        let path = self.path(digest);
        path.try_exists().map_err(|e| io_error("cannot look for", &path, e))
    }

    fn list(&self) -> Result<Vec<Digest>, EvidenceError> {
        let failed = |e| io_error("cannot list", &self.root, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Unfinished files have names that are no digests.
            found.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        found.sort();
        Ok(found)
    }
}

/// Opens a plain file only: a store that somebody sent may hold links and pipes.
fn open_plain(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a plain file"))
}

fn read_bounded(file: &mut File, path: &Path) -> Result<Vec<u8>, EvidenceError> {
    let failed = |e| io_error("cannot read", path, e);
    let size_bytes = file.metadata().map_err(failed)?.len();
    if size_bytes > OBJECT_BYTES_MAX {
        return Err(EvidenceError::TooLarge {
            what: path.display().to_string(),
            size_bytes,
            limit_bytes: OBJECT_BYTES_MAX,
        });
    }
    let mut bytes = Vec::new();
    file.take(OBJECT_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Two writers of one object, in this process or another, must not share their unfinished file.
fn unique_name(digest: &Digest) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".tmp-{}-{}-{count}", digest.short(), std::process::id())
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> EvidenceError {
    EvidenceError::Io { action, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::DirStore;
    use crate::{EvidenceError, Store};
    use base::Digest;
    use std::fs;

    #[test]
    fn what_was_put_is_got_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path().join("evidence")).unwrap();
        let one = store.put(b"one").unwrap();
        let two = store.put(b"two").unwrap();
        assert_eq!(store.put(b"one").unwrap(), one);
        assert_eq!(store.get(&two).unwrap(), b"two");
        let mut both = vec![one, two];
        both.sort();
        assert_eq!(store.list().unwrap(), both);
        assert!(store.contains(&one).unwrap());
        assert!(!store.contains(&Digest::of(b"three")).unwrap());
    }

    #[test]
    fn a_damaged_object_is_refused_and_healed_by_the_right_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path()).unwrap();
        let digest = store.put(b"the truth").unwrap();
        fs::write(store.path(&digest), b"the trutH").unwrap();
        assert!(matches!(store.get(&digest), Err(EvidenceError::Damaged { .. })));
        fs::write(store.path(&digest), b"").unwrap();
        assert!(matches!(store.get(&digest), Err(EvidenceError::Damaged { .. })));
        store.put(b"the truth").unwrap();
        assert_eq!(store.get(&digest).unwrap(), b"the truth");
    }

    #[test]
    fn what_is_no_plain_file_is_no_object_even_with_the_right_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path().join("evidence")).unwrap();
        let digest = Digest::of(b"elsewhere");
        fs::write(folder.path().join("elsewhere"), b"elsewhere").unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), store.path(&digest)).unwrap();
        let error = store.get(&digest).unwrap_err();
        assert!(matches!(error, EvidenceError::Io { .. }), "{error}");
        fs::remove_file(store.path(&digest)).unwrap();
        fs::create_dir(store.path(&digest)).unwrap();
        assert!(matches!(store.get(&digest), Err(EvidenceError::Io { .. })));
        assert!(store.put(b"elsewhere").is_err(), "what is in the way is left to people");
    }

    #[test]
    fn unfinished_and_foreign_files_are_no_objects() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path()).unwrap();
        fs::write(folder.path().join(".tmp-aabbccdd-1-0"), b"half").unwrap();
        fs::write(folder.path().join("README"), b"foreign").unwrap();
        assert!(store.list().unwrap().is_empty());
        let missing = Digest::of(b"half");
        assert!(matches!(store.get(&missing), Err(EvidenceError::Missing(d)) if d == missing));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path().join("gone")).unwrap();
        fs::remove_dir(store.root()).unwrap();
        let error = store.put(b"bytes").unwrap_err().to_string();
        assert!(error.starts_with("cannot write") && error.contains("gone"), "{error}");
    }

    #[test]
    fn writers_of_the_same_object_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirStore::open(folder.path()).unwrap();
        let bytes = vec![7; 200_000];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.put(&bytes).unwrap());
            }
        });
        assert_eq!(store.get(&Digest::of(&bytes)).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
