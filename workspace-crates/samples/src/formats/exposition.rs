//! Reads the Prometheus text format and OpenMetrics.
//!
//! [`parse`] is for a whole text, with or without times. For the scrapes of one target, see
//! [`Scraper`](super::Scraper).
//!
//! What Prometheus takes is taken: any number of blanks, carriage returns before line feeds, names
//! in quotes, escapes that no format defines (they stay as they are). Stricter than Prometheus: the
//! last line must end, because half a number is a number too, and a sample must not go back in
//! time. An answer in OpenMetrics must end with `# EOF`, or all of it is refused.

use std::collections::BTreeMap;

use memchr::memchr;

use super::syntax::{self, Fact, Line, Tail};
use super::{FormatError, LineErrors, LineReason};
use crate::{Labels, STALE_NAN};

/// The format of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The Prometheus text format 0.0.4: times in milliseconds, blank lines and free comments.
    Prometheus,
    /// OpenMetrics 1.0: times in seconds, exemplars, and `# EOF` as the last line.
    OpenMetrics,
}

impl Dialect {
    /// The format that an HTTP answer of this content type has.
    ///
    /// # Errors
    /// [`FormatError::ContentType`] for anything but the two text formats, such as protobuf.
    pub fn of_content_type(content_type: &str) -> Result<Self, FormatError> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Ok(Self::OpenMetrics),
            "text/plain" | "" => Ok(Self::Prometheus),
            _ => Err(FormatError::ContentType(content_type.chars().take(200).collect())),
        }
    }
}

/// What kind of metrics a family holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricKind {
    /// Not known, in the text format `untyped`.
    #[default]
    Unknown,
    /// A number that only grows, or starts again.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// Buckets that may also shrink.
    GaugeHistogram,
    /// Quantiles of observations.
    Summary,
    /// Text in labels, with the value 1.
    Info,
    /// A set of which each member is on or off.
    StateSet,
}

impl MetricKind {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "unknown" | "untyped" => Self::Unknown,
            _ => return None,
        })
    }
}

/// What comments say about a metric family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// The kind of its metrics.
    pub kind: MetricKind,
    /// The unit, such as `seconds`; often empty.
    pub unit: String,
    /// What the metrics mean, for people; often empty.
    pub help: String,
}

/// One sample of an exposition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The place of its series in [`Exposition::series`].
    pub series: usize,
    /// Its time in milliseconds since the Unix epoch, when the text gives one.
    pub t_ms: Option<i64>,
    /// Its value; every NaN is [`f64::NAN`].
    pub value: f64,
}

/// What an exposition says.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    /// The series, each once, in the order of their first sample.
    pub series: Vec<Labels>,
    /// The samples, in the order of the text; those of one series in increasing time.
    pub samples: Vec<Sample>,
    /// What comments say, by the name of the family.
    pub families: BTreeMap<String, Family>,
    /// How many exemplars were left out.
    pub exemplars: u64,
    /// The lines that were left out.
    pub errors: LineErrors,
}

impl Exposition {
    /// The last value of each of `series`, and the staleness marker for those that are absent: what
    /// a scrape of a target with these series gives.
    #[must_use]
    pub fn values_of(&self, series: &[Labels]) -> Vec<f64> {
        let places: BTreeMap<&Labels, usize> =
            self.series.iter().enumerate().map(|(place, labels)| (labels, place)).collect();
        let mut last = vec![STALE_NAN; self.series.len()];
        for sample in &self.samples {
            last[sample.series] = sample.value;
        }
        series.iter().map(|labels| places.get(labels).map_or(STALE_NAN, |at| last[*at])).collect()
    }
}

