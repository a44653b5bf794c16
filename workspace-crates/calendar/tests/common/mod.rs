//! Calendars as a definition would give them.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests; each file uses its part")]

use base::{Duration, Instant};
use definition::{CalendarEvent, Closable, EventKind, Freeze, FreezeWhen, Missed, Text};
use diagnostics::Location;

/// Everything that a freeze can close.
pub const ALL: [Closable; 3] = [Closable::Deploy, Closable::Advance, Closable::Release];

/// An instant.
pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// A length of time.
pub fn long(text: &str) -> Duration {
    text.parse().unwrap()
}

fn location() -> Location {
    Location::whole_file("pipeline/calendar.toml")
}

fn text(value: &str) -> Text {
    Text { value: value.to_owned(), location: location() }
}

/// A calendar.
pub fn calendar(
    zone: &str,
    events: Vec<CalendarEvent>,
    freezes: Vec<Freeze>,
) -> definition::Calendar {
    definition::Calendar {
        name: "weekly-train".to_owned(),
        title: "Weekly train".to_owned(),
        zone: text(zone),
        events,
        freezes,
        location: location(),
    }
}

/// An event; caught up within a time, or skipped when missed.
pub fn event(kind: EventKind, rule: &str, within: Option<&str>) -> CalendarEvent {
    CalendarEvent {
        id: kind,
        title: kind.to_string(),
        rule: text(rule),
        on_missed: within.map_or(Missed::Skip, |within| Missed::CatchUp { within: long(within) }),
        location: location(),
    }
}

/// An event of every week.
pub fn weekly(
    kind: EventKind,
    day: &str,
    hour: u8,
    minute: u8,
    within: Option<&str>,
) -> CalendarEvent {
    let rule = format!("FREQ=WEEKLY;BYDAY={day};BYHOUR={hour};BYMINUTE={minute};BYSECOND=0");
    event(kind, &rule, within)
}

/// A freeze that comes once.
pub fn freeze(id: &str, from: &str, until: &str, closes: &[Closable]) -> Freeze {
    Freeze {
        id: id.to_owned(),
        when: FreezeWhen::Once { from: text(from), until: text(until) },
        closes: closes.iter().copied().collect(),
        opens: [].into(),
        reason: "Nobody is on call over the turn of the year.".to_owned(),
        location: location(),
    }
}

/// A freeze that comes again and again.
pub fn recurring_freeze(
    id: &str,
    rule: &str,
    duration: &str,
    closes: &[Closable],
    opens: &[Closable],
) -> Freeze {
    Freeze {
        when: FreezeWhen::Recurring { rule: text(rule), duration: long(duration) },
        opens: opens.iter().copied().collect(),
        ..freeze(id, "", "", closes)
    }
}
