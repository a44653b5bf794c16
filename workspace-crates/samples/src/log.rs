//! The append log of a scraper; [`crate::log_records`] has its format.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::log_records::{self, HEADER_LEN, Records, Replayed, replay};
use crate::storage::{Access, OsStorage, Storage, StorageFile, read_all};
use crate::{AppendError, Labels, Store, TargetId};

/// Why a log cannot be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{action} the sample log {}", path.display())]
    Io {
        /// What was tried, such as `reading`.
        action: &'static str,
        /// The log.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// Another process has the log open for writing.
    #[error("the sample log {} is being written by another process", .0.display())]
    Locked(PathBuf),
    /// The file is something else.
    #[error("{} is not a sample log: it does not begin with `PGSAMLOG`", .0.display())]
    NotALog(PathBuf),
    /// A later release wrote it.
    #[error("the sample log {} has format {found}; this release reads format {}: use a newer release", path.display(), log_records::VERSION)]
    NewerVersion {
        /// The log.
        path: PathBuf,
        /// The format that was found.
        found: u32,
    },
    /// A record in the middle is damaged: what follows it cannot be trusted.
    #[error("the sample log {} is damaged at byte {offset}, after {good_scrapes} good scrapes: restore it from a copy, or set it aside and start a new one", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the damaged record begins.
        offset: u64,
        /// How many scrapes before it are whole.
        good_scrapes: u64,
    },
    /// The scrape does not fit the log. Nothing was written.
    #[error("the scrape was not logged: {0}")]
    Refused(AppendError),
    /// An earlier write failed and could not be undone.
    #[error("the sample log {} takes no more: an earlier write failed half-way; open it again", .0.display())]
    Broken(PathBuf),
}

/// What opening a log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Whole scrapes that were read.
    pub scrapes: u64,
    /// Bytes of an unfinished last record, which were cut off (or, when only reading, left out).
    pub cut_bytes: u64,
}

/// An append-only log of scrapes on disk, with its samples in memory.
///
/// A scrape is handed to the operating system before [`SampleLog::append_scrape`] returns: it
/// survives the end of the process. It survives a crash of the machine once [`SampleLog::sync`] has
/// returned. One process writes at a time; the file is locked for that.
#[derive(Debug)]
pub struct SampleLog {
    path: PathBuf,
    file: Box<dyn StorageFile>,
    length: u64,
    broken: bool,
    records: Records,
    store: Store,
    targets: BTreeMap<Vec<Labels>, TargetId>,
}

impl SampleLog {
    /// Opens the log for writing, or creates it, and replays it. An unfinished last record, as a
    /// crash leaves it, is cut off and reported.
    ///
    /// # Errors
    /// When the file cannot be read or written, is locked, is no log, is of a newer format, or is
    /// damaged before its last record. A refused file is not changed.
    pub fn open(path: &Path) -> Result<(Self, Replay), LogError> {
        Self::open_on(&OsStorage, path, Store::new())
    }

    /// As [`SampleLog::open`], on any disk, with the samples going into `store`, which is empty
    /// and says how scrapes out of order are taken.
    ///
    /// # Errors
    /// As [`SampleLog::open`].
    pub fn open_on(
        storage: &dyn Storage,
        path: &Path,
        store: Store,
    ) -> Result<(Self, Replay), LogError> {
        let io = |action| io_error(path, action);
        let mut file = storage.open(path, Access::Append).map_err(io("opening"))?;
        if !file.try_lock().map_err(io("locking"))? {
            return Err(LogError::Locked(path.to_owned()));
        }
        let bytes = read_all(&*file).map_err(io("reading"))?;
        let replayed = undamaged(path, replay(path, &bytes, store)?)?;
        let mut length = replayed.good_length;
        let cut_bytes = bytes.len() as u64 - length;
        if cut_bytes > 0 {
            file.truncate(length).map_err(io("cutting the torn end of"))?;
        }
        if length == 0 {
            file.append_at(0, &log_records::header()).map_err(io("creating"))?;
            length = HEADER_LEN as u64;
        }
        file.sync().map_err(io("syncing"))?;
        // The name of a new log has to survive, too.
        storage.sync_dir(&directory_of(path)).map_err(io("syncing the directory of"))?;
        let replay = Replay { scrapes: replayed.store.scrape_count(), cut_bytes };
        let log = Self {
            path: path.to_owned(),
            file,
            length,
            broken: false,
            records: Records::default(),
            store: replayed.store,
            targets: replayed.targets,
        };
        Ok((log, replay))
    }

    /// Reads the log without changing or locking it, also while a scraper appends to it.
    ///
    /// # Errors
    /// As [`SampleLog::open`], and when there is no such file.
    pub fn read(path: &Path) -> Result<(Store, Replay), LogError> {
        let (bytes, replayed) = read_on(&OsStorage, path, Store::new())?;
        let replayed = undamaged(path, replayed)?;
        let cut_bytes = bytes - replayed.good_length;
        let replay = Replay { scrapes: replayed.store.scrape_count(), cut_bytes };
        Ok((replayed.store, replay))
    }

