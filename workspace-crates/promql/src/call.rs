//! Function calls.

use samples::{Labels, METRIC_NAME};

use crate::ast::{Node, Selector};
use crate::column::{self, ABSENT, Column, is_present};
use crate::error::Failure;
use crate::eval::{Context, Evaluated, Grid, Vector, mistyped};
use crate::function::Function;
use crate::window_functions::{greatest, least};
use crate::{histogram, label_functions, select, time_functions, window_functions};

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
        Function::End => return Ok(call.constant(ctx.outer.end_ms())),
        Function::Range => return Ok(call.constant(ctx.outer.end_ms() - ctx.outer.start_ms)),
        Function::Step => return Ok(call.constant(ctx.outer.interval_ms())),
        Function::Sort | Function::SortDesc => call.sorted(matches!(function, Function::Sort))?,
        Function::SortByLabel | Function::SortByLabelDesc => {
            call.sorted_by_label(matches!(function, Function::SortByLabel))?
        }
        Function::Math(f) => call.mapped(f)?.into(),
        Function::Calendar(f) => call.calendar(f)?.into(),
        Function::Window(function) => {
            let (windowed, scalars) = call.window_arguments(function)?;
            let windows = select::windows(ctx, windowed, grid)?;
            window_functions::apply(ctx, function, &windows, &scalars, grid)?.into()
        }
        Function::Absent => call.absent()?.into(),
        Function::AbsentOverTime => call.absent_over_time()?.into(),
        Function::Clamp => call.clamped(Some(1), Some(2))?.into(),
        Function::ClampMin => call.clamped(Some(1), None)?.into(),
        Function::ClampMax => call.clamped(None, Some(1))?.into(),
        Function::Round => call.rounded()?.into(),
        Function::Timestamp => call.timestamps()?.into(),
        Function::Vector => {
            let values = call.scalar(0)?;
            vec![Column { labels: Labels::empty(), drops_name: false, values }].into()
        }
        Function::HistogramQuantile => {
            histogram::quantile(call.vector(1)?, &call.scalar(0)?)?.into()
        }
        Function::HistogramQuantiles => call.quantiles()?.into(),
        Function::HistogramFraction => {
            histogram::fraction(call.vector(2)?, &call.scalar(0)?, &call.scalar(1)?)?.into()
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
            let columns = histogram::quantile(buckets.clone(), &fractions)?;
            results.extend(label_functions::split_by_value(columns, label, &fractions)?);
        }
        column::merge(results)
    }

    fn mapped(&self, f: impl Fn(f64) -> f64) -> Result<Vec<Column>, Failure> {
        let mut columns = self.vector(0)?;
        for column in &mut columns {
            column.map(&f);
            column.drops_name = true;
        }
        Ok(columns)
    }

    fn mapped_steps(&self, f: impl Fn(usize, f64) -> f64) -> Result<Vec<Column>, Failure> {
        let mut columns = self.vector(0)?;
        for column in &mut columns {
            column.map_steps(&f);
            column.drops_name = true;
        }
        Ok(columns)
    }

    fn calendar(&self, f: fn(&time_functions::Civil) -> f64) -> Result<Vec<Column>, Failure> {
        let of_seconds =
            |seconds: f64| time_functions::Civil::at(seconds).map_or(f64::NAN, |c| f(&c));
        if !self.arguments.is_empty() {
            return self.mapped(of_seconds);
        }
        let values = self.times().into_iter().map(of_seconds).collect();
        Ok(vec![Column { labels: Labels::empty(), drops_name: false, values }])
    }

    /// Which argument is the range vector; the others are numbers.
    fn window_arguments(
        &self,
        function: window_functions::WindowFunction,
    ) -> Result<(&Node, Vec<Vec<f64>>), Failure> {
        let at = usize::from(function == window_functions::WindowFunction::Quantile);
        let scalars = (0..self.arguments.len()).filter(|index| *index != at);
        let scalars = scalars.map(|index| self.scalar(index)).collect::<Result<_, _>>()?;
        Ok((self.argument(at)?, scalars))
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
        if self.grid.count == 1 {
            columns.sort_by(|a, b| {
                let (a, b) = (a.values[0], b.values[0]);
                let order = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if ascending || a.is_nan() || b.is_nan() { order } else { order.reverse() }
            });
        }
        Ok(Vector { columns, is_ordered: true })
    }

    fn sorted_by_label(&self, ascending: bool) -> Result<Vector, Failure> {
        let mut columns = self.vector(0)?;
        let names = self.texts(1)?;
        columns.sort_by(|a, b| {
            let order = label_functions::compare(&a.labels, &b.labels, &names);
            if ascending { order } else { order.reverse() }
        });
        Ok(Vector { columns, is_ordered: true })
    }

    fn clamped(&self, low: Option<usize>, high: Option<usize>) -> Result<Vec<Column>, Failure> {
        let bound = |index: Option<usize>, default: f64| match index {
            Some(index) => self.scalar(index),
            None => Ok(vec![default; self.grid.count]),
        };
        let (low, high) = (bound(low, f64::NEG_INFINITY)?, bound(high, f64::INFINITY)?);
        let mut columns = self.mapped_steps(|step, value| clamp(value, low[step], high[step]))?;
        for column in &mut columns {
            for (step, value) in column.values.iter_mut().enumerate() {
                if low[step] > high[step] {
                    *value = ABSENT;
                }
            }
        }
        columns.retain(Column::has_values);
        Ok(columns)
    }

    fn rounded(&self) -> Result<Vec<Column>, Failure> {
        let to =
            if self.arguments.len() > 1 { self.scalar(1)? } else { vec![1.0; self.grid.count] };
        // Halves go up, and the inverse keeps 0.1 from turning into 0.30000000000000004.
        self.mapped_steps(|step, value| {
            let inverse = 1.0 / to[step];
            (value * inverse + 0.5).floor() / inverse
        })
    }

    fn timestamps(&self) -> Result<Vec<Column>, Failure> {
        let mut columns = match self.argument(0)? {
            Node::Selector(selector) => select::instant_times(self.ctx, selector, self.grid)?,
            _ => {
                let times = self.times();
                self.mapped_steps(|step, _| times[step])?
            }
        };
        columns.iter_mut().for_each(|column| column.drops_name = true);
        Ok(columns)
    }

    fn absent(&self) -> Result<Vec<Column>, Failure> {
        let columns = self.vector(0)?;
        let is_any = |step: usize| columns.iter().any(|c| is_present(c.values[step]));
        Ok(self.absence((0..self.grid.count).map(is_any).collect(), self.argument(0)?))
    }

    fn absent_over_time(&self) -> Result<Vec<Column>, Failure> {
        let windows = select::windows(self.ctx, self.argument(0)?, self.grid)?;
        let mut is_any = vec![false; windows.ends.distinct()];
        for stream in &windows.streams {
            let bounds = crate::window::bounds(&stream.times_ms, &windows.ends, windows.range_ms);
            is_any.iter_mut().zip(bounds).for_each(|(any, (low, high))| *any |= low < high);
        }
        let last = is_any.last().copied().unwrap_or(false);
        is_any.resize(self.grid.count, last);
        Ok(self.absence(is_any, self.argument(0)?))
    }

    /// 1 where there is nothing, with the labels that the selector asked for.
    fn absence(&self, is_any: Vec<bool>, selected: &Node) -> Vec<Column> {
        let labels = match selected {
            Node::Selector(selector) | Node::Range(selector, _) => requested(selector),
            _ => Labels::empty(),
        };
        let values = is_any.into_iter().map(|any| if any { ABSENT } else { 1.0 }).collect();
        let column = Column { labels, drops_name: false, values };
        if column.has_values() { vec![column] } else { Vec::new() }
    }
}

fn clamp(value: f64, low: f64, high: f64) -> f64 {
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return f64::NAN;
    }
    value.min(high).max(low)
}

/// The labels whose values the selector states, unless it states several conditions on them.
fn requested(selector: &Selector) -> Labels {
    let matchers = &selector.matchers;
    let only = |name: &str| matchers.iter().filter(|m| m.name() == name).count() == 1;
    let stated = matchers.iter().filter(|m| m.name() != METRIC_NAME && only(m.name()));
    Labels::from_pairs(stated.filter_map(|m| m.exact_value().map(|value| (m.name(), value))))
}
