//! The append log of a scraper; [`crate::log_records`] has its format.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::log_file::{self, LogFile};
use crate::log_records::{self, Beginning, Found, Record, Scan};
use crate::storage::{OsStorage, Storage};
use crate::{AppendError, Appended, Labels, Store, TargetId};

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

impl LogError {
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
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
    file: LogFile,
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
        let file = LogFile::open(storage, path)?;
        let bytes = file.read()?;
        let replayed = replay(path, &bytes, store)?;
        let file = file.start(storage, replayed.good_length)?;
        let cut_bytes = bytes.len() as u64 - replayed.good_length;
        let replay = Replay { scrapes: replayed.store.scrape_count(), cut_bytes };
        let log = Self { file, store: replayed.store, targets: replayed.targets };
        Ok((log, replay))
    }

    /// Reads the log without changing or locking it, also while a scraper appends to it.
    ///
    /// # Errors
    /// As [`SampleLog::open`], and when there is no such file.
    pub fn read(path: &Path) -> Result<(Store, Replay), LogError> {
        let bytes = log_file::read(&OsStorage, path)?;
        let replayed = replay(path, &bytes, Store::new())?;
        let cut_bytes = bytes.len() as u64 - replayed.good_length;
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
    ) -> Result<Appended, LogError> {
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
        self.file.put_target(series);
        self.file.write()?;
        let target = self.store.add_target(series.to_vec());
        self.targets.insert(series.to_vec(), target);
        Ok(target)
    }

    /// Appends one scrape of a target.
    ///
    /// # Errors
    /// As [`SampleLog::append_scrape`].
    pub fn append(
        &mut self,
        target: TargetId,
        t_ms: i64,
        values: &[f64],
    ) -> Result<Appended, LogError> {
        let checked = self.store.check(target, t_ms, values).map_err(LogError::Refused)?;
        if checked != Appended::Duplicate {
            self.file.put_scrape(target, t_ms, values);
            self.file.write()?;
            self.store.append(target, t_ms, values).map_err(LogError::Refused)?;
        }
        Ok(checked)
    }

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// When the disk cannot say so. Nobody knows then what it holds, and the log takes no more
    /// until it is opened again.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync()
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

struct Replayed {
    store: Store,
    targets: BTreeMap<Vec<Labels>, TargetId>,
    /// Where the last whole record ends; 0 when not even the header is whole.
    good_length: u64,
}

fn replay(path: &Path, bytes: &[u8], store: Store) -> Result<Replayed, LogError> {
    let path = || path.to_owned();
    let damaged = |offset, good_scrapes| LogError::Damaged { path: path(), offset, good_scrapes };
    let mut replayed = Replayed { store, targets: BTreeMap::new(), good_length: 0 };
    match log_records::beginning(bytes) {
        Beginning::Whole => {}
        Beginning::Torn => return Ok(replayed),
        Beginning::Foreign => return Err(LogError::NotALog(path())),
        Beginning::Damaged => return Err(damaged(0, 0)),
        Beginning::Newer(found) => return Err(LogError::NewerVersion { path: path(), found }),
    }
    let mut scan = Scan::new(bytes);
    let mut values = Vec::new();
    replayed.good_length = scan.good_length();
    while let Some(found) = scan.next() {
        let applied = match found {
            Found::TornEnd => break,
            Found::Damage => None,
            Found::Record(record) => apply(record, &mut replayed, &mut values),
        };
        if applied.is_none() {
            return Err(damaged(replayed.good_length, replayed.store.scrape_count()));
        }
        replayed.good_length = scan.good_length();
    }
    Ok(replayed)
}

/// Takes one record in; `None` when it does not fit what precedes it.
fn apply(record: Record<'_>, replayed: &mut Replayed, values: &mut Vec<f64>) -> Option<()> {
    match record {
        Record::Target(series) => {
            let target = replayed.store.add_target(series.clone());
            replayed.targets.insert(series, target);
        }
        Record::Scrape { target, t_ms, values: raw } => {
            raw.read_into(values);
            replayed.store.append(target, t_ms, values).ok()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{LogError, Replay, SampleLog};
    use crate::{AppendError, Appended, Labels, Store};
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
            let appended = match (n < 4, first, second) {
                (true, Some(target), _) => store.append(target, n as i64 * 1_000, &values),
                (_, _, Some(target)) => store.append(target, n as i64 * 1_000, &values[..1]),
                _ => unreachable!(),
            };
            assert_eq!(appended, Ok(Appended::New));
        }
        store.encode().unwrap()
    }

    #[test]
    fn a_log_is_replayed_and_goes_on() {
        let scratch = Scratch::new();
        scratch.fill();
        let (mut log, replay) = SampleLog::open(&scratch.path()).unwrap();
        assert_eq!(replay, Replay { scrapes: 6, cut_bytes: 0 });
        assert_eq!(log.store().encode().unwrap(), expected(6, true));
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
        let again = log.append_scrape(&series()[..1], 5_000, &[5.0]).unwrap();
        assert_eq!(again, Appended::Duplicate);
        let refusal = log.append_scrape(&series(), 2_000, &[1.0, 1.0]);
        assert!(matches!(refusal, Err(LogError::Refused(AppendError::TooLate { .. }))));
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
                    assert_eq!(store.encode().unwrap(), expected(5, true), "bit {bit}");
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
