use std::sync::Arc;

use crate::bytes::Reader;
use crate::column::{self, WHOLE_MAX};
use crate::{Labels, Matcher, SampleSource, Series, SourceError, is_stale};

/// How many scrapes are gathered before they are compressed.
pub(crate) const CHUNK_LEN: usize = 256;

/// Names a target within the [`Store`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(crate) u32);

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
    /// The scrape is a duplicate, or older than the last one.
    #[error("a scrape at {t_ms} ms does not come after the last one at {last_ms} ms")]
    NotLater {
        /// The time of the last scrape, in milliseconds since the Unix epoch.
        last_ms: i64,
        /// The time of the refused one.
        t_ms: i64,
    },
    /// The time lies beyond ±2⁵³ ms.
    #[error("a scrape at {0} ms lies outside of the range of times")]
    TimeOutOfRange(i64),
}

/// Up to [`CHUNK_LEN`] scrapes of one target, column by column; the first column is the times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) count: u32,
    /// Where each column ends in `data`.
    pub(crate) ends: Box<[u32]>,
    pub(crate) data: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) series: Vec<Labels>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) head_times_ms: Vec<i64>,
    /// Row by row, so that appending is one copy.
    pub(crate) head_values: Vec<f64>,
}

/// Samples in memory, compressed by target, with one writer.
///
/// All series of a target share one timestamp per scrape. A series that was absent from a scrape
/// gets [`STALE_NAN`](crate::STALE_NAN) there.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(crate) targets: Vec<Target>,
}

impl Store {
    /// A store without targets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers what one scrape reads, in the order in which values will be given.
    ///
    /// Labels may occur in several targets, such as before and after a change of the target's
    /// series; [`SampleSource::select`] joins them in time.
    pub fn add_target(&mut self, series: Vec<Labels>) -> TargetId {
        let id = TargetId(self.targets.len() as u32);
        self.targets.push(Target::new(series));
        id
    }

    /// Appends one scrape: one time for all series of the target, in milliseconds since the Unix
    /// epoch, and one value for each series. Any value is taken, NaN too.
    ///
    /// # Errors
    /// When the number of values is wrong, or the time is not later than that of the target's last
    /// scrape. The store is then unchanged.
    pub fn append(
        &mut self,
        target: TargetId,
        t_ms: i64,
        values: &[f64],
    ) -> Result<(), AppendError> {
        self.check(target, t_ms, values.len())?;
        let target = &mut self.targets[target.0 as usize];
        target.head_times_ms.push(t_ms);
        target.head_values.extend_from_slice(values);
        if target.head_times_ms.len() == CHUNK_LEN {
            target.seal();
        }
        Ok(())
    }

    /// What [`Store::append`] would refuse.
    pub(crate) fn check(
        &self,
        target: TargetId,
        t_ms: i64,
        values: usize,
    ) -> Result<(), AppendError> {
        let known = self.targets.get(target.0 as usize);
        let target = known.ok_or(AppendError::UnknownTarget(target.0))?;
        let series = target.series.len();
        if values != series {
            return Err(AppendError::WrongLength { series, values });
        }
        if t_ms.abs_diff(0) > WHOLE_MAX as u64 {
            return Err(AppendError::TimeOutOfRange(t_ms));
        }
        match target.last_ms() {
            Some(last_ms) if t_ms <= last_ms => Err(AppendError::NotLater { last_ms, t_ms }),
            _ => Ok(()),
        }
    }

    /// All series' labels, target by target.
    pub fn series(&self) -> impl Iterator<Item = &Labels> {
        self.targets.iter().flat_map(|target| &target.series)
    }

    /// How many samples there are, staleness markers included.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.targets.iter().map(|t| t.scrapes() * t.series.len() as u64).sum()
    }

    /// How many scrapes were appended to all targets together.
    #[must_use]
    pub fn scrape_count(&self) -> u64 {
        self.targets.iter().map(Target::scrapes).sum()
    }

    /// The times of the first and the last scrape, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn extent_ms(&self) -> Option<(i64, i64)> {
        let first = self.targets.iter().filter_map(Target::first_ms).min()?;
        let last = self.targets.iter().filter_map(Target::last_ms).max()?;
        Some((first, last))
    }

    /// Bytes held for samples, compressed and not yet compressed; labels do not count.
    #[must_use]
    pub fn sample_bytes(&self) -> usize {
        self.targets.iter().map(Target::sample_bytes).sum()
    }
}

impl Target {
    pub(crate) fn new(series: Vec<Labels>) -> Self {
        Self { series, chunks: Vec::new(), head_times_ms: Vec::new(), head_values: Vec::new() }
    }

    fn scrapes(&self) -> u64 {
        let sealed: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
        sealed + self.head_times_ms.len() as u64
    }

