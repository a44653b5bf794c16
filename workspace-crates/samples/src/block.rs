//! An immutable block of samples.
//!
//! `PGBLOCK` and a zero, version (u32), length of the index (u32), CRC-32 of the index (u32),
//! length of the block (u64), CRC-32 of all that (u32); the index; the frames. All little-endian.
//! Each frame's CRC-32 is in the index and is checked whenever the frame is read.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::SourceError;
use crate::block_frame::{Frame, FrameDecoder};
use crate::block_index::{BlockIndex, Extent, GroupEntry, TargetEntry};
use crate::bytes::Reader;

const MAGIC: &[u8; 8] = b"PGBLOCK\0";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 32;

/// Bytes that can be read at any place, by several readers at a time.
pub trait ReadAt: Send + Sync + Debug {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When there are fewer bytes, or they cannot be read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// When that cannot be told.
    fn byte_length(&self) -> io::Result<u64>;
}

impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn byte_length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Why bytes are not a usable block.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The bytes could not be read.
    #[error("reading the sample block {block}")]
    Io {
        /// The name that the block was opened with.
        block: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("{0} is not a sample block: it does not begin with `PGBLOCK`")]
    NotABlock(String),
    /// A later release wrote it.
    #[error(
        "the sample block {block} has format {found}; this release reads format {VERSION}: use a newer release"
    )]
    NewerVersion {
        /// The name that the block was opened with.
        block: String,
        /// The format that was found.
        found: u32,
    },
    /// Fewer or more bytes than the header says.
    #[error(
        "the sample block {block} has {found} bytes instead of {expected}: it was cut or added to; take it from a copy"
    )]
    WrongLength {
        /// The name that the block was opened with.
        block: String,
        /// Bytes according to the header.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Header or index are damaged.
    #[error("the {what} of the sample block {block} is damaged: take the block from a copy")]
    Damaged {
        /// The name that the block was opened with.
        block: String,
        /// What is damaged: header or index.
        what: &'static str,
    },
    /// The block was made by a store with other targets.
    #[error(
        "the sample block {0} belongs to another store: it was made with other targets than this store has"
    )]
    ForeignTargets(String),
    /// A target has rows in the block that are not later than rows that the store has.
    #[error(
        "the sample block {block} begins at {first_ms} ms for target {target}, which has samples up to {last_ms} ms already: blocks must be added in the order of their times, each once"
    )]
    Overlaps {
        /// The name that the block was opened with.
        block: String,
        /// The target's number.
        target: u32,
        /// The target's first row in the block.
        first_ms: i64,
        /// The target's last row before.
        last_ms: i64,
    },
}

#[derive(Debug, Clone)]
enum Source {
    Memory(Arc<Vec<u8>>),
    File(Arc<dyn ReadAt>),
}

/// An immutable part of a store: the rows of many targets in one window of time.
///
/// Opening reads and checks the index; samples are read and checked when they are asked for.
#[derive(Debug, Clone)]
pub struct Block {
    name: Arc<str>,
    index: Arc<BlockIndex>,
    data_start: u64,
    source: Source,
}

/// The frames of one group of targets.
pub(crate) struct GroupFrames {
    pub(crate) times: Frame,
    /// In the order in which they were asked for; `None` when no target of the group has one.
    pub(crate) families: Vec<Option<Frame>>,
}

impl Block {
    /// Opens a block that stays where it is; `name` says in errors which one it is.
    ///
    /// # Errors
    /// When the bytes cannot be read, are no block, of a newer format, cut, or when header or index
    /// are damaged.
    pub fn open(name: &str, source: Arc<dyn ReadAt>) -> Result<Self, BlockError> {
        let io = |source| BlockError::Io { block: name.to_owned(), source };
        let found = source.byte_length().map_err(io)?;
        let mut header = vec![0; HEADER_LEN.min(found as usize)];
        source.read_exact_at(&mut header, 0).map_err(io)?;
        let header = Header::decode(name, &header, found)?;
        let mut index = vec![0; header.index_length as usize];
        source.read_exact_at(&mut index, HEADER_LEN as u64).map_err(io)?;
        Self::assemble(name, &header, &index, Source::File(source))
    }

