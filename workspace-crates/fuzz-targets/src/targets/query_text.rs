//! Queries as text.

use super::querying::evaluate;
use crate::Target;

/// A query as people write it.
pub const TARGET: Target = Target {
    name: "query_text",
    run,
    seeds: crate::no_seeds,
    repair: crate::no_repair,
    words: &[
        "sum by (x) (",
        "rate(",
        "a[5m]",
        "b{x=\"1\"}",
        " offset 20s",
        " offset -1m",
        " @ start()",
        " @ 100",
        "[1m:10s]",
        "[5m:]",
        " or ",
        " and on (x) ",
        " unless ",
        " * on (x) group_left (y) ",
        " == bool ",
        "topk(2, ",
        "quantile(0.5, ",
        "histogram_quantile(0.9, h_bucket)",
        "=~\".+|\"",
        "label_replace(a, \"y\", \"$1\", \"x\", \"(.*)\")",
        "inf",
        "nan",
        "time()",
        "vector(",
        "(",
        ")",
        "-",
        "^",
        "%",
        "#",
        "'",
        "`",
        "{__name__=~\".*\"}",
        "\"\\xff\"",
        "1e30",
        "0x1f",
        "absent(",
        "count_values(\"v\", ",
        "sort_by_label(a, \"x\")",
        " fill(0) ",
        "info(",
        "predict_linear(a[1m], 60)",
    ],
};

/// The first byte is the step of the range, the rest is the query.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Some((step, text)) = bytes.split_first() else { return false };
    evaluate(&String::from_utf8_lossy(text), *step)
}
