use crate::testing::{START, World, minutes, series, subject};
use base::Duration;
use base::Outcome::{Error, Fail, Inconclusive, Pass};
use evidence::SubjectInterval;
use proptest::prelude::*;

const BLOCKS: (&str, &str) = ("blocks", "max(age) < bool 600");
const NODES: (&str, &str) = ("nodes", "sum(up) >= bool 2");

/// Five hours of `blocks` and `nodes`, after half an hour of warm-up.
fn soak(rest: &str) -> World {
    let params = format!(
        "stable_for = '5h'\nconditions = ['blocks', 'nodes']\nstep = '1m'\nwarm_up = '30m'\n{rest}"
    );
    World::new("soak", &params).with_conditions(&[BLOCKS, NODES])
}

/// Ages of the last block and two nodes that are up, with faults in some minutes.
fn network(world: World, stalled: impl Fn(i64) -> bool, silent: impl Fn(i64) -> bool) -> World {
    let age = |m| (!silent(m)).then_some(if stalled(m) { 700.0 } else { 36.0 });
    let up = |m| (!silent(m)).then_some(1.0);
    world
        .with_series(series("age", &[], 0..2_000, age))
        .with_series(series("up", &[("instance", "a")], 0..2_000, up))
        .with_series(series("up", &[("instance", "b")], 0..2_000, up))
}

const NEVER: fn(i64) -> bool = |_| false;

#[test]
fn a_quiet_network_passes_after_warm_up_and_soak_and_not_a_minute_earlier() {
    let world = network(soak(""), NEVER, NEVER).at_minute(329);
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert_eq!(
        reasons,
        "The network has been stable for 4h59m of the 5h required; 1m are missing. It can be complete at 2026-01-08T20:30:00Z at the earliest."
    );
    let finding = network(soak(""), NEVER, NEVER).at_minute(330).judge();
    assert_eq!(finding.outcome, Pass);
    assert_eq!(finding.reasons, ["All 2 conditions held for 5h of the 5h required."]);
    assert_eq!(finding.measures[0].distance(), Some(0.0));
    assert_eq!(finding.coverage.unwrap().share(), 1.0);
}

#[test]
fn a_single_condition_is_named_by_its_title() {
    let params = "stable_for = '5h'\nconditions = ['blocks']\nstep = '1m'";
    let world = World::new("soak", params).with_conditions(&[("blocks", BLOCKS.1)]);
    let (_, reasons) = network(world, NEVER, NEVER).verdict();
    assert_eq!(reasons, "Condition blocks for 10h of the 5h required.");
}

#[test]
fn only_a_condition_that_broke_is_drawn_with_its_values_and_threshold() {
    let finding = network(soak(""), |m| (400..403).contains(&m), NEVER).judge();
    let drawn: Vec<_> = finding.explanation.series.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(drawn, ["Condition blocks", "Condition nodes", "Condition blocks: value"]);
    let values = &finding.explanation.series[2];
    assert_eq!(values.threshold, Some(600.0));
    let highest = values.points.iter().filter_map(|point| point.value).fold(0.0, f64::max);
    assert_eq!(highest, 700.0);
}

#[test]
fn a_stall_restarts_the_clock_and_shows_its_number() {
    let finding = network(soak(""), |m| (400..403).contains(&m), NEVER).judge();
    assert_eq!(finding.outcome, Inconclusive);
    let progress = finding.soak.unwrap();
    assert_eq!(progress.accrued, minutes(600 - 403));
    assert_eq!(progress.longest_run, minutes(399 - 30));
    assert_eq!(progress.breaks_total, 1);
    assert_eq!(progress.breaks[0].at, START + minutes(400));
    assert_eq!(
        (progress.breaks[0].condition.as_str(), progress.breaks[0].value),
        ("blocks", Some(700.0))
    );
    assert_eq!(progress.eligible_at, Some(START + minutes(403 + 300)));
    assert!(
        finding.reasons[1].contains("\"Condition blocks\" did not hold"),
        "{:?}",
        finding.reasons
    );
    assert_eq!(finding.explanation.first_breach, Some(START + minutes(400)));
}

#[test]
fn what_happens_in_the_warm_up_does_not_count() {
    assert_eq!(network(soak(""), |m| m < 30, NEVER).at_minute(330).verdict().0, Pass);
    assert_eq!(network(soak(""), |m| m < 31, NEVER).at_minute(330).verdict().0, Inconclusive);
}

