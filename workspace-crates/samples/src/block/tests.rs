use std::io;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::{Block, BlockError, HEADER_LEN, ReadAt};
use crate::block_index::BlockIndex;
use crate::{Labels, Matcher, SampleSource as _, SourceError, Store};

/// Two kinds of targets in two groups; values of all codings.
fn store() -> Store {
    let mut store = Store::new();
    let labels = |name: &str, n: usize| Labels::metric(name, &[("instance", &n.to_string())]);
    let targets: Vec<_> = (0..40)
        .map(|n| {
            let second = if n % 5 == 0 { "rare" } else { "tx" };
            store.add_target(vec![labels("up", n), labels(second, n), labels("ratio", n)])
        })
        .collect();
    for step in 0..200_i64 {
        for (n, target) in targets.iter().enumerate() {
            let counter = (step * step * 3 + n as i64) as f64;
            let ratio = if step % 50 == 7 { f64::NAN } else { (counter + 0.7).sqrt() };
            store.append(*target, step * 60_000 + n as i64, &[1.0, counter, ratio]).unwrap();
        }
    }
    store
}

fn block_bytes() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| store().take_sealed()[0].bytes().unwrap().to_vec()).clone()
}

/// A store that has only this block.
fn store_with(bytes: &[u8]) -> Result<Store, BlockError> {
    static TARGETS: OnceLock<Vec<Vec<Labels>>> = OnceLock::new();
    let targets = TARGETS.get_or_init(|| store().targets().map(|(_, s)| s.to_vec()).collect());
    let mut empty = Store::new();
    for series in targets {
        empty.add_target(series.clone());
    }
    empty.add_block(Block::from_bytes("b", bytes.to_vec())?)?;
    Ok(empty)
}

/// Labels, times and the bits of the values of one series.
type Taken = (Labels, Vec<i64>, Vec<u64>);

fn everything(store: &Store) -> Result<Vec<Taken>, SourceError> {
    let found = store.select(&[], i64::MIN, i64::MAX)?;
    let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect();
    let taken = found.iter().map(|s| (s.labels().clone(), s.times_ms().to_vec(), bits(s.values())));
    Ok(taken.collect())
}

#[test]
fn a_block_reads_the_same_from_memory_and_file() {
    use std::io::Write as _;
    let bytes = block_bytes();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let block = Block::open("b", Arc::new(file)).unwrap();
    block.verify().unwrap();
    assert_eq!((block.start_ms(), block.end_ms()), (0, 7_200_000));
    assert_eq!((block.scrape_count(), block.sample_count()), (40 * 120, 40 * 120 * 3));
    assert_eq!(block.extent_ms(), Some((0, 119 * 60_000 + 39)));
    assert_eq!(block.byte_length(), bytes.len() as u64);
    assert_eq!(block.read_bytes().unwrap(), bytes);
    let mut from_file = store_with(&bytes).unwrap();
    from_file.blocks = vec![Arc::new(block)];
    assert_eq!(everything(&from_file), everything(&store_with(&bytes).unwrap()));
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = block_bytes();
    let good = everything(&store_with(&bytes).unwrap()).unwrap();
    let step = (bytes.len() * 8 / 3_000).max(1);
    for bit in (0..HEADER_LEN * 8).chain((HEADER_LEN * 8..bytes.len() * 8).step_by(step)) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok(store) = store_with(&damaged) else { continue };
        assert!(store.blocks()[0].verify().is_err(), "bit {bit}");
        let Err(error) = everything(&store) else { panic!("bit {bit} was not noticed") };
        let SourceError::Damaged { block, .. } = &error else { panic!("bit {bit}: {error}") };
        assert_eq!(block, "b");
    }
    assert_eq!(good.len(), 120);
}

