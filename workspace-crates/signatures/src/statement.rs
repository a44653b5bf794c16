//! In-toto Statement v1: a predicate about named subjects with their digests.

use std::collections::BTreeMap;

use base::Digest;
use serde::{Deserialize, Serialize};

/// The `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The payload type of statements in DSSE envelopes.
pub const STATEMENT_MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// A statement: what is claimed (`predicate`) about what (`subject`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement<P> {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What the predicate is about; never empty in a valid statement.
    pub subject: Vec<ResourceDescriptor>,
    /// Which vocabulary the predicate uses.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The claim.
    pub predicate: P,
}

/// One thing that a statement is about, or one input of a judgement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDescriptor {
    /// A name that is unique within the statement; a file name where there is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the thing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Digest by algorithm, in lower-case hexadecimal digits: `sha256`, or `gitTree` for a
    /// directory in git.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

impl ResourceDescriptor {
    /// A thing with a name and the SHA-256 digest of its bytes.
    #[must_use]
    pub fn sha256(name: impl Into<String>, digest: Digest) -> Self {
        Self::with_digest(name, "sha256", digest.to_string())
    }

    /// A thing with a name and a digest of `algorithm`.
    #[must_use]
    pub fn with_digest(name: impl Into<String>, algorithm: &str, digest: String) -> Self {
        Self {
            name: Some(name.into()),
            uri: None,
            digest: BTreeMap::from([(algorithm.to_owned(), digest)]),
        }
    }
}

/// Why a statement is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Another `_type`.
    #[error("the statement type is `{0}` instead of `{STATEMENT_TYPE}`")]
    Type(String),
    /// Another `predicateType`.
    #[error("the predicate type is `{found}` instead of `{expected}`")]
    PredicateType {
        /// As found.
        found: String,
        /// As required here.
        expected: String,
    },
    /// No subject, or one without digest.
    #[error("the statement names no subject with a digest")]
    Subject,
}

impl<P> Statement<P> {
    /// A statement of the current version.
    #[must_use]
    pub fn new(subject: Vec<ResourceDescriptor>, predicate_type: &str, predicate: P) -> Self {
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Checks type, predicate type, and that every subject has a digest.
    ///
    /// # Errors
    /// Names the first of them that does not hold.
    pub fn check(&self, predicate_type: &str) -> Result<(), StatementError> {
        if self.statement_type != STATEMENT_TYPE {
            return Err(StatementError::Type(self.statement_type.clone()));
        }
        if self.predicate_type != predicate_type {
            return Err(StatementError::PredicateType {
                found: self.predicate_type.clone(),
                expected: predicate_type.to_owned(),
            });
        }
        if self.subject.is_empty() || self.subject.iter().any(|one| one.digest.is_empty()) {
            return Err(StatementError::Subject);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ResourceDescriptor, Statement, StatementError};
    use base::Digest;

    #[test]
    fn foreign_types_and_missing_subjects_are_refused() {
        let subject = ResourceDescriptor::sha256("report.json", Digest::of(b"x"));
        let good = Statement::new(vec![subject], "https://example.org/p", 1);
        assert_eq!(good.check("https://example.org/p"), Ok(()));
        assert!(matches!(
            good.check("https://example.org/q"),
            Err(StatementError::PredicateType { .. })
        ));
        let mut other = good.clone();
        other.statement_type = "https://in-toto.io/Statement/v0.1".to_owned();
        assert!(matches!(other.check("https://example.org/p"), Err(StatementError::Type(_))));
        let mut other = good.clone();
        other.subject.clear();
        assert_eq!(other.check("https://example.org/p"), Err(StatementError::Subject));
        let mut other = good;
        other.subject[0].digest.clear();
        assert_eq!(other.check("https://example.org/p"), Err(StatementError::Subject));
    }
}
