use std::ops::Range;

use super::exposition::{Dialect, Index, Lines};
use super::number::plain;
use super::syntax::{self, Line, Tail};
use super::{FormatError, LineErrors, LineReason};
use crate::{Labels, METRIC_NAME, STALE_NAN};

/// The series that says whether a target answered.
const UP: &str = "up";

/// Reads the scrapes of one target.
///
/// Nearly every scrape has the lines of the one before, with other numbers. The scraper remembers
/// the lines, compares, and then parses only the numbers; any other line costs a full parse, once.
///
/// Each scrape gives one value for every series of the present [`Layout`], so that it can be
/// appended to one target of a [`Store`](crate::Store):
/// - the first series is `up` with the target's labels: 1, or 0 without a whole answer;
/// - a series that is absent gets [`STALE_NAN`], all of them when there is no whole answer;
/// - a series that was not there before begins a new layout, without the series that are absent.
///
/// A scrape has one time, so times in the text are checked and otherwise counted and ignored.
#[derive(Debug, Clone)]
pub struct Scraper {
    target: Labels,
    index: Index,
    template: Template,
    values: Vec<f64>,
    /// The number of the scrape in which each series was seen last.
    seen: Vec<u64>,
    scrapes: u64,
    /// Series of the layout that the caller knows; those after it are new in this scrape.
    layout: usize,
}

/// What one scrape gave.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// Whether the series are those of the scrape before.
    pub layout: Layout,
    /// The series, `up` first.
    pub series: &'a [Labels],
    /// A value for each of the series.
    pub values: &'a [f64],
    /// How many series of the layout got the staleness marker.
    pub absent: usize,
    /// How many samples had a time of their own, which was ignored.
    pub timestamps: u64,
    /// How many exemplars were left out.
    pub exemplars: u64,
    /// The lines that were left out.
    pub errors: LineErrors,
    /// Why the whole answer was refused.
    pub failure: Option<FormatError>,
}

/// How the series of a scrape relate to those of the scrape before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// They are the same, in the same order.
    Same,
    /// They are others: a new target begins. The one before, if there was one, ends with one more
    /// row of as many staleness markers as it has series.
    New {
        /// How many series the layout before had; 0 for the first.
        ended: usize,
    },
}

/// What is counted while a scrape is read.
#[derive(Debug, Default)]
struct Counts {
    timestamps: u64,
    exemplars: u64,
    errors: LineErrors,
}

impl Scraper {
    /// A scraper of the target with these labels, such as `job` and `instance`. They are added to
    /// each series; where the series has such a label itself, that one counts.
    #[must_use]
    pub fn new(target: Labels) -> Self {
        let mut index = Index::default();
        // No line has an empty prefix, so that `up` cannot be named by one.
        index.add(b"", target.with(METRIC_NAME, UP));
        Self {
            target,
            index,
            template: Template::default(),
            values: Vec::new(),
            seen: Vec::new(),
            scrapes: 0,
            layout: 0,
        }
    }

