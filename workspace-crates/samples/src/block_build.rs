//! Makes blocks from rows, and blocks from blocks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::SourceError;
use crate::block::Block;
use crate::block_frame::{FrameDecoder, FrameEncoder};
use crate::block_index::{BlockIndex, CatalogueMark, Extent, GroupEntry, ROWS_MAX, TargetEntry};

/// The rows of one target on their way into a block.
#[derive(Debug, Default)]
pub(crate) struct TargetRows {
    pub(crate) id: u32,
    pub(crate) times_ms: Vec<i64>,
    /// The family of each column.
    pub(crate) families: Arc<[u32]>,
    /// Column after column.
    pub(crate) values: Vec<f64>,
}

impl TargetRows {
    fn column(&self, at: usize) -> &[f64] {
        let rows = self.times_ms.len();
        &self.values[at * rows..(at + 1) * rows]
    }
}

/// What a block is, besides its rows.
pub(crate) struct BlockFrame<'a> {
    pub(crate) name: &'a str,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) catalogue: CatalogueMark,
}

/// A group's entry, with offsets from the group's first byte, and its frames.
type BuiltGroup = (GroupEntry, Vec<u8>);

/// Makes a block of the rows that `rows_of` gives for each of the `groups`, sorted. The threads that
/// share the work have no influence on the bytes.
pub(crate) fn build<E: Send>(
    about: &BlockFrame<'_>,
    groups: &[u32],
    threads: usize,
    rows_of: impl Fn(u32) -> Result<Vec<TargetRows>, E> + Sync,
) -> Result<Block, E> {
    let next = AtomicUsize::new(0);
    let built = Mutex::new(Vec::new());
    let work = || {
        let mut encoder = FrameEncoder::new();
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = rows_of(*group).map(|rows| build_group(*group, &rows, &mut encoder));
            built.lock().unwrap_or_else(PoisonError::into_inner).push((*group, one));
        }
    };
    if threads.min(groups.len()) < 2 {
        work();
    } else {
        std::thread::scope(|scope| {
            (1..threads.min(groups.len())).for_each(|_| {
                scope.spawn(work);
            });
            work();
        });
    }
    let mut built = built.into_inner().unwrap_or_else(PoisonError::into_inner);
    built.sort_by_key(|(group, _)| *group);
    let mut entries = Vec::with_capacity(built.len());
    let mut frames = Vec::with_capacity(built.len());
    let mut offset = 0;
    for (_, one) in built {
        let Some((mut entry, bytes)) = one? else { continue };
        entry.times.offset += offset;
        entry.families.iter_mut().for_each(|(_, extent)| extent.offset += offset);
        offset += bytes.len() as u64;
        entries.push(entry);
        frames.push(bytes);
    }
    let BlockFrame { name, start_ms, end_ms, catalogue } = *about;
    let index = BlockIndex { start_ms, end_ms, catalogue, groups: entries };
    Ok(Block::from_index(name, index, &frames))
}

/// Threads that are worth starting for so many samples.
pub(crate) fn threads_for(samples: usize) -> usize {
    if samples < 200_000 {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, |n| n.get().min(4))
}

fn build_group(group: u32, rows: &[TargetRows], encoder: &mut FrameEncoder) -> Option<BuiltGroup> {
    let rows: Vec<&TargetRows> = rows.iter().filter(|rows| !rows.times_ms.is_empty()).collect();
    let entry_of = |rows: &&TargetRows| {
        let (first_ms, last_ms) = (*rows.times_ms.first()?, *rows.times_ms.last()?);
        Some(TargetEntry { id: rows.id, rows: rows.times_ms.len() as u32, first_ms, last_ms })
    };
    let targets: Vec<TargetEntry> = rows.iter().filter_map(entry_of).collect();
    if targets.is_empty() {
        return None;
    }
    // Family, target, column; the sort brings the targets of a family together.
    let mut columns: Vec<(u32, usize, usize)> = Vec::new();
    for (target, rows) in rows.iter().enumerate() {
        columns.extend(rows.families.iter().enumerate().map(|(at, f)| (*f, target, at)));
    }
    columns.sort_unstable();
    let mut bytes = Vec::new();
    let times = encoder.times(rows.iter().map(|rows| rows.times_ms.as_slice()));
    let times = put_frame(&mut bytes, &times);
    let mut families = Vec::new();
    for family in columns.chunk_by(|a, b| a.0 == b.0) {
        let mut rest = family.iter().peekable();
        let values = rows.iter().enumerate().map(|(target, rows)| {
            let (_, _, at) = rest.next_if(|(_, owner, _)| *owner == target)?;
            Some(rows.column(*at))
        });
        let frame = encoder.values(values);
        families.push((family[0].0, put_frame(&mut bytes, &frame)));
    }
    let samples = rows.iter().map(|rows| rows.values.len() as u64).sum();
    Some((GroupEntry { group, targets, times, families, samples }, bytes))
}

fn put_frame(bytes: &mut Vec<u8>, frame: &[u8]) -> Extent {
    let offset = bytes.len() as u64;
    bytes.extend_from_slice(frame);
    Extent { offset, length: frame.len() as u32, crc: crc32fast::hash(frame) }
}

