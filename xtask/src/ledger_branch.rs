//! `cargo xtask ledger-fetch` and `ledger-push`: the ledger branch between a machine and its remote.
//! Neither ever rewrites history: a ledger that has forked is an error for people to look at.
use std::path::{Path, PathBuf};

use crate::Error;
use crate::workspace::{read, root, run, succeeds};

const BRANCH: &str = "refs/heads/phase-ledger";
const TRACKING: &str = "refs/remotes/origin/phase-ledger";
const NO_OBJECT: &str = "0000000000000000000000000000000000000000";

/// Brings the local branch up to date. No branch at the remote is fine: the first push makes one.
pub(crate) fn fetch() -> Result<(), Error> {
    let message = Repository(root()).fetch()?;
    eprintln!("{message}");
    Ok(())
}

/// Pushes the local branch. No local branch is fine: nothing was due yet.
pub(crate) fn push() -> Result<(), Error> {
    let message = Repository(root()).push()?;
    eprintln!("{message}");
    Ok(())
}

struct Repository(PathBuf);

impl Repository {
    fn fetch(&self) -> Result<&'static str, Error> {
        // An error of the network must not look like a remote without a ledger.
        if self.read(&["ls-remote", "origin", BRANCH])?.trim().is_empty() {
            return Ok("the remote has no ledger yet");
        }
        self.run(&["fetch", "--quiet", "--no-tags", "origin", &format!("+{BRANCH}:{TRACKING}")])?;
        if !self.has(BRANCH) {
            self.run(&["update-ref", BRANCH, TRACKING, NO_OBJECT])?;
            return Ok("the ledger was fetched");
        }
        if self.is_ancestor(TRACKING, BRANCH) {
            return Ok("the ledger is up to date");
        }
        if self.is_ancestor(BRANCH, TRACKING) {
            let before = self.read(&["rev-parse", BRANCH])?;
            self.run(&["update-ref", BRANCH, TRACKING, before.trim()])?;
            return Ok("the ledger was brought up to date");
        }
        Err(Error::Check(
            "the ledger has forked: this machine and the remote each have entries that the other \
             does not have\n  compare them with `git log --graph phase-ledger origin/phase-ledger`; \
             keep the one that participants have seen"
                .into(),
        ))
    }

    fn push(&self) -> Result<&'static str, Error> {
        if !self.has(BRANCH) {
            return Ok("there is no ledger to push");
        }
        self.run(&["push", "--quiet", "origin", &format!("{BRANCH}:{BRANCH}")])?;
        Ok("the ledger is at the remote")
    }

    fn has(&self, reference: &str) -> bool {
        succeeds(self.git(&["rev-parse", "--verify", "--quiet", reference]))
    }

    fn is_ancestor(&self, older: &str, newer: &str) -> bool {
        succeeds(self.git(&["merge-base", "--is-ancestor", older, newer]))
    }

    fn run(&self, arguments: &[&str]) -> Result<(), Error> {
        run(&format!("git {}", arguments.join(" ")), self.git(arguments))
    }

    fn read(&self, arguments: &[&str]) -> Result<String, Error> {
        read(&format!("git {}", arguments.join(" ")), self.git(arguments))
    }

    fn git(&self, arguments: &[&str]) -> duct::Expression {
        let folder: &Path = &self.0;
        // Without a terminal a question for a password would wait for ever.
        duct::cmd("git", arguments).dir(folder).stdin_null().env("GIT_TERMINAL_PROMPT", "0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Remote {
        _folder: tempfile::TempDir,
        alice: Repository,
        bob: Repository,
    }

    /// An empty remote and two clones of it.
    fn remote() -> Remote {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("remote")).unwrap();
        Repository(path("remote")).run(&["init", "--quiet", "--bare"]).unwrap();
        let clone = |name: &str| {
            std::fs::create_dir(path(name)).unwrap();
            let repository = Repository(path(name));
            repository.run(&["init", "--quiet"]).unwrap();
            let url = path("remote").display().to_string();
            repository.run(&["remote", "add", "origin", &url]).unwrap();
            repository
        };
        let (alice, bob) = (clone("alice"), clone("bob"));
        Remote { _folder: folder, alice, bob }
    }

    /// Appends an empty commit to the ledger without a working tree.
    fn append(repository: &Repository, text: &str) -> String {
        let empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut arguments = [&who[..], &["commit-tree", empty_tree, "-m", text]].concat();
        repository.read(&["hash-object", "-w", "-t", "tree", "/dev/null"]).unwrap();
        if repository.has(BRANCH) {
            arguments.extend(["-p", BRANCH]);
        }
        let commit = repository.read(&arguments).unwrap().trim().to_owned();
        repository.run(&["update-ref", BRANCH, &commit]).unwrap();
        commit
    }

    fn head(repository: &Repository) -> String {
        repository.read(&["rev-parse", BRANCH]).unwrap().trim().to_owned()
    }

    #[test]
    fn a_remote_without_a_ledger_is_fine_in_both_directions() {
        let remote = remote();
        assert_eq!(remote.alice.fetch().unwrap(), "the remote has no ledger yet");
        assert_eq!(remote.alice.push().unwrap(), "there is no ledger to push");
    }

    #[test]
    fn entries_travel_through_the_remote() {
        let remote = remote();
        append(&remote.alice, "one");
        remote.alice.push().unwrap();
        assert_eq!(remote.bob.fetch().unwrap(), "the ledger was fetched");
        let second = append(&remote.bob, "two");
        remote.bob.push().unwrap();
        assert_eq!(remote.alice.fetch().unwrap(), "the ledger was brought up to date");
        assert_eq!(head(&remote.alice), second);
        assert_eq!(remote.alice.fetch().unwrap(), "the ledger is up to date");
    }

    #[test]
    fn entries_that_could_not_be_pushed_are_kept() {
        let remote = remote();
        append(&remote.alice, "one");
        remote.alice.push().unwrap();
        let second = append(&remote.alice, "two");
        assert_eq!(remote.alice.fetch().unwrap(), "the ledger is up to date");
        assert_eq!(head(&remote.alice), second);
    }

    #[test]
    fn a_fork_is_an_error_and_nothing_is_lost() {
        let remote = remote();
        append(&remote.alice, "one");
        remote.alice.push().unwrap();
        remote.bob.fetch().unwrap();
        append(&remote.alice, "two");
        remote.alice.push().unwrap();
        let other = append(&remote.bob, "another two");
        assert!(remote.bob.push().is_err());
        assert!(remote.bob.fetch().unwrap_err().to_string().contains("forked"));
        assert_eq!(head(&remote.bob), other);
    }

    #[test]
    fn a_remote_that_cannot_be_reached_is_an_error() {
        let remote = remote();
        remote.alice.run(&["remote", "set-url", "origin", "no-such-folder"]).unwrap();
        assert!(remote.alice.fetch().is_err());
    }
}
