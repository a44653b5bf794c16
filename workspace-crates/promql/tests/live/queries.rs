//! Queries from a seed, over the metrics of `data.rs`.
//!
//! They are built so that both evaluators must agree: what differs on purpose is in `dialect.rs`
//! and never generated. Evaluation times are 7 seconds after a multiple of 10; ranges, offsets and
//! steps are multiples of 10 seconds, so no point of a subquery lies on the edge of a window. In a
//! subquery, where times are multiples of 10, ranges are 3 seconds longer instead.

use crate::data::{LENGTH_MS, Random, START_MS};
use crate::server::When;

/// An instant vector, and what may be done with it.
#[derive(Clone)]
struct Vector {
    text: String,
    /// Whether all digits are the same in both evaluators. Steps such as `floor` turn the last
    /// digit into another whole number, and so are only taken of these.
    exact: bool,
    /// Whether `instance`, `job` and `zone` identify its elements.
    by_target: bool,
}

pub struct Generator {
    random: Random,
    subqueries: usize,
}

const JOIN: [&str; 5] = ["+", "-", "*", "/", "^"];
const COMPARE: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const DURATIONS: [i64; 8] = [20, 30, 60, 90, 130, 300, 600, 1_800];

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), subqueries: 0 }
    }

    /// A query, and when to ask it.
    pub fn case(&mut self) -> (String, When) {
        self.subqueries = 0;
        let depth = 1 + self.random.below(3);
        let query = if self.random.one_in(12) {
            format!("{} {} {}", self.scalar(1), self.random.pick(&JOIN), self.scalar(1))
        } else {
            self.vector(depth).text
        };
        (query, self.when())
    }

    fn when(&mut self) -> When {
        let length = LENGTH_MS / 1_000;
        let base = START_MS / 1_000 + 7;
        let at = base + 10 * self.random.below((length as usize + 600) / 10) as i64;
        if self.random.one_in(3) {
            return When::Instant(at);
        }
        let step = self.random.pick(&[10, 30, 60, 90, 300]);
        let count = self.random.below(40) as i64;
        When::Range { start: at, end: at + step * count, step }
    }

    fn duration(&mut self) -> String {
        let inside = if self.subqueries > 0 { 3 } else { 0 };
        format!("{}s", self.random.pick(&DURATIONS) + inside)
    }

    fn shift(&mut self) -> String {
        let at = match self.random.below(24) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => format!(" @ {}", START_MS / 1_000 + 7 + 10 * self.random.below(360) as i64),
            _ => String::new(),
        };
        let offset = match self.random.below(10) {
            0 => format!(" offset {}s", 10 * (1 + self.random.below(60))),
            1 => format!(" offset -{}s", 10 * (1 + self.random.below(20))),
            _ => String::new(),
        };
        at + &offset
    }

    fn matchers(&mut self) -> &'static str {
        self.random.pick(&[
            "",
            "",
            "",
            "",
            "{job=\"api\"}",
            "{job!=\"api\"}",
            "{instance=~\"n[0-3]\"}",
            "{instance!~\"n[0-3]\",zone=\"a\"}",
            "{zone=~\"a|b\"}",
            "{missing=\"\"}",
            "{missing=\"x\"}",
            "{job=~\".+\",job!=\"worker\"}",
        ])
    }

    fn selector(&mut self, metrics: &[&'static str]) -> String {
        let (metric, matchers) = (self.random.pick(metrics), self.matchers());
        format!("{metric}{matchers}")
    }

    /// A selector of one series for each target.
    fn plain(&mut self) -> Vector {
        let metrics = ["c_total", "errors_total", "g", "f", "i", "up", "d_count", "d_sum"];
        let text = self.selector(&metrics) + &self.shift();
        Vector { text, exact: true, by_target: true }
    }

    fn vector(&mut self, depth: usize) -> Vector {
        if depth == 0 {
            return self.plain();
        }
        let depth = depth - 1;
        match self.random.below(20) {
            0..=3 => self.over_time(depth),
            4..=5 => self.growth(),
            6..=9 => self.aggregation(depth),
            10..=11 => self.with_scalar(depth),
            12..=14 => self.matched(depth),
            15 => self.set_operator(depth),
            16..=17 => self.function(depth),
            18 => self.of_histogram(),
            _ => self.labelled(depth),
        }
    }

    /// A range vector whose samples have all their digits.
    fn window(&mut self, depth: usize, metrics: &[&'static str]) -> String {
        if depth > 0 && self.subqueries < 2 && self.random.one_in(3) {
            let range = self.duration();
            self.subqueries += 1;
            let mut inner = self.vector(depth - 1);
            if !inner.exact || !inner.by_target {
                inner = self.plain();
            }
            self.subqueries -= 1;
            let step = self.random.pick(&[10, 20, 30, 60]);
            return format!("({})[{range}:{step}s]{}", inner.text, self.shift());
        }
        let (selector, range) = (self.selector(metrics), self.duration());
        format!("{selector}[{range}]{}", self.shift())
    }

    fn over_time(&mut self, depth: usize) -> Vector {
        let exact = [
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "last_over_time",
            "present_over_time",
            "changes",
            "resets",
        ];
        let rounded = [
            "avg_over_time",
            "sum_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "idelta",
            "irate",
            "deriv",
        ];
        let metrics = ["c_total", "g", "f", "i", "up", "build_info", "nothing"];
        let is_exact = self.random.one_in(2);
        let name = if is_exact { self.random.pick(&exact) } else { self.random.pick(&rounded) };
        let window = self.window(depth, &metrics);
        let by_target = !window.contains("build_info");
        let text = match self.random.below(12) {
            0 => format!("quantile_over_time({}, {window})", self.quantile()),
            1 if !window.contains('@') => {
                format!("predict_linear({window}, {})", self.random.pick(&[60, 600, -300]))
            }
            2 => format!("absent_over_time({window})"),
            3 => {
                let factors = [0.1, 0.5, 0.9];
                let (smoothing, trend) = (self.random.pick(&factors), self.random.pick(&factors));
                format!("double_exponential_smoothing({window}, {smoothing}, {trend})")
            }
            _ => return Vector { text: format!("{name}({window})"), exact: is_exact, by_target },
        };
        let by_target = by_target && !text.starts_with("absent");
        Vector { text, exact: false, by_target }
    }

    /// Only of counters: see the head of `data.rs`.
    fn growth(&mut self) -> Vector {
        let name = self.random.pick(&["rate", "increase", "delta"]);
        let metric = self.selector(&["c_total", "errors_total", "d_count"]);
        let range = self.duration();
        let text = format!("{name}({metric}[{range}]{})", self.shift());
        Vector { text, exact: false, by_target: true }
    }

    fn quantile(&mut self) -> f64 {
        self.random.pick(&[-0.5, 0.0, 0.1, 0.5, 0.9, 0.99, 1.0, 1.5])
    }

    fn grouping(&mut self) -> &'static str {
        self.random.pick(&[
            "",
            "by(job)",
            "by(job, zone)",
            "by(zone, missing)",
            "by()",
            "without(instance)",
            "without(instance, version)",
            "without()",
        ])
    }

    fn aggregation(&mut self, depth: usize) -> Vector {
        let inner = self.vector(depth);
        let grouping = self.grouping();
        let (exact, text) = match self.random.below(9) {
            0 => (false, format!("quantile {grouping}({}, {})", self.quantile(), inner.text)),
            1 => {
                // Elements with the same value have no order: only these differ everywhere.
                let (name, count) =
                    (self.random.pick(&["topk", "bottomk"]), self.random.pick(&[0, 1, 2, 5]));
                let of = self.selector(&["f"]);
                (true, format!("{name} {grouping}({count}, {of})"))
            }
            2 => {
                let of = self.selector(&["i", "up", "build_info", "c_total"]);
                (true, format!("count_values {grouping}(\"value\", {of})"))
            }
            3..=5 => {
                let name = self.random.pick(&["min", "max", "count", "group"]);
                (inner.exact, format!("{name} {grouping}({})", inner.text))
            }
            6..=7 => {
                let name = self.random.pick(&["sum", "avg"]);
                (false, format!("{name} {grouping}({})", inner.text))
            }
            _ => {
                let name = self.random.pick(&["stddev", "stdvar"]);
                let of = self.selector(&["f", "i", "up", "c_total"]);
                (false, format!("{name} {grouping}({of})"))
            }
        };
        Vector { text, exact, by_target: false }
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(8) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 if depth > 0 => format!("scalar(max({}))", self.plain().text),
            3 => self.random.pick(&["NaN", "Inf", "-Inf", "0", "-0"]).to_owned(),
            4 if depth > 0 => format!("({} {} 2)", self.scalar(0), self.random.pick(&JOIN)),
            _ => self.random.pick(&["1", "2", "0.5", "-3", "10", "1e3", "0x1f"]).to_owned(),
        }
    }

    fn with_scalar(&mut self, depth: usize) -> Vector {
        let (mut inner, scalar) = (self.vector(depth), self.scalar(1));
        if self.random.one_in(2) {
            inner = if inner.exact { inner } else { self.plain() };
            let operator = self.random.pick(&COMPARE);
            let bool = self.random.pick(&["", "bool "]);
            let text = if self.random.one_in(3) {
                format!("({scalar}) {operator} {bool}({})", inner.text)
            } else {
                format!("({}) {operator} {bool}({scalar})", inner.text)
            };
            return Vector { text, ..inner };
        }
        let operator = self.random.pick(&JOIN);
        let text = match self.random.below(6) {
            0 => format!("({scalar}) {operator} ({})", inner.text),
            1 => format!("-({})", inner.text),
            2 if inner.exact => format!("({}) % ({scalar})", inner.text),
            _ => format!("({}) {operator} ({scalar})", inner.text),
        };
        Vector { text, exact: false, by_target: inner.by_target }
    }

    fn targets(&mut self, depth: usize) -> Vector {
        let vector = self.vector(depth);
        if vector.by_target { vector } else { self.plain() }
    }

    fn matched(&mut self, depth: usize) -> Vector {
        let (left, right) = (self.targets(depth), self.targets(depth));
        let operator = self.random.pick(&JOIN);
        match self.random.below(8) {
            0 => {
                let (left, right) = (self.plain(), self.plain());
                let operator = self.random.pick(&COMPARE);
                let bool = self.random.pick(&["", "bool "]);
                let text = format!("({}) {operator} {bool}({})", left.text, right.text);
                Vector { text, exact: true, by_target: true }
            }
            1 => {
                let text =
                    format!("({}) {operator} on(instance, job, zone) ({})", left.text, right.text);
                Vector { text, exact: false, by_target: true }
            }
            2 => {
                let text = format!(
                    "({}) {operator} on(job) group_left() sum by(job) ({})",
                    left.text, right.text
                );
                Vector { text, exact: false, by_target: true }
            }
            3 => {
                let text = format!(
                    "max by(zone) ({}) {operator} on(zone) group_right(job) ({})",
                    left.text, right.text
                );
                Vector { text, exact: false, by_target: true }
            }
            4 => {
                let text = format!(
                    "({}) * on(instance) group_left(version) build_info{}",
                    left.text,
                    self.shift()
                );
                Vector { text, exact: false, by_target: false }
            }
            5 => {
                let text = format!(
                    "sum without(zone) ({}) {operator} ignoring(zone) ({})",
                    left.text, right.text
                );
                Vector { text, exact: false, by_target: false }
            }
            // Often ambiguous: then both must refuse.
            6 => {
                let text = format!("({}) {operator} on(zone) ({})", left.text, right.text);
                Vector { text, exact: false, by_target: false }
            }
            _ => {
                let text = format!("({}) {operator} ({})", left.text, right.text);
                Vector { text, exact: false, by_target: true }
            }
        }
    }

    fn set_operator(&mut self, depth: usize) -> Vector {
        let (left, right) = (self.targets(depth), self.targets(depth));
        let operator = self.random.pick(&["and", "unless", "and on(job)", "unless on(zone)"]);
        let exact = left.exact && right.exact;
        if self.random.one_in(4) {
            // Names stay, and may be two for a target.
            let text = format!("({}) or ({})", left.text, right.text);
            return Vector { text, exact, by_target: false };
        }
        let text = format!("({}) {operator} ({})", left.text, right.text);
        Vector { text, exact: left.exact, by_target: true }
    }

    fn function(&mut self, depth: usize) -> Vector {
        let mut inner = self.vector(depth);
        let rounding = ["ceil", "floor", "round", "sgn"];
        let dates = ["minute", "hour", "day_of_week", "month"];
        let smooth = ["abs", "exp", "ln", "log2", "log10", "sqrt", "deg", "rad", "atan", "asinh"];
        if self.random.one_in(3) {
            inner = if inner.exact { inner } else { self.plain() };
            return Vector {
                text: format!("{}({})", self.random.pick(&rounding), inner.text),
                ..inner
            };
        }
        let text = match self.random.below(9) {
            0 => format!("clamp({}, -2, 20)", inner.text),
            1 => format!("clamp_min({}, 1)", inner.text),
            2 => format!("clamp_max({}, {})", inner.text, self.scalar(0)),
            3 => format!("sort_desc({})", inner.text),
            4 => format!("absent({})", self.selector(&["nothing", "f", "up"])),
            5 => {
                let of = self.selector(&["f", "i", "up"]);
                format!("timestamp({of}{})", self.random.pick(&["", " offset 50s", " @ end()"]))
            }
            8 => format!("{}({})", self.random.pick(&dates), self.selector(&["c_total"])),
            6 => format!("vector({})", self.scalar(1)),
            _ => format!("{}({})", self.random.pick(&smooth), inner.text),
        };
        let by_target = inner.by_target && !text.starts_with("absent") && !text.starts_with("vec");
        Vector { text, exact: false, by_target }
    }

    fn of_histogram(&mut self) -> Vector {
        let (matchers, range) = (self.matchers(), self.duration());
        // Not 1: see `rounded-buckets`.
        let quantile = self.random.pick(&[-0.5, 0.0, 0.1, 0.5, 0.9, 0.99, 1.5]);
        let rate = format!("rate(d_bucket{matchers}[{range}])");
        let text = match self.random.below(4) {
            0 => format!("histogram_quantile({quantile}, d_bucket{matchers})"),
            1 => format!("histogram_quantile({quantile}, sum by(le) ({rate}))"),
            2 => format!("histogram_quantile({quantile}, sum by(job, le) ({rate}))"),
            _ => format!("histogram_quantile({quantile}, {rate})"),
        };
        Vector { text, exact: false, by_target: false }
    }

    fn labelled(&mut self, depth: usize) -> Vector {
        let inner = self.vector(depth);
        let text = match self.random.below(4) {
            0 => {
                format!("label_join({}, \"both\", \"-\", \"job\", \"zone\", \"none\")", inner.text)
            }
            1 => format!("label_replace({}, \"n\", \"$1\", \"instance\", \"n(.*)\")", inner.text),
            2 => format!("label_replace({}, \"n\", \"${{1}}x\", \"zone\", \"(a|b)\")", inner.text),
            _ => format!("label_replace({}, \"zone\", \"\", \"job\", \"api\")", inner.text),
        };
        Vector { text, exact: inner.exact, by_target: false }
    }
}