#[test]
fn a_breach_fails_where_the_rule_says_so() {
    let strict = network(soak("on_breach = 'fail'"), |m| m == 100, NEVER);
    let (outcome, reasons) = strict.verdict();
    assert_eq!(outcome, Fail);
    assert!(
        reasons.starts_with("\"Condition blocks\" did not hold at 2026-01-08T16:40:00Z."),
        "{reasons}"
    );
    let unfinished = network(soak("on_breach = 'fail'"), NEVER, NEVER).at_minute(100);
    assert_eq!(unfinished.verdict().0, Inconclusive);
}

#[test]
fn missing_data_pauses_and_then_restarts_and_never_fails() {
    let paused = network(soak("on_breach = 'fail'"), NEVER, |m| (100..103).contains(&m));
    // The sample before the hole counts for one more minute.
    let progress = paused.judge().soak.unwrap();
    assert_eq!((progress.accrued, progress.breaks_total), (minutes(570 - 3), 0));
    let broken = network(soak("on_breach = 'fail'"), NEVER, |m| (400..420).contains(&m)).judge();
    assert_eq!(broken.outcome, Inconclusive);
    assert_eq!(broken.soak.unwrap().breaks[0].condition, "gap");
    assert!(broken.reasons[1].contains("There was no usable data for too long"));
}

#[test]
fn silence_from_the_beginning_says_so() {
    let (outcome, reasons) = network(soak(""), NEVER, |_| true).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.starts_with("No condition had a usable value"), "{reasons}");
    let (_, reasons) = network(soak(""), NEVER, NEVER).at_minute(10).verdict();
    assert!(reasons.starts_with("The warm-up of 30m is not over."), "{reasons}");
}

#[test]
fn too_little_load_does_not_count_as_stability() {
    let loaded = || soak("min_load = 2.0\nload = 'max(tps)'");
    let idle = network(loaded(), NEVER, NEVER)
        .with_series(series("tps", &[], 0..601, |m| Some(if m == 500 { 1.9 } else { 2.0 })));
    let progress = idle.judge().soak.unwrap();
    assert_eq!(
        (progress.breaks[0].condition.as_str(), progress.breaks[0].value),
        ("load", Some(1.9))
    );
    assert_eq!(progress.accrued, minutes(99));
    let busy =
        network(loaded(), NEVER, NEVER).with_series(series("tps", &[], 0..601, |_| Some(2.0)));
    assert_eq!(busy.verdict().0, Pass);
    assert_eq!(network(loaded(), NEVER, NEVER).verdict().0, Inconclusive, "no load is known");
}

#[test]
fn a_new_subject_restarts_the_clock_with_its_own_warm_up() {
    let mut world = network(soak(""), NEVER, NEVER);
    world.intervals.push(SubjectInterval { from: START + minutes(400), subject: subject("v2") });
    world.candidate = subject("v2");
    let progress = world.judge().soak.unwrap();
    assert_eq!(progress.accrued, minutes(600 - 430));
    assert_eq!(progress.breaks[0].condition, "subject");
    assert_eq!(progress.breaks[0].at, START + minutes(400));
}

#[test]
fn a_soak_that_was_complete_before_a_planned_change_stays_complete() {
    let mut world = network(soak(""), |m| m >= 400, NEVER);
    world.intervals.push(SubjectInterval { from: START + minutes(400), subject: subject("v2") });
    assert_eq!(world.verdict().0, Pass, "v1 was stable from minute 30 to minute 400");
    world.intervals[1].from = START + minutes(200);
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("Another subject took its place"), "{reasons}");
    assert_eq!(world.judge().soak.unwrap().eligible_at, None);
}

#[test]
fn a_deployment_that_ended_early_cannot_complete() {
    let mut world = network(soak(""), NEVER, NEVER);
    world.ended = Some(START + minutes(200));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("The deployment ended at"), "{reasons}");
}

#[test]
fn a_query_that_looks_back_lengthens_the_warm_up() {
    let params = "stable_for = '5h'\nconditions = ['growth']\nstep = '1m'\nwarm_up = '30m'";
    let world = World::new("soak", params)
        .with_conditions(&[("growth", "max(delta(height[2h])) > bool 0")]);
    let world = world.with_series(series("height", &[], 0..601, |m| Some(m as f64)));
    let finding = world.judge();
    assert_eq!(finding.coverage.unwrap().from, START + minutes(120));
    let gate = crate::parse(&world.gate, &world.phase).unwrap();
    assert_eq!(gate.earliest_pass(), Duration::from_hours(7));
}

