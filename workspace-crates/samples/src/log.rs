//! The append log of a scraper.
//!
//! Header: `PGSAMLOG`, version (u32), CRC-32 of both (u32). Then records: length of the payload
//! (u32), CRC-32 of that length and the record's offset (u32), CRC-32 of the payload (u32),
//! payload; all little-endian. A payload defines a target (kind 1: its labels) or holds a scrape
//! (kind 2: target, time, values). The checksum of the length tells a record that was cut off by a
//! crash from one that was damaged later.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};
use crate::codec::{put_labels, take_labels};
use crate::{AppendError, Labels, Store, TargetId};

const MAGIC: &[u8; 8] = b"PGSAMLOG";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;
const RECORD_HEADER_LEN: usize = 12;
const KIND_TARGET: u8 = 1;
const KIND_SCRAPE: u8 = 2;

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
    #[error("the sample log {} has format {found}; this release reads format {VERSION}: use a newer release", path.display())]
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
    file: File,
    length: u64,
    broken: bool,
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
        let io = |action| io_error(path, action);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(io("opening"))?;
        file.try_lock().map_err(|refusal| match refusal {
            TryLockError::WouldBlock => LogError::Locked(path.to_owned()),
            TryLockError::Error(source) => io("locking")(source),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("reading"))?;
        let replayed = replay(path, &bytes)?;
        let mut length = replayed.good_length;
        let cut_bytes = bytes.len() as u64 - length;
        if cut_bytes > 0 {
            file.set_len(length).map_err(io("cutting the torn end of"))?;
        }
        file.seek(SeekFrom::Start(length)).map_err(io("positioning in"))?;
        if length == 0 {
            file.write_all(&header()).map_err(io("creating"))?;
            length = HEADER_LEN as u64;
        }
        file.sync_all().map_err(io("syncing"))?;
        let replay = Replay { scrapes: replayed.store.scrape_count(), cut_bytes };
        let (store, targets) = (replayed.store, replayed.targets);
        Ok((Self { path: path.to_owned(), file, length, broken: false, store, targets }, replay))
    }

    /// Reads the log without changing or locking it, also while a scraper appends to it.
    ///
    /// # Errors
    /// As [`SampleLog::open`], and when there is no such file.
    pub fn read(path: &Path) -> Result<(Store, Replay), LogError> {
        let bytes = std::fs::read(path).map_err(io_error(path, "reading"))?;
        let replayed = replay(path, &bytes)?;
        let cut_bytes = bytes.len() as u64 - replayed.good_length;
        let replay = Replay { scrapes: replayed.store.scrape_count(), cut_bytes };
        Ok((replayed.store, replay))
    }

    /// Appends one scrape: the series that were read, the time in milliseconds since the Unix
    /// epoch, and one value for each series. The same series in the same order are one target.
    ///
    /// # Errors
    /// When the scrape is not later than the last one of the same target, or has another number of
    /// values; when writing fails. Log and store are then as before.
    pub fn append_scrape(
        &mut self,
        series: &[Labels],
        t_ms: i64,
        values: &[f64],
    ) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken(self.path.clone()));
        }
        if series.len() != values.len() {
            let (series, values) = (series.len(), values.len());
            return Err(LogError::Refused(AppendError::WrongLength { series, values }));
        }
        let target = match self.targets.get(series) {
            Some(target) => *target,
            None => self.define_target(series)?,
        };
        self.store.check(target, t_ms, values.len()).map_err(LogError::Refused)?;
        let mut payload = vec![KIND_SCRAPE];
        put_varint(&mut payload, u64::from(target.0));
        put_varint(&mut payload, zigzag(t_ms));
        payload.extend(values.iter().flat_map(|v| v.to_bits().to_le_bytes()));
        self.write_record(&payload)?;
        self.store.append(target, t_ms, values).map_err(LogError::Refused)
    }

    fn define_target(&mut self, series: &[Labels]) -> Result<TargetId, LogError> {
        self.write_record(&target_payload(series))?;
        let target = self.store.add_target(series.to_vec());
        self.targets.insert(series.to_vec(), target);
        Ok(target)
    }

    fn write_record(&mut self, payload: &[u8]) -> Result<(), LogError> {
        let record = record(self.length, payload);
        if let Err(source) = self.file.write_all(&record) {
            let undone = self.file.set_len(self.length).is_ok()
                && self.file.seek(SeekFrom::Start(self.length)).is_ok();
            self.broken = !undone;
            return Err(io_error(&self.path, "appending to")(source));
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// When the operating system cannot say so.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(io_error(&self.path, "syncing"))
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

fn io_error<'a>(path: &'a Path, action: &'static str) -> impl Fn(io::Error) -> LogError + 'a {
    move |source| LogError::Io { action, path: path.to_owned(), source }
}

fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn target_payload(series: &[Labels]) -> Vec<u8> {
    let mut payload = vec![KIND_TARGET];
    put_varint(&mut payload, series.len() as u64);
    for labels in series {
        put_labels(&mut payload, labels);
    }
    payload
}

fn length_checksum(length: u32, offset: u64) -> u32 {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&offset.to_le_bytes());
    crc32fast::hash(&bytes)
}

fn record(offset: u64, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut bytes = Vec::with_capacity(RECORD_HEADER_LEN + payload.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&length_checksum(length, offset).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

struct Replayed {
    store: Store,
    targets: BTreeMap<Vec<Labels>, TargetId>,
    good_length: u64,
}

/// What stands at one place of a log.
enum Found<'a> {
    Payload(&'a [u8]),
    TornEnd,
    Damage,
}

fn find(bytes: &[u8], offset: usize) -> Found<'_> {
    let rest = &bytes[offset..];
    // A crash can leave the file longer than what was written, filled with zeros.
    if rest.len() < RECORD_HEADER_LEN || rest.iter().all(|b| *b == 0) {
        return Found::TornEnd;
    }
    let mut reader = Reader::new(rest);
    let (Some(length), Some(length_crc), Some(payload_crc)) =
        (reader.u32(), reader.u32(), reader.u32())
    else {
        return Found::TornEnd;
    };
    if length_checksum(length, offset as u64) != length_crc {
        return Found::Damage;
    }
    match reader.take(length as usize) {
        None => Found::TornEnd,
        Some(payload) if crc32fast::hash(payload) == payload_crc => Found::Payload(payload),
        Some(_) if reader.remaining() == 0 => Found::TornEnd,
        Some(_) => Found::Damage,
    }
}

fn replay(path: &Path, bytes: &[u8]) -> Result<Replayed, LogError> {
    let mut replayed = Replayed { store: Store::new(), targets: BTreeMap::new(), good_length: 0 };
    if bytes.len() < HEADER_LEN {
        // Also an empty file, which a crash right after its creation leaves.
        let torn = header().starts_with(bytes) || bytes.iter().all(|b| *b == 0);
        return if torn { Ok(replayed) } else { Err(LogError::NotALog(path.to_owned())) };
    }
    check_header(path, bytes)?;
    let mut offset = HEADER_LEN;
    while offset < bytes.len() {
        let applied = match find(bytes, offset) {
            Found::TornEnd => break,
            Found::Damage => None,
            Found::Payload(payload) => {
                apply(payload, &mut replayed).map(|()| RECORD_HEADER_LEN + payload.len())
            }
        };
        let Some(length) = applied else {
            let good_scrapes = replayed.store.scrape_count();
            return Err(LogError::Damaged {
                path: path.to_owned(),
                offset: offset as u64,
                good_scrapes,
            });
        };
        offset += length;
    }
    replayed.good_length = offset as u64;
    Ok(replayed)
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(LogError::NotALog(path.to_owned()));
    }
    let damaged = || LogError::Damaged { path: path.to_owned(), offset: 0, good_scrapes: 0 };
    let version = reader.u32().ok_or_else(damaged)?;
    if reader.u32() != Some(crc32fast::hash(&bytes[..MAGIC.len() + 4])) {
        return Err(damaged());
    }
    if version != VERSION {
        return Err(LogError::NewerVersion { path: path.to_owned(), found: version });
    }
    Ok(())
}

/// Takes one record in; `None` when it makes no sense although its checksum fits.
fn apply(payload: &[u8], replayed: &mut Replayed) -> Option<()> {
    let mut reader = Reader::new(payload);
    match reader.byte()? {
        KIND_TARGET => {
            let count = reader.count()?;
            let series: Option<Vec<Labels>> =
                (0..count).map(|_| take_labels(&mut reader)).collect();
            let series = series?;
            let target = replayed.store.add_target(series.clone());
            replayed.targets.insert(series, target);
        }
        KIND_SCRAPE => {
            let target = TargetId(u32::try_from(reader.varint()?).ok()?);
            let t_ms = unzigzag(reader.varint()?);
            let mut values = Vec::with_capacity(reader.remaining() / 8);
            while reader.remaining() > 0 {
                values.push(f64::from_bits(reader.u64()?));
            }
            replayed.store.append(target, t_ms, &values).ok()?;
        }
        _ => return None,
    }
    (reader.remaining() == 0).then_some(())
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
