//! The calendar and the first programme as they ship.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use base::Instant;
use calendar::{Calendar, CalendarLint, PlanPhase};
use definition::{CALENDARS_PATH, Checked, Files, Overrides};

fn shipped() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    definition::files::read(&root).unwrap()
}

fn check(files: &Files) -> Checked {
    definition::check(files, &Overrides::default(), &[&CalendarLint])
}

/// Diagnostics of this crate's codes, after a text was replaced in a file.
fn problems(path: &str, from: &str, to: &str) -> Vec<(&'static str, String)> {
    let mut files = shipped();
    let text = files.get_mut(path).unwrap();
    assert!(text.contains(from), "{path} has no {from}");
    *text = text.replacen(from, to, 1);
    let found = check(&files).diagnostics.into_iter().filter(|one| one.code.starts_with("PG05"));
    found.map(|one| (one.code, format!("{} ({})", one.message, one.notes.join("; ")))).collect()
}

#[test]
fn the_first_programme_is_done_seven_weeks_after_its_first_deployment() {
    let checked = check(&shipped());
    let definitions = checked.definitions.unwrap();
    let pipeline = definitions.pipelines.values().find(|one| one.phases.len() == 4).unwrap();
    let calendar = Calendar::new(&definitions.calendars[&pipeline.calendar]).unwrap();
    let phases: Vec<_> = pipeline.phases.iter().map(PlanPhase::of).collect();
    let start: Instant = "2026-01-05T00:00:00Z".parse().unwrap();
    let plan = calendar.plan(&phases, start).unwrap();
    let completed: Vec<_> = plan.phases.iter().map(|one| calendar.week(one.completed)).collect();
    assert_eq!(completed, ["2026-W04", "2026-W05", "2026-W07", "2026-W09"]);
}

#[test]
fn a_soak_that_no_weekend_can_hold_is_an_error_with_its_arithmetic() {
    let found = problems("stages/stability/stage.toml", "default = \"90h\"", "default = \"95h\"");
    let (code, message) = &found[0];
    assert_eq!(*code, "PG0503");
    assert_eq!(
        message,
        "the internal soak of phase `phase-1` cannot be complete at the evaluation after its \
         deployment (Thu 1 Jan 15:00 → Mon 5 Jan 14:30 is 95h30m; 95h soak and 1h warm-up need \
         96h, which is 30m too long)"
    );
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_bad_zone_rule_and_time_are_errors_of_the_check() {
    let codes = |from: &str, to: &str| -> Vec<&str> {
        problems(CALENDARS_PATH, from, to).into_iter().map(|(code, _)| code).collect()
    };
    assert_eq!(codes("zone = \"UTC\"", "zone = \"Mars/Olympus\""), ["PG0502"]);
    assert_eq!(codes("FREQ=WEEKLY;BYDAY=TH", "FREQ=OFTEN;BYDAY=TH"), ["PG0501"]);
    assert_eq!(codes("2026-12-21T00:00:00", "Christmas"), ["PG0504"]);
}