    fn first_ms(&self) -> Option<i64> {
        self.chunks.first().map(|c| c.first_ms).or_else(|| self.head_times_ms.first().copied())
    }

    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.head_times_ms.last().copied().or_else(|| self.chunks.last().map(|c| c.last_ms))
    }

    fn sample_bytes(&self) -> usize {
        let sealed: usize = self
            .chunks
            .iter()
            .map(|c| size_of::<Chunk>() + c.data.len() + c.ends.len() * size_of::<u32>())
            .sum();
        sealed + (self.head_times_ms.capacity() + self.head_values.capacity()) * size_of::<f64>()
    }

    fn seal(&mut self) {
        if let Some(chunk) = self.head_chunk() {
            self.chunks.push(chunk);
        }
        self.head_times_ms.clear();
        self.head_values.clear();
    }

    /// The head in compressed form; `None` when it is empty.
    pub(crate) fn head_chunk(&self) -> Option<Chunk> {
        let (first_ms, last_ms) = (*self.head_times_ms.first()?, *self.head_times_ms.last()?);
        let width = self.series.len();
        let mut data = Vec::new();
        let mut ends = Vec::with_capacity(width + 1);
        column::encode_whole(&self.head_times_ms, &mut data);
        ends.push(data.len() as u32);
        let mut values = Vec::with_capacity(self.head_times_ms.len());
        let mut scratch = Vec::with_capacity(self.head_times_ms.len());
        for series in 0..width {
            values.clear();
            values.extend(self.head_values.iter().skip(series).step_by(width));
            column::encode(&values, &mut scratch, &mut data);
            ends.push(data.len() as u32);
        }
        let count = self.head_times_ms.len() as u32;
        Some(Chunk { first_ms, last_ms, count, ends: ends.into(), data: data.into() })
    }

    fn times_within(&self, start_ms: i64, end_ms: i64) -> Option<Vec<i64>> {
        let mut times = Vec::new();
        for chunk in self.chunks.iter().filter(|c| c.overlaps(start_ms, end_ms)) {
            chunk.decode_times(&mut times)?;
        }
        times.extend_from_slice(&self.head_times_ms);
        Some(times)
    }

    fn values_within(&self, series: usize, start_ms: i64, end_ms: i64) -> Option<Vec<f64>> {
        let mut values = Vec::new();
        for chunk in self.chunks.iter().filter(|c| c.overlaps(start_ms, end_ms)) {
            chunk.decode_values(series, &mut values)?;
        }
        values.extend(self.head_values.iter().skip(series).step_by(self.series.len()));
        Some(values)
    }

    fn select_into(
        &self,
        matchers: &[Matcher],
        (start_ms, end_ms): (i64, i64),
        found: &mut Vec<Series>,
    ) -> Result<(), SourceError> {
        if self.first_ms().is_none_or(|first| first > end_ms)
            || self.last_ms().is_none_or(|last| last <= start_ms)
        {
            return Ok(());
        }
        let damaged = || SourceError::Unreadable("a compressed chunk is malformed".to_owned());
        let mut shared: Option<(Arc<Vec<i64>>, std::ops::Range<usize>)> = None;
        for (index, labels) in self.series.iter().enumerate() {
            if !matchers.iter().all(|m| m.accepts_labels(labels)) {
                continue;
            }
            if shared.is_none() {
                let mut times = self.times_within(start_ms, end_ms).ok_or_else(damaged)?;
                let low = times.partition_point(|t| *t <= start_ms);
                let high = times.partition_point(|t| *t <= end_ms).max(low);
                times.truncate(high);
                times.drain(..low);
                shared = Some((Arc::new(times), low..high));
            }
            let Some((times, range)) = &shared else { continue };
            if times.is_empty() {
                return Ok(());
            }
            let mut values = self.values_within(index, start_ms, end_ms).ok_or_else(damaged)?;
            values.truncate(range.end);
            values.drain(..range.start);
            found.push(Series::trusted(labels.clone(), Arc::clone(times), values));
        }
        Ok(())
    }
}

impl Chunk {
    fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.last_ms > start_ms && self.first_ms <= end_ms
    }

    fn column(&self, index: usize) -> Option<&[u8]> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        self.data.get(start..*self.ends.get(index)? as usize)
    }

    pub(crate) fn decode_times(&self, times: &mut Vec<i64>) -> Option<()> {
        let mut reader = Reader::new(self.column(0)?);
        column::decode_whole(&mut reader, self.count as usize, |time| times.push(time))?;
        (reader.remaining() == 0).then_some(())
    }

    pub(crate) fn decode_values(&self, series: usize, values: &mut Vec<f64>) -> Option<()> {
        column::decode(self.column(series + 1)?, self.count as usize, values)
    }
}

impl SampleSource for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found = Vec::new();
        for target in &self.targets {
            target.select_into(matchers, (start_ms, end_ms), &mut found)?;
        }
        // The sort is stable: of two targets with the same series, the later one stays later.
        found.sort_by(|a, b| a.labels().cmp(b.labels()));
        Ok(join_equal_labels(found))
    }
}

fn join_equal_labels(sorted: Vec<Series>) -> Vec<Series> {
    let mut joined: Vec<Series> = Vec::with_capacity(sorted.len());
    for series in sorted {
        match joined.last_mut() {
            Some(last) if last.labels() == series.labels() => *last = join(last, &series),
            _ => joined.push(series),
        }
    }
    joined
}

