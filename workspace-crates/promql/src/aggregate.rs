//! Aggregations over series.

use std::collections::BTreeMap;

use samples::{Labels, METRIC_NAME};

use crate::ast::{Aggregate, Aggregation, By};
use crate::column::{ABSENT, Column, is_metric_label, is_present};
use crate::error::Failure;
use crate::eval::{Context, Grid, Vector};
use crate::number::{Moments, Sum, running_mean};
use crate::rank;
use crate::window_functions::{greatest, least};

/// Series that are aggregated together.
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) columns: Vec<Column>,
}

impl Group {
    /// The group's results. Where it was grouped by the name, the name is to be dropped at the steps
    /// at which any of its series has a name that is to be dropped.
    pub(crate) fn results(&self, labels: Labels, values: Vec<f64>) -> Vec<Column> {
        let is_named = !self.labels.get(METRIC_NAME).is_empty();
        let (dropping, keeping): (Vec<&Column>, Vec<&Column>) =
            self.columns.iter().partition(|column| column.drops_name && is_named);
        if dropping.is_empty() || keeping.is_empty() {
            return vec![Column { labels, drops_name: keeping.is_empty(), values }];
        }
        let (mut named, mut nameless) = (values.clone(), values);
        for step in 0..named.len() {
            let drops = dropping.iter().any(|column| is_present(column.values[step]));
            let other = if drops { &mut named } else { &mut nameless };
            other[step] = ABSENT;
        }
        let nameless = Column { labels: labels.clone(), drops_name: true, values: nameless };
        vec![Column { labels, drops_name: false, values: named }, nameless]
    }
}

pub(crate) fn evaluate(
    ctx: &Context<'_>,
    aggregate: &Aggregate,
    grid: Grid,
) -> Result<Vector, Failure> {
    let parameter =
        aggregate.parameter.as_ref().map(|node| ctx.evaluate(node, grid)).transpose()?;
    let columns = ctx.vector(&aggregate.expr, grid)?;
    let groups = group(&aggregate.by, columns);
    ctx.charge(groups.len().saturating_mul(grid.count))?;
    match aggregate.operator {
        Aggregation::TopK
        | Aggregation::BottomK
        | Aggregation::LimitK
        | Aggregation::Quantile
        | Aggregation::CountValues => {
            rank::evaluate(ctx, aggregate.operator, groups, parameter, grid)
        }
        operator => {
            let mut columns = Vec::with_capacity(groups.len());
            for group in groups {
                ctx.check_cancelled()?;
                let values = combine(operator, &group.columns, grid.count);
                columns.extend(group.results(group.labels.clone(), values));
            }
            Ok(columns.into())
        }
    }
}

fn group(by: &By, columns: Vec<Column>) -> Vec<Group> {
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    for column in columns {
        let labels = match by {
            By::These(names) => column.labels.filtered(|name| names.iter().any(|n| n == name)),
            By::AllBut(names) => column
                .labels
                .filtered(|name| !is_metric_label(name) && !names.iter().any(|n| n == name)),
        };
        let group =
            groups.entry(labels.clone()).or_insert_with(|| Group { labels, columns: Vec::new() });
        group.columns.push(column);
    }
    groups.into_values().collect()
}

fn combine(operator: Aggregation, columns: &[Column], steps: usize) -> Vec<f64> {
    match operator {
        Aggregation::Sum => fold(columns, steps, Sum::of, Sum::add, |sum, _, _| sum.value()),
        Aggregation::Avg => fold(columns, steps, Sum::of, Sum::add, |sum, count, step| {
            sum.mean(count).unwrap_or_else(|| {
                running_mean(columns.iter().map(|c| c.values[step]).filter(|v| is_present(*v)))
            })
        }),
        Aggregation::Min => fold(columns, steps, |v| v, least, |least, _, _| least),
        Aggregation::Max => fold(columns, steps, |v| v, greatest, |greatest, _, _| greatest),
        Aggregation::Count => fold(columns, steps, |_| (), |(), ()| (), |(), count, _| count),
        Aggregation::Stddev => {
            fold(columns, steps, Moments::of, Moments::add, |m, _, _| m.variance().sqrt())
        }
        Aggregation::Stdvar => {
            fold(columns, steps, Moments::of, Moments::add, |m, _, _| m.variance())
        }
        _ => fold(columns, steps, |_| (), |(), ()| (), |(), _, _| 1.0),
    }
}

/// Folds the columns step by step, column after column, as they lie in memory.
fn fold<T: Copy>(
    columns: &[Column],
    steps: usize,
    leaf: impl Fn(f64) -> T,
    join: impl Fn(T, T) -> T,
    finish: impl Fn(T, f64, usize) -> f64,
) -> Vec<f64> {
    let mut folds: Vec<Option<(T, f64)>> = vec![None; steps];
    for column in columns {
        for (fold, value) in folds.iter_mut().zip(&column.values) {
            if is_present(*value) {
                let one = leaf(*value);
                *fold = Some(match *fold {
                    None => (one, 1.0),
                    Some((all, count)) => (join(all, one), count + 1.0),
                });
            }
        }
    }
    let finished = folds.into_iter().enumerate();
    finished
        .map(|(step, fold)| fold.map_or(ABSENT, |(all, count)| finish(all, count, step)))
        .collect()
}
