//! What an archive does when nothing goes wrong, and the helpers of the other tests.

mod crash;
mod damage;
mod maintain;
mod reading;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Archive, ArchiveError, Counts, OUT_OF_ORDER_MS, Opening, Scrape};
use crate::storage::Storage;
use crate::storage_faulty::FaultyStorage;
use crate::{AppendError, Appended, Labels, Matcher, STALE_NAN, SampleSource, TargetId};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

pub(super) fn root() -> &'static Path {
    Path::new("/state/samples")
}

pub(super) fn disk() -> FaultyStorage {
    let disk = FaultyStorage::new();
    disk.create_dir(Path::new("/state")).unwrap();
    disk
}

pub(super) fn shared(disk: &FaultyStorage) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

pub(super) fn open(disk: &FaultyStorage) -> Result<(Archive, Opening), ArchiveError> {
    Archive::open_on(shared(disk), root(), OUT_OF_ORDER_MS)
}

/// The series of target `n`.
pub(super) fn series(n: usize) -> Vec<Labels> {
    let instance = format!("node-{n}");
    let labels = |name| Labels::metric(name, &[("instance", instance.as_str())]);
    vec![labels("up"), labels("height"), labels("lag_seconds")]
}

/// Values that any mix-up would show.
pub(super) fn values(target: usize, t_ms: i64) -> Vec<f64> {
    let n = t_ms / MINUTE;
    let lag = if n % 7 == 3 { STALE_NAN } else { (n as f64 + target as f64).sqrt() };
    vec![1.0, (n * 10 + target as i64) as f64, lag]
}

/// What a source holds: of each series its times and the bits of its values.
pub(super) type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

/// What a source answers for `start_ms < t <= end_ms`.
pub(super) fn within(
    source: &dyn SampleSource,
    start_ms: i64,
    end_ms: i64,
) -> Result<Samples, crate::SourceError> {
    let all = Matcher::matches("__name__", ".*").unwrap();
    let found = source.select(&[all], start_ms, end_ms)?;
    let samples = |s: &crate::Series| {
        assert!(s.times_ms().is_sorted_by(|a, b| a < b), "a sample is there twice");
        s.times_ms().iter().copied().zip(s.values().iter().map(|v| v.to_bits())).collect()
    };
    Ok(found.iter().map(|s| (s.labels().to_string(), samples(s))).collect())
}

pub(super) fn everything(source: &dyn SampleSource) -> Samples {
    within(source, i64::MIN, i64::MAX).unwrap()
}

/// What the scrapes of these targets at these times give.
pub(super) fn expected<'a>(scrapes: impl IntoIterator<Item = &'a (usize, i64)>) -> Samples {
    let mut samples = Samples::new();
    for (target, t_ms) in scrapes {
        for (labels, value) in series(*target).iter().zip(values(*target, *t_ms)) {
            let own = samples.entry(labels.to_string()).or_default();
            assert_eq!(own.insert(*t_ms, value.to_bits()), None, "{target} at {t_ms} twice");
        }
    }
    samples
}

/// Appends one scrape of each target at each time.
pub(super) fn fill(archive: &mut Archive, targets: &[usize], times: &[i64]) -> Vec<(usize, i64)> {
    let mut scrapes = Vec::new();
    for t_ms in times {
        let ids: Vec<TargetId> =
            targets.iter().map(|n| archive.target(&series(*n)).unwrap()).collect();
        let rows: Vec<Vec<f64>> = targets.iter().map(|n| values(*n, *t_ms)).collect();
        let batch: Vec<Scrape<'_>> = ids
            .iter()
            .zip(&rows)
            .map(|(target, values)| Scrape { target: *target, t_ms: *t_ms, values })
            .collect();
        for outcome in archive.append_all(&batch).unwrap() {
            assert_eq!(outcome, Ok(Appended::New));
        }
        scrapes.extend(targets.iter().map(|n| (*n, *t_ms)));
    }
    scrapes
}

pub(super) fn times(from_ms: i64, to_ms: i64, step_ms: i64) -> Vec<i64> {
    (0..).map(|n| from_ms + n * step_ms).take_while(|t| *t < to_ms).collect()
}

/// An archive of seven hours with blocks and a log, closed; and what is in it.
pub(super) fn filled() -> (FaultyStorage, Vec<(usize, i64)>) {
    let disk = disk();
    let (mut archive, _) = open(&disk).unwrap();
    let scrapes = fill(&mut archive, &[0, 1, 2], &times(0, 7 * HOUR, 10 * MINUTE));
    archive.sync().unwrap();
    assert!(archive.save_problem().is_none());
    (disk, scrapes)
}

pub(super) fn with_suffix(disk: &FaultyStorage, suffix: &str) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|f| f.to_string_lossy().ends_with(suffix)).collect()
}

