//! Aggregations that look at each value: `topk`, `bottomk`, `limitk`, `quantile`, `count_values`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use samples::METRIC_NAME;

use crate::aggregate::Group;
use crate::ast::Aggregation;
use crate::column::{ABSENT, Column, is_present};
use crate::error::Failure;
use crate::eval::{Context, Evaluated, Grid, Vector, mistyped};
use crate::number;

pub(crate) fn evaluate(
    ctx: &Context<'_>,
    operator: Aggregation,
    groups: Vec<Group>,
    parameter: Option<Evaluated>,
    grid: Grid,
) -> Result<Vector, Failure> {
    let parameter = parameter.ok_or_else(|| mistyped("given"))?;
    if operator == Aggregation::CountValues {
        let Evaluated::Text(label) = parameter else { return Err(mistyped("a text")) };
        return count_values(ctx, groups, &label, grid);
    }
    let parameter = parameter.into_scalar()?;
    if operator == Aggregation::Quantile {
        let columns = groups.into_iter().flat_map(|group| {
            let values = quantiles(&group.columns, &parameter);
            group.results(group.labels.clone(), values)
        });
        return Ok(columns.collect::<Vec<_>>().into());
    }
    let limits = parameter.iter().map(|k| to_count(*k)).collect::<Result<Vec<_>, _>>()?;
    let mut columns = Vec::new();
    for mut group in groups {
        ctx.check_cancelled()?;
        // Which of equal values stays must not depend on how the argument was computed.
        group.columns.sort_by(|a, b| a.labels.cmp(&b.labels));
        columns.extend(keep(operator, group.columns, &limits));
    }
    // The order of an instant result is that of the values.
    let is_ordered = grid.count == 1 && operator != Aggregation::LimitK;
    Ok(Vector { columns, is_ordered })
}

fn to_count(k: f64) -> Result<usize, Failure> {
    if k.is_nan() {
        return Err(Failure::Parameter("the number of series must not be NaN".to_owned()));
    }
    if k.abs() >= 9.2e18 {
        return Err(Failure::Parameter(format!("the number of series is out of range: {k}")));
    }
    Ok(k.max(0.0) as usize)
}

/// Keeps the first values of each step, in the order of the operator.
fn keep(operator: Aggregation, mut columns: Vec<Column>, limits: &[usize]) -> Vec<Column> {
    let mut present: Vec<usize> = Vec::with_capacity(columns.len());
    let mut order: Vec<usize> = (0..columns.len()).collect();
    for (step, limit) in limits.iter().enumerate() {
        present.clear();
        present.extend((0..columns.len()).filter(|at| is_present(columns[*at].values[step])));
        // The sort is stable: of equal values, the first by labels stays.
        present
            .sort_by(|a, b| compare(operator, columns[*a].values[step], columns[*b].values[step]));
        for at in present.iter().skip(*limit) {
            columns[*at].values[step] = ABSENT;
        }
        if limits.len() == 1 {
            order.clone_from(&present);
        }
    }
    let mut kept: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
    let in_order = order.into_iter().filter_map(|at| kept[at].take());
    in_order.filter(Column::has_values).collect()
}

/// NaN comes last for both.
fn compare(operator: Aggregation, a: f64, b: f64) -> Ordering {
    let by_value = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    a.is_nan().cmp(&b.is_nan()).then(match operator {
        Aggregation::TopK => by_value.reverse(),
        Aggregation::BottomK => by_value,
        _ => Ordering::Equal,
    })
}

fn quantiles(columns: &[Column], fractions: &[f64]) -> Vec<f64> {
    let mut present = Vec::with_capacity(columns.len());
    let steps = fractions.iter().enumerate();
    let quantile = |(step, fraction): (usize, &f64)| {
        present.clear();
        present.extend(columns.iter().map(|c| c.values[step]).filter(|v| is_present(*v)));
        if present.is_empty() { ABSENT } else { number::quantile(*fraction, &mut present) }
    };
    steps.map(quantile).collect()
}

fn count_values(
    ctx: &Context<'_>,
    groups: Vec<Group>,
    label: &str,
    grid: Grid,
) -> Result<Vector, Failure> {
    if label.is_empty() || label.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Failure::Parameter(format!("`{label}` is not a label name")));
    }
    let mut results = Vec::new();
    for group in groups {
        let mut counts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for column in &group.columns {
            for (step, value) in column.values.iter().enumerate() {
                if !is_present(*value) {
                    continue;
                }
                let text = number::text(*value);
                if !counts.contains_key(&text) {
                    ctx.charge(grid.count)?;
                    counts.insert(text.clone(), vec![ABSENT; grid.count]);
                }
                if let Some(count) = counts.get_mut(&text).map(|counts| &mut counts[step]) {
                    *count = if is_present(*count) { *count + 1.0 } else { 1.0 };
                }
            }
        }
        for (text, values) in counts {
            let labelled = group.results(group.labels.with(label, &text), values);
            // A name that is set on purpose is not dropped at the end.
            results.extend(labelled.into_iter().map(|column| Column {
                drops_name: column.drops_name && label != METRIC_NAME,
                ..column
            }));
        }
    }
    Ok(crate::column::merge(results)?.into())
}
