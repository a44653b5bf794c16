//! `soak`: named conditions hold together, without a break, for the same subject.

use base::{Duration, Outcome};
use definition::{Condition, Phase};
use diagnostics::{Diagnostic, codes, suggestion};
use serde::Deserialize;

use super::{Gate, KindInfo, ParamInfo, common};
use crate::measure::{self, EvidenceRules};
use crate::query::{self, GateQuery, Purpose};
use crate::reading::{Grid, ReadError, Reader, Source, Truth, Values, coverage};
use crate::soak::{self, GAP, LOAD, Observed, OnGap, Rule, SUBJECT, State};
use crate::thin::{steps, thin};
use crate::window::candidate_window;
use crate::{
    Context, DeploymentFacts, Explanation, Judgement, Measure, Need, Point, Relation, Series,
    SoakProgress, text,
};

pub(super) const KIND: KindInfo = KindInfo {
    name: "soak",
    summary: "Named conditions of the stage hold together, without a break, for so long, while the same subject runs. Another subject, a breach, too little load or too long a gap restarts the clock.",
    missing: "Time without values does not count; a soak that is not finished is inconclusive and says what remains and when it can be complete.",
    params: PARAMS,
    example: r#"why = "The network must stay stable through the weekend."
defect = "stall"
params = { stable_for = "90h", conditions = ["blocks"], step = "1m", warm_up = "1h", max_gap = "5m", on_gap = "pause", on_breach = "restart", min_load = 0.02, load = "sum(rate(devnet_transactions_total[1h]))" }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required(
        "stable_for",
        "duration",
        "How long all conditions must hold without a break.",
    ),
    ParamInfo::required("conditions", "list of texts", "Names of conditions of the stage."),
    ParamInfo::required(
        "step",
        "duration",
        "Distance of the points at which conditions are evaluated.",
    ),
    ParamInfo::optional(
        "warm_up",
        "duration",
        "as far as the queries look back",
        "Time after the start of the subject that is left out; never shorter than the queries look back.",
    ),
    ParamInfo::optional(
        "max_gap",
        "duration",
        "4 scrape intervals",
        "Longest time between two values that does not end a run.",
    ),
    ParamInfo::optional(
        "on_gap",
        "`pause` or `restart`",
        "`pause`",
        "Whether a shorter gap only does not count, or restarts the clock.",
    ),
    ParamInfo::optional(
        "on_breach",
        "`restart` or `fail`",
        "`restart`",
        "Whether a condition that does not hold restarts the clock or fails the gate.",
    ),
    ParamInfo::optional(
        "min_load",
        "number",
        "none",
        "Time with less load than this does not count as stability, and restarts the clock.",
    ),
    ParamInfo::optional(
        "load",
        "PromQL",
        "none",
        "What measures the load; needed with `min_load`.",
    ),
    ParamInfo::optional(
        "charts",
        "list of tables with `title`, `query` and `unit`",
        "none",
        "Values that the report draws beside the conditions. They are not judged.",
    ),
    common::MAX_STALENESS,
    common::COUNTERS,
    common::SERVER,
];

/// What a breach does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnBreach {
    #[default]
    Restart,
    Fail,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    stable_for: Duration,
    conditions: Vec<String>,
    step: Duration,
    #[serde(default)]
    warm_up: Duration,
    max_gap: Option<Duration>,
    #[serde(default)]
    on_gap: OnGap,
    #[serde(default)]
    on_breach: OnBreach,
    min_load: Option<f64>,
    load: Option<String>,
    max_staleness: Option<Duration>,
    #[serde(default)]
    counters: Vec<String>,
    server: Option<String>,
    #[serde(default)]
    charts: Vec<ChartParams>,
}

/// A value that is drawn and not judged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChartParams {
    title: String,
    query: String,
    #[serde(default)]
    unit: String,
}

