//! The ledger on a linear orphan branch of a git repository.
//!
//! Architecture invariant: this is the only module that knows git.
//!
//! Appending holds a lock file of our own, so that writers on one machine queue up, and moves the
//! branch by compare-and-swap, so that writers elsewhere are noticed. A crash at any point leaves
//! the branch at the entry before or at the new entry, never between. With a remote, the remote's
//! branch moves first: an entry that it has not taken was not appended.

mod address;
mod definition;
mod lock;
mod pack;
mod read;
mod remote;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Oid, Repository, Signature, Time};

use crate::git_store::lock::WriteLock;
use crate::git_store::remote::Pushed;
use crate::store::{
    AppendError, Head, LedgerStore, NewAppend, Snapshot, StoreError, check_files, entry_folder,
    is_immutable, refuse,
};

pub use address::redacted;
pub use definition::{DefinitionError, definition_id};
pub use remote::{Fetched, REMOTE_KEY};

/// The branch of the ledger.
pub const LEDGER_BRANCH: &str = "refs/heads/phase-ledger";

/// Whether an append waits until the disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Flush every object and the branch: what was appended survives a power failure.
    #[default]
    Flushed,
    /// Leave it to the operating system: survives a crash of the process, not of the machine.
    /// For rehearsals, which can be run again.
    Buffered,
}

/// Keeps a ledger on a branch of a git repository, bare or with a work tree.
pub struct GitStore {
    repository: Repository,
    branch: String,
    durability: Durability,
    remote: Option<String>,
    patience: Duration,
    /// What the remote has beyond the branch, until it is known to verify.
    offered: Cell<Option<Oid>>,
}

impl std::fmt::Debug for GitStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitStore")
            .field("repository", &self.repository.path())
            .field("branch", &self.branch)
            .field("durability", &self.durability)
            .finish()
    }
}

