//! A ledger that several machines share: the branch at a git remote is the one that counts.
//!
//! The program `git` talks to the remote, so that ssh, https and local remotes work with the keys
//! and credential helpers that the user has. History is never rewritten on either side.

use duct::Expression;
use git2::Oid;

use super::GitStore;
use crate::store::StoreError;

/// How often fetching is tried before the remote counts as unreachable.
const FETCH_ATTEMPTS: u32 = 3;

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

    /// Brings the branch up to date with the remote; does nothing without one.
    ///
    /// # Errors
    /// When the remote cannot be read, or both sides have entries that the other has not.
    pub fn fetch(&self) -> Result<(), StoreError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let Some(theirs) = self.fetched(remote)? else { return Ok(()) };
        let ours = self.head_oid()?;
        let Some(ours) = ours.filter(|ours| *ours != theirs) else {
            return self.set_branch(ours, theirs);
        };
        let descends = |newer, older| self.repository.graph_descendant_of(newer, older);
        if descends(ours, theirs).map_err(self.fail("comparing with the remote"))? {
            // Entries from the time without a remote; the next append takes them along.
            return Ok(());
        }
        if descends(theirs, ours).map_err(self.fail("comparing with the remote"))? {
            return self.set_branch(Some(ours), theirs);
        }
        Err(StoreError::Diverged {
            remote: remote.clone(),
            ours: ours.to_string(),
            theirs: theirs.to_string(),
        })
    }

    fn set_branch(&self, from: Option<Oid>, to: Oid) -> Result<(), StoreError> {
        const WHY: &str = "fetched from the remote";
        let moved = match from {
            Some(from) if from == to => return Ok(()),
            Some(from) => self.repository.reference_matching(&self.branch, to, true, from, WHY),
            None => self.repository.reference(&self.branch, to, false, WHY),
        };
        moved.map_err(self.fail("moving the ledger's branch"))?;
        self.flush_branch()
    }

    /// The remote's head after its objects are here; nothing when it has no ledger yet.
    fn fetched(&self, remote: &str) -> Result<Option<Oid>, StoreError> {
        let tracking = format!("refs/phasegate/fetched/{}", std::process::id());
        let spec = format!("+{}:{tracking}", self.branch);
        // Listed first, because an unreachable remote must not look like one without a ledger.
        let listed = self.asked(remote, &["ls-remote", "--refs", remote, &self.branch])?;
        if listed.trim().is_empty() {
            return Ok(None);
        }
        self.asked(
            remote,
            &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, &spec],
        )?;
        let mut reference = self
            .repository
            .find_reference(&tracking)
            .map_err(self.fail("reading what was fetched"))?;
        let head = reference.target();
        reference.delete().map_err(self.fail("reading what was fetched"))?;
        Ok(head)
    }

    /// Runs a git command that only reads from the remote, again when the remote does not answer.
    fn asked(&self, remote: &str, arguments: &[&str]) -> Result<String, StoreError> {
        let mut attempt = 1;
        loop {
            let ran = self.ran(arguments)?;
            if ran.status.success() {
                return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
            }
            if attempt == FETCH_ATTEMPTS {
                return Err(unreachable(remote, &ran));
            }
            attempt += 1;
        }
    }

    /// Offers `commit` to the remote as the branch's new head.
    pub(super) fn push(&self, remote: &str, commit: Oid) -> Result<Pushed, StoreError> {
        let spec = format!("{commit}:{}", self.branch);
        let ran = self.ran(&["push", "--quiet", "--porcelain", "--no-verify", remote, &spec])?;
        if ran.status.success() {
            return Ok(Pushed::Accepted);
        }
        // A line for the branch that begins with `!` is a refusal; without one nobody answered.
        let said = String::from_utf8_lossy(&ran.stdout);
        let refused = said.lines().find(|line| line.starts_with('!'));
        // What another push has changed meanwhile is told in several ways.
        let races = ["fetch first", "non-fast-forward", "failed to update ref", "cannot lock ref"];
        match refused {
            Some(line) if races.iter().any(|race| line.contains(race)) => Ok(Pushed::Behind),
            // The remote may have taken it although the answer was lost.
            _ if self.fetched(remote).is_ok_and(|head| head == Some(commit)) => {
                Ok(Pushed::Accepted)
            }
            Some(line) => Err(StoreError::Refused {
                remote: remote.to_owned(),
                cause: line.trim_start_matches('!').trim().to_owned(),
            }),
            None => Err(unreachable(remote, &ran)),
        }
    }

    fn ran(&self, arguments: &[&str]) -> Result<std::process::Output, StoreError> {
        self.git(arguments).run().map_err(|source| StoreError::Io {
            action: "starting",
            path: "git".into(),
            source,
        })
    }

    fn git(&self, arguments: &[&str]) -> Expression {
        duct::cmd("git", arguments)
            .dir(self.repository.path())
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            // Without a terminal a question for a password would wait for ever.
            .env("GIT_TERMINAL_PROMPT", "0")
            // The messages are read here, so they have to be in one language.
            .env("LC_ALL", "C")
            .env_remove("GIT_DIR")
    }
}

fn unreachable(remote: &str, ran: &std::process::Output) -> StoreError {
    let said = String::from_utf8_lossy(&ran.stderr);
    let cause = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    StoreError::Unreachable { remote: remote.to_owned(), cause: cause.trim().to_owned() }
}
