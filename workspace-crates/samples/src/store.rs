//! Samples of many targets, with one writer.

use std::ops::Range;
use std::sync::Arc;

use crate::Labels;
use crate::block::{Block, BlockError};
use crate::block_index::{CatalogueMark, TIME_MAX_MS};
use crate::store_catalogue::Catalogue;
use crate::store_head::Head;

/// Names a target within the [`Store`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(crate) u32);

/// What became of a scrape that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is later than all others of its target.
    New,
    /// It came late, and was put in its place.
    Late,
    /// The store had it already, bit for bit; nothing changed.
    Duplicate,
}

/// Why a scrape was not appended. The store is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The target belongs to another store.
    #[error("the store has no target {0}")]
    UnknownTarget(u32),
    /// The scrape has another number of values than the target has series.
    #[error("a scrape of {series} series has {values} values")]
    WrongLength {
        /// Series of the target.
        series: usize,
        /// Values given.
        values: usize,
    },
    /// The scrape is older than the last one by more than the store accepts.
    #[error(
        "a scrape at {t_ms} ms is {} ms older than the last one of its target at {last_ms} ms; at most {window_ms} ms are accepted: did the clock jump backwards?",
        .last_ms - .t_ms
    )]
    TooLate {
        /// The time of the last scrape, in milliseconds since the Unix epoch.
        last_ms: i64,
        /// The time of the refused one.
        t_ms: i64,
        /// How late a scrape may be, in milliseconds.
        window_ms: i64,
    },
    /// There is a scrape of the same time with other values.
    #[error("the store has another scrape of the same target at {t_ms} ms, with other values")]
    Conflict {
        /// The time of both.
        t_ms: i64,
    },
    /// The time lies beyond ±2⁵³ ms.
    #[error("a scrape at {0} ms lies outside of the range of times")]
    TimeOutOfRange(i64),
}

/// Samples in memory or in block files, with one writer.
///
/// All series of a target share one timestamp per scrape. A series that was absent from a scrape
/// gets [`STALE_NAN`](crate::STALE_NAN) there. The latest scrapes are kept as they are; two hours
/// after two hours they are sealed in compressed [`Block`]s.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) heads: Vec<Head>,
    pub(crate) blocks: Vec<Arc<Block>>,
    /// The blocks from here on were sealed since the last [`Store::take_sealed`].
    pub(crate) taken: usize,
    /// How late a scrape may be.
    pub(crate) window_ms: i64,
    pub(crate) seal: crate::store_seal::SealState,
}

impl Store {
    /// A store without targets, which takes scrapes in the order of their times only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store without targets, which takes scrapes that are late by at most `window_ms`
    /// milliseconds against the last one of their target. A negative window counts as none.
    #[must_use]
    pub fn with_out_of_order(window_ms: i64) -> Self {
        Self { window_ms: window_ms.clamp(0, TIME_MAX_MS), ..Self::default() }
    }

    /// Registers what one scrape reads, in the order in which values will be given.
    ///
    /// Labels may occur in several targets, such as before and after a change of the target's
    /// series; [`SampleSource`](crate::SampleSource) joins them in time.
    pub fn add_target(&mut self, series: Vec<Labels>) -> TargetId {
        let number = Arc::make_mut(&mut self.catalogue).add(series);
        self.heads.push(Head::default());
        TargetId(number)
    }

    /// Appends one scrape: one time for all series of the target, in milliseconds since the Unix
    /// epoch, and one value for each series. Any value is taken, NaN too.
    ///
    /// # Errors
    /// When the number of values is wrong, or the time is older than that of the target's last
    /// scrape by more than the store accepts, or the store has other values for that time. The
    /// store is then unchanged.
    pub fn append(
        &mut self,
        target: TargetId,
        t_ms: i64,
        values: &[f64],
    ) -> Result<Appended, AppendError> {
        let appended = self.check(target, t_ms, values)?;
        if appended != Appended::Duplicate {
            self.heads[target.0 as usize].insert(t_ms, values);
            self.note(t_ms, values.len());
        }
        Ok(appended)
    }

