//! What gates rely on: refusals, limits, and behaviours that hide missing data if nobody looks.

#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Duration, Instant};
use promql::{Asked, Failure, Limits, Matrix, Query, QueryError, Value, ValueKind};
use samples::{Labels, Matcher, Part, STALE_NAN, SampleSource, Series, SourceError};

const MINUTE_MS: i64 = 60_000;

/// A series with one value per minute; `None` is a missed scrape.
fn by_minute(name: &str, pairs: &[(&str, &str)], values: &[Option<f64>]) -> Series {
    let samples = (0..).zip(values).filter_map(|(n, v)| v.map(|v| (n * MINUTE_MS, v)));
    let (times, values): (Vec<i64>, Vec<f64>) = samples.unzip();
    Series::new(Labels::metric(name, pairs), Arc::new(times), values).unwrap()
}

fn steady(name: &str, pairs: &[(&str, &str)], value: f64, minutes: usize) -> Series {
    by_minute(name, pairs, &vec![Some(value); minutes])
}

fn at_minute(text: &str, source: &Vec<Series>, minute: i64) -> Result<Value, Failure> {
    let query = Query::parse(text).unwrap();
    let at = Instant::from_unix_millis(minute * MINUTE_MS);
    promql::instant(&query, source, at, &Limits::default()).map_err(|e| e.failure)
}

/// The value of a vector of one element, or of a scalar; `None` for an empty vector.
fn number(text: &str, source: &Vec<Series>, minute: i64) -> Option<f64> {
    match at_minute(text, source, minute).unwrap() {
        Value::Scalar(point) => Some(point.value),
        Value::Vector(samples) => {
            assert!(samples.len() < 2, "{samples:?}");
            samples.first().map(|sample| sample.value)
        }
        other => panic!("{other:?}"),
    }
}

fn over(
    text: &str,
    source: &Vec<Series>,
    minutes: i64,
    limits: &Limits,
) -> Result<Matrix, Failure> {
    let query = Query::parse(text).unwrap();
    let (start, end) = (Instant::default(), Instant::from_unix_millis(minutes * MINUTE_MS));
    let step = Duration::from_minutes(1);
    promql::range(&query, source, start, end, step, limits).map_err(|e| e.failure)
}

#[test]
fn a_minimum_over_counts_hides_a_total_outage() {
    // Both nodes are down for ten minutes: `up == 1` is empty there, and so is the count.
    let mut up = vec![Some(1.0); 30];
    up[10..20].fill(Some(0.0));
    let source = vec![by_minute("up", &[("n", "a")], &up), by_minute("up", &[("n", "b")], &up)];
    assert_eq!(number("min_over_time(count(up == 1)[30m:1m])", &source, 29), Some(2.0));
    // What tells them apart: the sum, and the number of steps that have a value.
    assert_eq!(number("min_over_time(sum(up == bool 1)[30m:1m])", &source, 29), Some(0.0));
    assert_eq!(number("count_over_time(count(up == 1)[30m:1m])", &source, 29), Some(20.0));
}

#[test]
fn the_look_back_invents_five_minutes_unless_a_marker_ends_the_series() {
    let source = vec![steady("silent", &[], 7.0, 10)];
    assert_eq!(number("silent", &source, 13), Some(7.0));
    assert_eq!(number("silent", &source, 14), None, "the look-back is open on the left");
    let mut values = vec![Some(7.0); 9];
    values.push(Some(STALE_NAN));
    let source = vec![by_minute("ended", &[], &values)];
    assert_eq!(number("ended", &source, 8), Some(7.0));
    assert_eq!(number("ended", &source, 9), None);
    assert_eq!(number("count_over_time(ended[10m])", &source, 9), Some(9.0));
}

#[test]
fn a_window_over_little_data_answers_without_complaint() {
    let source = vec![steady("lag", &[], 3.0, 10)];
    assert_eq!(number("max_over_time(lag[90h])", &source, 9), Some(3.0));
    assert_eq!(number("count_over_time(lag[90h])", &source, 9), Some(10.0));
}

#[test]
fn an_increase_takes_a_reset_for_growth() {
    let values = [100.0, 110.0, 120.0, 5.0, 15.0].map(Some);
    let source = vec![by_minute("blocks_total", &[], &values)];
    let increase = number("increase(blocks_total[4m1s])", &source, 4).unwrap();
    assert!(increase > 34.0 && increase < 36.1, "{increase}");
    assert!(number("delta(blocks_total[4m1s])", &source, 4).unwrap() < 0.0);
    assert_eq!(number("resets(blocks_total[5m])", &source, 4), Some(1.0));
}

