//! The traps that a naive judgement of PromQL falls into. Each test first shows that the naive
//! reading passes, and then that ours does not.

use base::Outcome::{Fail, Inconclusive, Pass};
use promql::{Limits, Query, Value};

use crate::testing::{World, series};

/// What a gate would see that runs the query once, at the end of the time.
fn naive(world: &World, query: &str) -> Option<f64> {
    let query = Query::parse(query).unwrap();
    let samples = world.samples.as_ref().unwrap();
    match promql::instant(&query, samples, world.at, &Limits::default()).unwrap() {
        Value::Vector(elements) => elements.first().map(|element| element.value),
        Value::Scalar(point) => Some(point.value),
        _ => None,
    }
}

/// The last value of `query` must be at or above `above`.
fn last(query: &str, above: f64) -> World {
    let params = format!(
        "query = '{query}'\nreduce = 'last'\nwindow = 'deployment'\nstep = '1m'\nabove = {above:?}"
    );
    World::new("metric", &params)
}

#[test]
fn the_minimum_of_a_count_hides_a_total_outage() {
    let query = "min_over_time(count(up == 1)[4h:1m])";
    // Both nodes are down from minute 400 to 500; then `count(up == 1)` is silent.
    let up = |minute: i64| Some(if (400..500).contains(&minute) { 0.0 } else { 1.0 });
    let world = last(query, 2.0)
        .with_series(series("up", &[("instance", "a")], 0..601, up))
        .with_series(series("up", &[("instance", "b")], 0..601, up));
    assert_eq!(naive(&world, query), Some(2.0));
    assert_eq!(world.verdict().0, Inconclusive);
    let honest = World::new(
        "metric",
        "query = 'sum(up)'\nreduce = 'min'\nwindow = '4h'\nstep = '1m'\nabove = 2",
    );
    let honest = honest.with_series(series("up", &[("instance", "a")], 0..601, up));
    assert_eq!(honest.verdict().0, Fail);
}

#[test]
fn ninety_hours_over_ten_hours_of_data_answer_without_complaint() {
    let query = "sum(rate(tx_total[90h])) / sum(rate(tx_total[90h]))";
    let world = last(query, 1.0);
    let world = world.with_series(series("tx_total", &[], 0..601, |minute| Some(minute as f64)));
    assert_eq!(naive(&world, query), Some(1.0));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("the query looks back 90h"), "{reasons}");
    let window = World::new(
        "metric",
        "query = 'max(load)'\nreduce = 'mean'\nwindow = '90h'\nstep = '1m'\nabove = 1",
    );
    let (outcome, reasons) =
        window.with_series(series("load", &[], 0..601, |_| Some(9.0))).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("Only 11.1 % of the expected values"), "{reasons}");
}

#[test]
fn a_pruned_chain_looks_like_growth() {
    let query = "max(increase(height[1h]))";
    // The chain loses 5 of 100 blocks every ten minutes and never gets further.
    let world = last(query, 10.0).with_series(series("height", &[], 0..601, |minute| {
        Some(100.0 - (minute / 10 % 2 * 5) as f64)
    }));
    assert!(naive(&world, query).unwrap() > 10.0);
    let problems = world.problems();
    assert!(problems[0].contains("reads every fall of `height` as growth"), "{problems:?}");
    assert!(problems[0].contains("use `delta`"), "{problems:?}");
    let honest = last("max(delta(height[1h]))", 10.0);
    let honest = World { samples: world.samples, ..honest };
    assert_eq!(honest.verdict().0, Fail);
}

#[test]
fn a_counter_without_a_telling_name_can_be_declared() {
    let world = last("max(increase(reorg_drop[1h]))", 1.0);
    assert_eq!(world.problems().len(), 1);
    let declared = "query = 'max(increase(reorg_drop[1h]))'\nreduce = 'last'\nwindow = 'deployment'\nstep = '1m'\nabove = 1\ncounters = ['reorg_drop']";
    assert!(World::new("metric", declared).problems().is_empty());
}

#[test]
fn nan_compares_as_different_from_everything() {
    let query = "max(faults) != bool 1";
    let world = World::new("soak", "stable_for = '5h'\nconditions = ['faults']\nstep = '1m'")
        .with_conditions(&[("faults", query)])
        .with_series(series("faults", &[], 0..601, |_| Some(f64::NAN)));
    assert_eq!(naive(&world, query), Some(1.0));
    assert_eq!(world.verdict().0, Inconclusive);
}

#[test]
fn five_minutes_of_look_back_invent_data_for_a_dead_scraper() {
    let query = "max(load)";
    let world = last(query, 1.0)
        .with_series(series("load", &[], 0..601, |minute| (minute < 597).then_some(9.0)));
    assert_eq!(naive(&world, query), Some(9.0));
    assert_eq!(world.verdict().0, Inconclusive);
}

#[test]
fn a_scraper_that_works_one_minute_in_five_looks_complete() {
    let params =
        "query = 'max(load)'\nreduce = 'mean'\nwindow = 'deployment'\nstep = '1m'\nabove = 1";
    let rare = |minute: i64| (minute % 5 == 0).then_some(9.0);
    let world = World::new("metric", params).with_series(series("load", &[], 0..601, rare));
    assert_eq!(naive(&world, "avg_over_time(max(load)[9h:1m])"), Some(9.0));
    assert_eq!(world.verdict().0, Inconclusive);
}

#[test]
fn a_renamed_metric_is_no_breach() {
    let query = "max(errors_per_minute) > 0";
    let world = World::new(
        "metric",
        "query = 'max(errors_per_minute)'\nreduce = 'max'\nwindow = 'deployment'\nstep = '1m'\nbelow = 0",
    );
    let world = world.with_series(series("errors_a_minute", &[], 0..601, |_| Some(7.0)));
    // No element means "no alert" to a naive reading.
    assert_eq!(naive(&world, query), None);
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("`errors_per_minute`"), "{reasons}");
}

#[test]
fn a_server_that_turns_missing_into_zero_is_refused_at_the_definition() {
    let query = "max(errors) or vector(0)";
    let world = World::new(
        "metric",
        "query = 'max(errors) or vector(0)'\nreduce = 'max'\nwindow = 'deployment'\nstep = '1m'\nbelow = 0",
    );
    assert_eq!(naive(&world, query), Some(0.0));
    assert!(world.problems()[0].contains("invents data"));
}

#[test]
fn a_condition_that_filters_is_refused_because_false_would_look_missing() {
    let world = World::new("soak", "stable_for = '5h'\nconditions = ['lag']\nstep = '1m'")
        .with_conditions(&[("lag", "max(lag) < 4")]);
    assert!(world.problems()[0].contains("write `bool`"), "{:?}", world.problems());
}

#[test]
fn a_metric_that_moves_to_a_new_name_may_be_read_under_both() {
    let params = "query = 'max(old) or max(new)'\nreduce = 'min'\nwindow = 'deployment'\nstep = '1m'\nabove = 1";
    let world = World::new("metric", params)
        .with_series(series("old", &[], 0..300, |_| Some(1.0)))
        .with_series(series("new", &[], 300..601, |_| Some(1.0)));
    assert_eq!(world.verdict().0, Pass);
}
