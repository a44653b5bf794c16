//! The git remote that a ledger is shared through, if there is one.

use ledger::git_store::Fetched;
use ledger::{GitStore, Ledger, LedgerStore as _, StoreError};

use crate::exit::Exit;
use crate::failure::Failure;

/// Names the remote, before what git's configuration says. Empty: there is none.
const VARIABLE: &str = "PHASEGATE_LEDGER_REMOTE";

/// Why a reader sees the copy on this machine.
pub enum Silence {
    /// The remote did not answer.
    Unreachable {
        /// Its name or address.
        remote: String,
        /// What git said.
        cause: String,
    },
    /// The remote has less than this machine.
    Behind {
        /// Its name or address.
        remote: String,
    },
}

/// The name or address of the remote; nothing when the ledger is only here.
fn name(store: &GitStore) -> Result<Option<String>, Failure> {
    match std::env::var(VARIABLE) {
        Ok(name) => Ok(Some(name).filter(|name| !name.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(store.configured_remote()?),
        Err(error) => Err(Failure::new(Exit::Usage, format!("{VARIABLE}: {error}"))),
    }
}

/// The store for a command that appends: what its remote has not taken was not appended.
pub fn to_change(store: GitStore) -> Result<GitStore, Failure> {
    Ok(match name(&store)? {
        Some(name) => store.with_remote(name),
        None => store,
    })
}

/// The store for a command that reads: the remote is asked once.
pub fn to_read(store: GitStore) -> Result<(GitStore, Option<Silence>), Failure> {
    let Some(name) = name(&store)? else { return Ok((store, None)) };
    let store = store.with_remote(name.clone());
    let silence = match store.fetch() {
        Ok(Fetched::Ahead) => Some(Silence::Behind { remote: ledger::git_store::redacted(&name) }),
        Ok(_) => None,
        // Without a copy there is nothing to read, and no reason to begin a second ledger.
        Err(error) if !has_copy(&store)? => return Err(error.into()),
        Err(StoreError::Unreachable { remote, cause }) => {
            Some(Silence::Unreachable { remote, cause })
        }
        Err(error) => return Err(error.into()),
    };
    Ok((store.without_remote(), silence))
}

fn has_copy(store: &GitStore) -> Result<bool, Failure> {
    Ok(!store.list_files("entries")?.is_empty())
}

/// What a reader is told about the copy that is read.
pub fn notice(silence: &Silence, ledger: &Ledger<GitStore>) -> String {
    let last = ledger.view().last();
    let copy = format!("entry {} of {} ({})", last.entry.seq, last.entry.time, last.digest);
    match silence {
        Silence::Unreachable { remote, cause } => format!(
            "The ledger's remote `{remote}` did not answer: {cause}. This is the copy here, which ends with {copy}."
        ),
        Silence::Behind { remote } => format!(
            "The ledger's remote `{remote}` lacks entries that are here, up to {copy}. It was rolled back, or never had them; the next entry takes them along."
        ),
    }
}