    /// What [`Store::append`] would do.
    pub(crate) fn check(
        &self,
        target: TargetId,
        t_ms: i64,
        values: &[f64],
    ) -> Result<Appended, AppendError> {
        let known = self.catalogue.get(target.0).zip(self.heads.get(target.0 as usize));
        let (target, head) = known.ok_or(AppendError::UnknownTarget(target.0))?;
        let series = target.series.len();
        if values.len() != series {
            return Err(AppendError::WrongLength { series, values: values.len() });
        }
        if t_ms.abs_diff(0) > TIME_MAX_MS as u64 {
            return Err(AppendError::TimeOutOfRange(t_ms));
        }
        match head.last_ms() {
            Some(last_ms) if t_ms < last_ms - self.window_ms => {
                Err(AppendError::TooLate { last_ms, t_ms, window_ms: self.window_ms })
            }
            Some(last_ms) if t_ms <= last_ms => match head.row_at(t_ms, series) {
                None if head.sealed_until_ms.is_none_or(|sealed| t_ms > sealed) => {
                    Ok(Appended::Late)
                }
                Some(row) if same_bits(row, values) => Ok(Appended::Duplicate),
                _ => Err(AppendError::Conflict { t_ms }),
            },
            _ => Ok(Appended::New),
        }
    }

    /// All series' labels, target by target.
    pub fn series(&self) -> impl Iterator<Item = &Labels> {
        self.catalogue.targets().iter().flat_map(|target| &target.series)
    }

    /// All targets with the labels of their series, in the order in which they were added.
    pub fn targets(&self) -> impl Iterator<Item = (TargetId, &[Labels])> {
        let targets = (0_u32..).zip(self.catalogue.targets());
        targets.map(|(number, target)| (TargetId(number), target.series.as_slice()))
    }

