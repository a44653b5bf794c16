//! The data set: a network of nodes over 90 hours, the same on every machine.
//!
//! Each node is a target with 30 series and is scraped every 15 seconds, at its own offset within
//! them: Prometheus keeps that interval to the millisecond too. Nodes restart, which resets their
//! counters, and some stop answering for a while.

use samples::{Labels, METRIC_NAME, STALE_NAN};

/// The first scrapes are within 15 seconds after this instant, in Unix milliseconds.
pub const START_MS: i64 = 1_748_822_400_000;
/// How long it goes on.
pub const HOURS: i64 = 90;
/// The end, at which queries are asked.
pub const END_MS: i64 = START_MS + HOURS * 3_600_000;
/// Between two scrapes.
pub const INTERVAL_MS: i64 = 15_000;
/// Scrapes of each node.
pub const SCRAPES: usize = (HOURS * 3_600_000 / INTERVAL_MS) as usize;
/// Series of each node.
pub const SERIES: usize = 30;
/// Nodes of the whole data set.
pub const NODES: usize = 428;

const BOUNDS: [&str; 10] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
/// Of 1,024 observations, how many are at most each bound.
const WITHIN: [u64; 10] = [20, 90, 300, 610, 830, 960, 1_000, 1_015, 1_021, 1_024];
const NAMES: [&str; 16] = [
    "b_sum",
    "b_count",
    "head_height",
    "finalized_height",
    "peers",
    "memory_bytes",
    "cpu_seconds_total",
    "open_files",
    "threads",
    "gossip_in_total",
    "round_trip_seconds",
    "disk_bytes",
    "mempool",
    "proofs_total",
    "reorgs_total",
    "rounds_total",
];

/// How many nodes a part of the data set has; at least one.
pub fn nodes(scale: f64) -> usize {
    ((NODES as f64 * scale).round() as usize).clamp(1, NODES)
}

/// The labels that all series of a node have.
pub fn target(node: usize) -> Labels {
    let instance = format!("node-{node:03}:9100");
    let job = ["sequencer", "validator", "validator", "prover"][node % 4];
    let region = ["eu", "us", "ap"][node % 3];
    Labels::from_pairs([("instance", instance.as_str()), ("job", job), ("region", region)])
}

/// The labels of a node's series, in the order of its values.
pub fn labels(node: usize) -> Vec<Labels> {
    let target = target(node);
    let one = |name: &str| target.with(METRIC_NAME, name);
    let first = ["up", "start_time", "tx", "lag"].into_iter().map(one);
    let buckets = BOUNDS.into_iter().map(|bound| one("b").with("le", bound));
    first.chain(buckets).chain(NAMES.into_iter().map(one)).collect()
}

/// A node that is scraped again and again.
pub struct Node {
    random: u64,
    next: usize,
    offset_ms: i64,
    /// Scrapes that will still fail.
    silent: usize,
    observed: [u64; 10],
    start_ms: i64,
    tx: u64,
    lag: u64,
    spike: u64,
    sum_ns: u64,
    peers: u64,
    pages: u64,
    cpu_centis: u64,
    files: u64,
    gossip: u64,
    round_trip_us: u64,
    disk_pages: u64,
    mempool: u64,
    proofs: u64,
    reorgs: u64,
    rounds: u64,
}

impl Node {
    pub fn new(index: usize) -> Self {
        let mut node = Self {
            random: 0x5EED_0000 + index as u64,
            next: 0,
            offset_ms: 0,
            silent: 0,
            observed: [0; 10],
            start_ms: START_MS - 60_000,
            tx: 0,
            lag: 1,
            spike: 0,
            sum_ns: 0,
            peers: 50,
            pages: 400_000,
            cpu_centis: 0,
            files: 200,
            gossip: 0,
            round_trip_us: 40_000,
            disk_pages: 20_000_000,
            mempool: 800,
            proofs: 0,
            reorgs: 0,
            rounds: 0,
        };
        let seconds = node.below(INTERVAL_MS as u64 / 1_000) as i64;
        // Never a whole second: no sample lies on the edge of a window.
        node.offset_ms = seconds * 1_000 + 1 + node.below(998) as i64;
        node.start_ms -= node.below(86_400_000) as i64;
        node.tx = 1_000_000 + node.below(1_000_000);
        node
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
    }

    /// One step up, one down, or none, within bounds.
    fn walk(&mut self, value: u64, low: u64, high: u64, one_in: u64) -> u64 {
        match self.below(one_in) {
            0 => value.saturating_sub(1).max(low),
            1 => (value + 1).min(high),
            _ => value,
        }
    }

