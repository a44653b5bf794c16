use base::{Duration, Instant, PhaseId, Track, VerdictKind};

use super::WIDTH;
use super::axis::{TimeAxis, span};
use super::svg::{Svg, shorten};
use crate::model::PhaseModel;
use crate::{TimelineEvent, TimelineItem};

const LEFT: f64 = 132.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 30.0;
const BAR: f64 = 15.0;
const ROW: f64 = 48.0;

/// A bar: from the deployment of a track until it is taken down, or as far as is known.
struct Bar {
    from: Instant,
    until: Instant,
    planned: bool,
}

/// Phases down, time across: internal and public deployments, evaluations with their verdicts,
/// and dashed what is planned.
pub(crate) fn timeline(
    phases: &[PhaseModel],
    items: &[TimelineItem],
    now: Instant,
) -> Option<String> {
    items.first()?;
    let (from, until) = span(items.iter().map(|item| item.at).chain([now]))?;
    let margin = (until - from).scaled(0.02);
    let time = TimeAxis { from: from - margin, until: until + margin, left: LEFT, right: RIGHT };
    let bottom = TOP + ROW * phases.len() as f64;

    let description = "Course of the programme: deployments and evaluations of each phase";
    let mut svg = Svg::new(WIDTH, bottom + 26.0, description);
    time.draw(&mut svg, TOP - 6.0, bottom, 10);
    draw_now(&mut svg, &time, now, bottom);
    for (index, phase) in phases.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        if index > 0 {
            svg.line("row", (0.0, y - 3.0), (RIGHT, y - 3.0));
        }
        svg.text("phase", (0.0, y + 15.0), "start", &shorten(&phase.name, 18));
        svg.text("phase-title", (0.0, y + 32.0), "start", &shorten(&phase.title, 20));
        for (track, y) in [(Track::Internal, y + 3.0), (Track::Public, y + 23.0)] {
            draw_track(&mut svg, &time, &of(items, &phase.phase, track), track, y, now);
        }
    }
    Some(svg.finish())
}

fn of(items: &[TimelineItem], phase: &PhaseId, track: Track) -> Vec<TimelineItem> {
    items.iter().filter(|item| item.phase == *phase && item.track == track).cloned().collect()
}

fn draw_now(svg: &mut Svg, time: &TimeAxis, now: Instant, bottom: f64) {
    let x = time.x(now);
    svg.line("now", (x, TOP - 8.0), (x, bottom));
    svg.text("now-label", (x, TOP - 13.0), "middle", "this report");
}

fn draw_track(
    svg: &mut Svg,
    time: &TimeAxis,
    items: &[TimelineItem],
    track: Track,
    y: f64,
    now: Instant,
) {
    let name = if track == Track::Internal { "internal" } else { "public" };
    for bar in bars(items, now) {
        let (x, width) = (time.x(bar.from), time.x(bar.until) - time.x(bar.from));
        let class = if bar.planned { "planned" } else { name };
        svg.rect(class, (x, y), (width.max(2.0), BAR), 3.0);
        if width > 62.0 {
            let class = if bar.planned { "bar-label planned-label" } else { "bar-label" };
            svg.text(class, (x + 6.0, y + 11.5), "start", name);
        }
    }
    for item in items {
        if let TimelineEvent::Evaluated(verdict) = item.event {
            let (class, letter) = match verdict {
                VerdictKind::Advance => ("mark advance", "A"),
                VerdictKind::Hold => ("mark hold", "H"),
                VerdictKind::Reset => ("mark reset", "R"),
            };
            let centre = (time.x(item.at), y + BAR / 2.0);
            let class = if item.planned { "mark later" } else { class };
            svg.circle(class, centre, 7.0);
            let letter_class = if item.planned { "letter later-letter" } else { "letter" };
            svg.text(letter_class, (centre.0, centre.1 + 3.6), "middle", letter);
        }
    }
}

/// The bars of one track. A deployment without an end lasts until now, or as long as is planned.
fn bars(items: &[TimelineItem], now: Instant) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut open: Option<&TimelineItem> = None;
    let mut last = None;
    for item in items {
        if matches!(item.event, TimelineEvent::Deployed | TimelineEvent::Ended)
            && let Some(start) = open.take()
        {
            push(&mut bars, start, item.at, now);
        }
        if item.event == TimelineEvent::Deployed {
            open = Some(item);
        }
        last = Some(item.at);
    }
    if let (Some(start), Some(last)) = (open, last) {
        let least = if start.planned { start.at } else { now };
        push(&mut bars, start, last.max(least), now);
    }
    bars
}

/// One bar, cut at now into what happened and what is planned.
fn push(bars: &mut Vec<Bar>, start: &TimelineItem, until: Instant, now: Instant) {
    let from = start.at;
    if start.planned {
        bars.push(Bar { from, until, planned: true });
        return;
    }
    bars.push(Bar { from, until: until.min(now.max(from)), planned: false });
    if until - now > Duration::ZERO {
        bars.push(Bar { from: now.max(from), until, planned: true });
    }
}
