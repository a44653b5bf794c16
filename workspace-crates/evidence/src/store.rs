mod dir;
mod memory;

pub use dir::DirStore;
pub use memory::MemoryStore;

use base::Digest;

use crate::{EvidenceError, Record};

/// A place that keeps bytes under their digest and never changes them.
pub trait Store {
    /// Stores `bytes` and returns their name. Storing the same bytes again changes nothing.
    ///
    /// # Errors
    /// When the bytes cannot be written; nothing is stored under the digest then.
    fn put(&self, bytes: &[u8]) -> Result<Digest, EvidenceError>;

    /// The bytes named `digest`, checked against it.
    ///
    /// # Errors
    /// [`EvidenceError::Missing`], [`EvidenceError::Damaged`], or when they cannot be read.
    fn get(&self, digest: &Digest) -> Result<Vec<u8>, EvidenceError>;

    /// Whether something is stored under `digest`; its bytes are not checked.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn contains(&self, digest: &Digest) -> Result<bool, EvidenceError>;

    /// All names in the store, sorted.
    ///
    /// # Errors
    /// When the store cannot be listed.
    fn list(&self) -> Result<Vec<Digest>, EvidenceError>;

    /// Stores a record in its canonical form.
    ///
    /// # Errors
    /// As [`Store::put`], or when the record has no canonical form.
    fn put_record(&self, record: &Record) -> Result<Digest, EvidenceError> {
        self.put(&record.to_bytes()?)
    }

    /// The record named `digest`.
    ///
    /// # Errors
    /// As [`Store::get`], or when the bytes are no record.
    fn get_record(&self, digest: &Digest) -> Result<Record, EvidenceError> {
        let bytes = self.get(digest)?;
        crate::formats::json::read(
            &digest.to_string(),
            &bytes,
            crate::formats::json::Limits::RECORD,
        )
    }
}