impl GitStore {
    /// Opens the repository at `path` or above it.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let repository = Repository::discover(path).map_err(|error| {
            let (path, cause) = (path.to_owned(), error.message().to_owned());
            match error.code() {
                ErrorCode::NotFound => StoreError::NoRepository { path, cause },
                ErrorCode::Owner => StoreError::NotOwned { path, cause },
                _ => git_error("opening", &path, &error),
            }
        })?;
        Ok(Self::with(repository))
    }

    /// Makes a bare repository at `path`, or opens the one that is there.
    ///
    /// # Errors
    /// When the folder cannot be written or holds something else.
    pub fn init_bare(path: &Path) -> Result<Self, StoreError> {
        let repository = Repository::init_bare(path)
            .map_err(|cause| git_error("making a repository", path, &cause))?;
        Ok(Self::with(repository))
    }

    fn with(repository: Repository) -> Self {
        let branch = LEDGER_BRANCH.to_owned();
        let (durability, patience) = (Durability::default(), remote::PATIENCE);
        let offered = Cell::new(None);
        Self { repository, branch, durability, remote: None, patience, offered }
    }

    /// The same store with another durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The folder that all work trees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        self.repository.commondir()
    }

    /// The full name of the branch.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    fn fail(&self, action: &'static str) -> impl Fn(git2::Error) -> StoreError + '_ {
        move |cause| git_error(action, self.repository.path(), &cause)
    }

    /// The newest entry that can be read: of the branch, or of the remote beyond it.
    fn head_oid(&self) -> Result<Option<Oid>, StoreError> {
        match self.offered.get() {
            Some(offered) => Ok(Some(offered)),
            None => self.branch_oid(),
        }
    }

    fn branch_oid(&self) -> Result<Option<Oid>, StoreError> {
        match self.repository.refname_to_id(&self.branch) {
            Ok(oid) => Ok(Some(oid)),
            Err(cause) if cause.code() == ErrorCode::NotFound => Ok(None),
            Err(cause) => Err(self.fail("reading the ledger's branch")(cause)),
        }
    }

    fn tree_at(&self, head: Oid) -> Result<git2::Tree<'_>, StoreError> {
        self.repository
            .find_commit(head)
            .and_then(|commit| commit.tree())
            .map_err(self.fail("reading the ledger's newest commit"))
    }

    /// Writes the commit that `new` becomes after `parent`; the branch does not move yet.
    fn write_commit(&self, new: &NewAppend, parent: Option<Oid>) -> Result<Oid, AppendError> {
        let base = self.base_tree(parent)?;
        self.check_next_place(&base, new.seq)?;
        let mut update = TreeUpdateBuilder::new();
        let mut written = Vec::new();
        for (path, bytes) in tree_files(new) {
            let oid = self.repository.blob(bytes).map_err(self.fail("writing an object"))?;
            if is_immutable(&path) {
                self.refuse_replacement(&base, &path, oid)?;
            }
            update.upsert(path.as_str(), oid, FileMode::Blob);
            written.push((path, oid));
        }
        let tree = update
            .create_updated(&self.repository, &base)
            .and_then(|oid| self.repository.find_tree(oid))
            .map_err(self.fail("writing the ledger's tree"))?;
        let commit = self.write_commit_object(new, parent, &tree)?;
        if self.durability == Durability::Flushed {
            self.flush_objects(&tree, &written, commit)?;
        }
        Ok(commit)
    }

    fn base_tree(&self, parent: Option<Oid>) -> Result<git2::Tree<'_>, StoreError> {
        if let Some(parent) = parent {
            return self.tree_at(parent);
        }
        self.repository
            .treebuilder(None)
            .and_then(|empty| empty.write())
            .and_then(|oid| self.repository.find_tree(oid))
            .map_err(self.fail("writing an object"))
    }

    fn check_next_place(&self, base: &git2::Tree<'_>, seq: u64) -> Result<(), AppendError> {
        let is_there = |seq| base.get_path(Path::new(&entry_folder(seq))).is_ok();
        if !is_there(seq) && seq.checked_sub(1).is_none_or(is_there) {
            return Ok(());
        }
        Err(refuse(&entry_folder(seq), "it is not the next entry"))
    }

    fn refuse_replacement(
        &self,
        base: &git2::Tree<'_>,
        path: &str,
        oid: Oid,
    ) -> Result<(), AppendError> {
        match base.get_path(Path::new(path)) {
            Ok(there) if there.id() != oid => {
                Err(refuse(path, "another content is already published there"))
            }
            Ok(_) => Ok(()),
            Err(cause) if cause.code() == ErrorCode::NotFound => Ok(()),
            Err(cause) => Err(self.fail("reading the ledger's tree")(cause).into()),
        }
    }

    /// Author, committer and dates come from the entry, so that equal runs give equal ids.
    fn write_commit_object(
        &self,
        new: &NewAppend,
        parent: Option<Oid>,
        tree: &git2::Tree<'_>,
    ) -> Result<Oid, StoreError> {
        let seconds = new.time.unix_micros().div_euclid(1_000_000).max(0);
        let write = || {
            let author =
                Signature::new("phasegate", "phasegate@phasegate.dev", &Time::new(seconds, 0))?;
            let parent = parent.map(|oid| self.repository.find_commit(oid)).transpose()?;
            let parents: Vec<_> = parent.iter().collect();
            let message = format!("{}\n", new.summary);
            self.repository.commit(None, &author, &author, &message, tree, &parents)
        };
        write().map_err(self.fail("writing a commit"))
    }

    fn flush_objects(
        &self,
        tree: &git2::Tree<'_>,
        files: &[(String, Oid)],
        commit: Oid,
    ) -> Result<(), StoreError> {
        let mut objects = BTreeSet::from([tree.id(), commit]);
        for (path, oid) in files {
            objects.insert(*oid);
            for folder in Path::new(path).ancestors().skip(1) {
                if let Ok(subtree) = tree.get_path(folder) {
                    objects.insert(subtree.id());
                }
            }
        }
        let mut folders = BTreeSet::new();
        for oid in objects {
            let file = self.loose_file(oid);
            flush(&file)?;
            folders.extend(file.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| flush(folder))
    }

    /// Moves the branch from `parent` to `commit` if it still is at `parent`.
    fn move_branch(&self, why: &str, parent: Option<Oid>, commit: Oid) -> Result<(), AppendError> {
        let mut waits_left = lock::FOREIGN_LOCK_WAITS;
        loop {
            let moved = match parent {
                Some(old) => {
                    self.repository.reference_matching(&self.branch, commit, true, old, why)
                }
                None => self.repository.reference(&self.branch, commit, false, why),
            };
            let Err(cause) = moved else { return Ok(self.flush_branch()?) };
            let found = self.branch_oid()?;
            if found != parent {
                return Err(conflict(parent, found));
            }
            if cause.code() != ErrorCode::Locked {
                return Err(self.fail("moving the ledger's branch")(cause).into());
            }
            // Git holds the lock of a branch for moments only; a longer hold is a dead process.
            if waits_left == 0 {
                return Err(StoreError::Locked { path: self.branch_lock() }.into());
            }
            waits_left -= 1;
            std::thread::sleep(lock::FOREIGN_LOCK_WAIT);
        }
    }

    fn flush_branch(&self) -> Result<(), StoreError> {
        if self.durability == Durability::Buffered {
            return Ok(());
        }
        let file = self.common_dir().join(&self.branch);
        flush(&file)?;
        file.parent().map_or(Ok(()), flush)
    }

    fn loose_file(&self, oid: Oid) -> PathBuf {
        let name = oid.to_string();
        self.common_dir().join("objects").join(&name[..2]).join(&name[2..])
    }

    fn branch_lock(&self) -> PathBuf {
        self.common_dir().join(format!("{}.lock", self.branch))
    }
}

