//! Reads the Prometheus text exposition format, as a scrape returns it.

use std::collections::BTreeSet;

use crate::{Labels, METRIC_NAME};

/// A line that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineReason,
}

/// What is wrong with a line of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// The value is missing or no number.
    #[error("no value, or a value that is no number")]
    Value,
    /// The timestamp is no whole number of milliseconds.
    #[error("a timestamp that is no whole number of milliseconds")]
    Timestamp,
    /// Something follows the sample.
    #[error("unexpected text after the sample")]
    Rest,
    /// The same series occurred before.
    #[error("the same series occurs twice")]
    TwiceSeries,
}

/// The samples of an exposition, in its order, and the lines that were left out.
///
/// Comments, `HELP` and `TYPE` lines are skipped. Timestamps are checked and not used: a scrape has
/// one time. Of a series that occurs twice, the first sample is kept.
#[must_use]
pub fn parse(text: &str) -> (Vec<(Labels, f64)>, Vec<LineError>) {
    let (mut samples, mut errors) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = parse_line(line).and_then(|(labels, value)| {
            if seen.insert(labels.clone()) {
                Ok((labels, value))
            } else {
                Err(LineReason::TwiceSeries)
            }
        });
        match parsed {
            Ok(sample) => samples.push(sample),
            Err(reason) => errors.push(LineError { line: index + 1, reason }),
        }
    }
    (samples, errors)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

fn parse_line(line: &str) -> Result<(Labels, f64), LineReason> {
    let (name, rest) = split_name(line, true).ok_or(LineReason::Name)?;
    let mut pairs = vec![(METRIC_NAME.to_owned(), name.to_owned())];
    let mut rest = rest.trim_start_matches(is_blank);
    if let Some(inside) = rest.strip_prefix('{') {
        rest = parse_labels(inside, &mut pairs)?;
    }
    let mut fields = rest.split(is_blank).filter(|field| !field.is_empty());
    let value = fields.next().and_then(parse_value).ok_or(LineReason::Value)?;
    if let Some(timestamp) = fields.next() {
        timestamp.parse::<i64>().map_err(|_| LineReason::Timestamp)?;
    }
    if fields.next().is_some() {
        return Err(LineReason::Rest);
    }
    Ok((Labels::from_pairs(pairs), value))
}

/// Splits a leading metric or label name off; only metric names hold colons.
fn split_name(text: &str, metric: bool) -> Option<(&str, &str)> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

/// Reads `name="value",…}` and gives what follows the brace.
fn parse_labels<'a>(
    mut rest: &'a str,
    pairs: &mut Vec<(String, String)>,
) -> Result<&'a str, LineReason> {
    loop {
        rest = rest.trim_start_matches(is_blank);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = split_name(rest, false).ok_or(LineReason::Labels)?;
        let after = after.trim_start_matches(is_blank).strip_prefix('=');
        let after = after.map(|after| after.trim_start_matches(is_blank));
        let quoted = after.and_then(|after| after.strip_prefix('"')).ok_or(LineReason::Labels)?;
        let (value, after) = unquote(quoted).ok_or(LineReason::Labels)?;
        if pairs.iter().any(|(known, _)| known == name) {
            return Err(LineReason::TwiceLabel);
        }
        pairs.push((name.to_owned(), value));
        rest = after.trim_start_matches(is_blank);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(LineReason::Labels),
        }
    }
}

/// Reads up to the closing quote and gives what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    None
}

fn parse_value(text: &str) -> Option<f64> {
    // Rust also reads `infinity` and `nan` in any case, as Go does.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LineReason, parse};
    use crate::Labels;
    use proptest::prelude::*;

    #[test]
    fn a_scrape_is_read_and_each_bad_line_is_reported() {
        let text = "# HELP up Whether.\n# TYPE up gauge\nup{job=\"a\"} 1\n\
            up {job=\"b\", path=\"C:\\\\x\\n\\\"y\\\"\",} 0 1700000000000\r\n\n\
            9bad 1\nup{job=\"c\" 1\nup{job=\"d\"} one\nup{job=\"e\"} 1 soon\n\
            up{job=\"f\"} 1 2 3\nup{job=\"g\",job=\"h\"} 1\nup{job=\"a\"} 5\nup{job=\"i\\q\"} 1\n\
            lag_seconds +Inf\nnothing NaN\nsmall 1e-3\nup{job=\"z\"}";
        let (samples, errors) = parse(text);
        let mut read: Vec<(String, String)> =
            samples.iter().map(|(labels, value)| (labels.to_string(), value.to_string())).collect();
        read.sort();
        let expected = [
            ("lag_seconds", "inf"),
            ("nothing", "NaN"),
            ("small", "0.001"),
            ("up{job=\"a\"}", "1"),
            ("up{job=\"b\", path=\"C:\\\\x\\n\\\"y\\\"\"}", "0"),
        ];
        assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let reported: Vec<(usize, LineReason)> =
            errors.iter().map(|e| (e.line, e.reason)).collect();
        use LineReason::*;
        assert_eq!(
            reported,
            [
                (6, Name),
                (7, Labels),
                (8, Value),
                (9, Timestamp),
                (10, Rest),
                (11, TwiceLabel),
                (12, TwiceSeries),
                (13, Labels),
                (17, Value),
            ]
        );
    }

    proptest! {
        #[test]
        fn every_line_is_a_sample_an_error_or_nothing(text in "([a-z{}=\",# \\\\\n0-9é]{0,40}\n){0,5}") {
            let (samples, errors) = parse(&text);
            let content = text.split('\n').map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
            prop_assert_eq!(samples.len() + errors.len(), content.count());
        }

        #[test]
        fn every_label_value_is_read_back(value in "\\PC{1,20}|[\n\"\\\\]{1,5}", number in any::<f64>()) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let (samples, errors) = parse(&format!("m{{l=\"{escaped}\"}} {number}\n"));
            prop_assert!(errors.is_empty());
            prop_assert_eq!(&samples[0].0, &Labels::metric("m", &[("l", &value)]));
            prop_assert!(samples[0].1 == number || number.is_nan());
        }
    }
}
