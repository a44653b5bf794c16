//! `query`: a query against the samples of a deployment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::Duration;
use diagnostics::render::escape_json;
use promql::{Matrix, MatrixSeries, Query, Sample, Value, ValueKind};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, count, figure, print, say, sparkline, table};
use crate::queries::{
    Answer, Answered, Bounds, Origin, Sampled, Stopped, What, problem, run, times,
};
use crate::world::Global;

/// What an inner query of a subquery without a step is evaluated at, as with Prometheus.
pub const SUBQUERY_STEP: Duration = Duration::from_minutes(1);
/// Characters of a sparkline.
const LINE: usize = 60;

/// Run a PromQL query against a deployment's samples
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask query 'sum(up) by (role)'
  cargo xtask query 'max(devnet_final_height)' --at -2h --deployment phase-1.internal.1
  cargo xtask query 'sum(rate(devnet_transactions_total[5m]))' --range -6h..now --step 1m
  cargo xtask query up --rehearsal rehearsal --deployment phase-1.internal.1 --format json

An instant is RFC 3339, seconds since 1970, `now`, or a distance from now such as `-2h`. For
samples to which nothing is added any more, now is the time of the last one.")]
pub struct Args {
    /// The query, in PromQL
    #[arg(value_name = "EXPR")]
    pub query: String,
    /// The instant at which it is evaluated [default: now]
    #[arg(long, value_name = "INSTANT", conflicts_with = "range", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Evaluate it over a range of time instead
    #[arg(long, value_name = "FROM..TO", allow_hyphen_values = true)]
    pub range: Option<String>,
    /// Distance of the points of a range [default: a round one that gives about 250 points]
    #[arg(long, value_name = "DURATION", requires = "range")]
    pub step: Option<Duration>,
    #[command(flatten)]
    pub origin: Origin,
    /// How the result is printed; json is the response format of Prometheus' HTTP API
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Refuse a query that reads or computes more samples than this
    #[arg(long, value_name = "COUNT", default_value_t = 200_000_000)]
    pub max_samples: u64,
    /// Stop a query that takes longer
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub timeout: Duration,
}

/// Runs the query and prints what it gives.
pub fn run(global: &Global, args: &Args) -> Outcome {
    let query = parse(&args.query)?;
    let feed = args.origin.open(global)?;
    let sampled = feed.sampled();
    let what = asked(args, &query, &sampled)?;
    let timeout = std::time::Duration::try_from_secs_f64(args.timeout.seconds())
        .map_err(|_| Failure::new(Exit::Usage, "the timeout must not be negative"))?;
    let bounds = Bounds { max_samples: args.max_samples, max_steps: 100_000, timeout };
    let unknown = problem::unknown_metrics(&query, &sampled);
    let answer = interruptible(query.clone(), what, sampled.clone(), bounds)?;
    let answer = answer.map_err(|stopped| failure(&args.query, args.timeout, stopped))?;
    if args.format == Format::Json {
        print(&escape_json(&format!("{}\n", answer.json())))?;
    } else {
        say(format!("{}.", sampled.describe()));
        show(&answer)?;
        for remark in answer.remarks.warnings.iter().chain(&answer.remarks.infos) {
            say(format!("Note: {remark}"));
        }
    }
    for sentence in unknown {
        say(sentence);
    }
    Ok(Exit::Done)
}

/// Reads a query of a person.
pub fn parse(text: &str) -> Result<Query, Failure> {
    Query::parse_with_subquery_step(text, SUBQUERY_STEP)
        .map_err(|error| problem::not_a_query(text, &error))
}

fn asked(args: &Args, query: &Query, sampled: &Sampled) -> Result<What, Failure> {
    let usage = |error: String| Failure::new(Exit::Usage, error);
    let Some(range) = &args.range else {
        let at = args.at.as_deref().unwrap_or("now");
        return Ok(What::At(times::instant(at, sampled.now).map_err(usage)?));
    };
    let (from, until) = times::range(range, sampled.now).map_err(usage)?;
    if matches!(query.kind(), ValueKind::Matrix | ValueKind::Text) {
        return Err(usage(
            "a query over a range must give numbers, not samples or a text".to_owned(),
        )
        .hint("Apply a function such as `rate` or `max_over_time`, or ask with --at."));
    }
    let step = args.step.unwrap_or_else(|| times::default_step(until - from));
    if !step.is_positive() {
        return Err(usage(format!("the step must be longer than nothing, not {step}")));
    }
    Ok(What::Range(from, until, step))
}

