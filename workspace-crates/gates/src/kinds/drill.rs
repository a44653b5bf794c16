//! `drill`: a fault that was injected on purpose is detected, recovered from, and loses nothing.

use base::{Duration, Instant, Outcome};
use definition::Phase;
use diagnostics::{Diagnostic, codes, suggestion};
use evidence::Event;
use serde::Deserialize;

use super::{Gate, KindInfo, ParamInfo, common};
use crate::measure::{self, EvidenceRules};
use crate::query::{GateQuery, Purpose};
use crate::reading::{Grid, ReadError, Reader, Source, Truth};
use crate::thin::steps;
use crate::{Context, Judgement, Measure, Need, Relation, Series, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "drill",
    summary: "An operation of the phase injects a fault; it is detected and recovered from within their times, nothing is lost, and the fault is confirmed to be cleared.",
    missing: "A fault whose injection or clearing no event confirms, and conditions without values, are inconclusive.",
    params: PARAMS,
    example: r#"why = "The L1 reorgs; the network must notice and go on."
defect = "l1-reorg-ignored"
params = { operation = "l1-reorg", detected_by = "max(devnet_l1_reorgs_total) > bool 0", detected_within = "10m", recovered_when = "time() - max(devnet_pending_timestamp_seconds) < bool 120", recovered_within = "30m" }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required(
        "operation",
        "text",
        "The operation of the phase that injects the fault. The events `drill.injected` and `drill.cleared` carry its name as `id`.",
    ),
    ParamInfo::required(
        "detected_by",
        "PromQL",
        "True (1) once the network has noticed. It must be false before the fault.",
    ),
    ParamInfo::required(
        "detected_within",
        "duration",
        "Longest time from the injection to the detection.",
    ),
    ParamInfo::required(
        "recovered_when",
        "PromQL",
        "True (1) while the network is healthy. It must be so without a break from the recovery to the end of its time.",
    ),
    ParamInfo::required(
        "recovered_within",
        "duration",
        "Longest time from the injection to the recovery.",
    ),
    ParamInfo::optional(
        "lost",
        "PromQL",
        "none",
        "True (1) when something is lost; judged at the end of the time for the recovery.",
    ),
    ParamInfo::optional(
        "step",
        "duration",
        "the scrape interval",
        "Distance of the points at which the conditions are evaluated.",
    ),
    common::COUNTERS,
    common::SERVER,
];

/// The event that confirms an injected fault; its attribute `id` names the operation.
const INJECTED: &str = "drill.injected";
/// The event that confirms that the fault is gone.
const CLEARED: &str = "drill.cleared";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    operation: String,
    detected_by: String,
    detected_within: Duration,
    recovered_when: String,
    recovered_within: Duration,
    lost: Option<String>,
    step: Option<Duration>,
    #[serde(default)]
    counters: Vec<String>,
    server: Option<String>,
}

fn parse(gate: &definition::Gate, phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    let lengths = [
        ("detected_within", Some(params.detected_within)),
        ("recovered_within", Some(params.recovered_within)),
        ("step", params.step),
    ];
    for (key, length) in lengths.into_iter().filter_map(|(key, length)| Some((key, length?))) {
        measure::check_positive(&gate.params, key, length, &mut problems);
    }
    check_operation(&params, gate, phase, &mut problems);
    let mut condition = |key: &str, text: &str| {
        let purpose = Purpose::Condition;
        measure::query_param(&gate.params, key, text, purpose, &params.counters, &mut problems)
    };
    let detected_by = condition("detected_by", &params.detected_by);
    let recovered_when = condition("recovered_when", &params.recovered_when);
    let lost = params.lost.as_deref().map(|text| condition("lost", text));
    match (detected_by, recovered_when, problems.is_empty()) {
        (Some(detected_by), Some(recovered_when), true) => {
            let lost = lost.flatten();
            Ok(Box::new(Drill { params, detected_by, recovered_when, lost }))
        }
        _ => Err(problems),
    }
}

