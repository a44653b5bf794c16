use gates::{Coverage, SoakProgress};
use serde::Serialize;

use super::{Badge, outcome_badge};
use crate::model::{FindingModel, MeasureModel};
use crate::{chart, words};

/// One gate in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GateView {
    pub(crate) anchor: String,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) owner: Option<String>,
    pub(crate) advisory: bool,
    pub(crate) why: String,
    pub(crate) badge: Badge,
    pub(crate) waiver: Option<String>,
    pub(crate) rule: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) measures: Vec<MeasureView>,
    pub(crate) coverage: Option<CoverageView>,
    pub(crate) soak: Option<SoakView>,
    pub(crate) evidence: Vec<String>,
    pub(crate) queries: Vec<QueryView>,
    pub(crate) steps: Vec<String>,
    pub(crate) breaches: Option<String>,
    pub(crate) would_change: Option<String>,
    pub(crate) charts: Vec<ChartView>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct MeasureView {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) rule: String,
    pub(crate) distance: String,
    pub(crate) class: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct CoverageView {
    pub(crate) share: String,
    pub(crate) detail: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct SoakView {
    pub(crate) accrued: String,
    pub(crate) required: String,
    pub(crate) remaining: String,
    pub(crate) longest: String,
    pub(crate) percent: u32,
    pub(crate) since: String,
    pub(crate) eligible: Option<String>,
    pub(crate) breaks: Vec<BreakView>,
    pub(crate) breaks_note: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct BreakView {
    pub(crate) at: String,
    pub(crate) condition: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueryView {
    pub(crate) name: String,
    pub(crate) query: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChartView {
    pub(crate) title: String,
    pub(crate) svg: String,
    pub(crate) legend: &'static str,
}

const LINE_LEGEND: &str = "Line: measured. Dashed line: threshold. Triangles: breaks of the soak. Thin hatching: no data.";
const LANES_LEGEND: &str = "Solid: the condition holds. Bold stripes: it does not hold. Thin hatching: no data. Triangles: breaks.";
/// Breaks in the table; the JSON form has all that the finding lists.
const BREAKS_SHOWN: usize = 12;

impl GateView {
    /// Puts a finding into words; `track` makes its anchor unique on the page.
    pub(super) fn of(track: &str, finding: &FindingModel) -> Self {
        Self {
            anchor: format!("{track}-{}", finding.gate),
            id: finding.gate.to_string(),
            title: finding.title.clone(),
            kind: finding.kind.clone(),
            owner: finding.owner.clone(),
            advisory: finding.advisory,
            why: finding.why.clone(),
            badge: outcome_badge(finding.outcome),
            waiver: finding.waiver.as_ref().map(|waiver| {
                let until = words::short_date(waiver.expires);
                format!("Waived until {until} (ledger entry {}): {}", waiver.entry, waiver.reason)
            }),
            rule: finding.rule.clone(),
            reasons: finding.reasons.clone(),
            measures: finding.measures.iter().map(measure).collect(),
            coverage: finding.coverage.as_ref().map(coverage),
            soak: finding.soak.as_ref().map(soak),
            evidence: finding.evidence.iter().map(ToString::to_string).collect(),
            queries: queries(finding),
            steps: finding.steps.clone(),
            breaches: breaches(finding),
            would_change: finding.would_change.clone(),
            charts: charts(finding),
        }
    }
}

fn measure(measure: &MeasureModel) -> MeasureView {
    let unit = &measure.unit;
    let value = measure.value.map_or("not measured".into(), |value| words::quantity(value, unit));
    let (class, met) = match measure.met {
        Some(true) => ("pass", "met"),
        Some(false) => ("fail", "missed"),
        None => ("inconclusive", ""),
    };
    let distance = match measure.distance {
        None => "not known".to_owned(),
        Some(0.0) => format!("{met} exactly at the threshold"),
        Some(distance) => format!("{met} by {}", words::quantity(distance.abs(), unit)),
    };
    let relation = measure.relation.words();
    MeasureView {
        name: measure.name.clone(),
        value,
        rule: format!("{relation} {}", words::quantity(measure.threshold, unit)),
        distance,
        class,
    }
}

fn coverage(coverage: &Coverage) -> CoverageView {
    let warm_up = if coverage.warm_up.is_positive() {
        format!("; {} of warm-up before it is left out", words::length(coverage.warm_up))
    } else {
        String::new()
    };
    CoverageView {
        share: words::percent(coverage.share()),
        detail: format!(
            "{} of {} expected points, longest gap {}, from {} until {}{warm_up}",
            words::count(coverage.present),
            words::count(coverage.expected),
            words::length(coverage.longest_gap),
            words::short_date(coverage.from),
            words::short_date(coverage.until)
        ),
    }
}

fn soak(soak: &SoakProgress) -> SoakView {
    let required = soak.required.seconds();
    let share = if required > 0.0 { soak.accrued.seconds() / required } else { 0.0 };
    let shown = soak.breaks.len().min(BREAKS_SHOWN);
    let breaks_note = match soak.breaks_total {
        0 => "No break.".to_owned(),
        total if total as usize == shown => format!("{} in all.", plural(total)),
        total => format!("{} in all; the latest {shown} are shown.", plural(total)),
    };
    let latest = soak.breaks.iter().skip(soak.breaks.len() - shown);
    SoakView {
        accrued: words::length(soak.accrued),
        required: words::length(soak.required),
        remaining: words::length(soak.remaining),
        longest: words::length(soak.longest_run),
        // Rounded down: 99.9 % is not done.
        percent: (share * 100.0).clamp(0.0, 100.0).floor() as u32,
        since: soak.since.map_or("does not hold now".into(), words::short_date),
        eligible: soak.eligible_at.map(words::short_date),
        breaks: latest
            .map(|one| BreakView {
                at: words::exact_date(one.at),
                condition: one.condition.clone(),
                value: one.value.map_or("–".into(), words::number),
            })
            .collect(),
        breaks_note,
    }
}

fn plural(total: u64) -> String {
    if total == 1 { "1 break".to_owned() } else { format!("{} breaks", words::count(total)) }
}

fn queries(finding: &FindingModel) -> Vec<QueryView> {
    let queries = finding.queries.iter();
    queries.map(|(name, query)| QueryView { name: name.clone(), query: query.clone() }).collect()
}

fn breaches(finding: &FindingModel) -> Option<String> {
    let first = finding.first_breach?;
    Some(match finding.last_breach {
        Some(last) if last != first => format!(
            "First breach {}, last breach {}.",
            words::exact_date(first),
            words::exact_date(last)
        ),
        _ => format!("One breach, {}.", words::exact_date(first)),
    })
}

fn charts(finding: &FindingModel) -> Vec<ChartView> {
    let mut charts = Vec::new();
    let breaks = finding.soak.as_ref().map_or(&[][..], |soak| &soak.breaks);
    // Beside the conditions of a soak, values are drawn; one that is 0 all the time, such as a count
    // of restarts, is no condition that does not hold.
    let is_condition = |series: &&gates::Series| {
        let is_named = || finding.queries.iter().any(|(name, _)| *name == series.title);
        chart::is_condition(series) && (finding.soak.is_none() || is_named())
    };
    let (conditions, others): (Vec<_>, Vec<_>) = finding.series.iter().partition(is_condition);
    if let Some(svg) = chart::lanes(&conditions, finding.soak.as_ref()) {
        let title = if finding.soak.is_some() { "Conditions of the soak" } else { "Conditions" };
        charts.push(ChartView { title: title.to_owned(), svg, legend: LANES_LEGEND });
    }
    charts.extend(others.into_iter().filter_map(|series| {
        let svg = chart::line(series, breaks)?;
        Some(ChartView { title: series.title.clone(), svg, legend: "" })
    }));
    // One legend under the last line serves all of them.
    if let Some(last) = charts.last_mut().filter(|chart| chart.legend.is_empty()) {
        last.legend = LINE_LEGEND;
    }
    charts
}
