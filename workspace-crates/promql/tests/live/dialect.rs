//! Where this crate, which has the language of Prometheus 3, differs from Prometheus 2.42 on purpose.

use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

use samples::{Labels, Series};

use crate::compare::{ours, same};
use crate::data::START_MS;
use crate::server::{Points, Server, When};

/// What one of the two answers at an instant.
#[derive(Debug)]
pub enum Answer {
    /// An error.
    Refuses,
    /// The values, in the order of their labels.
    Gives(&'static [f64]),
}

use Answer::{Gives, Refuses};

/// A difference, with a query that shows it.
pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    /// When it is asked for the first and for the last time, in seconds after the samples begin; in
    /// between every minute.
    pub at: (i64, i64),
    pub query: &'static str,
    pub ours: Answer,
    pub theirs: Answer,
}

pub const DIFFERENCES: [Difference; 19] = [
    Difference {
        name: "window-edge",
        reason: "Since 3.0 a window does not hold the sample on its left edge.",
        at: (600, 600),
        query: "count_over_time(edge[5m])",
        ours: Gives(&[5.0]),
        theirs: Gives(&[6.0]),
    },
    Difference {
        name: "subquery-edge",
        reason: "Since 3.0 a subquery has no point on its left edge.",
        at: (620, 620),
        query: "count_over_time(edge[5m:1m])",
        ours: Gives(&[5.0]),
        theirs: Gives(&[6.0]),
    },
    Difference {
        name: "look-back-edge",
        reason: "Since 3.0 a sample exactly five minutes old is too old.",
        at: (900, 900),
        query: "edge",
        ours: Gives(&[]),
        theirs: Gives(&[10.0]),
    },
    Difference {
        name: "young-counter",
        reason: "A window that begins well before a counter's first sample: 2.42 goes on to where \
                 the counter would be zero if that is nearer than 1.1 intervals, 3 at most half an \
                 interval.",
        at: (151, 151),
        query: "increase(young[100s])",
        ours: Gives(&[55.5]),
        theirs: Gives(&[60.5]),
    },
    Difference {
        name: "late-name",
        reason: "This crate drops metric names when a query is done, as Prometheus 3 does with \
                 `promql-delayed-name-removal`: series that differ in nothing else may meet before.",
        at: (600, 600),
        query: "sum(rate({__name__=~\"a_total|b_total\"}[5m1s]))",
        ours: Gives(&[2.0]),
        theirs: Refuses,
    },
    Difference {
        name: "deviation-of-infinity",
        reason: "The deviation of one infinite element is not a number since 3; before, it was 0.",
        at: (600, 600),
        query: "stddev(infinite)",
        ours: Gives(&[f64::NAN]),
        theirs: Gives(&[0.0]),
    },
    Difference {
        name: "newer-function",
        reason: "2.42 does not have it.",
        at: (600, 600),
        query: "first_over_time(edge[301s])",
        ours: Gives(&[5.0]),
        theirs: Refuses,
    },
    Difference {
        name: "newer-aggregation",
        reason: "2.42 does not have it.",
        at: (600, 600),
        query: "limitk(1, edge)",
        ours: Gives(&[10.0]),
        theirs: Refuses,
    },
    Difference {
        name: "renamed-function",
        reason: "Since 3.0 it is called double_exponential_smoothing.",
        at: (600, 600),
        query: "holt_winters(edge[301s], 0.5, 0.5)",
        ours: Refuses,
        theirs: Gives(&[10.0]),
    },
    Difference {
        name: "fraction-of-buckets",
        reason: "2.42 takes native histograms only, and ignores everything else.",
        at: (600, 600),
        query: "histogram_fraction(0, 1, wide_bucket)",
        ours: Gives(&[0.5]),
        theirs: Gives(&[]),
    },
    Difference {
        name: "rounded-buckets",
        reason: "Newer releases take buckets that differ in the last digits only, as sums of rates \
                 do, for equal; 2.42 takes the larger bound.",
        at: (600, 600),
        query: "histogram_quantile(1, label_replace(vector(1), \"le\", \"1\", \"\", \"\") \
                or label_replace(vector(1.0000000000000002), \"le\", \"2\", \"\", \"\") \
                or label_replace(vector(1.0000000000000002), \"le\", \"+Inf\", \"\", \"\"))",
        ours: Gives(&[1.0]),
        theirs: Gives(&[2.0]),
    },
    Difference {
        name: "quoted-name",
        reason: "Since 3.0 names may have any characters, and are then quoted.",
        at: (600, 600),
        query: "{\"edge\"}",
        ours: Gives(&[10.0]),
        theirs: Refuses,
    },
    Difference {
        name: "dot-and-line-feed",
        reason: "Since 3.0 the dot of a regular expression also stands for a line feed.",
        at: (600, 600),
        query: "lines{text=~\"a.b\"}",
        ours: Gives(&[1.0]),
        theirs: Gives(&[]),
    },
    Difference {
        name: "unstated-step",
        reason: "A server takes it from its configuration, which a gate must not depend on.",
        at: (600, 600),
        query: "max_over_time(edge[5m:])",
        ours: Refuses,
        theirs: Gives(&[9.0]),
    },
    Difference {
        name: "name-of-atan2",
        reason: "2.42 does not drop the metric name.",
        at: (600, 600),
        query: "{__name__=~\"a_total|b_total\"} atan2 0",
        ours: Refuses,
        theirs: Gives(&[FRAC_PI_2, FRAC_PI_2]),
    },
    Difference {
        name: "free-label-name",
        reason: "Since 3.0 a label may have any name.",
        at: (600, 600),
        query: "label_replace(edge, \"~any\", \"x\", \"\", \"\")",
        ours: Gives(&[10.0]),
        theirs: Refuses,
    },
    Difference {
        name: "date-of-no-number",
        reason: "The Go language does not say which date it is: here it is none.",
        at: (600, 600),
        query: "year(edge * NaN)",
        ours: Gives(&[f64::NAN]),
        theirs: Gives(&[292277022657.0]),
    },
    Difference {
        name: "timestamp-at-with-offset",
        reason: "2.42 reads a selector that also has `@` at its offset, and then forgets the offset.",
        at: (600, 600),
        query: "timestamp(edge @ end() offset 6m)",
        ours: Gives(&[1_600_000_240.0]),
        theirs: Gives(&[]),
    },
    Difference {
        name: "predict-linear-at",
        reason: "2.42 moves the window of `@` along with the steps of the range.",
        at: (600, 660),
        query: "predict_linear(edge[100s] @ 1600000130, 0)",
        ours: Gives(&[10.0, 11.0]),
        theirs: Gives(&[10.0]),
    },
];

