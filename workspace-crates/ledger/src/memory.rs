//! A store in memory, for tests and dry runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::Digest;

use crate::store::{
    AppendError, Head, LedgerStore, NewAppend, RawEntry, Snapshot, StoreError, check_files,
    entries_of, is_immutable, refuse,
};

/// Keeps everything in memory, with the same rules as the git store.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    entries: Vec<RawEntry>,
    files: BTreeMap<String, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of a ledger's tree, from its files by their paths.
    ///
    /// # Errors
    /// When the entries among them are not laid out as entries are.
    pub fn of_tree(mut files: BTreeMap<String, Vec<u8>>) -> Result<Self, StoreError> {
        let entries = entries_of(&files)?;
        files.retain(|path, _| !path.starts_with("entries/"));
        let head = entries.last().map(|entry| Head::new(Digest::of(&entry.bytes).to_string()));
        Ok(Self { state: Mutex::new(State { head, entries, files }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A state is only replaced as a whole, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerStore for MemoryStore {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.state().head.clone())
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let state = self.state();
        Ok(Snapshot { head: state.head.clone(), entries: state.entries.clone() })
    }

    fn append(&self, new: &NewAppend, expected_head: Option<&Head>) -> Result<Head, AppendError> {
        check_files(new)?;
        let mut state = self.state();
        if state.head.as_ref() != expected_head {
            let expected = expected_head.cloned();
            return Err(AppendError::Conflict { expected, found: state.head.clone() });
        }
        if new.seq != state.entries.len() as u64 {
            return Err(refuse(&crate::store::entry_folder(new.seq), "it is not the next entry"));
        }
        for (path, bytes) in &new.files {
            if is_immutable(path) && state.files.get(path).is_some_and(|there| there != bytes) {
                return Err(refuse(path, "another content is already published there"));
            }
        }
        let before = state.head.as_ref().map_or("", Head::as_str);
        let head = Head::new(Digest::of(&[before.as_bytes(), &new.entry].concat()).to_string());
        state.files.extend(new.files.clone());
        state.entries.push(new.raw());
        state.head = Some(head.clone());
        Ok(head)
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().files.get(path).cloned())
    }

    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError> {
        let folder = format!("{}/", under.trim_end_matches('/'));
        Ok(self.state().files.keys().filter(|path| path.starts_with(&folder)).cloned().collect())
    }
}
