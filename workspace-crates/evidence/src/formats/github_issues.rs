//! Issues and milestones as the GitHub REST API answers them.
//!
//! Strict about what decides a gate (number, state, reason, labels, milestone), tolerant of the
//! many other fields. Pull requests, which the API lists among issues, are left out.

use base::Instant;
use serde::{Deserialize, Serialize};

use crate::EvidenceError;
use crate::formats::json::{self, Limits};

/// Whether an issue is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not closed.
    Open,
    /// Closed, for whatever reason.
    Closed,
}

/// Why an issue has its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateReason {
    /// Closed because the work is done.
    Completed,
    /// Closed because nobody will do the work.
    NotPlanned,
    /// Closed because another issue says the same.
    Duplicate,
    /// Open again.
    Reopened,
}

/// One issue, reduced to what gates judge and reports show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title, as its author wrote it: untrusted text.
    pub title: String,
    /// Whether it is open.
    pub state: State,
    /// Why; `None` where the tracker says nothing, as for issues that were closed long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<StateReason>,
    /// Names of its labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Number of its milestone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<u64>,
    /// Where people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Instant>,
}

/// A milestone, reduced in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// Its number in the repository.
    pub number: u64,
    /// Its title: untrusted text.
    pub title: String,
    /// Whether it is open.
    pub state: State,
    /// How many of its issues and pull requests are open.
    pub open_issues: u64,
    /// How many of its issues and pull requests are closed.
    pub closed_issues: u64,
}

#[derive(Deserialize)]
struct RawIssue {
    number: u64,
    title: String,
    state: State,
    #[serde(default)]
    state_reason: Option<StateReason>,
    labels: Vec<RawLabel>,
    #[serde(default)]
    milestone: Option<RawMilestone>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    closed_at: Option<Instant>,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

/// The API writes a label as an object or, in old answers, as its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawLabel {
    Name(String),
    Object { name: String },
}

#[derive(Deserialize)]
struct RawMilestone {
    number: u64,
}

/// Reads one page: an array of issues. Errors call it `file`.
///
/// # Errors
/// [`EvidenceError::TooLarge`] or [`EvidenceError::Malformed`] with the position, also for a
/// state or reason that is not known.
pub fn read_page(file: &str, bytes: &[u8]) -> Result<Vec<Issue>, EvidenceError> {
    let raw: Vec<RawIssue> = json::read(file, bytes, Limits::ANSWER)?;
    Ok(raw.into_iter().filter(|issue| issue.pull_request.is_none()).map(reduce).collect())
}

/// Reads one issue, as the API answers for a single number; `None` when it is a pull request.
///
/// # Errors
/// As [`read_page`].
pub fn read_issue(file: &str, bytes: &[u8]) -> Result<Option<Issue>, EvidenceError> {
    let raw: RawIssue = json::read(file, bytes, Limits::ANSWER)?;
    Ok(raw.pull_request.is_none().then(|| reduce(raw)))
}

/// Reads a milestone. Errors call it `file`.
///
/// # Errors
/// As [`read_page`].
pub fn read_milestone(file: &str, bytes: &[u8]) -> Result<Milestone, EvidenceError> {
    json::read(file, bytes, Limits::ANSWER)
}

fn reduce(raw: RawIssue) -> Issue {
    Issue {
        number: raw.number,
        title: raw.title,
        state: raw.state,
        state_reason: raw.state_reason,
        labels: raw
            .labels
            .into_iter()
            .map(|label| match label {
                RawLabel::Name(name) | RawLabel::Object { name } => name,
            })
            .collect(),
        milestone: raw.milestone.map(|milestone| milestone.number),
        url: raw.html_url,
        closed_at: raw.closed_at,
    }
}

#[cfg(test)]
mod tests {
    use super::{State, StateReason, read_issue, read_milestone, read_page};

    const DONE: &str = r#"{"number":7,"title":"Seven","state":"closed","state_reason":"completed",
        "labels":[{"name":"P0","color":"f00"},"old"],"milestone":{"number":42,"title":"Testnet"},
        "closed_at":"2025-12-19T16:00:00Z","reactions":{"+1":3}}"#;

    #[test]
    fn what_decides_is_kept_and_the_rest_is_tolerated() {
        let issue = read_issue("7.json", DONE.as_bytes()).unwrap().unwrap();
        assert_eq!((issue.number, issue.state), (7, State::Closed));
        assert_eq!(issue.state_reason, Some(StateReason::Completed));
        assert_eq!(issue.labels, ["P0", "old"]);
        assert_eq!(issue.milestone, Some(42));
        assert_eq!(issue.closed_at.unwrap().to_string(), "2025-12-19T16:00:00Z");
    }

    #[test]
    fn pull_requests_are_left_out() {
        let pull = DONE.replace("\"number\":7", "\"number\":8,\"pull_request\":{\"url\":\"x\"}");
        let page = format!("[{DONE},{pull}]");
        let numbers: Vec<_> =
            read_page("page.json", page.as_bytes()).unwrap().iter().map(|i| i.number).collect();
        assert_eq!(numbers, [7]);
        assert_eq!(read_issue("8.json", pull.as_bytes()).unwrap(), None);
    }

    #[test]
    fn unknown_meaning_is_refused_with_its_position() {
        let unknown = [
            ("\"closed\"", "\"merged\""),
            ("\"completed\"", "\"done\""),
            ("\"number\":7,", ""),
            ("\"number\":7", "\"number\":-7"),
            ("\"number\":7", "\"number\":7,\"number\":8"),
            ("\"P0\"", "5"),
        ];
        for (from, to) in unknown {
            let error = read_page("p.json", format!("[{}]", DONE.replacen(from, to, 1)).as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("p.json:"), "{error}");
        }
    }

    #[test]
    fn every_torn_prefix_is_an_error_and_never_a_panic() {
        let page = format!("[{DONE}]");
        for end in 0..page.len() {
            assert!(read_page("p.json", &page.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_error_answer_of_the_service_is_no_page() {
        let answer = br#"{"message":"API rate limit exceeded","documentation_url":"x"}"#;
        assert!(read_page("p.json", answer).is_err());
    }

    #[test]
    fn a_milestone_is_read() {
        let text = br#"{"number":42,"title":"v1.0","state":"open","open_issues":4,"closed_issues":8,"id":1}"#;
        let milestone = read_milestone("m.json", text).unwrap();
        assert_eq!((milestone.number, milestone.open_issues, milestone.closed_issues), (42, 4, 8));
    }
}
