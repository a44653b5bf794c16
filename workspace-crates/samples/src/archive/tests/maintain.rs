//! Compaction, retention, and what is told about an archive.

use super::{
    HOUR, MINUTE, Samples, everything, expected, fill, filled, open, root, shared, times,
    with_suffix, within,
};
use crate::archive::{Archive, ArchiveError, compact_on, info_on, retain_on, verify_on};
use crate::storage_faulty::{Crash, Fault, FaultyStorage};

fn spans(disk: &FaultyStorage) -> Vec<(i64, i64, Option<i64>)> {
    let info = info_on(disk, root()).unwrap();
    info.blocks.iter().map(|b| (b.from_ms / HOUR, b.to_ms / HOUR, b.step_ms)).collect()
}

/// Of each series the last sample of each step, where `sealed_ms` says what blocks hold.
fn coarser(all: &Samples, step_ms: i64, sealed_ms: i64) -> Samples {
    let step_of = |t: i64| (t - 1).div_euclid(step_ms);
    let mut coarse = all.clone();
    for own in coarse.values_mut() {
        let times: Vec<i64> = own.keys().copied().filter(|t| *t < sealed_ms).collect();
        for pair in times.windows(2) {
            // A block ends a step, too.
            if step_of(pair[0]) == step_of(pair[1]) && pair[1] % (24 * HOUR) != 0 {
                own.remove(&pair[0]);
            }
        }
    }
    coarse
}

#[test]
fn compaction_merges_blocks_of_a_day_and_changes_no_sample() {
    let (disk, mut scrapes) = filled();
    let (mut archive, _) = open(&disk).unwrap();
    scrapes.extend(fill(&mut archive, &[0, 1, 2], &times(7 * HOUR, 31 * HOUR, 10 * MINUTE)));
    drop(archive);
    let before = spans(&disk);
    assert_eq!(before.len(), 15);
    let files = disk.files();
    let asked = compact_on(&shared(&disk), root(), (None, None, true)).unwrap();
    assert_eq!(asked.merges.iter().map(|m| m.from.len()).collect::<Vec<_>>(), [12, 3]);
    assert!(asked.merges.iter().all(|merge| merge.to.is_none()));
    assert_eq!((disk.files(), spans(&disk)), (files, before));
    let done = compact_on(&shared(&disk), root(), (None, None, false)).unwrap();
    assert_eq!(spans(&disk), [(0, 24, None), (24, 30, None)]);
    for (asked, done) in asked.merges.iter().zip(&done.merges) {
        assert_eq!(asked.from, done.from);
        let samples: u64 = done.from.iter().filter_map(|block| block.samples).sum();
        assert_eq!(done.to.as_ref().and_then(|block| block.samples), Some(samples));
    }
    assert_eq!(everything(&Archive::read_on(&disk, root()).unwrap()), expected(&scrapes));
    assert!(verify_on(&disk, root()).unwrap().damage.is_empty());
    let again = compact_on(&shared(&disk), root(), (None, None, false)).unwrap();
    assert!(again.merges.is_empty(), "there is nothing left to do");
}

#[test]
fn compaction_to_a_step_keeps_the_last_sample_of_each() {
    let (disk, scrapes) = filled();
    let all = expected(&scrapes);
    compact_on(&shared(&disk), root(), (Some(30 * MINUTE), Some(4 * HOUR), false)).unwrap();
    assert_eq!(spans(&disk), [(0, 4, Some(30 * MINUTE)), (4, 6, None)]);
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert_eq!(everything(&reader), coarser(&all, 30 * MINUTE, 4 * HOUR));
    // A finer step cannot bring back what is gone, and the whole is not made coarser by merging.
    let finer = compact_on(&shared(&disk), root(), (Some(MINUTE), Some(4 * HOUR), false)).unwrap();
    assert!(finer.merges.is_empty());
    let merged = compact_on(&shared(&disk), root(), (None, None, false)).unwrap();
    assert!(merged.merges.is_empty(), "{merged:?}");
}

#[test]
fn retention_removes_whole_blocks_and_says_which() {
    let (disk, scrapes) = filled();
    let keep = 3 * HOUR + 20 * MINUTE;
    let asked = retain_on(&shared(&disk), root(), keep, true).unwrap();
    assert_eq!(asked.cutoff_ms, Some(3 * HOUR + 30 * MINUTE));
    assert_eq!(
        asked.blocks.iter().map(|b| (b.from_ms, b.to_ms)).collect::<Vec<_>>(),
        [(0, 2 * HOUR)]
    );
    assert_eq!(spans(&disk).len(), 3);
    let done = retain_on(&shared(&disk), root(), keep, false).unwrap();
    assert_eq!((done.blocks, done.dry_run), (asked.blocks, false));
    let kept: Vec<_> = scrapes.iter().filter(|(_, t)| *t >= 2 * HOUR).copied().collect();
    let (mut archive, opening) = open(&disk).unwrap();
    assert!(opening.damage.is_empty() && opening.leftovers.is_empty(), "{opening:?}");
    assert_eq!(everything(&archive), expected(&kept));
    fill(&mut archive, &[0], &[7 * HOUR]);
    drop(archive);
    let none = retain_on(&shared(&super::disk()), root(), keep, false).unwrap();
    assert_eq!((none.cutoff_ms, none.blocks.len()), (None, 0));
}

