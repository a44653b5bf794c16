//! Evidence: immutable, content-addressed facts with their origin, time and subject.
//!
//! Architecture invariant: a record is never changed after it has been stored; its name is its digest.
//! Only [`DirStore`] touches the disk.

mod body;
mod error;
mod event;
pub mod formats;
mod interval;
mod record;
mod store;

pub use body::{
    DocumentBody, IssuesBody, ProbeAnswer, ProbeBody, Problem, ProblemKind, read_body, to_body,
};
pub use error::EvidenceError;
pub use event::Event;
pub use interval::{SubjectInterval, candidate_span};
pub use record::{External, Origin, Record};
pub use store::{DirStore, MemoryStore, Store};
