//! The lines of the Prometheus text format and of OpenMetrics.

use super::LABELS_MAX;
use super::exposition::{Dialect, MetricKind};
use super::line::LineReason;
use super::number::{milliseconds, number, plain, seconds_as_ms};
use crate::{Labels, METRIC_NAME};

/// A line without what ends it.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing, or a comment that says nothing.
    Blank,
    /// `# EOF`.
    End,
    /// What a comment says about a metric family.
    About { family: String, fact: Fact },
    /// A sample: what names the series, up to the value, and what follows it.
    Sample { prefix: &'a [u8], tail: &'a [u8] },
}

/// What a comment says about a metric family.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Help(String),
    Kind(MetricKind),
    Unit(String),
}

/// What follows the name and the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tail {
    pub(super) value: f64,
    pub(super) t_ms: Option<i64>,
    pub(super) has_exemplar: bool,
}

pub(super) fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Takes a line apart; `line` has neither a line feed nor the carriage return before it.
pub(super) fn read_line(line: &[u8], dialect: Dialect) -> Result<Line<'_>, LineReason> {
    let line = line.trim_ascii_start();
    match line.first() {
        None if dialect == Dialect::OpenMetrics => Err(LineReason::Empty),
        None => Ok(Line::Blank),
        Some(b'#') => read_comment(line, dialect),
        Some(_) => {
            let (prefix, tail) = line.split_at(value_start(line)?);
            Ok(Line::Sample { prefix, tail })
        }
    }
}

fn read_comment(line: &[u8], dialect: Dialect) -> Result<Line<'_>, LineReason> {
    let strict = dialect == Dialect::OpenMetrics;
    if strict && line == b"# EOF" {
        return Ok(Line::End);
    }
    let text = std::str::from_utf8(line).map_err(|_| LineReason::Utf8)?;
    let mut rest = text[1..].trim_start();
    let word = next_word(&mut rest);
    if !(matches!(word, "HELP" | "TYPE") || word == "UNIT" && strict) {
        return if strict { Err(LineReason::Comment) } else { Ok(Line::Blank) };
    }
    let (family, rest) = family_name(rest).ok_or(LineReason::Comment)?;
    let said = rest.trim();
    let fact = match word {
        "TYPE" => Fact::Kind(MetricKind::from_word(said).ok_or(LineReason::Comment)?),
        "UNIT" => Fact::Unit(said.to_owned()),
        _ => Fact::Help(unescaped(said, strict)),
    };
    Ok(Line::About { family, fact })
}

fn next_word<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find([' ', '\t']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start();
    word
}

/// A family's name, quoted when it is none of the old form.
fn family_name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = unquote(quoted)?;
        return (!name.is_empty()).then_some((name, rest));
    }
    let (name, rest) = split_name(text, true)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| (name.to_owned(), rest))
}

/// Where the value begins: after the name, the labels and blanks.
pub(super) fn value_start(line: &[u8]) -> Result<usize, LineReason> {
    let name = line.iter().position(|b| is_blank(b) || *b == b'{').unwrap_or(line.len());
    let mut at = skip_blanks(line, name);
    if line.get(at) == Some(&b'{') {
        at += 1 + closing_brace(&line[at + 1..]).ok_or(LineReason::Labels)?;
        at = skip_blanks(line, at);
    }
    Ok(at)
}

fn skip_blanks(line: &[u8], at: usize) -> usize {
    at + line[at..].iter().take_while(|byte| is_blank(byte)).count()
}

