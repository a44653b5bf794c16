//! Runs one query within its limits, so that it can be stopped from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use base::Instant;
use promql::{EvalError, Limits, Matrix, Query, Value};

use super::json;
use super::origin::Sampled;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One instant.
    At(Instant),
    /// Every `step` from the first instant to the second.
    Range(Instant, Instant, base::Duration),
}

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most samples that are read or computed.
    pub max_samples: u64,
    /// The most points of a series.
    pub max_steps: u64,
    /// The longest time that it may take.
    pub timeout: Duration,
}

/// A result.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of one instant.
    Value(Value),
    /// Of a range.
    Matrix(Matrix),
}

impl Answer {
    /// The answer in Prometheus' response format; `notes` become its warnings.
    pub fn json(&self, what: What, notes: &[String]) -> String {
        match (self, what) {
            (Self::Value(value), What::At(at)) => json::instant(value, at.unix_millis(), notes),
            (Self::Value(value), What::Range(..)) => json::instant(value, 0, notes),
            (Self::Matrix(matrix), _) => json::range(matrix, notes),
        }
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum Stopped {
    /// It took longer than [`Bounds::timeout`].
    TimedOut,
    /// The caller has withdrawn it.
    Cancelled,
    /// The evaluation failed.
    Failed(EvalError),
}

/// Runs `query` until it is done, `cancelled` is set, or its time is up.
///
/// # Errors
/// As [`Stopped`] says.
pub fn run(
    query: &Query,
    what: What,
    sampled: &Sampled,
    bounds: Bounds,
    cancelled: &Arc<AtomicBool>,
) -> Result<Answer, Stopped> {
    let began = Clock::now();
    let withdrawn = Arc::clone(cancelled);
    let is_over = move || began.elapsed() > bounds.timeout;
    let limits = Limits {
        max_samples: bounds.max_samples,
        max_steps: bounds.max_steps,
        cancelled: Some(Arc::new(move || withdrawn.load(Ordering::Relaxed) || is_over())),
    };
    let answer = match what {
        What::At(at) => promql::instant(query, sampled.source(), at, &limits).map(Answer::Value),
        What::Range(from, until, step) => {
            promql::range(query, sampled.source(), from, until, step, &limits).map(Answer::Matrix)
        }
    };
    answer.map_err(|error| match error.failure {
        promql::Failure::Cancelled if cancelled.load(Ordering::Relaxed) => Stopped::Cancelled,
        promql::Failure::Cancelled => Stopped::TimedOut,
        _ => Stopped::Failed(error),
    })
}
