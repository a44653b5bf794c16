//! Reads the series of a store, group of targets by group of targets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;
use std::sync::Arc;

use crate::block::{Block, GroupFrames};
use crate::block_frame::FrameDecoder;
use crate::block_index::{GROUP_LEN, GroupEntry};
use crate::store_catalogue::Place;
use crate::{Labels, Matcher, Part, SampleSource, Series, SourceError, Store, is_stale};

/// So many families are read at a time: a part's frames must not fill the memory.
const FAMILIES_IN_PART: usize = 16;

/// Some families of the targets of one group.
struct GroupPart<'a> {
    store: &'a Store,
    /// Targets with the columns that are wanted.
    targets: Vec<(u32, Vec<u32>)>,
    start_ms: i64,
    end_ms: i64,
}

/// The frames of one group that a part needs, of all blocks.
struct LoadedGroup<'a> {
    group: u32,
    /// Sorted.
    families: Vec<u32>,
    blocks: Vec<LoadedBlock<'a>>,
}

struct LoadedBlock<'a> {
    block: &'a Block,
    entry: &'a GroupEntry,
    frames: GroupFrames,
}

/// Where the rows of one target are, and which of them are in range.
struct TargetTimes {
    /// Block of the loaded group, and place of the target in it.
    pieces: Vec<(usize, usize)>,
    rows: usize,
    range: Range<usize>,
    times_ms: Arc<Vec<i64>>,
}

impl SampleSource for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found = Vec::new();
        for part in self.parts(matchers, start_ms, end_ms)? {
            part.read(&mut |series| {
                found.push(series);
                ControlFlow::Continue(())
            })?;
        }
        found.sort_by(|a, b| a.labels().cmp(b.labels()));
        Ok(found)
    }

    fn parts<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        let matching = self.catalogue.matching(matchers);
        let mut parts: Vec<Box<dyn Part + 'a>> = Vec::new();
        for group in matching.chunk_by(|a, b| a.0 / GROUP_LEN == b.0 / GROUP_LEN) {
            let families = self.families_of(group);
            for families in families.chunks(FAMILIES_IN_PART) {
                let kept = group.iter().map(|(target, columns)| {
                    let all = &self.catalogue.targets()[*target as usize].families;
                    let wanted = |c: &&u32| families.contains(&all[**c as usize]);
                    (*target, columns.iter().filter(wanted).copied().collect::<Vec<u32>>())
                });
                let targets = kept.filter(|(_, columns)| !columns.is_empty()).collect();
                parts.push(Box::new(GroupPart { store: self, targets, start_ms, end_ms }));
            }
        }
        Ok(parts)
    }
}

impl Store {
    /// The families of some columns of targets, sorted.
    fn families_of(&self, targets: &[(u32, Vec<u32>)]) -> Vec<u32> {
        let families: BTreeSet<u32> = targets
            .iter()
            .flat_map(|(target, columns)| {
                let all = &self.catalogue.targets()[*target as usize].families;
                columns.iter().map(|column| all[*column as usize])
            })
            .collect();
        families.into_iter().collect()
    }
}

impl Part for GroupPart<'_> {
    fn read(&self, see: &mut dyn FnMut(Series) -> ControlFlow<()>) -> Result<(), SourceError> {
        let loaded = self.load()?;
        let (numbers, later_times) = (Vec::new(), BTreeMap::new());
        let mut reader = Reader { part: self, loaded: &loaded, numbers, later_times };
        for (target, columns) in &self.targets {
            let times = reader.times(*target)?;
            reader.later_times.clear();
            for column in columns {
                let place = (*target, *column);
                let later = self.store.catalogue.later_places(place);
                let series = if later.is_empty() {
                    reader.series(place, &times)?
                } else {
                    reader.joined(place, &times, later)?
                };
                if let Some(series) = series
                    && see(series).is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl<'a> GroupPart<'a> {
    /// Reads the frames of all places of the part's series.
    fn load(&self) -> Result<Vec<LoadedGroup<'a>>, SourceError> {
        let catalogue = &self.store.catalogue;
        let first = self
            .targets
            .iter()
            .flat_map(|(target, columns)| columns.iter().map(|column| (*target, *column)));
        let mut needed: BTreeSet<(u32, u32)> = BTreeSet::new();
        for place in first {
            for (target, column) in std::iter::once(&place).chain(catalogue.later_places(place)) {
                let family = catalogue.targets()[*target as usize].families[*column as usize];
                needed.insert((target / GROUP_LEN, family));
            }
        }
        let needed: Vec<(u32, u32)> = needed.into_iter().collect();
        let mut decoder = FrameDecoder::new();
        let groups = needed.chunk_by(|a, b| a.0 == b.0);
        groups.map(|needed| self.load_group(needed, &mut decoder)).collect()
    }

    fn load_group(
        &self,
        needed: &[(u32, u32)],
        decoder: &mut FrameDecoder,
    ) -> Result<LoadedGroup<'a>, SourceError> {
        let group = needed.first().map_or(0, |(group, _)| *group);
        let families: Vec<u32> = needed.iter().map(|(_, family)| *family).collect();
        let mut blocks = Vec::new();
        for block in &self.store.blocks {
            if block.start_ms() > self.end_ms || block.end_ms() <= self.start_ms {
                continue;
            }
            let Some(entry) = block.group(group) else { continue };
            let overlaps = entry
                .targets
                .iter()
                .any(|target| target.last_ms > self.start_ms && target.first_ms <= self.end_ms);
            if overlaps {
                let frames = block.read_group(entry, &families, decoder)?;
                blocks.push(LoadedBlock { block, entry, frames });
            }
        }
        Ok(LoadedGroup { group, families, blocks })
    }
}

/// Takes series out of loaded frames.
struct Reader<'a> {
    part: &'a GroupPart<'a>,
    loaded: &'a [LoadedGroup<'a>],
    numbers: Vec<u64>,
    /// Of the targets in which the series of the present target occur again.
    later_times: BTreeMap<u32, Rc<TargetTimes>>,
}

