//! Queries that are well formed: bytes choose among the parts of the language.

use super::querying::evaluate;
use crate::Target;

/// Bytes that stand for a random tree.
pub const TARGET: Target =
    Target { name: "query_tree", run, seeds, repair: crate::no_repair, words: &[] };

/// Deepest tree; deeper ones end in leaves.
const DEPTH_MAX: u32 = 7;

/// The first byte is the step of the range, the others choose.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Some((step, choices)) = bytes.split_first() else { return false };
    evaluate(&text(choices), *step)
}

/// The query that these choices stand for.
#[must_use]
pub fn text(choices: &[u8]) -> String {
    Choices(choices).vector(0)
}

fn seeds() -> Vec<Vec<u8>> {
    (0..40_u8)
        .map(|n| (0..60_u8).map(|m| m.wrapping_mul(2 * n + 1).wrapping_add(n)).collect())
        .collect()
}

struct Choices<'a>(&'a [u8]);

const SELECTORS: &[&str] = &[
    "a",
    "b",
    "c_total",
    "h_bucket",
    "none",
    "a{x=\"1\"}",
    "{x=~\"1|2\"}",
    "b{x!=\"1\"}",
    "{__name__=~\".+\"}",
    "h_bucket{x!~\"2.*\"}",
    "a{y=\"\"}",
];
const SHIFTS: &[&str] =
    &["", "", "", "", " offset 20s", " offset -20s", " @ 100", " @ start()", " @ end() offset 1m"];
const LENGTHS: &[&str] = &["1s", "10s", "15s", "1m", "90s", "5m", "1h", "1d"];
const STEPS: &[&str] = &["1s", "7s", "15s", "1m"];
const NUMBERS: &[&str] =
    &["0", "1", "-1", "0.5", "2", "1e300", "-1e-300", "NaN", "Inf", "-Inf", "0x10", "100"];
const OVER_RANGE: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "absent_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "ts_of_min_over_time",
    "ts_of_max_over_time",
    "ts_of_last_over_time",
    "ts_of_first_over_time",
];
const OVER_VECTOR: &[&str] = &[
    "abs",
    "absent",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg",
    "exp",
    "floor",
    "ln",
    "log10",
    "log2",
    "rad",
    "sgn",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "timestamp",
    "sort",
    "sort_desc",
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
    "round",
    "-",
];
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const RANKED: &[&str] = &["topk", "bottomk", "quantile", "limitk", "limit_ratio"];
const GROUPINGS: &[&str] =
    &["", "", " by (x)", " without (x)", " by ()", " by (y, le)", " without (le)"];
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool",
    "<= bool",
];
const SETS: &[&str] = &["and", "or", "unless"];
const MATCHINGS: &[&str] = &[
    "",
    "",
    " on (x)",
    " ignoring (y)",
    " on ()",
    " ignoring (le, y)",
    " on (x) group_left ()",
    " on (x) group_left (y)",
    " ignoring (x) group_right ()",
    " on () group_right (x)",
];