    /// Reads one scrape; `answer` is what the target said, `None` when it did not answer.
    pub fn scrape(&mut self, answer: Option<(&[u8], Dialect)>) -> Scrape<'_> {
        self.scrapes += 1;
        self.reset();
        let mut counts = Counts::default();
        let mut failure = None;
        if let Some((text, dialect)) = answer {
            self.values[0] = 1.0;
            if let Err(error) = self.read(text, dialect, &mut counts) {
                failure = Some(error);
                self.roll_back();
            }
        }
        let layout = self.settle();
        Scrape {
            layout,
            series: self.index.series(),
            values: &self.values,
            absent: self.seen.iter().filter(|seen| **seen != self.scrapes).count(),
            timestamps: counts.timestamps,
            exemplars: counts.exemplars,
            errors: counts.errors,
            failure,
        }
    }

    /// The series of the present layout.
    #[must_use]
    pub fn series(&self) -> &[Labels] {
        self.index.series()
    }

    fn reset(&mut self) {
        let series = self.index.series().len();
        self.values.clear();
        self.values.resize(series, STALE_NAN);
        self.seen.resize(series, 0);
        self.values[0] = 0.0;
        self.seen[0] = self.scrapes;
    }

    /// Forgets what a refused answer said.
    fn roll_back(&mut self) {
        // Before the first scrape the layout is `up` alone.
        let known = self.layout.max(1);
        self.index.retain(|place| place < known);
        self.seen.truncate(known);
        self.seen.iter_mut().filter(|seen| **seen == self.scrapes).for_each(|seen| *seen = 0);
        self.reset();
    }

    /// Begins a new layout when there are new series.
    fn settle(&mut self) -> Layout {
        if self.index.series().len() == self.layout {
            return Layout::Same;
        }
        let (seen, scrapes) = (std::mem::take(&mut self.seen), self.scrapes);
        let here = |place: usize| seen[place] == scrapes;
        if !(0..seen.len()).all(here) {
            let places = self.index.retain(here);
            self.template.renumber(&places);
            let mut place = 0;
            self.values.retain(|_| {
                place += 1;
                here(place - 1)
            });
        }
        self.seen = vec![scrapes; self.values.len()];
        let ended = std::mem::replace(&mut self.layout, self.values.len());
        Layout::New { ended }
    }

    fn read(
        &mut self,
        text: &[u8],
        dialect: Dialect,
        counts: &mut Counts,
    ) -> Result<(), FormatError> {
        let mut lines = Lines::new(text, dialect);
        let mut walk = Walk::default();
        loop {
            if let Some(length) = self.expected(lines.rest(), dialect, &mut walk, counts) {
                lines.skip(length);
                continue;
            }
            let Some((number, line)) = lines.next()? else { break };
            let place = line.and_then(|line| self.unexpected(line, dialect, counts));
            match place {
                Ok(Kept::Nothing) => {}
                Ok(Kept::Comment) => {
                    // Without its end, it could be the beginning of another line.
                    if let Some(comment) = lines.current_whole() {
                        self.template.note(&mut walk, comment, None);
                    }
                }
                Ok(Kept::Sample(prefix, place)) => {
                    self.template.note(&mut walk, prefix, Some(place));
                }
                Err(reason) => counts.errors.push(number, reason, lines.current()),
            }
        }
        lines.finish()?;
        if let Some(next) = walk.next {
            self.template = next;
        }
        Ok(())
    }

    /// Reads the next line if it is the one that the template expects, and gives its length.
    fn expected(
        &mut self,
        rest: &[u8],
        dialect: Dialect,
        walk: &mut Walk,
        counts: &mut Counts,
    ) -> Option<usize> {
        let entry = *self.template.entries.get(walk.at)?;
        let text = &self.template.text[entry.range()];
        let after = rest.strip_prefix(text)?;
        let mut length = text.len();
        if let Some(place) = entry.place {
            let (tail, end) = read_to_end(after, dialect)?;
            length += end + 1;
            self.take(place, tail, counts).ok()?;
        }
        if let Some(next) = &mut walk.next {
            next.push(&rest[..entry.range().len()], entry.place);
        }
        walk.at += 1;
        Some(length)
    }

    /// Reads a line that is new, or in another place than before.
    fn unexpected<'a>(
        &mut self,
        line: Line<'a>,
        dialect: Dialect,
        counts: &mut Counts,
    ) -> Result<Kept<'a>, LineReason> {
        let (prefix, tail) = match line {
            Line::Blank | Line::End => return Ok(Kept::Nothing),
            Line::About { .. } => return Ok(Kept::Comment),
            Line::Sample { prefix, tail } => (prefix, tail),
        };
        let known = self.index.known(prefix);
        let labels = if known.is_none() { Some(self.labels(prefix)?) } else { None };
        let tail = syntax::read_tail(tail, dialect)?;
        let place = match (known, labels) {
            (Some(place), _) => place,
            (None, Some(labels)) => self.index.add(prefix, labels),
            (None, None) => return Err(LineReason::Labels),
        };
        self.take(place, tail, counts)?;
        Ok(Kept::Sample(prefix, place))
    }

    fn labels(&self, prefix: &[u8]) -> Result<Labels, LineReason> {
        let own = syntax::read_labels(prefix)?;
        Ok(Labels::from_pairs(self.target.iter().chain(own.iter())))
    }

    fn take(&mut self, place: u32, tail: Tail, counts: &mut Counts) -> Result<(), LineReason> {
        let place = place as usize;
        if place == self.values.len() {
            self.values.push(tail.value);
            self.seen.push(self.scrapes);
        } else if self.seen[place] == self.scrapes {
            return Err(LineReason::TwiceSeries);
        } else {
            self.values[place] = tail.value;
            self.seen[place] = self.scrapes;
        }
        counts.timestamps += u64::from(tail.t_ms.is_some());
        counts.exemplars += u64::from(tail.has_exemplar);
        Ok(())
    }
}

