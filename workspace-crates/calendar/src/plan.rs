use std::collections::BTreeMap;

use base::{Duration, Instant, PhaseId, Track};
use definition::{Closable, EventKind};

use crate::Calendar;

/// What planning has to know about a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPhase {
    /// The phase.
    pub id: PhaseId,
    /// The phases right before it.
    pub after: Vec<PhaseId>,
    /// Left out at the start of either track.
    pub warm_up: Duration,
    /// How long the internal deployment has to stay healthy.
    pub internal_soak: Duration,
    /// How long the public deployment has to stay healthy.
    pub public_soak: Duration,
}

impl PlanPhase {
    /// What a defined phase says: its parameters `warm_up`, `internal_soak` and `public_soak`.
    /// A stage without one of them needs no time for it.
    #[must_use]
    pub fn of(phase: &definition::Phase) -> Self {
        let length = |name: &str| match phase.params.get(name) {
            Some(definition::ParamValue::Duration(length)) => *length,
            _ => Duration::ZERO,
        };
        Self {
            id: phase.id.clone(),
            after: phase.after.clone(),
            warm_up: length("warm_up"),
            internal_soak: length("internal_soak"),
            public_soak: length("public_soak"),
        }
    }
}

/// When everything happens at the earliest, if nothing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The instant from which was planned.
    pub start: Instant,
    /// Phases in the order of the pipeline.
    pub phases: Vec<PlannedPhase>,
    /// When the last phase is completed; `None` for a pipeline without phases.
    pub completed: Option<Instant>,
}

/// The earliest course of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPhase {
    /// The phase.
    pub phase: PhaseId,
    /// When it is deployed internally.
    pub deployed: Instant,
    /// The evaluation at which its internal track advances.
    pub advanced: Instant,
    /// When it is deployed publicly.
    pub released: Instant,
    /// The evaluation at which its public track advances.
    pub completed: Instant,
    /// Everything above and the evaluations in between, in time order.
    pub steps: Vec<PlanStep>,
}

/// One event in the course of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// When.
    pub at: Instant,
    /// ISO week in the calendar's zone: `2026-W02`.
    pub week: String,
    /// What.
    pub kind: PlanStepKind,
}

/// What happens in a step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanStepKind {
    /// The phase is deployed internally.
    Deploy,
    /// A track is judged.
    Evaluate {
        /// Which.
        track: Track,
        /// Time since its deployment.
        elapsed: Duration,
        /// Warm-up and soak together.
        required: Duration,
        /// Whether the track advances: it does at the first evaluation with enough time elapsed
        /// at which no freeze closes advances.
        advances: bool,
    },
    /// The phase is deployed publicly.
    Release,
}

/// Why no plan exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A phase comes after one that is not there, or after itself.
    #[error(
        "phase `{phase}` cannot be planned: `{upstream}` is not planned before it; list phases after everything they depend on"
    )]
    Order {
        /// The phase.
        phase: PhaseId,
        /// What it waits for.
        upstream: PhaseId,
    },
    /// The calendar has no further event that a phase needs.
    #[error(
        "phase `{phase}` cannot be planned: the calendar has no open {event} event within ten years after {after}"
    )]
    NoEvent {
        /// The phase.
        phase: PhaseId,
        /// The kind of event that is missing.
        event: EventKind,
        /// Where the search began.
        after: Instant,
    },
}

/// How far a plan looks for an event that no freeze closes.
const HORIZON: Duration = Duration::from_hours(10 * 366 * 24);

