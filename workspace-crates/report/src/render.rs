use base::{Digest, canonical_json};

use crate::view::View;
use crate::{Error, ReportModel, html, markdown};

/// File name of the model as canonical JSON.
pub const JSON_FILE: &str = "report.json";
/// File name of the report as Markdown.
pub const MARKDOWN_FILE: &str = "report.md";
/// File name of the report as a self-contained page.
pub const HTML_FILE: &str = "report.html";
/// File name of the evaluation that the report is about, as canonical JSON.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// A report in its three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Canonical JSON of the model.
    pub json: Vec<u8>,
    /// Markdown without raw HTML.
    pub markdown: String,
    /// A page without scripts and without anything loaded from elsewhere.
    pub html: String,
}

impl Rendered {
    /// Name, bytes and digest of each file, in the order of the names.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &[u8], Digest); 3] {
        let html = self.html.as_bytes();
        let markdown = self.markdown.as_bytes();
        [
            (HTML_FILE, html, Digest::of(html)),
            (JSON_FILE, &self.json, Digest::of(&self.json)),
            (MARKDOWN_FILE, markdown, Digest::of(markdown)),
        ]
    }
}

/// Renders a model. The same model gives the same bytes.
///
/// # Errors
/// When the model holds a number that is not finite; findings never do.
pub fn render(model: &ReportModel) -> Result<Rendered, Error> {
    let view = View::of(model);
    Ok(Rendered {
        json: canonical_json(model)?,
        markdown: markdown::render(&view),
        html: html::render(&view)?,
    })
}
