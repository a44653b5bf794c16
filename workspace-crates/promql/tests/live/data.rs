//! Samples from a seed: what two evaluators are compared on.
//!
//! Sample times never fall on a whole second, and every time in a query does: so no sample lies on
//! the edge of a window, which Prometheus 2 counts in and Prometheus 3 does not. Counters reset only
//! where no scrape is missing nearby, since the releases extrapolate such windows differently. Both
//! differences have cases of their own in `dialect.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use samples::{Labels, STALE_NAN, Series, Store};

/// The first scrapes happen within 15 seconds after this instant, in Unix milliseconds.
pub const START_MS: i64 = 1_600_000_000_000;
/// How long the samples go on.
pub const LENGTH_MS: i64 = 3_600_000;

const INTERVAL_MS: i64 = 15_000;
const SCRAPES: usize = (LENGTH_MS / INTERVAL_MS) as usize;
/// Scrapes around a reset that are never missing.
const CALM: usize = 8;

/// A small generator of random numbers (SplitMix64), the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The scrapes of one target: which happened, and when.
struct Target {
    labels: Vec<(&'static str, String)>,
    times_ms: Vec<i64>,
    /// The number of the scrape for each time.
    numbers: Vec<usize>,
    resets: Vec<usize>,
    /// Whether a staleness marker follows the last scrape before a gap.
    marks_gaps: bool,
}

/// The series of eight targets over an hour.
pub fn series(seed: u64) -> Vec<Series> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for index in 0..8 {
        let target = target(index, &mut random);
        let metrics = [
            target.series("c_total", &[], counter(&target, &mut random, 40)),
            target.series("errors_total", &[], counter(&target, &mut random, 2)),
            target.series("g", &[], gauge(&mut random)),
            target.series("f", &[], fractions(&mut random)),
            target.series("i", &[], integers(&mut random)),
            target.series("up", &[], flags(&mut random)),
        ];
        all.extend(metrics);
        all.extend(histogram(index, &target, &mut random));
        all.extend(churned(index, &target, &mut random));
    }
    all
}

/// The same series in a store, those with the same times as one target.
pub fn stored(series: &[Series]) -> Store {
    let mut store = Store::new();
    let mut by_times: BTreeMap<&[i64], Vec<&Series>> = BTreeMap::new();
    for one in series {
        by_times.entry(one.times_ms()).or_default().push(one);
    }
    for (times_ms, series) in by_times {
        let target = store.add_target(series.iter().map(|one| one.labels().clone()).collect());
        for (place, t_ms) in times_ms.iter().enumerate() {
            let values: Vec<f64> = series.iter().map(|one| one.values()[place]).collect();
            store.append(target, *t_ms, &values).unwrap();
        }
    }
    store
}

fn target(index: usize, random: &mut Random) -> Target {
    let job = if index < 5 { "api" } else { "worker" };
    let labels = vec![
        ("instance", format!("n{index}")),
        ("job", job.to_owned()),
        ("zone", ["a", "b", "c"][index % 3].to_owned()),
    ];
    let offset_ms = 1_000 * random.below(15) as i64 + 1 + random.below(998) as i64;
    let resets = vec![30 + random.below(60), 130 + random.below(60)];
    let gap = match index {
        3 | 5 => 100..125,
        6 => 195..205,
        _ => 0..0,
    };
    let calm = |number: usize| resets.iter().any(|reset| reset.abs_diff(number) < CALM);
    let happened = |number: &usize| {
        !gap.contains(number) && (calm(*number) || number % 17 != index || index % 2 == 1)
    };
    let numbers: Vec<usize> = (0..SCRAPES).filter(happened).collect();
    let at = |number: &usize| START_MS + offset_ms + *number as i64 * INTERVAL_MS;
    let times_ms = numbers.iter().map(at).collect();
    Target { labels, times_ms, numbers, resets, marks_gaps: index == 5 }
}

