//! Evaluates every node for all steps at once.

use base::{Duration, Instant};
use samples::{Labels, SampleSource};

use crate::annotation::Annotated;
use crate::ast::Node;
use crate::change::Change;
use crate::column::{self, Column, is_present};
use crate::context::{Context, Grid};
use crate::error::{EvalError, Failure};
use crate::limits::Limits;
use crate::plan::Plan;
use crate::query::{Query, ValueKind};
use crate::value::{Matrix, MatrixSeries, Point, Sample, Value};
use crate::window_functions::Scalars;
use crate::{aggregate, binary, call, select, stream};

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
    Ok(instant_annotated(query, source, at, limits)?.value)
}

/// As [`instant`], with the remarks that Prometheus would make on the result.
///
/// # Errors
/// As [`instant`].
pub fn instant_annotated(
    query: &Query,
    source: &dyn SampleSource,
    at: Instant,
    limits: &Limits,
) -> Result<Annotated<Value>, EvalError> {
    let at_ms = at.unix_millis();
    let grid = Grid { start_ms: at_ms, step_ms: 1, count: 1 };
    let evaluate = |ctx: &Context<'_>| {
        if query.kind() == ValueKind::Matrix {
            return Ok(Value::Matrix(select::samples_at(ctx, &query.root, grid)?));
        }
        instant_value(ctx.evaluate(&query.root, grid)?, at_ms)
    };
    let ctx = Context::new(source, limits, (grid, at_ms));
    annotated(ctx, evaluate).map_err(|failure| EvalError::new(query, failure))
}

fn annotated<T>(
    ctx: Result<Context<'_>, Failure>,
    evaluate: impl FnOnce(&Context<'_>) -> Result<T, Failure>,
) -> Result<Annotated<T>, Failure> {
    let ctx = ctx?;
    let value = evaluate(&ctx)?;
    Ok(Annotated { value, annotations: ctx.into_annotations() })
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
    Ok(range_annotated(query, source, start, end, step, limits)?.value)
}

/// As [`range`], with the remarks that Prometheus would make on the result.
///
/// # Errors
/// As [`range`].
pub fn range_annotated(
    query: &Query,
    source: &dyn SampleSource,
    start: Instant,
    end: Instant,
    step: Duration,
    limits: &Limits,
) -> Result<Annotated<Matrix>, EvalError> {
    let evaluate = || {
        match query.kind() {
            ValueKind::Matrix => return Err(Failure::NotARangeQuery("samples themselves")),
            ValueKind::Text => return Err(Failure::NotARangeQuery("a text")),
            ValueKind::Scalar | ValueKind::Vector => {}
        }
        let end_ms = end.unix_millis();
        let grid = Grid::new(start.unix_millis(), end_ms, step.millis())?;
        let ctx = Context::new(source, limits, (grid, end_ms));
        annotated(ctx, |ctx| range_value(ctx.evaluate(&query.root, grid)?, grid))
    };
    evaluate().map_err(|failure| EvalError::new(query, failure))
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

impl Context<'_> {
    pub(crate) fn evaluate(&self, node: &Node, grid: Grid) -> Result<Evaluated, Failure> {
        self.check_time()?;
        if let Some(plan) = Plan::of(self, node, grid)? {
            return Ok(Evaluated::Vector(stream::columns(self, &plan)?.into()));
        }
        if let Some(inner) = Change::argument(node) {
            let mut columns = self.vector(inner, grid)?;
            if let Some(change) = Change::of(self, node, grid)? {
                change.apply_to(&mut columns);
            }
            return Ok(Evaluated::Vector(columns.into()));
        }
        Ok(match node {
            Node::Number(number) => Evaluated::Scalar(vec![*number; grid.count]),
            Node::Text(text) => Evaluated::Text(text.clone()),
            Node::Selector(_) | Node::Range(..) | Node::Subquery(_) => {
                return Err(mistyped("an instant vector"));
            }
            Node::Negate(inner) => {
                let mut values = self.scalar(inner, grid)?;
                values.iter_mut().for_each(|value| *value = -*value);
                Evaluated::Scalar(values)
            }
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

    /// As [`Context::scalar`], for sharing.
    pub(crate) fn scalars(&self, node: &Node, grid: Grid) -> Result<Scalars, Failure> {
        Ok(self.scalar(node, grid)?.into())
    }
}
