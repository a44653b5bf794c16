use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// The labels that identify a series: pairs of name and value, sorted by name, cheap to clone.
///
/// A label with an empty value is the same as no label, as everywhere in Prometheus.
// One allocation: the number of pairs, then for each text its length and the text. Numbers are
// written in 6 bits per character of ASCII, so that the whole is a `str` and needs no check when
// it is taken apart. Equal labels have equal texts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// No labels at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_sorted(std::iter::empty())
    }

    /// Labels from pairs in any order; pairs with an empty value are left out, and of two pairs
    /// with the same name the later one counts.
    #[must_use]
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let sorted: std::collections::BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::from_sorted(sorted.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Labels from pairs whose names strictly increase.
    fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let pairs = pairs.filter(|(_, value)| !value.is_empty());
        let length: usize = pairs.clone().map(|(n, v)| n.len() + v.len() + 4).sum();
        let mut text = String::with_capacity(length + 2);
        put_number(&mut text, pairs.clone().count());
        for (name, value) in pairs {
            put_number(&mut text, name.len());
            text.push_str(name);
            put_number(&mut text, value.len());
            text.push_str(value);
        }
        Self(Arc::from(text))
    }

    /// The labels of both; no name may be in both.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        Self::from_sorted(Merged { one: self.pairs(), other: other.pairs() })
    }

    /// The labels of the metric `name` with further `pairs`.
    #[must_use]
    pub fn metric(name: &str, pairs: &[(&str, &str)]) -> Self {
        Self::from_pairs(std::iter::once((METRIC_NAME, name)).chain(pairs.iter().copied()))
    }

    /// The value of the label `name`; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.pairs().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The metric name; empty when there is none.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    fn pairs(&self) -> Pairs<'_> {
        let mut pairs = Pairs { rest: &self.0, left: 0 };
        pairs.left = pairs.number();
        pairs
    }

    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs()
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs().left
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These labels with `name` set to `value`; an empty value removes the label.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<(&str, &str)> = self.pairs().filter(|(key, _)| *key != name).collect();
        let at = pairs.partition_point(|(key, _)| *key < name);
        pairs.insert(at, (name, value));
        Self::from_sorted(pairs.into_iter())
    }

    /// Only the labels whose names `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept: Vec<(&str, &str)> = self.pairs().filter(|(name, _)| keep(name)).collect();
        if kept.len() == self.len() {
            return self.clone();
        }
        Self::from_sorted(kept.into_iter())
    }
}

fn put_number(text: &mut String, mut number: usize) {
    while number >= 64 {
        text.push((64 + (number % 64) as u8) as char);
        number /= 64;
    }
    text.push(number as u8 as char);
}

/// Takes labels apart.
#[derive(Clone)]
struct Pairs<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Pairs<'a> {
    fn number(&mut self) -> usize {
        let (mut number, mut shift, mut length) = (0, 0, 0);
        for byte in self.rest.bytes() {
            number |= usize::from(byte & 63) << shift;
            shift += 6;
            length += 1;
            if byte < 64 {
                break;
            }
        }
        self.rest = &self.rest[length..];
        number
    }

    fn text(&mut self) -> &'a str {
        let length = self.number();
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.text(), self.text()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// The pairs of two sets of labels in the order of their names.
#[derive(Clone)]
struct Merged<'a> {
    one: Pairs<'a>,
    other: Pairs<'a>,
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut one, mut other) = (self.one.clone(), self.other.clone());
        match (one.next(), other.next()) {
            (Some(a), Some(b)) if b.0 < a.0 => {
                self.other = other;
                Some(b)
            }
            (None, Some(b)) => {
                self.other = other;
                Some(b)
            }
            (a, _) => {
                self.one = one;
                a
            }
        }
    }
}

impl Ord for Labels {
    /// Pair by pair: first the name, then the value.
    fn cmp(&self, other: &Self) -> Ordering {
        self.pairs().cmp(other.pairs())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labels({self})")
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
    fn pairs_of_any_text_and_length_are_kept() {
        let long = "x".repeat(70_000);
        let pairs = [("a", "é\u{0}b"), ("b", long.as_str()), ("job", "1")];
        let labels = Labels::from_pairs(pairs);
        assert_eq!(labels.iter().collect::<Vec<_>>(), pairs);
        assert_eq!((labels.len(), labels.get("b").len(), labels.get("z")), (3, 70_000, ""));
        assert!(Labels::empty().is_empty());
    }

    #[test]
    fn labels_are_ordered_pair_by_pair() {
        let sorted = [
            Labels::empty(),
            Labels::from_pairs([("a", "1")]),
            Labels::from_pairs([("a", "1"), ("b", "1")]),
            Labels::from_pairs([("a", "10")]),
            Labels::from_pairs([("a", "2")]),
            Labels::from_pairs([("aa", "1")]),
        ];
        assert!(sorted.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn merging_keeps_the_order() {
        let (one, other) =
            (Labels::metric("up", &[("z", "1")]), Labels::from_pairs([("job", "n")]));
        let both = Labels::metric("up", &[("job", "n"), ("z", "1")]);
        assert_eq!((one.merged(&other), other.merged(&one)), (both.clone(), both.clone()));
        assert_eq!(both.merged(&Labels::empty()), both);
    }

    #[test]
    fn display_is_the_promql_form() {
        assert_eq!(Labels::metric("up", &[("job", "a\"b")]).to_string(), "up{job=\"a\\\"b\"}");
        assert_eq!(Labels::metric("up", &[]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }
}
