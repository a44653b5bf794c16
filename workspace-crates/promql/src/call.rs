//! Function calls.

use samples::{Labels, METRIC_NAME};

use crate::annotation::Annotation;
use crate::ast::{Aggregation, By, Node, Selector};
use crate::column::{self, ABSENT, Column, is_present};
use crate::context::{Context, Grid};
use crate::error::Failure;
use crate::eval::{Evaluated, Vector, mistyped};
use crate::function::Function;
use crate::plan::Plan;
use crate::time_functions::Civil;
use crate::window_functions::{WindowFunction, Windowed, greatest, least};
use crate::{aggregate, histogram, label_functions, select};

pub(crate) fn evaluate(
    ctx: &Context<'_>,
    function: Function,
    arguments: &[Node],
    grid: Grid,
) -> Result<Evaluated, Failure> {
    let call = Call { ctx, arguments, grid };
    let vector = match function {
        Function::Pi => return Ok(Evaluated::Scalar(vec![std::f64::consts::PI; grid.count])),
        Function::Time => return Ok(Evaluated::Scalar(call.times())),
        Function::Scalar => return call.to_scalar(),
        Function::MinOf => return call.of_two(least),
        Function::MaxOf => return call.of_two(greatest),
        Function::Start => return Ok(call.constant(ctx.outer.start_ms)),
        Function::End => return Ok(call.constant(ctx.end_ms)),
        Function::Range => return Ok(call.constant(ctx.end_ms - ctx.outer.start_ms)),
        Function::Step => return Ok(call.constant(ctx.outer.interval_ms())),
        Function::Sort | Function::SortDesc => call.sorted(matches!(function, Function::Sort))?,
        Function::SortByLabel | Function::SortByLabelDesc => {
            call.sorted_by_label(matches!(function, Function::SortByLabel))?
        }
        Function::Calendar(f) => call.calendar(f).into(),
        Function::Window(function) => call.windowed(function)?.into(),
        // These change a vector value by value, which is done before this is reached.
        Function::Math(_)
        | Function::Clamp
        | Function::ClampMax
        | Function::ClampMin
        | Function::Round
        | Function::Timestamp => return Err(mistyped("an instant vector")),
        Function::Absent => call.absent()?.into(),
        Function::AbsentOverTime => call.absent_over_time()?.into(),
        Function::Vector => {
            let values = call.scalar(0)?;
            vec![Column { labels: Labels::empty(), drops_name: false, values }].into()
        }
        Function::HistogramQuantile => {
            histogram::quantile(ctx, call.vector(1)?, &call.scalar(0)?)?.into()
        }
        Function::HistogramQuantiles => call.quantiles()?.into(),
        Function::HistogramFraction => {
            histogram::fraction(ctx, call.vector(2)?, &call.scalar(0)?, &call.scalar(1)?)?.into()
        }
        Function::LabelReplace => {
            label_functions::replace(call.vector(0)?, &call.texts(1)?)?.into()
        }
        Function::LabelJoin => label_functions::join(call.vector(0)?, &call.texts(1)?)?.into(),
    };
    Ok(Evaluated::Vector(vector))
}

struct Call<'a> {
    ctx: &'a Context<'a>,
    arguments: &'a [Node],
    grid: Grid,
}