    /// The time of the next scrape, in Unix milliseconds, and its values in `row`; `None` after the
    /// last. Where a scrape fails, `up` is 0 and all other values are staleness markers.
    pub fn scrape(&mut self, row: &mut [f64; SERIES]) -> Option<i64> {
        if self.next == SCRAPES {
            return None;
        }
        let t_ms = START_MS + self.offset_ms + self.next as i64 * INTERVAL_MS;
        self.next += 1;
        if self.silent > 0 {
            self.silent -= 1;
            if self.silent == 0 && self.below(2) == 0 {
                self.restart(t_ms);
            }
            row.fill(STALE_NAN);
            row[0] = 0.0;
            return Some(t_ms);
        }
        match self.below(24_000) {
            0..3 => self.silent = 4 + self.below(36) as usize,
            3 => self.restart(t_ms),
            _ => {}
        }
        self.advance();
        self.fill(t_ms, row);
        Some(t_ms)
    }

    fn restart(&mut self, t_ms: i64) {
        self.start_ms = t_ms - self.below(5_000) as i64;
        self.observed = [0; 10];
        (self.tx, self.sum_ns, self.cpu_centis, self.rounds) = (0, 0, 0, 0);
        (self.gossip, self.proofs, self.reorgs) = (0, 0, 0);
        self.pages = 300_000;
    }

    fn advance(&mut self) {
        self.tx += 20 + self.below(21);
        self.lag = match self.below(64) {
            0..12 => self.lag.saturating_sub(1),
            12..22 => (self.lag + 1).min(3),
            _ => self.lag,
        };
        self.spike = match self.below(40_000) {
            0 => 10 + self.below(30),
            _ => self.spike / 2,
        };
        // A block each 12 seconds is an observation.
        for _ in 0..1 + u64::from(self.below(4) == 0) {
            let part = self.below(1_024);
            let bucket = WITHIN.partition_point(|within| *within <= part);
            for count in &mut self.observed[bucket..] {
                *count += 1;
            }
            self.sum_ns += 5_000_000 + part * 120_000 + self.below(1_000_000);
        }
        self.peers = self.walk(self.peers, 30, 70, 24);
        if self.below(4) == 0 {
            self.pages = 300_000 + (self.pages - 300_000) * 15 / 16 + self.below(16_000);
        }
        self.cpu_centis += 150 + self.below(60);
        self.files = self.walk(self.files, 150, 260, 12);
        self.gossip += 180 + self.below(64);
        self.round_trip_us = (self.round_trip_us * 7 + 20_000 + self.below(40_000)) / 8;
        if self.below(3) == 0 {
            self.disk_pages += 40 + self.below(24);
        }
        self.mempool = (self.mempool * 7 + self.below(1_600)) / 8;
        self.proofs += u64::from(self.below(4) == 0);
        self.reorgs += u64::from(self.below(3_000) == 0);
        self.rounds += 1 + u64::from(self.below(8) == 0);
    }

    fn fill(&self, t_ms: i64, row: &mut [f64; SERIES]) {
        let lag = self.lag + self.spike;
        let height = ((t_ms - START_MS) / 12_000) as u64 + 5_000_000 - lag;
        row[..4].copy_from_slice(&[
            1.0,
            self.start_ms as f64 / 1_000.0,
            self.tx as f64,
            lag as f64,
        ]);
        for (value, count) in row[4..14].iter_mut().zip(self.observed) {
            *value = count as f64;
        }
        row[14..].copy_from_slice(&[
            self.sum_ns as f64 / 1e9,
            self.observed[9] as f64,
            height as f64,
            (height - 64 - height % 32) as f64,
            self.peers as f64,
            (self.pages * 4_096) as f64,
            self.cpu_centis as f64 / 100.0,
            self.files as f64,
            24.0,
            self.gossip as f64,
            self.round_trip_us as f64 / 1e6,
            (self.disk_pages * 4_096) as f64,
            self.mempool as f64,
            self.proofs as f64,
            self.reorgs as f64,
            self.rounds as f64,
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::{HOURS, INTERVAL_MS, NODES, Node, SCRAPES, SERIES, START_MS, labels};
    use std::collections::BTreeSet;

    #[test]
    fn the_whole_set_has_277_million_samples() {
        assert_eq!(NODES * SCRAPES * SERIES, 277_344_000);
        assert_eq!(INTERVAL_MS * SCRAPES as i64, HOURS * 3_600_000);
    }

    #[test]
    fn nodes_are_the_same_again_and_differ_from_each_other() {
        let mut rows = [[0.0; SERIES]; 3];
        let mut nodes = [Node::new(7), Node::new(7), Node::new(8)];
        for _ in 0..SCRAPES {
            let times: Vec<Option<i64>> =
                nodes.iter_mut().zip(&mut rows).map(|(node, row)| node.scrape(row)).collect();
            assert_eq!(times[0], times[1]);
            assert_eq!(rows[0].map(f64::to_bits), rows[1].map(f64::to_bits));
            assert_ne!(times[0], times[2]);
            assert!(times[0].is_some_and(|t_ms| t_ms > START_MS && t_ms % 1_000 != 0));
        }
        assert_eq!(nodes.map(|mut node| node.scrape(&mut rows[0])), [None; 3]);
    }

    #[test]
    fn every_series_has_labels_of_its_own() {
        let all: BTreeSet<_> = (0..9).flat_map(labels).collect();
        assert_eq!(all.len(), 9 * SERIES);
    }
}
