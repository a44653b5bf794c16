//! Aggregations that look at each value: `topk`, `bottomk`, `limitk`, `limit_ratio`, `quantile`,
//! `count_values`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use samples::{Labels, METRIC_NAME};

use crate::aggregate::Group;
use crate::annotation::Annotation;
use crate::ast::{Aggregation, By};
use crate::column::{ABSENT, Column, is_metric_label, is_present};
use crate::context::{Context, Grid};
use crate::error::Failure;
use crate::eval::Vector;
use crate::hash;
use crate::number;
use crate::window_functions::check_fractions;

pub(crate) fn evaluate(
    ctx: &Context<'_>,
    operator: Aggregation,
    groups: Vec<Group>,
    parameter: Vec<f64>,
    grid: Grid,
) -> Result<Vector, Failure> {
    if operator == Aggregation::Quantile {
        check_fractions(ctx, &parameter);
        let columns = groups.into_iter().flat_map(|group| {
            let values = quantiles(&group.columns, &parameter);
            group.results(group.labels.clone(), values)
        });
        return Ok(columns.collect::<Vec<_>>().into());
    }
    if operator == Aggregation::LimitRatio {
        let ratios = parameter.iter().map(|r| to_ratio(ctx, *r)).collect::<Result<Vec<_>, _>>()?;
        let columns = groups.into_iter().flat_map(|group| group.columns);
        let columns: Vec<Column> = columns.map(|column| sample(column, &ratios)).collect();
        return Ok(columns.into());
    }
    let limits = parameter.iter().map(|k| to_count(*k)).collect::<Result<Vec<_>, _>>()?;
    let mut columns = Vec::new();
    for mut group in groups {
        ctx.check_time()?;
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

fn to_ratio(ctx: &Context<'_>, ratio: f64) -> Result<f64, Failure> {
    if ratio.is_nan() {
        return Err(Failure::Parameter("the ratio must not be NaN".to_owned()));
    }
    let capped = ratio.clamp(-1.0, 1.0);
    if capped != ratio {
        let (value, capped) = (number::text(ratio), number::text(capped));
        ctx.annotate(Annotation::RatioOutOfRange { value, capped });
    }
    Ok(capped)
}

/// Keeps the series at the steps whose ratio reaches to its place; a negative ratio takes the
/// others, so that both together are all.
fn sample(mut column: Column, ratios: &[f64]) -> Column {
    let place = match column.drops_name {
        true => hash::place(&column.labels.filtered(|name| !is_metric_label(name))),
        false => hash::place(&column.labels),
    };
    for (value, ratio) in column.values.iter_mut().zip(ratios) {
        let is_taken = if *ratio >= 0.0 { place < *ratio } else { place >= 1.0 + ratio };
        if !is_taken {
            *value = ABSENT;
        }
    }
    column
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

/// The value becomes a label before series are grouped, so it may take the place of a label that
/// would tell them apart.
pub(crate) fn count_values(
    ctx: &Context<'_>,
    by: &By,
    columns: &[Column],
    label: &str,
    grid: Grid,
) -> Result<Vector, Failure> {
    if label.is_empty() || label.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Failure::LabelName(label.to_owned()));
    }
    let mut counts: BTreeMap<(Labels, bool), Vec<f64>> = BTreeMap::new();
    for column in columns {
        ctx.check_time()?;
        // A name that is set on purpose is not dropped at the end.
        let drops_name = column.drops_name && label != METRIC_NAME;
        let mut keys: BTreeMap<u64, Labels> = BTreeMap::new();
        for (step, value) in column.values.iter().enumerate().filter(|(_, v)| is_present(**v)) {
            let key = keys.entry(value.to_bits()).or_insert_with(|| {
                let labels = column.labels.with(label, &number::text(*value));
                by.key_with(&labels, label)
            });
            let key = (key.clone(), drops_name);
            if !counts.contains_key(&key) {
                ctx.charge(grid.count)?;
            }
            let count = &mut counts.entry(key).or_insert_with(|| vec![ABSENT; grid.count])[step];
            *count = if is_present(*count) { *count + 1.0 } else { 1.0 };
        }
    }
    let results = counts.into_iter().map(|((labels, drops_name), values)| {
        let drops_name = drops_name && !labels.get(METRIC_NAME).is_empty();
        Column { labels, drops_name, values }
    });
    Ok(crate::column::merge(results.collect())?.into())
}
