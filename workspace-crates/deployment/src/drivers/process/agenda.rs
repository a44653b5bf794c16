use std::collections::BTreeMap;

use base::Instant;
use devnet::NodeId;

/// Something that the supervisor has to do to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// An action begins.
    Begin(usize),
    /// An action ends.
    End(usize),
    /// A node gets the new client of an upgrade.
    Replace(usize, NodeId),
}

/// Steps in order of time, and of their planning where times are equal.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    steps: BTreeMap<(Instant, u64), Step>,
    planned: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Instant, step: Step) {
        self.planned += 1;
        self.steps.insert((at, self.planned), step);
    }

    /// Takes out the first step that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Step> {
        let first = self.steps.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::{Agenda, Step};
    use base::Instant;

    #[test]
    fn steps_come_when_they_are_due_in_order() {
        let at = Instant::from_unix_millis;
        let mut agenda = Agenda::default();
        agenda.add(at(20), Step::End(0));
        agenda.add(at(10), Step::Begin(0));
        agenda.add(at(10), Step::Begin(1));
        assert_eq!(agenda.pop(at(9)), None);
        assert_eq!(agenda.pop(at(10)), Some(Step::Begin(0)));
        assert_eq!(agenda.pop(at(10)), Some(Step::Begin(1)));
        assert_eq!(agenda.pop(at(10)), None);
        assert_eq!(agenda.pop(at(99)), Some(Step::End(0)));
    }
}