#[test]
fn damaged_blocks_are_not_merged_and_go_with_their_age() {
    let (disk, scrapes) = filled();
    let path = with_suffix(&disk, ".pgblock").remove(0);
    let mut bytes = disk.contents(&path);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    disk.set(&path, bytes.clone());
    let done = compact_on(&shared(&disk), root(), (None, None, false)).unwrap();
    assert_eq!((done.damage.len(), spans(&disk)), (1, vec![(0, 2, None), (2, 6, None)]));
    assert_eq!(disk.contents(&path), bytes);
    let done = retain_on(&shared(&disk), root(), 4 * HOUR, false).unwrap();
    assert_eq!((done.blocks.len(), done.damage.len()), (1, 1));
    let (archive, opening) = open(&disk).unwrap();
    assert!(opening.damage.is_empty());
    let kept: Vec<_> = scrapes.iter().filter(|(_, t)| *t >= 2 * HOUR).copied().collect();
    assert_eq!(everything(&archive), expected(&kept));
}

#[test]
fn nobody_compacts_or_removes_beside_a_writer() {
    let (disk, _) = filled();
    let (_archive, _) = open(&disk).unwrap();
    let compacted = compact_on(&shared(&disk), root(), (None, None, false));
    assert!(matches!(compacted, Err(ArchiveError::Locked(_))));
    let removed = retain_on(&shared(&disk), root(), HOUR, false);
    assert!(matches!(removed, Err(ArchiveError::Locked(_))));
    assert!(compact_on(&shared(&disk), root(), (None, None, true)).is_ok());
}

#[test]
fn an_archive_tells_what_it_holds() {
    let (disk, scrapes) = filled();
    let info = info_on(&disk, root()).unwrap();
    assert_eq!((info.samples, info.scrapes), (scrapes.len() as u64 * 3, scrapes.len() as u64));
    assert_eq!((info.targets, info.series, info.families), (3, 9, 3));
    assert_eq!(info.extent_ms, Some((0, 7 * HOUR - 10 * MINUTE)));
    let in_blocks: u64 = info.blocks.iter().filter_map(|block| block.samples).sum();
    assert_eq!(in_blocks + info.log_scrapes * 3, info.samples);
    assert!(info.log_bytes > 0 && info.bytes_per_sample().unwrap() > 0.0);
    let verified = verify_on(&disk, root()).unwrap();
    assert_eq!((verified.blocks, verified.block_samples), (3, in_blocks));
    assert!(verified.damage.is_empty());
}

/// Kills and power losses at every write point of `work`: each window of two hours is afterwards
/// as it was or as it was to become.
fn check_crashes(work: impl Fn(&FaultyStorage) -> Result<(), ArchiveError>) {
    let (whole, scrapes) = filled();
    let old = expected(&scrapes);
    let done = whole.after(Crash::ProcessKill);
    let before = done.points();
    work(&done).unwrap();
    let points = done.points() - before;
    let new = everything(&Archive::read_on(&done, root()).unwrap());
    let window = |samples: &Samples, from: i64| -> Samples {
        let cut =
            |own: &std::collections::BTreeMap<i64, u64>| -> std::collections::BTreeMap<i64, u64> {
                own.range(from..from + 2 * HOUR).map(|(t, v)| (*t, *v)).collect()
            };
        let cut = samples.iter().map(|(labels, own)| (labels.clone(), cut(own)));
        cut.filter(|(_, own)| !own.is_empty()).collect()
    };
    for point in 0..points {
        let disk = whole.after(Crash::ProcessKill);
        disk.arm(point, Fault::Kill);
        let start = disk.points();
        // What is only cleaned up may fail without a word.
        let _ = work(&disk);
        assert_eq!(disk.points(), start + point + 1, "point {point} was not reached");
        let crashes = (0..5).map(|seed| Crash::PowerLoss { seed: point * 5 + seed });
        for crash in std::iter::once(Crash::ProcessKill).chain(crashes) {
            let after = disk.after(crash);
            let reader = Archive::read_on(&after, root()).unwrap();
            let (archive, opening) = open(&after).unwrap();
            assert!(opening.damage.is_empty(), "{crash:?} at {point}: {opening:?}");
            for from in times(0, 8 * HOUR, 2 * HOUR) {
                let found = within(&archive, from - 1, from + 2 * HOUR - 1).unwrap();
                let right = found == window(&old, from) || found == window(&new, from);
                assert!(right, "{crash:?} at {point}: {from}");
                assert_eq!(within(&reader, from - 1, from + 2 * HOUR - 1).unwrap(), found);
            }
            drop(archive);
            work(&after).unwrap();
            let (archive, opening) = open(&after).unwrap();
            assert!(opening.leftovers.is_empty(), "{crash:?} at {point}: {opening:?}");
            assert_eq!(everything(&archive), new, "{crash:?} at {point}");
        }
    }
}

#[test]
fn a_crash_in_a_compaction_leaves_it_undone_or_done() {
    check_crashes(|disk| compact_on(&shared(disk), root(), (None, None, false)).map(drop));
    let step = Some(30 * MINUTE);
    check_crashes(|disk| compact_on(&shared(disk), root(), (step, None, false)).map(drop));
}

#[test]
fn a_crash_in_retention_leaves_it_undone_or_done() {
    check_crashes(|disk| retain_on(&shared(disk), root(), 2 * HOUR, false).map(drop));
}
