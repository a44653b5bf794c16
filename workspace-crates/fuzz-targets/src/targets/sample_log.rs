//! The append log of a scraper.

mod disk;

use std::path::Path;

use disk::Disk;
use samples::{Labels, SampleLog, SampleSource, Store};

use crate::Target;

/// The bytes of a log.
pub const TARGET: Target = Target {
    name: "sample_log",
    run,
    seeds,
    repair,
    words: &["PGSAMLOG", "__name__", "up", "instance", "\x01", "\x02"],
};

const PATH: &str = "samples.log";
const HEADER_LEN: usize = 16;
/// Length of the payload, checksum of that and the record's place, checksum of the payload.
const RECORD_HEADER_LEN: usize = 12;

/// A log that opens has lost nothing but a torn end, takes more, and opens again the same.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let disk = Disk::new(bytes);
    let Some((scrapes, cut)) = open(&disk) else {
        assert_eq!(disk.bytes(), bytes, "a log that was refused was changed");
        return false;
    };
    assert_eq!(open(&disk), Some((scrapes, 0)), "a log that was opened opens otherwise again");
    // One more scrape, on a target of its own.
    let series = [Labels::metric("added", &[("by", "fuzz")])];
    if let Ok((mut log, _)) = SampleLog::open_on(&disk, Path::new(PATH), Store::new())
        && log.append_scrape(&series, 1 << 50, &[1.0]).is_ok()
    {
        drop(log);
        let more = open(&disk).map(|(more, _)| more);
        assert!(more.is_some_and(|more| more >= scrapes), "an append lost {scrapes} scrapes");
    }
    cut == 0
}

/// The scrapes of the log, and how many bytes were cut off; `None` when it is refused.
fn open(disk: &Disk) -> Option<(u64, u64)> {
    let (log, replay) = SampleLog::open_on(disk, Path::new(PATH), Store::new()).ok()?;
    let whole = log.store().select(&[], i64::MIN, i64::MAX);
    assert!(whole.is_ok(), "a log gives samples that cannot be read");
    Some((replay.scrapes, replay.cut_bytes))
}

fn repair(bytes: &mut [u8]) {
    if let Some(header) = bytes.get_mut(..HEADER_LEN) {
        let checksum = crc32fast::hash(&header[..12]);
        header[12..].copy_from_slice(&checksum.to_le_bytes());
    }
    let mut at = HEADER_LEN;
    while let Some((record, rest)) =
        bytes.get_mut(at..).and_then(|rest| rest.split_at_mut_checked(RECORD_HEADER_LEN))
    {
        let length = [record[0], record[1], record[2], record[3]];
        let payload = rest.get(..u32::from_le_bytes(length) as usize);
        // The last record takes what there is.
        let payload = payload.unwrap_or(rest);
        let length = (payload.len() as u32).to_le_bytes();
        let place = [&length[..], &(at as u64).to_le_bytes()].concat();
        record[..4].copy_from_slice(&length);
        record[4..8].copy_from_slice(&crc32fast::hash(&place).to_le_bytes());
        record[8..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        at += RECORD_HEADER_LEN + payload.len();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let disk = Disk::new(&[]);
    let Ok((mut log, _)) = SampleLog::open_on(&disk, Path::new(PATH), Store::new()) else {
        return Vec::new();
    };
    let empty = disk.bytes();
    let a = [Labels::metric("up", &[("instance", "a")]), Labels::metric("height", &[])];
    let b = [Labels::metric("up", &[("instance", "é\"\\")])];
    for n in 0..12_i64 {
        let _ = log.append_scrape(&a, n * 15_000, &[1.0, (n * n) as f64]);
        let _ = log.append_scrape(&b, n * 20_000, &[f64::NAN]);
    }
    vec![empty, disk.bytes()]
}

#[cfg(test)]
mod tests {
    use super::{repair, run, seeds};

    #[test]
    fn a_damaged_log_is_refused_until_it_is_repaired() {
        for seed in seeds() {
            let mut same = seed.clone();
            repair(&mut same);
            assert_eq!(same, seed);
        }
        let mut damaged = seeds().pop().unwrap();
        damaged[60] ^= 1;
        assert!(!run(&damaged));
    }
}
