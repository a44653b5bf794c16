//! Kills, power losses, full and failing disks at every write point of a run.

use std::io;

use super::{
    HOUR, MINUTE, Samples, disk, everything, expected, open, root, series, values, within,
};
use crate::SampleSource;
use crate::archive::{Archive, ArchiveError, Scrape};
use crate::storage_faulty::{Crash, Fault, FaultyStorage, Lie};

/// What a run was told, step by step.
#[derive(Debug, Default)]
struct Told {
    /// In flight or acknowledged.
    attempted: Vec<(usize, i64)>,
    acknowledged: usize,
    synced: usize,
}

impl Told {
    fn up_to(&self, count: usize) -> Samples {
        expected(&self.attempted[..count])
    }
}

/// The rounds of the scripted run: who is scraped when. A target joins, one comes late, one leaves.
fn script() -> Vec<(i64, Vec<usize>)> {
    let mut rounds = Vec::new();
    for n in 0..32 {
        let t_ms = n * 12 * MINUTE;
        let targets = match n {
            0..9 => vec![0, 1],
            9..20 => vec![0, 1, 2],
            _ => vec![0, 2],
        };
        rounds.push((t_ms, targets));
        if n % 8 == 5 {
            // Target 0 again, three minutes late.
            rounds.push((t_ms - 3 * MINUTE, vec![0]));
        }
    }
    rounds
}

fn append(archive: &mut Archive, t_ms: i64, targets: &[usize]) -> Result<(), ArchiveError> {
    let rows: Vec<Vec<f64>> = targets.iter().map(|n| values(*n, t_ms)).collect();
    let mut batch = Vec::new();
    for (n, values) in targets.iter().zip(&rows) {
        batch.push(Scrape { target: archive.target(&series(*n))?, t_ms, values });
    }
    for outcome in archive.append_all(&batch)? {
        outcome.unwrap();
    }
    Ok(())
}

fn run(disk: &FaultyStorage, told: &mut Told) -> Result<(), ArchiveError> {
    let (mut archive, _) = open(disk)?;
    for (at, (t_ms, targets)) in script().into_iter().enumerate() {
        told.attempted.extend(targets.iter().map(|n| (*n, t_ms)));
        append(&mut archive, t_ms, &targets)?;
        told.acknowledged = told.attempted.len();
        if at % 6 == 5 {
            archive.sync()?;
            told.synced = told.acknowledged;
        }
    }
    Ok(())
}

fn points_of_a_run() -> u64 {
    let disk = disk();
    let before = disk.points();
    run(&disk, &mut Told::default()).unwrap();
    disk.points() - before
}

fn contains(all: &Samples, some: &Samples) -> bool {
    some.iter().all(|(labels, samples)| {
        all.get(labels).is_some_and(|own| samples.iter().all(|(t, v)| own.get(t) == Some(v)))
    })
}

fn ensure(right: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(wrong()) }
}

fn whole(source: &dyn SampleSource) -> Result<Samples, String> {
    within(source, i64::MIN, i64::MAX).map_err(|error| error.to_string())
}

/// Reads and reopens what a crash left, and goes on with it; says what is wrong.
fn check_after(disk: &FaultyStorage, told: &Told, promised: usize) -> Result<(), String> {
    let before = disk.points();
    let read = match Archive::read_on(disk, root()) {
        Ok(reader) => {
            let opening = reader.opening();
            ensure(opening.damage.is_empty(), || format!("read {opening:?}"))?;
            whole(&reader)?
        }
        Err(ArchiveError::NotAnArchive(_)) if promised == 0 => Samples::new(),
        Err(error) => return Err(format!("{error:?}")),
    };
    ensure(disk.points() == before, || "reading wrote".to_owned())?;
    let (mut archive, opening) = open(disk).map_err(|error| format!("{error:?}"))?;
    ensure(opening.damage.is_empty(), || format!("{opening:?}"))?;
    let found = whole(&archive)?;
    ensure(read == found, || "reader and writer differ".to_owned())?;
    let kept = contains(&found, &told.up_to(promised));
    ensure(kept, || "something promised is lost".to_owned())?;
    let known = contains(&told.up_to(told.attempted.len()), &found);
    ensure(known, || "something is there that never was".to_owned())?;
    append(&mut archive, 100 * HOUR, &[0, 5]).map_err(|error| format!("{error:?}"))?;
    archive.sync().map_err(|error| format!("{error:?}"))?;
    drop(archive);
    let after = disk.after(Crash::PowerLoss { seed: 1 });
    let (archive, opening) = open(&after).map_err(|error| format!("{error:?}"))?;
    let clean = opening.damage.is_empty() && opening.leftovers.is_empty();
    ensure(clean, || format!("after going on {opening:?}"))?;
    let more = expected(&[(0, 100 * HOUR), (5, 100 * HOUR)]);
    let now = whole(&archive)?;
    ensure(contains(&now, &found) && contains(&now, &more), || "lost by going on".to_owned())
}

#[test]
fn a_kill_at_any_write_point_loses_nothing_acknowledged() {
    for point in 0..points_of_a_run() {
        let disk = disk();
        let mut told = Told::default();
        disk.arm(point, Fault::Kill);
        assert!(run(&disk, &mut told).is_err(), "point {point} was not reached");
        let after = disk.after(Crash::ProcessKill);
        let checked = check_after(&after, &told, told.acknowledged);
        assert_eq!(checked, Ok(()), "killed at {point}");
    }
}

