//! One finding for people: what was asked, what was measured, where it broke, what would change it.

mod around;
mod condition;
mod gaps;
mod trace;

use base::Duration;
use definition::Gate;
use gates::{Evaluation, Finding, Measure};
use samples::SampleSource;

use crate::output::{count, figure, table};

/// Breaks that are listed; the report and the JSON form have more.
const BREAKS_SHOWN: usize = 8;

/// Everything that is known about one finding. With the samples that it rests on, values are those
/// of every step; without them those that the finding itself keeps.
pub fn text(
    evaluation: &Evaluation,
    finding: &Finding,
    gate: &Gate,
    samples: Option<&dyn SampleSource>,
) -> String {
    let mut page = Page::default();
    head(&mut page, evaluation, finding, gate);
    measures(&mut page, finding);
    soak(&mut page, finding);
    coverage(&mut page, finding);
    let traces = trace::traces(finding, trace::step(gate), samples);
    around::write(&mut page, finding, &traces);
    for trace in &traces {
        trace.write(&mut page);
    }
    charts(&mut page, finding, &traces);
    foot(&mut page, finding);
    page.text
}

/// Text with a blank line between its parts, and nothing in it that a terminal would obey.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&diagnostics::render::escape(line.as_ref()));
        self.text.push('\n');
    }

    fn part(&mut self, title: impl AsRef<str>) {
        self.text.push('\n');
        self.line(title);
    }

    fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) {
        for line in table(header, rows).lines() {
            self.line(format!("  {line}"));
        }
    }
}

fn head(page: &mut Page, evaluation: &Evaluation, finding: &Finding, gate: &Gate) {
    let advisory = if finding.advisory { ", advisory" } else { "" };
    page.line(format!("{} ({}{advisory}): {}", finding.title, finding.kind, finding.outcome));
    for reason in &finding.reasons {
        page.line(format!("  {reason}"));
    }
    if let Some(change) = &finding.explanation.would_change {
        page.line(format!("What would change it: {change}"));
    }
    page.part(format!("Rule: {}", finding.rule));
    page.line(format!("Why: {}", finding.why));
    if let definition::OnFail::Reset(phase) = &gate.on_fail {
        page.line(format!("A failure resets the programme to {phase}."));
    }
    let owner = finding.owner.as_deref().unwrap_or("nobody");
    page.line(format!("Owner: {owner}; judged at {} by {}", evaluation.at, evaluation.evaluator));
}

fn measures(page: &mut Page, finding: &Finding) {
    if finding.measures.is_empty() {
        return;
    }
    page.text.push('\n');
    let rows = finding.measures.iter().map(|measure| {
        let value = measure.value.map(|value| quantity(value, &measure.unit));
        vec![
            measure.name.clone(),
            value.unwrap_or_else(|| "not measured".to_owned()),
            format!("{} {}", measure.relation.words(), quantity(measure.threshold, &measure.unit)),
            distance(measure),
        ]
    });
    page.table(&["measured", "value", "threshold", "distance"], rows.collect());
}

fn distance(measure: &Measure) -> String {
    match measure.distance() {
        None => "not known".to_owned(),
        Some(0.0) => "exactly at the threshold".to_owned(),
        Some(distance) => {
            let way = if distance > 0.0 { "met by" } else { "missed by" };
            let share = distance.abs() / measure.threshold.abs();
            let share = match share.is_finite() {
                true => format!(" ({} % of it)", figure((share * 1_000.0).round() / 10.0)),
                false => String::new(),
            };
            format!("{way} {}{share}", quantity(distance.abs(), &measure.unit))
        }
    }
}

fn soak(page: &mut Page, finding: &Finding) {
    let Some(soak) = &finding.soak else { return };
    page.part(format!(
        "Soak: {} of {} accrued, {} remaining, longest run {}, {}",
        soak.accrued,
        soak.required,
        soak.remaining,
        soak.longest_run,
        count(soak.breaks_total as usize, "break", "breaks")
    ));
    if let Some(since) = soak.since {
        page.line(format!("  The run that counts began at {since}."));
    }
    if let Some(at) = soak.eligible_at {
        page.line(format!("  It can be complete at {at} at the earliest."));
    }
    let hidden = soak.breaks.len().saturating_sub(BREAKS_SHOWN);
    if hidden > 0 {
        page.line(format!("  The latest {BREAKS_SHOWN} breaks:"));
    }
    for one in soak.breaks.iter().skip(hidden) {
        let value = one.value.map_or(String::new(), |value| format!(" (value {})", figure(value)));
        page.line(format!("  {} broke at {}{value}", one.condition, one.at));
    }
}

fn coverage(page: &mut Page, finding: &Finding) {
    let Some(coverage) = &finding.coverage else { return };
    page.part(format!("Window: {} to {}", coverage.from, coverage.until));
    if coverage.warm_up.is_positive() {
        page.line(format!("  {} before it were left out as warm-up.", coverage.warm_up));
    }
    // Rounded down: 99.99 % is not everything.
    let share = (coverage.share() * 10_000.0).floor() / 100.0;
    page.line(format!(
        "  Coverage: {} of {} ({} %)",
        coverage.present,
        count(coverage.expected as usize, "point", "points"),
        figure(share)
    ));
    for line in gaps::lines(finding, coverage) {
        page.line(format!("  {line}"));
    }
}

/// Series that are drawn and belong to no query.
fn charts(page: &mut Page, finding: &Finding, traces: &[trace::Trace]) {
    let others = finding.explanation.series.iter().filter(|series| {
        let is_shown = |trace: &trace::Trace| trace.title.eq_ignore_ascii_case(&series.title);
        !traces.iter().any(is_shown)
    });
    let rows: Vec<Vec<String>> = others
        .map(|series| {
            let values: Vec<Option<f64>> = series.points.iter().map(|point| point.value).collect();
            let (low, high) = trace::extremes(&values);
            let shown =
                |value: Option<f64>| value.map_or("–".to_owned(), |v| quantity(v, &series.unit));
            let line = crate::output::sparkline(&values, trace::LINE);
            vec![series.title.clone(), line, shown(low), shown(high)]
        })
        .collect();
    if !rows.is_empty() {
        page.part("Beside it, not judged:");
        page.table(&["value", "", "min", "max"], rows);
    }
}

fn foot(page: &mut Page, finding: &Finding) {
    let explanation = &finding.explanation;
    if !explanation.steps.is_empty() {
        page.part("How it was computed:");
        for step in &explanation.steps {
            page.line(format!("  {step}"));
        }
    }
    if !finding.evidence.is_empty() {
        page.part("Evidence:");
        for digest in &finding.evidence {
            page.line(format!("  {digest}"));
        }
    }
}

/// A value with its unit. Times are written as people say them.
fn quantity(value: f64, unit: &str) -> String {
    let seconds = match unit {
        "h" => value * 3_600.0,
        "min" => value * 60.0,
        _ if unit.is_empty() => return figure(value),
        _ => return format!("{} {unit}", figure(value)),
    };
    Duration::from_seconds(seconds.round() as i64).to_string()
}

#[cfg(test)]
mod tests;
