//! The one pure function that says where a soak stands. Status, evaluation and admission read it.

use base::{Duration, Instant};
use serde::Deserialize;

use crate::{Break, SoakProgress};

/// Name of a break that came from a gap in the data.
pub const GAP: &str = "gap";
/// Name of a break that came from too little load.
pub const LOAD: &str = "load";
/// Name of a break that came from a change of the subject.
pub const SUBJECT: &str = "subject";

/// At most this many breaks are listed; all are counted.
const BREAKS_LISTED_MAX: usize = 50;

/// What a gap in the data does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// The time of the gap does not count; a gap longer than the limit ends the run.
    #[default]
    Pause,
    /// Any missing point ends the run.
    Restart,
}

/// What the rule of a soak asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// How long all conditions have to hold without a break.
    pub required: Duration,
    /// Longest time between two values that does not end a run, under [`OnGap::Pause`].
    pub max_gap: Duration,
    /// What a gap does.
    pub on_gap: OnGap,
}

/// The state of all conditions together at one point of the grid.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// All conditions hold.
    Holds,
    /// At least one condition does not hold, whether or not others are known.
    Broken {
        /// The first condition that does not hold; [`LOAD`] when it is the load.
        condition: String,
        /// The value that it has, if known.
        value: Option<f64>,
    },
    /// No condition is known to be broken, but not all are known to hold.
    Missing,
}

/// What was seen: the states on a grid that begins at `from` and ends no later than `until`.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// First instant that counts; warm-up lies before it.
    pub from: Instant,
    /// Last instant that could be judged; before `from` when warm-up has not ended.
    pub until: Instant,
    /// Distance of the grid's points; positive.
    pub step: Duration,
    /// One state for each point of the grid.
    pub states: &'a [State],
    /// Whether the run can go on after `until`: the subject still runs.
    pub continues: bool,
    /// When the subject took the place of another, if it did.
    pub subject_changed_at: Option<Instant>,
}

/// Where the soak stands at the end of what was observed.
///
/// Two neighbouring points that hold add one step to the run; the time between points that lie
/// on both sides of a gap adds nothing. So a run needs `required / step + 1` points that hold.
#[must_use]
pub fn progress(rule: &Rule, observed: Observed<'_>) -> SoakProgress {
    let mut walk = Walk::new(rule, observed);
    for (index, state) in observed.states.iter().enumerate() {
        walk.see(index, state);
    }
    walk.finish()
}

/// Where a soak stands that has not begun: what admission asks before anything is deployed.
#[must_use]
pub fn planned(rule: &Rule, from: Instant, step: Duration) -> SoakProgress {
    let until = from - Duration::from_micros(1);
    let nothing =
        Observed { from, until, step, states: &[], continues: true, subject_changed_at: None };
    progress(rule, nothing)
}

/// A run of points that hold, possibly with short gaps in it.
struct Run {
    since: Instant,
    last: Instant,
    accrued: Duration,
}

struct Walk<'a> {
    rule: &'a Rule,
    observed: Observed<'a>,
    run: Option<Run>,
    longest_run: Duration,
    breaks: Vec<Break>,
    breaks_total: u64,
    /// Whether the last known point was broken, so that one breach is one break.
    in_breach: bool,
}

impl<'a> Walk<'a> {
    fn new(rule: &'a Rule, observed: Observed<'a>) -> Self {
        let mut walk = Self {
            rule,
            observed,
            run: None,
            longest_run: Duration::ZERO,
            breaks: Vec::new(),
            breaks_total: 0,
            in_breach: false,
        };
        if let Some(at) = observed.subject_changed_at {
            walk.note(at, SUBJECT, None);
        }
        walk
    }

    fn at(&self, index: usize) -> Instant {
        self.observed.from + self.observed.step.times(index as i64)
    }

    fn see(&mut self, index: usize, state: &State) {
        let at = self.at(index);
        match state {
            State::Missing => self.miss(at),
            State::Holds => self.hold(at),
            State::Broken { condition, value } => self.fall(at, condition, *value),
        }
    }

    fn miss(&mut self, at: Instant) {
        let Some(run) = &self.run else { return };
        let ends = match self.rule.on_gap {
            OnGap::Restart => true,
            // The gap lasts at least until the next point.
            OnGap::Pause => at + self.observed.step - run.last > self.rule.max_gap,
        };
        if ends {
            let began = run.last + self.observed.step;
            self.run = None;
            self.note(began, GAP, None);
        }
    }

    fn hold(&mut self, at: Instant) {
        self.in_breach = false;
        let step = self.observed.step;
        match &mut self.run {
            Some(run) => {
                if at - run.last <= step {
                    run.accrued += step;
                }
                run.last = at;
                self.longest_run = self.longest_run.max(run.accrued);
            }
            None => self.run = Some(Run { since: at, last: at, accrued: Duration::ZERO }),
        }
    }

    fn fall(&mut self, at: Instant, condition: &str, value: Option<f64>) {
        self.run = None;
        if !self.in_breach {
            self.note(at, condition, value);
        }
        self.in_breach = true;
    }

    fn note(&mut self, at: Instant, condition: &str, value: Option<f64>) {
        self.breaks_total += 1;
        if self.breaks.len() < BREAKS_LISTED_MAX {
            let value = value.filter(|value| value.is_finite());
            self.breaks.push(Break { at, condition: condition.to_owned(), value });
        }
    }

    fn finish(self) -> SoakProgress {
        let accrued = self.run.as_ref().map_or(Duration::ZERO, |run| run.accrued);
        let remaining = (self.rule.required - accrued).max(Duration::ZERO);
        SoakProgress {
            required: self.rule.required,
            accrued,
            remaining,
            eligible_at: self.eligible_at(remaining),
            since: self.run.map(|run| run.since),
            longest_run: self.longest_run,
            breaks: self.breaks,
            breaks_total: self.breaks_total,
        }
    }

    /// The earliest instant at which `remaining` can have been added.
    fn eligible_at(&self, remaining: Duration) -> Option<Instant> {
        if !remaining.is_positive() || !self.observed.continues {
            return None;
        }
        let points = self.observed.states.len();
        let Some(last) = points.checked_sub(1) else {
            return Some(self.observed.from + remaining);
        };
        let holds_at_end = self.observed.states[last] == State::Holds;
        // After a gap or a breach the next point can only start to count.
        let counts_from = if holds_at_end { self.at(last) } else { self.at(points) };
        Some(counts_from + remaining)
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
