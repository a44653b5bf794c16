//! The same gates over the same samples, judged from Phasegate's own evaluator, from Prometheus and
//! from VictoriaMetrics.
//!
//! Where a server is not installed, its test says that it was skipped. What differs on purpose is
//! in the table below; `docs/servers.md` says the same to users.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod servers;
mod world;

use base::Outcome::{self, Error, Fail, Inconclusive, Pass};
use gates::{Finding, Measure};
use samples::Series;
use servers::Running;

/// How a server's judgement compares with the embedded one.
#[derive(Debug, Clone, Copy)]
enum Server {
    /// The same outcome, values (to a part in a thousand million), coverage, soak and breaches.
    Same,
    /// The same outcome; the value differs by at most this part of it.
    Near(f64),
    /// The same outcome, with values at up to this many points less, because a series that is gone
    /// is looked back for over a shorter time.
    Fewer(u64),
    /// Another outcome, for the reason that is stated.
    Differs(Outcome, &'static str),
}
use Server::{Differs, Fewer, Near, Same};

struct Case {
    kind: &'static str,
    params: &'static str,
    embedded: Outcome,
    prometheus: Server,
    victoria: Server,
}

const fn metric(
    params: &'static str,
    embedded: Outcome,
    prometheus: Server,
    victoria: Server,
) -> Case {
    Case { kind: "metric", params, embedded, prometheus, victoria }
}

const fn soak(params: &'static str, embedded: Outcome, victoria: Server) -> Case {
    Case { kind: "soak", params, embedded, prometheus: Same, victoria }
}

const BIRTH: &str = "the first sample of a series counts as a change";
const CLOSED: &str = "a window has its first instant in Prometheus 2";
const LOOK_BACK: &str = "a series that is gone is not looked back for over 5 minutes";

const CASES: &[Case] = &[
    metric(
        "query = 'sum(last_over_time(up[2m]))', reduce = 'mean', window = 'deployment', above = 2.8, max_gap = '10m'",
        Pass,
        Same,
        Same,
    ),
    metric(
        "query = 'max(lag)', reduce = 'max', window = 'deployment', below = 11, max_gap = '10m'",
        Fail,
        Same,
        Fewer(1),
    ),
    metric(
        "query = 'max(lag)', reduce = 'min', window = 'deployment', above = 0, max_gap = '10m'",
        Pass,
        Same,
        Fewer(1),
    ),
    metric(
        "query = 'max(lag) - min(lag offset 3m)', reduce = 'quantile(0.9)', window = '5h', below = 12, max_gap = '10m'",
        Pass,
        Same,
        Fewer(1),
    ),
    metric(
        "query = 'max(lag{node=~\"a|x.*\"})', reduce = 'last', window = '1h', equals = 9",
        Pass,
        Same,
        Same,
    ),
    // The gap of five minutes is longer than four scrape intervals.
    metric(
        "query = 'max(lag)', reduce = 'mean', window = 'deployment', below = 12",
        Inconclusive,
        Same,
        Fewer(1),
    ),
    metric(
        "query = 'max(absentee)', reduce = 'mean', window = 'deployment', below = 12",
        Inconclusive,
        Same,
        Same,
    ),
    metric("query = 'lag', reduce = 'mean', window = 'deployment', below = 12", Error, Same, Same),
    metric(
        "query = 'sum(rate(sent_total[10m]))', reduce = 'mean', window = '3h', above = 0.9",
        Pass,
        Same,
        Same,
    ),
    metric(
        "query = 'max(increase(bursts_total[3m]))', reduce = 'max', window = '3h', below = 8",
        Pass,
        Same,
        Near(0.5),
    ),
    metric(
        "query = 'histogram_quantile(0.9, sum by (le) (rate(took_bucket[10m])))', reduce = 'max', window = '3h', below = 5",
        Pass,
        Same,
        Same,
    ),
    metric(
        "query = 'max_over_time(sum(last_over_time(up[2m]))[30m:1m])', reduce = 'min', window = 'deployment', above = 3, max_gap = '1h', min_coverage = 0.9",
        Pass,
        Same,
        Same,
    ),
    // Six scrapes in a row are NaN, which is missing.
    metric(
        "query = 'max(share)', reduce = 'mean', window = 'deployment', equals = 0.5, max_gap = '4m'",
        Inconclusive,
        Same,
        Fewer(1),
    ),
    metric(
        "query = 'sum(changes(boots[1h]))', reduce = 'max', window = '7h', below = 0, max_gap = '10m'",
        Pass,
        Same,
        Differs(Fail, BIRTH),
    ),
    metric(
        "query = 'sum(count_over_time(aligned[5m]))', reduce = 'max', window = '1h', below = 5",
        Pass,
        Differs(Fail, CLOSED),
        Same,
    ),
    Case {
        kind: "regression",
        params: "query = 'max(max_over_time(share[2m]))', reduce = 'mean', window = '3h'",
        embedded: Pass,
        prometheus: Same,
        victoria: Same,
    },
    Case {
        kind: "regression",
        params: "query = 'max(lag)', reduce = 'mean', window = '3h'",
        embedded: Fail,
        prometheus: Same,
        victoria: Same,
    },
    soak("conditions = ['nodes', 'calm'], stable_for = '9h', max_gap = '10m'", Pass, Same),
    // A pause of the clock is not time that counts.
    soak(
        "conditions = ['nodes', 'calm'], stable_for = '592m', max_gap = '10m'",
        Inconclusive,
        Same,
    ),
    soak(
        "conditions = ['nodes', 'calm'], stable_for = '9h', max_gap = '10m', on_gap = 'restart'",
        Inconclusive,
        Same,
    ),
    soak("conditions = ['nodes', 'calm'], stable_for = '3h'", Pass, Same),
    soak("conditions = ['all-nodes', 'calm'], stable_for = '3h', max_gap = '10m'", Pass, Same),
    soak(
        "conditions = ['all-nodes', 'calm'], stable_for = '7h', max_gap = '10m'",
        Inconclusive,
        Same,
    ),
    soak(
        "conditions = ['all-nodes'], stable_for = '1h', max_gap = '10m', on_breach = 'fail'",
        Fail,
        Same,
    ),
    soak(
        "conditions = ['nodes'], stable_for = '9h', max_gap = '10m', load = 'sum(last_over_time(up[2m]))', min_load = 2.5",
        Inconclusive,
        Same,
    ),
    soak(
        "conditions = ['nodes-by-look-back'], stable_for = '364m', max_gap = '10m'",
        Pass,
        Differs(Inconclusive, LOOK_BACK),
    ),
];

fn close(ours: f64, theirs: f64, part: f64) -> bool {
    (ours - theirs).abs() <= part * ours.abs().max(theirs.abs())
}

/// What is wrong with the server's judgement, if something is.
fn difference(expected: Server, ours: &Finding, theirs: &Finding) -> Option<String> {
    let refuse = |why: String| Some(format!("{why}; theirs: {}", theirs.reasons.join(" ")));
    let (outcome, part) = match expected {
        Same => (ours.outcome, 1e-9),
        Near(part) => (ours.outcome, part),
        Fewer(_) => (ours.outcome, 0.01),
        Differs(outcome, reason) => {
            assert_ne!(outcome, ours.outcome, "{reason}: not a difference");
            (outcome, f64::INFINITY)
        }
    };
    if theirs.outcome != outcome {
        return refuse(format!("{:?} and not {outcome:?}", theirs.outcome));
    }
    for (our, their) in ours.measures.iter().zip(&theirs.measures) {
        let agree = match (our.value, their.value) {
            (Some(our), Some(their)) => close(our, their, part),
            (our, their) => our == their,
        };
        if !agree {
            return refuse(format!("{:?} and not {:?}", their.value, our.value));
        }
    }
    let same = |(our, their): (&Measure, &Measure)| match (our.value, their.value) {
        (Some(our), Some(their)) => close(our, their, 1e-9),
        (our, their) => our == their,
    };
    if matches!(expected, Near(_)) && ours.measures.iter().zip(&theirs.measures).all(same) {
        return refuse("listed as different, but the values agree".to_owned());
    }
    // What differs is said with the finding.
    let is_said =
        |step: &String| step.starts_with("VictoriaMetrics ") || step.starts_with("Prometheus 2 ");
    if !matches!(expected, Same) && !theirs.explanation.steps.iter().any(is_said) {
        return refuse(format!("the finding does not say it: {:?}", theirs.explanation.steps));
    }
    if let Fewer(points) = expected {
        let present = |finding: &Finding| finding.coverage.as_ref().map_or(0, |c| c.present);
        let (our, their) = (present(ours), present(theirs));
        if their >= our || their + points < our {
            return refuse(format!("{their} points and not {our} less 1 to {points}"));
        }
    }
    if matches!(expected, Same) {
        if ours.coverage != theirs.coverage {
            return refuse(format!("{:?} and not {:?}", theirs.coverage, ours.coverage));
        }
        if ours.soak != theirs.soak {
            return refuse(format!("{:?} and not {:?}", theirs.soak, ours.soak));
        }
        let breaches = |f: &Finding| (f.explanation.first_breach, f.explanation.last_breach);
        if breaches(ours) != breaches(theirs) {
            return refuse("the breaches differ".to_owned());
        }
    }
    None
}

fn compare(name: &str, samples: &Vec<Series>, url: &str, expected: fn(&Case) -> Server) {
    let mut wrong = Vec::new();
    for case in CASES {
        let ours = world::judge(case.kind, case.params, samples, None);
        let theirs = world::judge(case.kind, case.params, samples, Some(url));
        if ours.outcome != case.embedded {
            wrong.push(format!(
                "{}\n    embedded: {:?} {:?}",
                case.params, ours.outcome, ours.reasons
            ));
        }
        if let Some(why) = difference(expected(case), &ours, &theirs) {
            wrong.push(format!("{} {}\n    {why}", case.kind, case.params));
        }
        let steps = theirs.explanation.steps.join(" ");
        if !steps.contains(name) {
            wrong.push(format!("{}\n    {name} is not named: {steps}", case.params));
        }
    }
    assert!(wrong.is_empty(), "{} surprises of {name}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn prometheus_gives_the_same_judgements() {
    let samples = world::samples();
    match Running::prometheus(&samples) {
        None => eprintln!("skipped: prometheus_gives_the_same_judgements (no prometheus)"),
        Some(server) => compare("prometheus", &samples, &server.url(), |case| case.prometheus),
    }
}

#[test]
fn victoria_metrics_gives_the_same_judgements_but_for_its_dialect() {
    let name = "victoria_metrics_gives_the_same_judgements_but_for_its_dialect";
    let samples = world::samples();
    match Running::victoria_metrics(&samples) {
        None => eprintln!("skipped: {name} (no victoria-metrics)"),
        Some(server) => compare("victoria-metrics", &samples, &server.url(), |case| case.victoria),
    }
}
