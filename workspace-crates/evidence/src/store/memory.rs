use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base::Digest;

use crate::{EvidenceError, Store};

/// A store in memory, for rehearsals and tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Vec<u8>>> {
        // Every change is one insertion, so a poisoned map is still whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn put(&self, bytes: &[u8]) -> Result<Digest, EvidenceError> {
        let digest = Digest::of(bytes);
        self.objects().entry(digest).or_insert_with(|| bytes.to_vec());
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Vec<u8>, EvidenceError> {
        self.objects().get(digest).cloned().ok_or(EvidenceError::Missing(*digest))
    }

    fn contains(&self, digest: &Digest) -> Result<bool, EvidenceError> {
        Ok(self.objects().contains_key(digest))
    }

    fn list(&self) -> Result<Vec<Digest>, EvidenceError> {
        Ok(self.objects().keys().copied().collect())
    }
}
