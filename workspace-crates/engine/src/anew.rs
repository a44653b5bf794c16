//! What happens when somebody else appends first: the new entries are read and verified, and the
//! decision is taken anew on what they say.

use ledger::LedgerStore;

use crate::EngineError;
use crate::engine::Engine;

/// How often one thing is decided before it is given up.
const DECISIONS_MAX: u32 = 16;

impl<S: LedgerStore> Engine<'_, S> {
    /// Takes a decision, and takes it anew as long as others append while it is taken.
    ///
    /// `decide` may have appended some of its entries when it is called again, and finds them in
    /// the state.
    pub(crate) fn decided_anew<T>(
        &mut self,
        mut decide: impl FnMut(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        for _ in 0..DECISIONS_MAX {
            match decide(self) {
                Err(EngineError::Ledger(error)) if error.is_conflict() => {
                    tracing::info!("somebody else appended first; deciding anew");
                    self.refresh()?;
                }
                decided => return decided,
            }
        }
        Err(EngineError::Contested { decisions: DECISIONS_MAX })
    }
}
