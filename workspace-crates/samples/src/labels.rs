use std::fmt;
use std::sync::Arc;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// The labels that identify a series: pairs of name and value, sorted by name, cheap to clone.
///
/// A label with an empty value is the same as no label, as everywhere in Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[(String, String)]>);

impl Labels {
    /// No labels at all.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(Vec::new()))
    }

    /// Labels from pairs in any order; pairs with an empty value are left out, and of two pairs
    /// with the same name the later one counts.
    #[must_use]
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let sorted: std::collections::BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The labels of the metric `name` with further `pairs`.
    #[must_use]
    pub fn metric(name: &str, pairs: &[(&str, &str)]) -> Self {
        Self::from_pairs(std::iter::once((METRIC_NAME, name)).chain(pairs.iter().copied()))
    }

    /// The value of the label `name`; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The metric name; empty when there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These labels with `name` set to `value`; an empty value removes the label.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain(std::iter::once((name, value))))
    }

    /// Only the labels whose names `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }
}

impl fmt::Display for Labels {
    /// Writes the PromQL form: `up{job="node"}`, or `{}` without labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        let others: Vec<String> = self
            .iter()
            .filter(|(key, _)| *key != METRIC_NAME)
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        if others.is_empty() && !name.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn order_and_empty_values_do_not_matter() {
        let one = Labels::from_pairs([("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(one, Labels::from_pairs([("a", "1"), ("b", "2")]));
        assert_eq!(one.get("c"), "");
        assert_eq!(one.with("b", "").to_string(), "{a=\"1\"}");
    }

    #[test]
    fn display_is_the_promql_form() {
        assert_eq!(Labels::metric("up", &[("job", "a\"b")]).to_string(), "up{job=\"a\\\"b\"}");
        assert_eq!(Labels::metric("up", &[]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }
}