fn parse(gate: &definition::Gate, phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    for (key, length) in [("stable_for", params.stable_for), ("step", params.step)] {
        measure::check_positive(&gate.params, key, length, &mut problems);
    }
    measure::check_warm_up(&gate.params, params.warm_up, &mut problems);
    let evidence = EvidenceRules {
        max_gap: params.max_gap,
        max_staleness: params.max_staleness,
        ..EvidenceRules::default()
    };
    evidence.check(&gate.params, &mut problems);
    let conditions = conditions(&params, gate, phase, &mut problems);
    let load = load(&params, gate, &mut problems);
    let charts = charts(&params, gate, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let queries = conditions.iter().map(|named| &named.query);
    let reach = queries.chain(load.iter().map(|(query, _)| query)).map(|query| query.reach).max();
    let warm_up = params.warm_up.max(reach.unwrap_or_default());
    Ok(Box::new(Soak { params, conditions, load, charts, warm_up, evidence }))
}

fn conditions(
    params: &Params,
    gate: &definition::Gate,
    phase: &Phase,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Named> {
    if params.conditions.is_empty() {
        problems.push(
            gate.params
                .problem(codes::NO_CONDITION, "conditions", "this soak has no condition")
                .help("name at least one condition of the stage"),
        );
    }
    let mut found = Vec::new();
    for (index, name) in params.conditions.iter().enumerate() {
        let place = format!("conditions.{index}");
        if params.conditions[..index].contains(name) {
            let message = format!("`{name}` is named twice");
            problems.push(gate.params.problem(codes::DUPLICATE, &place, message));
            continue;
        }
        let Some(condition) = phase.conditions.get(name) else {
            let message = format!("unknown condition `{name}`");
            let names = phase.conditions.keys().map(String::as_str);
            problems.push(
                gate.params
                    .problem(codes::UNKNOWN_CONDITION, &place, message)
                    .help_if(suggestion(name, names)),
            );
            continue;
        };
        found.extend(named(condition, &params.counters, problems));
    }
    found
}

fn named(
    condition: &Condition,
    counters: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Option<Named> {
    let location = &condition.query.location;
    let problem = |code, message: String| Diagnostic::error(code, message).at(location);
    match query::parse(&condition.query.value, Purpose::Condition, counters, &problem) {
        Ok(query) => {
            let (name, title) = (condition.name.clone(), condition.title.clone());
            Some(Named { name, title, query })
        }
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

fn load(
    params: &Params,
    gate: &definition::Gate,
    problems: &mut Vec<Diagnostic>,
) -> Option<(GateQuery, f64)> {
    match (&params.load, params.min_load) {
        (None, None) => None,
        (Some(text), Some(least)) => {
            let purpose = Purpose::Value;
            measure::query_param(&gate.params, "load", text, purpose, &params.counters, problems)
                .map(|query| (query, least))
        }
        (load, _) => {
            let (there, lacking) =
                if load.is_some() { ("load", "min_load") } else { ("min_load", "load") };
            let message = format!("`{there}` means nothing without `{lacking}`");
            problems.push(
                gate.params
                    .problem(codes::MISSING_KEY, there, message)
                    .help(format!("add `{lacking}`")),
            );
            None
        }
    }
}

fn charts(
    params: &Params,
    gate: &definition::Gate,
    problems: &mut Vec<Diagnostic>,
) -> Vec<GateQuery> {
    let mut found = Vec::new();
    for (index, chart) in params.charts.iter().enumerate() {
        let (place, purpose) = (format!("charts.{index}.query"), Purpose::Value);
        let counters = &params.counters;
        found.extend(measure::query_param(
            &gate.params,
            &place,
            &chart.query,
            purpose,
            counters,
            problems,
        ));
    }
    found
}

/// A condition that was found and read.
struct Named {
    name: String,
    title: String,
    query: GateQuery,
}

struct Soak {
    params: Params,
    conditions: Vec<Named>,
    load: Option<(GateQuery, f64)>,
    /// Queries of the charts, in the order of the parameters.
    charts: Vec<GateQuery>,
    /// The stated warm-up, or as far as the queries look back.
    warm_up: Duration,
    evidence: EvidenceRules,
}

/// All that was read for one judgement.
struct Readings {
    grid: Grid,
    truths: Vec<Vec<Option<Truth>>>,
    load: Option<Values>,
    /// A chart that could not be read is left out.
    charts: Vec<Option<Values>>,
}

impl Gate for Soak {
    fn needs(&self) -> Vec<Need> {
        let queries = self.conditions.iter().map(|named| &named.query);
        let all = queries.chain(self.load.iter().map(|(query, _)| query)).chain(&self.charts);
        let metrics: std::collections::BTreeSet<String> =
            all.flat_map(GateQuery::metrics).collect();
        vec![Need::measured(self.params.server.as_deref(), metrics.into_iter().collect())]
    }

    fn rule(&self) -> String {
        let titles: Vec<String> =
            self.conditions.iter().map(|named| format!("\"{}\"", named.title)).collect();
        let load = match &self.load {
            None => String::new(),
            Some((_, least)) => format!(" while the load is at least {}", text::number(*least)),
        };
        let hold = if titles.len() == 1 { "holds" } else { "hold together" };
        let length = self.params.stable_for;
        format!("{} {hold} for {length} without a break{load}.", text::list(&titles))
    }

    fn earliest_pass(&self) -> Duration {
        let start = base::Instant::default();
        let from = start + self.warm_up;
        // The scrape interval only matters for gaps, and what has not begun has none.
        let planned = soak::planned(&self.rule_of(Duration::ZERO), from, self.params.step);
        planned.eligible_at.map_or(Duration::ZERO, |at| at - start)
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let Some(deployment) = &context.deployment else {
            return Judgement::inconclusive("Nothing is deployed, so nothing can be stable.");
        };
        let (start, until) = match candidate_window(context, deployment) {
            Ok(window) => window,
            Err(foreign) => return *foreign,
        };
        let grid = Grid::new(start + self.warm_up, until, self.params.step);
        let Some(source) = Source::of(context, deployment, self.params.server.as_deref()) else {
            return Judgement::inconclusive(
                "No samples of the deployment were collected, so nothing is known about its stability.",
            );
        };
        let readings = match self.read(&source, deployment.scrape_interval, grid) {
            Ok(readings) => readings,
            Err(e) => {
                let reason = format!("A condition could not be evaluated: {e}.");
                return source.attest(Judgement::new(e.outcome(), reason));
            }
        };
        let states = self.states(&readings);
        let observed = Observed {
            from: grid.from(),
            until,
            step: grid.step(),
            states: &states,
            continues: until == context.at && !deployment.has_ended(context.at),
            subject_changed_at: (start > deployment.started).then_some(start),
        };
        let progress = soak::progress(&self.rule_of(deployment.scrape_interval), observed);
        let known: Vec<Option<()>> =
            states.iter().map(|state| (*state != State::Missing).then_some(())).collect();
        let mut judgement =
            self.conclude(&progress, deployment, until, known.iter().any(Option::is_some));
        judgement.measures.push(Measure {
            name: "stable for".to_owned(),
            value: Some(progress.accrued.hours()),
            unit: "h".to_owned(),
            relation: Relation::AtLeast,
            threshold: progress.required.hours(),
        });
        judgement.coverage = Some(coverage(&known, grid, until.max(grid.from()), self.warm_up));
        let would_change = judgement.explanation.would_change.take();
        judgement.explanation = self.explain(&readings, &progress);
        judgement.explanation.would_change = would_change;
        judgement.soak = Some(progress);
        source.attest(judgement)
    }
}

impl Soak {
    fn rule_of(&self, scrape_interval: Duration) -> Rule {
        Rule {
            required: self.params.stable_for,
            max_gap: self.evidence.max_gap(scrape_interval, self.params.step),
            on_gap: self.params.on_gap,
        }
    }

    fn read(
        &self,
        source: &Source<'_>,
        scrape_interval: Duration,
        grid: Grid,
    ) -> Result<Readings, ReadError> {
        let staleness = self.evidence.max_staleness(scrape_interval);
        let reader = Reader::new(source.answers(), staleness, self.evidence.min_coverage());
        let truths: Result<Vec<_>, ReadError> =
            self.conditions.iter().map(|named| reader.truths(&named.query, grid)).collect();
        let load = self.load.as_ref().map(|(query, _)| reader.values(query, grid)).transpose();
        let charts = self.charts.iter().map(|query| reader.values(query, grid).ok()).collect();
        Ok(Readings { grid, truths: truths?, load: load?, charts })
    }

    /// A breach is a breach even where another condition is not known.
    fn states(&self, readings: &Readings) -> Vec<State> {
        (0..readings.grid.len()).map(|index| self.state(readings, index)).collect()
    }

    fn state(&self, readings: &Readings, index: usize) -> State {
        let mut missing = false;
        for (named, truths) in self.conditions.iter().zip(&readings.truths) {
            match truths[index] {
                None => missing = true,
                Some(Truth { holds: true, .. }) => {}
                Some(Truth { holds: false, value, .. }) => {
                    return State::Broken { condition: named.name.clone(), value };
                }
            }
        }
        if let (Some(load), Some((_, least))) = (&readings.load, &self.load) {
            match load[index] {
                None => missing = true,
                Some(value) if value < *least => {
                    return State::Broken { condition: LOAD.to_owned(), value: Some(value) };
                }
                Some(_) => {}
            }
        }
        if missing { State::Missing } else { State::Holds }
    }

    fn conclude(
        &self,
        progress: &SoakProgress,
        deployment: &DeploymentFacts<'_>,
        until: base::Instant,
        any_known: bool,
    ) -> Judgement {
        let breach =
            progress.breaks.iter().find(|b| ![GAP, LOAD, SUBJECT].contains(&b.condition.as_str()));
        if let (OnBreach::Fail, Some(breach)) = (self.params.on_breach, breach) {
            return Judgement::fail(format!(
                "{} at {}.",
                self.broken(&breach.condition),
                breach.at
            ))
            .because("This soak does not restart: a single breach fails it.")
            .would_change("A new deployment that runs without a breach.");
        }
        if !progress.remaining.is_positive() {
            return Judgement::pass(self.held(progress));
        }
        if !any_known {
            let waiting = until < deployment.started + self.warm_up;
            return self.unfinished(
                if waiting {
                    format!("The warm-up of {} is not over.", self.warm_up)
                } else {
                    "No condition had a usable value in the window, so nothing is known about its stability.".to_owned()
                },
                progress, deployment, until,
            );
        }
        self.unfinished(self.short_of(progress), progress, deployment, until)
    }

    /// The first sentence of a finished soak.
    fn held(&self, progress: &SoakProgress) -> String {
        let (accrued, required) = (progress.accrued, progress.required);
        match self.conditions.as_slice() {
            [only] => format!("{} for {accrued} of the {required} required.", only.title),
            all => format!(
                "All {} conditions held for {accrued} of the {required} required.",
                all.len()
            ),
        }
    }

    fn short_of(&self, progress: &SoakProgress) -> String {
        format!(
            "The network has been stable for {} of the {} required; {} are missing.",
            progress.accrued, progress.required, progress.remaining
        )
    }

    fn unfinished(
        &self,
        first: String,
        progress: &SoakProgress,
        deployment: &DeploymentFacts<'_>,
        until: base::Instant,
    ) -> Judgement {
        let mut judgement = Judgement::new(Outcome::Inconclusive, first);
        if let Some(last) = progress.breaks.last() {
            let unlisted = progress.breaks_total - progress.breaks.len() as u64;
            let last_listed =
                if unlisted == 0 { "The last break" } else { "The last listed break" };
            judgement.reasons.push(format!(
                "{last_listed} of {} was at {}: {}.",
                progress.breaks_total,
                last.at,
                self.broken(&last.condition)
            ));
        }
        match progress.eligible_at {
            Some(at) => judgement
                .because(format!("It can be complete at {at} at the earliest."))
                .would_change(format!("No break until {at}.")),
            None => {
                let ended = match deployment.candidate_replaced_at() {
                    Some(at) if at > until => format!("Another subject took its place at {at}"),
                    _ => format!("The deployment ended at {until}"),
                };
                judgement
                    .because(format!("{ended}, so it cannot be completed any more."))
                    .would_change("A new deployment that runs long enough.")
            }
        }
    }

    /// What a break was, in words.
    fn broken(&self, condition: &str) -> String {
        match condition {
            GAP => "There was no usable data for too long".to_owned(),
            LOAD => "The load was too low".to_owned(),
            SUBJECT => "Another subject was deployed".to_owned(),
            name => {
                let title = self.conditions.iter().find(|n| n.name == name).map(|n| &n.title);
                format!("\"{}\" did not hold", title.map_or(name, String::as_str))
            }
        }
    }

    fn explain(&self, readings: &Readings, progress: &SoakProgress) -> Explanation {
        let mut explanation = Explanation::default();
        for named in &self.conditions {
            explanation.queries.push((named.title.clone(), named.query.text().to_owned()));
        }
        if let Some((query, _)) = &self.load {
            explanation.queries.push((LOAD.to_owned(), query.text().to_owned()));
        }
        explanation.steps = vec![
            format!("The first {} of the subject were left out as warm-up.", self.warm_up),
            format!(
                "Every condition was evaluated every {} from {}.",
                self.params.step,
                readings.grid.from()
            ),
            format!("The longest run without a break was {}.", progress.longest_run),
        ];
        explanation.first_breach = progress.breaks.first().map(|b| b.at);
        explanation.last_breach = progress.breaks.last().map(|b| b.at);
        explanation.series = self.series(readings);
        explanation
    }

    /// The load, each condition as 0 or 1, and the values of those that broke.
    fn series(&self, readings: &Readings) -> Vec<Series> {
        let grid = readings.grid;
        let mut series = Vec::new();
        let points = |values: &Values| {
            let point =
                |(index, value): (usize, &Option<f64>)| Point { at: grid.at(index), value: *value };
            thin(&values.iter().enumerate().map(point).collect::<Vec<_>>())
        };
        if let (Some(load), Some((_, least))) = (&readings.load, &self.load) {
            let (title, unit) = ("Load".to_owned(), String::new());
            series.push(Series { title, unit, threshold: Some(*least), points: points(load) });
        }
        for (chart, values) in self.params.charts.iter().zip(&readings.charts) {
            let Some(values) = values else { continue };
            let (title, unit) = (chart.title.clone(), chart.unit.clone());
            series.push(Series { title, unit, threshold: None, points: points(values) });
        }
        for (named, truths) in self.conditions.iter().zip(&readings.truths) {
            let level = |truth: &Option<Truth>| truth.map(|t| f64::from(u8::from(t.holds)));
            let points = truths.iter().enumerate().map(|(i, truth)| (grid.at(i), level(truth)));
            series.push(Series {
                title: named.title.clone(),
                unit: String::new(),
                threshold: None,
                points: steps(points),
            });
        }
        for (named, truths) in self.conditions.iter().zip(&readings.truths) {
            // What held all the time is told by its lane; what broke is worth its numbers.
            let broke = truths.iter().flatten().any(|truth| !truth.holds);
            let value = |truth: &Option<Truth>| truth.and_then(|truth| truth.value);
            let values: Values = truths.iter().map(value).collect();
            if broke && values.iter().any(Option::is_some) {
                series.push(Series {
                    title: format!("{}: value", named.title),
                    unit: String::new(),
                    threshold: truths.iter().flatten().find_map(|truth| truth.against),
                    points: points(&values),
                });
            }
        }
        series
    }
}

#[cfg(test)]
mod tests;