impl Choices<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn pick(&mut self, items: &[&'static str]) -> &'static str {
        let at = self.next() % items.len().max(1);
        items.get(at).copied().unwrap_or_default()
    }

    fn selector(&mut self) -> String {
        format!("{}{}", self.pick(SELECTORS), self.pick(SHIFTS))
    }

    fn range(&mut self, depth: u32) -> String {
        if depth < DEPTH_MAX && self.next().is_multiple_of(3) {
            let inner = self.vector(depth + 1);
            let (length, step) = (self.pick(LENGTHS), self.pick(STEPS));
            return format!("({inner})[{length}:{step}]{}", self.pick(SHIFTS));
        }
        let (selector, length) = (self.pick(SELECTORS), self.pick(LENGTHS));
        format!("{selector}[{length}]{}", self.pick(SHIFTS))
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.next() % 6 {
            0 if depth < DEPTH_MAX => format!("scalar({})", self.vector(depth + 1)),
            1 if depth < DEPTH_MAX => {
                let (a, b) = (self.scalar(depth + 1), self.scalar(depth + 1));
                format!("({a} {} {b})", self.pick(&["+", "-", "*", "/", "%", "^", "> bool"]))
            }
            2 => "time()".to_owned(),
            3 => "pi()".to_owned(),
            _ => self.pick(NUMBERS).to_owned(),
        }
    }

    fn vector(&mut self, depth: u32) -> String {
        let deep = depth + 1;
        // A stream that has run out ends in selectors.
        if depth >= DEPTH_MAX || self.0.is_empty() {
            return self.selector();
        }
        match self.next() % 16 {
            0 => self.selector(),
            1 => format!("vector({})", self.scalar(deep)),
            2..=4 => format!("{}({})", self.pick(OVER_RANGE), self.range(deep)),
            5 => self.range_with_number(deep),
            6 | 7 => format!("{}({})", self.pick(OVER_VECTOR), self.vector(deep)),
            8 => self.function_with_number(deep),
            9 | 10 => {
                let (name, by) = (self.pick(AGGREGATIONS), self.pick(GROUPINGS));
                format!("{name}{by} ({})", self.vector(deep))
            }
            11 => {
                let (name, by) = (self.pick(RANKED), self.pick(GROUPINGS));
                format!("{name}{by} ({}, {})", self.scalar(deep), self.vector(deep))
            }
            12 => {
                let (left, right) = (self.vector(deep), self.vector(deep));
                let (operator, matching) = (self.pick(OPERATORS), self.pick(MATCHINGS));
                format!("({left}) {operator}{matching} ({right})")
            }
            13 => {
                let (left, right) = (self.vector(deep), self.vector(deep));
                let matching = self.pick(&["", "", " on (x)", " ignoring (y)", " on ()"]);
                format!("({left}) {}{matching} ({right})", self.pick(SETS))
            }
            14 => {
                let (vector, number) = (self.vector(deep), self.scalar(deep));
                let operator = self.pick(OPERATORS);
                if self.next().is_multiple_of(2) {
                    format!("({vector}) {operator} {number}")
                } else {
                    format!("{number} {operator} ({vector})")
                }
            }
            _ => self.label_function(deep),
        }
    }

    fn range_with_number(&mut self, depth: u32) -> String {
        let (number, range) = (self.scalar(depth), self.range(depth));
        match self.next() % 3 {
            0 => format!("quantile_over_time({number}, {range})"),
            1 => format!("predict_linear({range}, {number})"),
            _ => format!("double_exponential_smoothing({range}, 0.3, {number})"),
        }
    }

    fn function_with_number(&mut self, depth: u32) -> String {
        let (number, vector) = (self.scalar(depth), self.vector(depth));
        match self.next() % 5 {
            0 => format!("clamp({vector}, {number}, {})", self.scalar(depth)),
            1 => format!("clamp_min({vector}, {number})"),
            2 => format!("round({vector}, {number})"),
            _ => format!("histogram_quantile({number}, {vector})"),
        }
    }

    fn label_function(&mut self, depth: u32) -> String {
        let vector = self.vector(depth);
        let grouping = self.pick(GROUPINGS);
        match self.next() % 5 {
            0 => format!("count_values{grouping} (\"v\", {vector})"),
            1 => format!("label_replace({vector}, \"y\", \"$1-${{2}}\", \"x\", \"(.)(.*)\")"),
            2 => format!("label_replace({vector}, \"__name__\", \"m\", \"x\", \".*\")"),
            3 => format!("label_join({vector}, \"y\", \"-\", \"x\", \"le\")"),
            _ => format!("sort_by_label({vector}, \"x\", \"le\")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{run, seeds, text};

    #[test]
    fn most_trees_are_queries_with_a_result() {
        let accepted = seeds().iter().filter(|seed| run(seed)).count();
        assert!(accepted * 3 > seeds().len(), "{accepted} of {}", seeds().len());
    }

    #[test]
    fn no_choices_are_a_selector() {
        assert_eq!(text(&[]), "a");
    }
}