fn check_operation(
    params: &Params,
    gate: &definition::Gate,
    phase: &Phase,
    problems: &mut Vec<Diagnostic>,
) {
    let own = |track| phase.operations.iter().filter(move |operation| operation.track == track);
    if own(gate.track).any(|operation| operation.id == params.operation) {
        return;
    }
    let names: Vec<&str> = own(gate.track).map(|operation| operation.id.as_str()).collect();
    let message = format!("the {} track has no operation `{}`", gate.track, params.operation);
    let help = suggestion(&params.operation, names.iter().copied())
        .unwrap_or_else(|| "add a `[[phase.operation]]` with this id and track".to_owned());
    let problem = gate.params.problem(codes::UNKNOWN_OPERATION, "operation", message);
    problems.push(problem.help(help));
}

struct Drill {
    params: Params,
    detected_by: GateQuery,
    recovered_when: GateQuery,
    lost: Option<GateQuery>,
}

/// One part of a drill: what was found, and how long it took.
struct Part {
    outcome: Outcome,
    reason: String,
    took: Option<Duration>,
}

impl Part {
    fn new(outcome: Outcome, reason: String) -> Self {
        Self { outcome, reason, took: None }
    }
}

/// The times of a drill.
struct Times {
    injected: Instant,
    cleared: Option<Instant>,
    /// What can be judged at most.
    end: Instant,
}

impl Gate for Drill {
    fn needs(&self) -> Vec<Need> {
        let queries = [Some(&self.detected_by), Some(&self.recovered_when), self.lost.as_ref()];
        let metrics: std::collections::BTreeSet<String> =
            queries.into_iter().flatten().flat_map(GateQuery::metrics).collect();
        vec![
            Need::measured(self.params.server.as_deref(), metrics.into_iter().collect()),
            Need::Events { names: vec![CLEARED.to_owned(), INJECTED.to_owned()] },
        ]
    }

    fn rule(&self) -> String {
        let Params { operation, detected_within, recovered_within, .. } = &self.params;
        let lost = if self.lost.is_some() { ", loses nothing" } else { "" };
        format!(
            "The network notices `{operation}` within {detected_within}, recovers within {recovered_within}{lost}, and the fault is confirmed to be cleared."
        )
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let operation = &self.params.operation;
        let Some(deployment) = &context.deployment else {
            return Judgement::inconclusive("Nothing is deployed, so no fault was injected.");
        };
        let end = deployment.end(context.at);
        let event = |name: &str| -> Option<Instant> {
            let is_it = |e: &&Event| e.name == name && e.attribute("id") == operation;
            let times = deployment.events.iter().filter(is_it).map(|e| e.at);
            times.filter(|at| *at >= deployment.started && *at <= end).min()
        };
        let Some(injected) = event(INJECTED) else {
            return Judgement::inconclusive(format!(
                "No event confirms that `{operation}` was injected."
            ))
            .resting_on(deployment.events_digest)
            .would_change(format!("Run the operation `{operation}`."));
        };
        let times = Times { injected, cleared: event(CLEARED), end };
        let Some(source) = Source::of(context, deployment, self.params.server.as_deref()) else {
            return Judgement::inconclusive(
                "No samples of the deployment were collected, so nothing is known about the response.",
            )
            .resting_on(deployment.events_digest);
        };
        let judgement = match self.examine(&source, deployment.scrape_interval, &times) {
            Ok(judgement) => judgement,
            Err(e) => {
                Judgement::new(e.outcome(), format!("The response could not be evaluated: {e}."))
            }
        };
        source.attest(judgement.resting_on(deployment.events_digest))
    }
}

