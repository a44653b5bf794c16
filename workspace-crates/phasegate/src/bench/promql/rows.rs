//! The queries that are measured.

/// A row of the table.
pub struct Row {
    /// What the row is called.
    pub name: &'static str,
    /// What is asked at the end of the data set.
    pub question: Question,
    /// The goal for the first run in a fresh process, in milliseconds.
    pub goal_ms: f64,
    /// Why the answers of Prometheus 2.42 and of VictoriaMetrics may be others than ours.
    pub dialects: [Dialect; 2],
}

/// What a row asks.
pub enum Question {
    /// One query whose result is one number.
    Value(&'static str),
    /// Conditions at every scrape interval: for how many seconds do they hold together, at most?
    LongestRun([&'static str; 3]),
}

/// What is known to differ between a server's language and ours.
#[derive(Debug, Clone, Copy)]
pub enum Dialect {
    /// Nothing: the answer must be the same within a millionth.
    Same,
    /// The answer may be as far from ours, relatively, for a reason.
    Within(f64, &'static str),
    /// The answer is larger than ours by one for each series.
    CountsBirths,
}

use Dialect::{CountsBirths, Same, Within};

/// How 2.42 differs where counters restart after a gap.
const YOUNG: Dialect =
    Within(1e-4, "2.42 extrapolates a counter that begins in the window further");
/// How VictoriaMetrics differs for every rate.
const INSIDE: Dialect =
    Within(0.02, "its rate() takes the sample before the window instead of extrapolating");

/// All rows. Steps are stated, since each server has its own default.
pub const ROWS: [Row; 8] = [
    Row {
        name: "mean rate of transactions",
        question: Question::Value("avg_over_time(sum(rate(tx[5m]))[90h:1m])"),
        goal_ms: 50.0,
        dialects: [YOUNG, INSIDE],
    },
    Row {
        name: "fewest nodes up",
        question: Question::Value("min_over_time(count(up==1)[90h:1m])"),
        goal_ms: 30.0,
        dialects: [Same, Same],
    },
    Row {
        name: "p99 over 90 hours",
        question: Question::Value("histogram_quantile(.99, sum by(le)(rate(b[90h])))"),
        goal_ms: 200.0,
        dialects: [YOUNG, INSIDE],
    },
    Row {
        name: "largest lag",
        question: Question::Value("max(max_over_time(lag[90h]))"),
        goal_ms: 30.0,
        dialects: [Same, Same],
    },
    Row {
        name: "restarts",
        question: Question::Value("sum(changes(start_time[90h]))"),
        goal_ms: 25.0,
        dialects: [Same, CountsBirths],
    },
    Row {
        name: "p99 of the largest lag",
        question: Question::Value("quantile_over_time(.99, max(lag)[90h:15s])"),
        goal_ms: 50.0,
        dialects: [Same, Same],
    },
    Row {
        name: "mean p99, each minute",
        question: Question::Value(
            "avg_over_time(histogram_quantile(.99, sum by(le)(rate(b[5m])))[90h:1m])",
        ),
        goal_ms: 350.0,
        dialects: [YOUNG, INSIDE],
    },
    Row {
        name: "three conditions, longest run",
        question: Question::LongestRun([
            "avg(up) >= bool 0.985",
            "max(lag) <= bool 25",
            "sum(rate(tx[5m])) / count(tx) > bool 1.97",
        ]),
        goal_ms: 150.0,
        dialects: [
            Within(0.02, "2.42 extrapolates a counter that begins in the window further"),
            Within(0.25, "its rate() crosses thresholds at other times"),
        ],
    },
];

/// The longest run of steps in which all conditions are 1, in seconds. A step that a condition does
/// not have ends a run.
pub fn longest_run_seconds(conditions: &[Vec<(i64, f64)>], step_ms: i64) -> f64 {
    let mut held = std::collections::BTreeMap::<i64, usize>::new();
    for (t_ms, value) in conditions.iter().flatten() {
        *held.entry(*t_ms).or_default() += usize::from(*value == 1.0);
    }
    let (mut run, mut longest, mut before_ms) = (0_i64, 0, i64::MIN);
    for (t_ms, count) in held {
        let continues = t_ms.saturating_sub(step_ms) <= before_ms;
        run = match (count == conditions.len(), continues) {
            (false, _) => 0,
            (true, true) => run + 1,
            (true, false) => 1,
        };
        longest = longest.max(run);
        before_ms = t_ms;
    }
    (longest * step_ms) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::longest_run_seconds;

    #[test]
    fn a_run_ends_where_a_condition_fails_or_is_missing() {
        let held = |values: &[f64]| -> Vec<(i64, f64)> {
            (0..).step_by(10).zip(values.iter().copied()).collect()
        };
        let all = held(&[1.0; 9]);
        let fails = held(&[1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        let mut missing = all.clone();
        missing.remove(6);
        assert_eq!(longest_run_seconds(&[all.clone(), fails.clone()], 10), 0.06);
        assert_eq!(longest_run_seconds(&[all.clone(), fails, missing.clone()], 10), 0.03);
        assert_eq!(longest_run_seconds(&[missing], 10), 0.06);
        assert_eq!(longest_run_seconds(&[all], 10), 0.09);
    }
}
