//! The format of the append log.
//!
//! Header: `PGSAMLOG`, version (u32), CRC-32 of both (u32). Then records: length of the payload
//! (u32), CRC-32 of that length and the record's offset (u32), CRC-32 of the payload (u32),
//! payload; all little-endian. A payload defines a target (kind 1: its labels) or holds a scrape
//! (kind 2: target, time, values). The checksum of the length tells a record that was cut off by a
//! crash from one that was damaged later.

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};
use crate::codec::{put_labels, take_labels};
use crate::{Labels, TargetId};

const MAGIC: &[u8; 8] = b"PGSAMLOG";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_LEN: usize = 16;
const RECORD_HEADER_LEN: usize = 12;
const KIND_TARGET: u8 = 1;
const KIND_SCRAPE: u8 = 2;

pub(crate) fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Records on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
}

impl Records {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Adds the definition of a target; `end` is where the log ends without these records.
    pub(crate) fn put_target(&mut self, end: u64, series: &[Labels]) {
        self.put(end, KIND_TARGET, |out| {
            put_varint(out, series.len() as u64);
            for labels in series {
                put_labels(out, labels);
            }
        });
    }

    /// Adds a scrape; `end` is where the log ends without these records.
    pub(crate) fn put_scrape(&mut self, end: u64, target: TargetId, t_ms: i64, values: &[f64]) {
        self.put(end, KIND_SCRAPE, |out| {
            put_varint(out, u64::from(target.0));
            put_varint(out, zigzag(t_ms));
            let start = out.len();
            out.resize(start + size_of_val(values), 0);
            for (place, value) in out[start..].chunks_exact_mut(size_of::<f64>()).zip(values) {
                place.copy_from_slice(&value.to_bits().to_le_bytes());
            }
        });
    }

    fn put(&mut self, end: u64, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        let body = start + RECORD_HEADER_LEN;
        self.bytes.resize(body, 0);
        self.bytes.push(kind);
        payload(&mut self.bytes);
        let length = (self.bytes.len() - body) as u32;
        let length_crc = length_checksum(length, end + start as u64);
        let payload_crc = crc32fast::hash(&self.bytes[body..]);
        let fields = [length, length_crc, payload_crc];
        for (place, field) in self.bytes[start..body].chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
    }
}

fn length_checksum(length: u32, offset: u64) -> u32 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..].copy_from_slice(&offset.to_le_bytes());
    crc32fast::hash(&bytes)
}

/// What a log says.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Target(Vec<Labels>),
    Scrape { target: TargetId, t_ms: i64, values: RawValues<'a> },
}

/// The values of a scrape as they are in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawValues<'a>(&'a [u8]);

impl RawValues<'_> {
    /// Puts the values in place of what `out` holds.
    pub(crate) fn read_into(self, out: &mut Vec<f64>) {
        let value = |bytes: &[u8; 8]| f64::from_bits(u64::from_le_bytes(*bytes));
        out.clear();
        out.extend(self.0.as_chunks().0.iter().map(value));
    }
}

/// What stands at the next place of a log.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Record(Record<'a>),
    /// A record that a crash cut off, or nothing but zeros: the end.
    TornEnd,
    /// A damaged record. Reading on finds the next whole one, if there is one.
    Damage,
}

/// How a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Whole,
    /// Cut off by a crash right after its creation.
    Torn,
    Foreign,
    Damaged,
    Newer(u32),
}

pub(crate) fn beginning(bytes: &[u8]) -> Beginning {
    let whole = header();
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written < HEADER_LEN && whole.starts_with(&bytes[..written]) {
        return Beginning::Torn;
    }
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Beginning::Foreign;
    }
    match (reader.u32(), reader.u32()) {
        (Some(version), Some(crc)) if crc == crc32fast::hash(&bytes[..MAGIC.len() + 4]) => {
            if version == VERSION {
                Beginning::Whole
            } else {
                Beginning::Newer(version)
            }
        }
        _ => Beginning::Damaged,
    }
}

/// Goes through the records of a log.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    offset: usize,
    good_length: u64,
}

impl<'a> Scan<'a> {
    /// The records after the header, whatever the header is.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let offset = HEADER_LEN.min(bytes.len());
        Self { bytes, offset, good_length: offset as u64 }
    }

    /// Where the last whole record ends.
    pub(crate) fn good_length(&self) -> u64 {
        self.good_length
    }
}

/// The whole records, and what stands in the place of others.
impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.offset >= self.bytes.len() {
            return None;
        }
        match find(self.bytes, self.offset) {
            Place::Payload(payload) => {
                self.offset += RECORD_HEADER_LEN + payload.len();
                let Some(record) = parse(payload) else { return Some(Found::Damage) };
                self.good_length = self.offset as u64;
                Some(Found::Record(record))
            }
            Place::TornEnd => {
                self.offset = self.bytes.len();
                Some(Found::TornEnd)
            }
            Place::Damage => {
                let later = self.offset + 1..self.bytes.len();
                let whole = |at: &usize| matches!(find(self.bytes, *at), Place::Payload(_));
                self.offset = later.into_iter().find(whole).unwrap_or(self.bytes.len());
                Some(Found::Damage)
            }
        }
    }
}

enum Place<'a> {
    Payload(&'a [u8]),
    TornEnd,
    Damage,
}

fn find(bytes: &[u8], offset: usize) -> Place<'_> {
    let mut reader = Reader::new(&bytes[offset..]);
    let (Some(length), Some(length_crc), Some(payload_crc)) =
        (reader.u32(), reader.u32(), reader.u32())
    else {
        return Place::TornEnd;
    };
    if length_checksum(length, offset as u64) != length_crc {
        return damage_or_torn_end(reader);
    }
    match reader.take(length as usize) {
        None => Place::TornEnd,
        Some(payload) if crc32fast::hash(payload) == payload_crc => Place::Payload(payload),
        Some(_) => damage_or_torn_end(reader),
    }
}

/// A crash can leave the file longer than what was written, filled with zeros: then nothing else
/// follows the record that was cut off.
fn damage_or_torn_end(mut after: Reader<'_>) -> Place<'static> {
    let following = after.take(after.remaining()).unwrap_or_default();
    if following.iter().all(|byte| *byte == 0) { Place::TornEnd } else { Place::Damage }
}

/// `None` when a payload makes no sense although its checksum fits.
fn parse(payload: &[u8]) -> Option<Record<'_>> {
    let mut reader = Reader::new(payload);
    match reader.byte()? {
        KIND_TARGET => {
            let count = reader.count()?;
            let series: Option<Vec<Labels>> =
                (0..count).map(|_| take_labels(&mut reader)).collect();
            (reader.remaining() == 0).then_some(Record::Target(series?))
        }
        KIND_SCRAPE => {
            let target = TargetId(u32::try_from(reader.varint()?).ok()?);
            let t_ms = unzigzag(reader.varint()?);
            let values = reader.take(reader.remaining())?;
            let whole = values.len().is_multiple_of(size_of::<f64>());
            whole.then_some(Record::Scrape { target, t_ms, values: RawValues(values) })
        }
        _ => None,
    }
}
