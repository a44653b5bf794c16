//! What all nodes of one evaluation share: the steps, the source, the limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use samples::SampleSource;

use crate::annotation::{Annotation, Annotations};
use crate::ast::{At, Shift};
use crate::column::ABSENT;
use crate::error::Failure;
use crate::limits::Limits;

/// Times beyond this cannot be computed with, and no sample has them.
const REACH_MS: u64 = 1 << 53;

/// The steps of an evaluation. There is at least one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, Failure> {
        let in_reach = start_ms.unsigned_abs() <= REACH_MS && end_ms.unsigned_abs() <= REACH_MS;
        if step_ms <= 0 || end_ms < start_ms || !in_reach {
            return Err(Failure::EmptyRange);
        }
        let count = ((end_ms - start_ms) / step_ms) as usize + 1;
        Ok(Self { start_ms, step_ms, count })
    }

    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start_ms + step as i64 * self.step_ms
    }

    /// The time between two steps; none for an instant.
    pub(crate) fn interval_ms(&self) -> i64 {
        if self.count > 1 { self.step_ms } else { 0 }
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> {
        let grid = *self;
        (0..grid.count).map(move |step| grid.time(step))
    }
}

/// The times that a selector looks at: a grid that may stand still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shifted {
    pub(crate) first_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Shifted {
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.first_ms + step as i64 * self.step_ms
    }

    pub(crate) fn last_ms(&self) -> i64 {
        self.time(self.count - 1)
    }

    /// How many different times there are at most.
    pub(crate) fn distinct(&self) -> usize {
        if self.step_ms == 0 { 1 } else { self.count }
    }

    /// Repeats the values for the distinct times for all steps.
    pub(crate) fn spread(&self, values: &mut Vec<f64>) {
        let last = values.last().copied().unwrap_or(ABSENT);
        values.resize(self.count, last);
    }
}

/// What all nodes of one evaluation share. Threads share it as well.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a dyn SampleSource,
    limits: &'a Limits,
    pub(crate) outer: Grid,
    /// The end that was asked for, which may lie after the last step.
    pub(crate) end_ms: i64,
    used: AtomicU64,
    annotations: Mutex<Annotations>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        source: &'a dyn SampleSource,
        limits: &'a Limits,
        (outer, end_ms): (Grid, i64),
    ) -> Result<Self, Failure> {
        if outer.start_ms.unsigned_abs() > REACH_MS {
            return Err(Failure::EmptyRange);
        }
        let (used, annotations) = (AtomicU64::new(0), Mutex::default());
        let ctx = Self { source, limits, outer, end_ms, used, annotations };
        ctx.check_steps(outer)?;
        Ok(ctx)
    }

    pub(crate) fn check_steps(&self, grid: Grid) -> Result<(), Failure> {
        let (steps, limit) = (grid.count as u64, self.limits.max_steps);
        if steps > limit { Err(Failure::TooManySteps { steps, limit }) } else { Ok(()) }
    }

    /// Counts samples that are read, and values that are kept.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), Failure> {
        let samples = samples as u64;
        let used = self.used.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        let limit = self.limits.max_samples;
        if used > limit { Err(Failure::TooManySamples { limit }) } else { self.check_time() }
    }

    /// Whether the evaluation may go on.
    pub(crate) fn check_time(&self) -> Result<(), Failure> {
        if self.limits.cancelled.as_ref().is_some_and(|asked| asked()) {
            return Err(Failure::Cancelled);
        }
        if self.limits.deadline.as_ref().is_some_and(|asked| asked()) {
            return Err(Failure::OutOfTime);
        }
        Ok(())
    }

    /// How many threads may read parts.
    pub(crate) fn threads(&self) -> usize {
        /// Asking the system takes longer than many a query.
        static CORES: OnceLock<usize> = OnceLock::new();
        match self.limits.threads {
            0 => *CORES.get_or_init(|| {
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
            }),
            threads => threads,
        }
    }

    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).insert(annotation);
    }

    pub(crate) fn into_annotations(self) -> Annotations {
        self.annotations.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that a selector looks at for each step, and whether it is the same for all.
    pub(crate) fn shifted(&self, shift: Shift, grid: Grid) -> Shifted {
        let fixed_ms = shift.at.map(|at| match at {
            At::Start => self.outer.start_ms,
            At::End => self.end_ms,
            At::Ms(ms) => ms,
        });
        match fixed_ms {
            Some(ms) => Shifted { first_ms: ms - shift.offset_ms, step_ms: 0, count: grid.count },
            None => Shifted {
                first_ms: grid.start_ms - shift.offset_ms,
                step_ms: grid.step_ms,
                count: grid.count,
            },
        }
    }
}

/// Asks whether the evaluation may go on, once for so much work.
pub(crate) struct Pulse<'a> {
    ctx: &'a Context<'a>,
    work: usize,
}

impl<'a> Pulse<'a> {
    /// Some microseconds.
    const WORK: usize = 8_192;

    pub(crate) fn new(ctx: &'a Context<'a>) -> Self {
        Self { ctx, work: 0 }
    }

    pub(crate) fn tick(&mut self, work: usize) -> Result<(), Failure> {
        self.work += work;
        if self.work < Self::WORK {
            return Ok(());
        }
        self.work = 0;
        self.ctx.check_time()
    }
}
