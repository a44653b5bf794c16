//! Answers of Prometheus-compatible servers.

mod connection;
mod pace;
mod product;
mod reply;
mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::Instant;
use definition::{Product, Server};
use evidence::{Record, to_body};
use gates::{
    Answer, AnsweredSeries, Need, Question, SERVER_RECORD, ServerBody, ServerProblem,
    ServerProblemKind, dialect_notes,
};

use crate::{Collector, Request, record};
use connection::{Connection, Send};
pub use pace::Pace;
use pace::RealPace;
use reply::BadReply;

/// How far a selector without a window looks back, as in Phasegate's own evaluator. A server that
/// was configured otherwise is told.
const LOOK_BACK: &str = "5m";

/// Asks the servers of a pipeline over Prometheus' HTTP API.
///
/// Ranges are asked in pieces that no server refuses, requests are repeated while there is time,
/// and what went wrong is recorded with what was answered. Secrets are read when a server is asked
/// and are in no record, error or log.
pub struct Prometheus {
    servers: BTreeMap<String, Server>,
    root: PathBuf,
    runtime: tokio::runtime::Runtime,
    pace: Box<dyn Pace>,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Prometheus {
    /// The `servers` of a pipeline. Relative paths in their definitions begin at `root`.
    ///
    /// # Errors
    /// When the asynchronous runtime cannot be started.
    pub fn new(
        servers: &BTreeMap<String, Server>,
        root: impl Into<PathBuf>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pace = Box::new(RealPace::new());
        Ok(Self { servers: servers.clone(), root: root.into(), runtime, pace })
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_pace(mut self, pace: Box<dyn Pace>) -> Self {
        self.pace = pace;
        self
    }

    fn answer(&self, name: &str, questions: &[Question]) -> ServerBody {
        let mut body = ServerBody {
            server: name.to_owned(),
            url: String::new(),
            product: None,
            version: None,
            answers: Vec::new(),
            notes: Vec::new(),
            problem: None,
        };
        let Some(server) = self.servers.get(name) else {
            let text = format!("The pipeline has no server `{name}`.");
            body.problem = Some(ServerProblem { kind: ServerProblemKind::Setup, text });
            return body;
        };
        body.url.clone_from(&server.url);
        match Connection::new(server, &self.root, &self.runtime, &*self.pace) {
            Err(problem) => body.problem = Some(problem),
            Ok(connection) => {
                converse(&connection, server, questions, &mut body);
                hide(&connection, &mut body);
            }
        }
        body
    }
}

impl Collector for Prometheus {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Server { server, questions } = request.need else { return None };
        if questions.is_empty() {
            return None;
        }
        let body = self.answer(server, questions);
        let source = format!("{}/api/v1/query_range", body.url);
        Some(record(request, SERVER_RECORD, source, "prometheus", to_body(&body).ok()?))
    }
}

/// Learns who answers, and asks every question.
fn converse(
    connection: &Connection<'_>,
    server: &Server,
    questions: &[Question],
    body: &mut ServerBody,
) {
    let build_info = connection.ask_once("/api/v1/status/buildinfo");
    let metrics = connection.ask_once("/metrics");
    let found = product::identify(build_info.as_deref(), metrics.as_deref());
    let known = found.product.or(server.product);
    body.product = known.map(|product| product.word().to_owned());
    body.version.clone_from(&found.version);
    body.notes.extend(mistaken(server.product, found.product));
    for question in questions.iter().filter(|question| question.stated) {
        for note in dialect_notes(known, found.version.as_deref(), &question.query) {
            if !body.notes.contains(&note) {
                body.notes.push(note);
            }
        }
    }
    let mut lost: Option<ServerProblem> = None;
    for question in questions {
        let answer = match &lost {
            Some(problem) => unanswered(question, 0, problem.clone()),
            None => ask(connection, server, question),
        };
        let is_lost = |problem: &&ServerProblem| {
            use ServerProblemKind::{RateLimited, Setup, Unreachable};
            matches!(problem.kind, Setup | Unreachable | RateLimited)
        };
        // A server that is gone is gone for the other questions too.
        lost = answer.problem.as_ref().filter(is_lost).cloned();
        body.answers.push(answer);
    }
}

fn mistaken(stated: Option<Product>, found: Option<Product>) -> Option<String> {
    let (stated, found) = (stated?, found?);
    (stated != found).then(|| {
        format!(
            "The pipeline says that {} answers, and the server says that it is {}.",
            stated.word(),
            found.word()
        )
    })
}

fn unanswered(question: &Question, requests: u32, problem: ServerProblem) -> Answer {
    Answer {
        question: question.clone(),
        requests,
        result: Vec::new(),
        warnings: Vec::new(),
        problem: Some(problem),
    }
}

/// Asks one question in pieces and joins the answers.
fn ask(connection: &Connection<'_>, server: &Server, question: &Question) -> Answer {
    let mut joined: BTreeMap<BTreeMap<String, String>, Vec<(f64, String)>> = BTreeMap::new();
    let (mut requests, mut warnings, mut problem) = (0, Vec::new(), None);
    for piece in question.pieces(server.max_points) {
        requests += 1;
        let form = form(&piece, server.timeout);
        let read = |bytes: &[u8]| reply::read(bytes, &piece);
        let reply = match connection.ask("/api/v1/query_range", Send::Post(&form), read) {
            Ok(reply) => reply,
            Err(problem) => return unanswered(question, requests, problem),
        };
        for series in reply.result {
            joined.entry(series.metric).or_default().extend(series.values);
        }
        warnings.extend(reply.warnings);
        if let Some(doubt) = reply.partial {
            let text = format!("The answer of {} may lack data: {doubt}.", server.url);
            problem = Some(ServerProblem { kind: ServerProblemKind::Partial, text });
        }
    }
    warnings.sort();
    warnings.dedup();
    let result = joined.into_iter().map(|(metric, values)| AnsweredSeries { metric, values });
    Answer { question: question.clone(), requests, result: result.collect(), warnings, problem }
}

/// The form of a range query. Every product leaves alone what it does not know.
fn form(piece: &Question, timeout: base::Duration) -> String {
    let step = piece.step.millis();
    let step = match step % 1_000 {
        0 => (step / 1_000).to_string(),
        rest => format!("{}.{rest:03}", step / 1_000),
    };
    // Times are written as text, because some read numbers as floats and cut them.
    let time = |at: Instant| at.to_string();
    let pairs = [
        ("query", piece.query.clone()),
        ("start", time(piece.from)),
        ("end", time(piece.until)),
        ("step", step),
        ("timeout", format!("{}ms", timeout.millis())),
        ("lookback_delta", LOOK_BACK.to_owned()),
        // VictoriaMetrics moves the points of the range to use its cache, and repeats older values
        // for the newest points.
        ("nocache", "1".to_owned()),
        ("latency_offset", "1ms".to_owned()),
        // Thanos answers with what it has, unless it is told.
        ("partial_response", "false".to_owned()),
    ];
    // The encoding of a URL's query is that of a form.
    reqwest::Url::parse_with_params("http://localhost", pairs)
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

/// Takes secrets out of everything that the server wrote.
fn hide(connection: &Connection<'_>, body: &mut ServerBody) {
    let clean = |text: &mut String| *text = connection.hide(text);
    body.version.iter_mut().for_each(clean);
    body.problem.iter_mut().for_each(|problem| clean(&mut problem.text));
    for answer in &mut body.answers {
        answer.problem.iter_mut().for_each(|problem| clean(&mut problem.text));
        answer.warnings.iter_mut().for_each(clean);
        for series in &mut answer.result {
            let metric = std::mem::take(&mut series.metric);
            let hidden =
                |(name, value): (String, String)| (connection.hide(&name), connection.hide(&value));
            series.metric = metric.into_iter().map(hidden).collect();
        }
    }
}

/// The series of a server's reply to `question`, as they are kept as evidence.
///
/// # Errors
/// When the reply has another form, or holds what was not asked; and what the server says when it
/// could or would not answer.
pub fn read_answer(bytes: &[u8], question: &Question) -> Result<Vec<AnsweredSeries>, String> {
    match reply::read(bytes, question) {
        Ok(reply) => Ok(reply.result),
        Err(BadReply::Malformed(why) | BadReply::Failed(why) | BadReply::Refused(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests;
