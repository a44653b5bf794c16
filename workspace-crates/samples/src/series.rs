use std::ops::ControlFlow;
use std::sync::Arc;

use crate::{Labels, Matcher};

/// The NaN that marks the end of a series: Prometheus' staleness marker.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether `value` is the staleness marker; an ordinary NaN is not.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// The samples of one series, in strictly increasing time.
///
/// Series of one target share their timestamps.
#[derive(Debug, Clone)]
pub struct Series {
    labels: Labels,
    times_ms: Arc<Vec<i64>>,
    values: Vec<f64>,
}

/// Why samples could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Times and values do not pair up, or times do not increase.
    #[error("the samples of {labels} are not in strictly increasing time")]
    Unordered {
        /// The series.
        labels: String,
    },
    /// A part of a block of samples is damaged.
    #[error(
        "the sample block {block} is damaged at targets {first_target} to {last_target}: {what}; take the block from a copy"
    )]
    Damaged {
        /// The block.
        block: String,
        /// The number of the first target whose samples are affected.
        first_target: u32,
        /// The number of the last one.
        last_target: u32,
        /// What is wrong.
        what: String,
    },
    /// The source could not be read.
    #[error("the samples could not be read: {0}")]
    Unreadable(String),
}

impl Series {
    /// A series with one value for each time.
    ///
    /// # Errors
    /// [`SourceError::Unordered`] when the lengths differ or the times do not strictly increase.
    pub fn new(
        labels: Labels,
        times_ms: Arc<Vec<i64>>,
        values: Vec<f64>,
    ) -> Result<Self, SourceError> {
        if times_ms.len() != values.len() || !times_ms.is_sorted_by(|a, b| a < b) {
            return Err(SourceError::Unordered { labels: labels.to_string() });
        }
        Ok(Self { labels, times_ms, values })
    }

    /// For callers that have just produced the columns in order.
    pub(crate) fn trusted(labels: Labels, times_ms: Arc<Vec<i64>>, values: Vec<f64>) -> Self {
        debug_assert_eq!(times_ms.len(), values.len());
        Self { labels, times_ms, values }
    }

    /// What identifies the series.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Milliseconds since the Unix epoch, strictly increasing.
    #[must_use]
    pub fn times_ms(&self) -> &[i64] {
        &self.times_ms
    }

    /// One value for each time; staleness markers are among them.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same samples with shared times, taken apart.
    #[must_use]
    pub fn into_parts(self) -> (Labels, Arc<Vec<i64>>, Vec<f64>) {
        (self.labels, self.times_ms, self.values)
    }

    /// The samples with `start_ms < t <= end_ms`.
    #[must_use]
    pub fn within(&self, start_ms: i64, end_ms: i64) -> Self {
        let low = self.times_ms.partition_point(|t| *t <= start_ms);
        let high = self.times_ms.partition_point(|t| *t <= end_ms).max(low);
        if low == 0 && high == self.values.len() {
            return self.clone();
        }
        Self {
            labels: self.labels.clone(),
            times_ms: Arc::new(self.times_ms[low..high].to_vec()),
            values: self.values[low..high].to_vec(),
        }
    }
}

/// Anything that answers selectors with samples.
pub trait SampleSource: Sync {
    /// The series that satisfy all `matchers`, with their samples in `start_ms < t <= end_ms`,
    /// sorted by labels, each set of labels once. Series without a sample there may be left out.
    ///
    /// # Errors
    /// When the source cannot be read, or is damaged.
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError>;

    /// The same series in parts, so that they can be read side by side and need not all be in
    /// memory at once. No series is in two parts. How series are divided depends on what was
    /// stored, never on the machine, so that sums over parts are the same everywhere.
    ///
    /// # Errors
    /// As [`SampleSource::select`]; what only reading shows, [`Part::read`] says.
    fn parts<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Box<dyn Part + 'a>>, SourceError> {
        let series = self.select(matchers, start_ms, end_ms)?;
        Ok(vec![Box::new(Selected(series))])
    }
}

/// Some of the series that a selector finds.
pub trait Part: Send + Sync {
    /// Hands over one series after another, until `see` breaks. Series that share their times are
    /// neighbours where that can be had.
    ///
    /// # Errors
    /// When the samples cannot be read, or are damaged. What was handed over before is then void.
    fn read(&self, see: &mut dyn FnMut(Series) -> ControlFlow<()>) -> Result<(), SourceError>;
}

/// Series that are in memory already.
struct Selected(Vec<Series>);

impl Part for Selected {
    fn read(&self, see: &mut dyn FnMut(Series) -> ControlFlow<()>) -> Result<(), SourceError> {
        let _ = self.0.iter().cloned().try_for_each(see);
        Ok(())
    }
}

/// Series in memory; meant for tests and small evidence. Each set of labels is expected once.
impl SampleSource for Vec<Series> {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found: Vec<Series> = self
            .iter()
            .filter(|series| matchers.iter().all(|m| m.accepts_labels(&series.labels)))
            .map(|series| series.within(start_ms, end_ms))
            .filter(|series| !series.values.is_empty())
            .collect();
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{STALE_NAN, Series, is_stale};
    use crate::Labels;
    use std::sync::Arc;

    #[test]
    fn the_window_is_open_on_the_left() {
        let times = Arc::new(vec![10, 20, 30]);
        let series = Series::new(Labels::empty(), times, vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(series.within(10, 30).times_ms(), [20, 30]);
        assert_eq!(series.within(9, 29).values(), [1.0, 2.0]);
        assert!(series.within(30, 10).times_ms().is_empty());
    }

    #[test]
    fn unordered_samples_are_refused() {
        for (times, values) in
            [(vec![1, 1], vec![0.0; 2]), (vec![2, 1], vec![0.0; 2]), (vec![1], vec![])]
        {
            assert!(Series::new(Labels::empty(), Arc::new(times), values).is_err());
        }
    }

    #[test]
    fn only_the_marker_is_stale() {
        assert!(is_stale(STALE_NAN) && STALE_NAN.is_nan());
        assert!(!is_stale(f64::NAN));
    }
}
