//! The `.test` format: loads of series, and evaluations with what they are expected to give.

use std::collections::BTreeMap;
use std::sync::Arc;

use samples::{Labels, METRIC_NAME, STALE_NAN, Series};

pub enum Command {
    Clear,
    Load(Load),
    Eval(Case),
}

pub struct Load {
    pub step_ms: i64,
    /// Whether classic histograms are also to be loaded as native ones.
    pub with_native: bool,
    pub series: Vec<(Labels, Vec<Entry>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    Gap,
    Number(f64),
    /// A native histogram, which this evaluator does not have.
    Histogram,
}

pub enum At {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

pub struct Case {
    pub line: usize,
    pub at: At,
    pub query: String,
    pub fails: bool,
    /// What the failure says, in the words of Prometheus.
    pub failure: Option<String>,
    pub remarks: Vec<Remark>,
    pub ordered: bool,
    pub text: Option<String>,
    /// The times of an expected range vector: start, end, step.
    pub range_vector: Option<(i64, i64, i64)>,
    pub scalar: Option<f64>,
    pub series: Vec<(Labels, Vec<Entry>)>,
}

/// What is expected of the remarks on a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Remark {
    NoWarning,
    NoInfo,
    /// A warning, with this text if it is stated.
    Warning(Option<String>),
    Info(Option<String>),
}

#[derive(Default)]
pub struct Storage {
    samples: BTreeMap<Labels, BTreeMap<i64, f64>>,
    names_with_histograms: std::collections::BTreeSet<String>,
}

impl Storage {
    pub fn load(&mut self, load: &Load) {
        for (labels, entries) in &load.series {
            if let (true, Some(name)) =
                (load.with_native, labels.metric_name().strip_suffix("_bucket"))
            {
                self.names_with_histograms.insert(name.to_owned());
            }
            let samples = self.samples.entry(labels.clone()).or_default();
            for (time, entry) in (0..).step_by(load.step_ms as usize).zip(entries) {
                match entry {
                    Entry::Number(value) => {
                        samples.insert(time, *value);
                    }
                    Entry::Histogram => {
                        self.names_with_histograms.insert(labels.metric_name().to_owned());
                    }
                    Entry::Gap => {}
                }
            }
        }
    }

    pub fn series(&self) -> Vec<Series> {
        let series = self.samples.iter().map(|(labels, samples)| {
            let (times, values): (Vec<i64>, Vec<f64>) =
                samples.iter().map(|(t, v)| (*t, *v)).unzip();
            Series::new(labels.clone(), Arc::new(times), values).unwrap()
        });
        series.collect()
    }

    pub fn has_histograms(&self) -> bool {
        !self.names_with_histograms.is_empty()
    }

    /// Whether the query may read native histograms.
    pub fn has_histograms_for(&self, query: &str) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut words = query.split(|c| !is_name(c));
        words.any(|word| self.names_with_histograms.contains(word))
    }
}

/// Parses a whole file. A comment ends a block, as an empty line does.
pub fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = at + 1;
        let head = lines[at];
        at += 1;
        let from = at;
        if head.is_empty() {
            continue;
        }
        if head == "clear" {
            commands.push(Command::Clear);
            continue;
        }
        while at < lines.len()
            && !lines[at].is_empty()
            && !lines[at].starts_with("eval")
            && lines[at] != "clear"
            && !lines[at].starts_with("load")
        {
            at += 1;
        }
        let block = &lines[from..at];
        if let Some(rest) = head.strip_prefix("load_with_nhcb ").or(head.strip_prefix("load ")) {
            let series = block.iter().filter_map(|line| series_line(line)).collect();
            let with_native = head.starts_with("load_with_nhcb");
            let step_ms = duration_ms(rest.trim());
            commands.push(Command::Load(Load { step_ms, with_native, series }));
        } else {
            commands.push(Command::Eval(case(line, head, block)));
        }
    }
    commands
}

fn case(line: usize, head: &str, block: &[&str]) -> Case {
    let mut words = head.splitn(3, ' ');
    let verb = words.next().unwrap();
    let kind = words.next().unwrap();
    let rest = words.next().unwrap();
    let (at, query) = match kind {
        "instant" => {
            let (time, query) = word(rest.strip_prefix("at ").unwrap());
            (At::Instant(duration_ms(time)), query)
        }
        _ => {
            let (start, rest) = word(rest.strip_prefix("from ").unwrap());
            let (end, rest) = word(rest.strip_prefix("to ").unwrap());
            let (step, query) = word(rest.strip_prefix("step ").unwrap());
            let (start_ms, end_ms) = (duration_ms(start), duration_ms(end));
            (At::Range { start_ms, end_ms, step_ms: duration_ms(step) }, query)
        }
    };
    let mut case = Case {
        line,
        at,
        query: query.to_owned(),
        fails: verb == "eval_fail",
        failure: None,
        remarks: Vec::new(),
        ordered: verb == "eval_ordered",
        text: None,
        range_vector: None,
        scalar: None,
        series: Vec::new(),
    };
    for line in block {
        expectation(line, &mut case);
    }
    case
}

