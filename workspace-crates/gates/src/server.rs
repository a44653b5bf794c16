//! What gates ask a Prometheus-compatible server, and the record of its answers.
//!
//! Collectors ask, judgements read what was recorded: the same record gives the same judgement
//! wherever and whenever it is read.

mod dialect;

use std::collections::BTreeMap;

use base::{Duration, Instant};
use definition::Product;
use serde::{Deserialize, Serialize};

pub use dialect::dialect_notes;

/// The kind of records that hold the answers of a server.
pub const SERVER_RECORD: &str = "server-answers";

/// One question: a query at points in time at equal distances.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The query, in PromQL.
    pub query: String,
    /// The first point, at a whole millisecond.
    pub from: Instant,
    /// The last point, a whole number of steps after the first.
    pub until: Instant,
    /// The distance of the points: at least one, and a whole number of milliseconds.
    pub step: Duration,
    /// Whether the query is one of the definition. The others ask whether samples were there.
    pub stated: bool,
}

impl Question {
    /// How many points there are; at least 1.
    #[must_use]
    pub fn points(&self) -> u64 {
        let span = (self.until - self.from).millis().max(0) / self.step.millis().max(1);
        u64::try_from(span).unwrap_or(0) + 1
    }

    /// The index of the point at `seconds` since the Unix epoch, as servers write times; `None`
    /// when it is not one of the points to the millisecond.
    #[must_use]
    pub fn index_at(&self, seconds: f64) -> Option<usize> {
        let exact_ms = seconds * 1_000.0;
        let rounded = exact_ms.round();
        // 64-bit floats hold the milliseconds of our time to a quarter of a microsecond.
        if !rounded.is_finite() || (exact_ms - rounded).abs() > 0.01 || rounded.abs() > 1e15 {
            return None;
        }
        let distance = rounded as i64 - self.from.unix_millis();
        let step = self.step.millis().max(1);
        let index = u64::try_from(distance / step).ok()?;
        let is_point = distance % step == 0 && distance >= 0 && index < self.points();
        is_point.then(|| usize::try_from(index).ok())?
    }

    /// The same question in pieces of at most `points_max` points, in time order. Together they
    /// have exactly the points of the whole.
    #[must_use]
    pub fn pieces(&self, points_max: u32) -> Vec<Self> {
        let length = u64::from(points_max.max(1));
        let all = self.points();
        let at = |index: u64| self.from + self.step.times(i64::try_from(index).unwrap_or(i64::MAX));
        let piece = |first: u64| {
            let last = (first + length - 1).min(all - 1);
            Self { from: at(first), until: at(last), ..self.clone() }
        };
        (0..all.div_ceil(length)).map(|number| piece(number * length)).collect()
    }
}

/// Body of a [`SERVER_RECORD`]: what a server answered to the questions of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerBody {
    /// The server's name in the pipeline.
    pub server: String,
    /// Its address, without credentials.
    pub url: String,
    /// What runs there: as it says itself, otherwise as the definition says; `None` when neither
    /// is known.
    pub product: Option<String>,
    /// The product's version as it says itself; `None` when it does not.
    pub version: Option<String>,
    /// The questions with their answers.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// What this product does differently in these queries, as full sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Why nothing could be asked at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ServerProblem>,
}

impl ServerBody {
    /// The product, when it is one whose dialect is known.
    #[must_use]
    pub fn known_product(&self) -> Option<Product> {
        let word = self.product.as_deref()?;
        Product::ALL.iter().find(|(known, _)| *known == word).map(|(_, product)| *product)
    }

    /// Product, version and address, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let product = self.product.as_deref().unwrap_or("an unknown product");
        match &self.version {
            Some(version) => format!("{product} {version} at {}", self.url),
            None => format!("{product} of unknown version at {}", self.url),
        }
    }
}

/// One question with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// In how many requests it was asked; at least 1 when there is a result.
    pub requests: u32,
    /// The series, joined from all requests; empty when nothing was selected.
    pub result: Vec<AnsweredSeries>,
    /// What the server remarked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why there is no result, or why it cannot be relied on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ServerProblem>,
}

/// One series of an answer, in the form of Prometheus' HTTP API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredSeries {
    /// Its labels.
    pub metric: BTreeMap<String, String>,
    /// Seconds since the Unix epoch, and the value as text.
    pub values: Vec<(f64, String)>,
}

impl AnsweredSeries {
    /// The index of each point in `question` with its value.
    ///
    /// # Errors
    /// A sentence when a time is not a point of the question, times do not increase, or a value
    /// is no number.
    pub fn points(&self, question: &Question) -> Result<Vec<(usize, f64)>, String> {
        let mut points: Vec<(usize, f64)> = Vec::with_capacity(self.values.len());
        for (seconds, text) in &self.values {
            let Some(index) = question.index_at(*seconds) else {
                return Err(format!(
                    "The server answered for {seconds}, which is not one of the times that it was asked for."
                ));
            };
            if points.last().is_some_and(|(before, _)| *before >= index) {
                return Err(format!("The server answered out of order at {seconds}."));
            }
            let value = text.parse::<f64>().map_err(|_| {
                let text: String = text.chars().take(40).collect();
                format!("The server answered `{}`, which is no number.", text.escape_debug())
            })?;
            points.push((index, value));
        }
        Ok(points)
    }
}

/// Why a server's answer is missing or cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerProblem {
    /// What kind of trouble it was.
    pub kind: ServerProblemKind,
    /// One full sentence, without secrets.
    pub text: String,
}

/// What kind of trouble there was with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerProblemKind {
    /// The credentials, certificates or address in the definition cannot be used here.
    Setup,
    /// The server did not answer in time, or failed.
    Unreachable,
    /// The server refused the question: a query that it does not take, or missing rights.
    Refused,
    /// The server's quota is used up; a later attempt can succeed.
    RateLimited,
    /// The answer does not have its format, or is too large.
    Malformed,
    /// The server says that data is missing in its answer.
    Partial,
}

#[cfg(test)]
mod tests;