/// Loses power at every write point; gives what went wrong.
fn lose_power(lie: Option<Lie>) -> Vec<String> {
    let mut wrong = Vec::new();
    for point in 0..points_of_a_run() {
        let disk = disk();
        let mut told = Told::default();
        if let Some(lie) = lie {
            disk.lie(lie);
        }
        disk.arm(point, Fault::Kill);
        assert!(run(&disk, &mut told).is_err(), "point {point} was not reached");
        for seed in 0..6 {
            let after = disk.after(Crash::PowerLoss { seed: point * 6 + seed });
            if let Err(problem) = check_after(&after, &told, told.synced) {
                wrong.push(format!("power lost at {point}, seed {seed}: {problem}"));
            }
        }
    }
    wrong
}

#[test]
fn a_power_loss_at_any_write_point_loses_nothing_synced() {
    assert_eq!(lose_power(None), Vec::<String>::new());
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out_by_these_tests() {
    for lie in [Lie::Contents, Lie::Names] {
        let wrong = lose_power(Some(lie)).len();
        assert!(wrong > 50, "only {wrong} losses were noticed of a disk that lies about {lie:?}");
    }
}

#[test]
fn a_crash_while_a_crash_is_mended_loses_nothing() {
    for point in (0..points_of_a_run()).step_by(5) {
        let disk = disk();
        let mut told = Told::default();
        disk.arm(point, Fault::Kill);
        assert!(run(&disk, &mut told).is_err(), "point {point} was not reached");
        let crashed = disk.after(Crash::PowerLoss { seed: point });
        for second in 0.. {
            let disk = crashed.after(Crash::ProcessKill);
            let before = disk.points();
            disk.arm(second, Fault::Kill);
            drop(open(&disk));
            if disk.points() - before <= second {
                break;
            }
            for crash in [Crash::ProcessKill, Crash::PowerLoss { seed: second }] {
                let checked = check_after(&disk.after(crash), &told, told.synced);
                assert_eq!(checked, Ok(()), "killed at {point}, then at {second}, {crash:?}");
            }
        }
    }
}

/// Runs the script although steps fail, trying each again once the disk works; gives the number of
/// failures that were told.
fn stubborn_run(disk: &FaultyStorage, is_right: fn(&ArchiveError) -> bool) -> (Archive, usize) {
    let mut failures = 0;
    let mut failed = |error: &ArchiveError| {
        assert!(is_right(error), "{error:?}");
        failures += 1;
        disk.heal();
    };
    let mut archive = match open(disk) {
        Ok((archive, _)) => archive,
        Err(error) => {
            failed(&error);
            open(disk).unwrap().0
        }
    };
    for (at, (t_ms, targets)) in script().into_iter().enumerate() {
        if let Err(error) = append(&mut archive, t_ms, &targets) {
            failed(&error);
            append(&mut archive, t_ms, &targets).unwrap();
        }
        if let Some(error) = archive.save_problem() {
            assert!(is_right(error), "{error:?}");
            disk.heal();
        }
        if at % 6 == 5
            && let Err(error) = archive.sync()
        {
            failed(&error);
            archive.sync().unwrap();
        }
    }
    (archive, failures)
}

fn check_stubborn(fault: Fault, is_right: fn(&ArchiveError) -> bool) {
    let all: Vec<(usize, i64)> =
        script().iter().flat_map(|(t, targets)| targets.iter().map(|n| (*n, *t))).collect();
    let mut told = 0;
    for point in 0..points_of_a_run() {
        let disk = disk();
        disk.arm(point, fault);
        let (mut archive, failures) = stubborn_run(&disk, is_right);
        told += failures;
        assert_eq!(everything(&archive), expected(&all), "{fault:?} at {point}");
        archive.sync().unwrap();
        drop(archive);
        disk.heal();
        for crash in [Crash::ProcessKill, Crash::PowerLoss { seed: point }] {
            let (archive, opening) = open(&disk.after(crash)).unwrap();
            assert!(opening.damage.is_empty(), "{fault:?} at {point}: {opening:?}");
            assert_eq!(everything(&archive), expected(&all), "{fault:?} at {point}");
        }
    }
    assert!(told > 20, "only {told} failures were told");
}

#[test]
fn a_full_disk_is_told_loses_nothing_and_goes_on_when_there_is_space() {
    check_stubborn(Fault::Full, |error| matches!(error, ArchiveError::Full { .. }));
}

#[test]
fn a_disk_that_fails_once_loses_nothing() {
    check_stubborn(Fault::Once(io::ErrorKind::Other), |error| {
        matches!(error, ArchiveError::Io { .. } | ArchiveError::Log(_))
    });
}

#[test]
fn a_disk_that_becomes_read_only_is_told_and_can_be_read() {
    let disk = disk();
    let (mut archive, _) = open(&disk).unwrap();
    append(&mut archive, MINUTE, &[0]).unwrap();
    disk.arm(0, Fault::ReadOnly);
    let error = append(&mut archive, 2 * MINUTE, &[0]).unwrap_err();
    assert!(matches!(error, ArchiveError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("may only be read"), "{error}");
    drop(archive);
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, ArchiveError::ReadOnly { .. }), "{error:?}");
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert_eq!(everything(&reader), expected(&[(0, MINUTE)]));
}