#[test]
fn a_renamed_metric_is_empty_and_not_zero() {
    let source = vec![steady("new_name", &[], 1.0, 10)];
    assert_eq!(at_minute("sum(old_name)", &source, 5), Ok(Value::Vector(vec![])));
    assert_eq!(at_minute("count(old_name) > 0", &source, 5), Ok(Value::Vector(vec![])));
    assert_eq!(number("absent(old_name)", &source, 5), Some(1.0));
    assert_eq!(number("absent(new_name)", &source, 5), None);
    assert_eq!(over("old_name", &source, 9, &Limits::default()), Ok(Matrix::default()));
    assert!(number("scalar(old_name)", &source, 5).unwrap().is_nan());
}

#[test]
fn a_day_without_samples_is_a_gap_of_a_range() {
    let mut values = vec![Some(1.0); 30];
    values[5..20].fill(None);
    let source = vec![by_minute("height", &[], &values)];
    let matrix = over("height", &source, 29, &Limits::default()).unwrap();
    let minutes: Vec<i64> =
        matrix.single().unwrap().points.iter().map(|p| p.t_ms / MINUTE_MS).collect();
    assert_eq!(minutes, (0..9).chain(20..30).collect::<Vec<_>>());
}

#[test]
fn windows_are_open_on_the_left() {
    let source = vec![steady("up", &[], 1.0, 10)];
    assert_eq!(number("count_over_time(up[5m])", &source, 9), Some(5.0));
    assert_eq!(number("count_over_time(up[5m:1m])", &source, 9), Some(5.0));
}

#[test]
fn comparisons_filter_and_bool_does_not() {
    let source = vec![steady("up", &[("n", "a")], 1.0, 3), steady("up", &[("n", "b")], 0.0, 3)];
    assert_eq!(number("count(up == 1)", &source, 2), Some(1.0));
    assert_eq!(number("count(up == bool 1)", &source, 2), Some(2.0));
    assert_eq!(number("sum(up == bool 1)", &source, 2), Some(1.0));
}

#[test]
fn ambiguous_matches_are_errors() {
    let source = vec![
        steady("many", &[("job", "x"), ("n", "1")], 1.0, 3),
        steady("many", &[("job", "x"), ("n", "2")], 1.0, 3),
        steady("one", &[("job", "x")], 2.0, 3),
    ];
    for text in ["many * on(job) one", "one * on(job) many", "one * on(job) group_left many"] {
        let failure = at_minute(text, &source, 2).unwrap_err();
        assert!(matches!(failure, Failure::Matching { .. }), "{text}: {failure}");
    }
    assert_eq!(number("sum(many * on(job) group_left one)", &source, 2), Some(4.0));
    let failure = at_minute("ceil({job=\"x\", n=~\".*\"}) or -many", &source, 2);
    assert!(failure.is_ok());
    let source = vec![steady("a", &[], 1.0, 3), steady("b", &[], 2.0, 3)];
    let failure = at_minute("-{__name__=~\"a|b\"}", &source, 2).unwrap_err();
    assert_eq!(failure, Failure::DuplicateSeries { labels: "{}".to_owned() });
}

#[test]
fn at_modifiers_take_the_borders_of_the_whole_range() {
    let values: Vec<Option<f64>> = (0..10).map(|n| Some(f64::from(n))).collect();
    let source = vec![by_minute("height", &[], &values)];
    for (text, expected) in [
        ("height @ end()", 9.0),
        ("height @ start()", 0.0),
        ("height @ 240", 4.0),
        ("max_over_time(height[20m] @ end())", 9.0),
        ("last_over_time((height @ end())[3m:1m])", 9.0),
        ("height @ end() offset 2m", 7.0),
    ] {
        let matrix = over(text, &source, 9, &Limits::default()).unwrap();
        let points = &matrix.single().unwrap().points;
        assert_eq!(points.len(), 10, "{text}");
        assert!(points.iter().all(|p| p.value == expected), "{text}: {points:?}");
    }
}

#[test]
fn the_end_is_the_one_that_was_asked_for() {
    let values: Vec<Option<f64>> = (0..10).map(|n| Some(f64::from(n))).collect();
    let source = vec![by_minute("height", &[], &values)];
    let query = Query::parse("height @ end()").unwrap();
    let (start, end) = (Instant::default(), Instant::from_unix_millis(9 * MINUTE_MS));
    let step = Duration::from_minutes(4);
    let matrix = promql::range(&query, &source, start, end, step, &Limits::default()).unwrap();
    let points = &matrix.single().unwrap().points;
    // The last step is at 8 minutes.
    assert!(points.len() == 3 && points.iter().all(|p| p.value == 9.0), "{points:?}");
}

