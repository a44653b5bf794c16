/// Why a text is not a query that this crate evaluates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not PromQL.
    #[error("`{query}` is not PromQL: {reason}{}", at(*place))]
    Syntax {
        /// The text, shortened.
        query: String,
        /// What is wrong.
        reason: String,
        /// Where it is wrong, where that is known.
        place: Option<Place>,
    },
    /// The text is PromQL, but uses something that is not supported here.
    #[error("`{query}` uses {construct}, which is not supported here{}", at(*place))]
    Unsupported {
        /// The text, shortened.
        query: String,
        /// What is not supported, in words.
        construct: String,
        /// Where it stands: bytes from the beginning of the text, where that is known.
        position: Option<usize>,
        /// The same place by line and column.
        place: Option<Place>,
    },
    /// A subquery leaves its step to the server, whose setting would change the result.
    #[error("`{query}` has a subquery without a step: write it, such as `[1h:1m]`")]
    SubqueryWithoutStep {
        /// The text, shortened.
        query: String,
    },
    /// The text is longer, or nested deeper, than any query that people write.
    #[error(
        "`{query}` is too long or nested too deeply: at most {length_max} bytes and {depth_max} levels"
    )]
    TooLarge {
        /// The text, shortened.
        query: String,
        /// The longest text that is taken, in bytes.
        length_max: usize,
        /// The deepest nesting that is taken.
        depth_max: usize,
    },
}

/// A place in the text of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the beginning of the text.
    pub offset: usize,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in that line, counted from 1.
    pub column: usize,
}

impl Place {
    /// The place of the byte at `offset`; beyond the end, the end.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            offset,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The line of `text`, and below it a caret at the place.
    #[must_use]
    pub fn pointed_out(&self, text: &str) -> String {
        let line = text.lines().nth(self.line - 1).unwrap_or_default();
        format!("{line}\n{}^", " ".repeat(self.column - 1))
    }
}

impl QueryError {
    /// Where in the text it is, where that is known.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. } | Self::Unsupported { place, .. } => *place,
            Self::SubqueryWithoutStep { .. } | Self::TooLarge { .. } => None,
        }
    }
}

fn at(place: Option<Place>) -> String {
    place.map_or_else(String::new, |p| format!(" (line {}, column {})", p.line, p.column))
}

/// Why a query has no result. This is never the same as an empty result.
#[derive(Debug, thiserror::Error)]
#[error("`{query}` could not be evaluated: {failure}")]
pub struct EvalError {
    /// The text of the query.
    pub query: String,
    /// What went wrong; the message holds it already.
    pub failure: Failure,
}

impl EvalError {
    pub(crate) fn new(query: &crate::query::Query, failure: Failure) -> Self {
        Self { query: query.text().to_owned(), failure }
    }
}

/// What went wrong in an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The samples could not be read.
    #[error(transparent)]
    Source(#[from] samples::SourceError),
    /// More samples than allowed would be held at once.
    #[error("it needs more than {limit} samples: shorten the range, or lengthen the step")]
    TooManySamples {
        /// [`Limits::max_samples`](crate::Limits::max_samples).
        limit: u64,
    },
    /// The range has more steps than allowed.
    #[error("{steps} steps are more than {limit}: shorten the range, or lengthen the step")]
    TooManySteps {
        /// The steps asked for.
        steps: u64,
        /// [`Limits::max_steps`](crate::Limits::max_steps).
        limit: u64,
    },
    /// The caller withdrew the query.
    #[error("it was cancelled")]
    Cancelled,
    /// The time that the caller gave it was up.
    #[error("it took too long: shorten the range, lengthen the step, or allow it more time")]
    OutOfTime,
    /// The step is not positive, or the end comes before the start.
    #[error("the range is empty: the step must be positive and the end not before the start")]
    EmptyRange,
    /// Only scalars and vectors can be evaluated over a range.
    #[error("a query over a range must give numbers, not {0}")]
    NotARangeQuery(&'static str),
    /// Two series of the result have the same labels at the same time.
    #[error("two series of the result have the same labels {labels}")]
    DuplicateSeries {
        /// The labels.
        labels: String,
    },
    /// The two sides of a binary operator do not match one to one, or one to many as stated.
    #[error("{reason} for the labels {labels}")]
    Matching {
        /// What is ambiguous.
        reason: &'static str,
        /// The labels of the group.
        labels: String,
    },
    /// A text that should be the name of a label is none.
    #[error("`{0}` is not a label name")]
    LabelName(String),
    /// A parameter of a function or aggregation cannot be used.
    #[error("{0}")]
    Parameter(String),
}
