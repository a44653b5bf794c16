//! The index of a block: which targets have rows in it, and where the frames are.

use crate::bytes::{Reader, put_varint, unzigzag, zigzag};

/// How many targets, by their number, share a frame.
pub(crate) const GROUP_LEN: u32 = 32;
/// Rows of one target in one block; two hours have half as many milliseconds.
pub(crate) const ROWS_MAX: u32 = 1 << 24;
/// Beyond ±2⁵³ ms there are no times.
pub(crate) const TIME_MAX_MS: i64 = 1 << 53;

/// Where a frame is, counted from the end of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

/// The rows of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetEntry {
    pub(crate) id: u32,
    pub(crate) rows: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupEntry {
    pub(crate) group: u32,
    /// Sorted by target.
    pub(crate) targets: Vec<TargetEntry>,
    pub(crate) times: Extent,
    /// Sorted by family.
    pub(crate) families: Vec<(u32, Extent)>,
    /// How many columns there are in all frames, without absent ones.
    pub(crate) samples: u64,
}

/// Which targets a block was made with: their number, and a checksum of their labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CatalogueMark {
    pub(crate) targets: u32,
    pub(crate) crc: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockIndex {
    /// The window: all times are in `start_ms <= t < end_ms`.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) catalogue: CatalogueMark,
    /// Sorted by group.
    pub(crate) groups: Vec<GroupEntry>,
}

impl BlockIndex {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, zigzag(self.start_ms));
        put_varint(&mut out, self.end_ms.wrapping_sub(self.start_ms) as u64);
        put_varint(&mut out, u64::from(self.catalogue.targets));
        out.extend_from_slice(&self.catalogue.crc.to_le_bytes());
        put_varint(&mut out, self.groups.len() as u64);
        for group in &self.groups {
            put_varint(&mut out, u64::from(group.group));
            put_varint(&mut out, group.samples);
            put_varint(&mut out, group.targets.len() as u64);
            for target in &group.targets {
                put_varint(&mut out, u64::from(target.id % GROUP_LEN));
                put_varint(&mut out, u64::from(target.rows));
                put_varint(&mut out, target.first_ms.wrapping_sub(self.start_ms) as u64);
                put_varint(&mut out, target.last_ms.wrapping_sub(target.first_ms) as u64);
            }
            put_extent(&mut out, group.times);
            put_varint(&mut out, group.families.len() as u64);
            for (family, extent) in &group.families {
                put_varint(&mut out, u64::from(*family));
                put_extent(&mut out, *extent);
            }
        }
        out
    }

    /// Reads what [`BlockIndex::encode`] wrote; `data_length` is the length of all frames.
    pub(crate) fn decode(bytes: &[u8], data_length: u64) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let start_ms = unzigzag(reader.varint()?);
        let end_ms = start_ms.checked_add(i64::try_from(reader.varint()?).ok()?)?;
        if start_ms.abs_diff(0) > 2 * TIME_MAX_MS as u64
            || end_ms.abs_diff(0) > 2 * TIME_MAX_MS as u64
        {
            return None;
        }
        let targets = u32::try_from(reader.varint()?).ok()?;
        let catalogue = CatalogueMark { targets, crc: reader.u32()? };
        let count = reader.count()?;
        let mut index = Self { start_ms, end_ms, catalogue, groups: Vec::new() };
        let mut offset = 0;
        for _ in 0..count {
            let group = index.take_group(&mut reader, &mut offset)?;
            index.groups.push(group);
        }
        let ordered = index.groups.is_sorted_by(|a, b| a.group < b.group);
        (ordered && offset == data_length && reader.remaining() == 0).then_some(index)
    }

    fn take_group(&self, reader: &mut Reader<'_>, offset: &mut u64) -> Option<GroupEntry> {
        let group = u32::try_from(reader.varint()?).ok()?;
        let samples = reader.varint()?;
        let count = reader.count()?;
        let mut targets = Vec::new();
        for _ in 0..count {
            targets.push(self.take_target(reader, group)?);
        }
        let times = take_extent(reader, offset)?;
        let count = reader.count()?;
        let mut families = Vec::new();
        for _ in 0..count {
            let family = u32::try_from(reader.varint()?).ok()?;
            families.push((family, take_extent(reader, offset)?));
        }
        let ordered = targets.is_sorted_by(|a: &TargetEntry, b| a.id < b.id)
            && families.is_sorted_by(|a: &(u32, Extent), b| a.0 < b.0)
            && !targets.is_empty();
        let rows: u64 = targets.iter().map(|target| u64::from(target.rows)).sum();
        let plausible = samples <= rows * families.len() as u64;
        (ordered && plausible).then_some(GroupEntry { group, targets, times, families, samples })
    }

    fn take_target(&self, reader: &mut Reader<'_>, group: u32) -> Option<TargetEntry> {
        let place = u32::try_from(reader.varint()?).ok().filter(|place| *place < GROUP_LEN)?;
        let id = group.checked_mul(GROUP_LEN)?.checked_add(place)?;
        let rows = u32::try_from(reader.varint()?).ok().filter(|r| (1..=ROWS_MAX).contains(r))?;
        let first_ms = self.start_ms.checked_add(i64::try_from(reader.varint()?).ok()?)?;
        let last_ms = first_ms.checked_add(i64::try_from(reader.varint()?).ok()?)?;
        let known = id < self.catalogue.targets && last_ms < self.end_ms;
        known.then_some(TargetEntry { id, rows, first_ms, last_ms })
    }
}

fn put_extent(out: &mut Vec<u8>, extent: Extent) {
    put_varint(out, u64::from(extent.length));
    out.extend_from_slice(&extent.crc.to_le_bytes());
}

fn take_extent(reader: &mut Reader<'_>, offset: &mut u64) -> Option<Extent> {
    let length = u32::try_from(reader.varint()?).ok()?;
    let extent = Extent { offset: *offset, length, crc: reader.u32()? };
    *offset = offset.checked_add(u64::from(length))?;
    Some(extent)
}
