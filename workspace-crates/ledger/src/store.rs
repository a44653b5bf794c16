//! Where entries are kept: the interface, and what every store checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use base::{Digest, Instant, PrincipalId};

use crate::entry::{ENTRY_BYTES_MAX, Entry, EntryError};
use crate::signing::{Signer, SigningError};
use crate::sshsig::{LEDGER_NAMESPACE, SIGNATURE_BYTES_MAX};

/// The most bytes that a piece of evidence inside the ledger may have; larger evidence is kept
/// elsewhere and cited by digest.
pub const EVIDENCE_BYTES_MAX: usize = 256 * 1024;

/// The most bytes that a report file may have.
pub const REPORT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The state of a store, to be compared when something is appended: a commit id in git.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head(String);

impl Head {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The head as text: the commit id in a git store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An entry as stored, before anything is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// The place that the store keeps it at.
    pub seq: u64,
    /// The exact bytes of `entry.json`.
    pub bytes: Vec<u8>,
    /// Armored SSHSIG by the name of the principal in its file name.
    pub signatures: BTreeMap<PrincipalId, Vec<u8>>,
}

/// All entries at one head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Nothing when the store is empty.
    pub head: Option<Head>,
    /// In their order.
    pub entries: Vec<RawEntry>,
}

/// An entry with its signatures and files, ready to be stored in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAppend {
    /// The entry's place.
    pub seq: u64,
    /// The entry's time, which also dates the commit.
    pub time: Instant,
    /// One line for the commit message.
    pub summary: String,
    /// The exact bytes of the entry.
    pub entry: Vec<u8>,
    /// Armored SSHSIG by principal; never empty.
    pub signatures: BTreeMap<PrincipalId, String>,
    /// Further files by path: `evidence/<sha256>.json`, `reports/…`, `allowed_signers`.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why an entry could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The entry has no bytes.
    #[error("the entry cannot be written: {0}")]
    Entry(#[from] EntryError),
    /// A signer could not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl NewAppend {
    /// Signs `entry` with every signer.
    ///
    /// # Errors
    /// When the entry cannot be written or a signer cannot sign.
    pub fn signed(entry: &Entry, signers: &[&dyn Signer]) -> Result<Self, PrepareError> {
        let bytes = entry.to_bytes()?;
        let mut signatures = BTreeMap::new();
        for signer in signers {
            signatures.insert(signer.principal().clone(), signer.sign(LEDGER_NAMESPACE, &bytes)?);
        }
        Ok(Self {
            seq: entry.seq,
            time: entry.time,
            summary: entry.summary(),
            entry: bytes,
            signatures,
            files: BTreeMap::new(),
        })
    }

    /// The same append with one more file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.files.insert(path.into(), bytes);
        self
    }

    /// The entry as it will be read back.
    #[must_use]
    pub fn raw(&self) -> RawEntry {
        let signature =
            |(id, text): (&PrincipalId, &String)| (id.clone(), text.clone().into_bytes());
        RawEntry {
            seq: self.seq,
            bytes: self.entry.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        }
    }
}

/// Why a store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No repository where one was expected.
    #[error(
        "no git repository was found at or above {path}; run `git init`, or name the repository: {cause}"
    )]
    NoRepository {
        /// Where it was looked for.
        path: PathBuf,
        /// What the git library said.
        cause: String,
    },
    /// A repository of another user, which git refuses to trust.
    #[error(
        "the repository at {path} belongs to another user: {cause}; change its owner, or run `git config --global --add safe.directory {path}`"
    )]
    NotOwned {
        /// The repository.
        path: PathBuf,
        /// What the git library said.
        cause: String,
    },
    /// The git library failed.
    #[error("{action} failed in the repository {repository}: {cause}")]
    Git {
        /// What was attempted.
        action: &'static str,
        /// The repository.
        repository: PathBuf,
        /// What the git library said.
        cause: String,
    },
    /// A file could not be read or written.
    #[error("{action} {path} failed: {source}{}", cure_of(source))]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in the ledger's tree that does not belong there.
    #[error(
        "the ledger's tree holds `{path}`, which {cause}; the branch was altered by other means than this program"
    )]
    Layout {
        /// Where, within the tree.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The remote did not answer.
    #[error(
        "the ledger's remote `{remote}` did not answer: {cause}; nothing was appended. Try again when it can be reached"
    )]
    Unreachable {
        /// Its name or address.
        remote: String,
        /// What git said.
        cause: String,
    },
    /// The remote answered, and does not take the entry.
    #[error(
        "the ledger's remote `{remote}` refused the entry: {cause}; nothing was appended. Check the rights of this machine and the rules of the branch"
    )]
    Refused {
        /// Its name or address.
        remote: String,
        /// What git said.
        cause: String,
    },
    /// Both sides have entries that the other has not.
    #[error(
        "the ledger has forked: here it ends at {ours}, at the remote `{remote}` at {theirs}, and neither continues the other. Keep the one that participants have seen, and both as evidence"
    )]
    Diverged {
        /// Its name or address.
        remote: String,
        /// The commit here.
        ours: String,
        /// The commit there.
        theirs: String,
    },
    /// Another git process holds the branch.
    #[error(
        "the branch is locked by the file {path}; if no git process is running, delete that file and try again"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

