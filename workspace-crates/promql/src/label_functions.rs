//! Functions that change or compare labels.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use samples::{Labels, METRIC_NAME};

use crate::column::{self, ABSENT, Column};
use crate::error::Failure;
use crate::eval::mistyped;
use crate::number;

/// `label_replace`: the texts are destination, replacement, source and pattern.
pub(crate) fn replace(columns: Vec<Column>, texts: &[&str]) -> Result<Vec<Column>, Failure> {
    let [destination, replacement, source, pattern] = texts else {
        return Err(mistyped("a text"));
    };
    check_label_name(destination)?;
    let bad_pattern = |e: regex::Error| {
        Failure::Parameter(format!("`{pattern}` is not a usable regular expression: {e}"))
    };
    regex::Regex::new(pattern).map_err(bad_pattern)?;
    let pattern = regex::Regex::new(&format!("^(?s:{pattern})$")).map_err(bad_pattern)?;
    let replaced =
        columns.into_iter().map(|column| match pattern.captures(column.labels.get(source)) {
            None => column,
            Some(captures) => {
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                with_label(&column, destination, &value)
            }
        });
    column::merge(replaced.collect())
}

/// `label_join`: the texts are destination, separator and sources.
pub(crate) fn join(columns: Vec<Column>, texts: &[&str]) -> Result<Vec<Column>, Failure> {
    let [destination, separator, sources @ ..] = texts else {
        return Err(mistyped("a text"));
    };
    check_label_name(destination)?;
    sources.iter().try_for_each(|source| check_label_name(source))?;
    let joined = columns.into_iter().map(|column| {
        let values: Vec<&str> = sources.iter().map(|source| column.labels.get(source)).collect();
        with_label(&column, destination, &values.join(separator))
    });
    column::merge(joined.collect())
}

/// Each column once for each of `values`, with the value as label `name`, present at its steps.
pub(crate) fn split_by_value(
    columns: Vec<Column>,
    name: &str,
    values: &[f64],
) -> Result<Vec<Column>, Failure> {
    check_label_name(name)?;
    let distinct: BTreeMap<u64, f64> = values.iter().map(|v| (v.to_bits(), *v)).collect();
    let mut split = Vec::new();
    for column in columns {
        for value in distinct.values() {
            let mut labelled = with_label(&column, name, &number::metric_text(*value));
            let others = values.iter().map(|v| v.to_bits() != value.to_bits());
            let steps = labelled.values.iter_mut().zip(others);
            steps.filter(|(_, other)| *other).for_each(|(kept, _)| *kept = ABSENT);
            split.push(labelled);
        }
    }
    Ok(split)
}

/// A name that is set on purpose is not dropped at the end.
fn with_label(column: &Column, name: &str, value: &str) -> Column {
    Column {
        labels: column.labels.with(name, value),
        drops_name: column.drops_name && name != METRIC_NAME,
        values: column.values.clone(),
    }
}

fn check_label_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Failure::LabelName(name.to_owned()));
    }
    Ok(())
}

/// The order of `sort_by_label`: by the named labels as people order them, then by all labels.
pub(crate) fn compare(a: &Labels, b: &Labels, names: &[&str]) -> Ordering {
    names
        .iter()
        .map(|name| natural(a.get(name), b.get(name)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.cmp(b))
}

/// Runs of digits are compared as numbers: `node9` comes before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (head_a, rest_a) = chunk(a);
        let (head_b, rest_b) = chunk(b);
        let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
        let order = if number(head_a) && number(head_b) {
            let (one, other) = (head_a.trim_start_matches('0'), head_b.trim_start_matches('0'));
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        } else {
            head_a.cmp(head_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

fn chunk(text: &str) -> (&str, &str) {
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::natural;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn numbers_within_texts_are_compared_as_numbers() {
        let cases = [
            ("node9", "node10", Less),
            ("4m600", "4m5", Greater),
            ("1.11.3", "1.2.3", Greater),
            ("a", "a1", Less),
            ("x", "x", Equal),
            ("", "a", Less),
            ("99999999999999999999999", "100000000000000000000000", Less),
        ];
        for (a, b, expected) in cases {
            assert_eq!(natural(a, b), expected, "{a} {b}");
        }
    }
}