#[test]
fn nothing_is_ambiguous_where_one_side_is_empty() {
    let source = vec![
        steady("two", &[("n", "1"), ("job", "x")], 1.0, 3),
        steady("two", &[("n", "2"), ("job", "x")], 1.0, 3),
    ];
    for text in ["none * on(job) two", "two * on(job) none"] {
        assert_eq!(at_minute(text, &source, 2), Ok(Value::Vector(vec![])), "{text}");
    }
}

#[test]
fn a_value_becomes_a_label_before_series_are_grouped() {
    let source = vec![steady("up", &[("n", "a")], 1.0, 3), steady("up", &[("n", "b")], 1.0, 3)];
    assert_eq!(number("count_values without () (\"n\", up)", &source, 2), Some(2.0));
}

#[test]
fn scalars_become_one_series() {
    let matrix = over("1 + 1", &Vec::new(), 2, &Limits::default()).unwrap();
    assert_eq!(matrix.single().unwrap().labels, Labels::empty());
    assert_eq!(matrix.single().unwrap().points.len(), 3);
}

#[test]
fn limits_end_an_evaluation() {
    let source = vec![steady("up", &[], 1.0, 100)];
    let few_samples = Limits { max_samples: 50, ..Limits::default() };
    assert_eq!(over("up", &source, 99, &few_samples), Err(Failure::TooManySamples { limit: 50 }));
    let few_steps = Limits { max_steps: 10, ..Limits::default() };
    let too_many = Failure::TooManySteps { steps: 100, limit: 10 };
    assert_eq!(over("up", &source, 99, &few_steps), Err(too_many));
    let failure = over("max_over_time(up[1h:1s])", &source, 5, &few_steps).unwrap_err();
    assert!(matches!(failure, Failure::TooManySteps { limit: 10, .. }), "a subquery counts too");
}

#[test]
fn a_cancelled_evaluation_ends() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let cancelled = move || counter.fetch_add(1, Ordering::Relaxed) >= 3;
    let limits = Limits { cancelled: Some(Arc::new(cancelled)), ..Limits::default() };
    let source = vec![steady("up", &[], 1.0, 100)];
    assert_eq!(over("sum(rate(up[5m])) + sum(up)", &source, 99, &limits), Err(Failure::Cancelled));
    assert!(asked.load(Ordering::Relaxed) >= 4);
}

