//! `metric`: one number out of a PromQL query, against a threshold.

use base::Duration;
use definition::Phase;
use diagnostics::{Diagnostic, codes};
use serde::Deserialize;

use super::records::OnMissing;
use super::{Gate, KindInfo, ParamInfo, common};
use crate::measure::{self, EvidenceRules, Measured, Measurement, Reduce};
use crate::query::Purpose;
use crate::window::Window;
use crate::{Context, Judgement, Measure, Need, Relation, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "metric",
    summary: "A PromQL query, evaluated at every step of a window and reduced to one number, is at or above, at or below, or equal to a threshold.",
    missing: "Values that are empty, not finite, stale, too few, or with too long a gap are inconclusive, unless the values that are there already break the rule for certain.",
    params: PARAMS,
    example: r#"why = "The phase is about this many transactions a second."
defect = "capped-blocks"
params = { query = "sum(rate(devnet_transactions_total[1h]))", reduce = "mean", window = "deployment", warm_up = "1h", step = "1m", above = 0.02, unit = "tx/s" }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required("query", "PromQL", "What is measured; it must give one series."),
    common::REDUCE,
    common::WINDOW,
    common::STEP,
    ParamInfo::optional("above", "number", "none", "The number must be at or above this."),
    ParamInfo::optional("below", "number", "none", "The number must be at or below this."),
    ParamInfo::optional("equals", "number", "none", "The number must be exactly this."),
    common::UNIT,
    common::WARM_UP,
    common::MIN_COVERAGE,
    common::MAX_GAP,
    common::MAX_STALENESS,
    common::ON_MISSING,
    common::COUNTERS,
    common::SERVER,
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    query: String,
    reduce: Reduce,
    window: Window,
    step: Duration,
    above: Option<f64>,
    below: Option<f64>,
    equals: Option<f64>,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    warm_up: Duration,
    min_coverage: Option<f64>,
    max_gap: Option<Duration>,
    max_staleness: Option<Duration>,
    #[serde(default)]
    on_missing: OnMissing,
    #[serde(default)]
    counters: Vec<String>,
    server: Option<String>,
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    let bounds = bounds(&params, gate, &mut problems);
    measure::check_positive(&gate.params, "step", params.step, &mut problems);
    measure::check_warm_up(&gate.params, params.warm_up, &mut problems);
    let evidence = EvidenceRules {
        min_coverage: params.min_coverage,
        max_gap: params.max_gap,
        max_staleness: params.max_staleness,
        on_missing: params.on_missing,
    };
    evidence.check(&gate.params, &mut problems);
    let query = measure::query_param(
        &gate.params,
        "query",
        &params.query,
        Purpose::Value,
        &params.counters,
        &mut problems,
    );
    let Some(query) = query.filter(|_| problems.is_empty()) else { return Err(problems) };
    let Params { reduce, window, warm_up, step, unit, server, .. } = params;
    let measurement = Measurement { query, reduce, window, warm_up, step, unit, evidence, server };
    Ok(Box::new(Metric { measurement, bounds, title: gate.title.clone() }))
}

