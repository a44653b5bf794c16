use crate::Labels;

/// A condition on one label of a series. A missing label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(regex::Regex),
    MatchesNot(regex::Regex),
}

/// A regular expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a usable regular expression: {reason}")]
pub struct MatcherError {
    pattern: String,
    reason: String,
}

impl Matcher {
    /// `name = value`.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), condition: Condition::Equal(value.to_owned()) }
    }

    /// `name != value`.
    #[must_use]
    pub fn not_equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), condition: Condition::NotEqual(value.to_owned()) }
    }

    /// `name =~ pattern`; the pattern must match the whole value.
    ///
    /// # Errors
    /// When the pattern is not a regular expression, or its automaton is too large.
    pub fn matches(name: &str, pattern: &str) -> Result<Self, MatcherError> {
        let condition = Condition::Matches(anchored(pattern)?);
        Ok(Self { name: name.to_owned(), condition })
    }

    /// `name !~ pattern`; the pattern must not match the whole value.
    ///
    /// # Errors
    /// As [`Matcher::matches`].
    pub fn matches_not(name: &str, pattern: &str) -> Result<Self, MatcherError> {
        let condition = Condition::MatchesNot(anchored(pattern)?);
        Ok(Self { name: name.to_owned(), condition })
    }

    /// The label that the condition is about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a label with `value` satisfies the condition.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match &self.condition {
            Condition::Equal(wanted) => wanted == value,
            Condition::NotEqual(unwanted) => unwanted != value,
            Condition::Matches(pattern) => pattern.is_match(value),
            Condition::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }

    /// Whether the series with these labels satisfies the condition.
    #[must_use]
    pub fn accepts_labels(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.name))
    }

    /// The value that the label must have exactly, if the condition says so.
    #[must_use]
    pub fn exact_value(&self) -> Option<&str> {
        match &self.condition {
            Condition::Equal(value) => Some(value),
            _ => None,
        }
    }
}

/// Prometheus anchors at both ends and lets `.` match line feeds.
fn anchored(pattern: &str) -> Result<regex::Regex, MatcherError> {
    let refuse = |e: regex::Error| MatcherError {
        pattern: pattern.chars().take(200).collect(),
        reason: e.to_string(),
    };
    // Compiled alone first: a pattern such as `)|(` must not break out of the anchors.
    regex::Regex::new(pattern).map_err(refuse)?;
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).build().map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::Matcher;

    #[test]
    fn regular_expressions_match_whole_values() {
        let matcher = Matcher::matches("job", "api|node.+").unwrap();
        assert!(matcher.accepts("api") && matcher.accepts("node-1"));
        assert!(!matcher.accepts("api-1") && !matcher.accepts("my-api") && !matcher.accepts(""));
        let not = Matcher::matches_not("job", "api").unwrap();
        assert!(not.accepts("api-1") && !not.accepts("api"));
    }

    #[test]
    fn a_pattern_cannot_break_out_of_its_anchors() {
        assert!(Matcher::matches("job", ")|(").is_err());
        assert!(Matcher::matches("job", "(").is_err());
        assert!(Matcher::matches("job", "((((a{1,100}){1,100}){1,100}){1,100})").is_err());
    }

    #[test]
    fn a_missing_label_has_the_empty_value() {
        let labels = crate::Labels::metric("up", &[]);
        assert!(Matcher::equal("job", "").accepts_labels(&labels));
        assert!(Matcher::not_equal("job", "x").accepts_labels(&labels));
    }
}
