use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{escape, escape_line};
use crate::source::floor_char_boundary;
use crate::{Diagnostic, Location, Severity, SourceMap};

/// Columns after which an excerpt is cut, so that output does not depend on the terminal.
const WIDTH: usize = 120;

/// Diagnostics as people read them, with excerpts, each followed by an empty line. With `colour`
/// the text has ANSI colour codes; what comes from files never has.
#[must_use]
pub fn human(diagnostics: &[Diagnostic], sources: &SourceMap, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape_line(&diagnostic.message)).id(diagnostic.code);
    let mut group = Group::with_title(title);
    for excerpt in excerpts(diagnostic, sources) {
        group = group.element(excerpt.into_snippet());
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(escape_line(note)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(escape_line(help)));
    }
    group
}

/// The marks of one diagnostic in one file.
struct Excerpt<'a> {
    path: &'a str,
    sources: &'a SourceMap,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    kind: AnnotationKind,
    location: &'a Location,
    label: Option<&'a str>,
}

/// One excerpt for each file that the diagnostic points into, that of its primary location first.
fn excerpts<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Excerpt<'a>> {
    let primary = diagnostic.primary.iter().map(|location| Mark {
        kind: AnnotationKind::Primary,
        location,
        label: diagnostic.primary_text.as_deref(),
    });
    let others = diagnostic.labels.iter().map(|label| Mark {
        kind: AnnotationKind::Context,
        location: &label.location,
        label: Some(&label.text),
    });
    let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
    for mark in primary.chain(others) {
        let path = &*mark.location.file;
        match excerpts.iter_mut().find(|excerpt| excerpt.path == path) {
            Some(excerpt) => excerpt.marks.push(mark),
            None => excerpts.push(Excerpt { path, sources, marks: vec![mark] }),
        }
    }
    excerpts
}

impl Excerpt<'_> {
    /// Takes only the lines that are marked, so that large files cost nothing.
    fn into_snippet(self) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
        let text = self.sources.text(self.path).unwrap_or_default();
        let bounded = |offset: usize| floor_char_boundary(text, offset);
        let first = self.marks.iter().map(|mark| bounded(mark.location.start)).min().unwrap_or(0);
        let last = self.marks.iter().map(|mark| bounded(mark.location.end)).max().unwrap_or(0);
        let start = text[..first].rfind('\n').map_or(0, |feed| feed + 1);
        let end = text[last..].find('\n').map_or(text.len(), |feed| last + feed);
        let lines = text[start..end].trim_end_matches('\r');
        let offset_in_lines = |offset: usize| {
            let offset = bounded(offset).clamp(start, start + lines.len()) - start;
            escape_source(&lines[..offset]).len()
        };
        let line_start = self.sources.position(self.path, start).map_or(1, |at| at.line);
        let annotations = self.marks.iter().map(|mark| {
            let span = offset_in_lines(mark.location.start)..offset_in_lines(mark.location.end);
            mark.kind.span(span).label(mark.label.map(escape_line))
        });
        Snippet::source(escape_source(lines))
            .line_start(line_start)
            .path(escape_line(self.path))
            .annotations(annotations)
    }
}

/// Source text as it is shown. Carriage returns of line ends are left out.
fn escape_source(text: &str) -> String {
    escape(&text.replace("\r\n", "\n"))
}
