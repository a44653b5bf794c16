use crate::testing::{START, World, location, minutes, series};
use base::Outcome::{Fail, Inconclusive, Pass};
use base::Track;
use definition::{Operation, Params};
use evidence::Event;

/// A fault at minute 100 that is noticed at 103 and recovered from at 110.
struct Course {
    noticed: i64,
    healthy_from: i64,
    lost: f64,
    cleared: bool,
    on_before: bool,
    silent: std::ops::Range<i64>,
}

const GOOD: Course = Course {
    noticed: 103,
    healthy_from: 110,
    lost: 0.0,
    cleared: true,
    on_before: false,
    silent: 0..0,
};

fn drill(course: &Course) -> World {
    let params = "operation = 'reorg'\ndetected_by = 'max(reorgs_total) > bool 0'\ndetected_within = '10m'\nrecovered_when = 'max(age) < bool 120'\nrecovered_within = '30m'\nlost = 'max(lost) > bool 10'";
    let mut world = World::new("drill", params);
    world.phase.operations.push(Operation {
        id: "reorg".to_owned(),
        track: Track::Internal,
        at: minutes(100),
        action: Params::empty(location()),
        location: location(),
    });
    let event = |minute, name: &str| Event::new(START + minutes(minute), name).with("id", "reorg");
    world.events.push(event(100, "drill.injected"));
    if course.cleared {
        world.events.push(event(101, "drill.cleared"));
    }
    let known = |m: i64, value: f64| (!course.silent.contains(&m)).then_some(value);
    let noticed = |m| known(m, f64::from(u8::from(course.on_before || m >= course.noticed)));
    let age = |m| known(m, if (100..course.healthy_from).contains(&m) { 600.0 } else { 36.0 });
    let lost = |m| known(m, course.lost);
    world
        .with_series(series("reorgs_total", &[], 0..601, noticed))
        .with_series(series("age", &[], 0..601, age))
        .with_series(series("lost", &[], 0..601, lost))
}

#[test]
fn a_good_drill_passes_with_its_times() {
    let finding = drill(&GOOD).judge();
    assert_eq!(finding.outcome, Pass, "{:?}", finding.reasons);
    assert_eq!(finding.measures[0].value, Some(180.0));
    assert_eq!(finding.measures[1].value, Some(600.0));
    assert_eq!(finding.reasons.len(), 4);
}

#[test]
fn what_goes_wrong_is_named() {
    let cases = [
        (Course { noticed: 111, ..GOOD }, Fail, "`reorg` was noticed after 11m; 10m are allowed."),
        (Course { noticed: 999, ..GOOD }, Fail, "`reorg` was not noticed within 10m."),
        (
            Course { healthy_from: 131, ..GOOD },
            Fail,
            "The network had not recovered from `reorg` after 30m.",
        ),
        (Course { lost: 11.0, ..GOOD }, Fail, "Something was lost (11)."),
        (
            Course { cleared: false, ..GOOD },
            Inconclusive,
            "No event confirms that `reorg` was cleared.",
        ),
        (
            Course { on_before: true, ..GOOD },
            Inconclusive,
            "The detector was already on before `reorg`, so it shows nothing.",
        ),
        (
            Course { silent: 90..140, ..GOOD },
            Inconclusive,
            "What the detector said before `reorg` is not known.",
        ),
        (
            Course { noticed: 999, silent: 102..108, ..GOOD },
            Inconclusive,
            "some of that time was not measured",
        ),
        (
            Course { silent: 128..140, ..GOOD },
            Inconclusive,
            "Whether something was lost was not measured.",
        ),
    ];
    for (course, outcome, reason) in cases {
        let (found, reasons) = drill(&course).verdict();
        assert_eq!(found, outcome, "{reasons}");
        assert!(reasons.contains(reason), "{reasons}");
    }
}

#[test]
fn a_relapse_before_the_deadline_is_no_recovery_yet() {
    let mut world = drill(&GOOD);
    let samples = world.samples.as_mut().unwrap();
    samples.retain(|series| series.labels().metric_name() != "age");
    let relapse = |m: i64| {
        Some(if (100..105).contains(&m) || (120..125).contains(&m) { 600.0 } else { 36.0 })
    };
    samples.push(series("age", &[], 0..601, relapse));
    let finding = world.judge();
    assert_eq!(finding.outcome, Pass);
    assert_eq!(finding.measures[1].value, Some(25.0 * 60.0));
}

#[test]
fn a_drill_is_open_until_its_time_is_over() {
    assert_eq!(drill(&GOOD).at_minute(129).verdict().0, Inconclusive);
    assert_eq!(drill(&GOOD).at_minute(130).verdict().0, Pass);
    let mut world = drill(&GOOD);
    world.events.clear();
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("No event confirms that `reorg` was injected."), "{reasons}");
    let mut other = drill(&GOOD);
    other.events[0].attributes.insert("id".to_owned(), "kill".to_owned());
    assert_eq!(other.verdict().0, Inconclusive, "another operation's fault");
}

#[test]
fn an_operation_that_the_track_does_not_have_is_refused() {
    let mut world = drill(&GOOD);
    assert!(world.problems().is_empty());
    world.phase.operations[0].id = "reorgs".to_owned();
    assert_eq!(
        world.problems(),
        ["PG0405 the internal track has no operation `reorg` (did you mean `reorgs`?)"]
    );
    world.phase.operations[0].track = Track::Public;
    assert!(world.problems()[0].contains("add a `[[phase.operation]]`"));
}
