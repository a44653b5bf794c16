//! Random queries and random samples, for tests of laws and for comparisons with servers.
//!
//! A [`Grammar`] says which metrics, labels and functions expressions are made of, so that a
//! comparison can leave out what the other side does not have.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use samples::{Labels, Matcher, Part, STALE_NAN, SampleSource, Series, SourceError};

pub type Samples = Vec<(i64, f64)>;

/// What expressions are made of. Every list is used, so none may be empty.
#[derive(Debug, Clone)]
pub struct Grammar {
    /// Instant selectors without modifiers, such as `a{x="1"}`.
    pub selectors: Vec<&'static str>,
    /// Selectors that are used with a range.
    pub ranged: Vec<&'static str>,
    /// What may follow a selector, such as `" offset 20s"`; the empty text is most likely wanted.
    pub shifts: Vec<&'static str>,
    /// Functions of one range vector; `{}` stands for it where it is not the only argument.
    pub windowed: Vec<&'static str>,
    /// Functions of one instant vector, in the same form. `-` is one of them.
    pub functions: Vec<&'static str>,
    /// Aggregations without a parameter.
    pub aggregations: Vec<&'static str>,
    /// Aggregations with a parameter, written up to the comma and space: `topk(2, `.
    pub ranked: Vec<&'static str>,
    /// Groupings of aggregations, such as `" by (x)"`.
    pub groupings: Vec<&'static str>,
    /// Operators between vectors, with their modifiers.
    pub operators: Vec<&'static str>,
    /// Operators between a vector and a scalar.
    pub scalar_operators: Vec<&'static str>,
    /// Scalars.
    pub scalars: Vec<&'static str>,
    /// The longest range, in seconds.
    pub range_s_max: i64,
}

impl Grammar {
    /// Everything that this evaluator has and whose results are exact for the samples of
    /// [`storage`], so that results can be compared to the last bit.
    pub fn exact() -> Self {
        Self {
            selectors: vec!["a", "b", "c", "a{x=\"1\"}", "{x=~\"1|2\"}", "b{x!=\"2\"}", "none"],
            ranged: vec!["a", "b", "c{x=\"1\"}", "{x=~\"1|2\"}", "none"],
            shifts: vec!["", "", "", " offset 20s", " offset -20s", " @ 100"],
            windowed: vec![
                "sum_over_time",
                "min_over_time",
                "max_over_time",
                "count_over_time",
                "last_over_time",
                "first_over_time",
                "changes",
                "resets",
                "rate",
                "increase",
                "delta",
                "irate",
                "idelta",
                "absent_over_time",
                "present_over_time",
                "ts_of_max_over_time",
                "mad_over_time",
                "quantile_over_time(0.5, {})",
                "quantile_over_time(0.9, {})",
            ],
            functions: vec![
                "abs",
                "ceil",
                "sgn",
                "timestamp",
                "absent",
                "-",
                "sort",
                "hour",
                "sqrt",
                "round",
                "clamp({}, -1, 4)",
                "label_replace({}, \"y\", \"$1z\", \"x\", \"(.*)\")",
            ],
            aggregations: vec!["sum", "min", "max", "count", "group", "avg"],
            ranked: vec![
                "topk(2, ",
                "bottomk(1, ",
                "quantile(0.5, ",
                "count_values(\"v\", ",
                "limitk(1, ",
            ],
            groupings: vec!["", " by (x)", " without (x)", " by (y, __name__)"],
            operators: vec![
                "+",
                "*",
                "/",
                "%",
                "^",
                "> bool",
                "==",
                "<",
                "!= bool",
                "and",
                "or",
                "unless",
                "* on (x)",
                "> ignoring (y)",
                "and on (x)",
                "* on (x) group_left (y)",
                "< on (x) group_right ()",
                "or on (y)",
                "unless ignoring (x)",
            ],
            scalar_operators: vec!["+", "-", "/", "> bool", "<=", "!="],
            scalars: vec!["2", "-1", "NaN", "time()", "scalar(a{x=\"1\"})"],
            range_s_max: 200,
        }
    }