#[test]
fn a_condition_that_is_neither_true_nor_false_is_an_error() {
    let world = World::new("soak", "stable_for = '5h'\nconditions = ['x']\nstep = '1m'")
        .with_conditions(&[("x", "max(age) + 0")]);
    let (outcome, reasons) = network(world, NEVER, NEVER).verdict();
    assert_eq!(outcome, Error);
    assert!(reasons.contains("must give 1 or 0"), "{reasons}");
}

#[test]
fn unknown_conditions_are_suggested_and_bad_queries_stand_at_their_own_place() {
    let world = soak("").with_conditions(&[BLOCKS, ("node", "sum(up) >= bool 2")]);
    assert_eq!(world.problems(), ["PG0404 unknown condition `nodes` (did you mean `node`?)"]);
    let world = soak("").with_conditions(&[BLOCKS, ("nodes", "sum(up")]);
    assert!(world.problems()[0].starts_with("PG0403"), "{:?}", world.problems());
    let twice = World::new("soak", "stable_for='5h'\nconditions=['blocks','blocks']\nstep='1m'");
    assert!(twice.with_conditions(&[BLOCKS]).problems()[0].contains("named twice"));
    let empty = World::new("soak", "stable_for='5h'\nconditions=[]\nstep='1m'");
    assert!(empty.problems()[0].starts_with("PG0406"));
    let half = soak("min_load = 2").problems();
    assert!(half[0].contains("means nothing without `load`"), "{half:?}");
}

#[test]
fn series_show_each_condition_as_steps() {
    let finding = network(soak(""), |m| (400..403).contains(&m), NEVER).judge();
    let blocks = &finding.explanation.series[0];
    assert_eq!(blocks.title, "Condition blocks");
    let levels: Vec<_> = blocks.points.iter().map(|p| p.value.unwrap()).collect();
    assert_eq!(levels, [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn charts_are_drawn_and_never_judged() {
    let charts = r#"charts = [{ title = "Height", unit = "blocks", query = "max(age)" }, { title = "None", query = "max(nothing)" }]"#;
    let finding = network(soak(charts), NEVER, NEVER).judge();
    let plain = network(soak(""), NEVER, NEVER).judge();
    assert_eq!((finding.outcome, &finding.soak), (plain.outcome, &plain.soak));
    let drawn: Vec<_> = finding.explanation.series.iter().map(|s| s.title.as_str()).collect();
    assert!(drawn.contains(&"Height"), "{drawn:?}");
    let height = finding.explanation.series.iter().find(|s| s.title == "Height").unwrap();
    assert!(height.points.iter().all(|point| point.value == Some(36.0)));
    let none = finding.explanation.series.iter().find(|s| s.title == "None").unwrap();
    assert!(none.points.iter().all(|point| point.value.is_none()));
    let bad = soak(r#"charts = [{ title = "Bad", query = "max(" }]"#).problems();
    assert_eq!(bad.len(), 1, "{bad:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_the_conditions_does_not_matter(
        stalls in prop::collection::btree_set(30..600_i64, 0..4),
        downs in prop::collection::btree_set(30..600_i64, 0..4),
        silent in prop::collection::btree_set(30..600_i64, 0..30),
    ) {
        let judged = |names: &str| {
            let params = format!("stable_for = '5h'\nconditions = [{names}]\nstep = '1m'");
            World::new("soak", &params)
                .with_conditions(&[BLOCKS, NODES])
                .with_series(series("age", &[], 0..601, |m| {
                    (!silent.contains(&m)).then_some(if stalls.contains(&m) { 700.0 } else { 36.0 })
                }))
                .with_series(series("up", &[], 0..601, |m| {
                    Some(if downs.contains(&m) { 1.0 } else { 2.0 })
                }))
                .judge()
        };
        let (one, other) = (judged("'blocks', 'nodes'"), judged("'nodes', 'blocks'"));
        prop_assert_eq!(one.outcome, other.outcome);
        let (one, other) = (one.soak.unwrap(), other.soak.unwrap());
        prop_assert_eq!(one.accrued, other.accrued);
        prop_assert_eq!(one.longest_run, other.longest_run);
        prop_assert_eq!(one.breaks_total, other.breaks_total);
    }
}