/// Runs the query on a thread of its own, so that Ctrl-C ends it in an orderly way.
fn interruptible(
    query: Query,
    what: What,
    sampled: Sampled,
    bounds: Bounds,
) -> Result<Result<Answer, Stopped>, Failure> {
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("the query cannot be run: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot(&error))?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let finished = runtime.block_on(async {
        let task =
            tokio::task::spawn_blocking(move || run::run(&query, what, &sampled, bounds, &flag));
        tokio::pin!(task);
        tokio::select! {
            finished = &mut task => finished,
            _ = tokio::signal::ctrl_c() => {
                cancelled.store(true, Ordering::Relaxed);
                task.await
            }
        }
    });
    finished.map_err(|error| cannot(&error))
}

fn failure(text: &str, timeout: Duration, stopped: Stopped) -> Failure {
    match stopped {
        Stopped::Cancelled => Failure::new(Exit::Interrupted, "the query was cancelled"),
        Stopped::TimedOut => {
            Failure::new(Exit::Failed, format!("the query took longer than {timeout}: `{text}`"))
                .hint("Shorten the range, lengthen the step, or allow more with --timeout.")
        }
        Stopped::Failed(error) => problem::not_evaluated(text, &error),
    }
}

fn show(answer: &Answer) -> Outcome {
    match (&answer.result, answer.what) {
        (Answered::Value(value), What::At(at)) => {
            say(format!("At {at}:"));
            match value {
                Value::Scalar(point) => print(&format!("{}\n", figure(point.value))),
                Value::Text(text) => print(&format!("{text}\n")),
                Value::Vector(samples) => vector(samples),
                Value::Matrix(matrix) => raw(matrix),
            }
        }
        (Answered::Matrix(matrix), What::Range(from, until, step)) => {
            say(format!("From {from} to {until}, every {step}:"));
            lines(matrix, from.unix_millis(), until.unix_millis(), step.millis())
        }
        // An instant gives a value and a range gives a matrix.
        (Answered::Matrix(matrix), What::At(_)) => raw(matrix),
        (Answered::Value(_), What::Range(..)) => Ok(Exit::Done),
    }
}

fn nothing() -> Outcome {
    say("The query gives nothing: that is missing data, not a zero.");
    Ok(Exit::Done)
}

fn vector(samples: &[Sample]) -> Outcome {
    if samples.is_empty() {
        return nothing();
    }
    let rows = samples.iter().map(|sample| vec![sample.labels.to_string(), figure(sample.value)]);
    print(&table(&["series", "value"], rows))
}

/// The samples themselves: one line for each.
fn raw(matrix: &Matrix) -> Outcome {
    if matrix.series.is_empty() {
        return nothing();
    }
    let rows = matrix.series.iter().flat_map(|series| {
        let name = series.labels.to_string();
        let rows = series.points.iter().map(move |point| {
            let at = base::Instant::from_unix_millis(point.t_ms).to_string();
            vec![name.clone(), at, figure(point.value)]
        });
        rows.collect::<Vec<_>>()
    });
    print(&table(&["series", "at", "value"], rows))
}

/// One line for each series: how it ran, and its extremes.
fn lines(matrix: &Matrix, from_ms: i64, until_ms: i64, step_ms: i64) -> Outcome {
    if matrix.series.is_empty() {
        return nothing();
    }
    let steps = usize::try_from((until_ms - from_ms) / step_ms.max(1)).unwrap_or(0) + 1;
    let rows = matrix.series.iter().map(|series| {
        let mut values = vec![None; steps];
        for point in &series.points {
            let index = usize::try_from((point.t_ms - from_ms) / step_ms.max(1)).unwrap_or(0);
            if let Some(value) = values.get_mut(index) {
                *value = Some(point.value).filter(|value| value.is_finite());
            }
        }
        let (low, high) = extremes(series);
        let last = series.points.last().map_or(f64::NAN, |point| point.value);
        vec![
            series.labels.to_string(),
            sparkline(&values, LINE),
            figure(low),
            figure(high),
            figure(last),
            format!("{} of {}", series.points.len(), count(steps, "point", "points")),
        ]
    });
    print(&table(&["series", "", "min", "max", "last", "present"], rows))
}

fn extremes(series: &MatrixSeries) -> (f64, f64) {
    let values = series.points.iter().map(|point| point.value).filter(|value| !value.is_nan());
    let found = values.fold(None, |found: Option<(f64, f64)>, value| {
        let (low, high) = found.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    found.unwrap_or((f64::NAN, f64::NAN))
}
