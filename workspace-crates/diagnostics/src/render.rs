//! Diagnostics as text for people, as JSON for tools, as SARIF for code hosts.

mod escape;
mod human;
mod json;
mod sarif;

pub use escape::{escape, escape_json, escape_line};
pub use human::human;
pub use json::json;
pub use sarif::sarif;

use crate::{Diagnostic, Location, SourceMap};

/// How many errors and warnings there are: `2 errors, 1 warning`.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    format!("{}, {}", count(errors, "error"), count(diagnostics.len() - errors, "warning"))
}

/// First and last place of a location as people count them; the last is exclusive.
struct Region {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Region {
    fn of(location: &Location, sources: &SourceMap) -> Option<Self> {
        let start = sources.position(&location.file, location.start)?;
        let end = sources.position(&location.file, location.end)?;
        Some(Self {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        })
    }
}