#[test]
fn impossible_ranges_are_errors() {
    let query = Query::parse("up").unwrap();
    let (one, two) = (Instant::from_unix_millis(1_000), Instant::from_unix_millis(2_000));
    let limits = Limits::default();
    let step = Duration::from_seconds(1);
    for (start, end, step) in [
        (two, one, step),
        (one, two, Duration::ZERO),
        (one, two, -step),
        (Instant::from_unix_micros(i64::MIN), two, step),
    ] {
        let failure = promql::range(&query, &Vec::new(), start, end, step, &limits);
        let failure = failure.unwrap_err();
        assert_eq!(failure.failure, Failure::EmptyRange);
        assert!(failure.to_string().contains("`up`"), "{failure}");
    }
    for text in ["up[5m]", "\"text\""] {
        let query = Query::parse(text).unwrap();
        let outcome = promql::range(&query, &Vec::new(), one, two, step, &limits);
        assert!(matches!(outcome.unwrap_err().failure, Failure::NotARangeQuery(_)), "{text}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place() {
    for (text, word, position) in [
        ("histogram_count(x)", "`histogram_count`", Some(0)),
        ("sum(info(x))", "`info`", Some(4)),
        ("rate(x[5m] anchored)", "`anchored`", Some(11)),
        ("rate(infos[5m]) + info(x)", "`info`", Some(18)),
        ("a + fill(0) b", "`fill`", Some(4)),
        ("{a=\"1\" or b=\"2\"}", "`or`", Some(7)),
    ] {
        match Query::parse(text).unwrap_err() {
            refusal @ QueryError::Unsupported { position: found, .. } => {
                assert!(refusal.to_string().contains(word), "{refusal}");
                assert_eq!(found, position, "{text}");
                assert_eq!(refusal.place().map(|p| p.offset), position, "{text}");
            }
            refusal => panic!("{refusal}"),
        }
    }
}

#[test]
fn a_refusal_points_to_its_place() {
    let text = "sum(rate(x[5m]))\n  / histogram_count(y)";
    let refusal = Query::parse(text).unwrap_err();
    assert!(refusal.to_string().ends_with("(line 2, column 5)"), "{refusal}");
    let shown = refusal.place().unwrap().pointed_out(text);
    assert_eq!(shown, "  / histogram_count(y)\n    ^");
    let refusal = Query::parse("sum(up").unwrap_err();
    assert!(refusal.to_string().contains("`(` is not closed (line 1, column 4)"), "{refusal}");
}

#[test]
fn a_subquery_states_its_step() {
    let refusal = Query::parse("max_over_time(up[1h:])").unwrap_err();
    assert!(matches!(refusal, QueryError::SubqueryWithoutStep { .. }));
    assert!(refusal.to_string().contains("[1h:1m]"));
    assert!(Query::parse("max_over_time(up[1h:1m])").is_ok());
    let step = Duration::from_minutes(1);
    assert!(Query::parse_with_subquery_step("max_over_time(up[1h:])", step).is_ok());
}

#[test]
fn malformed_and_oversized_texts_are_refused() {
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    let unary = format!("{}1", "-".repeat(4_000));
    let long = vec!["1"; 2_000].join("+");
    let negated = format!("{}x", "-".repeat(4_000));
    for bad in [
        "",
        "sum(",
        "up{",
        "1 +",
        "up[5m",
        "foo[1e30]",
        "foo offset inf",
        "a b",
        &deep,
        &negated,
        &long,
    ] {
        assert!(Query::parse(bad).is_err(), "{bad:.40}");
    }
    let _ = Query::parse(&unary);
}

#[test]
fn a_query_tells_what_it_reads_and_gives() {
    let query =
        Query::parse("sum(rate(a_total[5m])) / count({__name__=\"b\"}) > c + {d=\"e\"}").unwrap();
    assert_eq!(query.metric_names().into_iter().collect::<Vec<_>>(), ["a_total", "b", "c"]);
    assert_eq!(query.kind(), ValueKind::Vector);
    for (text, comparison, boolean) in [
        ("up > 1", true, false),
        ("(up > bool 1)", true, true),
        ("1 > bool 1", true, true),
        ("up > 1 and up", true, false),
        ("up > 1 or up", false, false),
        ("up + 1", false, false),
        ("sum(up > bool 1)", false, false),
    ] {
        let query = Query::parse(text).unwrap();
        assert_eq!((query.is_comparison(), query.is_boolean()), (comparison, boolean), "{text}");
    }
}

/// Answers `true` from the `count`th time on that it is asked.
fn asked_at_most(count: usize) -> (Asked, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    (Arc::new(move || counter.fetch_add(1, Ordering::Relaxed) + 1 >= count), asked)
}

#[test]
fn a_cancellation_reaches_into_long_windows() {
    let source = vec![steady("up", &[], 1.0, 3_000)];
    for text in [
        "quantile_over_time(0.5, up[10h])",
        "mad_over_time(up[10h])",
        "double_exponential_smoothing(up[10h], 0.5, 0.5)",
    ] {
        let (cancelled, asked) = asked_at_most(12);
        let limits = Limits { cancelled: Some(cancelled), ..Limits::default() };
        let failure = over(text, &source, 2_999, &limits).map(|matrix| matrix.series.len());
        assert_eq!(failure, Err(Failure::Cancelled), "{text}");
        assert_eq!(asked.load(Ordering::Relaxed), 12, "{text}");
    }
}

#[test]
fn a_deadline_ends_an_evaluation_and_says_so() {
    let source = vec![steady("up", &[], 1.0, 100)];
    let (deadline, _) = asked_at_most(2);
    let limits = Limits { deadline: Some(deadline), ..Limits::default() };
    assert_eq!(over("sum(up)", &source, 99, &limits), Err(Failure::OutOfTime));
    assert_eq!(over("1 + 1", &source, 99, &limits), Err(Failure::OutOfTime));
}

/// A source of many parts, some of which are damaged; it counts what it hands out.
struct Damaged {
    parts: usize,
    damaged: Vec<usize>,
    handed_out: AtomicUsize,
}

struct DamagedPart<'a>(&'a Damaged, usize);

impl Part for DamagedPart<'_> {
    fn read(&self, see: &mut dyn FnMut(Series) -> ControlFlow<()>) -> Result<(), SourceError> {
        for n in 0..3 {
            let labels = [("part", self.1.to_string()), ("n", n.to_string())];
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            self.0.handed_out.fetch_add(1, Ordering::Relaxed);
            if see(steady("up", &labels, 1.0, 10)).is_break() {
                return Ok(());
            }
        }
        match self.0.damaged.contains(&self.1) {
            true => Err(SourceError::Unreadable(format!("part {}", self.1))),
            false => Ok(()),
        }
    }
}