impl Drill {
    fn examine(
        &self,
        source: &Source<'_>,
        scrape_interval: Duration,
        times: &Times,
    ) -> Result<Judgement, ReadError> {
        let rules = EvidenceRules::default();
        let staleness = rules.max_staleness(scrape_interval);
        let reader = Reader::new(source.answers(), staleness, rules.min_coverage());
        let deadline =
            times.injected + self.params.recovered_within.max(self.params.detected_within);
        // One point before the fault shows whether the detector was already on.
        let step = self.params.step.unwrap_or(scrape_interval);
        let from = times.injected - step;
        let grid = Grid::new(from, times.end.min(deadline), step);
        let read = |query: &GateQuery| reader.truths(query, grid);
        let detected = read(&self.detected_by)?;
        let recovered = read(&self.recovered_when)?;
        let lost = self.lost.as_ref().map(read).transpose()?;
        let mut parts = vec![
            self.detection(&detected, grid, times),
            self.recovery(&recovered, grid, times),
            self.clearing(times),
        ];
        parts.extend(lost.map(|lost| self.loss(&lost, grid, times)));
        let mut judgement = self.conclude(parts, times);
        for (title, truths) in [("Detected", &detected), ("Recovered", &recovered)] {
            judgement.explanation.series.push(level_series(title, truths, grid));
        }
        Ok(judgement)
    }

    fn detection(&self, truths: &[Option<Truth>], grid: Grid, times: &Times) -> Part {
        let Params { operation, detected_within, .. } = &self.params;
        let holds = |index: &usize| truths[*index].is_some_and(|truth| truth.holds);
        let is_after = |index: &usize| grid.at(*index) >= times.injected;
        // The first point of the grid lies before the fault.
        match truths.first().copied().flatten() {
            Some(Truth { holds: false, .. }) => {}
            Some(_) => {
                let reason = format!(
                    "The detector was already on before `{operation}`, so it shows nothing."
                );
                return Part::new(Outcome::Inconclusive, reason);
            }
            None => {
                let reason = format!("What the detector said before `{operation}` is not known.");
                return Part::new(Outcome::Inconclusive, reason);
            }
        }
        let deadline = times.injected + *detected_within;
        let Some(index) = (0..grid.len()).filter(is_after).find(holds) else {
            return self.silent(truths, grid, times, deadline, "noticed", *detected_within);
        };
        let took = grid.at(index) - times.injected;
        let reason =
            format!("`{operation}` was noticed after {took}; {detected_within} are allowed.");
        let outcome = if took <= *detected_within { Outcome::Pass } else { Outcome::Fail };
        Part { outcome, reason, took: Some(took) }
    }

    /// Nothing was seen until the end: that counts only where something could have been seen.
    fn silent(
        &self,
        truths: &[Option<Truth>],
        grid: Grid,
        times: &Times,
        deadline: Instant,
        what: &str,
        within: Duration,
    ) -> Part {
        let operation = &self.params.operation;
        if times.end < deadline {
            let reason = format!("`{operation}` has until {deadline} to be {what}.");
            return Part::new(Outcome::Inconclusive, reason);
        }
        let in_time =
            |index: &usize| grid.at(*index) >= times.injected && grid.at(*index) <= deadline;
        let unknown = (0..grid.len()).filter(in_time).any(|index| truths[index].is_none());
        if unknown {
            let reason = format!(
                "`{operation}` was not {what} in what was measured, and some of that time was not measured."
            );
            return Part::new(Outcome::Inconclusive, reason);
        }
        Part::new(Outcome::Fail, format!("`{operation}` was not {what} within {within}."))
    }

    /// The recovery begins where the last run of healthy points begins that reaches the deadline.
    fn recovery(&self, truths: &[Option<Truth>], grid: Grid, times: &Times) -> Part {
        let Params { operation, recovered_within, .. } = &self.params;
        let deadline = times.injected + *recovered_within;
        if times.end < deadline {
            let reason =
                format!("Whether the network recovered from `{operation}` is known at {deadline}.");
            return Part::new(Outcome::Inconclusive, reason);
        }
        let inside: Vec<usize> = (0..grid.len())
            .filter(|index| grid.at(*index) >= times.injected && grid.at(*index) <= deadline)
            .collect();
        let healthy = |index: &&usize| truths[**index].is_some_and(|truth| truth.holds);
        let run = inside.iter().rev().take_while(healthy).count();
        if run == 0 {
            return match inside.last().map(|index| truths[*index]) {
                Some(Some(_)) => Part::new(
                    Outcome::Fail,
                    format!(
                        "The network had not recovered from `{operation}` after {recovered_within}."
                    ),
                ),
                _ => Part::new(
                    Outcome::Inconclusive,
                    format!("Whether the network recovered from `{operation}` was not measured."),
                ),
            };
        }
        let first = inside[inside.len() - run];
        let took = grid.at(first) - times.injected;
        let reason = format!(
            "The network was healthy from {took} after `{operation}` on; {recovered_within} are allowed."
        );
        Part { outcome: Outcome::Pass, reason, took: Some(took) }
    }

