//! Evidence: immutable, content-addressed facts with their origin, time and subject.
//!
//! Architecture invariant: a record is never changed after it has been stored; its name is its digest.

mod record;

pub use record::{External, Origin, Record};
