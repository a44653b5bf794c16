//! Reading tables key by key: what is missing, of another type or unknown is reported where it
//! stands, and reading goes on.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use base::Duration;
use diagnostics::{Diagnostic, Location, codes, suggestion};

use crate::model::Text;
use crate::{Entry, Table, Value, ValueKind};

/// Where diagnostics are gathered.
#[derive(Default)]
pub(crate) struct Sink(RefCell<Vec<Diagnostic>>);

impl Sink {
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    pub(crate) fn extend(&self, diagnostics: Vec<Diagnostic>) {
        self.0.borrow_mut().extend(diagnostics);
    }

    pub(crate) fn into_inner(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are so far, repetitions included.
    pub(crate) fn errors(&self) -> usize {
        self.0.borrow().iter().filter(|diagnostic| diagnostic.is_error()).count()
    }
}

/// One table that is being read. `what` names it in messages: "a gate".
pub(crate) struct Shape<'a> {
    pub(crate) table: &'a Table,
    pub(crate) location: &'a Location,
    what: &'static str,
    known: RefCell<Vec<&'static str>>,
    sink: &'a Sink,
}

impl<'a> Shape<'a> {
    /// Nothing, with a diagnostic, when the value is no table.
    pub(crate) fn of(value: &'a Value, what: &'static str, sink: &'a Sink) -> Option<Self> {
        let Some(table) = value.as_table() else {
            sink.push(wrong_type(value, "a table"));
            return None;
        };
        let known = RefCell::default();
        Some(Self { table, location: &value.location, what, known, sink })
    }

    /// The entry of a key that may be absent; it counts as known from now on.
    pub(crate) fn optional(&self, key: &'static str) -> Option<&'a Entry> {
        self.known.borrow_mut().push(key);
        self.table.entry(key)
    }

    /// The value of a key that has to be there.
    pub(crate) fn required(&self, key: &'static str) -> Option<&'a Value> {
        let entry = self.optional(key);
        if entry.is_none() {
            self.missing(&format!("`{key}`"));
        }
        entry.map(|entry| &entry.value)
    }

    /// Reports that `keys`, already quoted, are missing.
    pub(crate) fn missing(&self, keys: &str) {
        let message = format!("{} lacks {keys}", self.what);
        self.sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(self.location));
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(&self) {
        let mut known = self.known.borrow().clone();
        known.sort_unstable();
        known.dedup();
        for entry in self.table.entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            let message = format!("{} has no key `{}`", self.what, entry.key);
            let help = suggestion(&entry.key, known.iter().copied());
            self.sink.push(
                Diagnostic::error(codes::UNKNOWN_KEY, message)
                    .at(&entry.key_location)
                    .help_if(help),
            );
        }
    }

    /// A text that has to be there and to say something.
    pub(crate) fn text(&self, key: &'static str) -> Option<Text> {
        self.text_of(self.required(key)?)
    }

    /// A text that may be absent.
    pub(crate) fn optional_text(&self, key: &'static str) -> Option<Text> {
        self.text_of(&self.optional(key)?.value)
    }

    fn text_of(&self, value: &Value) -> Option<Text> {
        let text = read_text(value, self.sink)?;
        if text.value.trim().is_empty() {
            let message = "this text has to say something".to_owned();
            self.sink.push(Diagnostic::error(codes::EMPTY, message).at(&text.location));
            return None;
        }
        Some(text)
    }

    /// An identifier that has to be there.
    pub(crate) fn id<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<(T, Location)> {
        let text = read_text(self.required(key)?, self.sink)?;
        parse_id(&text, self.sink).map(|id| (id, text.location))
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        parse_choice(&read_text(self.required(key)?, self.sink)?, words, self.sink)
    }

    /// A boolean; `false` when it is absent.
    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        match self.optional(key).map(|entry| &entry.value) {
            None => Some(false),
            Some(Value { kind: ValueKind::Boolean(flag), .. }) => Some(*flag),
            Some(other) => {
                self.sink.push(wrong_type(other, "a boolean"));
                None
            }
        }
    }

    /// A positive duration.
    pub(crate) fn duration(&self, key: &'static str) -> Option<Duration> {
        parse_duration(&read_text(self.required(key)?, self.sink)?, self.sink)
    }

    /// A list of texts; empty when it is absent.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<Text> {
        self.list(key).iter().filter_map(|item| read_text(item, self.sink)).collect()
    }

    /// A list, as of `[[tables]]`; empty when it is absent.
    pub(crate) fn list(&self, key: &'static str) -> &'a [Value] {
        let Some(entry) = self.optional(key) else { return &[] };
        entry.value.as_list().unwrap_or_else(|| {
            self.sink.push(wrong_type(&entry.value, "a list"));
            &[]
        })
    }

    /// The entries of a table of tables; empty when it is absent.
    pub(crate) fn entries(&self, key: &'static str) -> &'a [Entry] {
        let Some(entry) = self.optional(key) else { return &[] };
        match entry.value.as_table() {
            Some(table) => &table.entries,
            None => {
                self.sink.push(wrong_type(&entry.value, "a table"));
                &[]
            }
        }
    }

    /// A table that may be absent.
    pub(crate) fn optional_table(&self, key: &'static str) -> Option<&'a Value> {
        let value = &self.optional(key)?.value;
        if value.as_table().is_none() {
            self.sink.push(wrong_type(value, "a table"));
            return None;
        }
        Some(value)
    }
}

/// Reports that a value has another type than is needed.
pub(crate) fn wrong_type(value: &Value, expected: &str) -> Diagnostic {
    let message = format!("expected {expected}, found {}", value.kind.describe());
    Diagnostic::error(codes::WRONG_TYPE, message).at(&value.location)
}

pub(crate) fn read_text(value: &Value, sink: &Sink) -> Option<Text> {
    match value.as_text() {
        Some(text) => Some(Text { value: text.to_owned(), location: value.location.clone() }),
        None => {
            sink.push(wrong_type(value, "a text"));
            None
        }
    }
}

pub(crate) fn parse_id<T: FromStr<Err: Display>>(text: &Text, sink: &Sink) -> Option<T> {
    match text.value.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            let error: T::Err = error;
            sink.push(Diagnostic::error(codes::BAD_ID, error.to_string()).at(&text.location));
            None
        }
    }
}

pub(crate) fn parse_choice<T: Copy>(
    text: &Text,
    words: &[(&'static str, T)],
    sink: &Sink,
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word);
        let message = format!("`{}` means nothing here", text.value);
        sink.push(
            Diagnostic::error(codes::BAD_VALUE, message)
                .at(&text.location)
                .help_if(suggestion(&text.value, known)),
        );
    }
    found.map(|(_, value)| *value)
}

/// A duration that is longer than no time.
pub(crate) fn parse_duration(text: &Text, sink: &Sink) -> Option<Duration> {
    let refuse = |message: String| {
        sink.push(Diagnostic::error(codes::BAD_TIME, message).at(&text.location));
        None
    };
    match text.value.parse::<Duration>() {
        Ok(length) if length.is_positive() => Some(length),
        Ok(length) => refuse(format!("a duration has to be positive, not {length}")),
        Err(error) => refuse(error.to_string()),
    }
}
