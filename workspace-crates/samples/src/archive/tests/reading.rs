//! Reading while a process writes.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::{HOUR, MINUTE, disk, everything, expected, fill, open, root, times};
use crate::archive::{Archive, ArchiveError};
use crate::storage::{Access, Entry, Storage, StorageFile};
use crate::storage_faulty::FaultyStorage;

/// What is done once, after so many calls.
type Meddle<'a> = (u64, Option<Box<dyn FnOnce() + Send + 'a>>);

/// Lets a writer do something right before a certain file is opened or a directory is listed.
struct Meddling<'a> {
    disk: FaultyStorage,
    left: Mutex<Meddle<'a>>,
}

impl std::fmt::Debug for Meddling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddling")
    }
}

impl Meddling<'_> {
    fn meddle(&self) {
        let mut left = self.left.lock().unwrap();
        if left.0 == 0
            && let Some(act) = left.1.take()
        {
            act();
        }
        left.0 = left.0.saturating_sub(1);
    }
}

impl Storage for Meddling<'_> {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        panic!("a reader created a directory")
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        assert_eq!(access, Access::Read);
        self.meddle();
        self.disk.open(path, access)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.meddle();
        self.disk.list(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        panic!("a reader renamed a file")
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        panic!("a reader removed a file")
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        panic!("a reader synced a directory")
    }
}

#[test]
fn a_reader_sees_the_state_before_or_after_whatever_a_writer_does_meanwhile() {
    let (mut before, mut after) = (0, 0);
    for point in 0..24 {
        let disk = disk();
        let (mut archive, _) = open(&disk).unwrap();
        let first = fill(&mut archive, &[0, 1], &times(0, 4 * HOUR, 10 * MINUTE));
        let more = times(4 * HOUR, 7 * HOUR, 10 * MINUTE);
        let second: Vec<_> =
            first.iter().copied().chain(more.iter().flat_map(|t| [(0, *t), (1, *t)])).collect();
        let writer = &mut archive;
        let act: Box<dyn FnOnce() + Send> = Box::new(move || {
            fill(writer, &[0, 1], &more);
        });
        let meddling = Meddling { disk: disk.clone(), left: Mutex::new((point, Some(act))) };
        let reader = Archive::read_on(&meddling, root()).unwrap();
        assert!(reader.opening().damage.is_empty(), "point {point}: {:?}", reader.opening());
        let found = everything(&reader);
        if found == expected(&second) {
            after += 1;
        } else {
            assert_eq!(found, expected(&first), "point {point}");
            before += 1;
        }
    }
    assert!(before > 0 && after > 5, "{before} before, {after} after");
}

#[test]
fn an_archive_that_never_holds_still_is_told() {
    #[derive(Debug)]
    struct Restless(FaultyStorage, Mutex<u64>);

    impl Storage for Restless {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            self.0.create_dir(path)
        }

        fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
            if path.ends_with("manifest") {
                let mut log = self.1.lock().unwrap();
                *log += 1;
                let mut manifest = crate::archive::manifest::Manifest::new(0);
                manifest.next_block = *log;
                self.0.set(path, manifest.encode());
            }
            self.0.open(path, access)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
            self.0.list(path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.0.rename(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.0.remove(path)
        }

        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            self.0.sync_dir(path)
        }
    }

    let disk = disk();
    drop(open(&disk).unwrap());
    let error = Archive::read_on(&Restless(disk, Mutex::new(0)), root()).unwrap_err();
    assert!(matches!(error, ArchiveError::Changing { .. }), "{error}");
}