fn bounds(
    params: &Params,
    gate: &definition::Gate,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(Relation, f64)> {
    let stated = [
        (Relation::AtLeast, params.above),
        (Relation::AtMost, params.below),
        (Relation::Equals, params.equals),
    ];
    let bounds: Vec<(Relation, f64)> =
        stated.into_iter().filter_map(|(relation, bound)| Some((relation, bound?))).collect();
    if bounds.is_empty() {
        problems.push(
            gate.params
                .problem(codes::NO_CONDITION, "", "this gate measures and compares with nothing")
                .help("state `above`, `below` or `equals`"),
        );
    }
    if params.equals.is_some() && bounds.len() > 1 {
        problems.push(
            gate.params
                .problem(codes::CONFLICT, "equals", "`equals` leaves nothing for another threshold")
                .help("state `equals` alone, or `above` and `below`"),
        );
    }
    if let (Some(above), Some(below)) = (params.above, params.below)
        && above > below
    {
        let message = format!("nothing is at or above {above} and at or below {below}");
        problems.push(gate.params.problem(codes::CONFLICT, "above", message));
    }
    bounds
}

struct Metric {
    measurement: Measurement,
    bounds: Vec<(Relation, f64)>,
    title: String,
}

pub(super) fn holds(relation: Relation, value: f64, threshold: f64) -> bool {
    match relation {
        Relation::AtLeast => value >= threshold,
        Relation::Above => value > threshold,
        Relation::Below => value < threshold,
        Relation::AtMost => value <= threshold,
        Relation::Equals => value == threshold,
    }
}

impl Gate for Metric {
    fn needs(&self) -> Vec<Need> {
        self.measurement.needs()
    }

    fn rule(&self) -> String {
        let Measurement { query, reduce, window, unit, .. } = &self.measurement;
        let bounds: Vec<String> = self
            .bounds
            .iter()
            .map(|(relation, bound)| {
                format!("{} {}", relation.words(), text::quantity(*bound, unit))
            })
            .collect();
        let (window, bounds) = (window.describe(), text::list(&bounds));
        format!("The {reduce} of `{}` {window} is {bounds}.", query.text())
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let mut judgement = self.measurement.judge(context, |it| self.judge_measured(it));
        if judgement.measures.is_empty() {
            judgement.measures = self.measures(None);
        }
        judgement
    }
}

impl Metric {
    fn judge_measured(&self, measured: Measured) -> Judgement {
        let breaches = self.breaches(&measured);
        let insufficient = measured.insufficient(self.measurement.evidence.on_missing);
        let mut judgement = match insufficient {
            Some(insufficient) if !self.is_certain(&breaches) => insufficient,
            insufficient => {
                let mut judgement = self.compare(measured.value);
                judgement.reasons.extend(insufficient.into_iter().flat_map(|i| i.reasons));
                judgement
            }
        };
        judgement.measures = self.measures(measured.value);
        let would_change = judgement.explanation.would_change.take();
        let threshold = self.bounds.first().map(|(_, bound)| *bound);
        let series = measured.series(&self.title, &self.measurement.unit, threshold);
        judgement.explanation = measured.explanation;
        judgement.explanation.would_change = would_change;
        judgement.explanation.first_breach = breaches.first().map(|i| measured.grid.at(*i));
        judgement.explanation.last_breach = breaches.last().map(|i| measured.grid.at(*i));
        judgement.explanation.series.push(series);
        judgement.coverage = Some(measured.coverage);
        judgement
    }

    /// Points whose own value breaks the rule.
    fn breaches(&self, measured: &Measured) -> Vec<usize> {
        let breaks = |value: f64| self.bounds.iter().any(|(r, bound)| !holds(*r, value, *bound));
        let points = measured.values.iter().enumerate();
        points.filter_map(|(i, value)| value.filter(|v| breaks(*v)).map(|_| i)).collect()
    }

    /// Whether what is missing cannot mend what is there: a minimum only falls, a maximum only rises.
    fn is_certain(&self, breaches: &[usize]) -> bool {
        let certain = |relation: Relation| match self.measurement.reduce {
            Reduce::Min => relation == Relation::AtLeast,
            Reduce::Max => relation == Relation::AtMost,
            _ => false,
        };
        !breaches.is_empty() && self.bounds.iter().all(|(relation, _)| certain(*relation))
    }

    fn compare(&self, value: Option<f64>) -> Judgement {
        let unit = &self.measurement.unit;
        let reduce = self.measurement.reduce;
        let Some(value) = value else {
            return Judgement::inconclusive(measure::nothing_found(&self.measurement.query));
        };
        let found = text::quantity(value, unit);
        let broken: Vec<&(Relation, f64)> =
            self.bounds.iter().filter(|(r, bound)| !holds(*r, value, *bound)).collect();
        let all: Vec<String> =
            if broken.is_empty() { self.bounds.iter().collect() } else { broken.clone() }
                .into_iter()
                .map(|(relation, bound)| {
                    format!("{} {}", relation.words(), text::quantity(*bound, unit))
                })
                .collect();
        let sentence = format!("The {reduce} is {found}; it must be {}.", text::list(&all));
        let Some((relation, bound)) = broken.first() else { return Judgement::pass(sentence) };
        let distance = text::quantity((value - bound).abs(), unit);
        let way = if value < *bound { "higher" } else { "lower" };
        let change = match relation {
            Relation::Equals => format!("A {reduce} of exactly {}.", text::quantity(*bound, unit)),
            _ => format!("A {reduce} that is {distance} {way}."),
        };
        Judgement::fail(sentence).would_change(change)
    }

    fn measures(&self, value: Option<f64>) -> Vec<Measure> {
        self.bounds
            .iter()
            .map(|(relation, bound)| Measure {
                name: self.measurement.reduce.to_string(),
                value,
                unit: self.measurement.unit.clone(),
                relation: *relation,
                threshold: *bound,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
