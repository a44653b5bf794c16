//! One ledger seen from several places: linked work trees, bare repositories, clones of all kinds.

use std::path::{Path, PathBuf};

use ledger::git_store::Fetched;
use ledger::{Durability, GitStore, LedgerStore as _};

use crate::children::{append, append_at_last, events, open};
use crate::git::{create, git};

/// A repository with a commit on its main branch, and a ledger of two entries.
fn programme(folder: &Path) -> PathBuf {
    let work = folder.join("work");
    std::fs::create_dir(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "main"]);
    let mut ledger = create(GitStore::open(&work).unwrap());
    append(&mut ledger, "deploy").unwrap();
    work
}

fn clone(from: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let to = from.parent().unwrap().join(name);
    // A plain path would be copied file by file, whatever depth is asked for.
    let address = format!("file://{}", from.display());
    let command = [&["clone", "-q"], arguments, &[&address, to.to_str().unwrap()]].concat();
    git(from, &command);
    to
}

#[test]
fn work_trees_of_one_repository_share_the_ledger_and_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let main = programme(folder.path());
    git(&main, &["worktree", "add", "-q", "../linked"]);
    let linked = folder.path().join("linked");
    let mut here = open(&main, Durability::Flushed);
    let mut there = open(&linked, Durability::Flushed);
    assert_eq!(here.store().common_dir(), there.store().common_dir());
    append(&mut here, "announce").unwrap();
    // What the other decided on is not the newest any more.
    assert!(append(&mut there, "release").unwrap_err().is_conflict());
    assert_eq!(append_at_last(&mut there, "release"), 1);
    assert_eq!(append_at_last(&mut here, "missed"), 1);
    there.refresh().unwrap();
    assert_eq!(events(&there), ["deploy", "announce", "release", "missed"]);

    // A writer that dies in one work tree blocks nobody in the other.
    let shared = here.store().common_dir().to_owned();
    std::fs::write(shared.join("phasegate/ledger.flock"), "writing\n").unwrap();
    std::fs::write(shared.join("refs/heads/phase-ledger.lock"), "").unwrap();
    append(&mut there, "drill").unwrap();
    assert_eq!(git(&main, &["fsck", "--strict", "--no-dangling"]).unwrap(), "");
    assert_eq!(git(&linked, &["status", "--porcelain"]).unwrap(), "");
}

#[test]
fn a_work_tree_that_shows_the_ledger_does_not_keep_it_from_growing() {
    let folder = tempfile::tempdir().unwrap();
    let main = programme(folder.path());
    git(&main, &["worktree", "add", "-q", "../ledger", "phase-ledger"]);
    let shown = folder.path().join("ledger");
    assert!(shown.join("entries/000001/entry.json").exists());
    let mut ledger = open(&shown, Durability::Flushed);
    append(&mut ledger, "announce").unwrap();
    git(&shown, &["reset", "-q", "--hard"]);
    assert!(shown.join("entries/000002/entry.json").exists());
}

#[test]
fn every_kind_of_clone_verifies_by_itself_and_carries_the_ledger_on() {
    for (name, arguments) in [
        ("bare", &["--bare"][..]),
        ("mirror", &["--mirror"]),
        ("branch", &["--single-branch", "--branch", "phase-ledger"]),
        // The newest commit has every entry in its tree, so depth takes nothing away.
        ("shallow", &["--depth", "1", "--branch", "phase-ledger"]),
        ("reference", &["--shared", "--branch", "phase-ledger"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let origin = programme(folder.path());
        let copy = clone(&origin, name, arguments);
        let alone = open(&copy, Durability::Flushed);
        assert_eq!(events(&alone), ["deploy"], "{name}");

        let remote = || GitStore::open(&copy).unwrap().with_remote(origin.to_str().unwrap());
        let mut here = open(&origin, Durability::Flushed);
        append(&mut here, "announce").unwrap();
        assert_eq!(remote().fetch().unwrap(), Fetched::Brought, "{name}");
        let mut there = ledger::Ledger::open(remote(), &Default::default()).unwrap();
        assert_eq!(remote().fetch().unwrap(), Fetched::Level, "{name}");
        append(&mut there, "release").unwrap();
        assert_eq!(here.refresh().unwrap(), 1, "{name}");
        assert_eq!(events(&here), ["deploy", "announce", "release"], "{name}");
        git(&copy, &["fsck", "--strict", "--no-dangling"]);
        git(&origin, &["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn a_clone_of_another_branch_has_no_ledger_until_it_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let origin = programme(folder.path());
    let copy = clone(&origin, "copy", &["--branch", "main"]);
    let store = GitStore::open(&copy).unwrap();
    assert_eq!(store.head().unwrap(), None);
    ledger::Ledger::open(store.with_remote("origin"), &Default::default()).unwrap();
    assert_eq!(events(&open(&copy, Durability::Flushed)), ["deploy"]);
}
