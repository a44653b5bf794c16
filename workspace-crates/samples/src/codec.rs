//! The stored form of a [`Store`].
//!
//! `PGSAMPLE`, version (u32), length of the body (u64), CRC-32 of the body (u32), body; all
//! little-endian. The body says how late scrapes may be and how far the store is sealed; then come
//! the targets, the blocks, and a last block with the scrapes that are not sealed yet. The bytes are
//! a function of the appended data alone.

use std::sync::Arc;

use crate::Labels;
use crate::block::{Block, BlockError};
use crate::block_build::TargetRows;
use crate::block_index::TIME_MAX_MS;
use crate::bytes::{Reader, put_text, put_varint, unzigzag, zigzag};
use crate::store::Store;
use crate::store_catalogue::Catalogue;
use crate::store_head::Head;
use crate::store_seal::SealState;

const MAGIC: &[u8; 8] = b"PGSAMPLE";
const VERSION: u32 = 2;
const HEADER_LEN: usize = 24;
/// No store keeps more values unsealed; only forged ones claim to.
const HEAD_VALUES_MAX: u64 = 1 << 28;

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
    /// A version wrote it that was never released.
    #[error(
        "the sample store has format {found}, which was never released; this release reads format {VERSION}: record the samples anew"
    )]
    OlderVersion {
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
    /// One of its blocks cannot be used.
    #[error("the sample store is malformed: {0}")]
    Block(String),
    /// The checksum fits but the contents make no sense.
    #[error("the sample store is malformed: {0}")]
    Malformed(&'static str),
}

impl From<BlockError> for StoreError {
    fn from(error: BlockError) -> Self {
        Self::Block(error.to_string())
    }
}

impl Store {
    /// The stored form; the same appends always give the same bytes. Blocks in files are read for
    /// it.
    ///
    /// # Errors
    /// When a block in a file cannot be read.
    pub fn encode(&self) -> Result<Vec<u8>, BlockError> {
        let mut body = Vec::new();
        put_varint(&mut body, self.window_ms as u64);
        body.push(u8::from(self.seal.next_ms.is_some()));
        put_varint(&mut body, zigzag(self.seal.next_ms.unwrap_or(0)));
        put_varint(&mut body, self.seal.since);
        put_varint(&mut body, self.seal.overdue);
        self.catalogue.encode(&mut body);
        put_varint(&mut body, self.blocks.len() as u64);
        for block in &self.blocks {
            let bytes = block.read_bytes()?;
            put_varint(&mut body, bytes.len() as u64);
            body.extend_from_slice(&bytes);
        }
        let head = self.head_block();
        let head = head.as_ref().and_then(Block::bytes).unwrap_or_default();
        put_varint(&mut body, head.len() as u64);
        body.extend_from_slice(head);
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// All rows that are not sealed.
    fn head_block(&self) -> Option<Block> {
        let start_ms = self.heads.iter().filter_map(Head::extent_ms).map(|e| e.0).min()?;
        let end_ms = self.heads.iter().filter_map(Head::extent_ms).map(|e| e.1).max()? + 1;
        Some(self.build_block(start_ms, end_ms, |target| 0..self.heads[target].times_ms.len()))
    }

    /// Reads the stored form. Samples in sealed blocks are checked when they are read.
    ///
    /// # Errors
    /// When the bytes are no store, of another format, cut, damaged or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(body_of(bytes)?);
        let mut store = take_state(&mut reader).ok_or(StoreError::Malformed("state"))?;
        let seal = store.seal;
        let catalogue = Catalogue::decode(&mut reader).ok_or(StoreError::Malformed("targets"))?;
        store.heads = vec![Head::default(); catalogue.len()];
        store.catalogue = Arc::new(catalogue);
        let count = reader.count().ok_or(StoreError::Malformed("number of blocks"))?;
        for number in 0..count {
            let bytes = take_block(&mut reader)?;
            store.add_block(Block::from_bytes(&format!("number {number}"), bytes)?)?;
        }
        let head = take_block(&mut reader)?;
        if !head.is_empty() {
            store.take_head(Block::from_bytes("of the latest scrapes", head)?)?;
        }
        if reader.remaining() > 0 {
            return Err(StoreError::Malformed("bytes after the last block"));
        }
        // What was sealed is not newer than the state.
        if store.seal.next_ms > seal.next_ms {
            return Err(StoreError::Malformed("state"));
        }
        store.seal = seal;
        Ok(store)
    }

    /// Unpacks the rows that are not sealed.
    fn take_head(&mut self, block: Block) -> Result<(), StoreError> {
        self.check_block(&block)?;
        if block.sample_count() + block.scrape_count() > HEAD_VALUES_MAX {
            return Err(StoreError::Malformed("number of unsealed scrapes"));
        }
        for group in block.index().groups.iter().map(|entry| entry.group) {
            let rows = block.group_rows(group).map_err(|e| StoreError::Block(e.to_string()))?;
            for rows in rows {
                self.take_rows(&rows).ok_or(StoreError::Malformed("unsealed scrapes"))?;
            }
        }
        Ok(())
    }

    fn take_rows(&mut self, rows: &TargetRows) -> Option<()> {
        let families = &self.catalogue.get(rows.id)?.families;
        let (width, count) = (families.len(), rows.times_ms.len());
        if rows.families.len() != width || rows.values.len() != width * count {
            return None;
        }
        if rows.times_ms.iter().any(|t| t.abs_diff(0) > TIME_MAX_MS as u64) {
            return None;
        }
        let mut values = vec![0.0; rows.values.len()];
        for (column, family) in families.iter().enumerate() {
            let stored = rows.families.binary_search(family).ok()?;
            let from = &rows.values[stored * count..(stored + 1) * count];
            for (row, value) in from.iter().enumerate() {
                values[row * width + column] = *value;
            }
        }
        let head = self.heads.get_mut(rows.id as usize)?;
        head.times_ms.clone_from(&rows.times_ms);
        head.values = values;
        Some(())
    }
}

fn take_state(reader: &mut Reader<'_>) -> Option<Store> {
    let window_ms = i64::try_from(reader.varint()?).ok().filter(|w| *w <= TIME_MAX_MS)?;
    let begun = reader.byte()?;
    let next_ms = unzigzag(reader.varint()?);
    let (since, overdue) = (reader.varint()?, reader.varint()?);
    let plausible = begun <= 1
        && (begun == 1 || next_ms == 0)
        && next_ms.abs_diff(0) <= 2 * TIME_MAX_MS as u64
        && since.max(overdue) <= HEAD_VALUES_MAX;
    let seal = SealState { next_ms: (begun == 1).then_some(next_ms), since, overdue };
    plausible.then(|| Store { seal, ..Store::with_out_of_order(window_ms) })
}

fn take_block(reader: &mut Reader<'_>) -> Result<Vec<u8>, StoreError> {
    let length = reader.count().ok_or(StoreError::Malformed("length of a block"))?;
    Ok(reader.take(length).unwrap_or_default().to_vec())
}

fn body_of(bytes: &[u8]) -> Result<&[u8], StoreError> {
    let mut header = Reader::new(bytes);
    if header.take(MAGIC.len()) != Some(MAGIC) {
        return Err(StoreError::NotAStore);
    }
    let cut = StoreError::WrongLength { expected: HEADER_LEN as u64, found: bytes.len() as u64 };
    let version = header.u32().ok_or_else(|| cut.clone())?;
    if version < VERSION {
        return Err(StoreError::OlderVersion { found: version });
    }
    if version > VERSION {
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
            store.append(target, n * 60_000, &[n as f64, (n as f64).sqrt()]).unwrap();
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
        let hex: String = small().encode().unwrap().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, PINNED);
    }

    const PINNED: &str = "504753414d504c4502000000a6000000000000006a9e5f5a0001000600010000020002085f5f6e616d655f5f\
        027570036a6f62046e6f6465000101085f5f6e616d655f5f036c61670000735047424c4f434b000100000027\
        000000b6478d217300000000000000e1d11188b0ea01b1ea0101da190b7501000601000300b0ea010bbafd87\
        da02000af35194890117738ea41601000007020200b0ea0100030000040200010001030500000f0309080a01\
        0101020000000000f07f0000003b";

    #[test]
    fn a_decoded_store_holds_the_same_and_goes_on() {
        for store in [small(), long(), Store::new()] {
            let again = Store::decode(&store.encode().unwrap()).unwrap();
            assert_eq!(everything(&again), everything(&store));
            assert_eq!(again.encode().unwrap(), store.encode().unwrap());
        }
        let mut again = Store::decode(&small().encode().unwrap()).unwrap();
        let mut store = small();
        for n in 4..300 {
            let target = crate::TargetId(0);
            again.append(target, n * 15_000, &[n as f64, 0.0]).unwrap();
            store.append(target, n * 15_000, &[n as f64, 0.0]).unwrap();
        }
        assert_eq!(again.encode().unwrap(), store.encode().unwrap());
    }

    #[test]
    fn every_truncation_and_addition_is_refused() {
        let bytes = small().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Store::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(matches!(Store::decode(&longer), Err(StoreError::WrongLength { .. })));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = small().encode().unwrap();
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(Store::decode(&damaged).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = small().encode().unwrap();
        bytes[8] = 3;
        assert_eq!(Store::decode(&bytes).err(), Some(StoreError::NewerVersion { found: 3 }));
        bytes[8] = 1;
        assert_eq!(Store::decode(&bytes).err(), Some(StoreError::OlderVersion { found: 1 }));
    }

    fn with_right_checksum(body: &[u8]) -> Vec<u8> {
        let mut bytes = small().encode().unwrap()[..12].to_vec();
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
            let mut body = if from_long { long() } else { small() }.encode().unwrap().split_off(HEADER_LEN);
            for (at, byte) in &edits {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            if edits.len() > 3 {
                body.truncate(cut.index(body.len()));
            }
            if let Ok(store) = Store::decode(&with_right_checksum(&body)) {
                let all = Matcher::matches("__name__", ".*").unwrap();
                let _ = store.select(&[all], i64::MIN, i64::MAX);
            }
        }

        #[test]
        fn arbitrary_bodies_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Store::decode(&with_right_checksum(&body));
        }
    }
}
