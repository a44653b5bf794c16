use crate::chain::ChainError;
use crate::entry::EntryError;
use crate::signing::SigningError;
use crate::store::{AppendError, PrepareError, StoreError};

/// Why an operation on a ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger is not valid.
    #[error("the ledger is not valid: {0}")]
    Chain(#[from] ChainError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry was not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The entry could not be made ready.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The entry that was to be appended would not be valid; nothing was appended.
    #[error("the new entry would not be valid and was not appended: {0}")]
    Refused(#[source] ChainError),
    /// The ledger has no genesis entry yet.
    #[error("the ledger is empty; a genesis entry opens it")]
    Empty,
    /// The ledger has a genesis entry already.
    #[error("the ledger was opened before; its genesis entry is {0}")]
    NotEmpty(base::Digest),
}

impl Error {
    /// Whether somebody else appended first, so that reading again and deciding anew helps.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Append(AppendError::Conflict { .. }))
    }
}

impl From<EntryError> for Error {
    fn from(error: EntryError) -> Self {
        Self::Prepare(error.into())
    }
}

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        Self::Prepare(error.into())
    }
}
