//! A text as readers of Markdown take it apart.

use pulldown_cmark::{Event, Options, Parser};

/// Everything that any dialect knows, but for typographic quotes, which are no markup.
fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::all().difference(Options::ENABLE_SMART_PUNCTUATION))
}

/// Everything in the text that is not plain text.
pub fn structure(markdown: &str) -> Vec<String> {
    let events = events(markdown).filter_map(|event| match event {
        Event::Text(_) => None,
        Event::Code(_) => Some("code".to_owned()),
        other => Some(format!("{other:?}")),
    });
    events.collect()
}

/// What a reader sees.
pub fn text(markdown: &str) -> String {
    let texts = events(markdown).map(|event| match event {
        Event::Text(text) | Event::Code(text) => text.to_string(),
        _ => "\n".to_owned(),
    });
    texts.collect()
}

/// Addresses that code hosts turn into links although no markup says so. Code is left alone by them.
pub fn bare_addresses(markdown: &str) -> Vec<String> {
    let outside_of_code = markdown.lines().flat_map(|line| line.split('`').step_by(2));
    let found = outside_of_code.filter(|text| {
        // What is escaped is no address any more.
        let lower = text.to_ascii_lowercase().replace("\\:", "").replace("\\.", "");
        lower.contains("://") || lower.contains("www.") || lower.contains('@')
    });
    found.map(str::to_owned).collect()
}