/// What of a line the template keeps.
enum Kept<'a> {
    Nothing,
    Comment,
    Sample(&'a [u8], u32),
}

/// Reads what follows a name, and gives where the line ends.
fn read_to_end(after: &[u8], dialect: Dialect) -> Option<(Tail, usize)> {
    if let Some((value, end)) = plain(after)
        && after.get(end) == Some(&b'\n')
    {
        return Some((Tail { value, t_ms: None, has_exemplar: false }, end));
    }
    let end = memchr::memchr(b'\n', after)?;
    let line = after[..end].strip_suffix(b"\r").unwrap_or(&after[..end]);
    Some((syntax::read_tail(line, dialect).ok()?, end))
}

/// The lines of the last scrape without their numbers.
#[derive(Debug, Clone, Default)]
struct Template {
    text: Vec<u8>,
    entries: Vec<Entry>,
    /// The entry after each series', to go on from where a line was moved or left out.
    after: Vec<u32>,
}

/// A whole comment line, or what stands before a sample's value.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    end: u32,
    place: Option<u32>,
}

impl Entry {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where reading is in the template, and the template that comes of it when lines differ.
#[derive(Debug, Default)]
struct Walk {
    at: usize,
    next: Option<Template>,
}

impl Template {
    fn push(&mut self, text: &[u8], place: Option<u32>) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        self.entries.push(Entry { start, end: self.text.len() as u32, place });
        if let Some(place) = place.map(|place| place as usize) {
            if self.after.len() <= place {
                self.after.resize(place + 1, 0);
            }
            self.after[place] = self.entries.len() as u32;
        }
    }

    /// Keeps an unexpected line for the next scrape, and finds what should follow it.
    fn note(&self, walk: &mut Walk, text: &[u8], place: Option<u32>) {
        let next = walk.next.get_or_insert_with(|| {
            let mut same = Self::default();
            for entry in &self.entries[..walk.at] {
                same.push(&self.text[entry.range()], entry.place);
            }
            same
        });
        next.push(text, place);
        let known = place.and_then(|place| self.after.get(place as usize));
        if let Some(after) = known.filter(|after| **after > 0) {
            walk.at = *after as usize;
        }
    }

