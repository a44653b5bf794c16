use std::collections::BTreeMap;

use base::Outcome::{self, Error, Fail, Inconclusive, Pass};
use promql::{Limits, Query};
use samples::Series;

use crate::judge::questions_of;
use crate::testing::{START, World, minutes, series};
use crate::{
    Answer, AnsweredSeries, Finding, Question, SERVER_RECORD, ServerBody, ServerProblem,
    ServerProblemKind,
};

/// What a server with these samples answers.
fn answer(question: &Question, samples: &Vec<Series>) -> Answer {
    let query = Query::parse(&question.query).unwrap();
    let Question { from, until, step, .. } = *question;
    let matrix = promql::range(&query, samples, from, until, step, &Limits::default()).unwrap();
    let result = matrix.series.iter().map(|series| {
        let metric = series.labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let values = series.points.iter();
        let values = values.map(|p| (p.t_ms as f64 / 1_000.0, p.value.to_string())).collect();
        AnsweredSeries { metric, values }
    });
    let (result, question) = (result.collect(), question.clone());
    Answer { question, requests: 1, result, warnings: Vec::new(), problem: None }
}

fn body(answers: Vec<Answer>) -> ServerBody {
    ServerBody {
        server: "main".to_owned(),
        url: "https://metrics.example.org".to_owned(),
        product: Some("prometheus".to_owned()),
        version: Some("3.1.0".to_owned()),
        answers,
        notes: vec!["It differs.".to_owned()],
        problem: None,
    }
}

/// The same world with the server as its only source.
fn remote(world: World, change: impl Fn(&mut ServerBody)) -> World {
    let params = world.gate.params.to_json();
    let mut remote = World { gate: over_server(&world.gate.kind, &params), ..world };
    let samples = remote.samples.take().unwrap_or_default();
    let questions = remote.with_context(questions_of);
    assert!(!questions.is_empty(), "nothing is asked");
    let mut body = body(questions.iter().map(|one| answer(one, &samples)).collect());
    change(&mut body);
    remote.with_record(SERVER_RECORD, serde_json::to_value(&body).unwrap())
}

fn over_server(kind: &str, params: &serde_json::Value) -> definition::Gate {
    let mut all: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(params.clone()).unwrap();
    all.insert("server".to_owned(), "main".into());
    crate::testing::gate(kind, &toml::to_string(&all).unwrap())
}

/// What does not depend on where values come from.
fn essence(finding: &Finding) -> impl PartialEq + std::fmt::Debug {
    let explanation = &finding.explanation;
    (
        (finding.outcome, finding.reasons.clone(), finding.measures.clone()),
        (finding.coverage.clone(), finding.soak.clone()),
        (explanation.first_breach, explanation.last_breach, explanation.series.clone()),
    )
}

/// Judges both ways, and says what came out.
fn both(world: impl Fn() -> World) -> Outcome {
    let embedded = world().judge();
    let recorded = remote(world(), |_| {});
    assert_eq!(recorded.with_context(questions_of), [], "asked again");
    let recorded = recorded.judge();
    assert_eq!(essence(&embedded), essence(&recorded));
    let steps = &recorded.explanation.steps;
    assert!(steps.iter().any(|step| step.contains("prometheus 3.1.0")), "{steps:?}");
    assert!(steps.contains(&"It differs.".to_owned()), "{steps:?}");
    embedded.outcome
}

fn load(minute: i64) -> Option<f64> {
    (!(200..215).contains(&minute)).then_some(if minute == 300 { f64::NAN } else { 2.0 })
}

fn metric(rest: &str) -> World {
    let world = World::new("metric", &format!("window = 'deployment'\nstep = '1m'\n{rest}"));
    let one = |name| series("load", &[("node", name)], 0..601, load);
    world.with_series(one("a")).with_series(one("b")).with_series(series(
        "done_total",
        &[],
        0..601,
        |minute| Some(minute as f64 * 60.0),
    ))
}

#[test]
fn a_metric_is_the_same_from_records_as_from_samples() {
    let cases = [
        ("query = 'max(load)'\nreduce = 'mean'\nabove = 2\nmax_gap = '1h'", Pass),
        ("query = 'max(load)'\nreduce = 'mean'\nabove = 3\nmax_gap = '1h'", Fail),
        ("query = 'max(load)'\nreduce = 'mean'\nabove = 2", Inconclusive),
        (
            "query = 'max(load{node!~\"a|c.*\"} offset 3m)'\nreduce = 'max'\nbelow = 2\nmax_gap = '1h'",
            Pass,
        ),
        ("query = 'sum(rate(done_total[5m]))'\nreduce = 'quantile(0.9)'\nabove = 1", Pass),
        (
            "query = 'max_over_time(sum(load)[1h:1m])'\nreduce = 'last'\nequals = 4\nmin_coverage = 0.8\nmax_gap = '2h'",
            Pass,
        ),
        ("query = 'max(absentee)'\nreduce = 'max'\nbelow = 1", Inconclusive),
        ("query = 'load'\nreduce = 'max'\nbelow = 1", Error),
    ];
    for (rest, expected) in cases {
        assert_eq!(both(|| metric(rest)), expected, "{rest}");
    }
}

#[test]
fn a_soak_is_the_same_from_records_as_from_samples() {
    let world = |stable_for: &str, on_gap: &str| {
        let up = |m: i64| (!(100..108).contains(&m)).then_some(f64::from(u8::from(m != 40)));
        let params = format!(
            "stable_for = '{stable_for}'\nconditions = ['all', 'calm']\nstep = '1m'\nmax_gap = '10m'\non_gap = '{on_gap}'"
        );
        World::new("soak", &params)
            .with_conditions(&[("all", "sum(up) == bool 1"), ("calm", "max(load) < bool 3")])
            .with_series(series("up", &[], 0..601, up))
            .with_series(series("load", &[], 0..601, |_| Some(1.0)))
    };
    assert_eq!(both(|| world("9h", "pause")), Pass);
    assert_eq!(both(|| world("10h", "pause")), Inconclusive);
    assert_eq!(both(|| world("9h", "restart")), Inconclusive);
}

