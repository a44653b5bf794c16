use crate::testing::{START, World, minutes, series, subject};
use crate::{EarlierPass, Measure, Relation};
use base::Outcome::{Fail, Inconclusive, NotApplicable, Pass};

fn interval(rest: &str) -> World {
    let params = format!(
        "query = 'max(interval)'\nreduce = 'mean'\nwindow = 'deployment'\nstep = '1m'\nunit = 's'\n{rest}"
    );
    World::new("regression", &params)
}

fn with_history(mut world: World, now: f64, earlier: &[f64]) -> World {
    world.earlier = earlier
        .iter()
        .enumerate()
        .map(|(week, value)| EarlierPass {
            at: START - minutes(10_000 - week as i64),
            subject: Some(subject("v0")),
            measures: vec![Measure {
                name: "mean".to_owned(),
                value: Some(*value),
                unit: "s".to_owned(),
                relation: Relation::AtMost,
                threshold: 0.0,
            }],
        })
        .collect();
    world.with_series(series("interval", &[], 0..601, move |_| Some(now)))
}

#[test]
fn a_tenth_more_than_the_earlier_mean_is_accepted_and_more_is_not() {
    assert_eq!(with_history(interval(""), 44.0, &[40.0, 40.0]).verdict().0, Pass);
    let finding = with_history(interval(""), 44.1, &[40.0, 40.0]).judge();
    assert_eq!(finding.outcome, Fail);
    assert_eq!(
        finding.reasons,
        [
            "The mean is 44.1 s, 1.1025 times the earlier mean of 40 s; at most 1.1 times is accepted."
        ]
    );
    assert_eq!(finding.explanation.would_change.as_deref(), Some("A mean of at most 44 s."));
}

#[test]
fn the_first_evaluation_does_not_apply_and_leaves_its_value() {
    let finding = with_history(interval(""), 36.0, &[]).judge();
    assert_eq!(finding.outcome, NotApplicable);
    assert_eq!(finding.measures[0].value, Some(36.0));
    assert!((finding.measures[0].threshold - 39.6).abs() < 1e-9);
}

#[test]
fn too_few_points_and_missing_samples_are_inconclusive() {
    let (outcome, reasons) = with_history(interval("min_points = 3"), 36.0, &[36.0]).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("only 1 earlier passing evaluation"), "{reasons}");
    let mut silent = with_history(interval(""), 36.0, &[36.0]);
    silent.samples = Some(Vec::new());
    assert_eq!(silent.verdict().0, Inconclusive);
    let (outcome, reasons) = with_history(interval(""), 36.0, &[0.0]).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("means nothing"), "{reasons}");
}

#[test]
fn only_the_last_evaluations_make_the_mean() {
    let history = [1.0, 1.0, 40.0, 40.0, 40.0];
    assert_eq!(with_history(interval(""), 42.0, &history).verdict().0, Pass);
    assert_eq!(with_history(interval("baseline = 5"), 42.0, &history).verdict().0, Fail);
}

#[test]
fn senseless_parameters_are_refused() {
    for (rest, expected) in [
        ("max_ratio = 0.0", "is no ratio"),
        ("min_points = 0", "nothing is compared with"),
        ("min_points = 4\nbaseline = 2", "has fewer than 4"),
    ] {
        let problems = interval(rest).problems();
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}
