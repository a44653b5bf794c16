//! When and how scrapes move from the heads into blocks.
//!
//! A window is sealed for all targets at once, when the newest scrape of the store is later than
//! its end by the time in which scrapes may still come late. What comes after that from targets that
//! are far behind is sealed in further blocks of the same window, once there is enough of it. So a
//! target's rows are sealed in their order, and when depends on what was appended alone.

use std::ops::Range;
use std::sync::Arc;

use crate::Store;
use crate::block::Block;
use crate::block_build::{BlockFrame, TargetRows, build, threads_for};
use crate::block_index::GROUP_LEN;
use crate::store_head::Head;

/// How much time a block holds; windows begin at its multiples.
pub(crate) const BLOCK_WINDOW_MS: i64 = 2 * 60 * 60 * 1_000;
/// Targets are scraped one after another: a window waits so long for the last of them.
const SLACK_MS: i64 = 10 * 60 * 1_000;
/// So many values of windows that are sealed already make further blocks: 32 MiB.
const OVERDUE_MAX: u64 = 4 << 20;
/// So many values are sealed in any case, complete window or not: 512 MiB.
const HEAD_MAX: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SealState {
    /// Where the first window begins that is not sealed.
    pub(crate) next_ms: Option<i64>,
    /// How many values were appended since the last sealing.
    pub(crate) since: u64,
    /// How many of them to windows before.
    pub(crate) overdue: u64,
}

pub(crate) fn window_start_ms(t_ms: i64) -> i64 {
    t_ms.div_euclid(BLOCK_WINDOW_MS) * BLOCK_WINDOW_MS
}

impl Store {
    /// Seals what is complete now that a row of `t_ms` was appended.
    pub(crate) fn note(&mut self, t_ms: i64, values: usize) {
        let next_ms = *self.seal.next_ms.get_or_insert(window_start_ms(t_ms));
        self.seal.since += values as u64;
        if t_ms < next_ms {
            self.seal.overdue += values as u64;
        }
        let complete_ms = t_ms - SLACK_MS.max(self.window_ms);
        if complete_ms >= next_ms + BLOCK_WINDOW_MS {
            let next_ms = window_start_ms(complete_ms);
            self.seal.next_ms = Some(next_ms);
            self.seal_before(next_ms);
        } else if self.seal.overdue >= OVERDUE_MAX {
            self.seal_before(next_ms);
        } else if self.seal.since >= HEAD_MAX {
            self.seal_before(i64::MAX);
        }
    }

    /// Takes over where the store stood that sealed a block.
    pub(crate) fn note_block(&mut self, block: &Block) {
        self.seal.next_ms = self.seal.next_ms.max(Some(block.end_ms()));
    }

    fn seal_before(&mut self, end_ms: i64) {
        (self.seal.since, self.seal.overdue) = (0, 0);
        let ready: Vec<usize> =
            self.heads.iter().map(|head| self.ready_rows(head, end_ms)).collect();
        let mut done = vec![0; ready.len()];
        loop {
            let open = self.heads.iter().zip(&ready).zip(&done);
            let firsts = open.filter(|((_, ready), done)| done < ready);
            let Some(first_ms) = firsts.map(|((head, _), done)| head.times_ms[*done]).min() else {
                break;
            };
            let start_ms = window_start_ms(first_ms);
            let ends: Vec<usize> = self
                .heads
                .iter()
                .zip(&ready)
                .map(|(head, ready)| {
                    head.times_ms[..*ready].partition_point(|t| *t < start_ms + BLOCK_WINDOW_MS)
                })
                .collect();
            let rows = |target: usize| done[target]..ends[target];
            let block = self.build_block(start_ms, start_ms + BLOCK_WINDOW_MS, rows);
            self.blocks.push(Arc::new(block));
            done = ends;
        }
        for (head, done) in self.heads.iter_mut().zip(done) {
            head.drop_rows(done);
        }
    }

    /// The first rows of a head to which nothing can be added in front, except for the last row.
    fn ready_rows(&self, head: &Head, end_ms: i64) -> usize {
        let Some(last_ms) = head.times_ms.last() else { return 0 };
        let end_ms = end_ms.min(last_ms - self.window_ms);
        head.times_ms.partition_point(|t| *t < end_ms)
    }

    /// A block of some rows of each target's head.
    pub(crate) fn build_block(
        &self,
        start_ms: i64,
        end_ms: i64,
        rows: impl Fn(usize) -> Range<usize> + Sync,
    ) -> Block {
        let width = |target: usize| self.catalogue.targets()[target].series.len();
        let samples = (0..self.heads.len()).map(|target| rows(target).len() * width(target)).sum();
        self.build_block_with(threads_for(samples), start_ms, end_ms, rows)
    }

    pub(crate) fn build_block_with(
        &self,
        threads: usize,
        start_ms: i64,
        end_ms: i64,
        rows: impl Fn(usize) -> Range<usize> + Sync,
    ) -> Block {
        let used: Vec<usize> =
            (0..self.heads.len()).filter(|target| !rows(*target).is_empty()).collect();
        let mut groups: Vec<u32> = used.iter().map(|target| *target as u32 / GROUP_LEN).collect();
        groups.dedup();
        let name = format!("of {start_ms} ms");
        let targets = self.catalogue.len() as u32;
        let catalogue = self.catalogue.mark(targets).unwrap_or_default();
        let about = BlockFrame { name: &name, start_ms, end_ms, catalogue };
        let rows_of = |group: u32| {
            let first = (group * GROUP_LEN) as usize;
            let targets = first..(first + GROUP_LEN as usize).min(self.heads.len());
            let taken = targets.map(|target| {
                let (head, rows) = (&self.heads[target], rows(target));
                TargetRows {
                    id: target as u32,
                    times_ms: head.times_ms[rows.clone()].to_vec(),
                    families: Arc::clone(&self.catalogue.targets()[target].families),
                    values: head.columns(rows),
                }
            });
            Ok::<_, std::convert::Infallible>(taken.collect())
        };
        let Ok(block) = build(&about, &groups, threads, rows_of);
        block
    }
}

#[cfg(test)]
impl Store {
    /// Seals all but the last row of each target.
    pub(crate) fn seal_all_for_test(&mut self) {
        self.seal_before(i64::MAX);
    }
}
