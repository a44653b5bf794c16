//! Many processes that append to one ledger at once.

use std::io::Read as _;
use std::process::{Child, Stdio};

use ledger::Durability;

use crate::children::*;
use crate::git::{create, fast, git};

const WRITER: &str = "LEDGER_TEST_WRITER";
const WRITERS: usize = 8;
const APPENDS: usize = 50;

/// Appends its share when it is started by the test below; otherwise there is nothing to do.
#[test]
fn child_that_appends_its_share() {
    let (Ok(folder), Ok(writer)) = (std::env::var(FOLDER), std::env::var(WRITER)) else { return };
    // Those that wait for the disk and those that do not have to get along.
    let is_even = writer.parse::<usize>().unwrap().is_multiple_of(2);
    let durability = if is_even { Durability::Flushed } else { Durability::Buffered };
    let mut ledger = open(folder.as_ref(), durability);
    // Everybody begins when the parent closes the pipe.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let name = |nth| format!("w{writer}-{nth:02}");
    let conflicts: usize = (0..APPENDS).map(|nth| append_at_last(&mut ledger, &name(nth))).sum();
    eprintln!("writer {writer}: {conflicts} conflicts");
}

#[test]
fn eight_processes_stay_linear_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    create(fast(folder.path()));
    let start = |writer: usize| {
        let mut command = child("stress::child_that_appends_its_share", folder.path());
        command.env(WRITER, writer.to_string()).stdin(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut running: Vec<Child> = (0..WRITERS).map(start).collect();
    running.iter_mut().for_each(|child| drop(child.stdin.take()));
    for child in running {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        print!("{said}");
    }

    let ledger = open(folder.path(), Durability::Buffered);
    assert_eq!(ledger.view().len(), WRITERS * APPENDS + 1);
    let events = events(&ledger);
    for writer in 0..WRITERS {
        let own = events.iter().filter(|name| name.starts_with(&format!("w{writer}-")));
        let expected = (0..APPENDS).map(|nth| format!("w{writer}-{nth:02}"));
        assert!(own.cloned().eq(expected), "writer {writer}: {events:?}");
    }
    let git = |arguments: &[&str]| git(folder.path(), arguments).unwrap();
    assert_eq!(git(&["rev-list", "--count", "phase-ledger"]), "401");
    assert_eq!(git(&["rev-list", "--min-parents=2", "--count", "phase-ledger"]), "0");
    assert_eq!(git(&["fsck", "--strict", "--no-dangling"]), "");
    // Nobody is left waiting, and nothing is left lying about.
    assert!(!folder.path().join("refs/heads/phase-ledger.lock").exists());
    assert_eq!(std::fs::read(folder.path().join("phasegate/ledger.flock")).unwrap(), b"");
}