    /// Opens a block in memory.
    ///
    /// # Errors
    /// As [`Block::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, BlockError> {
        let header = Header::decode(name, &bytes, bytes.len() as u64)?;
        let bytes = Arc::new(bytes);
        let end = HEADER_LEN + header.index_length as usize;
        let index = bytes.get(HEADER_LEN..end).unwrap_or_default();
        Self::assemble(name, &header, index, Source::Memory(Arc::clone(&bytes)))
    }

    fn assemble(
        name: &str,
        header: &Header,
        index: &[u8],
        source: Source,
    ) -> Result<Self, BlockError> {
        let damaged = || BlockError::Damaged { block: name.to_owned(), what: "index" };
        if crc32fast::hash(index) != header.index_crc {
            return Err(damaged());
        }
        let data_start = HEADER_LEN as u64 + u64::from(header.index_length);
        let index = BlockIndex::decode(index, header.length - data_start).ok_or_else(damaged)?;
        Ok(Self { name: Arc::from(name), index: Arc::new(index), data_start, source })
    }

    /// The block that an index and its frames make.
    pub(crate) fn from_index(name: &str, index: BlockIndex, frames: &[Vec<u8>]) -> Self {
        let encoded = index.encode();
        let data_start = HEADER_LEN + encoded.len();
        let length = data_start + frames.iter().map(Vec::len).sum::<usize>();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&encoded).to_le_bytes());
        bytes.extend_from_slice(&(length as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(&encoded);
        frames.iter().for_each(|frames| bytes.extend_from_slice(frames));
        let source = Source::Memory(Arc::new(bytes));
        Self {
            name: Arc::from(name),
            index: Arc::new(index),
            data_start: data_start as u64,
            source,
        }
    }

    /// The name that the block was opened or made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stored form, when the block is in memory.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Memory(bytes) => Some(bytes),
            Source::File(_) => None,
        }
    }

    /// The stored form, read from the file if need be.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_bytes(&self) -> Result<std::borrow::Cow<'_, [u8]>, BlockError> {
        match &self.source {
            Source::Memory(bytes) => Ok(bytes.as_slice().into()),
            Source::File(file) => {
                let mut bytes = vec![0; self.byte_length() as usize];
                let io = |source| BlockError::Io { block: self.name.to_string(), source };
                file.read_exact_at(&mut bytes, 0).map_err(io)?;
                Ok(bytes.into())
            }
        }
    }

    /// How many bytes the stored form has.
    #[must_use]
    pub fn byte_length(&self) -> u64 {
        let last = self.index.groups.last();
        let last = last.map(|group| group.families.last().map_or(group.times, |(_, last)| *last));
        self.data_start + last.map_or(0, |last| last.offset + u64::from(last.length))
    }

    /// The first millisecond of the block's window.
    #[must_use]
    pub fn start_ms(&self) -> i64 {
        self.index.start_ms
    }

    /// The first millisecond after the block's window.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.index.end_ms
    }

    /// The times of the first and the last row.
    #[must_use]
    pub fn extent_ms(&self) -> Option<(i64, i64)> {
        let first = self.targets().map(|target| target.first_ms).min()?;
        Some((first, self.targets().map(|target| target.last_ms).max()?))
    }

    /// How many samples there are, staleness markers included.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.index.groups.iter().map(|group| group.samples).sum()
    }

    /// How many rows there are: scrapes of all targets together.
    #[must_use]
    pub fn scrape_count(&self) -> u64 {
        self.targets().map(|target| u64::from(target.rows)).sum()
    }

    pub(crate) fn index(&self) -> &BlockIndex {
        &self.index
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &TargetEntry> {
        self.index.groups.iter().flat_map(|group| &group.targets)
    }

    pub(crate) fn target(&self, target: u32) -> Option<&TargetEntry> {
        let group = self.group(target / crate::block_index::GROUP_LEN)?;
        let at = group.targets.binary_search_by_key(&target, |entry| entry.id).ok()?;
        group.targets.get(at)
    }

    pub(crate) fn group(&self, group: u32) -> Option<&GroupEntry> {
        let at = self.index.groups.binary_search_by_key(&group, |entry| entry.group).ok()?;
        self.index.groups.get(at)
    }

    /// Reads all samples and checks them.
    ///
    /// # Errors
    /// When something cannot be read or is damaged.
    pub fn verify(&self) -> Result<(), SourceError> {
        let mut decoder = FrameDecoder::new();
        for group in &self.index.groups {
            let families: Vec<u32> = group.families.iter().map(|(family, _)| *family).collect();
            let frames = self.read_group(group, &families, &mut decoder)?;
            let (mut numbers, mut times) = (Vec::new(), Vec::new());
            for (at, target) in group.targets.iter().enumerate() {
                times.clear();
                self.append_times(&frames.times, at, target, &mut numbers, &mut times)?;
            }
        }
        Ok(())
    }

    /// Reads the times of a group and the frames of some `families`, sorted.
    pub(crate) fn read_group(
        &self,
        group: &GroupEntry,
        families: &[u32],
        decoder: &mut FrameDecoder,
    ) -> Result<GroupFrames, SourceError> {
        let mut wanted: Vec<Option<Extent>> = vec![Some(group.times)];
        wanted.extend(families.iter().map(|family| {
            let at = group.families.binary_search_by_key(family, |(known, _)| *known).ok()?;
            group.families.get(at).map(|(_, extent)| *extent)
        }));
        let mut frames = Vec::with_capacity(wanted.len());
        let mut at = 0;
        while at < wanted.len() {
            // Frames side by side are read at once.
            let mut end = at + 1;
            while end < wanted.len() && follows(wanted[end - 1], wanted[end]) {
                end += 1;
            }
            self.read_run(group, &wanted[at..end], decoder, &mut frames)?;
            at = end;
        }
        let rest = frames.split_off(1);
        let times = frames.pop().flatten().unwrap_or_default();
        Ok(GroupFrames { times, families: rest })
    }

    fn read_run(
        &self,
        group: &GroupEntry,
        run: &[Option<Extent>],
        decoder: &mut FrameDecoder,
        frames: &mut Vec<Option<Frame>>,
    ) -> Result<(), SourceError> {
        let (Some(Some(first)), Some(Some(last))) = (run.first(), run.last()) else {
            frames.extend(run.iter().map(|_| None));
            return Ok(());
        };
        let length = (last.offset + u64::from(last.length) - first.offset) as usize;
        let mut buffer = Vec::new();
        let bytes = self.read_at(first.offset, length, &mut buffer)?;
        let mut reader = Reader::new(bytes);
        for extent in run.iter().flatten() {
            let bytes = reader.take(extent.length as usize).unwrap_or_default();
            if crc32fast::hash(bytes) != extent.crc {
                return Err(self.damaged(group, "a checksum does not fit"));
            }
            let rows = group.targets.iter().map(|target| target.rows as usize);
            let frame = decoder.frame(bytes, rows);
            frames.push(Some(frame.ok_or_else(|| self.damaged(group, "a frame is malformed"))?));
        }
        Ok(())
    }

    fn read_at<'a>(
        &'a self,
        offset: u64,
        length: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], SourceError> {
        let start = self.data_start + offset;
        match &self.source {
            // Opening has compared the length of the bytes with the index.
            Source::Memory(bytes) => {
                let start = start as usize;
                Ok(bytes.get(start..start + length).unwrap_or_default())
            }
            Source::File(file) => {
                buffer.resize(length, 0);
                file.read_exact_at(buffer, start).map_err(|e| {
                    SourceError::Unreadable(format!("the sample block {}: {e}", self.name))
                })?;
                Ok(buffer)
            }
        }
    }

    /// Appends the times of one target, after a check that they fit the index.
    pub(crate) fn append_times(
        &self,
        frame: &Frame,
        at: usize,
        target: &TargetEntry,
        numbers: &mut Vec<u64>,
        times: &mut Vec<i64>,
    ) -> Result<(), SourceError> {
        let start = times.len();
        frame.append_times(at, numbers, times);
        let new = &times[start..];
        let fits = new.len() == target.rows as usize
            && (frame.increases(at) || new.is_sorted_by(|a, b| a < b))
            && (new.first(), new.last()) == (Some(&target.first_ms), Some(&target.last_ms));
        let group = target.id / crate::block_index::GROUP_LEN;
        let Some(group) = self.group(group) else { return Ok(()) };
        if fits { Ok(()) } else { Err(self.damaged(group, "times do not fit the index")) }
    }

    fn damaged(&self, group: &GroupEntry, what: &str) -> SourceError {
        let (first, last) = (group.targets.first(), group.targets.last());
        SourceError::Damaged {
            block: self.name.to_string(),
            first_target: first.map_or(0, |target| target.id),
            last_target: last.map_or(0, |target| target.id),
            what: what.to_owned(),
        }
    }
}

