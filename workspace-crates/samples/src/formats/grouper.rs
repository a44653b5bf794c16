use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::Labels;

/// A series that joined this many groups gets one of its own.
const GROUPS_PER_SERIES_MAX: u32 = 4;

/// The samples of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSamples {
    /// The series.
    pub labels: Labels,
    /// Time in milliseconds since the Unix epoch and value, in strictly increasing time.
    pub samples: Vec<(i64, f64)>,
}

/// Sorts series into groups whose times are the same, so that each group can be one target of a
/// [`Store`](crate::Store).
///
/// Series of one message are a group when they have samples at exactly the same times. A group that
/// comes again has the same number again. A sender may cut its messages anywhere, so that groups
/// change from message to message: a series that has been in four different groups is a group of
/// its own from then on, so that there are never more than a few groups for each series. Every
/// series that ever came is remembered, as in the store.
#[derive(Debug, Clone, Default)]
pub struct Grouper {
    groups: BTreeMap<Vec<Labels>, usize>,
    /// How many groups each series has joined.
    joined: BTreeMap<Labels, u32>,
}

/// Samples of series that share their times.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The group's number, counted from 0 in the order of first use.
    pub number: usize,
    /// Whether it comes for the first time: a new target begins.
    pub is_new: bool,
    /// The series, sorted.
    pub series: Vec<Labels>,
    /// Each time in milliseconds since the Unix epoch, increasing, with a value for each series.
    pub rows: Vec<(i64, Vec<f64>)>,
}

impl Grouper {
    /// A grouper that knows no groups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sorts the series of one message into groups. When a message has a series twice, the first is
    /// taken and the second is a group of its own.
    pub fn group(&mut self, series: Vec<SeriesSamples>) -> Vec<Group> {
        let mut by_times: BTreeMap<Vec<i64>, BTreeMap<Labels, Vec<f64>>> = BTreeMap::new();
        let mut alone = Vec::new();
        for one in series {
            let (times, values): (Vec<i64>, Vec<f64>) = one.samples.into_iter().unzip();
            let is_restless =
                self.joined.get(&one.labels).is_some_and(|groups| *groups >= GROUPS_PER_SERIES_MAX);
            if is_restless {
                alone.push((times, BTreeMap::from([(one.labels, values)])));
                continue;
            }
            match by_times.entry(times.clone()).or_default().entry(one.labels) {
                Entry::Vacant(place) => {
                    place.insert(values);
                }
                Entry::Occupied(twice) => {
                    alone.push((times, BTreeMap::from([(twice.key().clone(), values)])));
                }
            }
        }
        by_times
            .into_iter()
            .chain(alone)
            .map(|(times, columns)| self.number(times, columns))
            .collect()
    }

    fn number(&mut self, times: Vec<i64>, columns: BTreeMap<Labels, Vec<f64>>) -> Group {
        let (series, columns): (Vec<Labels>, Vec<Vec<f64>>) = columns.into_iter().unzip();
        let next = self.groups.len();
        let number = *self.groups.entry(series.clone()).or_insert(next);
        let is_new = number == next;
        if is_new {
            for labels in &series {
                *self.joined.entry(labels.clone()).or_default() += 1;
            }
        }
        let row = |(at, time)| (time, columns.iter().map(|column| column[at]).collect());
        Group { number, is_new, series, rows: times.into_iter().enumerate().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Grouper, SeriesSamples};
    use crate::{Labels, Matcher, SampleSource, Store};
    use proptest::prelude::*;

    fn series(name: &str, samples: &[(i64, f64)]) -> SeriesSamples {
        SeriesSamples { labels: Labels::metric(name, &[]), samples: samples.to_vec() }
    }

    #[test]
    fn series_with_the_same_times_are_a_group() {
        let mut grouper = Grouper::new();
        let message = || {
            vec![
                series("b", &[(10, 1.0), (20, 2.0)]),
                series("c", &[(10, 3.0)]),
                series("a", &[(10, 4.0), (20, 5.0)]),
            ]
        };
        let groups = grouper.group(message());
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[1].rows, [(10, vec![4.0, 1.0]), (20, vec![5.0, 2.0])]);
        assert!(groups.iter().all(|group| group.is_new));
        let again = grouper.group(message());
        assert!(again.iter().all(|group| !group.is_new));
        assert_eq!([again[0].number, again[1].number], [groups[0].number, groups[1].number]);
    }

    #[test]
    fn groups_do_not_multiply_however_messages_are_cut() {
        let mut grouper = Grouper::new();
        let mut targets = 0;
        for n in 0..200_u32 {
            let cut = (n * 7 % 13) as usize;
            let all: Vec<_> = (0..14)
                .map(|s| series(&format!("s{s:02}"), &[(i64::from(n), f64::from(n))]))
                .collect();
            for part in [&all[..cut], &all[cut..]] {
                targets += grouper.group(part.to_vec()).iter().filter(|g| g.is_new).count();
            }
        }
        assert!(targets <= 14 * 5, "{targets}");
    }

    proptest! {
        #[test]
        fn a_store_of_the_groups_has_every_sample(
            messages in prop::collection::vec(
                prop::collection::btree_map(0..6_u8, 1..4_i64, 0..6), 0..12)
        ) {
            let mut grouper = Grouper::new();
            let mut store = Store::new();
            let mut targets = Vec::new();
            let mut expected = std::collections::BTreeMap::<String, Vec<(i64, f64)>>::new();
            for (n, message) in messages.iter().enumerate() {
                let written: Vec<_> = message
                    .iter()
                    .map(|(name, count)| {
                        let times = (0..*count).map(|t| n as i64 * 10 + t + 1);
                        let samples: Vec<_> = times.map(|t| (t, t as f64 + f64::from(*name))).collect();
                        expected.entry(format!("s{name}")).or_default().extend(&samples);
                        series(&format!("s{name}"), &samples)
                    })
                    .collect();
                for group in grouper.group(written) {
                    if group.is_new {
                        prop_assert_eq!(group.number, targets.len());
                        targets.push(store.add_target(group.series.clone()));
                    }
                    for (t_ms, values) in &group.rows {
                        store.append(targets[group.number], *t_ms, values).unwrap();
                    }
                }
            }
            let found = store.select(&[Matcher::not_equal("__name__", "")], -1, 1_000).unwrap();
            let read: std::collections::BTreeMap<String, Vec<(i64, f64)>> = found
                .iter()
                .map(|s| {
                    let samples = s.times_ms().iter().copied().zip(s.values().iter().copied());
                    (s.labels().metric_name().to_owned(), samples.collect())
                })
                .collect();
            prop_assert_eq!(read, expected);
        }
    }
}
