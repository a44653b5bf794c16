//! The traps that a naive judgement of PromQL falls into: one file in `tests/traps` each, with the
//! data, a naive rule that passes, and gates of ours that do not.

mod notation;

use std::collections::BTreeMap;
use std::path::Path;

use base::{Duration, Outcome};
use evidence::SubjectInterval;
use promql::{Limits, Query, Value};
use serde::Deserialize;

use crate::testing::{START, World, series, subject};

/// One file of `tests/traps`; its README describes the keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trap {
    /// What is easily got wrong, in one sentence.
    trap: String,
    world: Seen,
    /// The same network without the fault: our gates pass there.
    healthy: Option<Seen>,
    naive: Naive,
    ours: Vec<Ours>,
}

/// What there is to see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    series: String,
    /// Scrapes that the store refuses.
    #[serde(default)]
    refused: usize,
    /// When it is judged, after the start.
    judged_at: Option<Duration>,
    /// When the candidate took the place of another version.
    subject_changed_at: Option<Duration>,
    /// When another version took the candidate's place.
    subject_replaced_at: Option<Duration>,
    /// When the deployment was taken down.
    ended_at: Option<Duration>,
}

/// A rule that takes the answer to one query for the truth.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Naive {
    query: String,
    /// What the query answers.
    answer: Answer,
    /// Which number passes; where it is left out, silence passes: no alarm.
    passes: Option<String>,
    /// What the server takes for the step of subqueries that state none.
    server_step: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// An empty result.
    Nothing,
    /// The query cannot be evaluated; the naive reader takes that for 0.
    Failure,
    /// One element, with this value.
    #[serde(untagged)]
    Number(f64),
}

/// A gate of ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    kind: String,
    /// Parameters of the gate, as they stand in a definition.
    params: String,
    /// Conditions of the stage, by name.
    #[serde(default)]
    conditions: BTreeMap<String, String>,
    outcome: Expected,
    /// A part of the reasons, or of the diagnostic.
    reason: String,
    /// Whether it passes in the healthy world; a query without any answer never does.
    #[serde(default = "yes")]
    passes_in_health: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Fail,
    Inconclusive,
    Error,
    /// The definition's check does not take the gate.
    Refused,
}

impl Seen {
    /// The world in which `ours` judges what is to be seen.
    fn world(&self, ours: Option<&Ours>) -> World {
        let (series, refused) = notation::load(&self.series);
        assert_eq!(refused, self.refused, "scrapes that the store refuses");
        let (kind, params) = ours.map_or(("", ""), |ours| (&ours.kind, &ours.params));
        let mut world = World::new(kind, params);
        if let Some(ours) = ours {
            let conditions = ours.conditions.iter();
            let conditions: Vec<(&str, &str)> =
                conditions.map(|(name, query)| (name.as_str(), query.as_str())).collect();
            world = world.with_conditions(&conditions);
        }
        world.samples = Some(series);
        world.at = self.judged_at.map_or(world.at, |after| START + after);
        world.ended = self.ended_at.map(|after| START + after);
        if let Some(after) = self.subject_changed_at {
            world.intervals[0].subject = subject("v0");
            let interval = SubjectInterval { from: START + after, subject: subject("v1") };
            world.intervals.push(interval);
        }
        if let Some(after) = self.subject_replaced_at {
            let interval = SubjectInterval { from: START + after, subject: subject("v2") };
            world.intervals.push(interval);
        }
        world
    }
}

impl Naive {
    /// What the query answers at the instant of the judgement.
    fn answer(&self, seen: &Seen) -> Answer {
        let query = match self.server_step {
            Some(step) => Query::parse_with_subquery_step(&self.query, step),
            None => Query::parse(&self.query),
        };
        let world = seen.world(None);
        let series = world.samples.unwrap_or_default();
        match promql::instant(&query.unwrap(), &series, world.at, &Limits::default()) {
            Err(_) => Answer::Failure,
            Ok(Value::Scalar(point)) => Answer::Number(point.value),
            Ok(Value::Vector(elements)) => match elements.as_slice() {
                [] => Answer::Nothing,
                [first, ..] => Answer::Number(first.value),
            },
            Ok(other) => panic!("a naive rule reads a number, not {other:?}"),
        }
    }

