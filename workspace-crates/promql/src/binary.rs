//! Binary operators.

use std::collections::BTreeMap;

use samples::{Labels, METRIC_NAME};

use crate::ast::{Binary, Grouping, Matching, Operator};
use crate::column::{self, ABSENT, Column, is_metric_label, is_present};
use crate::context::{Context, Grid};
use crate::error::Failure;
use crate::eval::{Evaluated, mistyped};

pub(crate) fn evaluate(
    ctx: &Context<'_>,
    binary: &Binary,
    grid: Grid,
) -> Result<Evaluated, Failure> {
    let left = ctx.evaluate(&binary.left, grid)?;
    let right = ctx.evaluate(&binary.right, grid)?;
    Ok(match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let pairs = left.into_iter().zip(right);
            Evaluated::Scalar(pairs.map(|(a, b)| calculate(binary.operator, a, b)).collect())
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => {
            ctx.charge(left.columns.len().saturating_mul(grid.count))?;
            let (left, right) = (left.columns, right.columns);
            let columns = if binary.operator.is_set() {
                set(binary, left, right, grid)?
            } else {
                vectors(ctx, binary, &left, &right)?
            };
            Evaluated::Vector(columns.into())
        }
        // A scalar with a vector changes it value by value, which is another node's task.
        _ => return Err(mistyped("a number")),
    })
}

/// The result of arithmetic; of comparisons 0 or 1.
pub(crate) fn calculate(operator: Operator, a: f64, b: f64) -> f64 {
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
        Operator::Power => a.powf(b),
        Operator::Atan2 => a.atan2(b),
        comparison => f64::from(u8::from(holds(comparison, a, b))),
    }
}

fn holds(operator: Operator, a: f64, b: f64) -> bool {
    match operator {
        Operator::Equal => a == b,
        Operator::NotEqual => a != b,
        Operator::Less => a < b,
        Operator::LessOrEqual => a <= b,
        Operator::Greater => a > b,
        Operator::GreaterOrEqual => a >= b,
        _ => false,
    }
}

impl Binary {
    /// What two values give; `kept` is what passes a filter.
    fn combine(&self, left: f64, right: f64, kept: f64) -> f64 {
        if !self.filters() {
            calculate(self.operator, left, right)
        } else if holds(self.operator, left, right) {
            kept
        } else {
            ABSENT
        }
    }
}

/// `and`, `unless` and `or`.
fn set(
    binary: &Binary,
    mut left: Vec<Column>,
    mut right: Vec<Column>,
    grid: Grid,
) -> Result<Vec<Column>, Failure> {
    let matching = &binary.matching;
    match binary.operator {
        Operator::And => retain(&mut left, matching, &presence(&right, matching, grid), true),
        Operator::Unless => retain(&mut left, matching, &presence(&right, matching, grid), false),
        _ => {
            retain(&mut right, matching, &presence(&left, matching, grid), false);
            left.append(&mut right);
            left = column::merge(left)?;
        }
    }
    left.retain(Column::has_values);
    Ok(left)
}

/// For each key, at which steps a series with it is present.
fn presence(columns: &[Column], matching: &Matching, grid: Grid) -> BTreeMap<Labels, Vec<bool>> {
    let mut present: BTreeMap<Labels, Vec<bool>> = BTreeMap::new();
    for column in columns {
        let steps =
            present.entry(matching.key(&column.labels)).or_insert_with(|| vec![false; grid.count]);
        steps.iter_mut().zip(&column.values).for_each(|(any, value)| *any |= is_present(*value));
    }
    present
}

/// Keeps values where a series of the other side is present, or where none is.
fn retain(
    columns: &mut [Column],
    matching: &Matching,
    others: &BTreeMap<Labels, Vec<bool>>,
    where_present: bool,
) {
    for column in columns {
        let other = others.get(&matching.key(&column.labels));
        for (step, value) in column.values.iter_mut().enumerate() {
            if other.is_some_and(|steps| steps[step]) != where_present {
                *value = ABSENT;
            }
        }
    }
}