/// Reads an exposition. A line that is malformed is reported, and the rest kept.
///
/// A series may occur more than once only with later and later times; of samples at the same time,
/// or without one, the first is kept.
///
/// # Errors
/// When an OpenMetrics text does not end with `# EOF`, or goes on after it.
pub fn parse(text: &[u8], dialect: Dialect) -> Result<Exposition, FormatError> {
    let mut parser = Parser::default();
    let mut lines = Lines::new(text, dialect);
    while let Some((line, content)) = lines.next()? {
        let read = content.and_then(|content| parser.line(content, dialect));
        if let Err(reason) = read {
            parser.read.errors.push(line, reason, lines.current());
        }
    }
    lines.finish()?;
    parser.read.series = parser.index.into_series();
    Ok(parser.read)
}

#[derive(Debug, Default)]
struct Parser {
    read: Exposition,
    index: Index,
    /// The time of each series' last sample.
    last: Vec<Option<i64>>,
}

impl Parser {
    fn line(&mut self, line: Line<'_>, dialect: Dialect) -> Result<(), LineReason> {
        match line {
            Line::Blank | Line::End => Ok(()),
            Line::About { family, fact } => {
                let family = self.read.families.entry(family).or_default();
                match fact {
                    Fact::Help(help) => family.help = help,
                    Fact::Kind(kind) => family.kind = kind,
                    Fact::Unit(unit) => family.unit = unit,
                }
                Ok(())
            }
            Line::Sample { prefix, tail } => {
                let place = self.index.known(prefix);
                let labels =
                    if place.is_none() { Some(syntax::read_labels(prefix)?) } else { None };
                let tail = syntax::read_tail(tail, dialect)?;
                let place = match (place, labels) {
                    (Some(place), _) => place,
                    (None, Some(labels)) => self.index.add(prefix, labels),
                    (None, None) => return Err(LineReason::Labels),
                };
                self.sample(place as usize, tail)
            }
        }
    }

    fn sample(&mut self, series: usize, tail: Tail) -> Result<(), LineReason> {
        match self.last.get_mut(series) {
            None => self.last.push(tail.t_ms),
            Some(last) if tail.t_ms > *last => *last = tail.t_ms,
            Some(last) if tail.t_ms == *last => return Err(LineReason::TwiceSeries),
            Some(_) => return Err(LineReason::Backwards),
        }
        self.read.exemplars += u64::from(tail.has_exemplar);
        self.read.samples.push(Sample { series, t_ms: tail.t_ms, value: tail.value });
        Ok(())
    }
}

/// Spellings of series that are remembered in any case.
const SPELLINGS_MIN: usize = 64;

/// Numbers the series of a text, and knows how the text names them.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    series: Vec<Labels>,
    by_labels: BTreeMap<Labels, u32>,
    by_prefix: BTreeMap<Box<[u8]>, u32>,
    /// The prefix that was found last, and its series: samples of one series are often neighbours.
    last: (Vec<u8>, Option<u32>),
}

impl Index {
    /// The series that `prefix` has named before.
    pub(super) fn known(&mut self, prefix: &[u8]) -> Option<u32> {
        if self.last.1.is_none() || self.last.0 != prefix {
            let place = *self.by_prefix.get(prefix)?;
            self.last.0.clear();
            self.last.0.extend_from_slice(prefix);
            self.last.1 = Some(place);
        }
        self.last.1
    }

    /// Numbers the series that `prefix` names; it may be known under another prefix.
    pub(super) fn add(&mut self, prefix: &[u8], labels: Labels) -> u32 {
        let next = self.series.len() as u32;
        let place = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            self.series.push(labels.clone());
            next
        });
        // A target that spells its series anew each time must not fill the memory.
        if self.by_prefix.len() > 4 * self.series.len() + SPELLINGS_MIN {
            self.by_prefix.clear();
            self.last.1 = None;
        }
        self.by_prefix.insert(prefix.into(), place);
        place
    }

    pub(super) fn series(&self) -> &[Labels] {
        &self.series
    }

    fn into_series(self) -> Vec<Labels> {
        self.series
    }

    /// Keeps the series that `keep` accepts, in order, and gives the new place of each old one.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) -> Vec<Option<u32>> {
        let mut kept = 0;
        let places: Vec<Option<u32>> = (0..self.series.len())
            .map(|place| {
                let new = keep(place).then_some(kept);
                kept += u32::from(new.is_some());
                new
            })
            .collect();
        let renumber = |place: &mut u32| match places[*place as usize] {
            Some(new) => {
                *place = new;
                true
            }
            None => false,
        };
        self.by_labels.retain(|_, place| renumber(place));
        self.by_prefix.retain(|_, place| renumber(place));
        let mut old = places.iter();
        self.series.retain(|_| old.next().is_some_and(Option::is_some));
        self.last.1 = None;
        places
    }
}

