//! Formats in which samples come in and go out.
//!
//! In:
//! - [`exposition`]: the Prometheus text format 0.0.4 and OpenMetrics 1.0, read whole;
//!   [`Scraper`] reads the same target again and again, and then only its numbers.
//!   Metric and label names in quotes may be any UTF-8. `HELP`, `TYPE` and `UNIT` are kept,
//!   exemplars are checked and counted, `_created` is a series as any other. Values of `le` and
//!   `quantile` stay as they are written.
//! - [`remote_write`]: remote write 1.0, protobuf in snappy's block format; [`Grouper`] sorts its
//!   series into targets.
//!
//! Out:
//! - [`openmetrics`]: OpenMetrics text with times, which `promtool tsdb create-blocks-from
//!   openmetrics` and `VictoriaMetrics` import.
//! - `parquet`, behind the feature of that name: one row per sample.
//!
//! Refused, each with its own message: the protobuf exposition, remote write 2.0, and native
//! histograms, which are counted and left out.
//!
//! Everything that is read is taken as hostile: a bad line or series is reported and left out, the
//! rest is kept, and what is cut off or larger than its limit is refused as a whole. How large a
//! text may be is for whoever receives it to say: reading takes memory in proportion to it.

pub mod exposition;
mod grouper;
mod line;
mod number;
pub mod openmetrics;
#[cfg(feature = "parquet")]
pub mod parquet;
mod protobuf;
pub mod remote_write;
mod scraper;
mod syntax;

pub use grouper::{Group, Grouper, SeriesSamples};
pub use line::{LineError, LineErrors, LineReason};
pub use scraper::{Layout, Scrape, Scraper};

use crate::SourceError;

/// Labels of one series; more are refused.
pub const LABELS_MAX: usize = 128;

/// Why samples could not be read from or written to a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// An OpenMetrics text without its last line: what was read may be a part.
    #[error("the OpenMetrics text does not end with `# EOF`: it was cut off")]
    Cut,
    /// Something follows the last line of an OpenMetrics text.
    #[error("line {line} follows `# EOF`, which must be the last line")]
    AfterEnd {
        /// The line's number, from 1.
        line: usize,
    },
    /// A content type that cannot be read.
    #[error(
        "the content type `{0}` is not supported: ask for `text/plain; version=0.0.4` or \
         `application/openmetrics-text; version=1.0.0`"
    )]
    ContentType(String),
    /// A remote-write message of version 2.
    #[error(
        "remote write 2.0 is not supported: set the sender to 1.0 \
         (`protobuf_message: prometheus.WriteRequest`)"
    )]
    RemoteWriteVersion,
    /// A remote-write message in another type or compression.
    #[error("a remote-write message must be `{expected}`, not `{found}`")]
    RemoteWriteHeader {
        /// What the header must say.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// A message that is larger than its limit.
    #[error("{what} of {size} is above the limit of {limit}")]
    TooLarge {
        /// What is too large, and in which unit.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The compression of a remote-write message is damaged.
    #[error("the message is no snappy block: {0}")]
    Snappy(#[source] snap::Error),
    /// A remote-write message is damaged.
    #[error("the message is malformed at byte {at} of its uncompressed form")]
    Malformed {
        /// Where reading stopped, in bytes.
        at: usize,
    },
    /// A series that has no name cannot be written.
    #[error("the series {labels} has no metric name, which the format needs")]
    Nameless {
        /// The series.
        labels: String,
    },
    /// The samples could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The output could not be written.
    #[error("the samples could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// The Parquet writer failed.
    #[cfg(feature = "parquet")]
    #[error("the Parquet file could not be written: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}