/// The log of the archive, which has one.
pub(super) fn log_of(disk: &FaultyStorage) -> PathBuf {
    let mut logs = with_suffix(disk, ".pglog");
    logs.retain(|path| path.parent() != Some(root()));
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

#[test]
fn an_archive_is_read_back_and_goes_on() {
    let (disk, mut scrapes) = filled();
    assert_eq!(with_suffix(&disk, ".pgblock").len(), 3);
    let (mut archive, opening) = open(&disk).unwrap();
    assert!(opening.damage.is_empty() && opening.leftovers.is_empty(), "{opening:?}");
    assert!(opening.log_scrapes > 0 && opening.log_scrapes < 30, "{opening:?}");
    assert_eq!((opening.log_overlap, opening.cut_bytes), (0, 0));
    assert_eq!(everything(&archive), expected(&scrapes));
    scrapes.extend(fill(&mut archive, &[0, 3], &times(7 * HOUR, 12 * HOUR, 10 * MINUTE)));
    assert_eq!(everything(&archive), expected(&scrapes));
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert_eq!(everything(&reader), expected(&scrapes));
    assert_eq!(everything(&reader.into_store().unwrap()), expected(&scrapes));
}

#[test]
fn sealed_samples_leave_the_log() {
    let (disk, _) = filled();
    let rows = disk.contents(&log_of(&disk)).len();
    // An hour of three targets.
    assert!(rows < 10 * 3 * 60, "{rows} bytes");
}

#[test]
fn late_duplicate_and_wrong_scrapes_are_told_apart() {
    let disk = disk();
    let (mut archive, _) = open(&disk).unwrap();
    fill(&mut archive, &[0], &[10 * MINUTE, 20 * MINUTE]);
    let mut append = |t_ms: i64, row: &[f64]| match archive.append_scrape(&series(0), t_ms, row) {
        Ok(appended) => Ok(appended),
        Err(ArchiveError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    };
    let late = 17 * MINUTE;
    assert_eq!(append(late, &values(0, late)), Ok(Appended::Late));
    assert_eq!(append(late, &values(0, late)), Ok(Appended::Duplicate));
    assert_eq!(append(20 * MINUTE, &values(0, 20 * MINUTE)), Ok(Appended::Duplicate));
    assert!(matches!(append(late, &[0.0; 3]), Err(AppendError::Conflict { .. })));
    let clock_put_back = append(14 * MINUTE, &values(0, 14 * MINUTE));
    assert!(matches!(clock_put_back, Err(AppendError::TooLate { .. })));
    assert!(matches!(append(HOUR, &[0.0]), Err(AppendError::WrongLength { .. })));
    assert_eq!(append(2 * HOUR, &values(0, 2 * HOUR)), Ok(Appended::New));
    let counts = Counts { new: 3, late: 1, duplicates: 2, refused: 3, forward_jumps: 1 };
    assert_eq!(archive.counts(), counts);
    let all = [(0, 10 * MINUTE), (0, 17 * MINUTE), (0, 20 * MINUTE), (0, 2 * HOUR)];
    assert_eq!(everything(&archive), expected(&all));
    drop(archive);
    assert_eq!(everything(&open(&disk).unwrap().0), expected(&all));
}

#[test]
fn a_target_may_come_twice_in_a_batch() {
    let (mut archive, _) = open(&disk()).unwrap();
    let target = archive.target(&series(0)).unwrap();
    let rows: Vec<(i64, Vec<f64>)> =
        [1, 2, 2, 3].map(|n| (n * MINUTE, values(0, n * MINUTE))).into();
    let scrape = |(t_ms, values): &'_ (i64, Vec<f64>)| (*t_ms, values.clone());
    let rows: Vec<_> = rows.iter().map(scrape).collect();
    let batch: Vec<_> =
        rows.iter().map(|(t_ms, values)| Scrape { target, t_ms: *t_ms, values }).collect();
    let outcomes = archive.append_all(&batch).unwrap();
    let new = Ok(Appended::New);
    assert_eq!(outcomes, [new.clone(), new.clone(), Ok(Appended::Duplicate), new]);
    assert_eq!(everything(&archive), expected(&[1, 2, 3].map(|n| (0, n * MINUTE))));
}

#[test]
fn a_target_of_another_archive_is_refused() {
    let (mut archive, _) = open(&disk()).unwrap();
    let scrape = Scrape { target: TargetId(7), t_ms: 0, values: &[] };
    let outcome = archive.append_all(&[scrape]).unwrap();
    assert_eq!(outcome, [Err(AppendError::UnknownTarget(7))]);
}

#[test]
fn an_archive_on_the_real_disk_has_one_writer_and_any_readers() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("deep/samples");
    assert!(matches!(Archive::read(&path), Err(ArchiveError::NotAnArchive(_))));
    let (mut archive, opening) = Archive::open(&path).unwrap();
    assert_eq!(opening, Opening::default());
    let mut scrapes = fill(&mut archive, &[0, 1], &times(-HOUR, 5 * HOUR, 10 * MINUTE));
    assert!(archive.save_problem().is_none(), "{:?}", archive.save_problem());
    let second = Archive::open(&path).unwrap_err();
    assert!(matches!(second, ArchiveError::Locked(_)), "{second}");
    let reader = Archive::read(&path).unwrap();
    assert_eq!(everything(&reader), expected(&scrapes));
    scrapes.extend(fill(&mut archive, &[0, 1], &times(5 * HOUR, 9 * HOUR, 10 * MINUTE)));
    archive.sync().unwrap();
    drop(archive);
    let (archive, opening) = Archive::open(&path).unwrap();
    assert!(opening.damage.is_empty() && opening.leftovers.is_empty(), "{opening:?}");
    assert_eq!(everything(&archive), expected(&scrapes));
    // The first reader holds on to what it read, whatever happened to the files.
    assert_eq!(everything(&reader).len(), 6);
    assert!(super::verify(&path).unwrap().damage.is_empty());
}
