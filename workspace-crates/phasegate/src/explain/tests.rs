use std::sync::Arc;

use base::{Duration, Instant, Outcome, Track};
use gates::{Break, Coverage, Explanation, Finding, Point, Series, SoakProgress};
use samples::{Labels, SampleSource};

use super::{Page, around, coverage, quantity, soak, trace};

#[test]
fn times_are_written_as_people_say_them() {
    let cases = [
        (1.0 / 6.0, "h", "10m"),
        (94.5, "h", "94h30m"),
        (120.983_333_333_333, "h", "120h59m"),
        (0.5, "min", "30s"),
        (0.166_666_666_666_666_66, "tx/s", "0.166667 tx/s"),
        (7.0, "", "7"),
        (-38.8, "h", "-38h48m"),
    ];
    for (value, unit, text) in cases {
        assert_eq!(quantity(value, unit), text);
    }
}

fn minute(minute: i64) -> Instant {
    Instant::from_unix_millis(1_768_000_020_000) + Duration::from_minutes(minute)
}

/// An hour at one point a minute: nothing from 10 to 14, too high from 30 to 39.
fn value(minute: i64) -> Option<f64> {
    match minute {
        10..15 => None,
        30..40 => Some(700.0 + minute as f64),
        _ => Some(40.0),
    }
}

fn samples() -> Vec<samples::Series> {
    let known: Vec<(i64, f64)> =
        (0..=60).filter_map(|at| Some((minute(at).unix_millis(), value(at)?))).collect();
    let (times, values) = known.into_iter().unzip();
    let labels = Labels::metric("age", &[]);
    vec![samples::Series::new(labels, Arc::new(times), values).unwrap()]
}

/// The finding of a soak over that hour, as a judgement gives it.
fn finding() -> Finding {
    let level = |at: i64| value(at).map(|age| f64::from(u8::from(age < 600.0)));
    let changes = [0, 9, 10, 14, 15, 29, 30, 39, 40, 60];
    let points = changes.map(|at| Point { at: minute(at), value: level(at) });
    Finding {
        gate: "soak".parse().unwrap(),
        title: "Stable".to_owned(),
        kind: "soak".to_owned(),
        track: Track::Internal,
        advisory: false,
        owner: None,
        why: "Why.".to_owned(),
        outcome: Outcome::Inconclusive,
        rule: "Rule.".to_owned(),
        reasons: vec!["Reason.".to_owned()],
        measures: Vec::new(),
        coverage: Some(Coverage {
            from: minute(0),
            until: minute(60),
            expected: 61,
            present: 56,
            longest_gap: Duration::from_minutes(6),
            warm_up: Duration::ZERO,
        }),
        soak: Some(SoakProgress {
            required: Duration::from_hours(1),
            accrued: Duration::from_minutes(20),
            remaining: Duration::from_minutes(40),
            eligible_at: Some(minute(100)),
            since: Some(minute(40)),
            longest_run: Duration::from_minutes(24),
            breaks: vec![Break {
                at: minute(30),
                condition: "blocks".to_owned(),
                value: Some(730.0),
            }],
            breaks_total: 1,
        }),
        evidence: Vec::new(),
        explanation: Explanation {
            queries: vec![("Blocks keep coming".to_owned(), "age < bool 10 * 60".to_owned())],
            first_breach: Some(minute(30)),
            last_breach: Some(minute(30)),
            series: vec![Series {
                title: "Blocks keep coming".to_owned(),
                unit: String::new(),
                threshold: None,
                points: points.to_vec(),
            }],
            ..Explanation::default()
        },
    }
}

fn page(samples: Option<&dyn SampleSource>, step: Option<Duration>) -> String {
    let finding = finding();
    let traces = trace::traces(&finding, step, samples);
    let mut page = Page::default();
    soak(&mut page, &finding);
    coverage(&mut page, &finding);
    around::write(&mut page, &finding, &traces);
    traces.iter().for_each(|trace| trace.write(&mut page));
    page.text
}

#[test]
fn a_breach_and_a_gap_are_shown_with_the_values_around_them() {
    let text = page(Some(&samples()), Some(Duration::from_minutes(1)));
    insta::assert_snapshot!("breach_and_gap", text);
    for shown in ["2026-01-09T23:37:00Z  730 ✗", "2026-01-09T23:36:00Z  40\n", "(5m)"] {
        assert!(text.contains(shown), "`{shown}` is not in:\n{text}");
    }
}

#[test]
fn what_the_gate_took_for_missing_is_missing_although_a_query_looks_back() {
    let samples = samples();
    let step = Some(Duration::from_minutes(1));
    let traces = trace::traces(&finding(), step, Some(&samples));
    let missing: Vec<Instant> =
        traces[0].points.iter().filter(|step| step.value.is_none()).map(|step| step.at).collect();
    assert_eq!(missing, (10..15).map(minute).collect::<Vec<_>>());
}

#[test]
fn without_samples_or_at_other_steps_the_finding_itself_is_shown() {
    let kept = page(None, Some(Duration::from_minutes(1)));
    assert!(kept.contains("Blocks keep coming: did not hold") && kept.contains("(5m)"), "{kept}");
    let samples = samples();
    // The definition has another step than the judgement had.
    assert_eq!(page(Some(&samples), Some(Duration::from_minutes(5))), kept);
    assert_eq!(page(Some(&samples), None), kept);
}
