//! Issues and milestones as the GitHub REST API answers them.

use evidence::formats::github_issues::{read_issue, read_milestone, read_page};

use crate::Target;

/// One page of issues, one issue, or one milestone.
pub const TARGET: Target = Target {
    name: "github_issues",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"pull_request\":{}",
        "\"state\":\"open\"",
        "\"state_reason\":\"not_planned\"",
        "\"labels\":[\"P0\",{\"name\":\"P1\"}]",
        "\"milestone\":{\"number\":1}",
        "\"closed_at\":\"",
        "\"number\":",
        "},{",
    ],
};

/// What is refused says where; a page has no pull requests, and says the same twice.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let page = read_page("page", bytes);
    let issue = read_issue("issue", bytes);
    let milestone = read_milestone("milestone", bytes);
    if let Err(error) = &page {
        assert!(error.to_string().contains("page"), "{error}");
    }
    if let Ok(issues) = &page {
        assert_eq!(read_page("page", bytes).ok().as_ref(), Some(issues));
        for issue in issues {
            let stored = serde_json::to_vec(issue).unwrap_or_default();
            assert_eq!(serde_json::from_slice(&stored).ok().as_ref(), Some(issue));
        }
    }
    page.is_ok() || issue.is_ok() || milestone.is_ok()
}

fn seeds() -> Vec<Vec<u8>> {
    let issue = r#"{"number":7,"title":"T","state":"closed","state_reason":"completed","labels":[{"name":"P0"}],"milestone":{"number":3},"html_url":"https://x","closed_at":"2026-01-08T15:00:00Z"}"#;
    let pull = r#"{"number":8,"title":"P","state":"open","labels":[],"pull_request":{}}"#;
    let milestone = r#"{"number":3,"title":"M","state":"open","open_issues":1,"closed_issues":2}"#;
    [format!("[{issue},{pull}]"), issue.to_owned(), milestone.to_owned(), "[]".to_owned()]
        .map(String::into_bytes)
        .into()
}