/// Arithmetic and comparisons of two vectors.
fn vectors(
    ctx: &Context<'_>,
    binary: &Binary,
    left: &[Column],
    right: &[Column],
) -> Result<Vec<Column>, Failure> {
    let many_is_right = matches!(binary.grouping, Grouping::ManyRight(_));
    let (many, one) = if many_is_right { (right, left) } else { (left, right) };
    let ones = binary.matching.group(one);
    // Where one side has nothing at all there is nothing to match, and nothing ambiguous.
    let is_matched = any_present(many);
    for (key, places) in &ones {
        let reason = "several series on the side that must have one";
        check_single(key, places, one, &is_matched, reason)?;
    }
    let manys = binary.matching.group(many);
    let mut results = Vec::new();
    for (key, places) in &manys {
        let Some(partners) = ones.get(key) else { continue };
        let pairs = places.iter().flat_map(|m| partners.iter().map(move |o| (*m, *o)));
        let from = results.len();
        for (m, o) in pairs {
            ctx.charge(many[m].values.len())?;
            results.push(pair(binary, &many[m], &one[o], many_is_right));
        }
        if binary.grouping == Grouping::OneToOne && places.len() > 1 {
            let matched: Vec<usize> = (from..results.len()).collect();
            check_single(
                key,
                &matched,
                &results,
                &is_matched,
                "several series on both sides; use group_left or group_right",
            )?;
        }
    }
    for column in &mut results {
        column
            .values
            .iter_mut()
            .filter(|v| v.to_bits() == FILTERED.to_bits())
            .for_each(|v| *v = ABSENT);
    }
    results.retain(Column::has_values);
    column::merge(results).map_err(|failure| match failure {
        Failure::DuplicateSeries { labels } => Failure::Matching {
            reason: "several matches: the grouping must tell them apart",
            labels,
        },
        other => other,
    })
}

/// A value that matched and was then filtered out: it still counts as a match.
const FILTERED: f64 = f64::from_bits(0x7ff0_0000_0000_0003);

fn pair(binary: &Binary, many: &Column, one: &Column, many_is_right: bool) -> Column {
    let values = many.values.iter().zip(&one.values).map(|(m, o)| {
        if !is_present(*m) || !is_present(*o) {
            return ABSENT;
        }
        let (left, right) = if many_is_right { (*o, *m) } else { (*m, *o) };
        let combined = binary.combine(left, right, left);
        if is_present(combined) { combined } else { FILTERED }
    });
    Column {
        values: values.collect(),
        labels: result_labels(binary, &many.labels, &one.labels),
        drops_name: many.drops_name || binary.returns_bool,
    }
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let mut labels = many.clone();
    if !binary.operator.is_comparison() {
        labels = labels.filtered(|name| !is_metric_label(name));
    }
    let taken = match &binary.grouping {
        Grouping::OneToOne => {
            return match &binary.matching {
                Matching::On(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
                Matching::Ignoring(names) => {
                    labels.filtered(|name| !names.iter().any(|n| n == name))
                }
            };
        }
        Grouping::ManyLeft(taken) | Grouping::ManyRight(taken) => taken,
    };
    for name in taken {
        labels = labels.with(name, one.get(name));
    }
    labels
}

/// At which steps any of the columns is present.
fn any_present(columns: &[Column]) -> Vec<bool> {
    let mut any = vec![false; columns.first().map_or(0, |column| column.values.len())];
    for column in columns {
        any.iter_mut().zip(&column.values).for_each(|(any, value)| *any |= is_present(*value));
    }
    any
}

/// At none of the steps that are `looked_at` may two of the columns at `places` be present.
fn check_single(
    key: &Labels,
    places: &[usize],
    columns: &[Column],
    looked_at: &[bool],
    reason: &'static str,
) -> Result<(), Failure> {
    let [first, others @ ..] = places else { return Ok(()) };
    if others.is_empty() {
        return Ok(());
    }
    let mut taken: Vec<bool> = columns[*first].values.iter().map(|v| is_present(*v)).collect();
    for place in others {
        let steps = taken.iter_mut().zip(&columns[*place].values).zip(looked_at);
        for ((taken, value), _) in steps.filter(|(_, looked_at)| **looked_at) {
            if *taken && is_present(*value) {
                let labels = key.filtered(|name| name != METRIC_NAME).to_string();
                return Err(Failure::Matching { reason, labels });
            }
            *taken |= is_present(*value);
        }
    }
    Ok(())
}