/// The length up to and with the brace that closes the labels; braces in quotes do not count.
fn closing_brace(inside: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The labels that a prefix names.
pub(super) fn read_labels(prefix: &[u8]) -> Result<Labels, LineReason> {
    let text = std::str::from_utf8(prefix).map_err(|_| LineReason::Utf8)?;
    let (name, rest) = match split_name(text, true) {
        Some((name, rest)) => (Some(name.to_owned()), rest),
        None => (None, text),
    };
    let rest = rest.trim_start();
    let mut read = Read { name, pairs: Vec::new() };
    if let Some(inside) = rest.strip_prefix('{') {
        read.all(inside)?;
    } else if !rest.is_empty() {
        return Err(LineReason::Name);
    }
    let name = read.name.ok_or(LineReason::Name)?;
    if read.pairs.iter().any(|(known, _)| known == METRIC_NAME) {
        return Err(LineReason::TwiceLabel);
    }
    read.pairs.push((METRIC_NAME.to_owned(), name));
    Ok(Labels::from_pairs(read.pairs))
}

/// What has been read of a series' name and labels.
struct Read {
    name: Option<String>,
    pairs: Vec<(String, String)>,
}

impl Read {
    /// Reads `name="value",…}`.
    fn all(&mut self, mut rest: &str) -> Result<(), LineReason> {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                let over = after.trim_start().is_empty();
                return if over { Ok(()) } else { Err(LineReason::Labels) };
            }
            rest = self.one(rest)?.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.starts_with('}') => {}
                None => return Err(LineReason::Labels),
            }
        }
    }

    /// Reads a label, or the metric's name in quotes, and gives what follows.
    fn one<'a>(&mut self, text: &'a str) -> Result<&'a str, LineReason> {
        let (name, after) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or(LineReason::Labels)?,
            None => {
                let (name, after) = split_name(text, false).ok_or(LineReason::Labels)?;
                (name.to_owned(), after)
            }
        };
        if name.is_empty() {
            return Err(LineReason::Labels);
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            // Only the metric's name stands alone, in quotes and once.
            if !text.starts_with('"') || self.name.is_some() {
                return Err(LineReason::Labels);
            }
            self.name = Some(name);
            return Ok(after);
        };
        let quoted = value.trim_start().strip_prefix('"').ok_or(LineReason::Labels)?;
        let (value, after) = unquote(quoted).ok_or(LineReason::Labels)?;
        if self.pairs.iter().any(|(known, _)| *known == name) {
            return Err(LineReason::TwiceLabel);
        }
        if self.pairs.len() == LABELS_MAX {
            return Err(LineReason::ManyLabels);
        }
        self.pairs.push((name, value));
        Ok(after)
    }
}

/// Splits a leading metric or label name of the old form off; only metric names hold colons.
pub(super) fn split_name(text: &str, metric: bool) -> Option<(&str, &str)> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
}

/// Reads up to the closing quote and gives what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    Some((unescaped(&text[..end], true), &text[end + 1..]))
}

/// Resolves escapes. Those that the formats do not define stay as they are, as in Prometheus.
fn unescaped(text: &str, quotes: bool) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') if quotes => plain.push('"'),
            other => {
                plain.push('\\');
                plain.extend(other);
            }
        }
    }
    plain
}

/// Reads value, timestamp and exemplar, of which only the value must be there.
pub(super) fn read_tail(tail: &[u8], dialect: Dialect) -> Result<Tail, LineReason> {
    let mut rest = tail;
    let value = match plain(tail) {
        Some((value, end)) => {
            rest = &tail[end..];
            value
        }
        _ => number(next_token(&mut rest)).ok_or(LineReason::Value)?,
    };
    let mut read = Tail { value, t_ms: None, has_exemplar: false };
    let open_metrics = dialect == Dialect::OpenMetrics;
    rest = rest.trim_ascii_start();
    let is_exemplar = |rest: &[u8]| open_metrics && rest.first() == Some(&b'#');
    if !rest.is_empty() && !is_exemplar(rest) {
        let token = next_token(&mut rest);
        let t_ms = if open_metrics { seconds_as_ms(token) } else { milliseconds(token) };
        read.t_ms = Some(t_ms.ok_or(LineReason::Timestamp)?);
        rest = rest.trim_ascii_start();
    }
    if is_exemplar(rest) {
        check_exemplar(&rest[1..]).ok_or(LineReason::Exemplar)?;
        read.has_exemplar = true;
        rest = &[];
    }
    if rest.is_empty() { Ok(read) } else { Err(LineReason::Rest) }
}

/// Checks `{labels} value [timestamp]`.
fn check_exemplar(text: &[u8]) -> Option<()> {
    let inside = text.trim_ascii_start().strip_prefix(b"{")?;
    let mut rest = inside[closing_brace(inside)?..].trim_ascii_start();
    number(next_token(&mut rest))?;
    rest = rest.trim_ascii_start();
    if !rest.is_empty() {
        seconds_as_ms(next_token(&mut rest))?;
    }
    rest.trim_ascii_start().is_empty().then_some(())
}

fn next_token<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(is_blank).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    token
}

#[cfg(test)]
mod tests {
    use super::{Fact, Line, read_labels, read_line, read_tail};
    use crate::Labels;
    use crate::formats::exposition::{Dialect, MetricKind};
    use crate::formats::line::LineReason::{self, *};

