use base::Instant;
use gates::{Break, Series};

use super::WIDTH;
use super::axis::{TimeAxis, round_values, span};
use super::svg::{Svg, shorten};
use crate::words;

const HEIGHT: f64 = 210.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 24.0;
const VALUES_MAX: f64 = 1e300;

/// A series over time with its threshold, its gaps and the breaks of the soak it belongs to.
/// Nothing is drawn for a series without any value.
pub(crate) fn line(series: &Series, breaks: &[Break]) -> Option<String> {
    let values = series.points.iter().filter_map(|point| usable(point.value));
    let scale = values.chain(usable(series.threshold));
    let (low, high) =
        scale.fold((f64::MAX, f64::MIN), |(l, h), value| (l.min(value), h.max(value)));
    if !series.points.iter().any(|point| usable(point.value).is_some()) {
        return None;
    }
    // A scale that begins at zero unless that would flatten the line.
    let low = if low > 0.0 && low < 0.6 * high { 0.0 } else { low };
    let marks = round_values(low, high);
    let (first, last) = (*marks.first()?, *marks.last()?);
    let (from, until) = span(series.points.iter().map(|point| point.at))?;
    let time = TimeAxis { from, until, left: LEFT, right: RIGHT };
    let y = |value: f64| BOTTOM - (value - first) / (last - first) * (BOTTOM - TOP);

    let mut svg = Svg::new(WIDTH, HEIGHT, &description(series));
    time.draw(&mut svg, TOP, BOTTOM, 9);
    for mark in &marks {
        svg.line("grid", (LEFT, y(*mark)), (RIGHT, y(*mark)));
        svg.text("tick", (LEFT - 7.0, y(*mark) + 4.0), "end", &words::number(*mark));
    }
    svg.text("unit", (LEFT - 7.0, TOP - 13.0), "end", &shorten(&series.unit, 9));
    for (start, end) in gaps(series) {
        let x = time.x(start);
        svg.rect("nodata", (x, TOP), ((time.x(end) - x).max(1.5), BOTTOM - TOP), 0.0);
    }
    draw_breaks(&mut svg, &time, breaks);
    if let Some(threshold) = usable(series.threshold) {
        svg.line("threshold", (LEFT, y(threshold)), (RIGHT, y(threshold)));
        let label = format!("- - threshold {}", words::quantity(threshold, &series.unit));
        svg.text("limit", (LEFT + 4.0, TOP - 13.0), "start", &shorten(&label, 48));
    }
    for run in runs(series) {
        let points: Vec<_> = run.iter().map(|(at, value)| (time.x(*at), y(*value))).collect();
        svg.path("line", &points);
    }
    Some(svg.finish())
}

/// Marks above the plot and lines through it.
fn draw_breaks(svg: &mut Svg, time: &TimeAxis, breaks: &[Break]) {
    for one in breaks.iter().filter(|one| time.from <= one.at && one.at <= time.until) {
        let x = time.x(one.at);
        svg.line("break", (x, TOP), (x, BOTTOM));
        svg.marker("break-mark", (x, TOP));
    }
}

/// A finite value that can be drawn.
fn usable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() < VALUES_MAX)
}

/// Runs of points without a gap.
fn runs(series: &Series) -> Vec<Vec<(Instant, f64)>> {
    let runs = series.points.split(|point| usable(point.value).is_none());
    let runs = runs.map(|run| {
        run.iter().filter_map(|point| Some((point.at, usable(point.value)?))).collect::<Vec<_>>()
    });
    runs.filter(|run| !run.is_empty()).collect()
}

/// Where values are missing: from the last value before to the first value after.
fn gaps(series: &Series) -> Vec<(Instant, Instant)> {
    let mut gaps = Vec::new();
    let mut began: Option<Instant> = None;
    let mut before: Option<Instant> = None;
    for point in &series.points {
        match (usable(point.value), began) {
            (None, None) => began = Some(before.unwrap_or(point.at)),
            (Some(_), Some(start)) => {
                gaps.push((start, point.at));
                began = None;
            }
            _ => {}
        }
        before = Some(point.at);
    }
    if let (Some(start), Some(end)) = (began, before) {
        gaps.push((start, end));
    }
    gaps
}

fn description(series: &Series) -> String {
    let values: Vec<f64> = series.points.iter().filter_map(|point| usable(point.value)).collect();
    let low = values.iter().copied().fold(f64::MAX, f64::min);
    let high = values.iter().copied().fold(f64::MIN, f64::max);
    let unit = &series.unit;
    format!(
        "{}: lowest {}, highest {}",
        series.title,
        words::quantity(low, unit),
        words::quantity(high, unit)
    )
}
