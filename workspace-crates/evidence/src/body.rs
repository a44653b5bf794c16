use std::collections::{BTreeMap, BTreeSet};

use base::CanonicalError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::formats::github_issues::Issue;
use crate::{EvidenceError, Record};

/// Body of a `document` record: a document as it was found in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentBody {
    /// Path of the document, relative to the repository.
    pub path: String,
    /// Its text; `None` when there is no such file.
    pub text: Option<String>,
    /// Link targets of the document, as written, that name an existing file of the repository.
    #[serde(default)]
    pub existing_links: BTreeSet<String>,
    /// Why the document could not be read, although it may exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Body of an `issues` record: the answer of a tracker. The record's `observed_at` is the fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuesBody {
    /// The repository that was asked, as `owner/name`.
    pub repository: String,
    /// The issues of all pages, without pull requests.
    pub issues: Vec<Issue>,
    /// Whether every page of the answer was read.
    pub complete: bool,
    /// Why the answer is missing or not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Body of a `probe` record: what each node answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeBody {
    /// The remote procedure that was called.
    pub rpc: String,
    /// Answers by node; every node that was asked is here, also those that said nothing.
    pub answers: BTreeMap<String, ProbeAnswer>,
}

/// What one node answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeAnswer {
    /// The node's role, such as `validator`.
    pub role: String,
    /// The result of the call; `None` when none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// What went wrong, when no result came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a collector could not bring what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// What kind of trouble it was.
    pub kind: ProblemKind,
    /// One full sentence.
    pub text: String,
}

/// What kind of trouble kept a collector from its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The server's quota is used up; a later attempt can succeed.
    RateLimited,
    /// The server did not answer, or refused.
    Unreachable,
    /// What was read does not have its format.
    Malformed,
}

/// The body of `record`, when it is of `kind`.
///
/// # Errors
/// [`EvidenceError::Body`] when the record is of another kind or its body has another shape.
pub fn read_body<T: DeserializeOwned>(record: &Record, kind: &str) -> Result<T, EvidenceError> {
    let refuse = |reason: String| EvidenceError::Body {
        kind: record.kind.clone(),
        for_whom: record.for_whom.clone(),
        reason,
    };
    if record.kind != kind {
        return Err(refuse(format!("a `{kind}` record was expected")));
    }
    T::deserialize(&record.body).map_err(|e| refuse(e.to_string()))
}

/// A typed body as it stands in a record.
///
/// # Errors
/// When the body holds a map whose keys are no strings.
pub fn to_body<T: Serialize>(body: &T) -> Result<serde_json::Value, CanonicalError> {
    serde_json::to_value(body).map_err(CanonicalError::from)
}