    #[test]
    fn names_and_labels() {
        let check = |text: &str, expected: Result<&str, LineReason>| {
            let read = read_labels(text.as_bytes()).map(|labels| labels.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        };
        check("up", Ok("up"));
        check("a:b {x=\"1\" , y = \"2\",} ", Ok("a:b{x=\"1\", y=\"2\"}"));
        check("up{a=\"\"}", Ok("up"));
        check(r#"up{a="\\ \" \n \q"}"#, Ok(r#"up{a="\\ \" \n \\q"}"#));
        check(r#"{"my.name","x.y"="z"}"#, Ok(r#"my.name{x.y="z"}"#));
        check(r#"{a="b","my name"}"#, Ok(r#"my name{a="b"}"#));
        check(r#"up{"é"="}"}"#, Ok(r#"up{é="}"}"#));
        check("9up", Err(Name));
        check("{a=\"b\"}", Err(Name));
        check("{__name__=\"up\"}", Err(Name));
        check("up{__name__=\"down\"}", Err(TwiceLabel));
        check("up{\"down\"}", Err(Labels));
        check("up{a=\"b\",a=\"c\"}", Err(TwiceLabel));
        check("up{a}", Err(Labels));
        check("up{a=b}", Err(Labels));
        check("up{=\"b\"}", Err(Labels));
        check("up{\"\"=\"b\"}", Err(Labels));
        check("up{a=\"b\" c=\"d\"}", Err(Labels));
        check("up-time", Err(Name));
        let many: String = (0..200).map(|n| format!("l{n}=\"1\",")).collect();
        check(&format!("up{{{many}}}"), Err(ManyLabels));
        assert_eq!(read_labels(b"up{a=\"\xff\"}"), Err(Utf8));
    }

    #[test]
    fn what_follows_the_labels() {
        let check =
            |text: &str, dialect, expected: Result<(f64, Option<i64>, bool), LineReason>| {
                let tail = read_tail(text.as_bytes(), dialect);
                assert_eq!(tail.map(|t| (t.value, t.t_ms, t.has_exemplar)), expected, "{text}");
            };
        use Dialect::{OpenMetrics, Prometheus};
        check("1", Prometheus, Ok((1.0, None, false)));
        check("1.5e3  1700000000123 ", Prometheus, Ok((1_500.0, Some(1_700_000_000_123), false)));
        check("1 1700000000.5", Prometheus, Err(Timestamp));
        check("1 1700000000.5", OpenMetrics, Ok((1.0, Some(1_700_000_000_500), false)));
        check("1 # {id=\"}\"} 0.5", OpenMetrics, Ok((1.0, None, true)));
        check("1 2 # {} 0.5 3.5", OpenMetrics, Ok((1.0, Some(2_000), true)));
        check("1 # {} 0.5", Prometheus, Err(Timestamp));
        check("1 2 # {} 0.5", Prometheus, Err(Rest));
        check("1 # {id=\"a\" 0.5", OpenMetrics, Err(Exemplar));
        check("1 # {} x", OpenMetrics, Err(Exemplar));
        check("1 # {} 1 2 3", OpenMetrics, Err(Exemplar));
        check("1 2 3", OpenMetrics, Err(Rest));
        check("", Prometheus, Err(Value));
        check("one", Prometheus, Err(Value));
    }

    #[test]
    fn comments() {
        let read = |text: &'static str, dialect| read_line(text.as_bytes(), dialect);
        let about = |family: &str, fact| Ok(Line::About { family: family.to_owned(), fact });
        use Dialect::{OpenMetrics, Prometheus};
        for dialect in [OpenMetrics, Prometheus] {
            assert_eq!(
                read("# TYPE up gauge", dialect),
                about("up", Fact::Kind(MetricKind::Gauge))
            );
            assert_eq!(
                read("# HELP a:b It\\\\is\\n.", dialect),
                about("a:b", Fact::Help("It\\is\n.".to_owned()))
            );
            assert_eq!(
                read("# TYPE \"my.name\" counter", dialect),
                about("my.name", Fact::Kind(MetricKind::Counter))
            );
            assert_eq!(read("# TYPE up wheel", dialect), Err(Comment));
            assert_eq!(read("# TYPE", dialect), Err(Comment));
        }
        assert_eq!(read("# UNIT a seconds", OpenMetrics), about("a", Fact::Unit("seconds".into())));
        assert_eq!(read("# hello", Prometheus), Ok(Line::Blank));
        assert_eq!(read("# hello", OpenMetrics), Err(Comment));
        assert_eq!(read("# EOF", OpenMetrics), Ok(Line::End));
        assert_eq!(read("# EOF", Prometheus), Ok(Line::Blank));
        assert_eq!(read(" ", Prometheus), Ok(Line::Blank));
        assert_eq!(read("", OpenMetrics), Err(Empty));
        assert_eq!(read("up{a=\"b\" 1", Prometheus), Err(LineReason::Labels));
        assert_eq!(
            read("up {a=\"}\"} 1 2", Prometheus),
            Ok(Line::Sample { prefix: b"up {a=\"}\"} ", tail: b"1 2" })
        );
        assert_eq!(read_labels(b"up"), Ok(Labels::metric("up", &[])));
    }
}
