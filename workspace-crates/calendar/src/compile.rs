#![expect(
    clippy::result_large_err,
    reason = "a definition is compiled once and its first problem ends the part; a box buys nothing"
)]

use std::collections::BTreeMap;

use base::Instant;
use definition::{CalendarEvent, Freeze, FreezeWhen, Missed, Text};
use diagnostics::{Diagnostic, codes};
use jiff::civil::DateTime;

use crate::calendar::{Calendar, Event};
use crate::freeze::{FreezePlan, Window};
use crate::recurrence::Recurrence;
use crate::zone::Zone;

/// Compiles a calendar, or says everything that is wrong with it.
pub(crate) fn calendar(definition: &definition::Calendar) -> Result<Calendar, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let zone = zone(&definition.zone).unwrap_or_else(|problem| {
        problems.push(problem);
        Zone::utc()
    });
    let mut events = BTreeMap::new();
    for one in &definition.events {
        match event(one) {
            Ok(compiled) => {
                if events.insert(one.id, compiled).is_some() {
                    problems.push(duplicate(one));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    let mut freezes = Vec::new();
    for one in &definition.freezes {
        match freeze(one, &zone) {
            Ok(compiled) => freezes.push(compiled),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Calendar { zone_name: definition.zone.value.clone(), zone, events, freezes })
    } else {
        Err(problems)
    }
}

fn zone(text: &Text) -> Result<Zone, Diagnostic> {
    Zone::named(&text.value).ok_or_else(|| {
        let name = text.value.escape_debug();
        Diagnostic::error(
            codes::BAD_ZONE,
            format!("`{name}` is not in the IANA time zone database"),
        )
        .at(&text.location)
        .help("write an IANA name, such as `UTC` or `Europe/Berlin`")
    })
}

fn duplicate(event: &CalendarEvent) -> Diagnostic {
    Diagnostic::error(codes::DUPLICATE, format!("the event `{}` is there twice", event.id))
        .at(&event.location)
        .help("keep one; a rule may list several days, such as `BYDAY=TU,TH`")
}

fn event(event: &CalendarEvent) -> Result<Event, Diagnostic> {
    let rule = rule(&event.rule)?;
    if let Missed::CatchUp { within } = event.on_missed
        && !within.is_positive()
    {
        let message = "an event that is caught up within no time is never caught up";
        return Err(Diagnostic::error(codes::BAD_VALUE, message)
            .at(&event.location)
            .help("write a longer time, such as `within = \"24h\"`, or `on_missed = \"skip\"`"));
    }
    Ok(Event { rule, on_missed: event.on_missed })
}

fn rule(text: &Text) -> Result<Recurrence, Diagnostic> {
    Recurrence::parse(&text.value).map_err(|message| {
        Diagnostic::error(codes::BAD_RULE, message)
            .at(&text.location)
            .help("write an RFC 5545 rule, such as `FREQ=WEEKLY;BYDAY=TH;BYHOUR=15;BYMINUTE=0`")
    })
}

fn freeze(freeze: &Freeze, zone: &Zone) -> Result<FreezePlan, Diagnostic> {
    Ok(FreezePlan {
        id: freeze.id.clone(),
        window: window(freeze, zone)?,
        closes: freeze.closes.clone(),
        opens: freeze.opens.clone(),
        reason: freeze.reason.clone(),
    })
}

fn window(freeze: &Freeze, zone: &Zone) -> Result<Window, Diagnostic> {
    match &freeze.when {
        FreezeWhen::Once { from, until } => {
            let begins = local_time(from, zone)?;
            let ends = local_time(until, zone)?;
            if ends <= begins {
                return Err(Diagnostic::error(
                    codes::BAD_VALUE,
                    "the freeze ends before it begins",
                )
                .at(&until.location)
                .label(&from.location, "it begins here")
                .help("write a later `until`"));
            }
            Ok(Window::Once { from: begins, until: ends })
        }
        FreezeWhen::Recurring { rule: text, duration } => {
            if !duration.is_positive() {
                return Err(Diagnostic::error(codes::BAD_VALUE, "the freeze takes no time")
                    .at(&freeze.location)
                    .help("write a `duration`, such as `62h`"));
            }
            Ok(Window::Recurring { rule: rule(text)?, length: *duration })
        }
    }
}

fn local_time(text: &Text, zone: &Zone) -> Result<Instant, Diagnostic> {
    let offset = text.value.ends_with(['Z', 'z', ']']);
    let civil = text.value.parse::<DateTime>().ok().filter(|_| !offset);
    civil.and_then(|civil| zone.instant(civil)).ok_or_else(|| {
        let shown = text.value.escape_debug();
        Diagnostic::error(codes::BAD_CIVIL_TIME, format!("`{shown}` is not a local date and time"))
            .at(&text.location)
            .help("write it without an offset, such as `2026-12-21T00:00:00`")
    })
}