    /// Appends one scrape: the series that were read, the time in milliseconds since the Unix
    /// epoch, and one value for each series. The same series in the same order are one target.
    ///
    /// # Errors
    /// When the store does not take the scrape, as [`Store::append`]; when writing fails. Log and
    /// store are then as before.
    pub fn append_scrape(
        &mut self,
        series: &[Labels],
        t_ms: i64,
        values: &[f64],
    ) -> Result<(), LogError> {
        if series.len() != values.len() {
            let (series, values) = (series.len(), values.len());
            return Err(LogError::Refused(AppendError::WrongLength { series, values }));
        }
        let target = self.target(series)?;
        self.append(target, t_ms, values)
    }

    /// The target of these series in this order; a new one is defined in the log.
    ///
    /// # Errors
    /// When writing fails.
    pub fn target(&mut self, series: &[Labels]) -> Result<TargetId, LogError> {
        if let Some(target) = self.targets.get(series) {
            return Ok(*target);
        }
        self.records.put_target(self.length, series);
        self.write_records()?;
        let target = self.store.add_target(series.to_vec());
        self.targets.insert(series.to_vec(), target);
        Ok(target)
    }

    /// Appends one scrape of a target.
    ///
    /// # Errors
    /// As [`SampleLog::append_scrape`].
    pub fn append(&mut self, target: TargetId, t_ms: i64, values: &[f64]) -> Result<(), LogError> {
        self.store.check(target, t_ms, values.len()).map_err(LogError::Refused)?;
        self.records.put_scrape(self.length, target, t_ms, values);
        self.write_records()?;
        self.store.append(target, t_ms, values).map_err(LogError::Refused)
    }

    fn write_records(&mut self) -> Result<(), LogError> {
        if self.broken {
            self.records.clear();
            return Err(LogError::Broken(self.path.clone()));
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

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// When the disk cannot say so. Nobody knows then what it holds, and the log takes no more
    /// until it is opened again.
    pub fn sync(&mut self) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken(self.path.clone()));
        }
        self.file.sync().map_err(|source| {
            self.broken = true;
            io_error(&self.path, "syncing")(source)
        })
    }

    /// The samples of the log.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Closes the log and keeps its samples.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }
}

/// Reads a log without changing it; gives its length, too.
pub(crate) fn read_on(
    storage: &dyn Storage,
    path: &Path,
    store: Store,
) -> Result<(u64, Replayed), LogError> {
    let file = storage.open(path, Access::Read).map_err(io_error(path, "opening"))?;
    let bytes = read_all(&*file).map_err(io_error(path, "reading"))?;
    Ok((bytes.len() as u64, replay(path, &bytes, store)?))
}