/// The lines of a text, taken apart.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a [u8],
    dialect: Dialect,
    start: usize,
    at: usize,
    number: usize,
    current: &'a [u8],
    ended: bool,
}

/// A line's number, and what it says.
type Numbered<'a> = (usize, Result<Line<'a>, LineReason>);

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8], dialect: Dialect) -> Self {
        Self { text, dialect, start: 0, at: 0, number: 0, current: &[], ended: false }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        if self.ended { &[] } else { &self.text[self.at..] }
    }

    /// Passes a line that the caller has read by itself; `length` with its line feed.
    pub(super) fn skip(&mut self, length: usize) {
        self.at += length;
        self.number += 1;
    }

    /// The line that was read last, without its end.
    pub(super) fn current(&self) -> &'a [u8] {
        self.current
    }

    /// The line that was read last with its line feed; `None` when it has none.
    pub(super) fn current_whole(&self) -> Option<&'a [u8]> {
        let line = &self.text[self.start..self.at];
        line.ends_with(b"\n").then_some(line)
    }

    pub(super) fn next(&mut self) -> Result<Option<Numbered<'a>>, FormatError> {
        if self.at == self.text.len() {
            return Ok(None);
        }
        let rest = &self.text[self.at..];
        let end = memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        self.current = line.strip_suffix(b"\r").unwrap_or(line);
        self.start = self.at;
        self.at += (line.len() + 1).min(rest.len());
        self.number += 1;
        if self.ended {
            return Err(FormatError::AfterEnd { line: self.number });
        }
        let mut read = syntax::read_line(self.current, self.dialect);
        self.ended = matches!(read, Ok(Line::End));
        if end.is_none() && matches!(read, Ok(Line::Sample { .. })) {
            read = Err(LineReason::Unended);
        }
        Ok(Some((self.number, read)))
    }

    /// Checks that the text is whole.
    pub(super) fn finish(&self) -> Result<(), FormatError> {
        if self.dialect == Dialect::OpenMetrics && !self.ended {
            return Err(FormatError::Cut);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, MetricKind, parse};
    use crate::formats::{FormatError, LineReason};
    use crate::{Labels, is_stale};
    use proptest::prelude::*;

    fn shown(text: &str, dialect: Dialect) -> Vec<(String, Option<i64>, String)> {
        let read = parse(text.as_bytes(), dialect).unwrap();
        assert!(read.errors.is_empty(), "{}", read.errors);
        let line =
            |s: &super::Sample| (read.series[s.series].to_string(), s.t_ms, s.value.to_string());
        read.samples.iter().map(line).collect()
    }

    #[test]
    fn a_scrape_is_read_and_each_bad_line_is_reported() {
        let text = "# HELP up Whether.\n# TYPE up gauge\nup{job=\"a\"} 1\n\
            up {job=\"b\", path=\"C:\\\\x\\n\\\"y\\\"\",} 0 1700000000000\r\n\n\
            9bad 1\nup{job=\"c\" 1\nup{job=\"d\"} one\nup{job=\"e\"} 1 soon\n\
            up{job=\"f\"} 1 2 3\nup{job=\"g\",job=\"h\"} 1\nup{job=\"a\"} 5\n# TYPE up wheel\n\
            lag_seconds +Inf\nnothing NaN\nsmall 1e-3\nup{job=\"z\"}\nup{job=\"y\"} 12";
        let read = parse(text.as_bytes(), Dialect::Prometheus).unwrap();
        let values: Vec<String> = read
            .samples
            .iter()
            .map(|sample| format!("{} {}", read.series[sample.series], sample.value))
            .collect();
        assert_eq!(
            values,
            [
                "up{job=\"a\"} 1",
                "up{job=\"b\", path=\"C:\\\\x\\n\\\"y\\\"\"} 0",
                "lag_seconds inf",
                "nothing NaN",
                "small 0.001"
            ]
        );
        insta::assert_snapshot!(read.errors, @r#"
        line 6: no metric name: `9bad 1`
        line 7: malformed labels: `up{job="c" 1`
        line 8: no value, or a value that is no number: `up{job="d"} one`
        line 9: a timestamp that is no time: `up{job="e"} 1 soon`
        line 10: unexpected text after the sample: `up{job="f"} 1 2 3`
        line 11: a label occurs twice: `up{job="g",job="h"} 1`
        line 12: the same series occurs twice: `up{job="a"} 5`
        line 13: a malformed comment: `# TYPE up wheel`
        line 17: no value, or a value that is no number: `up{job="z"}`
        line 18: the last line does not end: the exposition may have been cut off: `up{job="y"} 12`
        "#);
        assert_eq!(read.families["up"].kind, MetricKind::Gauge);
        assert_eq!(read.families["up"].help, "Whether.");
    }

    #[test]
    fn openmetrics_is_read() {
        let text = "# TYPE http_seconds histogram\n# UNIT http_seconds seconds\n\
            http_seconds_bucket{le=\"1.0\"} 3 1.5 # {trace=\"}\"} 0.7 1.4\n\
            http_seconds_created 1.0\n{\"my.name\"} 1\n# EOF\n";
        assert_eq!(
            shown(text, Dialect::OpenMetrics),
            [
                ("http_seconds_bucket{le=\"1.0\"}".to_owned(), Some(1_500), "3".to_owned()),
                ("http_seconds_created".to_owned(), None, "1".to_owned()),
                ("my.name".to_owned(), None, "1".to_owned()),
            ]
        );
        let read = parse(text.as_bytes(), Dialect::OpenMetrics).unwrap();
        assert_eq!((read.exemplars, read.families["http_seconds"].unit.as_str()), (1, "seconds"));
    }

    #[test]
    fn what_is_cut_off_is_an_error_of_the_whole() {
        let whole = "up 1\nlag 25\n# EOF\n";
        for end in 0..whole.len() - 1 {
            let read = parse(&whole.as_bytes()[..end], Dialect::OpenMetrics);
            assert!(matches!(read, Err(FormatError::Cut)), "{end}");
        }
        assert!(parse(b"up 1\n# EOF", Dialect::OpenMetrics).is_ok());
        let error = parse(b"up 1\n# EOF\nup 2\n", Dialect::OpenMetrics).unwrap_err();
        assert_eq!(error.to_string(), "line 3 follows `# EOF`, which must be the last line");
        let read = parse(b"up 1\nlag 2", Dialect::Prometheus).unwrap();
        assert_eq!((read.samples.len(), read.errors.listed()[0].reason), (1, LineReason::Unended));
    }

    #[test]
    fn a_series_goes_on_only_in_later_times() {
        let text = b"up 1 10\nup 2 20\nup{a=\"\"} 3 20\nup 4 15\nup 5\nlag 1\nlag 2 5\n";
        let read = parse(text, Dialect::Prometheus).unwrap();
        let kept: Vec<_> = read.samples.iter().map(|s| (s.series, s.t_ms, s.value)).collect();
        let expected = [(0, Some(10), 1.0), (0, Some(20), 2.0), (1, None, 1.0), (1, Some(5), 2.0)];
        assert_eq!(kept, expected);
        let reasons: Vec<_> = read.errors.listed().iter().map(|e| e.reason).collect();
        use LineReason::{Backwards, TwiceSeries};
        assert_eq!(reasons, [TwiceSeries, Backwards, Backwards]);
    }

    #[test]
    fn bytes_that_are_no_text_cost_one_line() {
        let read = parse(b"up{a=\"\xff\"} 1\nlag 2\n# \xff\n", Dialect::Prometheus).unwrap();
        assert_eq!((read.samples.len(), read.errors.count()), (1, 2));
        assert!(read.errors.listed().iter().all(|e| e.reason == LineReason::Utf8));
    }

    #[test]
    fn absent_series_are_stale() {
        let read = parse(b"a 1\nb 2\n", Dialect::Prometheus).unwrap();
        let series = ["b", "c", "a"].map(|name| Labels::metric(name, &[]));
        let values = read.values_of(&series);
        assert_eq!((values[0], values[2]), (2.0, 1.0));
        assert!(is_stale(values[1]));
    }

    #[test]
    fn content_types() {
        let of = |text| Dialect::of_content_type(text).map_err(|error| error.to_string());
        assert_eq!(of("text/plain; version=0.0.4"), Ok(Dialect::Prometheus));
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(of(open), Ok(Dialect::OpenMetrics));
        assert_eq!(
            of("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily"),
            Err("the content type `application/vnd.google.protobuf; \
                 proto=io.prometheus.client.MetricFamily` is not supported: ask for `text/plain; \
                 version=0.0.4` or `application/openmetrics-text; version=1.0.0`"
                .to_owned())
        );
    }

    #[test]
    fn spellings_of_one_series_do_not_fill_the_memory() {
        let mut index = super::Index::default();
        for n in 0..10_000 {
            let prefix = format!("up{}", " ".repeat(n % 5_000));
            if index.known(prefix.as_bytes()).is_none() {
                assert_eq!(index.add(prefix.as_bytes(), Labels::metric("up", &[])), 0);
            }
        }
        assert!(index.by_prefix.len() <= super::SPELLINGS_MIN + 5);
        assert_eq!(index.series().len(), 1);
    }

    proptest! {
        #[test]
        fn every_line_is_a_sample_an_error_or_nothing(
            text in "([a-z{}=\",# \\\\\n0-9é]{0,40}\n){0,5}"
        ) {
            let read = parse(text.as_bytes(), Dialect::Prometheus).unwrap();
            let content = text.split('\n').map(str::trim);
            let content = content.filter(|l| !l.is_empty() && !l.starts_with('#')).count();
            let comments = text.split('\n').filter(|l| l.trim().starts_with('#')).count();
            let counted = read.samples.len() + read.errors.count() as usize;
            prop_assert!(counted >= content && counted <= content + comments);
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..200), open: bool) {
            let dialect = if open { Dialect::OpenMetrics } else { Dialect::Prometheus };
            let _ = parse(&text, dialect);
        }

        #[test]
        fn every_label_value_is_read_back(
            value in "\\PC{1,20}|[\n\"\\\\]{1,5}", name in "\\PC{1,10}", number in any::<f64>()
        ) {
            let escape = |text: &str| {
                text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
            };
            prop_assume!(name != "__name__" && name != "l");
            let (quoted, escaped) = (escape(&name), escape(&value));
            let text = format!("{{\"{quoted}\",l=\"{escaped}\",\"{quoted}\"=\"x\"}} {number}\n");
            let read = parse(text.as_bytes(), Dialect::Prometheus).unwrap();
            prop_assert!(read.errors.is_empty(), "{}", read.errors);
            prop_assert_eq!(&read.series[0], &Labels::metric(&name, &[("l", &value), (&name, "x")]));
            let value = read.samples[0].value;
            prop_assert!(value == number || number.is_nan());
        }
    }
}