impl Calendar {
    /// Plans every phase at the earliest from `start`, as the weekly train goes:
    ///
    /// - deployed internally at the first deploy event (at `start` or later) after all its upstream
    ///   phases are *released*;
    /// - judged internally at each evaluation; it advances at the first with warm-up and soak over;
    /// - released at the next release event at which every upstream phase is *completed*;
    /// - judged in public at each evaluation; completed at the first with warm-up and soak over.
    ///
    /// Events in a freeze that closes them are passed over.
    ///
    /// # Errors
    /// When a phase comes before one that it depends on, or the calendar lacks an event.
    pub fn plan(&self, phases: &[PlanPhase], start: Instant) -> Result<Plan, PlanError> {
        let mut planned: BTreeMap<&PhaseId, PlannedPhase> = BTreeMap::new();
        for phase in phases {
            let course = self.plan_phase(phase, &planned, start)?;
            planned.insert(&phase.id, course);
        }
        let completed = planned.values().map(|phase| phase.completed).max();
        let phases = phases.iter().filter_map(|phase| planned.remove(&phase.id)).collect();
        Ok(Plan { start, phases, completed })
    }

    fn plan_phase(
        &self,
        phase: &PlanPhase,
        planned: &BTreeMap<&PhaseId, PlannedPhase>,
        start: Instant,
    ) -> Result<PlannedPhase, PlanError> {
        // One microsecond before the start, so that an event at the start itself counts.
        let mut upstream_released = start - Duration::from_micros(1);
        let mut upstream_completed = start;
        for upstream in &phase.after {
            let before = planned.get(upstream).ok_or_else(|| PlanError::Order {
                phase: phase.id.clone(),
                upstream: upstream.clone(),
            })?;
            upstream_released = upstream_released.max(before.released);
            upstream_completed = upstream_completed.max(before.completed);
        }
        let mut course = Course { calendar: self, phase: &phase.id, steps: Vec::new() };
        let deployed = course.open(EventKind::Deploy, upstream_released)?;
        course.step(deployed, PlanStepKind::Deploy);
        let advanced =
            course.judge(Track::Internal, deployed, phase.warm_up + phase.internal_soak)?;
        let ready = advanced.max(upstream_completed - Duration::from_micros(1));
        let released = course.open(EventKind::Release, ready)?;
        course.step(released, PlanStepKind::Release);
        let completed = course.judge(Track::Public, released, phase.warm_up + phase.public_soak)?;
        let phase = phase.id.clone();
        Ok(PlannedPhase { phase, deployed, advanced, released, completed, steps: course.steps })
    }
}

struct Course<'a> {
    calendar: &'a Calendar,
    phase: &'a PhaseId,
    steps: Vec<PlanStep>,
}

impl Course<'_> {
    fn step(&mut self, at: Instant, kind: PlanStepKind) {
        self.steps.push(PlanStep { at, week: self.calendar.week(at), kind });
    }

    /// The first event of `kind` after `after` that no freeze closes.
    fn open(&self, kind: EventKind, after: Instant) -> Result<Instant, PlanError> {
        let what = if kind == EventKind::Deploy { Closable::Deploy } else { Closable::Release };
        let mut from = after;
        loop {
            let at = self.next(kind, from, after)?;
            if self.calendar.closed(what, at).is_none() {
                return Ok(at);
            }
            from = at;
        }
    }

    /// Judges a track at each evaluation until it advances, and returns when it does.
    fn judge(
        &mut self,
        track: Track,
        deployed: Instant,
        required: Duration,
    ) -> Result<Instant, PlanError> {
        let mut from = deployed;
        loop {
            let at = self.next(EventKind::Evaluate, from, deployed)?;
            let elapsed = at - deployed;
            let open = self.calendar.closed(Closable::Advance, at).is_none();
            let advances = elapsed >= required && open;
            self.step(at, PlanStepKind::Evaluate { track, elapsed, required, advances });
            if advances {
                return Ok(at);
            }
            from = at;
        }
    }

    fn next(&self, event: EventKind, from: Instant, after: Instant) -> Result<Instant, PlanError> {
        let next = self.calendar.next(event, from).map(|occurrence| occurrence.at);
        next.filter(|at| *at - after <= HORIZON).ok_or_else(|| PlanError::NoEvent {
            phase: self.phase.clone(),
            event,
            after,
        })
    }
}
