//! What there is and what there is not, for the reference.

/// A function that queries can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionInfo {
    /// The name.
    pub name: &'static str,
    /// The call with the names and types of its arguments.
    pub signature: &'static str,
    /// One line on what it gives.
    pub summary: &'static str,
}

/// Something of Prometheus' language that is refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excluded {
    /// What the language calls it.
    pub name: &'static str,
    /// Why it is not here, or what to do instead.
    pub reason: &'static str,
}

/// All functions, in the order of their names.
#[must_use]
pub fn functions() -> &'static [FunctionInfo] {
    FUNCTIONS
}

/// All that is refused by name.
#[must_use]
pub fn excluded() -> &'static [Excluded] {
    EXCLUDED
}

const NATIVE: &str = "a function of native histograms, which the sample store does not hold";

const EXCLUDED: &[Excluded] = &[
    Excluded {
        name: "native histograms",
        reason: "samples are numbers here; histograms are those of buckets with the label `le`",
    },
    Excluded { name: "histogram_avg", reason: NATIVE },
    Excluded { name: "histogram_count", reason: NATIVE },
    Excluded { name: "histogram_stddev", reason: NATIVE },
    Excluded { name: "histogram_stdvar", reason: NATIVE },
    Excluded { name: "histogram_sum", reason: NATIVE },
    Excluded {
        name: "info",
        reason: "it guesses which labels to join by; write the join with `group_left`",
    },
    Excluded {
        name: "anchored",
        reason: "experimental; `increase` over a range that covers the samples says the same",
    },
    Excluded {
        name: "smoothed",
        reason: "experimental; `increase` over a range that covers the samples says the same",
    },
    Excluded {
        name: "fill",
        reason: "a missing element must not pass for a number; write `or vector(…)` on purpose",
    },
    Excluded { name: "fill_left", reason: "as `fill`" },
    Excluded { name: "fill_right", reason: "as `fill`" },
    Excluded {
        name: "duration expressions",
        reason: "experimental; write the duration as a number with its unit, such as `90m`",
    },
    Excluded {
        name: "start timestamps",
        reason: "the sample store does not hold when a counter began",
    },
    Excluded {
        name: "subqueries without a step",
        reason: "servers take the step from their settings; write it, such as `[1h:1m]`",
    },
    Excluded {
        name: "`or` between matchers",
        reason: "only VictoriaMetrics has it; write a regular expression or `or` between selectors",
    },
];

macro_rules! functions {
    ($($signature:literal $summary:literal)*) => {
        &[$(FunctionInfo {
            name: before_parenthesis($signature),
            signature: $signature,
            summary: $summary,
        }),*]
    };
}