impl Target {
    /// `values` are those of all scrapes, of which some did not happen.
    fn series(&self, name: &str, more: &[(&str, &str)], values: Vec<f64>) -> Series {
        let pairs = self.labels.iter().map(|(key, value)| (*key, value.as_str()));
        let pairs = pairs.chain(more.iter().copied()).chain([("__name__", name)]);
        let mut kept: Vec<f64> = self.numbers.iter().map(|number| values[*number]).collect();
        if self.marks_gaps {
            for (place, pair) in self.numbers.windows(2).enumerate() {
                if pair[1] - pair[0] > CALM {
                    kept[place] = STALE_NAN;
                }
            }
        }
        Series::new(Labels::from_pairs(pairs), Arc::new(self.times_ms.clone()), kept).unwrap()
    }
}

/// Starts and restarts far above zero: see the head of the file.
fn counter(target: &Target, random: &mut Random, growth: usize) -> Vec<f64> {
    let mut value = (100_000 + random.below(100_000)) as f64;
    let step = |number| {
        if target.resets.contains(&number) {
            value = random.below(5) as f64;
        }
        value += random.below(growth + 1) as f64;
        value
    };
    (0..SCRAPES).map(step).collect()
}

/// Any number, among them such as are none.
fn gauge(random: &mut Random) -> Vec<f64> {
    let value = |_| match random.below(40) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => 0.0,
        _ => random.fraction() * 200.0 - 100.0,
    };
    (0..SCRAPES).map(value).collect()
}

/// Positive numbers, no two the same.
fn fractions(random: &mut Random) -> Vec<f64> {
    (0..SCRAPES).map(|_| 0.1 + random.fraction() * 50.0).collect()
}

fn integers(random: &mut Random) -> Vec<f64> {
    // Far from zero: a mean that is zero but for its last digit cannot be compared.
    let mut value = 60.0;
    let step = |_| {
        value += random.pick(&[0.0, 0.0, 0.0, 1.0, -1.0]);
        value
    };
    (0..SCRAPES).map(step).collect()
}

fn flags(random: &mut Random) -> Vec<f64> {
    (0..SCRAPES).map(|_| if random.one_in(12) { 0.0 } else { 1.0 }).collect()
}

/// Buckets as they should be, and for some targets as they should not.
fn histogram(index: usize, target: &Target, random: &mut Random) -> Vec<Series> {
    let bounds: &[&str] = match index {
        2 => &["0.1", "0.5", "1", "2.5"],
        4 => &["+Inf"],
        6 => &["-1", "0", "1e+00", "10", "+Inf", "many"],
        _ => &["0.1", "0.5", "1", "2.5", "10", "+Inf"],
    };
    let columns: Vec<Vec<f64>> = bounds.iter().map(|_| counter(target, random, 9)).collect();
    let mut below = vec![0.0; SCRAPES];
    let mut all = Vec::new();
    for (bound, own) in bounds.iter().zip(columns) {
        // Target 7 reports buckets that are not cumulative.
        let values = if index == 7 {
            own
        } else {
            below.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
            below.clone()
        };
        all.push(target.series("d_bucket", &[("le", bound)], values));
    }
    all.push(target.series("d_count", &[], below.clone()));
    all.push(target.series("d_sum", &[], below.iter().map(|count| count * 1.5).collect()));
    all
}

/// A series for each version of what runs; the second begins where the first ends.
fn churned(index: usize, target: &Target, random: &mut Random) -> Vec<Series> {
    let change = 60 + random.below(120);
    let version = |name: &str, from: usize, to: usize| {
        let within = |number: &usize| (from..to).contains(number);
        let kept: Vec<usize> =
            (0..target.numbers.len()).filter(|place| within(&target.numbers[*place])).collect();
        let mut values = vec![1.0; kept.len()];
        // Half of the targets end their series in order.
        if to < SCRAPES && index.is_multiple_of(2) && !values.is_empty() {
            *values.last_mut().unwrap() = STALE_NAN;
        }
        let times: Vec<i64> = kept.iter().map(|place| target.times_ms[*place]).collect();
        let pairs = target.labels.iter().map(|(key, value)| (*key, value.as_str()));
        let pairs = pairs.chain([("version", name), ("__name__", "build_info")]);
        Series::new(Labels::from_pairs(pairs), Arc::new(times), values).unwrap()
    };
    vec![version("1.0", 0, change), version("1.1", change, SCRAPES)]
}