/// Joins two parts of a series in time; at the same time the later target counts, unless it only
/// has a staleness marker.
fn join(earlier: &Series, later: &Series) -> Series {
    let mut samples: Vec<(i64, f64)> = earlier
        .times_ms()
        .iter()
        .copied()
        .zip(earlier.values().iter().copied())
        .chain(later.times_ms().iter().copied().zip(later.values().iter().copied()))
        .collect();
    samples.sort_by_key(|(time, _)| *time);
    let mut times = Vec::with_capacity(samples.len());
    let mut values: Vec<f64> = Vec::with_capacity(samples.len());
    for (time, value) in samples {
        match (times.last() == Some(&time), values.last_mut()) {
            (true, Some(kept)) if !is_stale(value) => *kept = value,
            (true, _) => {}
            (false, _) => {
                times.push(time);
                values.push(value);
            }
        }
    }
    Series::trusted(earlier.labels().clone(), Arc::new(times), values)
}

#[cfg(test)]
mod tests {
    use super::{AppendError, CHUNK_LEN, Store, TargetId};
    use crate::{Labels, Matcher, STALE_NAN, SampleSource};
    use proptest::prelude::*;

    fn up(instance: &str) -> Labels {
        Labels::metric("up", &[("instance", instance)])
    }

    #[test]
    fn refused_scrapes_change_nothing() {
        let mut store = Store::new();
        let target = store.add_target(vec![up("a"), up("b")]);
        store.append(target, 10, &[1.0, 2.0]).unwrap();
        let refusals = [
            (target, 10, vec![3.0, 4.0], AppendError::NotLater { last_ms: 10, t_ms: 10 }),
            (target, 9, vec![3.0, 4.0], AppendError::NotLater { last_ms: 10, t_ms: 9 }),
            (target, 11, vec![3.0], AppendError::WrongLength { series: 2, values: 1 }),
            (TargetId(7), 11, vec![3.0, 4.0], AppendError::UnknownTarget(7)),
            (target, i64::MAX, vec![3.0, 4.0], AppendError::TimeOutOfRange(i64::MAX)),
        ];
        let before = store.encode();
        for (target, t_ms, values, expected) in refusals {
            assert_eq!(store.append(target, t_ms, &values), Err(expected));
        }
        assert_eq!(store.encode(), before);
    }

    #[test]
    fn a_series_of_two_targets_is_one_series() {
        let mut store = Store::new();
        let before = store.add_target(vec![up("a")]);
        let after = store.add_target(vec![up("a"), up("b")]);
        store.append(before, 10, &[1.0]).unwrap();
        store.append(before, 20, &[2.0]).unwrap();
        store.append(after, 20, &[STALE_NAN, 0.0]).unwrap();
        store.append(after, 30, &[3.0, 0.0]).unwrap();
        let found = store.select(&[Matcher::equal("instance", "a")], 0, 100).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].times_ms(), found[0].values()),
            (&[10, 20, 30][..], &[1.0, 2.0, 3.0][..])
        );
    }

    #[test]
    fn a_store_counts_what_it_holds() {
        let mut store = Store::new();
        let target = store.add_target(vec![up("a"), up("b")]);
        for n in 0..600 {
            store.append(target, n * 15_000, &[1.0, n as f64]).unwrap();
        }
        assert_eq!((store.sample_count(), store.scrape_count()), (1_200, 600));
        assert_eq!(store.extent_ms(), Some((0, 599 * 15_000)));
        assert_eq!(Store::new().extent_ms(), None);
    }

    #[test]
    fn whole_numbers_take_less_than_two_bytes_a_sample() {
        let mut store = Store::new();
        let target = store.add_target((0..9).map(|n| up(&n.to_string())).collect());
        for n in 0..(40 * CHUNK_LEN as i64) {
            let values: Vec<f64> =
                (0..9).map(|s| ((n * 7 + n * n % 13 * s) % 100_000) as f64).collect();
            store.append(target, n * 15_000, &values).unwrap();
        }
        let bytes_per_sample = store.encode().len() as f64 / store.sample_count() as f64;
        assert!(bytes_per_sample < 2.0, "{bytes_per_sample}");
    }

    proptest! {
        #[test]
        fn any_window_holds_exactly_its_samples(
            count in 0_i64..700, start in -10_i64..710, length in -5_i64..710,
        ) {
            let mut store = Store::new();
            let target = store.add_target(vec![up("a"), up("b")]);
            for n in 0..count {
                store.append(target, n, &[n as f64, -(n as f64) / 8.0]).unwrap();
            }
            let found = store.select(&[Matcher::equal("instance", "b")], start, start + length).unwrap();
            let expected: Vec<i64> = (0..count).filter(|t| *t > start && *t <= start + length).collect();
            let times: Vec<i64> = found.iter().flat_map(|s| s.times_ms().to_vec()).collect();
            let values: Vec<f64> = found.iter().flat_map(|s| s.values().to_vec()).collect();
            prop_assert_eq!(&times, &expected);
            prop_assert_eq!(values, expected.iter().map(|t| -(*t as f64) / 8.0).collect::<Vec<_>>());
        }
    }
}