fn expectation(line: &str, case: &mut Case) {
    if let Some(what) = line.strip_prefix("expect ") {
        let (kind, stated) = what.split_once(' ').unwrap_or((what, ""));
        let message = stated.trim().strip_prefix("msg:").map(|text| text.trim().to_owned());
        let remark = match kind {
            "no_warn" => Some(Remark::NoWarning),
            "no_info" => Some(Remark::NoInfo),
            "warn" => Some(Remark::Warning(message.clone())),
            "info" => Some(Remark::Info(message.clone())),
            _ => None,
        };
        case.remarks.extend(remark);
        if kind == "fail" {
            case.fails = true;
            case.failure = message;
        } else if what == "ordered" {
            case.ordered = true;
        } else if let Some(text) = what.strip_prefix("string ") {
            case.text = Some(text[1..text.len() - 1].to_owned());
        } else if let Some(range) = what.strip_prefix("range vector from ") {
            let words: Vec<&str> = range.split_whitespace().collect();
            let times = (duration_ms(words[0]), duration_ms(words[2]), duration_ms(words[4]));
            case.range_vector = Some(times);
        }
    } else if let Some(number) = number(line) {
        case.scalar = Some(number);
    } else if let Some(series) = series_line(line) {
        case.series.push(series);
    }
}

fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.trim_start().split_once(' ').unwrap();
    (word, rest.trim_start())
}

/// A duration, or a number of seconds.
pub fn duration_ms(text: &str) -> i64 {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds * 1_000.0) as i64;
    }
    let (mut total, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        let count: i64 = rest[..digits].parse().unwrap();
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += count
            * match &rest[..end] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 7 * 86_400_000,
                "y" => 365 * 86_400_000,
                unit => panic!("unit {unit} in {text}"),
            };
        rest = &rest[end..];
    }
    total
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Labels and entries; `None` for start timestamps, which are no samples.
fn series_line(line: &str) -> Option<(Labels, Vec<Entry>)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = label_pairs(inside, &mut pairs);
    }
    if rest.starts_with("@st") || name.ends_with("@st") {
        return None;
    }
    Some((Labels::from_pairs(pairs), entries(rest)))
}

fn label_pairs<'a>(mut rest: &'a str, pairs: &mut Vec<(String, String)>) -> &'a str {
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let (name, after) = if rest.starts_with(['"', '\'', '`']) {
            quoted(rest)
        } else {
            let end = rest.find(['=', ' ']).unwrap();
            (rest[..end].to_owned(), &rest[end..])
        };
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, after) = quoted(value.trim_start());
                pairs.push((name, value));
                rest = after;
            }
            None => {
                pairs.push((METRIC_NAME.to_owned(), name));
                rest = after;
            }
        }
    }
}

fn quoted(text: &str) -> (String, &str) {
    let quote = text.chars().next().unwrap();
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return (value, &text[at + c.len_utf8()..]);
        }
        if c == '\\' && quote != '`' {
            match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other => value.push(other),
            }
        } else {
            value.push(c);
        }
    }
    panic!("an open quote in {text}");
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            rest = histograms(rest, &mut entries);
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            sequence(&rest[..end], &mut entries);
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    entries
}

/// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`.
fn histograms<'a>(text: &'a str, entries: &mut Vec<Entry>) -> &'a str {
    let mut rest = &text[text.find("}}").unwrap() + 2..];
    if rest.starts_with(['+', '-']) && rest[1..].starts_with("{{") {
        rest = &rest[rest.find("}}").unwrap() + 2..];
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let repeats = rest[..end].strip_prefix('x').map_or(0, |n| n.parse().unwrap());
    entries.extend(std::iter::repeat_n(Entry::Histogram, repeats + 1));
    &rest[end..]
}

/// `_`, `_x3`, `stale`, `1`, `1x3`, `1+2x3`, `1-2x3`.
fn sequence(token: &str, entries: &mut Vec<Entry>) {
    let (base, repeats) = match token.rsplit_once('x') {
        Some((base, repeats)) => (base, repeats.parse::<usize>().unwrap()),
        None => (token, 0),
    };
    match base {
        "_" => entries.extend(std::iter::repeat_n(Entry::Gap, repeats.max(1))),
        "stale" => entries.extend(std::iter::repeat_n(Entry::Number(STALE_NAN), repeats + 1)),
        _ => {
            let (first, delta) = start_and_delta(base);
            let mut value = first;
            for _ in 0..=repeats {
                entries.push(Entry::Number(value));
                value += delta;
            }
        }
    }
}

fn start_and_delta(text: &str) -> (f64, f64) {
    if let Some(only) = number(text) {
        return (only, 0.0);
    }
    let split = (1..text.len()).find(|at| {
        text.as_bytes()[*at] == b'+' && number(&text[..*at]).is_some()
            || text.as_bytes()[*at] == b'-' && number(&text[..*at]).is_some()
    });
    let split = split.unwrap_or_else(|| panic!("{text}"));
    (number(&text[..split]).unwrap(), number(&text[split..]).unwrap())
}
