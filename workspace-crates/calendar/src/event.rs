use std::cmp::Ordering;

use base::Instant;
use definition::EventKind;
use serde::Serialize;

/// Every kind of event, in the order in which events of one instant are handled: a week is judged
/// and told before anything new is started.
pub const EVENT_KINDS: [EventKind; 4] =
    [EventKind::Evaluate, EventKind::Announce, EventKind::Release, EventKind::Deploy];

/// One event at one instant. The order is that of handling: by time, then as in [`EVENT_KINDS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occurrence {
    /// When it is planned.
    pub at: Instant,
    /// What it is.
    pub kind: EventKind,
    /// Names it in the ledger: kind and planned instant in UTC, `deploy@2026-01-08T15:00:00Z`.
    pub key: String,
}

impl Occurrence {
    /// The occurrence of `kind` that is planned at `at`.
    #[must_use]
    pub fn new(kind: EventKind, at: Instant) -> Self {
        Self { at, kind, key: format!("{kind}@{at}") }
    }
}

fn rank(kind: EventKind) -> usize {
    EVENT_KINDS.iter().position(|one| *one == kind).unwrap_or(EVENT_KINDS.len())
}

impl Ord for Occurrence {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, rank(self.kind)).cmp(&(other.at, rank(other.kind)))
    }
}

impl PartialOrd for Occurrence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENT_KINDS, Occurrence, rank};
    use definition::EventKind;

    #[test]
    fn the_key_names_kind_and_instant() {
        let at = "2026-01-08T16:00:00+01:00".parse().unwrap();
        assert_eq!(Occurrence::new(EventKind::Deploy, at).key, "deploy@2026-01-08T15:00:00Z");
    }

    #[test]
    fn events_of_one_instant_are_judged_before_anything_new_starts() {
        let at = "2026-01-08T15:00:00Z".parse().unwrap();
        let evaluate = Occurrence::new(EventKind::Evaluate, at);
        assert!(evaluate < Occurrence::new(EventKind::Deploy, at));
        assert!(EVENT_KINDS.iter().all(|kind| rank(*kind) < EVENT_KINDS.len()));
    }
}