impl Reader<'_> {
    fn loaded(&self, target: u32) -> Option<&LoadedGroup<'_>> {
        let group = target / GROUP_LEN;
        let at = self.loaded.binary_search_by_key(&group, |loaded| loaded.group).ok()?;
        self.loaded.get(at)
    }

    fn times(&mut self, target: u32) -> Result<TargetTimes, SourceError> {
        let mut numbers = std::mem::take(&mut self.numbers);
        let mut pieces = Vec::new();
        let mut times = Vec::new();
        for (at, loaded) in self.loaded(target).iter().flat_map(|l| l.blocks.iter().enumerate()) {
            let entry = loaded.entry;
            let Ok(place) = entry.targets.binary_search_by_key(&target, |t| t.id) else { continue };
            let frame = &loaded.frames.times;
            loaded.block.append_times(
                frame,
                place,
                &entry.targets[place],
                &mut numbers,
                &mut times,
            )?;
            pieces.push((at, place));
        }
        self.numbers = numbers;
        times.extend_from_slice(&self.part.store.heads[target as usize].times_ms);
        let rows = times.len();
        let low = times.partition_point(|t| *t <= self.part.start_ms);
        let high = times.partition_point(|t| *t <= self.part.end_ms).max(low);
        times.truncate(high);
        times.drain(..low);
        Ok(TargetTimes { pieces, rows, range: low..high, times_ms: Arc::new(times) })
    }

    /// The samples of one place; `None` when none is in range.
    fn series(&mut self, place: Place, times: &TargetTimes) -> Result<Option<Series>, SourceError> {
        if times.range.is_empty() {
            return Ok(None);
        }
        let (target, column) = (place.0 as usize, place.1 as usize);
        let store = self.part.store;
        let info = &store.catalogue.targets()[target];
        let family = info.families[column];
        let mut numbers = std::mem::take(&mut self.numbers);
        let mut values = Vec::with_capacity(times.rows);
        if let Some(loaded) = self.loaded(place.0) {
            let at = loaded.families.binary_search(&family).unwrap_or(usize::MAX);
            for (block, place) in &times.pieces {
                let frame = loaded.blocks[*block].frames.families.get(at).and_then(Option::as_ref);
                if let Some(frame) = frame {
                    frame.append_values(*place, &mut numbers, &mut values);
                }
            }
        }
        self.numbers = numbers;
        store.heads[target].append_column(column, &mut values);
        let labels = info.series[column].clone();
        if values.len() != times.rows {
            return Err(missing(&labels));
        }
        values.truncate(times.range.end);
        values.drain(..times.range.start);
        Ok(Some(Series::trusted(labels, Arc::clone(&times.times_ms), values)))
    }

    /// The samples of a series that occurs in several targets.
    fn joined(
        &mut self,
        first: Place,
        times: &TargetTimes,
        later: &[Place],
    ) -> Result<Option<Series>, SourceError> {
        let mut joined = self.series(first, times)?;
        for place in later {
            let times = match self.later_times.get(&place.0) {
                Some(times) => Rc::clone(times),
                None => {
                    let times = Rc::new(self.times(place.0)?);
                    self.later_times.insert(place.0, Rc::clone(&times));
                    times
                }
            };
            joined = match (joined, self.series(*place, &times)?) {
                (Some(earlier), Some(later)) => Some(join(&earlier, &later)),
                (one, other) => one.or(other),
            };
        }
        Ok(joined)
    }
}

fn missing(labels: &Labels) -> SourceError {
    SourceError::Unreadable(format!("a sample block lacks samples of {labels}"))
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
