//! Expressions that work on each series by itself, prepared for all series.

use std::sync::Arc;

use samples::{Labels, Series};

use crate::annotation::Annotation;
use crate::ast::{Node, Selector};
use crate::change::Change;
use crate::column::{ABSENT, is_present};
use crate::context::{Context, Grid, Shifted};
use crate::error::Failure;
use crate::function::Function;
use crate::select::{LOOKBACK_MS, inner_grid};
use crate::window::{Cursor, Layout};
use crate::window_functions::{WindowFunction, Windowed};

/// A selector, and what is computed from each of its series: one value for each step.
pub(crate) struct Plan<'a> {
    pub(crate) selector: &'a Selector,
    /// Samples that are needed come after this, and not after the next.
    pub(crate) after_ms: i64,
    pub(crate) until_ms: i64,
    /// Whether the name of the series is to be dropped when the query is done.
    pub(crate) drops_name: bool,
    pub(crate) stage: Stage,
}

/// Clones share nothing that changes: each thread has its own.
#[derive(Clone)]
pub(crate) enum Stage {
    /// The latest sample at each step.
    Latest { at: Shifted, takes_time: bool, layout: Option<Layout<Places>> },
    /// A window function over samples.
    Windows(Windowed),
    /// A window function over what another stage gives at these times.
    Subquery { inner: Box<Stage>, times_ms: Arc<Vec<i64>>, windowed: Windowed, buffer: Vec<f64> },
    /// Changes what another stage gives.
    Changed(Box<Stage>, Change),
}

/// Which sample stands for the series at each distinct time.
#[derive(Clone, Default)]
pub(crate) struct Places {
    /// [`NOWHERE`] for none.
    indices: Vec<u32>,
    /// The first index, when each step takes the sample after that of the step before it.
    run: Option<usize>,
}

const NOWHERE: u32 = u32::MAX;

/// The selector that a node reads and works on series by series; `None` when it does not.
fn selector(node: &Node) -> Option<&Selector> {
    match node {
        Node::Selector(selector) => Some(selector),
        Node::Call(Function::Timestamp, arguments) => selector(arguments.first()?),
        Node::Call(Function::Window(function), arguments) => {
            match arguments.get(function.window_argument())? {
                Node::Range(selector, _) => Some(selector),
                Node::Subquery(subquery) => selector(&subquery.expr),
                _ => None,
            }
        }
        node => selector(Change::argument(node)?),
    }
}

impl<'a> Plan<'a> {
    /// `None` when the node does not work series by series.
    pub(crate) fn of(
        ctx: &Context<'_>,
        node: &'a Node,
        grid: Grid,
    ) -> Result<Option<Self>, Failure> {
        match selector(node) {
            None => Ok(None),
            Some(selector) => Self::build(ctx, node, selector, grid),
        }
    }

    fn build(
        ctx: &Context<'_>,
        node: &'a Node,
        selector: &'a Selector,
        grid: Grid,
    ) -> Result<Option<Self>, Failure> {
        match node {
            Node::Selector(_) => Ok(Some(Self::latest(ctx, selector, grid, false))),
            Node::Call(Function::Timestamp, arguments)
                if matches!(arguments.first(), Some(Node::Selector(_))) =>
            {
                Ok(Some(Self::latest(ctx, selector, grid, true)))
            }
            Node::Call(Function::Window(function), arguments) => {
                Self::windowed(ctx, *function, arguments, selector, grid)
            }
            node => {
                let Some(inner) = Change::argument(node) else { return Ok(None) };
                let Some(inner) = Self::build(ctx, inner, selector, grid)? else {
                    return Ok(None);
                };
                let Some(change) = Change::of(ctx, node, grid)? else { return Ok(None) };
                let drops_name = inner.drops_name || change.drops_name();
                let stage = Stage::Changed(Box::new(inner.stage), change);
                Ok(Some(Self { drops_name, stage, ..inner }))
            }
        }
    }

    fn latest(ctx: &Context<'_>, selector: &'a Selector, grid: Grid, takes_time: bool) -> Self {
        let at = ctx.shifted(selector.shift, grid);
        Self {
            selector,
            after_ms: at.first_ms - LOOKBACK_MS,
            until_ms: at.last_ms(),
            drops_name: takes_time,
            stage: Stage::Latest { at, takes_time, layout: None },
        }
    }

