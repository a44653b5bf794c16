//! Runs one query within its limits, so that it can be stopped from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use base::Instant;
use promql::{Annotations, EvalError, Limits, Matrix, Query, Value};

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

/// A result, with the remarks that Prometheus would make on it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked.
    pub what: What,
    /// The result.
    pub result: Answered,
    /// The remarks.
    pub remarks: Remarks,
}

/// The result itself.
#[derive(Debug, Clone)]
pub enum Answered {
    /// Of one instant.
    Value(Value),
    /// Of a range.
    Matrix(Matrix),
}

/// Remarks on a result, as sentences.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    /// The result is probably not what was meant.
    pub warnings: Vec<String>,
    /// It may not be.
    pub infos: Vec<String>,
}

impl From<Annotations> for Remarks {
    fn from(annotations: Annotations) -> Self {
        Self {
            warnings: annotations.warnings().map(ToString::to_string).collect(),
            infos: annotations.infos().map(ToString::to_string).collect(),
        }
    }
}

impl Answer {
    /// The answer in Prometheus' response format.
    pub fn json(&self) -> String {
        match (&self.result, self.what) {
            (Answered::Value(value), What::At(at)) => {
                json::instant(value, at.unix_millis(), &self.remarks)
            }
            (Answered::Value(value), What::Range(..)) => json::instant(value, 0, &self.remarks),
            (Answered::Matrix(matrix), _) => json::range(matrix, &self.remarks),
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
    let limits = Limits {
        max_samples: bounds.max_samples,
        max_steps: bounds.max_steps,
        cancelled: Some(Arc::new(move || withdrawn.load(Ordering::Relaxed))),
        deadline: Some(Arc::new(move || began.elapsed() >= bounds.timeout)),
        ..Limits::default()
    };
    let source = sampled.source();
    let answer = match what {
        What::At(at) => promql::instant_annotated(query, source, at, &limits)
            .map(|found| (Answered::Value(found.value), found.annotations)),
        What::Range(from, until, step) => {
            promql::range_annotated(query, source, from, until, step, &limits)
                .map(|found| (Answered::Matrix(found.value), found.annotations))
        }
    };
    match answer {
        Ok((result, annotations)) => Ok(Answer { what, result, remarks: annotations.into() }),
        Err(error) => Err(match error.failure {
            promql::Failure::Cancelled => Stopped::Cancelled,
            promql::Failure::OutOfTime => Stopped::TimedOut,
            _ => Stopped::Failed(error),
        }),
    }
}
