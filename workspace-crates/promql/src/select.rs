//! The series that windows slide over, where they are needed all at once.

use std::sync::Arc;

use samples::{Labels, METRIC_NAME, Series, is_stale};

use crate::ast::{Node, Subquery};
use crate::column::{Column, is_present};
use crate::context::{Context, Grid, Shifted};
use crate::error::Failure;
use crate::eval::mistyped;
use crate::value::{Matrix, MatrixSeries, Point};

/// How long a sample stands for its series: 5 minutes, the default of Prometheus.
pub(crate) const LOOKBACK_MS: i64 = 300_000;

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

/// The series and windows of an argument that is a range selector or a subquery.
pub(crate) fn windows(ctx: &Context<'_>, node: &Node, grid: Grid) -> Result<Windows, Failure> {
    match node {
        Node::Range(selector, range_ms) => {
            let ends = ctx.shifted(selector.shift, grid);
            let after_ms = ends.first_ms - range_ms;
            let series = ctx.source.select(&selector.matchers, after_ms, ends.last_ms())?;
            ctx.charge(series.iter().map(|s| s.values().len()).sum())?;
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
    let (times_ms, values) = fresh(&times_ms, &values);
    Stream { labels, drops_name: false, times_ms: Arc::new(times_ms), values }
}

/// The samples that are no staleness markers.
pub(crate) fn fresh(times_ms: &[i64], values: &[f64]) -> (Vec<i64>, Vec<f64>) {
    let fresh = times_ms.iter().zip(values).filter(|(_, value)| !is_stale(**value));
    fresh.map(|(t, v)| (*t, *v)).unzip()
}

/// The times at which the inner query of a subquery is evaluated for all windows: multiples of its
/// step. `None` when there are none.
pub(crate) fn inner_grid(
    ctx: &Context<'_>,
    subquery: &Subquery,
    ends: Shifted,
) -> Result<Option<Grid>, Failure> {
    let step_ms = subquery.step_ms;
    let after_ms = ends.first_ms - subquery.range_ms;
    let start_ms = (after_ms.div_euclid(step_ms) + 1) * step_ms;
    if start_ms > ends.last_ms() {
        return Ok(None);
    }
    let inner = Grid::new(start_ms, ends.last_ms(), step_ms)?;
    ctx.check_steps(inner)?;
    Ok(Some(inner))
}

/// Evaluates the inner query once for all windows, at the multiples of the subquery's step.
fn subquery_windows(
    ctx: &Context<'_>,
    subquery: &Subquery,
    grid: Grid,
) -> Result<Windows, Failure> {
    let range_ms = subquery.range_ms;
    let ends = ctx.shifted(subquery.shift, grid);
    let Some(inner) = inner_grid(ctx, subquery, ends)? else {
        return Ok(Windows { streams: Vec::new(), ends, range_ms });
    };
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
    // Absence is written as staleness is.
    let (times_ms, values) = fresh(all_times, &values);
    Stream { labels, drops_name, times_ms: Arc::new(times_ms), values }
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