impl LedgerStore for GitStore {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.fetch()?;
        Ok(self.head_oid()?.map(|oid| Head::new(oid.to_string())))
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.fetch()?;
        let Some(oid) = self.head_oid()? else { return Ok(Snapshot::default()) };
        let entries = self.read_entries(&self.tree_at(oid)?)?;
        Ok(Snapshot { head: Some(Head::new(oid.to_string())), entries })
    }

    fn adopt(&self, head: &Head) -> Result<(), StoreError> {
        self.adopt_offered(head.as_str())
    }

    fn append(&self, new: &NewAppend, expected_head: Option<&Head>) -> Result<Head, AppendError> {
        check_files(new)?;
        let _lock = WriteLock::take(self.common_dir(), &self.branch_lock())?;
        let parent = self.branch_oid()?;
        let found = parent.map(|oid| Head::new(oid.to_string()));
        if found.as_ref() != expected_head {
            return Err(AppendError::Conflict { expected: expected_head.cloned(), found });
        }
        let commit = self.write_commit(new, parent)?;
        if let Some(remote) = &self.remote
            && let Pushed::Behind = self.push(remote, commit)?
        {
            self.fetch()?;
            return Err(conflict(parent, self.head_oid()?));
        }
        self.move_branch(&new.summary, parent, commit)?;
        self.offered.set(None);
        if (new.seq + 1).is_multiple_of(pack::ENTRIES_PER_PACK) {
            // The entry is appended; a failure here costs space and speed, nothing else.
            let _ = self.pack_newest(commit);
        }
        Ok(Head::new(commit.to_string()))
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.head_oid()? {
            Some(head) => self.read_path(&self.tree_at(head)?, path),
            None => Ok(None),
        }
    }

    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError> {
        match self.head_oid()? {
            Some(head) => self.list_paths(&self.tree_at(head)?, under),
            None => Ok(Vec::new()),
        }
    }
}

/// Every file of an append with its path in the ledger's tree.
fn tree_files(new: &NewAppend) -> Vec<(String, &[u8])> {
    let folder = entry_folder(new.seq);
    let mut files = vec![(format!("{folder}/entry.json"), new.entry.as_slice())];
    for (principal, signature) in &new.signatures {
        files.push((format!("{folder}/{principal}.sig"), signature.as_bytes()));
    }
    files.extend(new.files.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice())));
    files
}

fn conflict(expected: Option<Oid>, found: Option<Oid>) -> AppendError {
    let head = |oid: Option<Oid>| oid.map(|oid| Head::new(oid.to_string()));
    AppendError::Conflict { expected: head(expected), found: head(found) }
}

fn git_error(action: &'static str, repository: &Path, cause: &git2::Error) -> StoreError {
    StoreError::Git { action, repository: repository.to_owned(), cause: cause.message().to_owned() }
}

/// Waits until the disk has the file or folder. An object that git packed is on the disk.
fn flush(path: &Path) -> Result<(), StoreError> {
    match std::fs::File::open(path).and_then(|file| file.sync_all()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { action: "flushing", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
