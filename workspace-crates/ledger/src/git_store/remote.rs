//! A ledger that several machines share: the branch at a git remote is the one that counts.
//!
//! The program `git` talks to the remote, so that ssh, https and local remotes work with the keys
//! and credential helpers that the user has. History is never rewritten on either side.

use std::process::Output;
use std::time::Duration;

use duct::Expression;
use git2::{ErrorCode, Oid};

use super::address::redacted;
use super::lock::WriteLock;
use super::{Durability, GitStore};
#[cfg(doc)]
use crate::store::LedgerStore;
use crate::store::{AppendError, StoreError};

/// How often the remote is asked before it counts as unreachable.
const ATTEMPTS: u32 = 3;

/// How long the remote may take to say where its branch is.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How many times longer it may take to bring or take objects.
const PATIENCE_FOR_OBJECTS: u32 = 20;

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
    /// The remote has more entries; they can be read here now.
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

    /// The same store, which waits so long until the remote says where its branch is, and twenty
    /// times as long for objects on their way. Half a minute unless this says otherwise.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
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

    /// Asks the remote for entries that are not here; does nothing without one. They are read from
    /// now on, but the branch only moves when [`LedgerStore::adopt`] says that they verify.
    ///
    /// # Errors
    /// When the remote cannot be read, or both sides have entries that the other has not.
    pub fn fetch(&self) -> Result<Fetched, StoreError> {
        let Some(remote) = &self.remote else { return Ok(Fetched::Alone) };
        self.offered.set(None);
        let ours = self.branch_oid()?;
        let Some(theirs) = self.listed(remote)? else {
            return Ok(if ours.is_some() { Fetched::Ahead } else { Fetched::Level });
        };
        if ours == Some(theirs) {
            return Ok(Fetched::Level);
        }
        self.get_objects(remote)?;
        let fetched = self.compare(ours, theirs)?;
        if fetched == Fetched::Brought {
            self.offered.set(Some(theirs));
        }
        Ok(fetched)
    }

    /// Moves the branch to what was fetched, when that is `head`.
    pub(super) fn adopt_offered(&self, head: &str) -> Result<(), StoreError> {
        let Some(theirs) = self.offered.get().filter(|oid| oid.to_string() == head) else {
            return Ok(());
        };
        let _lock = WriteLock::take(self.common_dir(), &self.branch_lock())?;
        let ours = self.branch_oid()?;
        if self.compare(ours, theirs)? == Fetched::Brought {
            self.move_branch("fetched from the remote", ours, theirs).map_err(|error| {
                match error {
                    AppendError::Store(error) => error,
                    // Another program than this one moved it, without the writers' lock.
                    _ => StoreError::Locked { path: self.branch_lock() },
                }
            })?;
        }
        self.offered.set(None);
        Ok(())
    }

    fn compare(&self, ours: Option<Oid>, theirs: Oid) -> Result<Fetched, StoreError> {
        let Some(ours) = ours else { return Ok(Fetched::Brought) };
        let descends = |newer, older| {
            let descends = self.repository.graph_descendant_of(newer, older);
            descends.map_err(self.fail("comparing with the remote"))
        };
        if ours == theirs {
            Ok(Fetched::Level)
        } else if descends(ours, theirs)? {
            // The next append takes along what the remote lacks.
            Ok(Fetched::Ahead)
        } else if descends(theirs, ours)? {
            Ok(Fetched::Brought)
        } else {
            Err(StoreError::Diverged {
                remote: redacted(self.remote.as_deref().unwrap_or_default()),
                ours: ours.to_string(),
                theirs: theirs.to_string(),
            })
        }
    }

    /// Where the remote's branch is; nothing when it has no ledger yet.
    fn listed(&self, remote: &str) -> Result<Option<Oid>, StoreError> {
        let arguments = ["ls-remote", "--refs", "--", remote, &self.branch];
        let listed = self.asked(remote, &arguments, self.patience)?;
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
        let arguments = [&["-c", sync], &quiet[..], &what[..]].concat();
        self.asked(remote, &arguments, self.patience * PATIENCE_FOR_OBJECTS).map(|_| ())
    }

    /// Runs a git command that only reads from the remote, again when that fails. A remote that
    /// keeps silent is not asked twice.
    fn asked(
        &self,
        remote: &str,
        arguments: &[&str],
        patience: Duration,
    ) -> Result<String, StoreError> {
        let mut attempt = 1;
        loop {
            let ran = self.ran(remote, arguments, patience)?;
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
        let arguments = ["push", "--quiet", "--porcelain", "--no-verify", "--", remote, &spec];
        let offer = || self.ran(remote, &arguments, self.patience * PATIENCE_FOR_OBJECTS);
        let mut ran = offer();
        for _ in 1..ATTEMPTS {
            // The same commit can be offered again: it is there at most once.
            if ran.as_ref().is_ok_and(|ran| !ran.status.success() && refusal(ran).is_none()) {
                ran = offer();
            }
        }
        // The remote may have taken it although its answer was lost.
        let is_there = || self.listed(remote).is_ok_and(|head| head == Some(commit));
        let ran = match ran {
            Err(StoreError::Unreachable { .. }) if is_there() => return Ok(Pushed::Accepted),
            ran => ran?,
        };
        if ran.status.success() {
            return Ok(Pushed::Accepted);
        }
        // What another push has changed meanwhile is told in several ways.
        let races = [
            "fetch first",
            "non-fast-forward",
            "failed to update ref",
            "cannot lock ref",
            "reference already exists",
            "incorrect old value",
        ];
        match refusal(&ran) {
            Some(line) if races.iter().any(|race| line.contains(race)) => Ok(Pushed::Behind),
            _ if is_there() => Ok(Pushed::Accepted),
            Some(line) => Err(StoreError::Refused {
                remote: redacted(remote),
                cause: redacted(line.trim_start_matches('!').trim()),
            }),
            None => Err(unreachable(remote, &ran)),
        }
    }

    fn ran(
        &self,
        remote: &str,
        arguments: &[&str],
        patience: Duration,
    ) -> Result<Output, StoreError> {
        let io = |source| StoreError::Io { action: "starting", path: "git".into(), source };
        let running = self.git(arguments).start().map_err(io)?;
        if let Some(ran) = running.wait_timeout(patience).map_err(io)? {
            return Ok(ran.clone());
        }
        running.kill().map_err(io)?;
        let cause = format!("it said nothing for {} s", patience.as_secs_f64());
        Err(StoreError::Unreachable { remote: redacted(remote), cause })
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

/// The line for the branch that begins with `!`; without one nobody answered.
fn refusal(ran: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&ran.stdout);
    said.lines().find(|line| line.starts_with('!')).map(str::to_owned)
}

fn unreachable(remote: &str, ran: &Output) -> StoreError {
    let said = String::from_utf8_lossy(&ran.stderr);
    let cause = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    StoreError::Unreachable { remote: redacted(remote), cause: redacted(cause.trim()) }
}