    fn clearing(&self, times: &Times) -> Part {
        let operation = &self.params.operation;
        match times.cleared {
            Some(at) => Part::new(
                Outcome::Pass,
                format!("`{operation}` was confirmed to be cleared at {at}."),
            ),
            None => Part::new(
                Outcome::Inconclusive,
                format!("No event confirms that `{operation}` was cleared."),
            ),
        }
    }

    fn loss(&self, truths: &[Option<Truth>], grid: Grid, times: &Times) -> Part {
        let deadline = times.injected + self.params.recovered_within;
        if times.end < deadline {
            return Part::new(
                Outcome::Inconclusive,
                format!("Whether something was lost is known at {deadline}."),
            );
        }
        let last = (0..grid.len()).rev().find(|index| grid.at(*index) <= deadline);
        match last.and_then(|index| truths[index]) {
            Some(Truth { holds: false, .. }) => {
                Part::new(Outcome::Pass, "Nothing was lost.".to_owned())
            }
            Some(Truth { value, .. }) => {
                let value = value.map_or_else(String::new, |v| format!(" ({})", text::number(v)));
                Part::new(Outcome::Fail, format!("Something was lost{value}."))
            }
            None => Part::new(
                Outcome::Inconclusive,
                "Whether something was lost was not measured.".to_owned(),
            ),
        }
    }

    fn conclude(&self, parts: Vec<Part>, times: &Times) -> Judgement {
        let worst = parts.iter().map(|part| part.outcome).max().unwrap_or(Outcome::Inconclusive);
        let mut judgement = Judgement::new(worst, "");
        let mut shown: Vec<&Part> = parts
            .iter()
            .filter(|part| worst == Outcome::Pass || part.outcome != Outcome::Pass)
            .collect();
        shown.sort_by_key(|part| std::cmp::Reverse(part.outcome));
        judgement.reasons = shown.iter().map(|part| part.reason.clone()).collect();
        let limits = [self.params.detected_within, self.params.recovered_within];
        for ((name, part), limit) in
            ["time to detect", "time to recover"].iter().zip(&parts).zip(limits)
        {
            judgement.measures.push(Measure {
                name: (*name).to_owned(),
                value: part.took.map(Duration::seconds),
                unit: "s".to_owned(),
                relation: Relation::AtMost,
                threshold: limit.seconds(),
            });
        }
        let explanation = &mut judgement.explanation;
        explanation.queries.push(("detected by".to_owned(), self.detected_by.text().to_owned()));
        explanation
            .queries
            .push(("recovered when".to_owned(), self.recovered_when.text().to_owned()));
        if let Some(lost) = &self.lost {
            explanation.queries.push(("lost".to_owned(), lost.text().to_owned()));
        }
        explanation.steps.push(format!("The fault was injected at {}.", times.injected));
        explanation.steps.extend(parts.into_iter().map(|part| part.reason));
        judgement
    }
}

fn level_series(title: &str, truths: &[Option<Truth>], grid: Grid) -> Series {
    let level = |truth: &Option<Truth>| truth.map(|t| f64::from(u8::from(t.holds)));
    let points = truths.iter().enumerate().map(|(index, truth)| (grid.at(index), level(truth)));
    Series { title: title.to_owned(), unit: String::new(), threshold: None, points: steps(points) }
}

#[cfg(test)]
mod tests;
