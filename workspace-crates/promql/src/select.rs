//! Reads samples: instant selectors, and the series that windows slide over.

use std::sync::Arc;

use samples::{Labels, METRIC_NAME, Series, is_stale};

use crate::ast::{Node, Selector, Subquery};
use crate::column::{ABSENT, Column, is_present};
use crate::error::Failure;
use crate::eval::{Context, Grid, Shifted, mistyped};
use crate::value::{Matrix, MatrixSeries, Point};

/// How long a sample stands for its series: 5 minutes, the default of Prometheus.
const LOOKBACK_MS: i64 = 300_000;

/// The samples of one series, without staleness markers, in time.
pub(crate) struct Stream {
    pub(crate) labels: Labels,
    pub(crate) drops_name: bool,
    pub(crate) times_ms: Arc<Vec<i64>>,
    pub(crate) values: Vec<f64>,
}

/// Series, and the windows over them: for each step the samples in `end - range < t <= end`.
pub(crate) struct Windows {
    pub(crate) streams: Vec<Stream>,
    pub(crate) ends: Shifted,
    pub(crate) range_ms: i64,
}

fn read(
    ctx: &Context<'_>,
    selector: &Selector,
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<Series>, Failure> {
    let series = ctx.source.select(&selector.matchers, start_ms, end_ms)?;
    ctx.charge(series.iter().map(|s| s.values().len()).sum())?;
    Ok(series)
}

/// The latest sample of each series at each step, unless it is stale or older than the look-back.
pub(crate) fn instant_columns(
    ctx: &Context<'_>,
    selector: &Selector,
    grid: Grid,
) -> Result<Vec<Column>, Failure> {
    latest(ctx, selector, grid, |_, value| value)
}

/// The times in seconds of the samples that [`instant_columns`] gives.
pub(crate) fn instant_times(
    ctx: &Context<'_>,
    selector: &Selector,
    grid: Grid,
) -> Result<Vec<Column>, Failure> {
    latest(ctx, selector, grid, |time_ms, _| time_ms as f64 / 1_000.0)
}

fn latest(
    ctx: &Context<'_>,
    selector: &Selector,
    grid: Grid,
    take: impl Fn(i64, f64) -> f64,
) -> Result<Vec<Column>, Failure> {
    let at = ctx.shifted(selector.shift, grid);
    let mut columns = Vec::new();
    for series in read(ctx, selector, at.first_ms - LOOKBACK_MS, at.last_ms())? {
        ctx.charge(grid.count)?;
        let (times, values) = (series.times_ms(), series.values());
        let mut next = 0;
        let found = (0..at.distinct()).map(|step| {
            let time = at.time(step);
            while next < times.len() && times[next] <= time {
                next += 1;
            }
            match next.checked_sub(1) {
                Some(last) if times[last] > time - LOOKBACK_MS && !is_stale(values[last]) => {
                    take(times[last], values[last])
                }
                _ => ABSENT,
            }
        });
        let found = at.spread(found.collect());
        columns.push(Column { labels: series.labels().clone(), drops_name: false, values: found });
    }
    columns.retain(Column::has_values);
    Ok(columns)
}

/// The series and windows of an argument that is a range selector or a subquery.
pub(crate) fn windows(ctx: &Context<'_>, node: &Node, grid: Grid) -> Result<Windows, Failure> {
    match node {
        Node::Range(selector, range_ms) => {
            let ends = ctx.shifted(selector.shift, grid);
            let series = read(ctx, selector, ends.first_ms - range_ms, ends.last_ms())?;
            let streams = series.into_iter().map(stream_of_series).collect();
            Ok(Windows { streams, ends, range_ms: *range_ms })
        }
        Node::Subquery(subquery) => subquery_windows(ctx, subquery, grid),
        _ => Err(mistyped("a range vector")),
    }
}

fn stream_of_series(series: Series) -> Stream {
    let (labels, times_ms, values) = series.into_parts();
    if !values.iter().any(|v| is_stale(*v)) {
        return Stream { labels, drops_name: false, times_ms, values };
    }
    let fresh = times_ms.iter().zip(&values).filter(|(_, value)| !is_stale(**value));
    let (times, values): (Vec<i64>, Vec<f64>) = fresh.map(|(t, v)| (*t, *v)).unzip();
    Stream { labels, drops_name: false, times_ms: Arc::new(times), values }
}

/// Evaluates the inner query once for all windows, at the multiples of the subquery's step.
fn subquery_windows(
    ctx: &Context<'_>,
    subquery: &Subquery,
    grid: Grid,
) -> Result<Windows, Failure> {
    let (range_ms, step_ms) = (subquery.range_ms, subquery.step_ms);
    let ends = ctx.shifted(subquery.shift, grid);
    let after_ms = ends.first_ms - range_ms;
    let start_ms = (after_ms.div_euclid(step_ms) + 1) * step_ms;
    if start_ms > ends.last_ms() {
        return Ok(Windows { streams: Vec::new(), ends, range_ms });
    }
    let inner = Grid::new(start_ms, ends.last_ms(), step_ms)?;
    ctx.check_steps(inner)?;
    let columns = ctx.vector(&subquery.expr, inner)?;
    let all_times = Arc::new(inner.times().collect::<Vec<_>>());
    let streams = columns.into_iter().map(|column| stream_of_column(column, &all_times));
    Ok(Windows { streams: streams.collect(), ends, range_ms })
}

fn stream_of_column(column: Column, all_times: &Arc<Vec<i64>>) -> Stream {
    let Column { labels, drops_name, values } = column;
    if values.iter().all(|v| is_present(*v)) {
        return Stream { labels, drops_name, times_ms: Arc::clone(all_times), values };
    }
    let present = all_times.iter().zip(&values).filter(|(_, value)| is_present(**value));
    let (times, values): (Vec<i64>, Vec<f64>) = present.map(|(t, v)| (*t, *v)).unzip();
    Stream { labels, drops_name, times_ms: Arc::new(times), values }
}

/// The samples of the only window of an instant query that is a range selector or a subquery.
pub(crate) fn samples_at(ctx: &Context<'_>, node: &Node, grid: Grid) -> Result<Matrix, Failure> {
    let windows = windows(ctx, node, grid)?;
    let mut series: Vec<MatrixSeries> = Vec::new();
    for stream in windows.streams {
        let drops_name = stream.drops_name;
        let labels = stream.labels.filtered(|name| !drops_name || name != METRIC_NAME);
        let pairs = stream.times_ms.iter().zip(stream.values);
        let points: Vec<Point> = pairs.map(|(t_ms, value)| Point { t_ms: *t_ms, value }).collect();
        if !points.is_empty() {
            series.push(MatrixSeries { labels, points });
        }
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    if let Some(pair) = series.windows(2).find(|pair| pair[0].labels == pair[1].labels) {
        return Err(Failure::DuplicateSeries { labels: pair[0].labels.to_string() });
    }
    Ok(Matrix { series })
}
