//! `regression`: one number out of a PromQL query, against those of earlier passing evaluations.

use base::{Duration, Outcome};
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
    name: "regression",
    summary: "A PromQL query, reduced to one number as with `metric`, is at most so many times the mean of the last evaluations that passed.",
    missing: "Missing samples are inconclusive, and so are fewer earlier evaluations than `min_points`; without any earlier evaluation the gate does not apply, and its value becomes the first point of comparison.",
    params: PARAMS,
    example: r#"advisory = true
why = "A slow drift stays below every fixed threshold."
defect = "drift"
params = { query = "1 / sum(rate(devnet_slots_filled_total[1h]))", reduce = "mean", window = "deployment", warm_up = "1h", step = "1m", max_ratio = 1.10, min_points = 1, unit = "s" }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required(
        "query",
        "PromQL",
        "What is measured; it must give one series. Larger values must be worse.",
    ),
    common::REDUCE,
    common::WINDOW,
    common::STEP,
    ParamInfo::optional(
        "max_ratio",
        "number above 0",
        "1.10",
        "How many times the earlier mean the value may be.",
    ),
    ParamInfo::optional(
        "min_points",
        "integer, at least 1",
        "1",
        "How many earlier passing evaluations it takes.",
    ),
    ParamInfo::optional(
        "baseline",
        "integer, at least `min_points`",
        "3 or `min_points`, whichever is more",
        "How many of the last passing evaluations make the mean.",
    ),
    common::UNIT,
    common::WARM_UP,
    common::MIN_COVERAGE,
    common::MAX_GAP,
    common::MAX_STALENESS,
    common::ON_MISSING,
    common::COUNTERS,
    common::SERVER,
];

const BASELINE_DEFAULT: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    query: String,
    reduce: Reduce,
    window: Window,
    step: Duration,
    #[serde(default = "tenth_more")]
    max_ratio: f64,
    #[serde(default = "one")]
    min_points: u32,
    baseline: Option<u32>,
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

fn tenth_more() -> f64 {
    1.1
}

fn one() -> u32 {
    1
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    let mut refuse = |key: &str, message: String, help: &str| {
        problems.push(gate.params.problem(codes::BAD_VALUE, key, message).help(help));
    };
    if params.max_ratio <= 0.0 {
        refuse("max_ratio", format!("{} is no ratio", params.max_ratio), "write a number above 0");
    }
    if params.min_points == 0 {
        refuse("min_points", "nothing is compared with".into(), "ask for at least one");
    }
    let baseline = params.baseline.unwrap_or(BASELINE_DEFAULT.max(params.min_points));
    if baseline < params.min_points {
        let message = format!("a mean of {baseline} has fewer than {} points", params.min_points);
        refuse("baseline", message, "let `baseline` be at least `min_points`");
    }
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
    let Params { reduce, window, warm_up, step, unit, max_ratio, min_points, server, .. } = params;
    let measurement = Measurement { query, reduce, window, warm_up, step, unit, evidence, server };
    let title = gate.title.clone();
    Ok(Box::new(Regression { measurement, max_ratio, min_points, baseline, title }))
}

struct Regression {
    measurement: Measurement,
    max_ratio: f64,
    min_points: u32,
    baseline: u32,
    title: String,
}

impl Gate for Regression {
    fn needs(&self) -> Vec<Need> {
        let mut needs = self.measurement.needs();
        needs.push(Need::Earlier);
        needs
    }

    fn rule(&self) -> String {
        let Measurement { query, reduce, window, .. } = &self.measurement;
        format!(
            "The {reduce} of `{}` {} is at most {} times the mean of the last passing evaluations.",
            query.text(),
            window.describe(),
            text::number(self.max_ratio)
        )
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        self.measurement.judge(context, |measured| self.judge_measured(context, measured))
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Regression {
    fn judge_measured(&self, context: &Context<'_>, measured: Measured) -> Judgement {
        let earlier = self.earlier(context);
        let mean = mean(&earlier);
        let on_missing = self.measurement.evidence.on_missing;
        let mut judgement = match (measured.insufficient(on_missing), measured.value) {
            (Some(insufficient), _) => insufficient,
            (None, None) => {
                Judgement::inconclusive(measure::nothing_found(&self.measurement.query))
            }
            (None, Some(value)) => self.compare(value, &earlier, mean),
        };
        let bound = mean.or(measured.value).map(|base| base * self.max_ratio);
        judgement
            .measures
            .extend(bound.map(|threshold| self.measure_of(measured.value, threshold)));
        let would_change = judgement.explanation.would_change.take();
        let series =
            measured.series(&self.title, &self.measurement.unit, mean.map(|m| m * self.max_ratio));
        judgement.explanation = measured.explanation;
        judgement.explanation.would_change = would_change;
        judgement.explanation.series.push(series);
        if let Some(mean) = mean {
            judgement.explanation.steps.push(format!(
                "The mean of {} is {}.",
                text::count(earlier.len(), "earlier evaluation", "earlier evaluations"),
                text::quantity(mean, &self.measurement.unit)
            ));
        }
        judgement.coverage = Some(measured.coverage);
        judgement
    }

    /// The values of the last passing evaluations, oldest first.
    fn earlier(&self, context: &Context<'_>) -> Vec<f64> {
        let name = self.measurement.reduce.to_string();
        let mut values: Vec<f64> = context
            .earlier
            .iter()
            .filter(|pass| pass.at < context.at)
            .rev()
            .filter_map(|pass| {
                let same = |m: &&Measure| m.name == name && m.unit == self.measurement.unit;
                pass.measures.iter().find(same)?.value
            })
            .take(self.baseline as usize)
            .collect();
        values.reverse();
        values
    }

    fn compare(&self, value: f64, earlier: &[f64], mean: Option<f64>) -> Judgement {
        let unit = &self.measurement.unit;
        let Some(mean) = mean else {
            return Judgement::new(
                Outcome::NotApplicable,
                "There is no earlier passing evaluation to compare with, so the rule does not apply; this value is the first point of comparison.",
            );
        };
        if earlier.len() < self.min_points as usize {
            let there_are = text::count(
                earlier.len(),
                "earlier passing evaluation",
                "earlier passing evaluations",
            );
            return Judgement::inconclusive(format!(
                "There are only {there_are} to compare with; at least {} are needed.",
                self.min_points
            ));
        }
        if mean <= 0.0 {
            return Judgement::inconclusive(format!(
                "The mean of the earlier evaluations is {}, and a ratio to that means nothing.",
                text::quantity(mean, unit)
            ));
        }
        let ratio = value / mean;
        let sentence = format!(
            "The {} is {}, {} times the earlier mean of {}; at most {} times is accepted.",
            self.measurement.reduce,
            text::quantity(value, unit),
            text::number(ratio),
            text::quantity(mean, unit),
            text::number(self.max_ratio)
        );
        if ratio <= self.max_ratio {
            return Judgement::pass(sentence);
        }
        let bound = text::quantity(mean * self.max_ratio, unit);
        Judgement::fail(sentence)
            .would_change(format!("A {} of at most {bound}.", self.measurement.reduce))
    }

    /// Without an earlier mean the threshold is the one that the next evaluation will meet.
    fn measure_of(&self, value: Option<f64>, threshold: f64) -> Measure {
        Measure {
            name: self.measurement.reduce.to_string(),
            value,
            unit: self.measurement.unit.clone(),
            relation: Relation::AtMost,
            threshold,
        }
    }
}

#[cfg(test)]
mod tests;