    /// How many samples there are, staleness markers included.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        let sealed: u64 = self.blocks.iter().map(|block| block.sample_count()).sum();
        sealed + self.heads.iter().map(|head| head.values.len() as u64).sum::<u64>()
    }

    /// How many scrapes were appended to all targets together.
    #[must_use]
    pub fn scrape_count(&self) -> u64 {
        let sealed: u64 = self.blocks.iter().map(|block| block.scrape_count()).sum();
        sealed + self.heads.iter().map(|head| head.times_ms.len() as u64).sum::<u64>()
    }

    /// The times of the first and the last scrape, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn extent_ms(&self) -> Option<(i64, i64)> {
        let sealed = self.blocks.iter().filter_map(|block| block.extent_ms());
        let heads = self.heads.iter().filter_map(Head::extent_ms);
        sealed.chain(heads).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Bytes held for samples, compressed and not yet compressed; labels do not count.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        let sealed: u64 = self.blocks.iter().map(|block| block.byte_length()).sum();
        sealed as usize + self.heads.iter().map(Head::byte_length).sum::<usize>()
    }

    /// The sealed blocks, in the order in which they were sealed or added.
    #[must_use]
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// Takes out the blocks that were sealed since the last call, such as to write them into files.
    /// The store lacks their samples until they come back with [`Store::add_block`], which must be
    /// before the next scrape is appended.
    pub fn take_sealed(&mut self) -> Vec<Arc<Block>> {
        self.blocks.split_off(self.taken.min(self.blocks.len()))
    }

    /// Adds a sealed block of this store. Blocks must be added in the order in which they were
    /// sealed: by the start of their window, and within one window by their sequence.
    ///
    /// # Errors
    /// When the block was made with other targets, or its rows are not later than those that the
    /// store has. The store is then unchanged.
    pub fn add_block(&mut self, block: Block) -> Result<(), BlockError> {
        self.check_block(&block)?;
        for target in block.targets() {
            let head = &mut self.heads[target.id as usize];
            head.sealed_until_ms = head.sealed_until_ms.max(Some(target.last_ms));
        }
        self.note_block(&block);
        self.blocks.push(Arc::new(block));
        self.taken = self.blocks.len();
        Ok(())
    }

    pub(crate) fn check_block(&self, block: &Block) -> Result<(), BlockError> {
        let mark: CatalogueMark = block.index().catalogue;
        if self.catalogue.mark(mark.targets) != Some(mark) {
            return Err(BlockError::ForeignTargets(block.name().to_owned()));
        }
        for target in block.targets() {
            // What was sealed last is taken out and added again: only other blocks count.
            let before = self.blocks.iter().rev();
            let last = before.filter_map(|b| b.target(target.id)).map(|t| t.last_ms).next();
            let head = &self.heads[target.id as usize];
            let overlaps_head = head.times_ms.first().is_some_and(|t| *t <= target.last_ms);
            if let Some(last_ms) = last.filter(|last_ms| *last_ms >= target.first_ms) {
                return Err(overlap(block, target.id, target.first_ms, last_ms));
            }
            if overlaps_head {
                return Err(overlap(block, target.id, target.first_ms, head.times_ms[0]));
            }
        }
        Ok(())
    }

    /// Puts a block in the place of several that it holds the samples of, as
    /// [`Block::merge`] gives it.
    ///
    /// # Errors
    /// When the block was made with other targets, or does not fit between those before and after.
    /// The store is then unchanged.
    ///
    /// # Panics
    /// When there are no such blocks.
    pub fn replace_blocks(&mut self, range: Range<usize>, block: Block) -> Result<(), BlockError> {
        let mark = block.index().catalogue;
        if self.catalogue.mark(mark.targets) != Some(mark) {
            return Err(BlockError::ForeignTargets(block.name().to_owned()));
        }
        let (before, after) = (&self.blocks[..range.start], &self.blocks[range.end..]);
        for target in block.targets() {
            let last = before.iter().rev().find_map(|b| b.target(target.id)).map(|t| t.last_ms);
            if let Some(last_ms) = last.filter(|last_ms| *last_ms >= target.first_ms) {
                return Err(overlap(&block, target.id, target.first_ms, last_ms));
            }
            let next = after.iter().find_map(|b| b.target(target.id)).map(|t| t.first_ms);
            if let Some(next_ms) = next.filter(|next_ms| *next_ms <= target.last_ms) {
                return Err(overlap(&block, target.id, next_ms, target.last_ms));
            }
        }
        self.taken = (self.taken.max(range.end) - range.len()) + 1;
        self.blocks.splice(range, [Arc::new(block)]);
        Ok(())
    }

    /// Removes and gives the blocks that end at `t_ms` or before, in milliseconds since the Unix
    /// epoch. That their scrapes are known to be late stays.
    pub fn remove_blocks_before(&mut self, t_ms: i64) -> Vec<Arc<Block>> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.blocks.drain(..).partition(|block| block.end_ms() <= t_ms);
        self.taken = self.taken.saturating_sub(gone.len());
        self.blocks = kept;
        gone
    }

    /// Up to when the scrapes of a target are in blocks, in milliseconds since the Unix epoch. A
    /// replay of logged scrapes leaves out what is not later.
    #[must_use]
    pub fn sealed_until_ms(&self, target: TargetId) -> Option<i64> {
        self.heads.get(target.0 as usize)?.sealed_until_ms
    }

    /// The scrapes that are not in a block yet: of each target in time. The last scrape of a target
    /// is always among them.
    pub fn head_rows(&self) -> impl Iterator<Item = (TargetId, i64, &[f64])> {
        let heads = (0_u32..).zip(&self.heads);
        heads.flat_map(|(number, head)| head.rows().map(move |(t, v)| (TargetId(number), t, v)))
    }
}

fn overlap(block: &Block, target: u32, first_ms: i64, last_ms: i64) -> BlockError {
    BlockError::Overlaps { block: block.name().to_owned(), target, first_ms, last_ms }
}

fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.iter().zip(other).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests;
