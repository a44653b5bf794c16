//! Where values come from: the deployment's own samples, or the recorded answers of a server.

use std::ops::ControlFlow;

use base::{Digest, Outcome};
use promql::{EvalError, Limits, Query};
use samples::{SampleSource, Series};

use super::{Grid, ReadError, Recorded, Values};
use crate::query::Selector;
use crate::{Context, DeploymentFacts, Judgement};

/// How a deployment says that it ran in virtual time.
const SIMULATED: &str = "simulated";

/// Answers about queries at the points of a grid. Judgements read nothing else, so that they are
/// the same whoever answers.
pub(crate) trait Answers {
    /// One value for each point, where the query gives exactly one series and a finite number.
    fn values(&self, query: &Query, grid: Grid) -> Result<Values, ReadError>;

    /// Where the query gives at least one finite number.
    fn known(&self, query: &Query, grid: Grid) -> Result<Vec<bool>, ReadError>;

    /// Where some series of the selector has a finite sample that is younger than `staleness`.
    fn fresh(
        &self,
        selector: &Selector,
        grid: Grid,
        staleness: base::Duration,
    ) -> Result<Vec<bool>, ReadError>;
}

/// Puts the points of all series in their places of the grid.
pub(super) fn single(
    query: &str,
    grid: Grid,
    points: impl Iterator<Item = (usize, f64)>,
) -> Result<Values, ReadError> {
    let mut values = vec![None; grid.len()];
    let mut taken = vec![0_u32; grid.len()];
    for (index, value) in points {
        taken[index] += 1;
        values[index] = value.is_finite().then_some(value);
    }
    match taken.iter().position(|count| *count > 1) {
        None => Ok(values),
        Some(index) => Err(ReadError::Several {
            query: query.to_owned(),
            count: taken[index] as usize,
            at: grid.at(index),
        }),
    }
}

/// Marks the points at which some series has a finite number.
pub(super) fn any(grid: Grid, points: impl Iterator<Item = (usize, f64)>) -> Vec<bool> {
    let mut known = vec![false; grid.len()];
    for (index, value) in points {
        known[index] |= value.is_finite();
    }
    known
}

/// Evaluates queries on samples.
pub(crate) struct Embedded<'a> {
    samples: &'a dyn SampleSource,
    limits: Limits,
}

impl<'a> Embedded<'a> {
    pub(crate) fn new(samples: &'a dyn SampleSource) -> Self {
        Self { samples, limits: Limits { max_steps: 1_000_000, ..Limits::default() } }
    }

    fn evaluate(&self, query: &Query, grid: Grid) -> Result<promql::Matrix, EvalError> {
        promql::range(query, self.samples, grid.from(), grid.last(), grid.step(), &self.limits)
    }
}

/// The points of all series with their place in the grid.
fn placed(matrix: &promql::Matrix, grid: Grid) -> impl Iterator<Item = (usize, f64)> {
    let points = matrix.series.iter().flat_map(|series| &series.points);
    points.filter_map(move |point| Some((grid.index_of(point.t_ms)?, point.value)))
}

impl Answers for Embedded<'_> {
    fn values(&self, query: &Query, grid: Grid) -> Result<Values, ReadError> {
        single(query.text(), grid, placed(&self.evaluate(query, grid)?, grid))
    }

    fn known(&self, query: &Query, grid: Grid) -> Result<Vec<bool>, ReadError> {
        Ok(any(grid, placed(&self.evaluate(query, grid)?, grid)))
    }

    fn fresh(
        &self,
        selector: &Selector,
        grid: Grid,
        staleness: base::Duration,
    ) -> Result<Vec<bool>, ReadError> {
        let (offset_ms, staleness_ms) = (selector.offset.millis(), staleness.millis());
        let start_ms = grid.from_ms - offset_ms - staleness_ms;
        let end_ms = grid.last().unix_millis() - offset_ms;
        let unreadable = |source| ReadError::Source { selector: selector.text.clone(), source };
        let mut fresh = vec![false; grid.len()];
        let mut see = |one: Series| {
            for (time_ms, value) in one.times_ms().iter().zip(one.values()) {
                if value.is_finite() {
                    let seen_ms = time_ms + offset_ms;
                    let first = grid.ceiling(seen_ms);
                    let end = grid.ceiling(seen_ms + staleness_ms).min(grid.len());
                    fresh[first.min(end)..end].fill(true);
                }
            }
            // Most often the first series already has a sample everywhere.
            if fresh.iter().all(|known| *known) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let parts = self.samples.parts(&selector.matchers, start_ms, end_ms);
        for part in parts.map_err(unreadable)? {
            let mut is_done = false;
            part.read(&mut |one| {
                let next = see(one);
                is_done = next.is_break();
                next
            })
            .map_err(unreadable)?;
            if is_done {
                break;
            }
        }
        Ok(fresh)
    }
}

/// What a gate is judged from, with what it takes to say so in the finding.
pub(crate) enum Source<'a> {
    Samples {
        embedded: Embedded<'a>,
        digest: Option<Digest>,
        /// The server that the gate names, where a simulated deployment stands in for it.
        instead_of: Option<String>,
    },
    Server(Recorded),
}

impl<'a> Source<'a> {
    /// The records of `server`, or the deployment's own samples; `None` when none were collected.
    /// No server scrapes a simulated network, so a rehearsal reads its own samples.
    pub(crate) fn of(
        context: &Context<'a>,
        deployment: &DeploymentFacts<'a>,
        server: Option<&str>,
    ) -> Option<Self> {
        if let Some(server) = server.filter(|_| deployment.host != SIMULATED) {
            return Some(Self::Server(Recorded::new(context, server)));
        }
        let embedded = Embedded::new(deployment.samples?);
        let (digest, instead_of) = (deployment.samples_digest, server.map(str::to_owned));
        Some(Self::Samples { embedded, digest, instead_of })
    }

    pub(crate) fn answers(&self) -> &dyn Answers {
        match self {
            Self::Samples { embedded, .. } => embedded,
            Self::Server(recorded) => recorded,
        }
    }

    /// The judgement with its evidence. What a server was not asked decides nothing.
    pub(crate) fn attest(&self, judgement: Judgement) -> Judgement {
        match self {
            Self::Samples { digest, instead_of, .. } => {
                let mut judgement = judgement.resting_on(*digest);
                judgement.explanation.steps.extend(instead_of.iter().map(|server| {
                    format!(
                        "The network was simulated, so its own samples were read and not those of the server `{server}`."
                    )
                }));
                judgement
            }
            Self::Server(recorded) => recorded.attest(judgement),
        }
    }
}

impl ReadError {
    /// What a gate is whose values cannot be read: data that is missing now may be there later.
    pub(crate) fn outcome(&self) -> Outcome {
        use crate::server::ServerProblemKind::{Partial, RateLimited};
        match self {
            Self::Server { kind: Partial | RateLimited, .. } => Outcome::Inconclusive,
            _ => Outcome::Error,
        }
    }
}
