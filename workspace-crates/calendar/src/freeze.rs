use std::collections::BTreeSet;

use base::{Duration, Instant};
use definition::Closable;

use crate::recurrence::Recurrence;
use crate::zone::Zone;

/// Why something is closed at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// The freeze, or the opening window that is not there yet.
    pub id: String,
    /// Why, for people: the reason in the definition.
    pub reason: String,
    /// When this one ends, which another may outlast; `None` when it never does.
    pub until: Option<Instant>,
}

/// When a freeze holds: once, or again and again.
#[derive(Debug, Clone)]
pub(crate) enum Window {
    Once { from: Instant, until: Instant },
    Recurring { rule: Recurrence, length: Duration },
}

/// A freeze as the calendar has it.
#[derive(Debug, Clone)]
pub(crate) struct FreezePlan {
    pub(crate) id: String,
    pub(crate) window: Window,
    pub(crate) closes: BTreeSet<Closable>,
    pub(crate) opens: BTreeSet<Closable>,
    pub(crate) reason: String,
}

/// How far ahead an opening window is looked for.
const OPENING_HORIZON: Duration = Duration::from_hours(800 * 24);

impl Window {
    /// Where the window ends that holds at `at`.
    fn end_at(&self, zone: &Zone, at: Instant) -> Option<Instant> {
        match self {
            Self::Once { from, until } => (*from <= at && at < *until).then_some(*until),
            Self::Recurring { rule, length } => {
                let starts = starts(rule, zone, at - *length, at);
                starts.into_iter().map(|from| from + *length).filter(|until| at < *until).max()
            }
        }
    }

    /// The first instant after `at` at which the window opens.
    fn next_start(&self, zone: &Zone, at: Instant) -> Option<Instant> {
        match self {
            Self::Once { from, .. } => (at < *from).then_some(*from),
            Self::Recurring { rule, .. } => {
                let starts = starts(rule, zone, at, at + OPENING_HORIZON);
                starts.into_iter().filter(|from| at < *from).min()
            }
        }
    }
}

fn starts(rule: &Recurrence, zone: &Zone, from: Instant, until: Instant) -> Vec<Instant> {
    let day = Duration::from_hours(24);
    let times = rule.expand(zone.civil(from - day), zone.civil(until + day));
    let instants = times.into_iter().filter_map(|civil| zone.instant(civil));
    instants.filter(|at| from <= *at && *at <= until).collect()
}

/// What closes `what` at `at`: a freeze that holds (the one that ends last), or else the absence of
/// every window that opens it (the one that comes first).
pub(crate) fn closure(
    freezes: &[FreezePlan],
    zone: &Zone,
    what: Closable,
    at: Instant,
) -> Option<Closure> {
    let closing = freezes.iter().filter(|freeze| freeze.closes.contains(&what));
    let closed = closing.filter_map(|freeze| Some((freeze, freeze.window.end_at(zone, at)?)));
    if let Some((freeze, until)) = closed.max_by_key(|(_, until)| *until) {
        return Some(freeze.closure(Some(until)));
    }
    let opening: Vec<_> = freezes.iter().filter(|freeze| freeze.opens.contains(&what)).collect();
    if opening.iter().any(|freeze| freeze.window.end_at(zone, at).is_some()) {
        return None;
    }
    let next = opening.iter().map(|freeze| (*freeze, freeze.window.next_start(zone, at)));
    // A window that never opens again sorts last.
    let next = next.min_by_key(|(_, start)| start.unwrap_or(Instant::from_unix_micros(i64::MAX)));
    next.map(|(freeze, start)| freeze.closure(start))
}

impl FreezePlan {
    fn closure(&self, until: Option<Instant>) -> Closure {
        Closure { id: self.id.clone(), reason: self.reason.clone(), until }
    }
}