    fn windowed(
        ctx: &Context<'_>,
        function: WindowFunction,
        arguments: &'a [Node],
        selector: &'a Selector,
        grid: Grid,
    ) -> Result<Option<Self>, Failure> {
        match arguments.get(function.window_argument()) {
            Some(Node::Range(_, range_ms)) => {
                let ends = ctx.shifted(selector.shift, grid);
                let windowed = Windowed::of(ctx, function, arguments, (ends, *range_ms), grid)?;
                Ok(Some(Self {
                    selector,
                    after_ms: ends.first_ms - range_ms,
                    until_ms: ends.last_ms(),
                    drops_name: !function.keeps_name(),
                    stage: Stage::Windows(windowed),
                }))
            }
            Some(Node::Subquery(subquery)) => {
                let ends = ctx.shifted(subquery.shift, grid);
                let ends_and_range = (ends, subquery.range_ms);
                let windowed = Windowed::of(ctx, function, arguments, ends_and_range, grid)?;
                let Some(inner_grid) = inner_grid(ctx, subquery, ends)? else { return Ok(None) };
                let Some(inner) = Self::build(ctx, &subquery.expr, selector, inner_grid)? else {
                    return Ok(None);
                };
                let stage = Stage::Subquery {
                    inner: Box::new(inner.stage),
                    times_ms: Arc::new(inner_grid.times().collect()),
                    windowed,
                    buffer: Vec::new(),
                };
                let drops_name = inner.drops_name || !function.keeps_name();
                Ok(Some(Self { drops_name, stage, ..inner }))
            }
            _ => Ok(None),
        }
    }
}

impl Stage {
    /// Puts one value for each step into `out`.
    pub(crate) fn run(
        &mut self,
        ctx: &Context<'_>,
        series: Series,
        out: &mut Vec<f64>,
    ) -> Result<Labels, Failure> {
        let (labels, times_ms, values) = series.into_parts();
        self.fill(ctx, &labels, &times_ms, values, out)?;
        Ok(labels)
    }

    fn fill(
        &mut self,
        ctx: &Context<'_>,
        labels: &Labels,
        times_ms: &Arc<Vec<i64>>,
        values: Vec<f64>,
        out: &mut Vec<f64>,
    ) -> Result<(), Failure> {
        match self {
            Self::Latest { at, takes_time, layout } => {
                let at = *at;
                let places = Layout::of(layout, times_ms, |times_ms, places| {
                    places.find(times_ms, at);
                });
                if *takes_time {
                    places.times(times_ms, &values, out);
                } else {
                    places.take(values, out);
                }
                at.spread(out);
            }
            Self::Windows(windowed) => {
                windowed.compute(ctx, times_ms, &values, out)?;
                check_counter(ctx, windowed.function(), labels, out);
            }
            Self::Subquery { inner, times_ms: inner_times_ms, windowed, buffer } => {
                inner.fill(ctx, labels, times_ms, values, buffer)?;
                // What is absent is left out, as staleness markers are.
                windowed.compute(ctx, inner_times_ms, buffer, out)?;
                check_counter(ctx, windowed.function(), labels, out);
            }
            Self::Changed(inner, change) => {
                inner.fill(ctx, labels, times_ms, values, out)?;
                change.apply(out);
            }
        }
        Ok(())
    }
}

impl Places {
    fn find(&mut self, times_ms: &[i64], at: Shifted) {
        let mut cursor = Cursor::default();
        let place = |step| {
            let time = at.time(step);
            match cursor.seek(times_ms, time).checked_sub(1) {
                Some(last) if times_ms[last] > time - LOOKBACK_MS => last as u32,
                _ => NOWHERE,
            }
        };
        self.indices.clear();
        self.indices.extend((0..at.distinct()).map(place));
        let follows = |pair: &[u32]| pair[0] != NOWHERE && pair[1] == pair[0] + 1;
        let first = self.indices.first().filter(|first| **first != NOWHERE).copied();
        let run = first.filter(|_| self.indices.windows(2).all(follows));
        self.run = run.map(|first| first as usize);
    }

    /// A staleness marker says that the series is absent, which is how absence is written anyway.
    fn take(&self, mut values: Vec<f64>, out: &mut Vec<f64>) {
        match self.run {
            Some(0) => {
                values.truncate(self.indices.len());
                *out = values;
            }
            Some(first) => {
                out.clear();
                out.extend_from_slice(&values[first..first + self.indices.len()]);
            }
            None => {
                out.clear();
                // There is none at `NOWHERE`.
                let value = |at: &u32| values.get(*at as usize).copied().unwrap_or(ABSENT);
                out.extend(self.indices.iter().map(value));
            }
        }
    }

    /// The times of the samples in seconds.
    fn times(&self, times_ms: &[i64], values: &[f64], out: &mut Vec<f64>) {
        let time = |at: &u32| match values.get(*at as usize) {
            Some(value) if is_present(*value) => times_ms[*at as usize] as f64 / 1_000.0,
            _ => ABSENT,
        };
        out.clear();
        out.extend(self.indices.iter().map(time));
    }
}

/// The rate of what does not look like a counter is worth a remark.
pub(crate) fn check_counter(
    ctx: &Context<'_>,
    function: WindowFunction,
    labels: &Labels,
    results: &[f64],
) {
    if !function.is_of_counter() || !results.iter().any(|v| is_present(*v)) {
        return;
    }
    let metric = labels.metric_name();
    let kind = labels.get("__type__");
    if !kind.is_empty() {
        if !matches!(kind, "counter" | "histogram") {
            let (metric, kind) = (metric.to_owned(), kind.to_owned());
            ctx.annotate(Annotation::NoCounterType { metric, kind });
        }
    } else if !metric.is_empty()
        && !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| metric.ends_with(suffix))
    {
        ctx.annotate(Annotation::MaybeNoCounter { metric: metric.to_owned() });
    }
}
