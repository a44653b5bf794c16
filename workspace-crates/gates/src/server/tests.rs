use base::{Duration, Instant};
use proptest::prelude::*;

use super::{AnsweredSeries, Question};

fn question(from_ms: i64, step_ms: i64, points: i64) -> Question {
    Question {
        query: "up".to_owned(),
        from: Instant::from_unix_millis(from_ms),
        until: Instant::from_unix_millis(from_ms + step_ms * (points - 1)),
        step: Duration::from_millis(step_ms),
        stated: true,
    }
}

fn series(values: &[(f64, &str)]) -> AnsweredSeries {
    let values = values.iter().map(|(at, value)| (*at, (*value).to_owned())).collect();
    AnsweredSeries { metric: Default::default(), values }
}

#[test]
fn times_are_points_to_the_millisecond_or_refused() {
    let question = question(1_767_884_400_250, 500, 10);
    let cases = [
        (1_767_884_400.25, Some(0)),
        (1_767_884_400.75, Some(1)),
        (1_767_884_404.75, Some(9)),
        (1_767_884_405.25, None),
        (1_767_884_399.75, None),
        (1_767_884_400.251, None),
        (1_767_884_400.250_2, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
        (-1e300, None),
    ];
    for (seconds, index) in cases {
        assert_eq!(question.index_at(seconds), index, "{seconds}");
    }
}

#[test]
fn values_are_numbers_in_the_order_of_time() {
    let question = question(1_000, 1_000, 5);
    let good = series(&[(1.0, "1"), (2.0, "NaN"), (4.0, "+Inf"), (5.0, "-1.5e-3")]);
    let points = good.points(&question).unwrap();
    assert_eq!((points[0], points[2], points[3]), ((0, 1.0), (3, f64::INFINITY), (4, -0.0015)));
    for bad in [&[(1.0, "one")][..], &[(2.0, "1"), (1.0, "1")], &[(1.0, "1"), (1.0, "1")]] {
        assert!(series(bad).points(&question).unwrap_err().ends_with('.'));
    }
}

proptest! {
    #[test]
    fn pieces_have_exactly_the_points_of_the_whole(
        from_ms in 0_i64..2_000_000_000_000,
        step_ms in 1_i64..100_000,
        points in 1_i64..500,
        most in 1_u32..70,
    ) {
        let whole = question(from_ms, step_ms, points);
        let mut next = from_ms;
        for piece in whole.pieces(most) {
            prop_assert_eq!(piece.from.unix_millis(), next);
            prop_assert!(piece.points() <= u64::from(most));
            for index in 0..piece.points() {
                let ms = piece.from.unix_millis() + step_ms * index as i64;
                let place = usize::try_from((ms - from_ms) / step_ms).unwrap();
                prop_assert_eq!(whole.index_at(ms as f64 / 1_000.0), Some(place));
            }
            next = piece.until.unix_millis() + step_ms;
        }
        prop_assert_eq!(next, whole.until.unix_millis() + step_ms);
    }
}
