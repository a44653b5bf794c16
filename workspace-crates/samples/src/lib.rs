//! Columnar sample store, append log and exposition parser.
//!
//! A *series* is a set of labels with samples in time; a *target* is what one scrape reads: series
//! that share their timestamps. Times are whole milliseconds since the Unix epoch, as in Prometheus.
//!
//! Architecture invariant: this crate reads no clock and evaluates no query. Only [`Archive`]
//! and [`SampleLog`] touch the disk, through [`Storage`].

pub mod archive;
mod block;
mod block_build;
mod block_frame;
mod block_index;
mod bytes;
mod codec;
mod column;
pub mod exposition;
pub mod formats;
mod labels;
mod log;
mod log_file;
mod log_records;
mod matcher;
mod series;
mod storage;
#[cfg(test)]
mod storage_faulty;
mod store;
mod store_catalogue;
mod store_head;
mod store_read;
mod store_seal;

pub use archive::{Archive, ArchiveError, ArchiveReader};
pub use block::{Block, BlockError, ReadAt};
pub use codec::StoreError;
pub use labels::{Labels, METRIC_NAME};
pub use log::{LogError, Replay, SampleLog};
pub use matcher::{Matcher, MatcherError};
pub use series::{Part, STALE_NAN, SampleSource, Series, SourceError, is_stale};
pub use storage::{Access, Entry, OsStorage, Storage, StorageFile};
pub use store::{AppendError, Appended, Store, TargetId};
