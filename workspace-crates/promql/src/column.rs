//! Series over the steps of an evaluation.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use samples::{Labels, METRIC_NAME, STALE_NAN, is_stale};

use crate::error::Failure;

/// The value of a series at a step where it is absent. No computation yields it: it is a signalling
/// NaN, which arithmetic makes quiet, and samples with it are dropped when they are read.
pub(crate) const ABSENT: f64 = STALE_NAN;

pub(crate) fn is_present(value: f64) -> bool {
    !is_stale(value)
}

/// One series with a value, or [`ABSENT`], for each step.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) labels: Labels,
    /// Whether the name is to be dropped when the query is done.
    pub(crate) drops_name: bool,
    pub(crate) values: Vec<f64>,
}

impl Column {
    pub(crate) fn has_values(&self) -> bool {
        self.values.iter().any(|v| is_present(*v))
    }
}

/// The labels that state what kind of metric a series is; they are dropped together.
pub(crate) fn is_metric_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// Joins columns with the same labels. Where two of them have a value at the same step, the result
/// would be ambiguous, which is an error.
pub(crate) fn merge(columns: Vec<Column>) -> Result<Vec<Column>, Failure> {
    let mut merged: Vec<Column> = Vec::with_capacity(columns.len());
    let mut places: BTreeMap<(Labels, bool), usize> = BTreeMap::new();
    for column in columns {
        match places.entry((column.labels.clone(), column.drops_name)) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(column);
            }
            Entry::Occupied(place) => {
                let into = &mut merged[*place.get()];
                for (kept, value) in into.values.iter_mut().zip(&column.values) {
                    if !is_present(*kept) {
                        *kept = *value;
                    } else if is_present(*value) {
                        let labels = column.labels.to_string();
                        return Err(Failure::DuplicateSeries { labels });
                    }
                }
            }
        }
    }
    Ok(merged)
}

/// Drops the names that are to be dropped, and with them what has become the same series.
pub(crate) fn finish(columns: Vec<Column>) -> Result<Vec<Column>, Failure> {
    let named = columns.into_iter().filter(Column::has_values).map(|mut column| {
        if column.drops_name {
            column.labels = column.labels.filtered(|name| !is_metric_label(name));
            column.drops_name = false;
        }
        column
    });
    merge(named.collect())
}
