//! The format of the append log.
//!
//! Header: `PGSAMLOG`, version (u32), CRC-32 of both (u32). Then records: length of the payload
//! (u32), CRC-32 of that length and the record's offset (u32), CRC-32 of the payload (u32),
//! payload; all little-endian. A payload defines a target (kind 1: its labels) or holds a scrape
//! (kind 2: target, time, values). The checksum of the length tells a record that was cut off by a
//! crash from one that was damaged later.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};
use crate::codec::{put_labels, take_labels};
use crate::log::LogError;
use crate::{Labels, Store, TargetId};

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

/// What the records of a log give.
pub(crate) struct Replayed {
    pub(crate) store: Store,
    pub(crate) targets: BTreeMap<Vec<Labels>, TargetId>,
    /// Where the last whole record ends; 0 when not even the header is whole.
    pub(crate) good_length: u64,
    /// Where a damaged record begins. What follows it cannot be trusted.
    pub(crate) damaged_at: Option<u64>,
}

/// What stands at one place of a log.
enum Found<'a> {
    Payload(&'a [u8]),
    TornEnd,
    Damage,
}

fn find(bytes: &[u8], offset: usize) -> Found<'_> {
    let mut reader = Reader::new(&bytes[offset..]);
    let (Some(length), Some(length_crc), Some(payload_crc)) =
        (reader.u32(), reader.u32(), reader.u32())
    else {
        return Found::TornEnd;
    };
    if length_checksum(length, offset as u64) != length_crc {
        return damage_or_torn_end(reader);
    }
    match reader.take(length as usize) {
        None => Found::TornEnd,
        Some(payload) if crc32fast::hash(payload) == payload_crc => Found::Payload(payload),
        Some(_) => damage_or_torn_end(reader),
    }
}

/// A crash can leave the file longer than what was written, filled with zeros: then nothing else
/// follows the record that was cut off.
fn damage_or_torn_end(mut after: Reader<'_>) -> Found<'static> {
    let following = after.take(after.remaining()).unwrap_or_default();
    if following.iter().all(|byte| *byte == 0) { Found::TornEnd } else { Found::Damage }
}

/// Reads a log into `store`, which says how samples out of order are taken.
pub(crate) fn replay(path: &Path, bytes: &[u8], store: Store) -> Result<Replayed, LogError> {
    let mut replayed =
        Replayed { store, targets: BTreeMap::new(), good_length: 0, damaged_at: None };
    if bytes.len() < HEADER_LEN {
        // Also an empty file, which a crash right after its creation leaves.
        let torn = header().starts_with(bytes) || is_torn_header(bytes);
        return if torn { Ok(replayed) } else { Err(LogError::NotALog(path.to_owned())) };
    }
    if is_torn_header(bytes) {
        return Ok(replayed);
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
            replayed.damaged_at = Some(offset as u64);
            break;
        };
        offset += length;
    }
    replayed.good_length = offset as u64;
    Ok(replayed)
}

/// Whether the header was cut off by a crash that filled the file with zeros after the cut.
fn is_torn_header(bytes: &[u8]) -> bool {
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    written < HEADER_LEN && header().starts_with(&bytes[..written])
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