    fn renumber(&mut self, places: &[Option<u32>]) {
        let old = std::mem::take(self);
        for entry in &old.entries {
            let place = entry.place.map(|place| places[place as usize]);
            if place != Some(None) {
                self.push(&old.text[entry.range()], place.flatten());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Scraper};
    use crate::formats::exposition::{Dialect, parse};
    use crate::{Labels, Matcher, STALE_NAN, SampleSource, Store, is_stale};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn scraper() -> Scraper {
        Scraper::new(Labels::from_pairs([("job", "node")]))
    }

    fn shown(scraper: &mut Scraper, answer: Option<&str>) -> (Layout, String, u64) {
        let scrape = scraper.scrape(answer.map(|text| (text.as_bytes(), Dialect::Prometheus)));
        assert_eq!(scrape.absent, scrape.values.iter().filter(|v| is_stale(**v)).count());
        let one = |(labels, value): (&Labels, &f64)| {
            let value = if is_stale(*value) { "stale".to_owned() } else { value.to_string() };
            format!("{}={value}", labels.with("job", ""))
        };
        let samples: Vec<String> = scrape.series.iter().zip(scrape.values).map(one).collect();
        assert_eq!(scrape.series.len(), scrape.values.len());
        (scrape.layout, samples.join(" "), scrape.errors.count())
    }

    #[test]
    fn values_keep_their_places_until_new_series_come() {
        let mut scraper = scraper();
        let mut check = |answer, layout, samples: &str| {
            assert_eq!(shown(&mut scraper, answer), (layout, samples.to_owned(), 0), "{answer:?}");
        };
        let new = |ended| Layout::New { ended };
        check(None, new(0), "up=0");
        check(Some("# TYPE a gauge\na 1\nb 2\n"), new(1), "up=1 a=1 b=2");
        check(Some("# TYPE a gauge\na 3\nb 4e1\n"), Layout::Same, "up=1 a=3 b=40");
        check(Some("b 5\n"), Layout::Same, "up=1 a=stale b=5");
        check(None, Layout::Same, "up=0 a=stale b=stale");
        check(Some("b 7\na 6\n"), Layout::Same, "up=1 a=6 b=7");
        check(Some("b 8\nc{x=\"y\"} 9\n"), new(3), "up=1 b=8 c{x=\"y\"}=9");
        check(Some("c{x=\"y\"} 10\nb 11 123\n"), Layout::Same, "up=1 b=11 c{x=\"y\"}=10");
        check(Some("c {x=\"y\",} 12\na 13\nb 14\n"), new(3), "up=1 b=14 c{x=\"y\"}=12 a=13");
    }

    #[test]
    fn labels_of_the_target_are_added_and_those_of_the_series_count() {
        let mut scraper = Scraper::new(Labels::from_pairs([("job", "node"), ("instance", "a")]));
        let scrape = scraper.scrape(Some((b"x{job=\"other\"} 1\n", Dialect::Prometheus)));
        let series: Vec<String> = scrape.series.iter().map(ToString::to_string).collect();
        let expected = ["up{instance=\"a\", job=\"node\"}", "x{instance=\"a\", job=\"other\"}"];
        assert_eq!(series, expected);
    }

    #[test]
    fn an_answer_that_was_cut_off_counts_as_none() {
        let mut scraper = scraper();
        let mut check = |text: &[u8], layout, values: &[f64], failed| {
            let scrape = scraper.scrape(Some((text, Dialect::OpenMetrics)));
            assert_eq!((scrape.layout, scrape.failure.is_some()), (layout, failed));
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(scrape.values), bits(values));
        };
        let stale = crate::STALE_NAN;
        check(b"a 1\n", Layout::New { ended: 0 }, &[0.0], true);
        check(b"a 1\n# EOF\n", Layout::New { ended: 1 }, &[1.0, 1.0], false);
        check(b"a 2\nb 3\n", Layout::Same, &[0.0, stale], true);
        check(b"a 2\n# EOF\na 3\n", Layout::Same, &[0.0, stale], true);
        check(b"a 4\n# EOF\n", Layout::Same, &[1.0, 4.0], false);
    }

    #[test]
    fn series_that_occur_twice_are_reported_each_time() {
        let mut scraper = scraper();
        for _ in 0..3 {
            let text = "a 1\nb 2\na{c=\"\"} 3\nup{job=\"node\"} 7\n9\nb 4\nd 5\n";
            let (_, samples, errors) = shown(&mut scraper, Some(text));
            assert_eq!((samples.as_str(), errors), ("up=1 a=1 b=2 d=5", 4));
        }
    }

    #[test]
    fn exemplars_and_times_are_counted() {
        let mut scraper = scraper();
        let text = b"a_total 1 1.5 # {} 2\nb 1\n# EOF\n";
        for _ in 0..2 {
            let scrape = scraper.scrape(Some((text, Dialect::OpenMetrics)));
            assert_eq!((scrape.timestamps, scrape.exemplars, scrape.values[1]), (1, 1, 1.0));
        }
    }

    fn text_of(page: &BTreeMap<u8, u8>) -> String {
        page.iter().map(|(name, value)| format!("s{name} {value}\n")).collect()
    }

    fn line() -> impl Strategy<Value = String> {
        let name =
            prop::sample::select(vec!["a", "b", "c", "d{x=\"1\"}", "d{x=\"2\"}", "9", "# x"]);
        let value = prop::sample::select(vec!["1", "2.5", "-3e2", "NaN", "x", "4 5", "6 7 8", ""]);
        let end = prop::sample::select(vec!["\n", "\r\n", "\n\n"]);
        (name, value, end).prop_map(|(name, value, end)| format!("{name} {value}{end}"))
    }

    proptest! {
        // Remembered lines must never change what a text says.
        #[test]
        fn a_scraper_reads_as_the_parser_does(
            pages in prop::collection::vec(prop::collection::vec(line(), 0..8), 1..6)
        ) {
            let mut scraper = Scraper::new(Labels::empty());
            for page in pages {
                let page = page.concat();
                // The parser takes a series again at a later time; a scrape has one time.
                let timeless: String = page.replace("4 5", "45").replace("6 7 8", "6  x");
                let read = parse(timeless.as_bytes(), Dialect::Prometheus).unwrap();
                let scrape = scraper.scrape(Some((timeless.as_bytes(), Dialect::Prometheus)));
                let mut expected = read.values_of(scrape.series);
                expected[0] = 1.0;
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(scrape.values), bits(&expected));
                prop_assert_eq!(scrape.errors, read.errors);
                prop_assert_eq!(scrape.series.len() - scrape.absent, read.series.len() + 1);
            }
        }

        // Whatever comes and goes, a store has the samples, and a marker where a series ends.
        #[test]
        fn a_store_of_the_scrapes_has_every_sample_and_every_end(
            pages in prop::collection::vec(
                prop::option::of(prop::collection::btree_map(0..5_u8, 0..9_u8, 0..5)), 1..12)
        ) {
            let (mut scraper, mut store, mut target) = (scraper(), Store::new(), None);
            for (n, page) in pages.iter().enumerate() {
                let text = page.as_ref().map(text_of);
                let answer = text.as_ref().map(|text| (text.as_bytes(), Dialect::Prometheus));
                let scrape = scraper.scrape(answer);
                let t_ms = n as i64 * 1_000;
                if let Layout::New { ended } = scrape.layout {
                    if let Some(old) = target {
                        store.append(old, t_ms, &vec![STALE_NAN; ended]).unwrap();
                    }
                    target = Some(store.add_target(scrape.series.to_vec()));
                }
                store.append(target.unwrap(), t_ms, scrape.values).unwrap();
            }
            for name in 0..5 {
                let matcher = Matcher::equal("__name__", &format!("s{name}"));
                let found = store.select(&[matcher], -1, i64::MAX).unwrap();
                let found: BTreeMap<i64, f64> = found
                    .iter()
                    .flat_map(|s| s.times_ms().iter().copied().zip(s.values().iter().copied()))
                    .collect();
                let mut was_there = false;
                for (n, page) in pages.iter().enumerate() {
                    let expected = page.as_ref().and_then(|page| page.get(&name));
                    let stored = found.get(&(n as i64 * 1_000)).copied();
                    let value = stored.filter(|value| !is_stale(*value));
                    prop_assert_eq!(value, expected.map(|value| f64::from(*value)));
                    prop_assert!(expected.is_some() || !was_there || stored.is_some_and(is_stale));
                    was_there = expected.is_some();
                }
            }
        }

        #[test]
        fn times_do_not_disturb(pages in prop::collection::vec(prop::collection::vec(line(), 0..8), 1..6)) {
            let mut scraper = Scraper::new(Labels::empty());
            for page in pages {
                let page = page.concat();
                let cached = scraper.scrape(Some((page.as_bytes(), Dialect::Prometheus)));
                let mut fresh = Scraper::new(Labels::empty());
                let fresh = fresh.scrape(Some((page.as_bytes(), Dialect::Prometheus)));
                prop_assert_eq!(&cached.errors, &fresh.errors);
                prop_assert_eq!(cached.timestamps, fresh.timestamps);
            }
        }
    }
}
