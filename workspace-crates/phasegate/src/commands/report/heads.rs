//! The newest entries that a reader has seen: a ledger that lost or replaced one was rolled back.

use std::collections::BTreeMap;
use std::path::Path;

use base::Digest;
use ledger::body::EvaluationRef as EntryRef;
use ledger::{Expectations, VerifiedLedger};

use crate::exit::Exit;
use crate::failure::Failure;

/// The newest entry of each ledger, by the digest of its genesis entry.
type Heads = BTreeMap<Digest, EntryRef>;

const BYTES_MAX: usize = 1024 * 1024;

fn read(file: &Path) -> Result<Heads, Failure> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Heads::new()),
        Err(error) => return Err(Failure::file("read", file, &error)),
        Ok(bytes) => bytes,
    };
    // Losing the memory would hide a rollback, so damage is an error and not a fresh start.
    ledger::parse_strict(&bytes, BYTES_MAX).map_err(|error| {
        Failure::new(Exit::File, format!("{} is damaged: {error}", file.display()))
            .hint("Restore it, or delete it to start to remember anew.")
    })
}

/// Checks that the ledger still has the entry that `file` remembers of it.
pub fn check(file: &Path, view: &VerifiedLedger) -> Result<(), Failure> {
    let known = read(file)?.get(&view.genesis().digest).copied();
    let expected = Expectations {
        remembered: known.map(|entry| (entry.seq, entry.digest)),
        ..Expectations::default()
    };
    view.check(&expected).map_err(|error| {
        Failure::of(Exit::NotVerified, &error).hint(
            "Ask those who publish it, and show them both: this copy, and the one from before.",
        )
    })
}

/// Remembers the newest entry of the ledger in `file`.
pub fn remember(file: &Path, view: &VerifiedLedger) -> Result<(), Failure> {
    let mut heads = read(file)?;
    let last = view.last();
    let newest = EntryRef { seq: last.entry.seq, digest: last.digest };
    if heads.insert(view.genesis().digest, newest) == Some(newest) {
        return Ok(());
    }
    super::write_file(file, base::canonical_json(&heads)?)
}
