//! The stored form of a sample store.

use samples::{Matcher, SampleSource, Store};

use super::block;
use crate::Target;

/// The bytes of a store.
pub const TARGET: Target = Target {
    name: "store",
    run,
    seeds,
    repair,
    words: &["PGSAMPLE", "PGBLOCK\0", "__name__", "up", "instance"],
};

/// Before the body: magic, version, length of the body, checksum of the body.
const HEADER_LEN: usize = 24;

/// What can be read is in time order and is stored the same way again.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(store) = Store::decode(bytes) else { return false };
    let whole = store.select(&[], i64::MIN, i64::MAX);
    for series in whole.iter().flatten() {
        assert!(series.times_ms().is_sorted_by(|a, b| a < b), "times do not increase");
        assert_eq!(series.times_ms().len(), series.values().len());
    }
    let _ = store.select(&[Matcher::not_equal("instance", "a")], 0, 1 << 40);
    let _ = (store.sample_count(), store.scrape_count(), store.sample_bytes());
    let Ok(bytes) = store.encode() else { panic!("a store in memory cannot be encoded") };
    let Ok(again) = Store::decode(&bytes) else {
        panic!("a store that was read cannot be read again")
    };
    assert_eq!(again.extent_ms(), store.extent_ms());
    assert_eq!(again.sample_count(), store.sample_count());
    whole.is_ok()
}

fn repair(bytes: &mut [u8]) {
    let Some((header, body)) = bytes.split_at_mut_checked(HEADER_LEN) else { return };
    block::repair_all(body);
    let length = (body.len() as u64).to_le_bytes();
    let checksum = crc32fast::hash(body).to_le_bytes();
    header[12..20].copy_from_slice(&length);
    header[20..24].copy_from_slice(&checksum);
}

fn seeds() -> Vec<Vec<u8>> {
    block::stores().iter().filter_map(|store| store.encode().ok()).collect()
}
