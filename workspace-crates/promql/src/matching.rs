//! Which series of two vectors belong together.

use std::collections::BTreeMap;

use samples::{Labels, METRIC_NAME};

use crate::ast::Matching;
use crate::column::Column;

impl Matching {
    /// The labels by which a series is matched. The metric name counts only if it is named.
    pub(crate) fn key(&self, labels: &Labels) -> Labels {
        match self {
            Self::On(names) => labels.filtered(|name| names.iter().any(|n| n == name)),
            Self::Ignoring(names) => {
                labels.filtered(|name| name != METRIC_NAME && !names.iter().any(|n| n == name))
            }
        }
    }

    /// The places of the columns, by key.
    pub(crate) fn group(&self, columns: &[Column]) -> BTreeMap<Labels, Vec<usize>> {
        let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
        for (at, column) in columns.iter().enumerate() {
            groups.entry(self.key(&column.labels)).or_default().push(at);
        }
        groups
    }
}
