use base::{Duration, Instant};
use diagnostics::Diagnostic;
use promql::Query;
use proptest::prelude::*;
use samples::Series;

use super::answers::{Answers, Embedded};
use super::{Grid, Reader, coverage};
use crate::query::{GateQuery, Purpose, parse};
use crate::testing::{START, minutes, series};

fn query(text: &str, purpose: Purpose) -> GateQuery {
    let problem = |code, message: String| Diagnostic::error(code, message);
    parse(text, purpose, &[], &problem).unwrap()
}

/// The minutes at which the query has a value, of the first `count`.
fn known(samples: &Vec<Series>, text: &str, count: i64) -> Vec<i64> {
    let grid = Grid::new(START, START + minutes(count - 1), minutes(1));
    let values = Reader::new(&Embedded::new(samples), minutes(2), 0.95)
        .values(&query(text, Purpose::Value), grid);
    let values = values.unwrap();
    (0..count).filter(|minute| values[*minute as usize].is_some()).collect()
}

#[test]
fn a_grid_begins_at_a_whole_millisecond_and_ends_before_the_end() {
    let from = Instant::from_unix_micros(1_500);
    let grid = Grid::new(from, from + Duration::from_millis(10), Duration::from_millis(5));
    assert_eq!((grid.from(), grid.len()), (Instant::from_unix_millis(2), 2));
    assert_eq!(Grid::new(from, from - minutes(1), minutes(1)).len(), 0);
    assert_eq!(Grid::new(START, START, minutes(1)).len(), 1);
}

#[test]
fn a_sample_is_fresh_for_its_time_and_not_longer() {
    let samples = vec![series("a", &[], 0..60, |m| matches!(m, 3 | 10).then_some(1.0))];
    assert_eq!(known(&samples, "max(a)", 20), [3, 4, 10, 11]);
    assert_eq!(known(&samples, "max(a offset 5m)", 20), [8, 9, 15, 16]);
    assert_eq!(known(&samples, "max(a) or max(b)", 20), [3, 4, 10, 11]);
    assert!(known(&samples, "max(a) + max(b)", 20).is_empty());
}

#[test]
fn one_series_of_a_selector_is_enough_to_be_fresh() {
    let samples = vec![
        series("a", &[("i", "1")], 0..10, |_| Some(1.0)),
        series("a", &[("i", "2")], 5..20, |_| Some(2.0)),
    ];
    assert_eq!(known(&samples, "max(a)", 20).len(), 20);
    assert_eq!(known(&samples, "max(a{i=\"1\"})", 20).last(), Some(&10));
}

#[test]
fn every_selector_of_a_sum_must_be_fresh() {
    let samples = vec![
        series("a", &[], 0..20, |_| Some(1.0)),
        series("b", &[], 0..20, |m| (m <= 10).then_some(1.0)),
    ];
    assert_eq!(known(&samples, "max(a) + max(b)", 20).last(), Some(&11));
    assert_eq!(known(&samples, "max(b) or max(a)", 20).len(), 20);
}

#[test]
fn a_staleness_marker_is_no_sample() {
    let samples =
        vec![series("a", &[], 0..20, |m| Some(if m < 5 { 1.0 } else { samples::STALE_NAN }))];
    assert_eq!(known(&samples, "max(a)", 20).last(), Some(&4));
}

#[test]
fn a_subquery_needs_values_at_its_own_steps() {
    let up = |m: i64| Some(if m == 50 { 0.0 } else { 1.0 });
    let samples = vec![series("up", &[], 0..200, up)];
    // One of ten steps is missing while minute 50 lies in the window.
    let minutes = known(&samples, "min_over_time(count(up == 1)[10m:1m])", 200);
    assert!(minutes.contains(&49) && !minutes.contains(&50) && !minutes.contains(&59));
    assert!(minutes.contains(&60));
    assert!(!minutes.contains(&5), "half of the window lies before the data");
}

#[test]
fn coverage_counts_gaps_from_value_to_value_and_to_the_edges() {
    let grid = Grid::new(START, START + minutes(9), minutes(1));
    let values = |text: &str| -> Vec<Option<()>> {
        text.chars().map(|c| (c == '+').then_some(())).collect()
    };
    let gap = |text: &str| {
        let found = coverage(&values(text), grid, START + minutes(9), Duration::ZERO);
        (found.present, found.longest_gap)
    };
    assert_eq!(gap("++++++++++"), (10, Duration::ZERO));
    assert_eq!(gap("++++..++++"), (8, minutes(3)));
    assert_eq!(gap("....++++++"), (6, minutes(4)));
    assert_eq!(gap("++++++...."), (6, minutes(4)));
    assert_eq!(gap(".........."), (0, minutes(9)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A condition that is judged side by side says what PromQL says of the whole, wherever both
    /// know something.
    #[test]
    fn splitting_a_comparison_changes_nothing(
        values in prop::collection::vec(prop::option::weighted(0.9, -5..5_i64), 1..60),
        operator in prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]),
        bound in -5..5_i64, swapped in any::<bool>(),
    ) {
        let samples = vec![series("a", &[], 0..values.len() as i64, |m| values[m as usize].map(|v| v as f64))];
        let (left, right) = ("max(a) - 1".to_owned(), format!("{bound} * 2 - {bound}"));
        let text = if swapped {
            format!("{right} {operator} bool {left}")
        } else {
            format!("{left} {operator} bool {right}")
        };
        let condition = query(&text, Purpose::Condition);
        prop_assert!(condition.sides.is_some());
        let grid = Grid::new(START, START + minutes(values.len() as i64 - 1), minutes(1));
        let embedded = Embedded::new(&samples);
        let truths = Reader::new(&embedded, minutes(2), 0.95).truths(&condition, grid).unwrap();
        let whole = embedded.values(&Query::parse(&text).unwrap(), grid).unwrap();
        for (truth, whole) in truths.iter().zip(whole) {
            if let Some(truth) = truth {
                prop_assert_eq!(Some(f64::from(u8::from(truth.holds))), whole);
            }
        }
        let fresh = |index: usize| values[index].is_some() || (index > 0 && values[index - 1].is_some());
        for (index, truth) in truths.iter().enumerate() {
            prop_assert_eq!(truth.is_some(), fresh(index), "{}", index);
        }
    }
}
