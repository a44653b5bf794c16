use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base::Digest;

/// First bytes of every state file; the digit is the version of the format.
const MAGIC: &[u8; 8] = b"pgstate1";
const HEADER_BYTES: usize = 8 + 32;
/// Length and checksum before each entry.
const ENTRY_HEAD_BYTES: usize = 8;
/// Longest entry that is written or believed, in bytes.
pub(crate) const ENTRY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a node's state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be opened, read, written or flushed.
    #[error("cannot {what} the state file {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file belongs to another network, or is no state file.
    #[error(
        "the state file {path} was not written for this network; give the node an empty directory"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// An entry in the middle is damaged: what the node promised may be lost, so it must not go on.
    #[error(
        "the state file {path} is damaged at byte {offset}, before its end; remove the node's directory and let the node join again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged entry begins.
        offset: u64,
    },
    /// An entry is too long to be written.
    #[error("a state entry of {bytes} bytes is longer than the limit of {ENTRY_BYTES_MAX} bytes")]
    TooLong {
        /// Length of the entry.
        bytes: usize,
    },
}

/// An append-only file of checksummed entries. An entry counts once [`Journal::sync`] has returned.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    network: Digest,
    length: u64,
    pending: Vec<u8>,
}

/// What [`Journal::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The file, ready to append to.
    pub journal: Journal,
    /// All whole entries, oldest first.
    pub entries: Vec<Vec<u8>>,
    /// Bytes of an unfinished last entry that were cut off; it was never promised to anyone.
    pub cut_bytes: u64,
}

impl Journal {
    /// Opens the state file of a node of the network `network`, or starts an empty one.
    ///
    /// # Errors
    /// When the file cannot be read or written, belongs to another network, or is damaged before
    /// its end.
    pub fn open(path: &Path, network: &Digest) -> Result<Opened, JournalError> {
        let io = |what| {
            let path = path.to_owned();
            move |source| JournalError::Io { what, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let Scan { entries, whole } = scan(&bytes, network, path)?;
        let mut length = whole as u64;
        if whole == 0 {
            start_file(&mut file, network).map_err(io("start"))?;
            length = HEADER_BYTES as u64;
        } else if whole < bytes.len() {
            file.set_len(whole as u64).map_err(io("cut the torn end of"))?;
            file.sync_data().map_err(io("flush"))?;
            file.seek(SeekFrom::End(0)).map_err(io("read"))?;
        }
        let cut_bytes = (bytes.len() - whole) as u64;
        let path = path.to_owned();
        let journal = Self { file, path, network: *network, length, pending: Vec::new() };
        Ok(Opened { journal, entries, cut_bytes })
    }

    /// Adds an entry; it is on disk after the next [`Journal::sync`].
    ///
    /// # Errors
    /// When the entry is longer than the limit.
    pub fn append(&mut self, entry: &[u8]) -> Result<(), JournalError> {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(JournalError::TooLong { bytes: entry.len() });
        }
        self.pending.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        self.pending.extend_from_slice(&checksum(entry).to_le_bytes());
        self.pending.extend_from_slice(entry);
        Ok(())
    }

    /// Writes what was appended, without waiting for the disk.
    ///
    /// # Errors
    /// When the disk refuses the write, for example because it is full.
    pub fn write(&mut self) -> Result<(), JournalError> {
        self.file.write_all(&self.pending).map_err(|source| self.io("write to", source))?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Length of the file in bytes, without what is not written yet.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Replaces all entries by `entries`, in one step: a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// When the disk refuses. The old file is then still in use.
    pub fn replace(&mut self, entries: &[Vec<u8>]) -> Result<(), JournalError> {
        let fresh = self.path.with_extension("new");
        let refuse = |what| {
            let path = fresh.clone();
            move |source| JournalError::Io { what, path, source }
        };
        match std::fs::remove_file(&fresh) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(refuse("remove")(source));
            }
            _ => {}
        }
        let mut journal = Self::open(&fresh, &self.network)?.journal;
        for entry in entries {
            journal.append(entry)?;
        }
        journal.sync()?;
        std::fs::rename(&fresh, &self.path).map_err(refuse("rename"))?;
        journal.path.clone_from(&self.path);
        *self = journal;
        Ok(())
    }

    /// Writes what was appended and waits until it is on disk.
    ///
    /// # Errors
    /// As [`Journal::write`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.write()?;
        self.file.sync_data().map_err(|source| self.io("flush", source))
    }

    fn io(&self, what: &'static str, source: io::Error) -> JournalError {
        JournalError::Io { what, path: self.path.clone(), source }
    }
}

fn start_file(file: &mut File, network: &Digest) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(MAGIC)?;
    // The first entry's flush covers the header.
    file.write_all(&network.0)
}

/// The length is part of the checksum, so that a damaged length is noticed.
fn checksum(entry: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(entry.len() as u32).to_le_bytes());
    hasher.update(entry);
    hasher.finalize()
}

struct Scan {
    entries: Vec<Vec<u8>>,
    /// Bytes up to the end of the last whole entry; 0 when not even the header is whole.
    whole: usize,
}

