//! Laws of a soak: what may be split, reordered or lost without more stability coming of it.

use super::tests::{START, any_rule, any_states, minutes, rule, run_with};
use super::{OnGap, State};
use crate::SoakProgress;
use crate::testing::{World, series};
use base::Duration;
use proptest::prelude::*;

const CONDITIONS: [(&str, &str); 3] = [
    ("lag", "max(lag_seconds) < bool 4"),
    ("height", "min(height) > bool 0"),
    ("nodes", "sum(up) >= bool 2"),
];

/// What each minute has: a good value, a bad one, or none.
type Seen = Vec<Option<bool>>;

fn any_seen() -> impl Strategy<Value = Seen> {
    let seen = prop_oneof![8 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    prop::collection::vec(seen, 601)
}

/// Where a soak over three conditions stands, named in this order.
fn stand(names: &[&str], seen: &[Seen], on_gap: &str) -> SoakProgress {
    let params = format!(
        "stable_for = '8h'\nconditions = {names:?}\nstep = '1m'\nmax_gap = '4m'\non_gap = '{on_gap}'"
    );
    let value = |index: usize, good: f64, bad: f64| {
        let seen = seen[index].clone();
        move |minute: i64| Some(if seen[minute as usize]? { good } else { bad })
    };
    let world = World::new("soak", &params)
        .with_conditions(&CONDITIONS)
        .with_series(series("lag_seconds", &[], 0..601, value(0, 1.0, 9.0)))
        .with_series(series("height", &[], 0..601, value(1, 7.0, 0.0)))
        .with_series(series("up", &[], 0..601, value(2, 2.0, 1.0)));
    world.judge().soak.unwrap()
}

proptest! {
    #[test]
    fn what_has_accrued_and_what_remains_are_what_is_required(
        rule in any_rule(), states in any_states(),
    ) {
        let soak = run_with(&rule, minutes(1), &states, true);
        if soak.remaining.is_positive() {
            prop_assert_eq!(soak.accrued + soak.remaining, rule.required);
        } else {
            prop_assert!(soak.accrued >= rule.required);
        }
        prop_assert!(soak.longest_run >= soak.accrued);
        prop_assert!(soak.since.is_some() || soak.accrued == Duration::ZERO);
    }

    #[test]
    fn a_break_at_the_last_point_leaves_no_run(rule in any_rule(), mut states in any_states()) {
        states.push(State::Broken { condition: "last".to_owned(), value: None });
        let soak = run_with(&rule, minutes(1), &states, true);
        prop_assert_eq!((soak.accrued, soak.since), (Duration::ZERO, None));
        prop_assert_eq!(soak.remaining, rule.required);
        prop_assert!(soak.breaks_total > 0);
    }

    #[test]
    fn time_may_be_split_where_the_conditions_hold(
        rule in any_rule(), mut states in any_states(), at in any::<prop::sample::Index>(),
    ) {
        states.push(State::Holds);
        let at = at.index(states.len());
        prop_assume!(states[at] == State::Holds);
        let whole = run_with(&rule, minutes(1), &states, true);
        let first = run_with(&rule, minutes(1), &states[..=at], true);
        let second = run_with(&rule, minutes(1), &states[at..], true);
        prop_assert_eq!(whole.breaks_total, first.breaks_total + second.breaks_total);
        let goes_on = second.breaks_total == 0;
        let expected = if goes_on { first.accrued + second.accrued } else { second.accrued };
        prop_assert_eq!(whole.accrued, expected);
        prop_assert!(whole.longest_run >= first.longest_run.max(second.longest_run));
        prop_assert!(whole.longest_run <= first.longest_run + second.longest_run);
    }

    #[test]
    fn what_comes_before_a_break_does_not_count(
        rule in any_rule(), before in any_states(), after in any_states(),
    ) {
        let mut states = before;
        states.push(State::Broken { condition: "break".to_owned(), value: None });
        states.extend(after.iter().cloned());
        let whole = run_with(&rule, minutes(1), &states, true);
        prop_assert_eq!(whole.accrued, run_with(&rule, minutes(1), &after, true).accrued);
    }

    #[test]
    fn a_rule_that_restarts_at_gaps_never_grants_more(
        required in 1..60_i64, max_gap in 1..6_i64, states in any_states(),
    ) {
        let pause = run_with(&rule(required, max_gap, OnGap::Pause), minutes(1), &states, true);
        let restart = run_with(&rule(required, max_gap, OnGap::Restart), minutes(1), &states, true);
        prop_assert!(restart.accrued <= pause.accrued);
        prop_assert!(restart.longest_run <= pause.longest_run);
        prop_assert!(restart.breaks_total >= pause.breaks_total);
        if max_gap == 1 {
            prop_assert_eq!(restart, pause);
        }
    }

    #[test]
    fn a_longer_patience_with_gaps_never_takes_time_away(
        required in 1..60_i64, max_gap in 1..6_i64, states in any_states(),
    ) {
        let short = run_with(&rule(required, max_gap, OnGap::Pause), minutes(1), &states, true);
        let long = run_with(&rule(required, max_gap + 1, OnGap::Pause), minutes(1), &states, true);
        prop_assert!(long.accrued >= short.accrued);
        prop_assert!(long.breaks_total <= short.breaks_total);
    }

    #[test]
    fn a_run_began_no_earlier_than_what_it_has_accrued(rule in any_rule(), states in any_states()) {
        let soak = run_with(&rule, minutes(1), &states, true);
        let Some(since) = soak.since else { return Ok(()) };
        let until = START + minutes(states.len() as i64 - 1);
        prop_assert!(until - since >= soak.accrued);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_conditions_changes_nothing(
        a in any_seen(), b in any_seen(), c in any_seen(),
        order in Just(["lag", "height", "nodes"]).prop_shuffle(),
    ) {
        let seen = [a, b, c];
        let one = stand(&["lag", "height", "nodes"], &seen, "pause");
        let other = stand(&order, &seen, "pause");
        let times = |soak: &SoakProgress| soak.breaks.iter().map(|b| b.at).collect::<Vec<_>>();
        prop_assert_eq!(times(&one), times(&other));
        let unnamed = |soak: SoakProgress| SoakProgress { breaks: Vec::new(), ..soak };
        prop_assert_eq!(unnamed(one), unnamed(other));
    }

    #[test]
    fn samples_that_are_lost_never_add_time(
        good in any_seen(), lost in prop::collection::btree_set(0..601_usize, 1..60),
        on_gap in prop::sample::select(vec!["pause", "restart"]),
    ) {
        let names = ["lag", "height", "nodes"];
        let steady: Seen = vec![Some(true); 601];
        let before = stand(&names, &[good.clone(), steady.clone(), steady.clone()], on_gap);
        let mut fewer = good;
        // A bad sample that is lost hides a breach: only good ones are lost here.
        lost.into_iter().filter(|at| fewer[*at] == Some(true)).collect::<Vec<_>>()
            .into_iter().for_each(|at| fewer[at] = None);
        let after = stand(&names, &[fewer, steady.clone(), steady], on_gap);
        prop_assert!(after.accrued <= before.accrued);
        prop_assert!(after.longest_run <= before.longest_run);
    }

    #[test]
    fn one_more_condition_never_adds_time(a in any_seen(), b in any_seen(), c in any_seen()) {
        let seen = [a, b, c];
        let two = stand(&["lag", "height"], &seen, "pause");
        let three = stand(&["lag", "height", "nodes"], &seen, "pause");
        prop_assert!(three.accrued <= two.accrued);
        prop_assert!(three.longest_run <= two.longest_run);
    }
}
