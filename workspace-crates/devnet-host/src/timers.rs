use std::collections::BTreeMap;

use base::Instant;

/// Things that are due at a time, each once, in order of time and then of their setting.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeMap<(Instant, u64), T>,
    set: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), set: 0 }
    }
}

impl<T> Timers<T> {
    pub(crate) fn set(&mut self, at: Instant, what: T) {
        self.set += 1;
        self.due.insert((at, self.set), what);
    }

    pub(crate) fn cancel(&mut self, is_meant: impl Fn(&T) -> bool) {
        self.due.retain(|_, what| !is_meant(what));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the first thing that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::Timers;
    use base::Instant;

    #[test]
    fn what_is_due_comes_in_order_and_what_is_cancelled_never() {
        let at = Instant::from_unix_millis;
        let mut timers = Timers::default();
        for (time, name) in [(20, "c"), (10, "a"), (10, "b"), (15, "x")] {
            timers.set(at(time), name);
        }
        timers.cancel(|name| *name == "x");
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop(at(20))).collect();
        assert_eq!(due, ["a", "b", "c"]);
        assert_eq!(timers.next(), None);
    }
}
