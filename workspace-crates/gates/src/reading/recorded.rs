//! The recorded answers of a server.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Duration, Outcome};
use promql::{Query, ValueKind};

use super::answers::{Answers, any, single};
use super::{Grid, ReadError, Values};
use crate::query::Selector;
use crate::server::{
    Answer, Question, SERVER_RECORD, ServerBody, ServerProblem, ServerProblemKind,
};
use crate::{Context, Judgement, text};

/// What the records of a gate say that a server answered. A question without an answer is noted,
/// so that it can be asked: the answers to the others are taken as silence then, and the judgement
/// that follows counts for nothing.
pub(crate) struct Recorded {
    server: String,
    answers: BTreeMap<Question, Answer>,
    /// Why nothing could be asked, as the newest record says.
    problem: Option<ServerProblem>,
    described: Option<String>,
    notes: Vec<String>,
    digests: Vec<Digest>,
    unanswered: RefCell<BTreeSet<Question>>,
}

impl Recorded {
    pub(crate) fn new(context: &Context<'_>, server: &str) -> Self {
        let mut recorded = Self {
            server: server.to_owned(),
            answers: BTreeMap::new(),
            problem: None,
            described: None,
            notes: Vec::new(),
            digests: Vec::new(),
            unanswered: RefCell::default(),
        };
        let in_time = context.records.iter().filter(|stored| {
            stored.record.kind == SERVER_RECORD && stored.record.observed_at <= context.at
        });
        for stored in in_time {
            match evidence::read_body::<ServerBody>(&stored.record, SERVER_RECORD) {
                Ok(body) if body.server == server => {
                    recorded.digests.extend(stored.record.external.iter().map(|file| file.digest));
                    recorded.take(body, stored.digest);
                }
                Ok(_) => {}
                Err(error) => {
                    recorded.digests.push(stored.digest);
                    let text = format!("Its evidence cannot be read: {error}.");
                    let kind = ServerProblemKind::Malformed;
                    recorded.problem = Some(ServerProblem { kind, text });
                }
            }
        }
        recorded
    }

    fn take(&mut self, body: ServerBody, digest: Digest) {
        self.digests.push(digest);
        self.described = Some(body.describe());
        let remarks = body.answers.iter().flat_map(|answer| &answer.warnings);
        let remarks = remarks.map(|remark| {
            let end = if remark.ends_with('.') { "" } else { "." };
            format!("The server remarks: {remark}{end}")
        });
        for note in body.notes.iter().cloned().chain(remarks) {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.problem = body.problem;
        self.answers.extend(body.answers.into_iter().map(|one| (one.question.clone(), one)));
    }

    /// The points that the server gave to a question.
    fn ask(&self, query: String, grid: Grid, stated: bool) -> Result<Vec<(usize, f64)>, ReadError> {
        let (from, until, step) = (grid.from(), grid.last(), grid.step());
        let question = Question { query, from, until, step, stated };
        let refuse = |problem: &ServerProblem| ReadError::Server {
            server: self.server.clone(),
            kind: problem.kind,
            text: problem.text.trim_end_matches('.').to_owned(),
        };
        if let Some(problem) = &self.problem {
            return Err(refuse(problem));
        }
        let Some(answer) = self.answers.get(&question) else {
            self.unanswered.borrow_mut().insert(question);
            return Ok(Vec::new());
        };
        if let Some(problem) = &answer.problem {
            return Err(refuse(problem));
        }
        let mut points = Vec::new();
        for series in &answer.result {
            points.extend(series.points(&question).map_err(|text| {
                refuse(&ServerProblem { kind: ServerProblemKind::Malformed, text })
            })?);
        }
        Ok(points)
    }

    pub(super) fn attest(&self, judgement: Judgement) -> Judgement {
        let unanswered = self.unanswered.take();
        let mut judgement = judgement;
        if !unanswered.is_empty() {
            // Whatever was concluded from silence is not known.
            judgement.outcome = Outcome::Inconclusive;
            let questions = text::count(unanswered.len(), "question", "questions");
            judgement.reasons = vec![format!(
                "No answer of the server `{}` to {questions} is among the evidence, so nothing is known.",
                self.server
            )];
            judgement.explanation.would_change =
                Some("Judge where the server can be asked.".into());
        }
        judgement.unanswered = unanswered.into_iter().collect();
        let described = self.described.iter();
        let described = described.map(|what| format!("The server `{}` is {what}.", self.server));
        judgement.explanation.steps.extend(described.chain(self.notes.iter().cloned()));
        judgement.resting_on(self.digests.iter().copied())
    }
}

/// A number that is written out needs no server.
fn constant(query: &Query) -> Option<f64> {
    if query.kind() == ValueKind::Scalar { query.text().parse().ok() } else { None }
}

/// `query` without what is not finite, counted.
fn counted(query: &str) -> String {
    format!("count((({query}) < Inf) > -Inf)")
}

impl Answers for Recorded {
    fn values(&self, query: &Query, grid: Grid) -> Result<Values, ReadError> {
        if let Some(number) = constant(query) {
            return Ok(vec![number.is_finite().then_some(number); grid.len()]);
        }
        let points = self.ask(query.text().to_owned(), grid, true)?;
        single(query.text(), grid, points.into_iter())
    }

    fn known(&self, query: &Query, grid: Grid) -> Result<Vec<bool>, ReadError> {
        // Only whether there is a number counts, so not every series has to be sent.
        let text = match query.kind() {
            ValueKind::Scalar => query.text().to_owned(),
            _ => counted(query.text()),
        };
        Ok(any(grid, self.ask(text, grid, false)?.into_iter()))
    }

    fn fresh(
        &self,
        selector: &Selector,
        grid: Grid,
        staleness: Duration,
    ) -> Result<Vec<bool>, ReadError> {
        // `last_over_time` keeps metric names, so that series of two metrics cannot collide, and
        // its window ends the look-back of 5 minutes. One millisecond less than `staleness` is
        // never longer than it, whether the server's windows are closed or open on the left.
        let window = promql_length(staleness - Duration::from_millis(1));
        let offset = match selector.offset {
            Duration::ZERO => String::new(),
            offset => format!(" offset {}", promql_length(offset)),
        };
        let text = counted(&format!("last_over_time({}[{window}]{offset})", selector.text));
        Ok(any(grid, self.ask(text, grid, false)?.into_iter()))
    }
}

/// A length of time as PromQL writes it; at least a millisecond.
fn promql_length(length: Duration) -> String {
    let ms = length.millis().max(1);
    match [(3_600_000, "h"), (60_000, "m"), (1_000, "s")].iter().find(|(unit, _)| ms % unit == 0) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests;
