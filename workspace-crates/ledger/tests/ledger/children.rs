//! Processes of their own: this very test program again, with one test in it to run.

use std::path::Path;
use std::process::{Command, Stdio};

use ledger::{Durability, Error, Expectations, GitStore, Ledger};

use crate::world::*;

/// Tells a child where the ledger is. Without it a child's test has nothing to do.
pub const FOLDER: &str = "LEDGER_TEST_FOLDER";

/// This test program again, running only `test` on the ledger in `folder`.
pub fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(FOLDER, folder).stdout(Stdio::null());
    command
}

pub fn open(folder: &Path, durability: Durability) -> Ledger<GitStore> {
    let store = GitStore::open(folder).unwrap().with_durability(durability);
    Ledger::open(store, &Expectations::default()).unwrap()
}

/// Appends an event, dated after everything before it.
pub fn append(ledger: &mut Ledger<GitStore>, name: &str) -> Result<(), Error> {
    let next = ledger.view().next_seq() as i64;
    ledger.append(draft(next, event(name)), &[&signer("ci")], Default::default())
}

/// Appends, and decides anew for as long as others are faster. Tells how often they were.
pub fn append_at_last(ledger: &mut Ledger<GitStore>, name: &str) -> usize {
    let mut conflicts = 0;
    while let Err(error) = append(ledger, name) {
        assert!(error.is_conflict(), "{error}");
        ledger.refresh().unwrap();
        conflicts += 1;
    }
    conflicts
}

/// The names of all events, oldest first.
pub fn events(ledger: &Ledger<GitStore>) -> Vec<String> {
    let events = ledger.view().iter().filter_map(|one| match &one.entry.body {
        ledger::Body::Event(event) => Some(event.event.clone()),
        _ => None,
    });
    events.collect()
}