pub fn is_listed(name: &str) -> bool {
    DIFFERENCES.iter().any(|difference| difference.name == name)
}

/// The same query in the words of Prometheus 2.
pub fn spelled_for_prometheus_2(query: &str) -> String {
    query.replace("double_exponential_smoothing(", "holt_winters(")
}

/// Series with samples on whole seconds, where edges show.
pub fn series() -> Vec<Series> {
    let one = |labels: Labels, samples: Vec<(i64, f64)>| {
        let samples = samples.into_iter().map(|(t_ms, value)| (START_MS + t_ms, value));
        let (times, values): (Vec<i64>, Vec<f64>) = samples.unzip();
        Series::new(labels, Arc::new(times), values).unwrap()
    };
    let by_minute = |slope: f64| (0..=10).map(|n| (n * 60_000, n as f64 * slope)).collect();
    let latest = |value| vec![(599_500, value)];
    let metric = |name| Labels::metric(name, &[]);
    let bucket = |le| Labels::metric("wide_bucket", &[("le", le)]);
    vec![
        one(metric("edge"), by_minute(1.0)),
        one(metric("a_total"), by_minute(60.0)),
        one(metric("b_total"), by_minute(60.0)),
        one(metric("young"), (1..7).map(|n| (90_500 + n * 10_000, n as f64 * 10.0)).collect()),
        one(metric("infinite"), latest(f64::INFINITY)),
        one(bucket("1"), latest(5.0)),
        one(bucket("+Inf"), latest(10.0)),
        one(Labels::metric("lines", &[("text", "a\nb")]), latest(1.0)),
    ]
}

impl Difference {
    /// Whether both answer as stated, and not the same.
    pub fn check(&self, server: &Server, source: &Vec<Series>) -> Result<(), String> {
        let (start, end) = (START_MS / 1_000 + self.at.0, START_MS / 1_000 + self.at.1);
        let when = When::Range { start, end, step: 60 };
        let found = [ours(self.query, source, when), server.ask(self.query, when)];
        let stated = [&self.ours, &self.theirs];
        let brief = found.each_ref().map(|answer| answer.as_ref().ok().map(values));
        let as_stated = brief.iter().zip(stated).all(|(found, stated)| match (found, stated) {
            (None, Refuses) => true,
            (Some(found), Gives(stated)) => equal(found, stated),
            _ => false,
        });
        let [ours, theirs] = &brief;
        let agree = match (ours, theirs) {
            (Some(ours), Some(theirs)) => equal(ours, theirs),
            _ => ours.is_none() && theirs.is_none(),
        };
        if as_stated && !agree {
            return Ok(());
        }
        Err(format!("{} ({}): `{}` gives {found:?}", self.name, self.reason, self.query))
    }
}

fn values(points: &Points) -> Vec<f64> {
    points.values().flat_map(|points| points.values().copied()).collect()
}

fn equal(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(*a, *b))
}
