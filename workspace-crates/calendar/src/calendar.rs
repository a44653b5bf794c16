use std::collections::BTreeMap;

use base::{Duration, Instant};
use definition::{Closable, EventKind, Missed};
use diagnostics::Diagnostic;

use crate::freeze::{FreezePlan, closure};
use crate::recurrence::Recurrence;
use crate::zone::Zone;
use crate::{Closure, EVENT_KINDS, Occurrence, compile, words};

/// The weekly train: when its events happen and when they must not.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub(crate) zone_name: String,
    pub(crate) zone: Zone,
    pub(crate) events: BTreeMap<EventKind, Event>,
    pub(crate) freezes: Vec<FreezePlan>,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) rule: Recurrence,
    pub(crate) on_missed: Missed,
}

/// How far ahead `next` looks: first where weekly events are, then as far as rules can reach.
const LOOK_AHEAD_DAYS: [i64; 3] = [8, 400, 15_000];

impl Calendar {
    /// Compiles a calendar as it is defined.
    ///
    /// # Errors
    /// Everything that is wrong with it, each at its place: zones that are not in the IANA
    /// database, rules that are not RFC 5545 or never come true, times that are none.
    pub fn new(definition: &definition::Calendar) -> Result<Self, Vec<Diagnostic>> {
        compile::calendar(definition)
    }

    /// IANA name of the calendar's time zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The kinds of events that this calendar has, in the order in which they are handled.
    pub fn kinds(&self) -> impl Iterator<Item = EventKind> + '_ {
        EVENT_KINDS.into_iter().filter(|kind| self.events.contains_key(kind))
    }

    /// Occurrences of `kind` with `from <= at < until`, in order, each instant once.
    /// Empty when the calendar has no such event. Freezes are not applied.
    #[must_use]
    pub fn occurrences(&self, kind: EventKind, from: Instant, until: Instant) -> Vec<Occurrence> {
        let Some(event) = self.events.get(&kind) else { return Vec::new() };
        if from >= until {
            return Vec::new();
        }
        // A day on both sides, because gaps move wall-clock times and zones shift them.
        let day = Duration::from_hours(24);
        let times = event.rule.expand(self.zone.civil(from - day), self.zone.civil(until + day));
        let mut instants: Vec<Instant> =
            times.into_iter().filter_map(|civil| self.zone.instant(civil)).collect();
        instants.sort_unstable();
        instants.dedup();
        let inside = instants.into_iter().filter(|at| from <= *at && *at < until);
        inside.map(|at| Occurrence::new(kind, at)).collect()
    }

    /// The first occurrence of `kind` that is later than `after`; `None` when there is none within
    /// about forty years or the calendar has no such event.
    #[must_use]
    pub fn next(&self, kind: EventKind, after: Instant) -> Option<Occurrence> {
        let from = after + Duration::from_micros(1);
        LOOK_AHEAD_DAYS.iter().find_map(|days| {
            let until = from + Duration::from_hours(24 * days);
            self.occurrences(kind, from, until).into_iter().next()
        })
    }

    /// The first occurrence of any kind that is later than `after`.
    #[must_use]
    pub fn next_any(&self, after: Instant) -> Option<Occurrence> {
        self.kinds().filter_map(|kind| self.next(kind, after)).min()
    }

    /// What closes `what` at `at`: a freeze, or the absence of every window that opens it.
    #[must_use]
    pub fn closed(&self, what: Closable, at: Instant) -> Option<Closure> {
        closure(&self.freezes, &self.zone, what, at)
    }

    /// The ISO 8601 week of `at` in the calendar's zone: `2026-W02`.
    #[must_use]
    pub fn week(&self, at: Instant) -> String {
        let week = self.zone.civil(at).date().iso_week_date();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// `at` in the calendar's zone, for people: `Thu 8 Jan 15:00`.
    #[must_use]
    pub fn moment(&self, at: Instant) -> String {
        words::moment(&self.zone, at)
    }
}
