//! Reads one scrape in the Prometheus text format into memory.
//!
//! Whatever scrapes again and again does it with a [`Scraper`](crate::formats::Scraper); OpenMetrics,
//! times and families are read by [`formats::exposition`](crate::formats::exposition).

use crate::Labels;
use crate::formats::exposition::{Dialect, parse as parse_any};
pub use crate::formats::{LineError, LineReason};

/// The samples of a scrape, in its order, and the lines that were left out, at most 100 of them.
///
/// Times are checked and then dropped: a scrape has one time. Of a series that occurs twice without
/// a later time, the first sample is kept.
#[must_use]
pub fn parse(text: &str) -> (Vec<(Labels, f64)>, Vec<LineError>) {
    // Only OpenMetrics can be refused as a whole.
    let Ok(read) = parse_any(text.as_bytes(), Dialect::Prometheus) else {
        return (Vec::new(), Vec::new());
    };
    let sample = |sample: &crate::formats::exposition::Sample| {
        (read.series[sample.series].clone(), sample.value)
    };
    (read.samples.iter().map(sample).collect(), read.errors.listed().to_vec())
}

#[cfg(test)]
mod tests {
    use super::{LineReason, parse};
    use crate::Labels;

    #[test]
    fn a_scrape_is_pairs_of_series_and_value() {
        let (samples, errors) =
            parse("# TYPE up gauge\nup{a=\"b\"} 1 1700000000000\nlag x\nlag 2\n");
        let expected =
            [(Labels::metric("up", &[("a", "b")]), 1.0), (Labels::metric("lag", &[]), 2.0)];
        assert_eq!(samples, expected);
        assert_eq!((errors[0].line, errors[0].reason), (3, LineReason::Value));
    }
}
