//! Sealed blocks of samples.

use std::ops::Range;

use samples::{Block, Labels, Store};

use crate::Target;

/// The bytes of a block.
pub const TARGET: Target = Target {
    name: "block",
    run,
    seeds,
    repair: |bytes| {
        let whole = bytes.len();
        repair(bytes, whole);
    },
    words: &["PGBLOCK\0", "\u{7f}", "\0\0\0\0"],
};

const MAGIC: &[u8] = b"PGBLOCK\0";
/// Magic, version, length and checksum of the index, length of the block, checksum of the header.
const HEADER_LEN: usize = 32;

/// A block that opens says how long it is, and is whole or says what is damaged.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(block) = Block::from_bytes("fuzzed", bytes.to_vec()) else { return false };
    assert_eq!(block.byte_length(), bytes.len() as u64);
    let _ = (block.sample_count(), block.scrape_count(), block.extent_ms());
    block.verify().is_ok()
}

/// Makes the checksums of the block at the beginning of `bytes` fit, and its length be `length`.
pub(super) fn repair(bytes: &mut [u8], length: usize) {
    let Some(block) = bytes.get_mut(..length).filter(|block| block.len() >= HEADER_LEN) else {
        return;
    };
    let index_length = u32_at(block, 12).unwrap_or(0) as usize;
    let index_end = HEADER_LEN.saturating_add(index_length).min(length);
    let mut data = index_end;
    for (place, frame_length) in extents(block, HEADER_LEN..index_end).unwrap_or_default() {
        let end = data.saturating_add(frame_length).min(length);
        let checksum = crc32fast::hash(block.get(data..end).unwrap_or_default());
        put(block, place, &checksum.to_le_bytes());
        data = end;
    }
    let checksum = crc32fast::hash(block.get(HEADER_LEN..index_end).unwrap_or_default());
    put(block, 16, &checksum.to_le_bytes());
    put(block, 20, &(length as u64).to_le_bytes());
    let checksum = crc32fast::hash(block.get(..HEADER_LEN - 4).unwrap_or_default());
    put(block, HEADER_LEN - 4, &checksum.to_le_bytes());
}

/// Repairs every block within `bytes` whose length is still right.
pub(super) fn repair_all(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| position(rest, MAGIC)) {
        at += next;
        let Some(rest) = bytes.get_mut(at..) else { return };
        let length = u32_at(rest, 20).unwrap_or(0) as usize;
        repair(rest, length);
        at += MAGIC.len();
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

/// Where the checksum of each frame stands in the index, and how long the frame is.
fn extents(bytes: &[u8], index: Range<usize>) -> Option<Vec<(usize, usize)>> {
    let mut walk = Walk { bytes: bytes.get(..index.end)?, at: index.start };
    let mut found = Vec::new();
    // The window, the targets and their checksum.
    walk.skip(3)?;
    walk.at += 4;
    for _ in 0..walk.varint()? {
        walk.skip(2)?;
        for _ in 0..walk.varint()? {
            walk.skip(4)?;
        }
        found.push(walk.extent()?);
        for _ in 0..walk.varint()? {
            walk.skip(1)?;
            found.push(walk.extent()?);
        }
    }
    Some(found)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, varints: usize) -> Option<()> {
        (0..varints).try_for_each(|_| self.varint().map(|_| ()))
    }

    fn extent(&mut self) -> Option<(usize, usize)> {
        let length = usize::try_from(self.varint()?).ok()?;
        let place = self.at;
        self.at += 4;
        (self.at <= self.bytes.len()).then_some((place, length))
    }
}

/// Stores with gauges, counters, numbers that are no integers, gaps, and series that end.
pub(super) fn stores() -> Vec<Store> {
    let labels = |name: &str, x: &str| Labels::metric(name, &[("instance", x)]);
    let mut small = Store::new();
    let target = small.add_target(vec![labels("up", "a"), labels("height", "a")]);
    for n in 0..20_i64 {
        let _ = small.append(target, n * 15_000, &[1.0, (n * n) as f64]);
    }
    let mut mixed = Store::new();
    let first = mixed.add_target(vec![labels("a", "é"), labels("b", "\"\\"), labels("c", "")]);
    let second = mixed.add_target(vec![labels("a", "é")]);
    for n in 0..700_i64 {
        let odd = if n % 7 == 0 { f64::NAN } else { 1.0 / (n + 1) as f64 };
        let ended = if n > 600 { samples::STALE_NAN } else { (n % 3) as f64 * 0.25 };
        let _ = mixed.append(first, n * 15_000 + n % 2, &[odd, ended, (n % 5) as f64]);
        let _ = mixed.append(second, n * 16_000, &[-1e300]);
    }
    vec![Store::new(), small, mixed]
}

/// The blocks within stores.
fn seeds() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for store in stores() {
        let Ok(bytes) = store.encode() else { continue };
        let mut rest = bytes.as_slice();
        while let Some(at) = position(rest, MAGIC) {
            rest = rest.get(at..).unwrap_or_default();
            let length = u32_at(rest, 20).unwrap_or(0) as usize;
            found.extend(rest.get(..length).map(<[u8]>::to_vec));
            rest = rest.get(MAGIC.len()..).unwrap_or_default();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{extents, repair, run, seeds};

    #[test]
    fn a_damaged_frame_is_refused_until_it_is_repaired() {
        for seed in seeds() {
            let mut same = seed.clone();
            repair(&mut same, seed.len());
            assert_eq!(same, seed);
            let index_end = 32 + super::u32_at(&seed, 12).unwrap() as usize;
            let frames = extents(&seed, 32..index_end).unwrap();
            let total: usize = frames.iter().map(|(_, length)| length).sum();
            assert_eq!(index_end + total, seed.len());
            let mut damaged = seed.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert!(!run(&damaged));
        }
        assert!(seeds().len() >= 2);
    }
}
