//! Signed, chained entries on a git branch: roles, chain verification, signing, storage.
//!
//! An entry is an in-toto Statement v1 in canonical JSON. Its exact bytes are signed with detached
//! SSHSIG and chained by SHA-256; [`chain::verify`] judges a whole ledger without I/O. A
//! [`LedgerStore`] keeps the bytes: [`GitStore`] on a linear orphan branch, [`MemoryStore`] in
//! tests. [`Ledger`] joins the two: what it shows has been verified.
//!
//! Architecture invariant: only [`git_store`] knows git, and only [`chain`] decides what is valid.
//! Commit dates and commit signatures are never trusted.

pub mod body;
pub mod chain;
pub mod entry;
mod error;
pub mod git_store;
mod ledger;
pub mod memory;
mod parallel;
pub mod roles;
pub mod secrets;
pub mod store;
pub mod vsa;

pub use body::Body;
pub use chain::{ChainError, Expectations, VerifiedEntry, VerifiedLedger};
pub use entry::{Draft, Entry, ObjectId, Pins};
pub use error::Error;
pub use git_store::{Durability, GitStore, LEDGER_BRANCH};
pub use ledger::Ledger;
pub use memory::MemoryStore;
pub use roles::{OwnerError, Policy, Principal, PrincipalKind, Role, Roles, RolesError};
pub use secrets::Secrets;
pub use signatures::sshsig::{LEDGER_NAMESPACE, REPORT_NAMESPACE};
pub use signatures::{
    JsonError, Signer, SigningError, SshKeySigner, SshKeygenSigner, parse_strict,
};
pub use signatures::{dsse, keys, signing, sshsig, statement};
pub use store::{AppendError, Head, LedgerStore, NewAppend, RawEntry, Snapshot, StoreError};

/// The verified entries of a ledger in their order; the name that readers of a ledger use.
pub type LedgerView = VerifiedLedger;
