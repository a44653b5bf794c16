//! Reading the ledger's tree. Whatever does not belong there is refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{ErrorCode, ObjectType, Odb, Oid, Tree, TreeEntry};

use crate::entry::ENTRY_BYTES_MAX;
use crate::git_store::GitStore;
use crate::sshsig::SIGNATURE_BYTES_MAX;
use crate::store::{
    REPORT_BYTES_MAX, RawEntry, StoreError, check_places, entry_folder, is_sound_name, seq_of,
    signer_of,
};

/// The mode of a plain file in a git tree; links, programs and submodules have others.
const PLAIN_FILE: i32 = 0o100_644;

/// Git itself writes no such tree; other readers of it would take the other file.
const TWICE: &str = "is there twice";

/// How deep folders of reports are listed.
const FOLDER_DEPTH_MAX: usize = 16;

impl GitStore {
    pub(super) fn read_entries(&self, root: &Tree<'_>) -> Result<Vec<RawEntry>, StoreError> {
        check_twins(root, "the root")?;
        let Some(listed) = root.get_name("entries") else { return Ok(Vec::new()) };
        let folders = self.subtree(&listed, "entries")?;
        check_twins(&folders, "entries")?;
        let odb = self.repository.odb().map_err(self.fail("opening the object database"))?;
        let mut entries = Vec::with_capacity(folders.len());
        for folder in &folders {
            let name = name_of(&folder, "entries")?;
            let seq = seq_of(name)
                .ok_or_else(|| layout(&format!("entries/{name}"), "is not an entry's number"))?;
            entries.push(self.read_entry(&odb, seq, &folder)?);
        }
        // Git orders names as text, which differs from their numbers from a million on.
        entries.sort_by_key(|entry| entry.seq);
        check_places(&entries.iter().map(|entry| entry.seq).collect::<BTreeSet<_>>())?;
        Ok(entries)
    }

    fn read_entry(
        &self,
        odb: &Odb<'_>,
        seq: u64,
        listed: &TreeEntry<'_>,
    ) -> Result<RawEntry, StoreError> {
        let folder = entry_folder(seq);
        let mut bytes = None;
        let mut signatures = BTreeMap::new();
        let files = self.subtree(listed, &folder)?;
        check_twins(&files, &folder)?;
        for file in &files {
            let name = name_of(&file, &folder)?;
            let path = format!("{folder}/{name}");
            if file.filemode_raw() != PLAIN_FILE {
                return Err(layout(&path, "is not a plain file"));
            }
            if name == "entry.json" {
                if bytes.replace(self.read_blob(odb, file.id(), &path, ENTRY_BYTES_MAX)?).is_some()
                {
                    return Err(layout(&path, TWICE));
                }
            } else {
                let signer = signer_of(&folder, name)?;
                let text = self.read_blob(odb, file.id(), &path, SIGNATURE_BYTES_MAX)?;
                if signatures.insert(signer, text).is_some() {
                    return Err(layout(&path, TWICE));
                }
            }
        }
        let bytes = bytes.ok_or_else(|| layout(&folder, "has no entry.json"))?;
        Ok(RawEntry { seq, bytes, signatures })
    }

    /// The size is known before the content is unpacked, so that a huge object costs nothing.
    fn read_blob(
        &self,
        odb: &Odb<'_>,
        oid: Oid,
        path: &str,
        size_bytes_max: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let (size_bytes, kind) =
            odb.read_header(oid).map_err(self.fail("reading an object's header"))?;
        if kind != ObjectType::Blob {
            return Err(layout(path, "is not a file"));
        }
        if size_bytes > size_bytes_max {
            let cause = format!("has {size_bytes} bytes; at most {size_bytes_max} are read");
            return Err(layout(path, &cause));
        }
        let object = odb.read(oid).map_err(self.fail("reading an object"))?;
        Ok(object.data().to_vec())
    }

    fn subtree(&self, listed: &TreeEntry<'_>, path: &str) -> Result<Tree<'_>, StoreError> {
        if listed.kind() != Some(ObjectType::Tree) {
            return Err(layout(path, "is not a folder"));
        }
        self.repository.find_tree(listed.id()).map_err(self.fail("reading a folder of the ledger"))
    }

    pub(super) fn read_path(
        &self,
        root: &Tree<'_>,
        path: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let found = match root.get_path(Path::new(path)) {
            Ok(found) => found,
            Err(cause) if cause.code() == ErrorCode::NotFound => return Ok(None),
            Err(cause) => return Err(self.fail("looking for a file of the ledger")(cause)),
        };
        if found.filemode_raw() != PLAIN_FILE {
            return Err(layout(path, "is not a plain file"));
        }
        let odb = self.repository.odb().map_err(self.fail("opening the object database"))?;
        self.read_blob(&odb, found.id(), path, REPORT_BYTES_MAX).map(Some)
    }

    pub(super) fn list_paths(
        &self,
        root: &Tree<'_>,
        under: &str,
    ) -> Result<Vec<String>, StoreError> {
        let under = under.trim_end_matches('/');
        let folder = match root.get_path(Path::new(under)) {
            Ok(found) => self.subtree(&found, under)?,
            Err(cause) if cause.code() == ErrorCode::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.fail("looking for a folder of the ledger")(cause)),
        };
        let mut paths = BTreeSet::new();
        self.collect_paths(&folder, under, FOLDER_DEPTH_MAX, &mut paths)?;
        Ok(paths.into_iter().collect())
    }

    fn collect_paths(
        &self,
        folder: &Tree<'_>,
        path: &str,
        depth_left: usize,
        paths: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        if depth_left == 0 {
            return Err(layout(path, "is nested too deep"));
        }
        check_twins(folder, path)?;
        for entry in folder {
            let name = name_of(&entry, path)?;
            let below = format!("{path}/{name}");
            // Whoever writes these files to a disk must end up where they belong.
            if !is_sound_name(name) {
                return Err(layout(&below, "is no name that this program gives"));
            }
            if entry.kind() == Some(ObjectType::Tree) {
                let subtree = self.subtree(&entry, &below)?;
                self.collect_paths(&subtree, &below, depth_left - 1, paths)?;
            } else if entry.filemode_raw() == PLAIN_FILE {
                paths.insert(below);
            } else {
                return Err(layout(&below, "is not a plain file"));
            }
        }
        Ok(())
    }
}

fn name_of<'e>(entry: &'e TreeEntry<'_>, folder: &str) -> Result<&'e str, StoreError> {
    entry.name().map_err(|_| layout(folder, "holds a name that is not text"))
}

/// A folder with two entries of one name is read differently by different programs, and one whose
/// names differ in case only by different file systems.
fn check_twins(folder: &Tree<'_>, path: &str) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for entry in folder {
        if !seen.insert(entry.name_bytes().to_ascii_lowercase()) {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            return Err(layout(&format!("{path}/{name}"), "is there twice, or in another case"));
        }
    }
    Ok(())
}

fn layout(path: &str, cause: &str) -> StoreError {
    StoreError::Layout { path: path.to_owned(), cause: cause.to_owned() }
}
