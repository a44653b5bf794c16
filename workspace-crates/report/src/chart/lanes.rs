use base::{Duration, Instant};
use gates::{Break, Series, SoakProgress};

use super::WIDTH;
use super::axis::{TimeAxis, span};
use super::svg::{Svg, shorten};
use crate::words;

const LEFT: f64 = 150.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 30.0;
const LANE: f64 = 17.0;
const STRIDE: f64 = 25.0;

/// Whether a series only says "holds" (1) and "does not hold" (0), and so is drawn as a lane.
pub(crate) fn is_condition(series: &Series) -> bool {
    if series.threshold.is_some() {
        return false;
    }
    let mut values = series.points.iter().filter_map(|point| point.value).peekable();
    values.peek().is_some() && values.all(|value| value == 0.0 || value == 1.0)
}

/// One lane for each condition; for a soak the breaks above them and the current run below.
pub(crate) fn lanes(conditions: &[&Series], soak: Option<&SoakProgress>) -> Option<String> {
    let instants = conditions.iter().flat_map(|series| series.points.iter().map(|point| point.at));
    let (from, until) = span(instants)?;
    let time = TimeAxis { from, until, left: LEFT, right: RIGHT };
    let lanes_bottom = TOP + STRIDE * conditions.len() as f64;
    let bottom = if soak.is_some() { lanes_bottom + STRIDE } else { lanes_bottom };

    let mut svg = Svg::new(WIDTH, bottom + 24.0, &description(conditions, soak));
    time.draw(&mut svg, TOP - 4.0, bottom, 8);
    for (index, series) in conditions.iter().enumerate() {
        let y = TOP + STRIDE * index as f64;
        svg.text("lane-label", (LEFT - 9.0, y + 13.0), "end", &shorten(&series.title, 22));
        svg.rect("lane", (LEFT, y), (RIGHT - LEFT, LANE), 2.0);
        for (class, start, end) in stretches(series, until) {
            let x = time.x(start);
            svg.rect(class, (x, y), ((time.x(end) - x).max(1.2), LANE), 0.0);
        }
    }
    if let Some(soak) = soak {
        draw_run(&mut svg, &time, soak, lanes_bottom);
        draw_breaks(&mut svg, &time, &soak.breaks, bottom - 4.0);
    }
    Some(svg.finish())
}

/// The run that counts now, with its length.
fn draw_run(svg: &mut Svg, time: &TimeAxis, soak: &SoakProgress, y: f64) {
    svg.text("lane-label strong", (LEFT - 9.0, y + 13.0), "end", "counts as soak");
    let Some(since) = soak.since else {
        svg.text("lane-note", (LEFT + 4.0, y + 13.0), "start", "nothing at the end of the window");
        return;
    };
    let (x, end) = (time.x(since), time.x(since + soak.accrued));
    svg.rect("run", (x, y), ((end - x).max(1.5), LANE), 2.0);
    let label = format!("{} of {}", words::length(soak.accrued), words::length(soak.required));
    if end - x > 150.0 {
        svg.text("run-label", ((x + end) / 2.0, y + 12.7), "middle", &label);
    } else if x - LEFT > 150.0 {
        svg.text("lane-note", (x - 6.0, y + 13.0), "end", &label);
    } else {
        svg.text("lane-note", (end + 6.0, y + 13.0), "start", &label);
    }
}

fn draw_breaks(svg: &mut Svg, time: &TimeAxis, breaks: &[Break], bottom: f64) {
    for one in breaks {
        let x = time.x(one.at);
        svg.line("break", (x, TOP - 5.0), (x, bottom));
        svg.marker("break-mark", (x, TOP - 5.0));
    }
    // Names only where they cannot run into each other.
    if let [only] = breaks {
        let x = time.x(only.at);
        let label = format!("{}, {}", only.condition, words::short_date(only.at));
        let (at, anchor) = if x > WIDTH / 2.0 { (x - 8.0, "end") } else { (x + 8.0, "start") };
        svg.text("break-label", (at, TOP - 12.0), anchor, &shorten(&label, 60));
    }
}

/// Stretches of equal state: class, start, end.
fn stretches(series: &Series, until: Instant) -> Vec<(&'static str, Instant, Instant)> {
    let mut found: Vec<(&'static str, Instant, Instant)> = Vec::new();
    for (index, point) in series.points.iter().enumerate() {
        let class = match point.value {
            Some(value) if value >= 0.5 => "holds",
            Some(_) => "fails",
            None => "nodata",
        };
        let end = series.points.get(index + 1).map_or(until, |next| next.at);
        match found.last_mut() {
            Some((last, _, last_end)) if *last == class => *last_end = end,
            _ => found.push((class, point.at, end)),
        }
    }
    found.retain(|(_, start, end)| *end - *start > Duration::ZERO);
    found
}

fn description(conditions: &[&Series], soak: Option<&SoakProgress>) -> String {
    let names: Vec<&str> = conditions.iter().map(|series| series.title.as_str()).collect();
    let names = names.join(", ");
    match soak {
        None => format!("Over time, whether these hold: {names}"),
        Some(soak) => format!(
            "Conditions {names} over time; {} of {} accrued, breaks: {}",
            words::length(soak.accrued),
            words::length(soak.required),
            soak.breaks_total
        ),
    }
}
