//! The stored form of a [`Store`].
//!
//! `PGSAMPLE`, version (u32), length of the body (u64), CRC-32 of the body (u32), body; all
//! little-endian. The body is a sequence of targets: their labels, then their chunks. The bytes are
//! a function of the appended data alone.

use crate::Labels;
use crate::bytes::{Reader, put_text, put_varint, unzigzag, zigzag};
use crate::store::{CHUNK_LEN, Chunk, Store, Target};

const MAGIC: &[u8; 8] = b"PGSAMPLE";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 24;

/// Why bytes are not a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The magic header is missing.
    #[error("this is not a sample store: it does not begin with `PGSAMPLE`")]
    NotAStore,
    /// A later release wrote it.
    #[error(
        "the sample store has format {found}; this release reads format {VERSION}: use a newer release"
    )]
    NewerVersion {
        /// The format that was found.
        found: u32,
    },
    /// Fewer or more bytes than the header says.
    #[error("the sample store has {found} bytes instead of {expected}: it was cut or added to")]
    WrongLength {
        /// Bytes according to the header.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The checksum does not fit.
    #[error("the sample store is damaged: its checksum does not fit; take it from a copy")]
    Damaged,
    /// The checksum fits but the contents make no sense.
    #[error("the sample store is malformed: {0}")]
    Malformed(&'static str),
}

impl Store {
    /// The stored form; the same appends always give the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_varint(&mut body, self.targets.len() as u64);
        for target in &self.targets {
            put_target(&mut body, target);
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads the stored form and checks all of it.
    ///
    /// # Errors
    /// When the bytes are no store, of a newer format, cut, damaged or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(body_of(bytes)?);
        let count = reader.count().ok_or(StoreError::Malformed("number of targets"))?;
        let mut targets = Vec::new();
        for _ in 0..count {
            targets.push(take_target(&mut reader)?);
        }
        if reader.remaining() > 0 {
            return Err(StoreError::Malformed("bytes after the last target"));
        }
        Ok(Self { targets })
    }
}

fn body_of(bytes: &[u8]) -> Result<&[u8], StoreError> {
    let mut header = Reader::new(bytes);
    if header.take(MAGIC.len()) != Some(MAGIC) {
        return Err(StoreError::NotAStore);
    }
    let cut = StoreError::WrongLength { expected: HEADER_LEN as u64, found: bytes.len() as u64 };
    let version = header.u32().ok_or_else(|| cut.clone())?;
    if version != VERSION {
        return Err(StoreError::NewerVersion { found: version });
    }
    let length = header.u64().ok_or_else(|| cut.clone())?;
    let checksum = header.u32().ok_or(cut)?;
    let body = bytes.get(HEADER_LEN..).unwrap_or_default();
    if body.len() as u64 != length {
        let expected = length.saturating_add(HEADER_LEN as u64);
        return Err(StoreError::WrongLength { expected, found: bytes.len() as u64 });
    }
    if crc32fast::hash(body) != checksum {
        return Err(StoreError::Damaged);
    }
    Ok(body)
}

fn put_target(out: &mut Vec<u8>, target: &Target) {
    put_varint(out, target.series.len() as u64);
    for labels in &target.series {
        put_labels(out, labels);
    }
    let head = target.head_chunk();
    let chunks = target.chunks.iter().chain(&head);
    put_varint(out, (target.chunks.len() + usize::from(head.is_some())) as u64);
    for chunk in chunks {
        put_varint(out, u64::from(chunk.count));
        put_varint(out, zigzag(chunk.first_ms));
        put_varint(out, zigzag(chunk.last_ms));
        let mut start = 0;
        for end in &chunk.ends {
            put_varint(out, u64::from(end - start));
            start = *end;
        }
        out.extend_from_slice(&chunk.data);
    }
}

pub(crate) fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_varint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
}

pub(crate) fn take_labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let count = reader.count()?;
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for _ in 0..count {
        pairs.push((reader.text()?, reader.text()?));
    }
    let canonical =
        pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|(_, v)| !v.is_empty());
    canonical.then(|| Labels::from_pairs(pairs))
}

fn take_target(reader: &mut Reader<'_>) -> Result<Target, StoreError> {
    let count = reader.count().ok_or(StoreError::Malformed("number of series"))?;
    let mut series = Vec::new();
    for _ in 0..count {
        series.push(take_labels(reader).ok_or(StoreError::Malformed("labels"))?);
    }
    let count = reader.count().ok_or(StoreError::Malformed("number of chunks"))?;
    let mut target = Target::new(series);
    for at in 0..count {
        let chunk = take_chunk(reader, target.series.len())
            .ok_or(StoreError::Malformed("chunk of samples"))?;
        let (times, values) = check_chunk(&chunk, &target)?;
        if (chunk.count as usize) < CHUNK_LEN && at + 1 == count {
            // The last, unfinished chunk is the head again, so that appending goes on in it.
            target.head_times_ms = times;
            target.head_values = values;
        } else if chunk.count as usize == CHUNK_LEN {
            target.chunks.push(chunk);
        } else {
            return Err(StoreError::Malformed("unfinished chunk before the last one"));
        }
    }
    Ok(target)
}

