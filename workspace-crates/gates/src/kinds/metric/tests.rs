use crate::testing::{START, World, minutes, series, subject};
use base::Outcome::{Error, Fail, Inconclusive, Pass};
use evidence::SubjectInterval;

fn metric(query: &str, rest: &str) -> World {
    World::new("metric", &format!("query = '{query}'\nstep = '1m'\n{rest}"))
}

/// The mean of `load` over the deployment must be at or above 2.
fn load(rest: &str) -> World {
    metric("max(load)", &format!("reduce = 'mean'\nwindow = 'deployment'\nabove = 2\n{rest}"))
}

#[test]
fn the_threshold_itself_passes_from_both_sides() {
    let flat = |_| Some(2.0);
    let at = load("unit = 'tx/s'").with_series(series("load", &[], 0..601, flat));
    let finding = at.judge();
    assert_eq!(finding.outcome, Pass);
    assert_eq!(finding.reasons, ["The mean is 2 tx/s; it must be at least 2 tx/s."]);
    assert_eq!(finding.measures[0].distance(), Some(0.0));
    let below = metric("max(load)", "reduce = 'max'\nwindow = 'deployment'\nbelow = 2");
    assert_eq!(below.with_series(series("load", &[], 0..601, flat)).verdict().0, Pass);
}

#[test]
fn a_fail_says_what_would_turn_it_and_when_it_was_breached() {
    let value = |minute| Some(if (100..200).contains(&minute) { 0.0 } else { 2.0 });
    let finding = load("").with_series(series("load", &[], 0..601, value)).judge();
    assert_eq!(finding.outcome, Fail);
    assert_eq!(finding.explanation.first_breach, Some(START + minutes(100)));
    assert_eq!(finding.explanation.last_breach, Some(START + minutes(199)));
    let change = finding.explanation.would_change.unwrap();
    assert!(change.starts_with("A mean that is 0.33"), "{change}");
    assert_eq!(finding.coverage.unwrap().present, 601);
    assert!(finding.explanation.series[0].points.len() <= 400);
}

#[test]
fn nothing_at_all_says_which_metric_was_not_there() {
    let (outcome, reasons) =
        load("").with_series(series("lod", &[], 0..601, |_| Some(9.0))).verdict();
    assert_eq!(outcome, Inconclusive);
    assert_eq!(
        reasons,
        "No usable value of `load` was found in the window, so nothing is known about it."
    );
    let (outcome, _) = load("on_missing = 'fail'").verdict();
    assert_eq!(outcome, Fail);
}

#[test]
fn without_deployment_or_samples_nothing_is_known() {
    let mut world = load("");
    world.samples = None;
    assert_eq!(world.verdict().0, Inconclusive);
    world.deployed = false;
    assert_eq!(world.verdict().0, Inconclusive);
}

#[test]
fn gaps_and_thin_data_are_inconclusive_with_their_numbers() {
    let hole = |minute| (!(300..310).contains(&minute)).then_some(9.0);
    let (outcome, reasons) = load("").with_series(series("load", &[], 0..601, hole)).verdict();
    assert_eq!(outcome, Inconclusive);
    // The sample before the hole is still fresh one minute later.
    assert_eq!(reasons, "For 10m in a row there was no value; at most 4m are accepted.");
    let half = |minute| (minute < 300).then_some(9.0);
    let (outcome, reasons) = load("").with_series(series("load", &[], 0..601, half)).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("Only 50 % of the expected values"), "{reasons}");
    let tolerant = load("min_coverage = 0.4\nmax_gap = '10h'");
    assert_eq!(tolerant.with_series(series("load", &[], 0..601, half)).verdict().0, Pass);
}

#[test]
fn infinities_and_nan_are_missing() {
    for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let world = load("").with_series(series("load", &[], 0..601, |_| Some(broken)));
        assert_eq!(world.verdict().0, Inconclusive, "{broken}");
    }
    let ratio = metric("max(a) / max(b)", "reduce = 'last'\nwindow = 'deployment'\nabove = 0.5");
    let ratio = ratio.with_series(series("a", &[], 0..601, |_| Some(0.0)));
    assert_eq!(
        ratio.with_series(series("b", &[], 0..601, |_| Some(0.0))).verdict().0,
        Inconclusive
    );
}

#[test]
fn a_known_breach_is_not_hidden_by_missing_data() {
    let world = metric("max(load)", "reduce = 'min'\nwindow = 'deployment'\nabove = 2");
    let dips_then_silent = |minute| match minute {
        0..50 => Some(9.0),
        50 => Some(1.0),
        _ => None,
    };
    let (outcome, reasons) =
        world.with_series(series("load", &[], 0..601, dips_then_silent)).verdict();
    assert_eq!(outcome, Fail);
    assert!(reasons.contains("The minimum is 1") && reasons.contains("Only 8"), "{reasons}");
}

