//! Reads the parts of a source side by side and hands what is computed to a sink.
//!
//! Parts are divided into batches by their number alone, a batch is read in order, and what came of
//! the batches is joined in order. So results do not depend on the number of threads.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use samples::{Labels, Part};

use crate::column::{Column, is_present};
use crate::context::Context;
use crate::error::Failure;
use crate::plan::Plan;

/// More batches than cores, so that all are busy until the end; few, because each has its own sink.
const BATCHES_MAX: usize = 64;

/// What takes in one series after another.
pub(crate) trait Sink: Send + Sized {
    /// `values` has one value for each step, of which one at least is present. What it holds
    /// afterwards does not matter.
    fn take(
        &mut self,
        ctx: &Context<'_>,
        labels: Labels,
        values: &mut Vec<f64>,
    ) -> Result<(), Failure>;

    /// Takes in what another sink has of later series.
    fn absorb(&mut self, later: Self);
}

/// Runs the plan over all series of its selector.
pub(crate) fn run<S: Sink>(
    ctx: &Context<'_>,
    plan: &Plan<'_>,
    sink: impl Fn() -> S + Sync,
) -> Result<S, Failure> {
    ctx.check_time()?;
    keep_freed_memory();
    let parts = ctx.source.parts(&plan.selector.matchers, plan.after_ms, plan.until_ms)?;
    let size = parts.len().div_ceil(BATCHES_MAX).max(1);
    let work = Work {
        ctx,
        plan,
        batches: parts.chunks(size).collect(),
        next: AtomicUsize::new(0),
        joined: Mutex::new(Joined { sink: sink(), next: 0, waiting: BTreeMap::new() }),
        failed: Mutex::new(None),
    };
    let others: Range<usize> = 1..ctx.threads().min(work.batches.len());
    if others.is_empty() {
        work.run(&sink);
    } else {
        std::thread::scope(|scope| {
            others.for_each(|_| drop(scope.spawn(|| work.run(&sink))));
            work.run(&sink);
        });
    }
    match work.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, failure)) => Err(failure),
        None => Ok(work.joined.into_inner().unwrap_or_else(PoisonError::into_inner).sink),
    }
}

/// Every series has its buffer, which is freed before the next one is read. The allocator of Linux
/// gives a large block back to the system at once, and clearing the pages of the next one takes
/// longer than computing. Once it has seen a block of this size freed, it keeps up to twice as much.
fn keep_freed_memory() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20))));
}

/// What the threads share.
struct Work<'a, S> {
    ctx: &'a Context<'a>,
    plan: &'a Plan<'a>,
    batches: Vec<&'a [Box<dyn Part + 'a>]>,
    next: AtomicUsize,
    joined: Mutex<Joined<S>>,
    /// The failure of the earliest batch that failed.
    failed: Mutex<Option<(usize, Failure)>>,
}

/// The sinks up to `next` in one, and those that wait for earlier ones.
struct Joined<S> {
    sink: S,
    next: usize,
    waiting: BTreeMap<usize, S>,
}

impl<S: Sink> Work<'_, S> {
    fn run(&self, sink: &impl Fn() -> S) {
        let mut reader = Reader { stage: self.plan.stage.clone(), values: Vec::new() };
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(parts) = self.batches.get(at) else { return };
            // Earlier batches are read all the same: which failure is reported must not depend on
            // which thread was first.
            if self.has_failed_before(at) {
                return;
            }
            let mut sink = sink();
            match reader.read(self.ctx, parts, &mut sink) {
                Ok(()) => self.join(at, sink),
                Err(failure) => self.fail(at, failure),
            }
        }
    }

    fn join(&self, at: usize, sink: S) {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.waiting.insert(at, sink);
        let Joined { sink, next, waiting } = &mut *joined;
        while let Some(later) = waiting.remove(next) {
            sink.absorb(later);
            *next += 1;
        }
    }

    fn has_failed_before(&self, at: usize) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().is_some_and(|(earliest, _)| *earliest < at)
    }

    fn fail(&self, at: usize, failure: Failure) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            *failed = Some((at, failure));
        }
    }
}

/// What one thread reads with; its buffers are used again for every series.
struct Reader {
    stage: crate::plan::Stage,
    values: Vec<f64>,
}

impl Reader {
    fn read<S: Sink>(
        &mut self,
        ctx: &Context<'_>,
        parts: &[Box<dyn Part + '_>],
        sink: &mut S,
    ) -> Result<(), Failure> {
        for part in parts {
            let mut outcome = Ok(());
            part.read(&mut |series| {
                outcome = self.take(ctx, series, sink);
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            outcome?;
        }
        Ok(())
    }

    fn take<S: Sink>(
        &mut self,
        ctx: &Context<'_>,
        series: samples::Series,
        sink: &mut S,
    ) -> Result<(), Failure> {
        ctx.charge(series.values().len())?;
        let labels = self.stage.run(ctx, series, &mut self.values)?;
        if self.values.iter().any(|v| is_present(*v)) {
            sink.take(ctx, labels, &mut self.values)?;
        }
        Ok(())
    }
}

/// Keeps every series.
struct Columns {
    drops_name: bool,
    columns: Vec<Column>,
}

impl Sink for Columns {
    fn take(
        &mut self,
        ctx: &Context<'_>,
        labels: Labels,
        values: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        ctx.charge(values.len())?;
        let values = std::mem::take(values);
        self.columns.push(Column { labels, drops_name: self.drops_name, values });
        Ok(())
    }

    fn absorb(&mut self, mut later: Self) {
        self.columns.append(&mut later.columns);
    }
}

/// All series of a plan, sorted by labels.
pub(crate) fn columns(ctx: &Context<'_>, plan: &Plan<'_>) -> Result<Vec<Column>, Failure> {
    let sink = || Columns { drops_name: plan.drops_name, columns: Vec::new() };
    let mut columns = run(ctx, plan, sink)?.columns;
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(columns)
}
