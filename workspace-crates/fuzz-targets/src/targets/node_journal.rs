//! The state file of a node, as a crash or somebody else may have left it.

use base::Digest;
use devnet_host::{Journal, JournalError};

use crate::Target;

/// The bytes of the file.
pub const TARGET: Target = Target {
    name: "node_journal",
    run,
    seeds,
    repair: crate::no_repair,
    words: &["\0", "\0\0\0\0\0\0\0\0", "\u{1}\0\0\0", "\u{7f}\u{7f}\u{7f}\u{7f}"],
};

/// A file that is refused is not changed. One that opens keeps its entries, takes another, and gives
/// all of them back.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let network = Digest::of(b"network");
    let Ok(folder) = tempfile::tempdir() else { return false };
    let path = folder.path().join("journal");
    if std::fs::write(&path, bytes).is_err() {
        return false;
    }
    let opened = match Journal::open(&path, &network) {
        Ok(opened) => opened,
        Err(JournalError::Io { .. }) => return false,
        Err(error) => {
            let kept = std::fs::read(&path).unwrap_or_default();
            assert_eq!(kept, bytes, "a file that is refused was changed: {error}");
            return false;
        }
    };
    let mut expected = opened.entries;
    let mut journal = opened.journal;
    if journal.append(b"one more").is_err() || journal.sync().is_err() {
        return true;
    }
    expected.push(b"one more".to_vec());
    let Ok(again) = Journal::open(&path, &network) else {
        panic!("a file that opened does not open again")
    };
    assert_eq!((again.entries, again.cut_bytes), (expected, 0));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let make = || {
        let folder = tempfile::tempdir().ok()?;
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &Digest::of(b"network")).ok()?.journal;
        for entry in [b"first".as_slice(), b"", b"third"] {
            journal.append(entry).ok()?;
        }
        journal.sync().ok()?;
        std::fs::read(&path).ok()
    };
    make().into_iter().chain([Vec::new()]).collect()
}
