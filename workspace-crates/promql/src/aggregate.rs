//! Aggregations over series.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use samples::{Labels, METRIC_NAME};

use crate::accumulate::Accumulator;
use crate::ast::{Aggregate, Aggregation, By};
use crate::column::{ABSENT, Column, is_metric_label, is_present};
use crate::context::{Context, Grid};
use crate::error::Failure;
use crate::eval::{Evaluated, Vector, mistyped};
use crate::plan::Plan;
use crate::rank;
use crate::stream::{self, Sink};

/// Series that are aggregated together.
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) columns: Vec<Column>,
}

impl Group {
    /// Whether some series have a name that is to be dropped and others one that is not.
    fn drops_at_some_steps(&self) -> bool {
        let dropping = self.columns.iter().filter(|column| column.drops_name).count();
        dropping > 0 && dropping < self.columns.len()
    }

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
    let is_folded = Accumulator::new(aggregate.operator, 0).is_some();
    if let Some(plan) = Plan::of(ctx, &aggregate.expr, grid)?.filter(|_| is_folded) {
        let columns = folded(ctx, aggregate.operator, &aggregate.by, &plan)?;
        return Ok(columns.into());
    }
    let columns = ctx.vector(&aggregate.expr, grid)?;
    if aggregate.operator == Aggregation::CountValues {
        let Some(Evaluated::Text(label)) = parameter else { return Err(mistyped("a text")) };
        return rank::count_values(ctx, &aggregate.by, &columns, &label, grid);
    }
    let groups = group(&aggregate.by, columns);
    ctx.charge(groups.len().saturating_mul(grid.count))?;
    if !is_folded {
        let parameter = parameter.ok_or_else(|| mistyped("given"))?.into_scalar()?;
        return rank::evaluate(ctx, aggregate.operator, groups, parameter, grid);
    }
    let mut columns = Vec::with_capacity(groups.len());
    for mut group in groups {
        ctx.check_time()?;
        let Some(mut all) = Accumulator::new(aggregate.operator, grid.count) else { continue };
        if group.drops_at_some_steps() {
            group.columns.iter().for_each(|column| all.add(&mut column.values.clone()));
        } else {
            group.columns.iter_mut().for_each(|column| all.add(&mut column.values));
        }
        columns.extend(group.results(group.labels.clone(), all.finish()));
    }
    Ok(columns.into())
}

/// Folds series as they come.
pub(crate) fn folded(
    ctx: &Context<'_>,
    operator: Aggregation,
    by: &By,
    plan: &Plan<'_>,
) -> Result<Vec<Column>, Failure> {
    let sink = || Groups { operator, by, groups: BTreeMap::new() };
    let groups = stream::run(ctx, plan, sink)?.groups;
    let column = |(labels, all): (Labels, Accumulator)| {
        let drops_name = plan.drops_name && !labels.get(METRIC_NAME).is_empty();
        Column { labels, drops_name, values: all.finish() }
    };
    Ok(groups.into_iter().map(column).collect())
}

/// The groups of the series that have come so far.
struct Groups<'a> {
    operator: Aggregation,
    by: &'a By,
    groups: BTreeMap<Labels, Accumulator>,
}

impl Sink for Groups<'_> {
    fn take(
        &mut self,
        ctx: &Context<'_>,
        labels: Labels,
        values: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        match self.groups.entry(self.by.key(&labels)) {
            Entry::Occupied(mut group) => group.get_mut().add(values),
            Entry::Vacant(place) => {
                ctx.charge(values.len())?;
                if let Some(mut all) = Accumulator::new(self.operator, values.len()) {
                    all.add(values);
                    place.insert(all);
                }
            }
        }
        Ok(())
    }

    fn absorb(&mut self, later: Self) {
        for (labels, more) in later.groups {
            match self.groups.entry(labels) {
                Entry::Occupied(mut group) => group.get_mut().absorb(more),
                Entry::Vacant(place) => {
                    place.insert(more);
                }
            }
        }
    }
}

impl By {
    /// As [`By::key`]; a grouping by some labels is also by `label`.
    pub(crate) fn key_with(&self, labels: &Labels, label: &str) -> Labels {
        match self {
            Self::These(names) => {
                labels.filtered(|name| name == label || names.iter().any(|n| n == name))
            }
            Self::AllBut(_) => self.key(labels),
        }
    }

    /// The labels of the group that a series belongs to.
    fn key(&self, labels: &Labels) -> Labels {
        match self {
            Self::These(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
            Self::AllBut(names) => {
                labels.filtered(|name| !is_metric_label(name) && !names.iter().any(|n| n == name))
            }
        }
    }
}

fn group(by: &By, columns: Vec<Column>) -> Vec<Group> {
    let mut groups: BTreeMap<Labels, Group> = BTreeMap::new();
    for column in columns {
        let labels = by.key(&column.labels);
        let group =
            groups.entry(labels.clone()).or_insert_with(|| Group { labels, columns: Vec::new() });
        group.columns.push(column);
    }
    groups.into_values().collect()
}
