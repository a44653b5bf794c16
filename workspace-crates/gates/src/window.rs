//! Which part of a deployment a gate looks at.

use std::fmt;

use base::{Duration, Instant};
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::{Context, DeploymentFacts, Judgement, text};

/// The window as a definition states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Window {
    /// All the time during which the candidate ran.
    Deployment,
    /// The last part of it.
    Last(Duration),
    /// A time after the first event of a name, whatever subject ran: the event changes it.
    AfterEvent(AfterEvent),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AfterEvent {
    pub(crate) after_event: String,
    #[serde(default)]
    pub(crate) delay: Duration,
    #[serde(rename = "for")]
    pub(crate) length: Duration,
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WindowVisitor)
    }
}

struct WindowVisitor;

impl<'de> Visitor<'de> for WindowVisitor {
    type Value = Window;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`\"deployment\"`, a duration, or `{ after_event = …, delay = …, for = … }`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Window, E> {
        if text == "deployment" {
            return Ok(Window::Deployment);
        }
        match text.parse::<Duration>() {
            Ok(length) if length.is_positive() => Ok(Window::Last(length)),
            _ => Err(E::custom(format!(
                "`{text}` is no window; write `\"deployment\"`, a duration such as `\"2h\"`, or `{{ after_event = \"…\", delay = \"1h\", for = \"2h\" }}`"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Window, A::Error> {
        AfterEvent::deserialize(MapAccessDeserializer::new(map)).map(Window::AfterEvent)
    }
}

/// A window in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    /// Values before this instant are missing: the query would look at what does not count.
    pub(crate) data_from: Instant,
    /// What was left out before `from`.
    pub(crate) warm_up: Duration,
}

impl Window {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Deployment => "over the whole deployment".to_owned(),
            Self::Last(length) => format!("over the last {length}"),
            Self::AfterEvent(AfterEvent { after_event, delay, length }) => match *delay {
                Duration::ZERO => format!("over {length} from `{after_event}`"),
                delay => format!("over {length} from {delay} after `{after_event}`"),
            },
        }
    }

    /// The window in time, or the judgement that there is none yet. A query that looks back
    /// `reach` has nothing to say earlier than `reach` after the start, so that is warm-up too.
    pub(crate) fn resolve(
        &self,
        context: &Context<'_>,
        deployment: &DeploymentFacts<'_>,
        warm_up: Duration,
        reach: Duration,
    ) -> Result<Span, Box<Judgement>> {
        match self {
            Self::AfterEvent(after) => after.resolve(context, deployment, reach),
            Self::Deployment | Self::Last(_) => {
                let warm_up = warm_up.max(reach);
                let (start, until) = candidate_window(context, deployment)?;
                let data_from = start + warm_up;
                let from = match self {
                    Self::Last(length) => until - *length,
                    _ => data_from,
                };
                if until < data_from {
                    return Err(not_warm(start, warm_up, reach, until));
                }
                Ok(Span { from, until, data_from, warm_up })
            }
        }
    }
}

/// The time during which the candidate ran, or the judgement that it did not.
pub(crate) fn candidate_window(
    context: &Context<'_>,
    deployment: &DeploymentFacts<'_>,
) -> Result<(Instant, Instant), Box<Judgement>> {
    deployment.candidate_window(context.at).ok_or_else(|| {
        let ran = deployment
            .intervals
            .last()
            .map(|interval| text::list(&deployment.candidate.differences(&interval.subject)));
        let what = ran.map_or_else(String::new, |differences| format!(": {differences}"));
        Box::new(Judgement::inconclusive(format!(
            "The deployment did not run the candidate{what}; what it shows does not count."
        )))
    })
}

fn not_warm(start: Instant, warm_up: Duration, reach: Duration, until: Instant) -> Box<Judgement> {
    let why = if reach >= warm_up {
        format!("the query looks back {reach}")
    } else {
        format!("the first {warm_up} are warm-up")
    };
    // Nobody reads microseconds of a wait.
    let began = Instant::from_unix_millis(start.unix_millis() / 1_000 * 1_000);
    let ran = Duration::from_seconds((until - start).millis() / 1_000);
    let reason = format!(
        "The candidate had run since {began} for {ran}, and {why}, so there is nothing to judge yet."
    );
    Box::new(
        Judgement::inconclusive(reason).would_change(format!("Judge after {}.", start + warm_up)),
    )
}

impl AfterEvent {
    fn resolve(
        &self,
        context: &Context<'_>,
        deployment: &DeploymentFacts<'_>,
        reach: Duration,
    ) -> Result<Span, Box<Judgement>> {
        let Self { after_event, delay, length } = self;
        let end = deployment.end(context.at);
        let event = deployment
            .events
            .iter()
            .filter(|event| event.name == *after_event)
            .map(|event| event.at)
            .filter(|at| *at >= deployment.started && *at <= end)
            .min();
        let Some(event) = event else {
            let reason = format!("`{after_event}` has not happened, so its window has not begun.");
            return Err(Box::new(
                Judgement::inconclusive(reason).would_change(format!("`{after_event}` happens.")),
            ));
        };
        let from = event + *delay;
        let until = from + *length;
        if end < until {
            let reason = if deployment.has_ended(context.at) {
                format!(
                    "The deployment ended at {end}, before the window after `{after_event}` was over at {until}."
                )
            } else {
                format!(
                    "The window after `{after_event}` is over at {until}, which is still to come."
                )
            };
            return Err(Box::new(
                Judgement::inconclusive(reason).would_change(format!("Judge after {until}.")),
            ));
        }
        let data_from = deployment.started + reach;
        Ok(Span { from, until, data_from, warm_up: Duration::ZERO })
    }
}

#[cfg(test)]
mod tests {
    use base::{Duration, Instant};

    use super::not_warm;

    #[test]
    fn waits_are_told_in_whole_seconds() {
        let start = Instant::from_unix_micros(1_767_225_606_961_697);
        let minute = Duration::from_minutes(1);
        let until = start + Duration::from_micros(12_038_303);
        let reason = not_warm(start, minute, Duration::default(), until).reasons.remove(0);
        assert!(reason.contains("since 2026-01-01T00:00:06Z for 12s, and"), "{reason}");
    }
}