fn take_chunk(reader: &mut Reader<'_>, series: usize) -> Option<Chunk> {
    let count = u32::try_from(reader.varint()?).ok()?;
    if count == 0 || count as usize > CHUNK_LEN {
        return None;
    }
    let first_ms = unzigzag(reader.varint()?);
    let last_ms = unzigzag(reader.varint()?);
    let mut end = 0_u32;
    let mut ends = Vec::new();
    for _ in 0..=series {
        end = end.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        ends.push(end);
    }
    let data = reader.take(end as usize)?;
    Some(Chunk { first_ms, last_ms, count, ends: ends.into(), data: data.into() })
}

/// Decodes all columns once: what is served later is known to be readable.
fn check_chunk(chunk: &Chunk, target: &Target) -> Result<(Vec<i64>, Vec<f64>), StoreError> {
    let mut times = Vec::with_capacity(CHUNK_LEN);
    chunk.decode_times(&mut times).ok_or(StoreError::Malformed("times"))?;
    let in_order = times.is_sorted_by(|a, b| a < b)
        && times.first() == Some(&chunk.first_ms)
        && times.last() == Some(&chunk.last_ms)
        && target.last_ms().is_none_or(|last| last < chunk.first_ms)
        && times.iter().all(|t| t.abs_diff(0) <= crate::column::WHOLE_MAX as u64);
    if !in_order {
        return Err(StoreError::Malformed("times that do not increase"));
    }
    let width = target.series.len();
    // The shortest column has two bytes, so forged counts cannot ask for much memory.
    if chunk.data.len() < 2 * width {
        return Err(StoreError::Malformed("values"));
    }
    let mut rows = vec![0.0; if times.len() < CHUNK_LEN { times.len() * width } else { 0 }];
    let mut values = Vec::with_capacity(CHUNK_LEN);
    for series in 0..width {
        values.clear();
        chunk.decode_values(series, &mut values).ok_or(StoreError::Malformed("values"))?;
        for (row, value) in rows.chunks_exact_mut(width).zip(&values) {
            row[series] = *value;
        }
    }
    Ok((times, rows))
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LEN, StoreError};
    use crate::{Labels, Matcher, STALE_NAN, SampleSource, Store};
    use proptest::prelude::*;

    fn small() -> Store {
        let mut store = Store::new();
        let target = store
            .add_target(vec![Labels::metric("up", &[("job", "node")]), Labels::metric("lag", &[])]);
        store.append(target, 15_000, &[1.0, 0.5]).unwrap();
        store.append(target, 30_000, &[1.0, STALE_NAN]).unwrap();
        store.append(target, 45_000, &[0.0, -2.5]).unwrap();
        store
    }

    fn long() -> Store {
        let mut store = Store::new();
        let target = store.add_target(vec![Labels::metric("a", &[]), Labels::metric("b", &[])]);
        for n in 0..600 {
            store.append(target, n, &[n as f64, (n as f64).sqrt()]).unwrap();
        }
        store
    }

    fn everything(store: &Store) -> Vec<(String, Vec<i64>, Vec<u64>)> {
        let all = Matcher::matches("__name__", ".*").unwrap();
        let found = store.select(&[all], i64::MIN, i64::MAX).unwrap();
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect();
        found
            .iter()
            .map(|s| (s.labels().to_string(), s.times_ms().to_vec(), bits(s.values())))
            .collect()
    }

    #[test]
    fn the_bytes_of_a_small_store_are_pinned() {
        let hex: String = small().encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, PINNED);
    }

    const PINNED: &str = "504753414d504c45010000004f00000000000000a8c35996010202085f5f6e616d65\
        5f5f027570036a6f62046e6f646501085f5f6e616d655f5f036c61670103b0ea0190bf05040416e1d40303010400\
        020506e03f00020000000000104000020000000000f4bf";

    #[test]
    fn a_decoded_store_holds_the_same_and_goes_on() {
        for store in [small(), long(), Store::new()] {
            let again = Store::decode(&store.encode()).unwrap();
            assert_eq!(everything(&again), everything(&store));
            assert_eq!(again.encode(), store.encode());
        }
        let mut again = Store::decode(&small().encode()).unwrap();
        let mut store = small();
        for n in 4..300 {
            let target = crate::TargetId(0);
            again.append(target, n * 15_000, &[n as f64, 0.0]).unwrap();
            store.append(target, n * 15_000, &[n as f64, 0.0]).unwrap();
        }
        assert_eq!(again.encode(), store.encode());
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let bytes = small().encode();
        for length in 0..bytes.len() {
            assert!(Store::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(matches!(Store::decode(&longer), Err(StoreError::WrongLength { .. })));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = small().encode();
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(Store::decode(&damaged).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = small().encode();
        bytes[8] = 2;
        assert_eq!(Store::decode(&bytes).err(), Some(StoreError::NewerVersion { found: 2 }));
    }

    fn with_right_checksum(body: &[u8]) -> Vec<u8> {
        let mut bytes = small().encode()[..12].to_vec();
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    proptest! {
        #[test]
        fn a_forged_body_is_read_or_refused(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(), from_long in any::<bool>(),
        ) {
            let mut body = if from_long { long() } else { small() }.encode().split_off(HEADER_LEN);
            for (at, byte) in &edits {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            if edits.len() > 3 {
                body.truncate(cut.index(body.len()));
            }
            if let Ok(store) = Store::decode(&with_right_checksum(&body)) {
                everything(&store);
            }
        }

        #[test]
        fn arbitrary_bodies_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Store::decode(&with_right_checksum(&body));
        }
    }
}
