//! What kinds share that read collected records.

use base::{Duration, Outcome};
use evidence::{Problem, ProblemKind, read_body};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Context, Judgement, StoredRecord};

/// What missing evidence leads to. There is no `pass` and no `zero`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnMissing {
    #[default]
    Inconclusive,
    Fail,
}

impl OnMissing {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Inconclusive => Outcome::Inconclusive,
            Self::Fail => Outcome::Fail,
        }
    }
}

/// The newest record of `kind` that was observed no later than the judgement.
pub(crate) fn newest<'a>(context: &Context<'a>, kind: &str) -> Option<&'a StoredRecord> {
    context
        .records
        .iter()
        .filter(|stored| stored.record.kind == kind && stored.record.observed_at <= context.at)
        .max_by_key(|stored| stored.record.observed_at)
}

/// The body of a record, or the judgement that it cannot be read.
pub(crate) fn body<T: DeserializeOwned>(
    stored: &StoredRecord,
    kind: &str,
) -> Result<T, Box<Judgement>> {
    read_body(&stored.record, kind).map_err(|e| {
        let unreadable = Judgement::error(format!("Its evidence cannot be read: {e}."));
        Box::new(unreadable.resting_on([stored.digest]))
    })
}

/// Says why a record is too old, if it is. `default` counts where the gate sets no `max_age`.
pub(crate) fn stale(
    context: &Context<'_>,
    stored: &StoredRecord,
    default: Option<Duration>,
) -> Option<String> {
    let limit = context.gate.max_age.or(default)?;
    let age = context.at - stored.record.observed_at;
    (age > limit).then(|| {
        format!(
            "The evidence was collected at {}, {age} before this judgement; evidence older than \
             {limit} does not count.",
            stored.record.observed_at
        )
    })
}

/// A quota that is used up clears by itself; other trouble is an error.
pub(crate) fn trouble(problem: &Problem) -> Judgement {
    let outcome = match problem.kind {
        ProblemKind::RateLimited => Outcome::Inconclusive,
        ProblemKind::Unreachable | ProblemKind::Malformed => Outcome::Error,
    };
    Judgement::new(outcome, problem.text.clone())
}
