use base::{Duration, Instant};
use definition::{Definitions, EventKind, Lint, Phase};
use diagnostics::{Diagnostic, codes};

use crate::{Calendar, PlanPhase};

/// Checks calendars, and whether the soaks of a pipeline fit its calendar.
#[derive(Debug, Clone, Copy, Default)]
pub struct CalendarLint;

impl Lint for CalendarLint {
    fn check_calendar(&self, calendar: &definition::Calendar) -> Vec<Diagnostic> {
        Calendar::new(calendar).err().unwrap_or_default()
    }

    fn check_definitions(&self, definitions: &Definitions) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for pipeline in definitions.pipelines.values() {
            let Some(defined) = definitions.calendars.get(&pipeline.calendar) else { continue };
            let Ok(calendar) = Calendar::new(defined) else { continue };
            let Some(longest) = calendar.longest_weekend() else {
                problems.push(no_weekend(defined));
                continue;
            };
            let impossible = pipeline.phases.iter().filter_map(|one| impossible(one, &longest));
            problems.extend(impossible);
        }
        problems
    }
}

/// A deployment and the evaluation after it.
struct Weekend {
    deploy: String,
    evaluate: String,
    length: Duration,
}

/// Where the longest weekend is looked for: two years, with all their daylight-saving changes.
const SURVEY_FROM: Instant = Instant::from_unix_millis(1_767_225_600_000);
const SURVEY_LENGTH: Duration = Duration::from_hours(2 * 366 * 24);

impl Calendar {
    /// The longest time between an internal deployment and the evaluation after it.
    fn longest_weekend(&self) -> Option<Weekend> {
        let until = SURVEY_FROM + SURVEY_LENGTH;
        let deploys = self.occurrences(EventKind::Deploy, SURVEY_FROM, until);
        let weekends = deploys.into_iter().filter_map(|deploy| {
            let evaluate = self.next(EventKind::Evaluate, deploy.at)?;
            Some((evaluate.at - deploy.at, deploy.at, evaluate.at))
        });
        // The first of equally long ones, so that the message is an ordinary week.
        let (length, deploy, evaluate) = weekends.reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        let (deploy, evaluate) = (self.moment(deploy), self.moment(evaluate));
        Some(Weekend { deploy, evaluate, length })
    }
}

fn no_weekend(calendar: &definition::Calendar) -> Diagnostic {
    let message =
        format!("the calendar `{}` has no deployment with an evaluation after it", calendar.name);
    Diagnostic::error(codes::BAD_CALENDAR, message)
        .at(&calendar.location)
        .help("add the events `deploy` and `evaluate`")
}

fn impossible(phase: &Phase, longest: &Weekend) -> Option<Diagnostic> {
    let plan = PlanPhase::of(phase);
    let needed = plan.warm_up + plan.internal_soak;
    let Weekend { deploy, evaluate, length } = longest;
    (needed > *length).then(|| {
        let message = format!(
            "the internal soak of phase `{}` cannot be complete at the evaluation after its deployment",
            phase.id
        );
        let (soak, warm_up) = (plan.internal_soak, plan.warm_up);
        Diagnostic::error(codes::IMPOSSIBLE_SOAK, message)
            .at(&phase.location)
            .note(format!(
                "{deploy} → {evaluate} is {length}; {soak} soak and {warm_up} warm-up need {needed}, which is {} too long",
                needed - *length
            ))
            .help("shorten `internal_soak` or `warm_up`, or let the calendar leave more time")
    })
}
