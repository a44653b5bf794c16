//! Reads answers that the GitHub API really gave, where the folder of samples lies beside the repository.

#![expect(clippy::print_stderr, reason = "a skipped test is named")]

use evidence::formats::github_issues::{State, read_milestone, read_page};
use std::path::Path;

fn sample(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/github");
    let bytes = std::fs::read(folder.join(name)).ok();
    if bytes.is_none() {
        eprintln!("skipped: {name} is not in ../shared/samples/github");
    }
    bytes
}

#[test]
fn a_recorded_page_of_issues_is_read() {
    let Some(bytes) = sample("github-issues-page1.json") else { return };
    // The recording wraps the answer together with its request.
    let recording: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let page = serde_json::to_vec(&recording["response"]).unwrap();
    let issues = read_page("page1.json", &page).unwrap();
    assert_eq!(issues.iter().map(|i| i.number).collect::<Vec<_>>(), [13, 12, 11]);
    assert!(issues.iter().all(|i| i.state == State::Open && i.state_reason.is_none()));
    assert!(read_page("recording.json", &bytes).is_err(), "a wrapped page is not a page");
}

#[test]
fn a_recorded_milestone_is_read() {
    let Some(bytes) = sample("github-milestone-42.json") else { return };
    let milestone = read_milestone("milestone.json", &bytes).unwrap();
    assert_eq!((milestone.number, milestone.state), (42, State::Open));
    assert_eq!((milestone.open_issues, milestone.closed_issues), (4, 8));
}