fn cure_of(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "; make the repository writable for this user"
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "; free some space and try again, nothing was appended"
        }
        _ => "",
    }
}

/// Why something was not appended. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended first.
    #[error("another entry was appended first: the head is {found}, not {expected}; read the ledger again and decide anew", expected = shown(expected), found = shown(found))]
    Conflict {
        /// The head that the caller knew.
        expected: Option<Head>,
        /// The head that there is.
        found: Option<Head>,
    },
    /// A file with a path or content that the ledger does not take.
    #[error("the file `{path}` cannot go into the ledger: {cause}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        cause: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn shown(head: &Option<Head>) -> &str {
    head.as_ref().map_or("none", Head::as_str)
}

/// Keeps entries and files. It stores bytes and knows nothing about their validity.
pub trait LedgerStore {
    /// The current head; nothing when the store is empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// All entries at the current head, in their order, with that head.
    ///
    /// # Errors
    /// When the store cannot be read or holds foreign files.
    fn snapshot(&self) -> Result<Snapshot, StoreError>;

    /// Takes over the entries up to `head`, which a snapshot showed and which verify. A store that
    /// others share keeps what it was offered aside until then.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn adopt(&self, _head: &Head) -> Result<(), StoreError> {
        Ok(())
    }

    /// Appends in one step if the head still is `expected_head`; otherwise changes nothing.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the head has moved, and whatever the store fails with.
    fn append(&self, new: &NewAppend, expected_head: Option<&Head>) -> Result<Head, AppendError>;

    /// The file at `path` at the current head; nothing when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The paths of all files under the folder `under` at the current head, in byte order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError>;

    /// All entries at the current head, in their order.
    ///
    /// # Errors
    /// When the store cannot be read or holds foreign files.
    fn entries(&self) -> Result<Vec<RawEntry>, StoreError> {
        Ok(self.snapshot()?.entries)
    }
}

impl<T: LedgerStore + ?Sized> LedgerStore for Box<T> {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        (**self).head()
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        (**self).snapshot()
    }

    fn adopt(&self, head: &Head) -> Result<(), StoreError> {
        (**self).adopt(head)
    }

    fn append(&self, new: &NewAppend, expected_head: Option<&Head>) -> Result<Head, AppendError> {
        (**self).append(new, expected_head)
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).read_file(path)
    }

    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError> {
        (**self).list_files(under)
    }
}

/// The folder of the entry at `seq`.
#[must_use]
pub fn entry_folder(seq: u64) -> String {
    format!("entries/{seq:06}")
}

/// The entries among the files of a copy of the ledger's tree, by their paths: what a bundle or a
/// work tree holds. Whatever does not belong among entries is refused by name.
///
/// # Errors
/// [`StoreError::Layout`] when a number is missing, or a file is foreign, missing or too large.
pub fn entries_of(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<RawEntry>, StoreError> {
    type Parts<'f> = (Option<&'f Vec<u8>>, BTreeMap<PrincipalId, Vec<u8>>);
    let mut found: BTreeMap<u64, Parts<'_>> = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("entries/")) {
        let foreign = |cause: &str| StoreError::Layout {
            path: path.chars().take(200).collect(),
            cause: cause.to_owned(),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let [_, folder, name] = parts.as_slice() else {
            return Err(foreign("is no file of an entry"));
        };
        let seq = seq_of(folder).ok_or_else(|| foreign("is not under an entry's number"))?;
        let (entry, signatures) = found.entry(seq).or_default();
        let size_bytes_max = if *name == "entry.json" {
            *entry = Some(bytes);
            ENTRY_BYTES_MAX
        } else {
            signatures.insert(signer_of(&entry_folder(seq), name)?, bytes.clone());
            SIGNATURE_BYTES_MAX
        };
        if bytes.len() > size_bytes_max {
            return Err(foreign(&format!("has more than {size_bytes_max} bytes")));
        }
    }
    check_places(&found.keys().copied().collect())?;
    let raw = |(seq, (bytes, signatures)): (u64, (Option<&Vec<u8>>, _))| match bytes {
        Some(bytes) => Ok(RawEntry { seq, bytes: bytes.clone(), signatures }),
        None => Err(StoreError::Layout {
            path: entry_folder(seq),
            cause: "has no entry.json".to_owned(),
        }),
    };
    found.into_iter().map(raw).collect()
}