impl Call<'_> {
    fn argument(&self, index: usize) -> Result<&Node, Failure> {
        self.arguments.get(index).ok_or_else(|| mistyped("given"))
    }

    fn vector(&self, index: usize) -> Result<Vec<Column>, Failure> {
        self.ctx.vector(self.argument(index)?, self.grid)
    }

    fn scalar(&self, index: usize) -> Result<Vec<f64>, Failure> {
        self.ctx.scalar(self.argument(index)?, self.grid)
    }

    fn texts(&self, from: usize) -> Result<Vec<&str>, Failure> {
        let texts = self.arguments.iter().skip(from).map(|argument| match argument {
            Node::Text(text) => Ok(text.as_str()),
            _ => Err(mistyped("a text")),
        });
        texts.collect()
    }

    /// The evaluation times in seconds.
    fn times(&self) -> Vec<f64> {
        self.grid.times().map(|ms| ms as f64 / 1_000.0).collect()
    }

    fn constant(&self, ms: i64) -> Evaluated {
        Evaluated::Scalar(vec![ms as f64 / 1_000.0; self.grid.count])
    }

    /// NaN if either is.
    fn of_two(&self, choose: fn(f64, f64) -> f64) -> Result<Evaluated, Failure> {
        let pairs = self.scalar(0)?.into_iter().zip(self.scalar(1)?);
        let either = |(a, b): (f64, f64)| {
            if a.is_nan() || b.is_nan() { f64::NAN } else { choose(a, b) }
        };
        Ok(Evaluated::Scalar(pairs.map(either).collect()))
    }

    /// `histogram_quantiles`: several quantiles at once, told apart by a label.
    fn quantiles(&self) -> Result<Vec<Column>, Failure> {
        let Some(Node::Text(label)) = self.arguments.get(1) else { return Err(mistyped("a text")) };
        let buckets = self.vector(0)?;
        let mut results = Vec::new();
        for index in 2..self.arguments.len() {
            let fractions = self.scalar(index)?;
            let columns = histogram::quantile(self.ctx, buckets.clone(), &fractions)?;
            results.extend(label_functions::split_by_value(columns, label, &fractions)?);
        }
        column::merge(results)
    }

    /// The calendar of the evaluation time itself.
    fn calendar(&self, f: fn(&Civil) -> f64) -> Vec<Column> {
        let of_seconds = |seconds| Civil::at(seconds).map_or(f64::NAN, |civil| f(&civil));
        let values = self.times().into_iter().map(of_seconds).collect();
        vec![Column { labels: Labels::empty(), drops_name: false, values }]
    }

    fn windowed(&self, function: WindowFunction) -> Result<Vec<Column>, Failure> {
        let windows =
            select::windows(self.ctx, self.argument(function.window_argument())?, self.grid)?;
        let ends = (windows.ends, windows.range_ms);
        let mut windowed = Windowed::of(self.ctx, function, self.arguments, ends, self.grid)?;
        windowed.columns(self.ctx, windows.streams)
    }

    fn to_scalar(&self) -> Result<Evaluated, Failure> {
        let columns = self.vector(0)?;
        let value = |step: usize| {
            let mut present = columns.iter().map(|c| c.values[step]).filter(|v| is_present(*v));
            match (present.next(), present.next()) {
                (Some(only), None) => only,
                _ => f64::NAN,
            }
        };
        Ok(Evaluated::Scalar((0..self.grid.count).map(value).collect()))
    }

    /// Order is part of an instant result only; NaN comes last either way.
    fn sorted(&self, ascending: bool) -> Result<Vector, Failure> {
        let mut columns = self.vector(0)?;
        self.check_sorting();
        if self.grid.count == 1 {
            columns.sort_by(|a, b| {
                let (a, b) = (a.values[0], b.values[0]);
                let order = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if ascending || a.is_nan() || b.is_nan() { order } else { order.reverse() }
            });
        }
        Ok(Vector { columns, is_ordered: true })
    }

    fn check_sorting(&self) {
        if self.grid.count > 1 {
            self.ctx.annotate(Annotation::SortIneffective);
        }
    }

    fn sorted_by_label(&self, ascending: bool) -> Result<Vector, Failure> {
        let mut columns = self.vector(0)?;
        self.check_sorting();
        let names = self.texts(1)?;
        columns.sort_by(|a, b| {
            let order = label_functions::compare(&a.labels, &b.labels, &names);
            if ascending { order } else { order.reverse() }
        });
        Ok(Vector { columns, is_ordered: true })
    }

    fn absent(&self) -> Result<Vec<Column>, Failure> {
        let argument = self.argument(0)?;
        Ok(self.absence(&self.presence(argument)?, argument))
    }

    fn absent_over_time(&self) -> Result<Vec<Column>, Failure> {
        let argument = self.argument(0)?;
        let present = Function::Window(WindowFunction::Present);
        let present = Node::Call(present, vec![argument.clone()]);
        Ok(self.absence(&self.presence(&present)?, argument))
    }

    /// Columns of which one at least is present at a step where the vector has any element.
    fn presence(&self, vector: &Node) -> Result<Vec<Column>, Failure> {
        match Plan::of(self.ctx, vector, self.grid)? {
            Some(plan) => {
                aggregate::folded(self.ctx, Aggregation::Group, &By::These(Vec::new()), &plan)
            }
            None => self.ctx.vector(vector, self.grid),
        }
    }

    /// 1 where there is nothing, with the labels that the selector asked for.
    fn absence(&self, present: &[Column], selected: &Node) -> Vec<Column> {
        let is_any = |step: usize| present.iter().any(|c| is_present(c.values[step]));
        let labels = match selected {
            Node::Selector(selector) | Node::Range(selector, _) => requested(selector),
            _ => Labels::empty(),
        };
        let absent = |step| if is_any(step) { ABSENT } else { 1.0 };
        let values = (0..self.grid.count).map(absent).collect();
        let column = Column { labels, drops_name: false, values };
        if column.has_values() { vec![column] } else { Vec::new() }
    }
}

/// The labels whose values the selector states, unless it states several conditions on them.
fn requested(selector: &Selector) -> Labels {
    let matchers = &selector.matchers;
    let only = |name: &str| matchers.iter().filter(|m| m.name() == name).count() == 1;
    let stated = matchers.iter().filter(|m| m.name() != METRIC_NAME && only(m.name()));
    Labels::from_pairs(stated.filter_map(|m| m.exact_value().map(|value| (m.name(), value))))
}
