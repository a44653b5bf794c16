//! The index page of a site with every week's report.

use base::{Instant, VerdictKind};
use serde::Serialize;
use tera::Context;

use crate::view::verdict_badge;
use crate::{Error, ReportModel, clean, html, words};

/// One report on the index page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The instant of the judgement; the page shows the latest first.
    pub at: Instant,
    /// ISO week, such as `2026-W03`.
    pub week: String,
    /// Title of the pipeline.
    pub title: String,
    /// The most severe verdict; `None` when nothing was open.
    pub verdict: Option<VerdictKind>,
    /// The verdict in a sentence.
    pub sentence: String,
    /// Folder of the report, relative to the page: letters, digits, `-`, `_`, `.` and `/`.
    pub folder: String,
}

impl Entry {
    /// The entry of a report that lies in `folder`.
    #[must_use]
    pub fn of(model: &ReportModel, folder: impl Into<String>) -> Self {
        Self {
            at: model.at,
            week: model.week.clone(),
            title: model.title.clone(),
            verdict: model.verdict.kind,
            sentence: model.verdict.sentence.clone(),
            folder: folder.into(),
        }
    }
}

#[derive(Serialize)]
struct Row {
    at: String,
    week: String,
    title: String,
    class: &'static str,
    label: &'static str,
    sentence: String,
    folder: Option<String>,
}

/// The index page, self-contained, with the latest report first. An entry whose folder is not a
/// plain relative path is listed without a link.
///
/// # Errors
/// When a template of this crate fails; a defect of ours.
pub fn index(entries: &[Entry]) -> Result<String, Error> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by(|a, b| b.cmp(a));
    let mut context = Context::new();
    context.insert("rows", &entries.into_iter().map(row).collect::<Vec<_>>());
    html::page("site.html", context)
}

fn row(entry: &Entry) -> Row {
    let badge = entry.verdict.map(verdict_badge);
    Row {
        at: words::short_date(entry.at),
        week: clean(&entry.week),
        title: clean(&entry.title),
        class: badge.as_ref().map_or("none", |badge| badge.class),
        label: badge.as_ref().map_or("Nothing open", |badge| badge.label),
        sentence: clean(&entry.sentence),
        folder: is_plain_path(&entry.folder).then(|| entry.folder.clone()),
    }
}

fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(known)
    };
    path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_plain_path;

    #[test]
    fn only_plain_relative_paths_become_links() {
        assert!(is_plain_path("2026-W03") && is_plain_path("programme/2026-W03"));
        for bad in ["", "/", "../x", "a/../b", "javascript:x", "//host", "a b", "a?b", "a/"] {
            assert!(!is_plain_path(bad), "{bad:?}");
        }
    }
}