fn scan(bytes: &[u8], network: &Digest, path: &Path) -> Result<Scan, JournalError> {
    let mut expected = MAGIC.to_vec();
    expected.extend_from_slice(&network.0);
    if bytes.len() < HEADER_BYTES {
        // A crash while the file was started leaves a part of the header, or zeros.
        let torn = expected.starts_with(bytes) || bytes.iter().all(|b| *b == 0);
        return if torn { Ok(Scan { entries: vec![], whole: 0 }) } else { Err(foreign(path)) };
    }
    if bytes[..HEADER_BYTES] != expected {
        return Err(foreign(path));
    }
    let mut entries = Vec::new();
    let mut whole = HEADER_BYTES;
    while whole < bytes.len() {
        match read_entry(&bytes[whole..]) {
            Entry::Whole(entry) => {
                whole += ENTRY_HEAD_BYTES + entry.len();
                entries.push(entry.to_vec());
            }
            Entry::Torn => break,
            Entry::Damaged => {
                return Err(JournalError::Damaged { path: path.to_owned(), offset: whole as u64 });
            }
        }
    }
    Ok(Scan { entries, whole })
}

fn foreign(path: &Path) -> JournalError {
    JournalError::Foreign { path: path.to_owned() }
}

enum Entry<'a> {
    Whole(&'a [u8]),
    /// The rest of the file can be what a crash during the last write leaves behind.
    Torn,
    Damaged,
}

fn read_entry(rest: &[u8]) -> Entry<'_> {
    if rest.iter().all(|b| *b == 0) {
        return Entry::Torn;
    }
    let Some((head, body)) = rest.split_at_checked(ENTRY_HEAD_BYTES) else { return Entry::Torn };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = word(0) as usize;
    if length > ENTRY_BYTES_MAX {
        return Entry::Damaged;
    }
    match body.get(..length) {
        Some(entry) if checksum(entry) == word(4) => Entry::Whole(entry),
        // Nothing follows: the last write did not finish.
        Some(entry) if entry.len() == body.len() => Entry::Torn,
        None => Entry::Torn,
        Some(_) => Entry::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Journal, JournalError, MAGIC};
    use base::Digest;

    fn written(entries: &[&[u8]]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.log");
        let mut journal = Journal::open(&path, &network()).unwrap().journal;
        for entry in entries {
            journal.append(entry).unwrap();
        }
        journal.sync().unwrap();
        (dir, path)
    }

    fn network() -> Digest {
        Digest::of(b"network")
    }

    #[test]
    fn entries_are_read_back_in_order_and_more_can_follow() {
        let (_dir, path) = written(&[b"one", b"", b"three"]);
        let mut opened = Journal::open(&path, &network()).unwrap();
        assert_eq!(opened.entries, [&b"one"[..], b"", b"three"]);
        opened.journal.append(b"four").unwrap();
        opened.journal.sync().unwrap();
        let again = Journal::open(&path, &network()).unwrap();
        assert_eq!(again.entries.last().unwrap(), b"four");
        assert_eq!(again.cut_bytes, 0);
    }

    #[test]
    fn replacing_keeps_only_the_new_entries_and_appends_after_them() {
        let (_dir, path) = written(&[b"old", b"older"]);
        let mut journal = Journal::open(&path, &network()).unwrap().journal;
        journal.replace(&[b"new".to_vec()]).unwrap();
        journal.append(b"next").unwrap();
        journal.sync().unwrap();
        assert_eq!(journal.length(), std::fs::metadata(&path).unwrap().len());
        assert_eq!(Journal::open(&path, &network()).unwrap().entries, [&b"new"[..], b"next"]);
    }

    #[test]
    fn the_format_is_pinned() {
        let (_dir, path) = written(&[b"ab"]);
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(&bytes[..8], MAGIC);
        assert_eq!(&bytes[8..HEADER_BYTES], network().0);
        assert_eq!(bytes[HEADER_BYTES..HEADER_BYTES + 4], [2, 0, 0, 0]);
        assert_eq!(&bytes[HEADER_BYTES + 8..], b"ab");
    }

    #[test]
    fn every_torn_end_is_cut_and_every_whole_entry_survives() {
        let (_dir, path) = written(&[b"first entry", b"second entry"]);
        let bytes = std::fs::read(&path).unwrap();
        let second_at = HEADER_BYTES + 8 + 11;
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let opened = Journal::open(&path, &network()).unwrap();
            let expected = usize::from(length >= second_at);
            assert_eq!(opened.entries.len(), expected, "cut at {length}");
            let again = Journal::open(&path, &network()).unwrap();
            assert_eq!((again.entries.len(), again.cut_bytes), (expected, 0), "cut at {length}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_a_torn_end() {
        let (_dir, path) = written(&[b"kept"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0; 512]);
        std::fs::write(&path, &bytes).unwrap();
        let opened = Journal::open(&path, &network()).unwrap();
        assert_eq!((opened.entries.len(), opened.cut_bytes), (1, 512));
    }

    #[test]
    fn damage_before_the_end_stops_the_node() {
        let (_dir, path) = written(&[b"first entry", b"second entry"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER_BYTES + 8] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let refused = Journal::open(&path, &network()).unwrap_err();
        assert!(matches!(refused, JournalError::Damaged { offset, .. } if offset == 40));
    }

    #[test]
    fn a_file_of_another_network_is_refused() {
        let (_dir, path) = written(&[b"entry"]);
        let refused = Journal::open(&path, &Digest::of(b"other")).unwrap_err();
        assert!(matches!(refused, JournalError::Foreign { .. }));
        std::fs::write(&path, b"hello").unwrap();
        assert!(Journal::open(&path, &network()).is_err());
    }
}