#[test]
fn a_drill_is_the_same_from_records_as_from_samples() {
    let world = || {
        let mut world = World::new(
            "drill",
            "operation = 'reorg'\ndetected_by = 'max(seen_total) > bool 0'\ndetected_within = '10m'\nrecovered_when = 'max(age) < bool 120'\nrecovered_within = '30m'",
        );
        world.phase.operations.push(definition::Operation {
            id: "reorg".to_owned(),
            track: base::Track::Internal,
            at: minutes(100),
            action: definition::Params::empty(crate::testing::location()),
            location: crate::testing::location(),
        });
        for name in ["drill.injected", "drill.cleared"] {
            world.events.push(evidence::Event::new(START + minutes(100), name).with("id", "reorg"));
        }
        let seen = |m| Some(f64::from(u8::from(m >= 103)));
        world.with_series(series("seen_total", &[], 0..601, seen)).with_series(series(
            "age",
            &[],
            0..601,
            |_| Some(36.0),
        ))
    };
    assert_eq!(both(world), Pass);
}

fn calm() -> World {
    let params = "query = 'max(value)'\nreduce = 'max'\nwindow = 'deployment'\nstep = '1m'\nbelow = 2\non_missing = 'fail'";
    World::new("metric", params).with_series(series("value", &[], 0..601, |_| Some(1.0)))
}

/// The outcome and the first reason when the record is changed.
fn damaged(change: impl Fn(&mut ServerBody)) -> (Outcome, String) {
    let finding = remote(calm(), change).judge();
    (finding.outcome, finding.reasons[0].clone())
}

#[test]
fn an_answer_that_cannot_be_relied_on_is_never_a_pass() {
    use ServerProblemKind::{Malformed, Partial, RateLimited, Refused, Setup, Unreachable};
    assert_eq!(damaged(|_| {}).0, Pass);
    let text = || "It did not work.".to_owned();
    for (kind, expected) in [
        (Setup, Error),
        (Unreachable, Error),
        (Refused, Error),
        (Malformed, Error),
        (RateLimited, Inconclusive),
        (Partial, Inconclusive),
    ] {
        let problem = || Some(ServerProblem { kind, text: text() });
        // With the data there, in the answer or for the server as a whole.
        let (outcome, reason) = damaged(|body| body.answers[0].problem = problem());
        assert_eq!(outcome, expected, "{kind:?}");
        assert!(reason.contains("`main`") && reason.contains("It did not work."), "{reason}");
        assert_eq!(damaged(|body| body.problem = problem()).0, expected, "{kind:?}");
        // Also where only the freshness is not known.
        assert_eq!(damaged(|body| body.answers[1].problem = problem()).0, expected);
    }
}

#[test]
fn a_missing_answer_is_inconclusive_whatever_silence_would_mean() {
    let (outcome, reason) = damaged(|body| body.answers.truncate(1));
    assert_eq!(outcome, Inconclusive);
    assert!(reason.contains("1 question"), "{reason}");
    assert_eq!(damaged(|body| body.server = "other".to_owned()).0, Inconclusive);
    let mut never = calm();
    never.gate = over_server("metric", &never.gate.params.to_json());
    assert_eq!(never.verdict().0, Inconclusive, "never asked");
}

#[test]
fn an_answer_for_another_time_or_that_is_no_number_is_an_error() {
    let first = |body: &mut ServerBody, value: (f64, &str)| {
        let stated = body.answers.iter_mut().find(|answer| answer.question.stated).unwrap();
        stated.result[0].values[0] = (value.0, value.1.to_owned());
    };
    let at = START.unix_seconds();
    assert_eq!(damaged(|body| first(body, (at, "1"))).0, Pass);
    for (seconds, value) in [(at + 0.5, "1"), (at - 60.0, "1"), (at + 600.0, "1"), (at, "much")] {
        let (outcome, reason) = damaged(|body| first(body, (seconds, value)));
        assert_eq!(outcome, Error, "{seconds} {value}: {reason}");
    }
}

#[test]
fn a_record_of_another_shape_is_an_error() {
    let mut world = remote(calm(), |_| {});
    world.records[0].record.body["surprise"] = true.into();
    assert_eq!(world.verdict().0, Error);
}

#[test]
fn each_query_is_asked_once_with_the_presence_of_its_samples() {
    let mut world = calm();
    world.gate = over_server("metric", &world.gate.params.to_json());
    let questions = world.with_context(questions_of);
    let asked: Vec<_> = questions.iter().map(|one| (one.query.as_str(), one.stated)).collect();
    let fresh = "count(((last_over_time(value[119999ms])) < Inf) > -Inf)";
    assert_eq!(asked, [(fresh, false), ("max(value)", true)]);
    for question in &questions {
        assert_eq!((question.from, question.until), (START, START + minutes(600)));
        assert_eq!(question.step, minutes(1));
    }
}

#[test]
fn a_simulated_network_is_judged_from_its_own_samples() {
    let mut world = calm();
    world.gate = over_server("metric", &world.gate.params.to_json());
    world.host = "simulated";
    assert_eq!(world.with_context(questions_of), []);
    let finding = world.judge();
    assert_eq!(finding.outcome, Pass);
    let steps = finding.explanation.steps.join(" ");
    assert!(steps.contains("simulated") && steps.contains("`main`"), "{steps}");
}