fn follows(before: Option<Extent>, next: Option<Extent>) -> bool {
    match (before, next) {
        (Some(before), Some(next)) => before.offset + u64::from(before.length) == next.offset,
        (None, None) => true,
        _ => false,
    }
}

struct Header {
    index_length: u32,
    index_crc: u32,
    length: u64,
}

impl Header {
    fn decode(name: &str, bytes: &[u8], found: u64) -> Result<Self, BlockError> {
        let block = || name.to_owned();
        let damaged = || BlockError::Damaged { block: block(), what: "header" };
        let mut reader = Reader::new(bytes);
        if reader.take(MAGIC.len()) != Some(MAGIC) {
            return Err(BlockError::NotABlock(block()));
        }
        let version = reader.u32().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(BlockError::NewerVersion { block: block(), found: version });
        }
        let index_length = reader.u32().ok_or_else(damaged)?;
        let index_crc = reader.u32().ok_or_else(damaged)?;
        let length = reader.u64().ok_or_else(damaged)?;
        let crc = reader.u32().ok_or_else(damaged)?;
        if crc32fast::hash(&bytes[..HEADER_LEN - 4]) != crc {
            return Err(damaged());
        }
        if length != found {
            return Err(BlockError::WrongLength { block: block(), expected: length, found });
        }
        if HEADER_LEN as u64 + u64::from(index_length) > length {
            return Err(damaged());
        }
        Ok(Self { index_length, index_crc, length })
    }
}

#[cfg(test)]
mod tests;
