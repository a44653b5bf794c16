use std::collections::BTreeMap;
use std::sync::Arc;

/// A range of bytes in one file of a [`SourceMap`].
///
/// The order is that of reports: file, then start, then end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Path of the file, relative to the root of the definitions, with `/` between its parts.
    pub file: Arc<str>,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte; never before `start`.
    pub end: usize,
}

impl Location {
    /// The bytes `start..end` of `file`.
    #[must_use]
    pub fn new(file: impl Into<Arc<str>>, start: usize, end: usize) -> Self {
        Self { file: file.into(), start, end: end.max(start) }
    }

    /// The start of `file`, for what is wrong with a file as a whole.
    #[must_use]
    pub fn whole_file(file: impl Into<Arc<str>>) -> Self {
        Self::new(file, 0, 0)
    }
}

/// A place in a text as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters (Unicode scalar values), from 1.
    pub column: usize,
}

/// The texts that locations point into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceMap {
    files: BTreeMap<Arc<str>, File>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    text: String,
    /// Offsets of the first byte of each line, so that thousands of places cost no rescans.
    line_starts: Vec<usize>,
}

impl SourceMap {
    /// Adds a file, or replaces the one of the same path.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, text: impl Into<String>) {
        let text = text.into();
        let feeds = text.match_indices('\n').map(|(feed, _)| feed + 1);
        let line_starts = std::iter::once(0).chain(feeds).collect();
        self.files.insert(path.into(), File { text, line_starts });
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    /// The paths of all files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(AsRef::as_ref)
    }

    /// The text that a location covers; nothing when it lies outside the file or inside a character.
    #[must_use]
    pub fn excerpt(&self, location: &Location) -> Option<&str> {
        self.text(&location.file)?.get(location.start..location.end)
    }

    /// Line and column of the byte at `offset`; an offset past the end counts as the end.
    /// Nothing when the file is not known.
    #[must_use]
    pub fn position(&self, path: &str, offset: usize) -> Option<Position> {
        let file = self.files.get(path)?;
        let offset = floor_char_boundary(&file.text, offset);
        let line = file.line_starts.partition_point(|start| *start <= offset);
        let line_start = file.line_starts.get(line.checked_sub(1)?)?;
        Some(Position { line, column: file.text[*line_start..offset].chars().count() + 1 })
    }

    /// `file:line:column` of the start of a location; only the path when the file is not known.
    #[must_use]
    pub fn describe(&self, location: &Location) -> String {
        match self.position(&location.file, location.start) {
            Some(at) => format!("{}:{}:{}", location.file, at.line, at.column),
            None => location.file.to_string(),
        }
    }
}

/// The last character boundary at or before `offset`.
pub(crate) fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut boundary = offset.min(text.len());
    while !text.is_char_boundary(boundary) {
        boundary -= 1;
    }
    boundary
}

#[cfg(test)]
mod tests {
    use super::{Location, Position, SourceMap};

    fn map(text: &str) -> SourceMap {
        let mut map = SourceMap::default();
        map.insert("a.toml", text);
        map
    }

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let map = map("ä = 1\n中b = 2\n");
        let at = |offset| map.position("a.toml", offset).unwrap();
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(3), Position { line: 1, column: 3 });
        assert_eq!(at(7), Position { line: 2, column: 1 });
        assert_eq!(at(10), Position { line: 2, column: 2 });
    }

    #[test]
    fn offsets_inside_a_character_or_past_the_end_do_not_panic() {
        let map = map("ä");
        assert_eq!(map.position("a.toml", 1), Some(Position { line: 1, column: 1 }));
        assert_eq!(map.position("a.toml", 99), Some(Position { line: 1, column: 2 }));
        assert_eq!(map.excerpt(&Location::new("a.toml", 1, 2)), None);
        assert_eq!(map.position("b.toml", 0), None);
    }

    #[test]
    fn a_location_is_described_as_an_editor_expects_it() {
        let map = map("a = 1\nb = 2\n");
        assert_eq!(map.describe(&Location::new("a.toml", 6, 7)), "a.toml:2:1");
        assert_eq!(map.describe(&Location::new("gone.toml", 6, 7)), "gone.toml");
    }
}
