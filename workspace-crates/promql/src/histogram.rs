//! Classic histograms: cumulative buckets in series with the label `le`.

use std::collections::BTreeMap;

use samples::Labels;

use crate::annotation::Annotation;
use crate::column::{ABSENT, Column, is_present};
use crate::context::Context;
use crate::error::Failure;
use crate::window_functions::check_fractions;

const BUCKET_LABEL: &str = "le";

/// Counts that differ by less than this share are the same: sums of rates round.
const TOLERANCE: f64 = 1e-12;

/// The buckets of one histogram: upper bounds with the columns of cumulative counts.
type Buckets = Vec<(f64, Vec<f64>)>;

/// Upper bounds and cumulative counts at one step, by bound; the last bound is infinite.
type Distribution = [(f64, f64)];

pub(crate) fn quantile(
    ctx: &Context<'_>,
    columns: Vec<Column>,
    fractions: &[f64],
) -> Result<Vec<Column>, Failure> {
    check_fractions(ctx, fractions);
    each_histogram(ctx, columns, true, |step, distribution| {
        quantile_of(distribution, fractions[step])
    })
}

pub(crate) fn fraction(
    ctx: &Context<'_>,
    columns: Vec<Column>,
    lower: &[f64],
    upper: &[f64],
) -> Result<Vec<Column>, Failure> {
    each_histogram(ctx, columns, false, |step, distribution| {
        fraction_of(distribution, lower[step], upper[step])
    })
}

fn each_histogram(
    ctx: &Context<'_>,
    columns: Vec<Column>,
    remarks_on_order: bool,
    compute: impl Fn(usize, Option<&Distribution>) -> f64,
) -> Result<Vec<Column>, Failure> {
    let mut results = Vec::new();
    let mut present = Vec::new();
    for (labels, buckets) in group(ctx, columns) {
        ctx.check_time()?;
        let steps = buckets.first().map_or(0, |(_, values)| values.len());
        let mut was_forced = false;
        let mut values = Vec::with_capacity(steps);
        for step in 0..steps {
            let at_step = buckets.iter().map(|(bound, values)| (*bound, values[step]));
            present.clear();
            present.extend(at_step.filter(|(_, count)| is_present(*count)));
            let is_empty = present.is_empty();
            let (distribution, forced) = cumulative(&mut present);
            values.push(if is_empty { ABSENT } else { compute(step, distribution) });
            was_forced |= forced;
        }
        if was_forced && remarks_on_order {
            let metric = labels.metric_name().to_owned();
            ctx.annotate(Annotation::ForcedMonotonic { metric });
        }
        results.push(Column { labels, drops_name: true, values });
    }
    results.retain(Column::has_values);
    Ok(results)
}

/// Series without a readable bound belong to no histogram.
fn group(ctx: &Context<'_>, columns: Vec<Column>) -> BTreeMap<Labels, Buckets> {
    let mut histograms: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for column in columns.into_iter().filter(Column::has_values) {
        let label = column.labels.get(BUCKET_LABEL);
        let Ok(bound) = label.parse::<f64>() else {
            let (metric, label) = (column.labels.metric_name().to_owned(), label.to_owned());
            ctx.annotate(Annotation::BadBucketLabel { metric, label });
            continue;
        };
        let labels = column.labels.filtered(|name| name != BUCKET_LABEL);
        histograms.entry(labels).or_default().push((bound, column.values));
    }
    for buckets in histograms.values_mut() {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    histograms
}

/// Joins equal bounds and evens out counts that fall, which scrapes in the middle of an update
/// leave, and says whether any fell; `None` when the infinite bucket is missing.
fn cumulative(sorted: &mut Vec<(f64, f64)>) -> (Option<&Distribution>, bool) {
    if sorted.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return (None, false);
    }
    sorted.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
    let mut fell = false;
    let mut highest = f64::NEG_INFINITY;
    for (_, count) in sorted.iter_mut() {
        let is_less = *count < highest;
        fell |= is_less && !is_close(*count, highest);
        if is_less || is_close(*count, highest) {
            *count = highest;
        }
        highest = highest.max(*count);
    }
    (Some(sorted.as_slice()), fell)
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() < TOLERANCE * (a.abs() + b.abs())
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
