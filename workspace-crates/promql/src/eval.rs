//! Evaluates every node for all steps at once.

use std::cell::Cell;

use base::{Duration, Instant};
use samples::{Labels, SampleSource};

use crate::ast::{At, Node, Shift};
use crate::column::{self, ABSENT, Column, is_present};
use crate::error::{EvalError, Failure};
use crate::limits::Limits;
use crate::query::{Query, ValueKind};
use crate::value::{Matrix, MatrixSeries, Point, Sample, Value};
use crate::{aggregate, binary, call, select};

/// Evaluates a query at one instant (whole milliseconds).
///
/// # Errors
/// When the samples cannot be read, a limit is exceeded, the query is cancelled, or the result
/// would be ambiguous. An empty result is no error: it is missing data, and the caller's to judge.
pub fn instant(
    query: &Query,
    source: &dyn SampleSource,
    at: Instant,
    limits: &Limits,
) -> Result<Value, EvalError> {
    let at_ms = at.unix_millis();
    let grid = Grid { start_ms: at_ms, step_ms: 1, count: 1 };
    let evaluated = Context::new(source, limits, grid).and_then(|ctx| {
        if query.kind() == ValueKind::Matrix {
            return Ok(Value::Matrix(select::samples_at(&ctx, &query.root, grid)?));
        }
        instant_value(ctx.evaluate(&query.root, grid)?, at_ms)
    });
    evaluated.map_err(|failure| EvalError { query: query.text().to_owned(), failure })
}

fn instant_value(evaluated: Evaluated, t_ms: i64) -> Result<Value, Failure> {
    Ok(match evaluated {
        Evaluated::Scalar(values) => Value::Scalar(Point { t_ms, value: values[0] }),
        Evaluated::Text(text) => Value::Text(text),
        Evaluated::Vector(vector) => {
            let mut columns = column::finish(vector.columns)?;
            if !vector.is_ordered {
                columns.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
            let sample = |c: Column| Sample { labels: c.labels, t_ms, value: c.values[0] };
            Value::Vector(columns.into_iter().map(sample).collect())
        }
    })
}

/// Evaluates a query at `start`, `start + step`, … up to `end` (whole milliseconds). A scalar
/// becomes one series without labels.
///
/// # Errors
/// As [`instant`]; also when the query gives no numbers, the step is not positive, or the end comes
/// before the start.
pub fn range(
    query: &Query,
    source: &dyn SampleSource,
    start: Instant,
    end: Instant,
    step: Duration,
    limits: &Limits,
) -> Result<Matrix, EvalError> {
    let evaluated = || {
        match query.kind() {
            ValueKind::Matrix => return Err(Failure::NotARangeQuery("samples themselves")),
            ValueKind::Text => return Err(Failure::NotARangeQuery("a text")),
            ValueKind::Scalar | ValueKind::Vector => {}
        }
        let grid = Grid::new(start.unix_millis(), end.unix_millis(), step.millis())?;
        let ctx = Context::new(source, limits, grid)?;
        range_value(ctx.evaluate(&query.root, grid)?, grid)
    };
    evaluated().map_err(|failure| EvalError { query: query.text().to_owned(), failure })
}

fn range_value(evaluated: Evaluated, grid: Grid) -> Result<Matrix, Failure> {
    let columns = match evaluated {
        Evaluated::Scalar(values) => {
            vec![Column { labels: Labels::empty(), drops_name: false, values }]
        }
        Evaluated::Vector(vector) => vector.columns,
        Evaluated::Text(_) => return Err(Failure::NotARangeQuery("a text")),
    };
    let mut columns = column::finish(columns)?;
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    let series = columns.into_iter().map(|column| {
        let points = grid.times().zip(&column.values).filter(|(_, value)| is_present(**value));
        let points = points.map(|(t_ms, value)| Point { t_ms, value: *value }).collect();
        MatrixSeries { labels: column.labels, points }
    });
    Ok(Matrix { series: series.collect() })
}

/// The steps of an evaluation. There is at least one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, Failure> {
        // Times beyond this cannot be computed with, and no sample has them.
        let reach = 1 << 53;
        let in_reach = start_ms.abs_diff(0) <= reach && end_ms.abs_diff(0) <= reach;
        if step_ms <= 0 || end_ms < start_ms || !in_reach {
            return Err(Failure::EmptyRange);
        }
        let count = ((end_ms - start_ms) / step_ms) as usize + 1;
        Ok(Self { start_ms, step_ms, count })
    }

    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start_ms + step as i64 * self.step_ms
    }

    pub(crate) fn end_ms(&self) -> i64 {
        self.time(self.count - 1)
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

/// What a node gives.
pub(crate) enum Evaluated {
    /// One number for each step.
    Scalar(Vec<f64>),
    Vector(Vector),
    Text(String),
}

#[derive(Debug, Default)]
pub(crate) struct Vector {
    pub(crate) columns: Vec<Column>,
    /// Whether the order of the columns is part of the result.
    pub(crate) is_ordered: bool,
}

impl From<Vec<Column>> for Vector {
    fn from(columns: Vec<Column>) -> Self {
        Self { columns, is_ordered: false }
    }
}

impl Evaluated {
    /// The parser has checked types, so another type means that the tree is not what it checked.
    pub(crate) fn into_vector(self) -> Result<Vector, Failure> {
        match self {
            Self::Vector(vector) => Ok(vector),
            Self::Scalar(_) | Self::Text(_) => Err(mistyped("an instant vector")),
        }
    }

    pub(crate) fn into_scalar(self) -> Result<Vec<f64>, Failure> {
        match self {
            Self::Scalar(values) => Ok(values),
            Self::Vector(_) | Self::Text(_) => Err(mistyped("a scalar")),
        }
    }
}

pub(crate) fn mistyped(expected: &str) -> Failure {
    Failure::Parameter(format!("an argument should be {expected}"))
}

/// What all nodes of one evaluation share.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a dyn SampleSource,
    limits: &'a Limits,
    pub(crate) outer: Grid,
    used: Cell<u64>,
}