#[test]
fn damage_in_one_frame_leaves_the_others_readable() {
    let mut bytes = block_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let store = store_with(&bytes).unwrap();
    let select = |name: &str| store.select(&[Matcher::equal("__name__", name)], -1, i64::MAX);
    assert_eq!(select("up").unwrap().len(), 40);
    assert_eq!(select("rare").unwrap().len(), 8);
    let text = select("tx").map(|found| found.len()).unwrap_err().to_string();
    assert!(text.contains("the sample block b is damaged at targets 32 to 39"), "{text}");
}

#[test]
fn every_truncation_and_addition_is_refused() {
    let bytes = block_bytes();
    for length in (0..200).chain((200..bytes.len()).step_by(97)) {
        assert!(Block::from_bytes("b", bytes[..length].to_vec()).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    let refusal = Block::from_bytes("b", longer).unwrap_err();
    assert!(matches!(refusal, BlockError::WrongLength { .. }));
}

#[test]
fn foreign_and_newer_bytes_are_told_apart() {
    let foreign = Block::from_bytes("b", b"#!/bin/sh and so on, and so on, and on".to_vec());
    assert!(matches!(foreign, Err(BlockError::NotABlock(_))));
    let mut newer = block_bytes();
    newer[8] = 2;
    let refusal = Block::from_bytes("b", newer);
    assert!(matches!(refusal, Err(BlockError::NewerVersion { found: 2, .. })));
}

/// A disk that stops reading after it was opened.
#[derive(Debug)]
struct Failing(Vec<u8>, std::sync::atomic::AtomicBool);

impl ReadAt for Failing {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("the disk is gone"));
        }
        buffer.copy_from_slice(&self.0[offset as usize..offset as usize + buffer.len()]);
        Ok(())
    }

    fn byte_length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[test]
fn a_disk_that_fails_is_an_error() {
    let disk = Arc::new(Failing(block_bytes(), false.into()));
    let source: Arc<dyn ReadAt> = Arc::<Failing>::clone(&disk);
    let block = Block::open("b", source).unwrap();
    disk.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut store = store_with(&disk.0).unwrap();
    store.blocks = vec![Arc::new(block)];
    let text = everything(&store).unwrap_err().to_string();
    assert!(text.contains("the disk is gone") && text.contains("block b"), "{text}");
    assert!(store.encode().is_err());
}

/// The block with its index and its frames changed, and all checksums right.
fn forged(edits: &[(prop::sample::Index, u8)], in_index: bool) -> Vec<u8> {
    let bytes = block_bytes();
    let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut index = bytes[HEADER_LEN..HEADER_LEN + length].to_vec();
    let mut data = bytes[HEADER_LEN + length..].to_vec();
    let edited = if in_index { &mut index } else { &mut data };
    for (at, byte) in edits {
        let at = at.index(edited.len());
        edited[at] = *byte;
    }
    if let (false, Some(mut good)) = (in_index, BlockIndex::decode(&index, data.len() as u64)) {
        let mut at = 0;
        for group in &mut good.groups {
            for extent in
                std::iter::once(&mut group.times).chain(group.families.iter_mut().map(|f| &mut f.1))
            {
                let end = at + extent.length as usize;
                extent.crc = crc32fast::hash(&data[at..end]);
                at = end;
            }
        }
        index = good.encode();
    }
    let mut out = bytes[..12].to_vec();
    out.extend_from_slice(&(index.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
    out.extend_from_slice(&((HEADER_LEN + index.len() + data.len()) as u64).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out.extend_from_slice(&index);
    out.extend_from_slice(&data);
    out
}

#[test]
fn the_forger_keeps_good_blocks_good() {
    for in_index in [false, true] {
        assert_eq!(forged(&[], in_index), block_bytes());
    }
}

proptest! {
    #[test]
    fn a_forged_block_is_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), in_index: bool,
    ) {
        if let Ok(store) = store_with(&forged(&edits, in_index))
            && let Ok(found) = everything(&store)
        {
            for (_, times, values) in found {
                prop_assert!(times.len() == values.len() && times.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