    /// Only what Prometheus 2.42 and VictoriaMetrics have as well, with functions whose results
    /// round. Selectors are over `metrics`, which should have the label `x`.
    pub fn common(metrics: &[&'static str]) -> Self {
        Self {
            selectors: metrics.to_vec(),
            ranged: metrics.to_vec(),
            shifts: vec!["", "", "", " offset 1m", " offset 45s"],
            windowed: vec![
                "sum_over_time",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "count_over_time",
                "last_over_time",
                "stddev_over_time",
                "stdvar_over_time",
                "present_over_time",
                "changes",
                "resets",
                "rate",
                "increase",
                "delta",
                "irate",
                "idelta",
                "deriv",
                "quantile_over_time(0.5, {})",
                "quantile_over_time(0.9, {})",
            ],
            functions: vec![
                "abs",
                "ceil",
                "floor",
                "sgn",
                "timestamp",
                "absent",
                "-",
                "sqrt",
                "round",
                "exp",
                "minute",
                "clamp({}, -1, 4)",
                "label_replace({}, \"y\", \"$1z\", \"x\", \"(.*)\")",
            ],
            aggregations: vec!["sum", "min", "max", "count", "group", "avg", "stddev", "stdvar"],
            ranked: vec!["topk(2, ", "bottomk(1, ", "quantile(0.5, ", "count_values(\"v\", "],
            groupings: vec!["", " by (x)", " without (x)"],
            operators: vec![
                "+",
                "-",
                "*",
                "/",
                "> bool",
                "==",
                "<",
                "and",
                "or",
                "unless",
                "* on (x)",
                "> ignoring (y)",
                "and on (x)",
                "* on (x) group_left ()",
            ],
            scalar_operators: vec!["+", "-", "*", "/", "> bool", "<=", "!="],
            scalars: vec!["2", "-1", "0.5", "time()"],
            range_s_max: 600,
        }
    }

    /// All that this evaluator has, with parameters that nobody means.
    pub fn wild() -> Self {
        let mut all = Self::exact();
        all.shifts.extend([
            " @ start()",
            " @ end() offset -1h",
            " @ 1e12",
            " @ -5 offset 30s",
            " offset 99y",
            " offset -99y",
        ]);
        all.windowed.extend([
            "avg_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "deriv",
            "predict_linear({}, 1e300)",
            "predict_linear({}, NaN)",
            "predict_linear({}, time())",
            "double_exponential_smoothing({}, 0.5, 1)",
            "double_exponential_smoothing({}, scalar(none), 0.1)",
            "quantile_over_time(NaN, {})",
            "quantile_over_time(-Inf, {})",
            "quantile_over_time(scalar(a{x=\"1\"}), {})",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_min_over_time",
        ]);
        all.functions.extend([
            "clamp({}, 2, -2)",
            "clamp_max({}, NaN)",
            "clamp_min({}, time() % 3)",
            "round({}, 0)",
            "round({}, -0.1)",
            "exp",
            "ln",
            "year",
            "days_in_month",
            "day_of_year",
            "vector(scalar({}))",
            "sort_desc",
            "sort_by_label({}, \"x\", \"y\")",
            "label_join({}, \"x\", \"-\", \"x\", \"__name__\")",
            "label_replace({}, \"__name__\", \"n$1\", \"x\", \"(.*)\")",
            "label_replace({}, \"le\", \"$1\", \"x\", \"(.*)\")",
            "histogram_quantile(0.5, {})",
            "histogram_quantile(time() % 2, {})",
            "histogram_quantiles({}, \"q\", 0.1, 2)",
            "histogram_fraction(-1, 3, {})",
            "limit_ratio(0.4, {})",
            "limit_ratio(-7, {})",
            "limitk(1e18, {})",
            "topk(scalar(b), {})",
            "quantile(NaN, {})",
            "count_values(\"x\", {})",
            "count_values(\"__name__\", {})",
        ]);
        all.aggregations.extend(["stddev", "stdvar"]);
        all.scalars.extend(["Inf", "1e308", "start()", "step()", "-scalar(b) / 0"]);
        all.scalar_operators.extend(["*", "%", "^", "atan2", "=="]);
        all.operators.extend(["-", "atan2", ">= bool on (x) group_left (y)"]);
        all
    }

    /// An expression that gives an instant vector. Some of them fail when they are evaluated, because
    /// vectors do not match one to one.
    pub fn vector(&self) -> BoxedStrategy<String> {
        let windowed = select(self.windowed.clone());
        let shift = select(self.shifts.clone());
        let selector = (select(self.selectors.clone()), shift.clone())
            .prop_map(|(base, shift)| format!("{base}{shift}"));
        let ranged = (select(self.ranged.clone()), 1..self.range_s_max, shift)
            .prop_map(|(base, range, shift)| format!("{base}[{range}s]{shift}"));
        let leaf = prop_oneof![
            3 => selector,
            3 => (windowed.clone(), ranged).prop_map(|(f, r)| call(f, &r)),
            1 => Just("vector(time() % 7)".to_owned()),
        ];
        let grammar = self.clone();
        leaf.prop_recursive(4, 24, 3, move |inner| grammar.larger(inner, windowed.clone())).boxed()
    }

    fn larger(
        &self,
        inner: BoxedStrategy<String>,
        windowed: impl Strategy<Value = &'static str> + 'static,
    ) -> BoxedStrategy<String> {
        let groupings = select(self.groupings.clone());
        let scalars = select(self.scalars.clone());
        let with_scalar = select(self.scalar_operators.clone());
        prop_oneof![
            2 => (select(self.aggregations.clone()), groupings, inner.clone())
                .prop_map(|(a, g, e)| format!("{a}{g} ({e})")),
            1 => (select(self.ranked.clone()), inner.clone()).prop_map(|(r, e)| format!("{r}{e})")),
            2 => (select(self.functions.clone()), inner.clone()).prop_map(|(f, e)| call(f, &e)),
            1 => (inner.clone(), select(self.operators.clone()), inner.clone())
                .prop_map(|(a, o, b)| format!("({a}) {o} ({b})")),
            1 => (inner.clone(), with_scalar.clone(), scalars.clone())
                .prop_map(|(e, o, s)| format!("({e}) {o} {s}")),
            1 => (scalars, with_scalar, inner.clone())
                .prop_map(|(s, o, e)| format!("{s} {o} ({e})")),
            1 => (windowed, inner, 1_i64..90, 1_i64..30)
                .prop_map(|(f, e, range, step)| call(f, &format!("({e})[{range}s:{step}s]"))),
        ]
        .boxed()
    }
}

fn call(function: &str, argument: &str) -> String {
    if function.contains("{}") {
        function.replace("{}", argument)
    } else {
        format!("{function}({argument})")
    }
}

/// Small whole numbers, sums of which are exact, and now and then what is not a number.
pub fn any_sample() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-9_i32..10).prop_map(f64::from),
        1 => select(vec![f64::NAN, STALE_NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

/// Up to 40 samples, 1 to 39 seconds apart.
pub fn any_samples() -> impl Strategy<Value = Samples> {
    prop::collection::vec((1_i64..40, any_sample()), 0..40).prop_map(|pairs| {
        let times = pairs.into_iter().scan(0, |t, (gap, value)| {
            *t += gap * 1_000;
            Some((*t, value))
        });
        times.collect()
    })
}

pub fn series(labels: Labels, samples: &Samples) -> Series {
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    Series::new(labels, Arc::new(times), values).unwrap()
}

/// Series of the metrics that [`Grammar::exact`] names.
pub fn storage() -> impl Strategy<Value = Vec<Series>> {
    let names = [("a", "1"), ("a", "2"), ("b", "1"), ("b", ""), ("c", "2")];
    prop::collection::vec(any_samples(), names.len()).prop_map(move |all| {
        let named = names.iter().zip(&all);
        named
            .map(|((name, x), samples)| series(Labels::metric(name, &[("x", x)]), samples))
            .collect()
    })
}

/// The same series, handed out in parts of `size` series.
pub struct InParts {
    pub all: Vec<Series>,
    pub size: usize,
}

struct Several(Vec<Series>);

impl Part for Several {
    fn read(
        &self,
        see: &mut dyn FnMut(Series) -> std::ops::ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let _ = self.0.iter().cloned().try_for_each(see);
        Ok(())
    }
}

impl SampleSource for InParts {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        self.all.select(matchers, start_ms, end_ms)
    }

    fn parts<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        let found = self.select(matchers, start_ms, end_ms)?;
        let parts = found.chunks(self.size.max(1));
        Ok(parts.map(|part| Box::new(Several(part.to_vec())) as Box<dyn Part>).collect())
    }
}

/// Elements by labels, with bits that are the same for every NaN.
pub type Elements = BTreeMap<Labels, u64>;

pub fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}