/// The path of a piece of evidence within the ledger.
#[must_use]
pub fn evidence_path(digest: Digest) -> String {
    format!("evidence/{digest}.json")
}

/// Checks the paths and contents of an append's files.
pub(crate) fn check_files(new: &NewAppend) -> Result<(), AppendError> {
    let folder = entry_folder(new.seq);
    if new.signatures.is_empty() {
        return Err(refuse(&folder, "the entry has no signature"));
    }
    crate::secrets::check_keys(new)?;
    check_cases(new)?;
    for (path, bytes) in &new.files {
        if path == "allowed_signers" {
            continue;
        }
        check_path(path)?;
        match path.split_once('/') {
            Some(("evidence", name)) => check_evidence(path, name, bytes)?,
            Some(("reports", _)) if bytes.len() <= REPORT_BYTES_MAX => {}
            Some(("reports", _)) => return Err(refuse(path, "it has more than 32 MiB")),
            _ => {
                return Err(refuse(
                    path,
                    "it is neither under `evidence/` nor under `reports/`, nor `allowed_signers`",
                ));
            }
        }
    }
    Ok(())
}

/// Paths that differ in case only are one file on some systems, where the second hides the first.
fn check_cases(new: &NewAppend) -> Result<(), AppendError> {
    let mut seen = BTreeSet::new();
    match new.files.keys().find(|path| !seen.insert(path.to_ascii_lowercase())) {
        None => Ok(()),
        Some(path) => Err(refuse(path, "another file has this path in another case")),
    }
}

/// Whether a name means the same on every file system, and leads nowhere.
pub(crate) fn is_sound_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(plain)
}

fn check_path(path: &str) -> Result<(), AppendError> {
    if path.len() <= 512 && path.split('/').all(is_sound_name) {
        return Ok(());
    }
    Err(refuse(
        path,
        "a path has parts of letters, digits, `.`, `_` and `-`, none of which starts with a dot",
    ))
}

fn check_evidence(path: &str, name: &str, bytes: &[u8]) -> Result<(), AppendError> {
    if bytes.len() > EVIDENCE_BYTES_MAX {
        return Err(refuse(path, "evidence of more than 256 KiB is kept outside and cited"));
    }
    if name != format!("{}.json", Digest::of(bytes)) {
        return Err(refuse(path, "evidence is named by the SHA-256 digest of its bytes"));
    }
    Ok(())
}

pub(crate) fn refuse(path: &str, cause: &str) -> AppendError {
    AppendError::File { path: path.chars().take(200).collect(), cause: cause.to_owned() }
}

/// Reports are published once: a file that is there is never replaced by another content.
pub(crate) fn is_immutable(path: &str) -> bool {
    path != "allowed_signers"
}

/// Reads the names inside one entry's folder: the principals that signed.
pub(crate) fn signer_of(folder: &str, name: &str) -> Result<PrincipalId, StoreError> {
    let foreign = || StoreError::Layout {
        path: format!("{folder}/{name}"),
        cause: "is neither an entry nor a signature".to_owned(),
    };
    let stem = name.strip_suffix(".sig").ok_or_else(foreign)?;
    PrincipalId::new(stem).map_err(|_| foreign())
}

/// The place that a folder name stands for: six digits or more, without needless zeros.
pub(crate) fn seq_of(name: &str) -> Option<u64> {
    let seq = name.parse().ok()?;
    (format!("{seq:06}") == name).then_some(seq)
}

/// Folder names have to be exactly the places from 0 on.
pub(crate) fn check_places(places: &BTreeSet<u64>) -> Result<(), StoreError> {
    match (0..).zip(places).find(|(expected, found)| expected != *found) {
        None => Ok(()),
        Some((expected, found)) => Err(StoreError::Layout {
            path: entry_folder(*found),
            cause: format!("should be {}, which is missing", entry_folder(expected)),
        }),
    }
}
