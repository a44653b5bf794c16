//! Readers of other tools' files. Each takes bytes and the name under which errors speak of them.

pub mod event_lines;
pub mod github_issues;
pub mod json;
