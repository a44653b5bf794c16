use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{self, ManifestProblem};
use crate::{AppendError, BlockError, LogError, SourceError};

/// Why an archive cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, such as `reading`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// There is no space left. What was acknowledged before is not affected.
    #[error("{action} {}: the disk is full; free some space and try again, nothing was lost", path.display())]
    Full {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The disk, or the permission that this program has, is for reading only.
    #[error("{action} {}: it may only be read here; reading the archive works, to write to it mount the disk for writing or give this user the permission", path.display())]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// Another process writes to the archive.
    #[error("the sample archive {} is being written by another process; it can be read meanwhile", .0.display())]
    Locked(PathBuf),
    /// The directory holds no archive.
    #[error("there is no sample archive in {}", .0.display())]
    NotAnArchive(PathBuf),
    /// A later release wrote it.
    #[error("{} has format {found}; this release reads format {reads}: use a newer release", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The newest format that this release reads.
        reads: u32,
    },
    /// The list of blocks is damaged, so nobody can say what the archive holds.
    #[error("the list of blocks {} is damaged: {problem}; take it from a copy", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A scrape does not fit the archive. Nothing was written.
    #[error("the scrape was not stored")]
    Refused(#[source] AppendError),
    /// A log could not be used.
    #[error(transparent)]
    Log(LogError),
    /// The list of targets is damaged, so nobody can say whose samples the archive holds.
    #[error("the list of targets {} is damaged at byte {offset}; take it from a copy", path.display())]
    Targets {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// Part of the archive is damaged, so it is not rewritten.
    #[error("the archive is damaged, and what is damaged is not rewritten")]
    Damaged(#[source] Damage),
    /// A block could not be taken in.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The archive changed again and again while it was being read.
    #[error("the sample archive {} was rewritten {attempts} times while it was being read; try again", path.display())]
    Changing {
        /// The archive.
        path: PathBuf,
        /// How often reading was tried.
        attempts: u32,
    },
}

impl ArchiveError {
    /// Whether a writer that works at the same time can cause it.
    pub(super) fn is_passing(&self) -> bool {
        use io::ErrorKind::{NotFound, UnexpectedEof};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), NotFound | UnexpectedEof))
    }
}

/// Says which refusals of the operating system have a cure of their own.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> ArchiveError + use<> {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ArchiveError::Full { action, path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                ArchiveError::ReadOnly { action, path, source }
            }
            _ => ArchiveError::Io { action, path, source },
        }
    }
}

impl From<LogError> for ArchiveError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Io { action, path, source } => io_error(action, &path)(source),
            LogError::NewerVersion { path, found } => {
                Self::NewerVersion { path, found, reads: crate::log_records::VERSION }
            }
            LogError::Locked(path) => Self::Locked(path),
            other => Self::Log(other),
        }
    }
}

pub(super) fn manifest_error(path: PathBuf, problem: &ManifestProblem) -> ArchiveError {
    match *problem {
        ManifestProblem::Newer(found) => {
            ArchiveError::NewerVersion { path, found, reads: manifest::VERSION }
        }
        ManifestProblem::Damaged(problem) => ArchiveError::Manifest { path, problem },
    }
}

/// Something in an archive that cannot be served. Queries that touch its time fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}; it concerns {from_ms} to {to_ms} ms since 1970")]
pub struct Damage {
    /// What kind of damage it is.
    pub kind: DamageKind,
    /// The file, relative to the archive.
    pub file: String,
    /// What is wrong with it, and what can be done.
    pub problem: String,
    /// The first time that is concerned, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The first time after it that is not concerned.
    pub to_ms: i64,
}

impl Damage {
    /// Whether it is of the log that was in use.
    pub(super) fn is_of_log(&self) -> bool {
        let log = matches!(self.kind, DamageKind::MissingLog | DamageKind::DamagedLog);
        log && super::layout::SetAside::of_file(self.file.trim_start_matches("log/")).is_none()
    }
}

/// How an archive can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// A listed block is not there.
    MissingBlock,
    /// A block cannot be read, or not in the place where it stands.
    DamagedBlock,
    /// The log is not there.
    MissingLog,
    /// The log is damaged before its end; the whole scrapes before and after were kept.
    DamagedLog,
}
