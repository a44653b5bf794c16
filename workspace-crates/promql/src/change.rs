//! What changes each value of a vector by itself.

use crate::ast::{Binary, Node, Operator};
use crate::column::{ABSENT, Column, is_present};
use crate::context::{Context, Grid};
use crate::error::Failure;
use crate::function::Function;
use crate::time_functions::Civil;
use crate::window_functions::Scalars;

/// A change of values, with the numbers that it needs for each step.
#[derive(Clone)]
pub(crate) enum Change {
    Negate,
    Math(fn(f64) -> f64),
    Calendar(fn(&Civil) -> f64),
    /// The evaluation time instead of the value.
    Time(Scalars),
    Clamp {
        low: Option<Scalars>,
        high: Option<Scalars>,
    },
    Round(Option<Scalars>),
    Binary {
        operator: Operator,
        filters: bool,
        scalar: Scalars,
        scalar_is_left: bool,
    },
}

impl Change {
    /// The vector that the node changes value by value; `None` when the node does something else.
    pub(crate) fn argument(node: &Node) -> Option<&Node> {
        match node {
            Node::Negate(inner) => (!inner.is_scalar()).then_some(inner),
            Node::Binary(binary) => vector_side(binary),
            Node::Call(function, arguments) => match function {
                Function::Math(_)
                | Function::Calendar(_)
                | Function::Clamp
                | Function::ClampMax
                | Function::ClampMin
                | Function::Round => arguments.first(),
                // Of a selector, it is the time of the sample.
                Function::Timestamp => {
                    arguments.first().filter(|inner| !matches!(inner, Node::Selector(_)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The change that a node makes which has such an argument.
    pub(crate) fn of(ctx: &Context<'_>, node: &Node, grid: Grid) -> Result<Option<Self>, Failure> {
        Ok(Some(match node {
            Node::Negate(_) => Self::Negate,
            Node::Binary(binary) => {
                let scalar_is_left = binary.left.is_scalar();
                let scalar = if scalar_is_left { &binary.left } else { &binary.right };
                Self::Binary {
                    operator: binary.operator,
                    filters: binary.filters(),
                    scalar: ctx.scalars(scalar, grid)?,
                    scalar_is_left,
                }
            }
            Node::Call(function, arguments) => {
                let scalar = |index: usize| {
                    arguments.get(index).map(|node| ctx.scalars(node, grid)).transpose()
                };
                match function {
                    Function::Math(f) => Self::Math(*f),
                    Function::Calendar(f) => Self::Calendar(*f),
                    Function::Clamp => Self::Clamp { low: scalar(1)?, high: scalar(2)? },
                    Function::ClampMin => Self::Clamp { low: scalar(1)?, high: None },
                    Function::ClampMax => Self::Clamp { low: None, high: scalar(1)? },
                    Function::Round => Self::Round(scalar(1)?),
                    Function::Timestamp => {
                        Self::Time(grid.times().map(|ms| ms as f64 / 1_000.0).collect())
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }

    /// Whether the values are another quantity afterwards. A filter only leaves some out.
    pub(crate) fn drops_name(&self) -> bool {
        !matches!(self, Self::Binary { filters: true, .. })
    }

    /// Changes the values, of which there is one for each step.
    pub(crate) fn apply(&self, values: &mut [f64]) {
        match self {
            Self::Negate => map(values, |v| -v),
            Self::Math(f) => map(values, f),
            Self::Calendar(f) => {
                map(values, |v| Civil::at(v).map_or(f64::NAN, |civil| f(&civil)));
            }
            Self::Time(times) => with(values, times, |_, time| time),
            Self::Clamp { low, high } => clamp(values, low.as_deref(), high.as_deref()),
            // Halves go up, and the inverse keeps 0.1 from turning into 0.30000000000000004.
            Self::Round(None) => map(values, |v| (v + 0.5).floor()),
            Self::Round(Some(to)) => with(values, to, |v, to| {
                let inverse = 1.0 / to;
                (v * inverse + 0.5).floor() / inverse
            }),
            Self::Binary { operator, filters, scalar, scalar_is_left } => match scalar_is_left {
                true => operate(*operator, *filters, values, scalar, |v, s| (s, v)),
                false => operate(*operator, *filters, values, scalar, |v, s| (v, s)),
            },
        }
    }

    pub(crate) fn apply_to(&self, columns: &mut Vec<Column>) {
        for column in &mut *columns {
            self.apply(&mut column.values);
            column.drops_name |= self.drops_name();
        }
        columns.retain(Column::has_values);
    }
}

/// The side that is a vector, if the other one is a scalar.
fn vector_side(binary: &Binary) -> Option<&Node> {
    match (binary.left.is_scalar(), binary.right.is_scalar()) {
        (false, true) => Some(&binary.left),
        (true, false) => Some(&binary.right),
        _ => None,
    }
}

fn map(values: &mut [f64], f: impl Fn(f64) -> f64) {
    for value in values.iter_mut().filter(|v| is_present(**v)) {
        *value = f(*value);
    }
}

fn with(values: &mut [f64], scalars: &[f64], f: impl Fn(f64, f64) -> f64) {
    for (value, scalar) in values.iter_mut().zip(scalars) {
        if is_present(*value) {
            *value = f(*value, *scalar);
        }
    }
}

fn clamp(values: &mut [f64], low: Option<&[f64]>, high: Option<&[f64]>) {
    for (step, value) in values.iter_mut().enumerate() {
        let low = low.map_or(f64::NEG_INFINITY, |low| low[step]);
        let high = high.map_or(f64::INFINITY, |high| high[step]);
        if low > high {
            *value = ABSENT;
        } else if is_present(*value) {
            let is_number = !(value.is_nan() || low.is_nan() || high.is_nan());
            *value = if is_number { value.min(high).max(low) } else { f64::NAN };
        }
    }
}

/// One loop for each operator, so that it is not looked up for each value.
fn operate(
    operator: Operator,
    filters: bool,
    values: &mut [f64],
    scalars: &[f64],
    sides: impl Fn(f64, f64) -> (f64, f64) + Copy,
) {
    macro_rules! calculate {
        ($f:expr) => {
            with(values, scalars, |v, s| {
                let (a, b) = sides(v, s);
                ($f)(a, b)
            })
        };
    }
    macro_rules! compare {
        ($f:expr) => {
            with(values, scalars, |v, s| {
                let (a, b) = sides(v, s);
                let holds: bool = ($f)(&a, &b);
                match (filters, holds) {
                    (true, true) => v,
                    (true, false) => ABSENT,
                    (false, holds) => f64::from(u8::from(holds)),
                }
            })
        };
    }
    match operator {
        Operator::Add => calculate!(|a, b| a + b),
        Operator::Subtract => calculate!(|a, b| a - b),
        Operator::Multiply => calculate!(|a, b| a * b),
        Operator::Divide => calculate!(|a, b| a / b),
        Operator::Equal => compare!(f64::eq),
        Operator::NotEqual => compare!(f64::ne),
        Operator::Less => compare!(f64::lt),
        Operator::LessOrEqual => compare!(f64::le),
        Operator::Greater => compare!(f64::gt),
        Operator::GreaterOrEqual => compare!(f64::ge),
        other => calculate!(|a, b| crate::binary::calculate(other, a, b)),
    }
}
