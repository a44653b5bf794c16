//! A ledger that several machines share: the branch at a git remote is the one that counts.
//!
//! The program `git` talks to the remote, so that ssh, https and local remotes work with the keys
//! and credential helpers that the user has. History is never rewritten on either side.

use std::process::Output;

use duct::Expression;
use git2::{ErrorCode, Oid};

use super::address::redacted;
use super::lock::WriteLock;
use super::{Durability, GitStore};
use crate::store::{AppendError, StoreError};

/// How often the remote is asked before it counts as unreachable.
const ATTEMPTS: u32 = 3;

/// The key of git's configuration that names the remote.
pub const REMOTE_KEY: &str = "phasegate.remote";

/// Variables that would send `git` to another repository than this one.
const FOREIGN: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
];

/// How the branch here stands to the remote's after fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// The store has no remote.
    Alone,
    /// Both ends were the same already.
    Level,
    /// The remote had more entries; they are here now.
    Brought,
    /// Entries are here that the remote lacks: from a time without a remote, or because it was
    /// rolled back.
    Ahead,
}

/// What became of a push.
pub(super) enum Pushed {
    Accepted,
    /// The remote has entries that this clone has not.
    Behind,
}

impl GitStore {
    /// The same store, shared through the git remote `name` (or its address). Reading fetches
    /// first, and an entry counts as appended once the remote has it.
    #[must_use]
    pub fn with_remote(mut self, name: impl Into<String>) -> Self {
        self.remote = Some(name.into());
        self
    }

    /// The same store on this machine alone.
    #[must_use]
    pub fn without_remote(mut self) -> Self {
        self.remote = None;
        self
    }