impl<'a> Context<'a> {
    fn new(source: &'a dyn SampleSource, limits: &'a Limits, outer: Grid) -> Result<Self, Failure> {
        if outer.start_ms.abs_diff(0) > 1 << 53 {
            return Err(Failure::EmptyRange);
        }
        let ctx = Self { source, limits, outer, used: Cell::new(0) };
        ctx.check_steps(outer)?;
        Ok(ctx)
    }

    pub(crate) fn check_steps(&self, grid: Grid) -> Result<(), Failure> {
        let (steps, limit) = (grid.count as u64, self.limits.max_steps);
        if steps > limit { Err(Failure::TooManySteps { steps, limit }) } else { Ok(()) }
    }

    /// Counts samples that are read or computed.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), Failure> {
        let used = self.used.get().saturating_add(samples as u64);
        self.used.set(used);
        let limit = self.limits.max_samples;
        if used > limit { Err(Failure::TooManySamples { limit }) } else { self.check_cancelled() }
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), Failure> {
        match &self.limits.cancelled {
            Some(cancelled) if cancelled() => Err(Failure::Cancelled),
            _ => Ok(()),
        }
    }

    /// The time that a selector looks at for each step, and whether it is the same for all.
    pub(crate) fn shifted(&self, shift: Shift, grid: Grid) -> Shifted {
        let fixed_ms = shift.at.map(|at| match at {
            At::Start => self.outer.start_ms,
            At::End => self.outer.end_ms(),
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

    pub(crate) fn evaluate(&self, node: &Node, grid: Grid) -> Result<Evaluated, Failure> {
        self.check_cancelled()?;
        Ok(match node {
            Node::Number(number) => Evaluated::Scalar(vec![*number; grid.count]),
            Node::Text(text) => Evaluated::Text(text.clone()),
            Node::Selector(selector) => {
                Evaluated::Vector(select::instant_columns(self, selector, grid)?.into())
            }
            Node::Range(..) | Node::Subquery(_) => return Err(mistyped("an instant vector")),
            Node::Negate(inner) => negate(self.evaluate(inner, grid)?),
            Node::Binary(parts) => binary::evaluate(self, parts, grid)?,
            Node::Aggregate(parts) => Evaluated::Vector(aggregate::evaluate(self, parts, grid)?),
            Node::Call(function, arguments) => call::evaluate(self, *function, arguments, grid)?,
        })
    }

    pub(crate) fn vector(&self, node: &Node, grid: Grid) -> Result<Vec<Column>, Failure> {
        Ok(self.evaluate(node, grid)?.into_vector()?.columns)
    }

    pub(crate) fn scalar(&self, node: &Node, grid: Grid) -> Result<Vec<f64>, Failure> {
        self.evaluate(node, grid)?.into_scalar()
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

    /// Values for the distinct times, repeated for all steps.
    pub(crate) fn spread(&self, mut values: Vec<f64>) -> Vec<f64> {
        let last = values.last().copied().unwrap_or(ABSENT);
        values.resize(self.count, last);
        values
    }
}

fn negate(evaluated: Evaluated) -> Evaluated {
    match evaluated {
        Evaluated::Scalar(values) => Evaluated::Scalar(values.into_iter().map(|v| -v).collect()),
        Evaluated::Vector(mut vector) => {
            for column in &mut vector.columns {
                column.map(|value| -value);
                column.drops_name = true;
            }
            Evaluated::Vector(vector)
        }
        text @ Evaluated::Text(_) => text,
    }
}
