//! Classic histograms: cumulative buckets in series with the label `le`.

use std::collections::BTreeMap;

use samples::Labels;

use crate::column::{ABSENT, Column, is_present};
use crate::error::Failure;

const BUCKET_LABEL: &str = "le";

/// The buckets of one histogram: upper bounds with the columns of cumulative counts.
type Buckets = Vec<(f64, Vec<f64>)>;

/// Upper bounds and cumulative counts at one step, by bound; the last bound is infinite.
type Distribution = Vec<(f64, f64)>;

pub(crate) fn quantile(columns: Vec<Column>, fractions: &[f64]) -> Result<Vec<Column>, Failure> {
    Ok(each_histogram(columns, |step, distribution| quantile_of(distribution, fractions[step])))
}

pub(crate) fn fraction(
    columns: Vec<Column>,
    lower: &[f64],
    upper: &[f64],
) -> Result<Vec<Column>, Failure> {
    Ok(each_histogram(columns, |step, distribution| {
        fraction_of(distribution, lower[step], upper[step])
    }))
}

fn each_histogram(
    columns: Vec<Column>,
    compute: impl Fn(usize, Option<&Distribution>) -> f64,
) -> Vec<Column> {
    let mut results = Vec::new();
    for (labels, buckets) in group(columns) {
        let steps = buckets.first().map_or(0, |(_, values)| values.len());
        let values = (0..steps).map(|step| {
            let present: Distribution = buckets
                .iter()
                .map(|(bound, values)| (*bound, values[step]))
                .filter(|(_, count)| is_present(*count))
                .collect();
            if present.is_empty() {
                return ABSENT;
            }
            compute(step, cumulative(present).as_ref())
        });
        let values = values.collect();
        results.push(Column { labels, drops_name: true, values });
    }
    results.retain(Column::has_values);
    results
}

/// Series without a readable bound belong to no histogram.
fn group(columns: Vec<Column>) -> BTreeMap<Labels, Buckets> {
    let mut histograms: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for column in columns {
        let Ok(bound) = column.labels.get(BUCKET_LABEL).parse::<f64>() else { continue };
        let labels = column.labels.filtered(|name| name != BUCKET_LABEL);
        histograms.entry(labels).or_default().push((bound, column.values));
    }
    for buckets in histograms.values_mut() {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    histograms
}

/// Joins equal bounds and evens out counts that fall, which scrapes in the middle of an update
/// leave; `None` when the infinite bucket is missing.
fn cumulative(sorted: Distribution) -> Option<Distribution> {
    if sorted.last()?.0 != f64::INFINITY {
        return None;
    }
    let mut joined: Distribution = Vec::with_capacity(sorted.len());
    for (bound, count) in sorted {
        match joined.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => joined.push((bound, count)),
        }
    }
    let mut highest = f64::NEG_INFINITY;
    for (_, count) in &mut joined {
        highest = highest.max(*count);
        *count = highest;
    }
    Some(joined)
}

fn quantile_of(distribution: Option<&Distribution>, fraction: f64) -> f64 {
    if fraction.is_nan() {
        return f64::NAN;
    }
    if fraction < 0.0 {
        return f64::NEG_INFINITY;
    }
    if fraction > 1.0 {
        return f64::INFINITY;
    }
    let Some(buckets) = distribution.filter(|buckets| buckets.len() >= 2) else {
        return f64::NAN;
    };
    let last = buckets.len() - 1;
    let total = buckets[last].1;
    if total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = fraction * total;
    let at = buckets[..last].iter().position(|(_, count)| *count >= rank).unwrap_or(last);
    if at == last {
        return buckets[last - 1].0;
    }
    let (upper, count) = buckets[at];
    let (lower, below) = if at > 0 { buckets[at - 1] } else { (0.0, 0.0) };
    if at == 0 && upper <= 0.0 {
        return upper;
    }
    lower + (upper - lower) * ((rank - below) / (count - below))
}

fn fraction_of(distribution: Option<&Distribution>, lower: f64, upper: f64) -> f64 {
    let Some(buckets) = distribution else { return f64::NAN };
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(buckets, upper) - rank_of(buckets, lower)) / total
}

/// How many observations lie at or below `value`, if they spread evenly within each bucket.
fn rank_of(buckets: &Distribution, value: f64) -> f64 {
    let mut below = 0.0;
    for (at, (upper, count)) in buckets.iter().enumerate() {
        if value >= *upper {
            below = *count;
            continue;
        }
        // A first bucket of positive values begins at zero.
        let lower = match at {
            0 if *upper > 0.0 => 0.0,
            0 => f64::NEG_INFINITY,
            _ => buckets[at - 1].0,
        };
        if value <= lower {
            return below;
        }
        if lower == f64::NEG_INFINITY {
            return *count;
        }
        // Within the infinite bucket nothing is known.
        if *upper == f64::INFINITY {
            return below;
        }
        return below + (count - below) * ((value - lower) / (upper - lower));
    }
    below
}
