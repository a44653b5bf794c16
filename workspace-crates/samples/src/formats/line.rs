//! What is wrong with lines of an exposition.

use std::fmt;

/// Errors that are given back; further ones are only counted.
const LISTED_MAX: usize = 100;
/// Bytes of a bad line that are shown.
const EXCERPT_MAX: usize = 80;

/// A line that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{excerpt}`")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineReason,
    /// How the line begins, with control characters escaped.
    pub excerpt: String,
}

/// What is wrong with a line of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum LineReason {
    /// It does not begin with a metric name.
    #[error("no metric name")]
    Name,
    /// The labels are malformed.
    #[error("malformed labels")]
    Labels,
    /// A label occurs twice.
    #[error("a label occurs twice")]
    TwiceLabel,
    /// There are more labels than any real series has.
    #[error("more than {} labels", super::LABELS_MAX)]
    ManyLabels,
    /// Name or labels are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The value is missing or no number.
    #[error("no value, or a value that is no number")]
    Value,
    /// The timestamp is no whole number of milliseconds (OpenMetrics: no number of seconds), or
    /// lies beyond ±2⁵³ ms.
    #[error("a timestamp that is no time")]
    Timestamp,
    /// What should be an exemplar is none.
    #[error("a malformed exemplar")]
    Exemplar,
    /// Something follows the sample.
    #[error("unexpected text after the sample")]
    Rest,
    /// The same series occurred before.
    #[error("the same series occurs twice")]
    TwiceSeries,
    /// The series occurred before, at a later time.
    #[error("an earlier time than the line before of the same series")]
    Backwards,
    /// A comment that is malformed, or that OpenMetrics does not allow.
    #[error("a malformed comment")]
    Comment,
    /// An empty line, which OpenMetrics does not allow.
    #[error("an empty line")]
    Empty,
    /// The last line has no line feed, so that its end may be missing.
    #[error("the last line does not end: the exposition may have been cut off")]
    Unended,
}

/// The lines that were left out: the first hundred, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineErrors {
    listed: Vec<LineError>,
    count: u64,
}

impl LineErrors {
    /// The first errors, in the order of the lines; at most 100.
    #[must_use]
    pub fn listed(&self) -> &[LineError] {
        &self.listed
    }

    /// How many lines were left out.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether every line was good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, line: usize, reason: LineReason, text: &[u8]) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(LineError { line, reason, excerpt: excerpt(text) });
        }
    }
}

impl fmt::Display for LineErrors {
    /// One error per line, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.listed {
            writeln!(f, "{error}")?;
        }
        match self.count - self.listed.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

/// The beginning of hostile text, fit for a terminal.
fn excerpt(text: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&text[..text.len().min(EXCERPT_MAX)]);
    let mut excerpt = String::with_capacity(shown.len());
    for c in shown.chars() {
        if c.is_control() {
            excerpt.extend(c.escape_default());
        } else {
            excerpt.push(c);
        }
    }
    if text.len() > EXCERPT_MAX {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::{LISTED_MAX, LineErrors, LineReason};

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let mut errors = LineErrors::default();
        for line in 1..=150 {
            errors.push(line, LineReason::Value, b"up\x1b[31m one");
        }
        assert_eq!((errors.listed().len(), errors.count()), (LISTED_MAX, 150));
        let shown = errors.to_string();
        assert!(
            shown.starts_with(
                "line 1: no value, or a value that is no number: `up\\u{1b}[31m one`\n"
            )
        );
        assert!(shown.ends_with("and 50 more\n"));
    }

    #[test]
    fn long_lines_are_shortened() {
        let mut errors = LineErrors::default();
        errors.push(1, LineReason::Name, "é".repeat(1_000).as_bytes());
        assert_eq!(errors.listed()[0].excerpt, format!("{}…", "é".repeat(40)));
    }
}