    /// The remote that the repository's configuration names under [`REMOTE_KEY`]; nothing when the
    /// key is missing or empty.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn configured_remote(&self) -> Result<Option<String>, StoreError> {
        let config = self.repository.config().map_err(self.fail("reading the configuration"))?;
        match config.get_string(REMOTE_KEY) {
            Ok(name) => Ok(Some(name).filter(|name| !name.is_empty())),
            Err(cause) if cause.code() == ErrorCode::NotFound => Ok(None),
            Err(cause) => Err(self.fail("reading the configuration")(cause)),
        }
    }

    /// Brings the branch up to date with the remote; does nothing without one.
    ///
    /// # Errors
    /// When the remote cannot be read, or both sides have entries that the other has not.
    pub fn fetch(&self) -> Result<Fetched, StoreError> {
        let Some(remote) = &self.remote else { return Ok(Fetched::Alone) };
        let ours = self.head_oid()?;
        let Some(theirs) = self.listed(remote)? else {
            return Ok(if ours.is_some() { Fetched::Ahead } else { Fetched::Level });
        };
        if ours == Some(theirs) {
            return Ok(Fetched::Level);
        }
        self.get_objects(remote)?;
        let _lock = WriteLock::take(self.common_dir(), &self.branch_lock())?;
        self.follow(remote, theirs)
    }

    /// Moves the branch to what the remote has, if that continues it.
    fn follow(&self, remote: &str, theirs: Oid) -> Result<Fetched, StoreError> {
        let ours = self.head_oid()?;
        if let Some(ours) = ours {
            let descends = |newer, older| {
                let descends = self.repository.graph_descendant_of(newer, older);
                descends.map_err(self.fail("comparing with the remote"))
            };
            if ours == theirs {
                return Ok(Fetched::Level);
            }
            if descends(ours, theirs)? {
                // The next append takes along what the remote lacks.
                return Ok(Fetched::Ahead);
            }
            if !descends(theirs, ours)? {
                return Err(StoreError::Diverged {
                    remote: redacted(remote),
                    ours: ours.to_string(),
                    theirs: theirs.to_string(),
                });
            }
        }
        match self.move_branch("fetched from the remote", ours, theirs) {
            Ok(()) => Ok(Fetched::Brought),
            Err(AppendError::Store(error)) => Err(error),
            // Another program than this one moved it, without the writers' lock.
            Err(_) => Err(StoreError::Locked { path: self.branch_lock() }),
        }
    }

    /// Where the remote's branch is; nothing when it has no ledger yet.
    fn listed(&self, remote: &str) -> Result<Option<Oid>, StoreError> {
        let listed = self.asked(remote, &["ls-remote", "--refs", "--", remote, &self.branch])?;
        // A pattern also finds longer names that end with it.
        let found = listed.lines().filter_map(|line| line.split_once('\t'));
        let mut found = found.filter(|(_, name)| *name == self.branch);
        let Some((oid, _)) = found.next() else { return Ok(None) };
        Oid::from_str(oid).map(Some).map_err(|_| StoreError::Unreachable {
            remote: redacted(remote),
            cause: "it answered with something else than a list of branches".to_owned(),
        })
    }

    /// Brings the objects of the remote's branch. No reference of this repository moves.
    fn get_objects(&self, remote: &str) -> Result<(), StoreError> {
        let sync = match self.durability {
            Durability::Flushed => "core.fsync=all",
            Durability::Buffered => "core.fsync=none",
        };
        let quiet = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap="];
        let what = ["--", remote, self.branch.as_str()];
        self.asked(remote, &[&["-c", sync], &quiet[..], &what[..]].concat()).map(|_| ())
    }

    /// Runs a git command that only reads from the remote, again when the remote does not answer.
    fn asked(&self, remote: &str, arguments: &[&str]) -> Result<String, StoreError> {
        let mut attempt = 1;
        loop {
            let ran = self.ran(arguments)?;
            if ran.status.success() {
                return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
            }
            if attempt == ATTEMPTS {
                return Err(unreachable(remote, &ran));
            }
            attempt += 1;
        }
    }

    /// Offers `commit` to the remote as the branch's new head.
    pub(super) fn push(&self, remote: &str, commit: Oid) -> Result<Pushed, StoreError> {
        let spec = format!("{commit}:{}", self.branch);
        let quiet = ["push", "--quiet", "--porcelain", "--no-verify", "--", remote, &spec];
        let ran = self.ran(&quiet)?;
        if ran.status.success() {
            return Ok(Pushed::Accepted);
        }
        // A line for the branch that begins with `!` is a refusal; without one nobody answered.
        let said = String::from_utf8_lossy(&ran.stdout);
        let refused = said.lines().find(|line| line.starts_with('!'));
        // What another push has changed meanwhile is told in several ways.
        let races = [
            "fetch first",
            "non-fast-forward",
            "failed to update ref",
            "cannot lock ref",
            "reference already exists",
            "incorrect old value",
        ];
        match refused {
            Some(line) if races.iter().any(|race| line.contains(race)) => Ok(Pushed::Behind),
            // The remote may have taken it although the answer was lost.
            _ if self.listed(remote).is_ok_and(|head| head == Some(commit)) => Ok(Pushed::Accepted),
            Some(line) => Err(StoreError::Refused {
                remote: redacted(remote),
                cause: redacted(line.trim_start_matches('!').trim()),
            }),
            None => Err(unreachable(remote, &ran)),
        }
    }

    fn ran(&self, arguments: &[&str]) -> Result<Output, StoreError> {
        self.git(arguments).run().map_err(|source| StoreError::Io {
            action: "starting",
            path: "git".into(),
            source,
        })
    }

    fn git(&self, arguments: &[&str]) -> Expression {
        // A relative address of a remote counts from the root of the work tree.
        let folder = self.repository.workdir().unwrap_or_else(|| self.repository.path());
        let git = duct::cmd("git", arguments)
            .dir(folder)
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            // Without a terminal a question for a password would wait for ever.
            .env("GIT_TERMINAL_PROMPT", "0")
            // The messages are read here, so they have to be in one language.
            .env("LC_ALL", "C");
        FOREIGN.iter().fold(git, |git, name| git.env_remove(name))
    }
}

fn unreachable(remote: &str, ran: &Output) -> StoreError {
    let said = String::from_utf8_lossy(&ran.stderr);
    let cause = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    StoreError::Unreachable { remote: redacted(remote), cause: redacted(cause.trim()) }
}