const fn before_parenthesis(signature: &'static str) -> &'static str {
    let bytes = signature.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'(' {
        end += 1;
    }
    signature.split_at(end).0
}

const FUNCTIONS: &[FunctionInfo] = functions! {
    "abs(v instant)" "absolute values"
    "absent(v instant)" "1 where the vector is empty, with the labels that the selector states"
    "absent_over_time(v range)" "1 where no series has a sample in the window"
    "acos(v instant)" "arc cosines, in radians"
    "acosh(v instant)" "inverse hyperbolic cosines"
    "asin(v instant)" "arc sines, in radians"
    "asinh(v instant)" "inverse hyperbolic sines"
    "atan(v instant)" "arc tangents, in radians"
    "atanh(v instant)" "inverse hyperbolic tangents"
    "avg_over_time(v range)" "the mean of each window"
    "ceil(v instant)" "values rounded up to whole numbers"
    "changes(v range)" "how often the value changed within each window"
    "clamp(v instant, min scalar, max scalar)" "values limited to the interval from min to max"
    "clamp_max(v instant, max scalar)" "values limited from above"
    "clamp_min(v instant, min scalar)" "values limited from below"
    "cos(v instant)" "cosines of radians"
    "cosh(v instant)" "hyperbolic cosines"
    "count_over_time(v range)" "how many samples each window has"
    "day_of_month(v instant = vector(time()))" "the day of the month of Unix times, 1 to 31, in UTC"
    "day_of_week(v instant = vector(time()))" "the day of the week of Unix times, 0 (Sunday) to 6, in UTC"
    "day_of_year(v instant = vector(time()))" "the day of the year of Unix times, 1 to 366, in UTC"
    "days_in_month(v instant = vector(time()))" "how many days the month of Unix times has, in UTC"
    "deg(v instant)" "radians as degrees"
    "delta(v range)" "the change of a gauge within each window, extrapolated to its borders"
    "deriv(v range)" "the change per second of a gauge: the slope of the line with the least squares"
    "double_exponential_smoothing(v range, smoothing scalar, trend scalar)" "a smoothed value of each window; takes time in proportion to all samples of all windows"
    "end()" "the end of the query's range, as Unix time in seconds"
    "exp(v instant)" "powers of e"
    "first_over_time(v range)" "the first sample of each window"
    "floor(v instant)" "values rounded down to whole numbers"
    "histogram_fraction(lower scalar, upper scalar, b instant)" "the share of observations between two values, from buckets with the label `le`"
    "histogram_quantile(q scalar, b instant)" "a quantile from buckets with the label `le`"
    "histogram_quantiles(b instant, label string, q scalar, ...)" "several quantiles from buckets, told apart by a label"
    "hour(v instant = vector(time()))" "the hour of Unix times, 0 to 23, in UTC"
    "idelta(v range)" "the difference of the last two samples of each window"
    "increase(v range)" "the growth of a counter within each window, extrapolated to its borders"
    "irate(v range)" "the growth of a counter per second between the last two samples of each window"
    "label_join(v instant, to string, separator string, from string, ...)" "sets a label to the values of others, joined"
    "label_replace(v instant, to string, replacement string, from string, regex string)" "sets a label to what a regular expression finds in another"
    "last_over_time(v range)" "the last sample of each window"
    "ln(v instant)" "natural logarithms"
    "log10(v instant)" "decimal logarithms"
    "log2(v instant)" "binary logarithms"
    "mad_over_time(v range)" "the median distance from the median of each window"
    "max_of(a scalar, b scalar)" "the greater of two numbers"
    "max_over_time(v range)" "the greatest value of each window"
    "min_of(a scalar, b scalar)" "the lesser of two numbers"
    "min_over_time(v range)" "the least value of each window"
    "minute(v instant = vector(time()))" "the minute of Unix times, 0 to 59, in UTC"
    "month(v instant = vector(time()))" "the month of Unix times, 1 to 12, in UTC"
    "pi()" "the ratio of a circle's circumference to its diameter"
    "predict_linear(v range, seconds scalar)" "the value that the line with the least squares reaches so many seconds after the evaluation time"
    "present_over_time(v range)" "1 for each window that has a sample"
    "quantile_over_time(q scalar, v range)" "a quantile of each window"
    "rad(v instant)" "degrees as radians"
    "range()" "the length of the query's range, in seconds"
    "rate(v range)" "the growth of a counter per second, over each window, extrapolated to its borders"
    "resets(v range)" "how often a counter fell within each window"
    "round(v instant, to scalar = 1)" "values rounded to multiples; halves go up"
    "scalar(v instant)" "the value of the only element; NaN unless there is exactly one"
    "sgn(v instant)" "1, 0 or -1 for the sign of values"
    "sin(v instant)" "sines of radians"
    "sinh(v instant)" "hyperbolic sines"
    "sort(v instant)" "elements in the order of their values; no effect on a range"
    "sort_by_label(v instant, label string, ...)" "elements in the order of labels; no effect on a range"
    "sort_by_label_desc(v instant, label string, ...)" "elements in the reverse order of labels; no effect on a range"
    "sort_desc(v instant)" "elements in the reverse order of their values; no effect on a range"
    "sqrt(v instant)" "square roots"
    "start()" "the start of the query's range, as Unix time in seconds"
    "stddev_over_time(v range)" "the population standard deviation of each window"
    "stdvar_over_time(v range)" "the population variance of each window"
    "step()" "the step of the query's range, in seconds; 0 for an instant"
    "sum_over_time(v range)" "the sum of each window"
    "tan(v instant)" "tangents of radians"
    "tanh(v instant)" "hyperbolic tangents"
    "time()" "the evaluation time, as Unix time in seconds"
    "timestamp(v instant)" "the times of the samples, as Unix time in seconds"
    "ts_of_first_over_time(v range)" "the time of the first sample of each window"
    "ts_of_last_over_time(v range)" "the time of the last sample of each window"
    "ts_of_max_over_time(v range)" "the time of the last sample with the greatest value of each window"
    "ts_of_min_over_time(v range)" "the time of the last sample with the least value of each window"
    "vector(s scalar)" "a vector with one element without labels"
    "year(v instant = vector(time()))" "the year of Unix times, in UTC"
};

#[cfg(test)]
mod tests {
    use super::{excluded, functions};
    use crate::function::Function;

    #[test]
    fn what_is_listed_is_there() {
        assert!(functions().is_sorted_by(|a, b| a.name < b.name));
        for function in functions() {
            assert!(Function::named(function.name).is_some(), "{}", function.name);
            assert!(!function.summary.is_empty());
        }
    }

    /// The parser knows all functions of Prometheus: each of them is listed on one side.
    #[test]
    fn what_is_there_is_listed() {
        let known = include_str!("function.rs").to_owned()
            + include_str!("time_functions.rs")
            + include_str!("window_functions.rs");
        let arms = known.lines().filter_map(|line| {
            let (name, rest) = line.trim().strip_prefix('"')?.split_once('"')?;
            rest.starts_with(" =>").then(|| name.to_owned())
        });
        let arms: Vec<String> = arms.collect();
        assert_eq!(arms.len(), functions().len());
        for name in arms {
            assert!(functions().iter().any(|f| f.name == name), "{name} is not listed");
        }
    }

    #[test]
    fn what_is_excluded_is_refused_by_name() {
        for (name, text) in [
            ("histogram_avg", "histogram_avg(x)"),
            ("histogram_count", "histogram_count(x)"),
            ("histogram_stddev", "histogram_stddev(x)"),
            ("histogram_stdvar", "histogram_stdvar(x)"),
            ("histogram_sum", "histogram_sum(x)"),
            ("info", "sum(info(x))"),
            ("anchored", "increase(x[5m] anchored)"),
            ("smoothed", "rate(x[5m] smoothed)"),
            ("fill", "a + fill(0) b"),
            ("fill_left", "a + fill_left(0) b"),
            ("fill_right", "a + fill_right(0) b"),
            ("duration", "rate(x[5m + 1m])"),
            ("duration", "rate(x[step()])"),
            ("duration", "x offset (1m * 2)"),
            ("step", "rate(x[5m:])"),
            ("`or`", "{a=\"1\" or b=\"2\"}"),
        ] {
            let refusal = crate::Query::parse(text).unwrap_err().to_string();
            assert!(refusal.contains(name), "{text}: {refusal}");
            assert!(!refusal.contains("is not PromQL"), "{text}: {refusal}");
        }
        assert!(excluded().iter().all(|e| !e.reason.is_empty()));
    }
}