    fn passes(&self, answer: Answer) -> bool {
        let number = match (answer, &self.passes) {
            (Answer::Nothing, passes) => return passes.is_none(),
            (Answer::Failure, _) => 0.0,
            (Answer::Number(number), _) => number,
        };
        let Some((relation, bound)) = self.passes.as_ref().and_then(|rule| rule.split_once(' '))
        else {
            return false;
        };
        let bound: f64 = bound.parse().unwrap();
        match relation {
            ">=" => number >= bound,
            "<=" => number <= bound,
            "==" => number == bound,
            "!=" => number != bound,
            other => panic!("no relation: {other}"),
        }
    }

    /// What is wrong with the trap: it must catch this rule.
    fn problem(&self, seen: &Seen) -> Option<String> {
        let answer = self.answer(seen);
        if !same(answer, self.answer) {
            return Some(format!("the naive query answers {answer:?}"));
        }
        (!self.passes(answer)).then(|| format!("the naive rule does not pass on {answer:?}"))
    }
}

fn same(a: Answer, b: Answer) -> bool {
    match (a, b) {
        (Answer::Number(a), Answer::Number(b)) => a == b || (a - b).abs() < 1e-6 * b.abs(),
        (a, b) => a == b,
    }
}

impl Ours {
    fn problems(&self, trap: &Trap) -> Vec<String> {
        let world = trap.world.world(Some(self));
        let diagnostics = world.problems();
        let (found, reasons) = match world.verdict() {
            _ if !diagnostics.is_empty() => (Some(Expected::Refused), diagnostics.join(" ")),
            (Outcome::Fail, reasons) => (Some(Expected::Fail), reasons),
            (Outcome::Inconclusive, reasons) => (Some(Expected::Inconclusive), reasons),
            (Outcome::Error, reasons) => (Some(Expected::Error), reasons),
            (_, reasons) => (None, reasons),
        };
        let mut problems = Vec::new();
        if found != Some(self.outcome) || !reasons.contains(&self.reason) {
            problems.push(format!("our `{}` gate gives {found:?}: {reasons}", self.kind));
        }
        if self.outcome != Expected::Refused {
            problems.extend(self.problem_in_health(trap.healthy.as_ref()));
        }
        problems
    }

    fn problem_in_health(&self, healthy: Option<&Seen>) -> Option<String> {
        let Some(healthy) = healthy else {
            return Some("there is no `healthy` world to pass in".to_owned());
        };
        let (outcome, reasons) = healthy.world(Some(self)).verdict();
        let as_expected = (outcome == Outcome::Pass) == self.passes_in_health;
        (!as_expected).then(|| format!("our gate gives {outcome:?} in health: {reasons}"))
    }
}

impl Trap {
    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.naive.problem(&self.world).into_iter().collect();
        if !self.trap.ends_with('.') {
            problems.push("`trap` is no sentence".to_owned());
        }
        if self.ours.is_empty() {
            problems.push("it names no gate of ours".to_owned());
        }
        problems.extend(self.ours.iter().flat_map(|ours| ours.problems(self)));
        problems
    }
}

/// All traps by the name of their file.
fn traps() -> BTreeMap<String, Trap> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traps");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let trap = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, trap)
    };
    files.map(read).collect()
}

#[test]
fn every_trap_catches_the_naive_rule_and_not_ours() {
    let traps = traps();
    assert!(traps.len() >= 30, "only {} traps were found", traps.len());
    let problems = traps.iter().flat_map(|(name, trap)| {
        trap.problems().into_iter().map(move |problem| format!("{name}: {problem}"))
    });
    let problems: Vec<String> = problems.collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_counter_without_a_telling_name_can_be_declared() {
    let params = |more: &str| {
        format!(
            "query = 'max(increase(reorg_drop[1h]))'\nreduce = 'last'\nwindow = 'deployment'\nstep = '1m'\nabove = 1\n{more}"
        )
    };
    assert_eq!(World::new("metric", &params("")).problems().len(), 1);
    assert!(World::new("metric", &params("counters = ['reorg_drop']")).problems().is_empty());
}

#[test]
fn a_metric_that_moves_to_a_new_name_may_be_read_under_both() {
    let params = "query = 'max(old) or max(new)'\nreduce = 'min'\nwindow = 'deployment'\nstep = '1m'\nabove = 1";
    let world = World::new("metric", params)
        .with_series(series("old", &[], 0..300, |_| Some(1.0)))
        .with_series(series("new", &[], 300..601, |_| Some(1.0)));
    assert_eq!(world.verdict().0, Outcome::Pass);
}
