use std::collections::BTreeSet;

use base::{Duration, Instant};
use definition::{Closable, EventKind, Missed};

use crate::{Calendar, Closure, Occurrence};

/// An event that is handled no later than this counts as on time. Hosted schedulers start jobs
/// up to half an hour late, and a job on such a scheduler has missed nothing.
pub const ON_TIME: Duration = Duration::from_minutes(30);

/// What to do about a due event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handling {
    /// Do it; it is on time.
    Perform,
    /// Do it although it is late: the calendar's policy says so.
    CatchUp,
    /// Leave it out and record why.
    Skip {
        /// Why, as a full sentence.
        reason: String,
    },
}

/// An event whose time has come and that nobody has handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The event.
    pub occurrence: Occurrence,
    /// How long ago it was planned.
    pub late_by: Duration,
    /// What to do about it.
    pub policy: Handling,
}

impl Calendar {
    /// Events with `since < at <= now` whose key is not in `handled`, oldest first.
    ///
    /// Every one of them must be recorded under its key, skipped ones too. The same `since`, with
    /// those keys added to `handled`, then gives nothing: a due event is handled exactly once.
    #[must_use]
    pub fn due(&self, since: Instant, handled: &BTreeSet<String>, now: Instant) -> Vec<Due> {
        let (from, until) = (since + Duration::from_micros(1), now + Duration::from_micros(1));
        let mut due = Vec::new();
        for kind in self.kinds() {
            let occurrences = self.occurrences(kind, from, until);
            let latest = occurrences.last().map(|last| last.at);
            let open = occurrences.into_iter().filter(|one| !handled.contains(&one.key));
            due.extend(open.map(|occurrence| {
                let newer = latest.filter(|latest| *latest > occurrence.at);
                self.judge_due(occurrence, newer, now)
            }));
        }
        due.sort_by(|a, b| a.occurrence.cmp(&b.occurrence));
        due
    }

    fn judge_due(&self, occurrence: Occurrence, newer: Option<Instant>, now: Instant) -> Due {
        let late_by = now - occurrence.at;
        let policy = match self.reason_to_skip(&occurrence, newer, now) {
            Some(reason) => Handling::Skip { reason },
            None if late_by <= ON_TIME => Handling::Perform,
            None => Handling::CatchUp,
        };
        Due { occurrence, late_by, policy }
    }

    fn reason_to_skip(
        &self,
        occurrence: &Occurrence,
        newer: Option<Instant>,
        now: Instant,
    ) -> Option<String> {
        let kind = occurrence.kind;
        if let Some(closure) = self.closure_of(kind, occurrence.at, now) {
            let until = closure.until.map(|until| format!(" until {}", self.moment(until)));
            let (id, until) = (closure.id, until.unwrap_or_default());
            return Some(format!("`{id}` keeps it closed{until}: {}", closure.reason));
        }
        if let Some(newer) = newer {
            let newer = self.moment(newer);
            return Some(format!(
                "The {kind} event of {newer} has come due since and replaces it."
            ));
        }
        let late_by = now - occurrence.at;
        if late_by <= ON_TIME {
            return None;
        }
        match self.events.get(&kind).map(|event| event.on_missed) {
            Some(Missed::CatchUp { within }) if late_by <= within => None,
            Some(Missed::CatchUp { within }) => {
                Some(format!("It is {late_by} late; it is caught up within {within}."))
            }
            Some(Missed::Skip) | None => {
                Some(format!("It is {late_by} late, and the calendar skips a missed {kind} event."))
            }
        }
    }

    /// What forbids the event, at its own time or at the time of handling it.
    fn closure_of(&self, kind: EventKind, at: Instant, now: Instant) -> Option<Closure> {
        let what = match kind {
            EventKind::Deploy => Closable::Deploy,
            EventKind::Release => Closable::Release,
            // Judging and telling change nothing; a frozen advance is held where it is decided.
            EventKind::Evaluate | EventKind::Announce => return None,
        };
        self.closed(what, at).or_else(|| self.closed(what, now))
    }
}
