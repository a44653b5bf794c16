//! The steps around the first breach, and around its end.

use base::Instant;
use gates::Finding;

use super::Page;
use super::trace::{Step, Trace};

/// Steps that are shown before and after each turn.
const REACH: usize = 3;
/// Queries that are shown side by side.
const COLUMNS: usize = 4;

/// Writes the table, when there was a breach and its steps are known.
pub(super) fn write(page: &mut Page, finding: &Finding, traces: &[Trace]) {
    let stated = finding.explanation.first_breach;
    let Some(first) = stated.or_else(|| first_beyond(traces)) else { return };
    let last = finding.explanation.last_breach;
    page.part(match (stated, last.filter(|last| *last != first)) {
        // Each value is only a part of what is judged.
        (None, _) => format!("First beyond the threshold: {first}"),
        (Some(_), Some(last)) => format!("First breach {first}, last breach {last}"),
        (Some(_), None) => format!("One breach, {first}"),
    });
    let shown = columns(traces, first);
    let Some(guide) = shown.first() else { return };
    let at = |at: Instant| guide.points.partition_point(|step| step.at < at);
    let begin = at(first);
    let end = shown.iter().filter_map(|trace| ends(trace, begin)).max();
    let mut header = vec!["at"];
    header.extend(shown.iter().map(|trace| trace.title.as_str()));
    let mut rows = Vec::new();
    let until = (begin + REACH).min(guide.points.len());
    rows.extend((begin.saturating_sub(REACH)..until).filter_map(|index| row(&shown, index)));
    if let Some(end) = end {
        let from = end.saturating_sub(REACH).max(until);
        if from > until {
            rows.push(vec!["…".to_owned(); header.len()]);
        }
        let until = (end + REACH).min(guide.points.len());
        rows.extend((from..until).filter_map(|index| row(&shown, index)));
    }
    page.table(&header, rows);
}

fn first_beyond(traces: &[Trace]) -> Option<Instant> {
    let broken = |trace: &Trace| {
        let first = trace.points.iter().find(|step| step.holds == Some(false));
        first.map(|step| step.at)
    };
    traces.iter().filter_map(broken).min()
}

/// The queries whose rule did not hold, or that had no value, at the breach or soon after. All of
/// them have to have the same steps to stand side by side.
fn columns(traces: &[Trace], first: Instant) -> Vec<&Trace> {
    let touched = |trace: &&Trace| {
        let near = trace.points.iter().skip_while(|step| step.at < first).take(2 * REACH);
        let is_bad = |step: &Step| step.holds == Some(false) || step.value.is_none();
        near.into_iter().any(is_bad)
    };
    let found: Vec<&Trace> = traces.iter().filter(touched).collect();
    let Some(steps) = found.first().map(|trace| trace.points.len()) else { return Vec::new() };
    found.into_iter().filter(|trace| trace.points.len() == steps).take(COLUMNS).collect()
}

/// The first step after `begin` at which the query holds again and has a value.
fn ends(trace: &Trace, begin: usize) -> Option<usize> {
    let is_bad = |step: &Step| step.holds == Some(false) || step.value.is_none();
    let broken = (begin..trace.points.len()).find(|index| is_bad(&trace.points[*index]))?;
    (broken..trace.points.len()).find(|index| !is_bad(&trace.points[*index]))
}

fn row(traces: &[&Trace], index: usize) -> Option<Vec<String>> {
    let at = traces.first()?.points.get(index)?.at;
    let mut row = vec![at.to_string()];
    for trace in traces {
        row.push(trace.points.get(index).map_or(String::new(), |step| trace.shown(step)));
    }
    Some(row)
}
