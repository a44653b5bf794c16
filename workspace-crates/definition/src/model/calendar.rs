use std::collections::BTreeSet;
use std::fmt;

use base::Duration;
use diagnostics::Location;
use serde::Serialize;

use super::Text;

/// The events of a week and the times at which they are closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// The name that pipelines use.
    pub name: String,
    /// What it is called in reports.
    pub title: String,
    /// An IANA time zone; checked by the calendar crate.
    pub zone: Text,
    /// The events, in the order of the file; at most one of each kind.
    pub events: Vec<CalendarEvent>,
    /// When something is closed, or is open only then.
    pub freezes: Vec<Freeze>,
    /// Where the calendar stands.
    #[serde(skip)]
    pub location: Location,
}

/// An event that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalendarEvent {
    /// What happens.
    pub id: EventKind,
    /// What it is called in reports.
    pub title: String,
    /// A recurrence rule of RFC 5545; checked by the calendar crate.
    pub rule: Text,
    /// What is done when nobody was there.
    pub on_missed: Missed,
    /// Where the event stands.
    #[serde(skip)]
    pub location: Location,
}

/// What happens at an event, in the order of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Phases whose entry gates pass are deployed internally.
    Deploy,
    /// Every open phase is judged.
    Evaluate,
    /// The report is published.
    Announce,
    /// Phases that advanced internally are deployed publicly.
    Release,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deploy => "deploy",
            Self::Evaluate => "evaluate",
            Self::Announce => "announce",
            Self::Release => "release",
        })
    }
}

/// What is done about an event that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It is done late, but at most this long after its time.
    CatchUp {
        /// Longest delay.
        within: Duration,
    },
    /// It is left out.
    Skip,
}

/// A time at which something is closed, or outside which it is closed. Exactly one of `closes` and
/// `opens` is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// Its name within the calendar.
    pub id: String,
    /// When.
    pub when: FreezeWhen,
    /// What must not happen during it.
    pub closes: BTreeSet<Closable>,
    /// What may happen only during it (or another that opens the same).
    pub opens: BTreeSet<Closable>,
    /// Why, in one sentence.
    pub reason: String,
    /// Where it stands.
    #[serde(skip)]
    pub location: Location,
}

/// When a freeze holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezeWhen {
    /// Once. Civil dates and times in the calendar's zone; checked by the calendar crate.
    Once {
        /// First instant of it.
        from: Text,
        /// First instant after it.
        until: Text,
    },
    /// Again and again.
    Recurring {
        /// A recurrence rule of RFC 5545 for its starts; checked by the calendar crate.
        rule: Text,
        /// How long it holds each time; positive.
        duration: Duration,
    },
}

/// What a freeze can close. A reset is never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Closable {
    /// Internal deployments.
    Deploy,
    /// Advances of phases.
    Advance,
    /// Public deployments.
    Release,
}

impl Calendar {
    /// The event of this kind.
    #[must_use]
    pub fn event(&self, kind: EventKind) -> Option<&CalendarEvent> {
        self.events.iter().find(|event| event.id == kind)
    }
}