fn undamaged(path: &Path, replayed: Replayed) -> Result<Replayed, LogError> {
    match replayed.damaged_at {
        None => Ok(replayed),
        Some(offset) => {
            let good_scrapes = replayed.store.scrape_count();
            Err(LogError::Damaged { path: path.to_owned(), offset, good_scrapes })
        }
    }
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

#[cfg(test)]
mod tests {
    use super::{LogError, Replay, SampleLog};
    use crate::{AppendError, Labels, Store};
    use std::path::PathBuf;

    fn series() -> Vec<Labels> {
        vec![Labels::metric("up", &[("job", "node")]), Labels::metric("lag", &[])]
    }

    struct Scratch(tempfile::TempDir);

    impl Scratch {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("samples.log")
        }

        /// A log of six scrapes of two targets, and the length after each scrape.
        fn fill(&self) -> Vec<u64> {
            let (mut log, _) = SampleLog::open(&self.path()).unwrap();
            let mut lengths = Vec::new();
            for n in 0..6_i64 {
                let series = if n < 4 { series() } else { series()[..1].to_vec() };
                let values = [n as f64, 0.5];
                log.append_scrape(&series, n * 1_000, &values[..series.len()]).unwrap();
                lengths.push(std::fs::metadata(self.path()).unwrap().len());
            }
            log.sync().unwrap();
            lengths
        }
    }

    /// The store that the first `scrapes` scrapes give, as bytes.
    fn expected(scrapes: usize, with_second_target: bool) -> Vec<u8> {
        let mut store = Store::new();
        let first = (scrapes > 0).then(|| store.add_target(series()));
        let second = with_second_target.then(|| store.add_target(series()[..1].to_vec()));
        for n in 0..scrapes {
            let values = [n as f64, 0.5];
            match (n < 4, first, second) {
                (true, Some(target), _) => store.append(target, n as i64 * 1_000, &values).unwrap(),
                (_, _, Some(target)) => {
                    store.append(target, n as i64 * 1_000, &values[..1]).unwrap()
                }
                _ => unreachable!(),
            }
        }
        store.encode()
    }

    #[test]
    fn a_log_is_replayed_and_goes_on() {
        let scratch = Scratch::new();
        scratch.fill();
        let (mut log, replay) = SampleLog::open(&scratch.path()).unwrap();
        assert_eq!(replay, Replay { scrapes: 6, cut_bytes: 0 });
        assert_eq!(log.store().encode(), expected(6, true));
        log.append_scrape(&series(), 9_000, &[1.0, 2.0]).unwrap();
        drop(log);
        let (store, replay) = SampleLog::read(&scratch.path()).unwrap();
        assert_eq!((store.scrape_count(), replay.scrapes), (7, 7));
    }

    #[test]
    fn duplicates_and_wrong_lengths_are_not_logged() {
        let scratch = Scratch::new();
        scratch.fill();
        let before = std::fs::read(scratch.path()).unwrap();
        let (mut log, _) = SampleLog::open(&scratch.path()).unwrap();
        let refusal = log.append_scrape(&series(), 3_000, &[1.0, 1.0]);
        assert!(matches!(refusal, Err(LogError::Refused(AppendError::NotLater { .. }))));
        let refusal = log.append_scrape(&series(), 9_000, &[1.0]);
        assert!(matches!(refusal, Err(LogError::Refused(AppendError::WrongLength { .. }))));
        drop(log);
        assert_eq!(std::fs::read(scratch.path()).unwrap(), before);
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_its_whole_scrapes() {
        let scratch = Scratch::new();
        let lengths = scratch.fill();
        let bytes = std::fs::read(scratch.path()).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(scratch.path(), &bytes[..cut]).unwrap();
            let whole = lengths.iter().filter(|length| **length <= cut as u64).count();
            let (mut log, replay) = SampleLog::open(&scratch.path()).unwrap();
            assert_eq!(replay.scrapes, whole as u64, "cut at {cut}");
            let kept = cut as u64 - replay.cut_bytes;
            assert!(whole == 0 || kept >= lengths[whole - 1], "cut at {cut}");
            log.append_scrape(&series(), 99_000, &[7.0, 7.0]).unwrap();
            drop(log);
            let (_, replay) = SampleLog::open(&scratch.path()).unwrap();
            assert_eq!(replay, Replay { scrapes: whole as u64 + 1, cut_bytes: 0 }, "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_a_false_sample() {
        let scratch = Scratch::new();
        let lengths = scratch.fill();
        let bytes = std::fs::read(scratch.path()).unwrap();
        let last_record = lengths[4];
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(scratch.path(), &damaged).unwrap();
            match SampleLog::read(&scratch.path()) {
                Ok((store, replay)) => {
                    assert!(bit as u64 / 8 >= last_record, "bit {bit} was not noticed");
                    assert_eq!((replay.scrapes, replay.cut_bytes > 0), (5, true), "bit {bit}");
                    assert_eq!(store.encode(), expected(5, true), "bit {bit}");
                }
                Err(LogError::Damaged { offset, good_scrapes, .. }) => {
                    assert!(offset <= bit as u64 / 8, "bit {bit}");
                    let whole = lengths.iter().filter(|length| **length <= offset).count();
                    assert_eq!(good_scrapes, whole as u64, "bit {bit}");
                }
                Err(LogError::NotALog(_)) => assert!(bit < 64, "bit {bit}"),
                Err(other) => panic!("bit {bit}: {other}"),
            }
        }
    }

    #[test]
    fn a_damaged_log_is_left_as_it_is() {
        let scratch = Scratch::new();
        scratch.fill();
        let mut bytes = std::fs::read(scratch.path()).unwrap();
        bytes[40] ^= 1;
        std::fs::write(scratch.path(), &bytes).unwrap();
        assert!(matches!(SampleLog::open(&scratch.path()), Err(LogError::Damaged { .. })));
        assert_eq!(std::fs::read(scratch.path()).unwrap(), bytes);
    }

    #[test]
    fn zeros_after_a_crash_are_cut() {
        let scratch = Scratch::new();
        scratch.fill();
        let mut bytes = std::fs::read(scratch.path()).unwrap();
        bytes.extend_from_slice(&[0; 100]);
        std::fs::write(scratch.path(), &bytes).unwrap();
        let (_, replay) = SampleLog::open(&scratch.path()).unwrap();
        assert_eq!(replay, Replay { scrapes: 6, cut_bytes: 100 });
    }

    #[test]
    fn newer_and_foreign_files_are_refused() {
        let scratch = Scratch::new();
        let mut newer = b"PGSAMLOG\x02\0\0\0".to_vec();
        newer.extend_from_slice(&crc32fast::hash(&newer).to_le_bytes());
        std::fs::write(scratch.path(), &newer).unwrap();
        assert!(matches!(
            SampleLog::open(&scratch.path()),
            Err(LogError::NewerVersion { found: 2, .. })
        ));
        for foreign in ["hello", "#!/bin/sh\necho this is not a log\n"] {
            std::fs::write(scratch.path(), foreign).unwrap();
            assert!(matches!(SampleLog::open(&scratch.path()), Err(LogError::NotALog(_))));
            assert_eq!(std::fs::read_to_string(scratch.path()).unwrap(), foreign);
        }
    }

    #[test]
    fn two_writers_are_refused() {
        let scratch = Scratch::new();
        let (_log, _) = SampleLog::open(&scratch.path()).unwrap();
        assert!(matches!(SampleLog::open(&scratch.path()), Err(LogError::Locked(_))));
    }
}
