//! `pipeline/calendar.toml`.

use std::collections::BTreeSet;

use base::PhaseId;
use diagnostics::{Diagnostic, codes};

use crate::model::{
    Calendar, CalendarEvent, Closable, EventKind, Freeze, FreezeWhen, Missed, Text,
};
use crate::raw::{report_duplicates, schema_is_known};
use crate::shape::{Shape, Sink, parse_choice, parse_id};
use crate::{Entry, Value};

use super::Calendars;

const EVENTS: [(&str, EventKind); 4] = [
    ("deploy", EventKind::Deploy),
    ("evaluate", EventKind::Evaluate),
    ("announce", EventKind::Announce),
    ("release", EventKind::Release),
];

const CLOSABLES: [(&str, Closable); 3] =
    [("deploy", Closable::Deploy), ("advance", Closable::Advance), ("release", Closable::Release)];

/// The calendars; nothing when the file is of another schema version.
pub(crate) fn read(document: &Value, sink: &Sink) -> Option<Calendars> {
    let shape = Shape::of(document, "the file of calendars", sink)?;
    if !schema_is_known(&shape, sink) {
        return None;
    }
    let entries = shape.entries("calendars");
    shape.finish();
    if entries.is_empty() {
        shape.missing("a table `[calendars.<name>]`");
    }
    Some(entries.iter().map(|entry| (entry.key.clone(), read_calendar(entry, sink))).collect())
}

fn read_calendar(entry: &Entry, sink: &Sink) -> Option<Calendar> {
    let name = Text { value: entry.key.clone(), location: entry.key_location.clone() };
    let id: Option<PhaseId> = parse_id(&name, sink);
    let shape = Shape::of(&entry.value, "a calendar", sink)?;
    let title = shape.text("title");
    let zone = shape.text("zone");
    let events = shape.required("event").map(|_| read_events(shape.list("event"), sink));
    let freezes = read_freezes(shape.list("freeze"), sink);
    shape.finish();
    Some(Calendar {
        name: id?.as_str().to_owned(),
        title: title?.value,
        zone: zone?,
        events: events?,
        freezes,
        location: name.location,
    })
}

fn read_events(items: &[Value], sink: &Sink) -> Vec<CalendarEvent> {
    let events: Vec<CalendarEvent> =
        items.iter().filter_map(|item| read_event(item, sink)).collect();
    let word = |event: &CalendarEvent| EVENTS.iter().find(|(_, kind)| *kind == event.id);
    let names =
        events.iter().filter_map(|event| word(event).map(|(word, _)| (*word, &event.location)));
    report_duplicates("event", names, sink);
    events
}

fn read_event(item: &Value, sink: &Sink) -> Option<CalendarEvent> {
    let shape = Shape::of(item, "an event", sink)?;
    let location = shape.table.get("id").map_or(shape.location, |id| &id.location).clone();
    let id = shape.choice("id", &EVENTS);
    let title = shape.text("title");
    let rule = shape.text("rule");
    let on_missed = read_missed(&shape, sink);
    shape.finish();
    Some(CalendarEvent {
        id: id?,
        title: title?.value,
        rule: rule?,
        on_missed: on_missed?,
        location,
    })
}

fn read_missed(shape: &Shape<'_>, sink: &Sink) -> Option<Missed> {
    if shape.choice("on_missed", &[("catch-up", true), ("skip", false)])? {
        return Some(Missed::CatchUp { within: shape.duration("within")? });
    }
    if let Some(within) = shape.optional("within") {
        let message = "`within` means nothing for an event that is skipped when it is missed";
        sink.push(Diagnostic::error(codes::CONFLICT, message).at(&within.key_location));
        return None;
    }
    Some(Missed::Skip)
}

fn read_freezes(items: &[Value], sink: &Sink) -> Vec<Freeze> {
    let mut ids = Vec::new();
    let mut freezes = Vec::new();
    for item in items {
        let Some(shape) = Shape::of(item, "a freeze", sink) else { continue };
        let id = shape.id::<PhaseId>("id");
        ids.extend(id.clone());
        let when = read_when(&shape, sink);
        let closes = read_closables(&shape, "closes", sink);
        let opens = read_closables(&shape, "opens", sink);
        let reason = shape.text("reason");
        shape.finish();
        if closes.is_empty() == opens.is_empty() {
            let message = "a freeze says either what it `closes` or what it `opens`";
            sink.push(Diagnostic::error(codes::CONFLICT, message).at(shape.location));
            continue;
        }
        let (Some((id, location)), Some(when), Some(reason)) = (id, when, reason) else { continue };
        let (id, reason) = (id.as_str().to_owned(), reason.value);
        freezes.push(Freeze { id, when, closes, opens, reason, location });
    }
    report_duplicates("freeze", ids.iter().map(|(id, at)| (id.as_str(), at)), sink);
    freezes
}

fn read_when(shape: &Shape<'_>, sink: &Sink) -> Option<FreezeWhen> {
    let recurs = shape.optional("rule").is_some();
    let once = shape.optional("from").or(shape.optional("until"));
    if let (true, Some(once)) = (recurs, once) {
        let message = "a freeze has either `from` and `until` or `rule` and `duration`";
        sink.push(Diagnostic::error(codes::CONFLICT, message).at(&once.key_location));
        let _ = shape.optional("duration");
        return None;
    }
    if recurs {
        let (rule, duration) = (shape.text("rule"), shape.duration("duration"));
        return Some(FreezeWhen::Recurring { rule: rule?, duration: duration? });
    }
    let (from, until) = (shape.text("from"), shape.text("until"));
    Some(FreezeWhen::Once { from: from?, until: until? })
}

fn read_closables(shape: &Shape<'_>, key: &'static str, sink: &Sink) -> BTreeSet<Closable> {
    shape.texts(key).iter().filter_map(|text| parse_choice(text, &CLOSABLES, sink)).collect()
}
