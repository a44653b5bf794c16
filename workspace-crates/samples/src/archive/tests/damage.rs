//! Damaged, missing, foreign and newer files.

use std::path::Path;

use super::{
    HOUR, MINUTE, Samples, everything, expected, fill, filled, log_of, open, root, times,
    with_suffix, within,
};
use crate::archive::{Archive, ArchiveError, DamageKind, Opening, verify_on};
use crate::storage::Storage as _;
use crate::storage_faulty::{Crash, Draw, Fault, FaultyStorage};

fn flip(disk: &FaultyStorage, path: &Path, bit: u64) {
    let mut bytes = disk.contents(path);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    disk.set(path, bytes);
}

/// Every answer is right or refused; the last scrape may be missing when the opening says that an
/// unfinished record was cut.
fn check_answers(source: &dyn crate::SampleSource, opening: &Opening, all: &Samples, about: &str) {
    let step = 20 * MINUTE;
    for start in times(-HOUR, 8 * HOUR, step) {
        let Ok(found) = within(source, start, start + step) else { continue };
        for (labels, samples) in all {
            for (t_ms, value) in samples.range(start + 1..=start + step) {
                let seen = found.get(labels).and_then(|own| own.get(t_ms));
                let cut = opening.cut_bytes > 0 && *t_ms == 7 * HOUR - 10 * MINUTE;
                assert!(seen == Some(value) || seen.is_none() && cut, "{about}: {labels} {t_ms}");
            }
        }
        let count = |samples: &Samples| samples.values().map(|own| own.len()).sum::<usize>();
        let right = all.values().map(|own| own.range(start + 1..=start + step).count()).sum();
        assert!(count(&found) <= right, "{about}: more than there was");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_without_effect() {
    let (whole, scrapes) = filled();
    let all = expected(&scrapes);
    let mut draw = Draw(7);
    let (mut refused, mut damaged, mut harmless) = (0, 0, 0);
    for path in whole.files() {
        let bits = whole.contents(&path).len() as u64 * 8;
        for _ in 0..if bits == 0 { 0 } else { 60 } {
            let disk = whole.after(Crash::ProcessKill);
            let bit = draw.below(bits);
            flip(&disk, &path, bit);
            let about = format!("bit {bit} of {}", path.display());
            match Archive::read_on(&disk, root()) {
                Err(_) => refused += 1,
                Ok(reader) => {
                    check_answers(&reader, reader.opening(), &all, &about);
                    let damage = verify_on(&disk, root()).unwrap().damage;
                    let same = within(&reader, i64::MIN, i64::MAX).is_ok_and(|found| found == all);
                    let noticed = !damage.is_empty() || reader.opening().cut_bytes > 0;
                    assert!(noticed || same, "{about}: nobody noticed");
                    if noticed { damaged += 1 } else { harmless += 1 }
                }
            }
            if let Ok((archive, opening)) = open(&disk) {
                check_answers(&archive, &opening, &all, &about);
            }
        }
    }
    assert!(refused > 30 && damaged > 100 && harmless < 20, "{refused} {damaged} {harmless}");
}

#[test]
fn a_damaged_block_refuses_queries_of_its_time_only() {
    let (disk, scrapes) = filled();
    let path = &with_suffix(&disk, "7200000-14400000-1.pgblock")[0];
    let bits = disk.contents(path).len() as u64 * 8;
    flip(&disk, path, bits - 9);
    let (mut archive, opening) = open(&disk).unwrap();
    let [damage] = &opening.damage[..] else { panic!("{opening:?}") };
    assert_eq!(damage.kind, DamageKind::DamagedBlock);
    assert_eq!((damage.from_ms, damage.to_ms), (2 * HOUR, 4 * HOUR));
    assert_eq!(archive.damage(), opening.damage);
    let refusal = within(&archive, HOUR, 2 * HOUR).unwrap_err().to_string();
    assert!(refusal.contains("7200000-14400000-1.pgblock"), "{refusal}");
    assert!(within(&archive, i64::MIN, i64::MAX).is_err());
    let before = within(&archive, -1, 2 * HOUR - 1).unwrap();
    let early: Vec<_> = scrapes.iter().filter(|(_, t)| *t < 2 * HOUR).copied().collect();
    assert_eq!(before, expected(&early));
    // Writing goes on, and the damage stays known.
    fill(&mut archive, &[0], &times(7 * HOUR, 11 * HOUR, 10 * MINUTE));
    drop(archive);
    let (archive, again) = open(&disk).unwrap();
    assert_eq!(again.damage, opening.damage);
    assert!(within(&archive, 9 * HOUR, 10 * HOUR).is_ok());
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert!(within(&reader, i64::MIN, i64::MAX).is_err(), "a reader notices when it reads");
}

#[test]
fn a_missing_or_cut_block_is_told() {
    let (whole, _) = filled();
    let path = with_suffix(&whole, ".pgblock").remove(0);
    let missing = whole.after(Crash::ProcessKill);
    missing.remove(&path).unwrap();
    let cut = whole.after(Crash::ProcessKill);
    let mut bytes = cut.contents(&path);
    bytes.pop();
    cut.set(&path, bytes);
    for (disk, kind) in [(missing, DamageKind::MissingBlock), (cut, DamageKind::DamagedBlock)] {
        let reader = Archive::read_on(&disk, root()).unwrap();
        let damage = reader.opening().damage.clone();
        assert_eq!(damage.iter().map(|d| d.kind).collect::<Vec<_>>(), [kind]);
        assert!(within(&reader, 0, HOUR).is_err());
        assert!(within(&reader, 3 * HOUR, 7 * HOUR).is_ok());
        assert!(matches!(reader.into_store(), Err(ArchiveError::Damaged(_))));
        let (archive, opening) = open(&disk).unwrap();
        assert_eq!(opening.damage, damage);
        assert!(within(&archive, 0, HOUR).is_err());
    }
}

#[test]
fn a_log_damaged_in_the_middle_is_set_aside_and_the_rest_is_kept() {
    let (disk, scrapes) = filled();
    let log = log_of(&disk);
    let before = disk.contents(&log);
    flip(&disk, &log, before.len() as u64 / 2 * 8);
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert_eq!(reader.opening().damage.len(), 1);
    let (archive, opening) = open(&disk).unwrap();
    let [damage] = &opening.damage[..] else { panic!("{opening:?}") };
    assert_eq!(damage.kind, DamageKind::DamagedLog);
    assert!(damage.to_ms - damage.from_ms <= 40 * MINUTE, "{damage:?}");
    assert!(within(&archive, damage.from_ms, damage.to_ms).is_err());
    let later = within(&archive, damage.to_ms - 1, i64::MAX).unwrap();
    let kept: Vec<_> = scrapes.iter().filter(|(_, t)| *t >= damage.to_ms).copied().collect();
    assert_eq!(later, expected(&kept));
    drop(archive);
    let (_, again) = open(&disk).unwrap();
    assert_eq!(again.damage.len(), 1);
    assert!(again.leftovers.is_empty(), "{again:?}");
    let aside = root().join(&opening.damage[0].file);
    assert_ne!(disk.contents(&aside), before);
    // Whoever removes the file accepts what is missing.
    disk.remove(&aside).unwrap();
    let (archive, opening) = open(&disk).unwrap();
    assert!(opening.damage.is_empty());
    let count: usize = everything(&archive).values().map(|own| own.len()).sum();
    assert_eq!(count, (scrapes.len() - 1) * 3);
}

#[test]
fn a_crash_while_a_log_is_set_aside_leaves_it_damaged_and_its_rest_whole() {
    let (disk, _) = filled();
    let log = log_of(&disk);
    flip(&disk, &log, disk.contents(&log).len() as u64 / 2 * 8);
    let reference = disk.after(Crash::ProcessKill);
    let (archive, opening) = open(&reference).unwrap();
    let kept = everything(archive.store());
    let span = |opening: &Opening| opening.damage.iter().map(|d| (d.from_ms, d.to_ms)).collect();
    let spans: Vec<(i64, i64)> = span(&opening);
    for point in 0.. {
        let broken = disk.after(Crash::ProcessKill);
        let before = broken.points();
        broken.arm(point, Fault::Kill);
        drop(open(&broken));
        if broken.points() - before <= point {
            assert!(point > 8, "only {point} write points");
            break;
        }
        let crashes = (0..6).map(|seed| Crash::PowerLoss { seed: point * 6 + seed });
        for crash in std::iter::once(Crash::ProcessKill).chain(crashes) {
            let after = broken.after(crash);
            let reader = Archive::read_on(&after, root()).unwrap();
            assert_eq!(span(reader.opening()), spans, "{crash:?} at {point}");
            let (archive, opening) = open(&after).unwrap();
            assert_eq!(span(&opening), spans, "{crash:?} at {point}");
            assert_eq!(everything(archive.store()), kept, "{crash:?} at {point}");
        }
    }
}

#[test]
fn a_missing_log_is_damage_and_not_an_empty_log() {
    let (disk, _) = filled();
    let log = log_of(&disk);
    disk.remove(&log).unwrap();
    let kind = |opening: &Opening| opening.damage.iter().map(|d| d.kind).collect::<Vec<_>>();
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert_eq!(kind(reader.opening()), [DamageKind::MissingLog]);
    let (archive, opening) = open(&disk).unwrap();
    assert_eq!(kind(&opening), [DamageKind::MissingLog]);
    assert!(within(&archive, 6 * HOUR, 7 * HOUR).is_err());
    assert!(within(&archive, 0, 5 * HOUR).is_ok());
    drop(archive);
    assert_eq!(open(&disk).unwrap().1.damage.len(), 1);
}

#[test]
fn a_damaged_list_refuses_the_archive_and_changes_nothing() {
    let (whole, _) = filled();
    for name in ["manifest", "targets.pglog"] {
        let disk = whole.after(Crash::ProcessKill);
        flip(&disk, &root().join(name), 8 * 40);
        let before: Vec<_> = disk.files().iter().map(|f| disk.contents(f)).collect();
        let error = open(&disk).unwrap_err();
        assert!(error.to_string().contains("take it from a copy"), "{error}");
        assert!(Archive::read_on(&disk, root()).is_err());
        let after: Vec<_> = disk.files().iter().map(|f| disk.contents(f)).collect();
        assert_eq!(before, after);
    }
}

#[test]
fn samples_without_a_manifest_are_never_taken_for_an_empty_archive() {
    let (disk, _) = filled();
    let files = disk.files().len();
    disk.remove(&root().join("manifest")).unwrap();
    assert!(matches!(open(&disk), Err(ArchiveError::Manifest { .. })));
    assert!(matches!(Archive::read_on(&disk, root()), Err(ArchiveError::Manifest { .. })));
    assert_eq!(disk.files().len(), files - 1);
}

#[test]
fn newer_formats_are_named() {
    let (whole, _) = filled();
    let mut manifest = b"PGARCHIVE 9\nanything\n".to_vec();
    let crc = crc32fast::hash(&manifest);
    manifest.extend(format!("crc32 {crc:08x}\n").into_bytes());
    let mut log = b"PGSAMLOG\x09\0\0\0".to_vec();
    log.extend_from_slice(&crc32fast::hash(&log).to_le_bytes());
    let logs = with_suffix(&whole, ".pglog");
    let cases = [
        (root().join("manifest"), manifest),
        (logs[0].clone(), log.clone()),
        (logs[1].clone(), log),
    ];
    for (path, bytes) in cases {
        let disk = whole.after(Crash::ProcessKill);
        disk.set(&path, bytes);
        let errors = [open(&disk).unwrap_err(), Archive::read_on(&disk, root()).unwrap_err()];
        for error in errors {
            let newer = matches!(error, ArchiveError::NewerVersion { found: 9, .. });
            assert!(newer && error.to_string().contains("use a newer release"), "{error}");
        }
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let (disk, scrapes) = filled();
    let others = ["notes.txt", "blocks/notes.txt", "log/notes.txt", "log/7.bak"];
    for other in others {
        disk.set(&root().join(other), b"mine".to_vec());
    }
    let (archive, opening) = open(&disk).unwrap();
    assert!(opening.leftovers.is_empty(), "{opening:?}");
    assert_eq!(everything(&archive), expected(&scrapes));
    assert!(others.iter().all(|other| disk.files().contains(&root().join(other))));
}

#[test]
fn scrapes_that_log_and_blocks_both_hold_are_served_once() {
    let disk = super::disk();
    let (mut archive, _) = open(&disk).unwrap();
    let mut scrapes = fill(&mut archive, &[0, 1], &times(0, 2 * HOUR, 10 * MINUTE));
    let log = disk.contents(&log_of(&disk));
    scrapes.extend(fill(&mut archive, &[0, 1], &times(2 * HOUR, 3 * HOUR, 10 * MINUTE)));
    drop(archive);
    // Somebody put an old log back.
    disk.set(&log_of(&disk), log);
    let reader = Archive::read_on(&disk, root()).unwrap();
    assert!(reader.opening().log_overlap > 20, "{:?}", reader.opening());
    scrapes.retain(|(_, t_ms)| *t_ms < 2 * HOUR);
    assert_eq!(everything(&reader), expected(&scrapes));
    let (archive, opening) = open(&disk).unwrap();
    assert_eq!(&opening, reader.opening());
    assert_eq!(everything(&archive), expected(&scrapes));
}