impl SampleSource for Damaged {
    fn select(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Series>, SourceError> {
        Err(SourceError::Unreadable("as a whole".to_owned()))
    }

    fn parts<'a>(
        &'a self,
        _: &[Matcher],
        _: i64,
        _: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        Ok((0..self.parts).map(|n| Box::new(DamagedPart(self, n)) as Box<dyn Part>).collect())
    }
}

#[test]
fn damage_is_an_error_and_the_same_one_on_any_number_of_threads() {
    let query = Query::parse("sum(up)").unwrap();
    let at = Instant::from_unix_millis(5 * MINUTE_MS);
    for threads in [1, 2, 7] {
        for parts in [5, 50, 500] {
            let limits = Limits { threads, ..Limits::default() };
            let mut source = Damaged { parts, damaged: vec![3, 4], handed_out: 0.into() };
            let failure = promql::instant(&query, &source, at, &limits).unwrap_err().failure;
            assert_eq!(failure, Failure::Source(SourceError::Unreadable("part 3".to_owned())));
            source.damaged.clear();
            let value = promql::instant(&query, &source, at, &limits).unwrap();
            let Value::Vector(samples) = value else { panic!("{value:?}") };
            assert_eq!(samples[0].value, 3.0 * parts as f64);
        }
    }
}

#[test]
fn a_limit_ends_reading_at_once() {
    let query = Query::parse("sum(up)").unwrap();
    let at = Instant::from_unix_millis(5 * MINUTE_MS);
    let limits = Limits { threads: 1, max_samples: 25, ..Limits::default() };
    let source = Damaged { parts: 500, damaged: vec![], handed_out: 0.into() };
    let failure = promql::instant(&query, &source, at, &limits).unwrap_err().failure;
    assert_eq!(failure, Failure::TooManySamples { limit: 25 });
    assert_eq!(source.handed_out.load(Ordering::Relaxed), 3);
}

#[test]
fn remarks_come_with_the_result() {
    let source = vec![steady("height", &[], 1.0, 10), steady("x_bucket", &[("le", "?")], 1.0, 10)];
    let remarks = |text: &str| {
        let query = Query::parse(text).unwrap();
        let at = Instant::from_unix_millis(9 * MINUTE_MS);
        let limits = Limits::default();
        let found = promql::instant_annotated(&query, &source, at, &limits).unwrap().annotations;
        let texts = |found: &mut dyn Iterator<Item = &promql::Annotation>| {
            found.map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        (texts(&mut found.warnings()), texts(&mut found.infos()))
    };
    let (warnings, infos) = remarks("sum(rate(height[5m]))");
    assert!(warnings.is_empty() && infos.contains("\"height\""), "{warnings}{infos}");
    assert_eq!(remarks("rate(x_bucket[5m])"), (String::new(), String::new()));
    assert_eq!(remarks("rate(none[5m])"), (String::new(), String::new()));
    let (warnings, infos) = remarks("histogram_quantile(1.5, x_bucket)");
    assert!(infos.is_empty());
    assert!(warnings.contains("between 0 and 1, got 1.5"), "{warnings}");
    assert!(warnings.contains("malformed value of \"?\" for metric name \"x_bucket\""));
}

#[test]
fn what_is_folded_as_it_comes_is_counted_once() {
    let source: Vec<Series> =
        (0..10).map(|n| steady("up", &[("n", &n.to_string())], 1.0, 100)).collect();
    // 1,000 samples are read; the results of one group are kept.
    let limits = Limits { max_samples: 1_100, ..Limits::default() };
    assert!(over("sum(rate(up[5m]))", &source, 99, &limits).is_ok());
    let too_many = Err(Failure::TooManySamples { limit: 1_100 });
    assert_eq!(over("rate(up[5m])", &source, 99, &limits), too_many);
    let limits = Limits { max_samples: 999, ..Limits::default() };
    let too_many = Err(Failure::TooManySamples { limit: 999 });
    assert_eq!(over("sum(rate(up[5m]))", &source, 99, &limits), too_many);
}