#[test]
fn the_last_value_must_come_from_the_end() {
    let last = metric("max(load)", "reduce = 'last'\nwindow = 'deployment'\nabove = 2");
    let silent = |minute| (minute < 598).then_some(9.0);
    let (outcome, reasons) = last.with_series(series("load", &[], 0..601, silent)).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("stale"), "{reasons}");
}

#[test]
fn several_series_are_an_error_because_one_could_vanish_unseen() {
    let world = metric("load", "reduce = 'mean'\nwindow = 'deployment'\nabove = 2");
    let world = world.with_series(series("load", &[("node", "a")], 0..601, |_| Some(9.0)));
    let world = world.with_series(series("load", &[("node", "b")], 0..601, |_| Some(9.0)));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Error);
    assert!(reasons.contains("gives 2 series"), "{reasons}");
}

#[test]
fn warm_up_is_left_out_and_shown() {
    let cold = |minute| Some(if minute < 60 { 0.0 } else { 2.0 });
    let finding = load("warm_up = '1h'").with_series(series("load", &[], 0..601, cold)).judge();
    assert_eq!(finding.outcome, Pass);
    let coverage = finding.coverage.unwrap();
    assert_eq!((coverage.from, coverage.warm_up), (START + minutes(60), minutes(60)));
    let early = load("warm_up = '1h'").with_series(series("load", &[], 0..601, cold)).at_minute(30);
    let (outcome, reasons) = early.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("the first 1h are warm-up"), "{reasons}");
}

#[test]
fn only_the_time_of_the_candidate_counts() {
    let value = |minute| Some(if minute < 300 { 9.0 } else { 0.0 });
    let mut world = load("").with_series(series("load", &[], 0..601, value));
    world.intervals.push(SubjectInterval { from: START + minutes(300), subject: subject("v2") });
    assert_eq!(world.verdict().0, Pass, "v1 ran while the load was 9");
    world.candidate = subject("v2");
    assert_eq!(world.verdict().0, Fail, "v2 ran while it was 0");
    world.candidate = subject("v3");
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("did not run the candidate: another artifact `node`"), "{reasons}");
}

#[test]
fn a_window_after_an_event_waits_for_it_and_for_its_end() {
    let after =
        "reduce = 'min'\nabove = 2\nwindow = { after_event = 'done', delay = '1h', for = '2h' }";
    let good = |minute: i64| Some(if (160..=280).contains(&minute) { 2.0 } else { 0.0 });
    let world = metric("max(load)", after).with_series(series("load", &[], 0..601, good));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert_eq!(reasons, "`done` has not happened, so its window has not begun.");
    let world = world.with_event(100, "done").at_minute(270);
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("which is still to come"), "{reasons}");
    let world = world.at_minute(600);
    assert_eq!(world.verdict().0, Pass);
}

#[test]
fn a_duration_window_is_the_last_part() {
    let world = metric("max(load)", "reduce = 'min'\nabove = 2\nwindow = '2h'");
    let recovered = |minute| Some(if minute < 480 { 0.0 } else { 2.0 });
    assert_eq!(world.with_series(series("load", &[], 0..601, recovered)).verdict().0, Pass);
}

#[test]
fn definitions_that_mean_nothing_are_refused() {
    let cases = [
        ("query='1'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1", "reads no metric"),
        ("query='up'\nreduce='mean'\nwindow='deployment'\nstep='1m'", "compares with nothing"),
        ("query='up['\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1", "PG0403"),
        ("query='up[1h]'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1", "not a number"),
        ("query='up'\nreduce='avg'\nwindow='deployment'\nstep='1m'\nabove=1", "is no reduction"),
        ("query='up'\nreduce='mean'\nwindow='deploymnt'\nstep='1m'\nabove=1", "is no window"),
        ("query='up'\nreduce='mean'\nwindow='deployment'\nstep='0s'\nabove=1", "`step` is 0s"),
        (
            "query='up'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=2\nbelow=1",
            "nothing is at or above 2",
        ),
        (
            "query='up'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=2\nequals=2",
            "leaves nothing",
        ),
        (
            "query='up'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1\nmin_coverage=0.0",
            "no share",
        ),
        ("query='up'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabov=1", "unknown key `abov`"),
        (
            "query='up'\nreduce='mean'\nwindow={ after_event='x', fr='1h' }\nstep='1m'\nabove=1",
            "`fr`",
        ),
        (
            "query='up or vector(1)'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1",
            "invents data",
        ),
        (
            "query='absent(up)'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1",
            "data is missing",
        ),
        (
            "query='up offset -5m'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1",
            "look ahead",
        ),
        ("query='up @ 0'\nreduce='mean'\nwindow='deployment'\nstep='1m'\nabove=1", "with `@`"),
    ];
    for (params, expected) in cases {
        let problems = World::new("metric", params).problems();
        assert!(problems.iter().any(|p| p.contains(expected)), "{params}\n{problems:?}");
    }
}
