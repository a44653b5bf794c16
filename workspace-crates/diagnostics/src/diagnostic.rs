use crate::Location;

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The definitions cannot be used.
    Error,
    /// The definitions can be used, but probably do not mean what they say.
    Warning,
}

impl Severity {
    /// The word that the renderings use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A second place that belongs to a diagnostic, with what is to be seen there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub location: Location,
    /// What is there, in a few words.
    pub text: String,
}

/// One thing that is wrong: what happened, where, and how to cure it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable code of [`crate::CODES`], such as `PG0201`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where it is wrong; nothing when no file is to blame, as with a command line option.
    pub primary: Option<Location>,
    /// A few words that stand beside the primary location.
    pub primary_text: Option<String>,
    /// Other places that belong to it, in the order in which they were added.
    pub labels: Vec<Label>,
    /// How to cure it.
    pub help: Option<String>,
    /// What else is worth knowing, such as the phase in which the value is used.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// An error with a code of [`crate::codes`].
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    /// A warning with a code of [`crate::codes`].
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            primary: None,
            primary_text: None,
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, location: &Location) -> Self {
        self.primary = Some(location.clone());
        self
    }

    /// The same, at a place, with a few words beside it.
    #[must_use]
    pub fn at_with(mut self, location: &Location, text: impl Into<String>) -> Self {
        self.primary_text = Some(text.into());
        self.at(location)
    }

    /// The same, with a second place.
    #[must_use]
    pub fn label(mut self, location: &Location, text: impl Into<String>) -> Self {
        self.labels.push(Label { location: location.clone(), text: text.into() });
        self
    }

    /// The same, with its cure.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The same, with its cure when there is one.
    #[must_use]
    pub fn help_if(self, text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    /// The same, with one more remark.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Whether the definitions cannot be used because of this.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether any of them is an error.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// Puts diagnostics into the order of reports (file, offset, code, message; those without a place
/// first) and drops those that say the same about the same place: a stage that several phases use
/// is reported once.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (&a.primary, a.code, &a.message, &a.notes).cmp(&(&b.primary, b.code, &b.message, &b.notes))
    });
    diagnostics.dedup_by(|later, first| {
        later.code == first.code
            && later.primary == first.primary
            && later.message == first.message
            && later.primary.is_some()
    });
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, has_errors, sort};
    use crate::{Location, codes};

    #[test]
    fn order_is_file_offset_code_and_repetitions_go() {
        let at = |file: &str, start| {
            Diagnostic::error(codes::UNKNOWN_KEY, "m").at(&Location::new(file, start, start + 1))
        };
        let mut list = vec![
            at("b", 1),
            at("a", 9),
            at("a", 2).note("in phase `x`"),
            at("a", 2).note("in phase `y`"),
            Diagnostic::warning(codes::SYNTAX, "no place"),
        ];
        sort(&mut list);
        let places: Vec<_> = list
            .iter()
            .map(|d| d.primary.as_ref().map(|l| (l.file.to_string(), l.start)))
            .collect();
        let place = |file: &str, start| Some((file.to_owned(), start));
        assert_eq!(places, [None, place("a", 2), place("a", 9), place("b", 1)]);
        assert_eq!(list[1].notes, ["in phase `x`"]);
    }

    #[test]
    fn warnings_are_no_errors() {
        assert!(!has_errors(&[Diagnostic::warning(codes::SYNTAX, "m")]));
        assert!(has_errors(&[Diagnostic::error(codes::SYNTAX, "m")]));
    }
}
