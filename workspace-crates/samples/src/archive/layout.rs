//! How the files of an archive are named.

use std::path::{Path, PathBuf};

const BLOCK_SUFFIX: &str = ".pgblock";
const LOG_SUFFIX: &str = ".pglog";
const DAMAGED_SUFFIX: &str = ".damaged";
/// The next manifest, until it takes the place of the present one.
pub(super) const FRESH_MANIFEST: &str = "manifest.new";
/// The next list of targets, likewise.
pub(super) const FRESH_TARGETS: &str = "targets.new";

/// `from_ms <= t < to_ms`, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

impl Span {
    pub(crate) fn new(from_ms: i64, to_ms: i64) -> Option<Self> {
        (from_ms < to_ms).then_some(Self { from_ms, to_ms })
    }

    /// Whether some time is in both this span and `start_ms < t <= end_ms`.
    pub(crate) fn meets(self, start_ms: i64, end_ms: i64) -> bool {
        start_ms < end_ms && self.from_ms <= end_ms && self.to_ms.saturating_sub(1) > start_ms
    }

    fn stem(self) -> String {
        format!("{}-{}", time_name(self.from_ms), time_name(self.to_ms))
    }

    fn of_stem(stem: &str) -> Option<Self> {
        let (from, to) = stem.split_once('-')?;
        Self::new(named_time(from)?, named_time(to)?)
    }
}

/// A time in a file's name: `m` stands for minus, because `-` divides.
fn time_name(t_ms: i64) -> String {
    if t_ms < 0 { format!("m{}", t_ms.unsigned_abs()) } else { t_ms.to_string() }
}

fn named_time(text: &str) -> Option<i64> {
    match text.strip_prefix('m') {
        Some(digits) => format!("-{digits}").parse().ok(),
        None => text.parse().ok(),
    }
}

/// A block's name: its window and a number that no other block of the archive ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockName {
    pub(crate) span: Span,
    pub(crate) number: u64,
}

impl BlockName {
    pub(crate) fn file(self) -> String {
        format!("{}-{}{BLOCK_SUFFIX}", self.span.stem(), self.number)
    }

    pub(crate) fn of_file(file: &str) -> Option<Self> {
        let (span, number) = file.strip_suffix(BLOCK_SUFFIX)?.rsplit_once('-')?;
        Some(Self { span: Span::of_stem(span)?, number: number.parse().ok()? })
    }
}

/// The file of a log with this number.
pub(crate) fn log_name(number: u64) -> String {
    format!("{number}{LOG_SUFFIX}")
}

pub(crate) fn log_number(file: &str) -> Option<u64> {
    file.strip_suffix(LOG_SUFFIX)?.parse().ok()
}

/// A log that was found damaged and set aside, and the time that is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SetAside {
    pub(crate) log: u64,
    pub(crate) span: Span,
}

impl SetAside {
    pub(crate) fn file(self) -> String {
        format!("{}-{}{DAMAGED_SUFFIX}", self.log, self.span.stem())
    }

    pub(crate) fn of_file(file: &str) -> Option<Self> {
        let (log, span) = file.strip_suffix(DAMAGED_SUFFIX)?.split_once('-')?;
        Some(Self { log: log.parse().ok()?, span: Span::of_stem(span)? })
    }
}

/// Where the parts of an archive are.
#[derive(Debug, Clone)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join("manifest")
    }

    pub(crate) fn fresh_manifest(&self) -> PathBuf {
        self.0.join(FRESH_MANIFEST)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The labels of all targets, in the format of a log.
    pub(crate) fn targets(&self) -> PathBuf {
        self.0.join(format!("targets{LOG_SUFFIX}"))
    }

    pub(crate) fn fresh_targets(&self) -> PathBuf {
        self.0.join(FRESH_TARGETS)
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.0.join("blocks")
    }

    pub(crate) fn block(&self, name: BlockName) -> PathBuf {
        self.blocks().join(name.file())
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn log(&self, number: u64) -> PathBuf {
        self.logs().join(log_name(number))
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockName, SetAside, Span, log_name, log_number};

    #[test]
    fn names_are_read_back_also_before_1970() {
        for (from_ms, to_ms) in [(0, 7_200_000), (-7_200_000, 0), (i64::MIN, i64::MAX)] {
            let span = Span::new(from_ms, to_ms).unwrap();
            let block = BlockName { span, number: 7 };
            assert_eq!(BlockName::of_file(&block.file()), Some(block));
            let aside = SetAside { log: 3, span };
            assert_eq!(SetAside::of_file(&aside.file()), Some(aside));
        }
        assert_eq!(log_number(&log_name(12)), Some(12));
    }

    #[test]
    fn other_names_mean_nothing() {
        for name in ["", "x", "1-2.pgblock", "2-1-1.pgblock", "1-2-3.pgblock.new", "a-b-c.pgblock"]
        {
            assert_eq!((BlockName::of_file(name), SetAside::of_file(name)), (None, None), "{name}");
        }
        assert_eq!(log_number("1.pglog.new"), None);
    }

    #[test]
    fn a_span_meets_queries_that_are_open_on_the_left() {
        let span = Span::new(10, 20).unwrap();
        for (start, end, meets) in
            [(0, 9, false), (0, 10, true), (18, 30, true), (19, 30, false), (12, 12, false)]
        {
            assert_eq!(span.meets(start, end), meets, "({start}, {end}]");
        }
    }
}