impl Block {
    /// Makes one block in memory, called `name`, of several that follow one another in their
    /// store. With a step only the last row of each step is kept, target by target: of the times in
    /// `k * step_ms < t <= (k + 1) * step_ms` the latest.
    ///
    /// # Errors
    /// When a block cannot be read or is damaged, or when blocks do not follow one another.
    pub fn merge(name: &str, blocks: &[&Self], step_ms: Option<i64>) -> Result<Self, SourceError> {
        let mut groups: Vec<u32> =
            blocks.iter().flat_map(|b| b.index().groups.iter().map(|g| g.group)).collect();
        groups.sort_unstable();
        groups.dedup();
        let catalogue = blocks.iter().map(|b| b.index().catalogue).max_by_key(|mark| mark.targets);
        let about = BlockFrame {
            name,
            start_ms: blocks.iter().map(|b| b.start_ms()).min().unwrap_or(0),
            end_ms: blocks.iter().map(|b| b.end_ms()).max().unwrap_or(0),
            catalogue: catalogue.unwrap_or_default(),
        };
        let threads = threads_for(blocks.iter().map(|b| b.sample_count() as usize).sum());
        build(&about, &groups, threads, |group| merged_rows(group, blocks, step_ms))
    }

    /// All rows of one group, target by target.
    pub(crate) fn group_rows(&self, group: u32) -> Result<Vec<TargetRows>, SourceError> {
        let Some(entry) = self.group(group) else { return Ok(Vec::new()) };
        let families: Vec<u32> = entry.families.iter().map(|(family, _)| *family).collect();
        let frames = self.read_group(entry, &families, &mut FrameDecoder::new())?;
        let mut numbers = Vec::new();
        let mut all = Vec::with_capacity(entry.targets.len());
        for (at, target) in entry.targets.iter().enumerate() {
            let mut rows = TargetRows { id: target.id, ..TargetRows::default() };
            self.append_times(&frames.times, at, target, &mut numbers, &mut rows.times_ms)?;
            let mut own = Vec::new();
            for (family, frame) in families.iter().zip(&frames.families) {
                if let Some(frame) = frame.as_ref().filter(|frame| frame.has(at)) {
                    own.push(*family);
                    frame.append_values(at, &mut numbers, &mut rows.values);
                }
            }
            rows.families = own.into();
            all.push(rows);
        }
        Ok(all)
    }
}

fn merged_rows(
    group: u32,
    blocks: &[&Block],
    step_ms: Option<i64>,
) -> Result<Vec<TargetRows>, SourceError> {
    let mut pieces = Vec::new();
    for block in blocks {
        pieces.extend(block.group_rows(group)?);
    }
    // The sort is stable: the pieces of a target stay in their order.
    pieces.sort_by_key(|rows| rows.id);
    let joined = pieces.chunk_by(|a, b| a.id == b.id).map(|pieces| {
        let rows = join_rows(pieces)?;
        let rows = match step_ms.filter(|step| *step > 0) {
            Some(step_ms) => last_of_each_step(&rows, step_ms),
            None => rows,
        };
        if rows.times_ms.len() > ROWS_MAX as usize {
            return Err(SourceError::Unreadable(format!(
                "the blocks to be merged have more than {ROWS_MAX} scrapes of target {}: merge fewer",
                rows.id
            )));
        }
        Ok(rows)
    });
    joined.collect()
}

fn join_rows(pieces: &[TargetRows]) -> Result<TargetRows, SourceError> {
    let Some(first) = pieces.first() else { return Ok(TargetRows::default()) };
    let times_ms: Vec<i64> = pieces.iter().flat_map(|rows| rows.times_ms.iter().copied()).collect();
    let same = pieces.iter().all(|rows| rows.families == first.families);
    if !same || !times_ms.is_sorted_by(|a, b| a < b) {
        let id = first.id;
        return Err(SourceError::Unreadable(format!(
            "the blocks to be merged do not follow one another for target {id}"
        )));
    }
    let mut values = Vec::with_capacity(times_ms.len() * first.families.len());
    for at in 0..first.families.len() {
        pieces.iter().for_each(|rows| values.extend_from_slice(rows.column(at)));
    }
    Ok(TargetRows { id: first.id, times_ms, families: Arc::clone(&first.families), values })
}

fn last_of_each_step(rows: &TargetRows, step_ms: i64) -> TargetRows {
    let times = &rows.times_ms;
    let step_of = |time: i64| (time - 1).div_euclid(step_ms);
    let kept: Vec<usize> = (0..times.len())
        .filter(|at| times.get(at + 1).is_none_or(|next| step_of(*next) != step_of(times[*at])))
        .collect();
    let mut values = Vec::with_capacity(kept.len() * rows.families.len());
    for column in 0..rows.families.len() {
        let column = rows.column(column);
        values.extend(kept.iter().map(|at| column[*at]));
    }
    TargetRows {
        id: rows.id,
        times_ms: kept.iter().map(|at| times[*at]).collect(),
        families: Arc::clone(&rows.families),
        values,
    }
}
