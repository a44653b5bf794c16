//! A process that is killed while it appends leaves a ledger that verifies and goes on.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Command, Stdio};

use ledger::{Expectations, GitStore, Ledger};

use crate::git::{create, fast};
use crate::world::*;

const FOLDER: &str = "LEDGER_CRASH_FOLDER";
const KILLS: u32 = 60;

/// Appends without end when it is started by the test below; otherwise there is nothing to do.
#[test]
fn child_that_appends_until_it_is_killed() {
    use std::io::Write as _;
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = GitStore::open(folder.as_ref()).unwrap();
    let mut ledger = Ledger::open(store, &Expectations::default()).unwrap();
    loop {
        let next = ledger.view().next_seq() as i64;
        ledger.append(draft(next, event("deploy")), &[&signer("ci")], BTreeMap::new()).unwrap();
        // One byte tells the parent that an append is complete.
        std::io::stderr().write_all(b"+").unwrap();
    }
}

#[test]
fn killed_writers_lose_nothing_that_was_appended_and_block_nobody() {
    let folder = tempfile::tempdir().unwrap();
    create(fast(folder.path()));
    let mut acknowledged = 1;
    let mut stale_locks = 0;
    for kill in 0..KILLS {
        acknowledged += run_and_kill(folder.path(), kill);
        stale_locks += u32::from(folder.path().join("refs/heads/phase-ledger.lock").exists());
        let store = GitStore::open(folder.path()).unwrap();
        let mut ledger = Ledger::open(store, &Expectations::default()).unwrap();
        let found = ledger.view().len();
        // The last append may have been complete before it could be acknowledged.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{acknowledged} {found}");
        let next = ledger.view().next_seq() as i64;
        ledger.append(draft(next, event("missed")), &[&signer("ci")], BTreeMap::new()).unwrap();
        acknowledged = ledger.view().len();
    }
    println!("{KILLS} kills, {acknowledged} entries, {stale_locks} stale locks");
}

/// Kills a writer after some appends and a spin of a length that differs each time.
/// Returns how many appends it acknowledged.
fn run_and_kill(folder: &std::path::Path, kill: u32) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child_that_appends_until_it_is_killed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let mut first = [0_u8; 1];
    pipe.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"+");
    for _ in 0..kill * 20_000 {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == b'+'), "{}", String::from_utf8_lossy(&rest));
    rest.len() + 1
}
