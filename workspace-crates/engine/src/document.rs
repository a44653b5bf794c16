//! The evaluation document: its place in the ledger, and reading it back.

use gates::Evaluation;
use ledger::{Ledger, LedgerStore};

use crate::EngineError;
use crate::state::State;

/// The path of the document that entry `seq` of `week` rests on.
#[must_use]
pub fn path(week: &str, seq: u64) -> String {
    format!("reports/{week}/evaluation-{seq:06}.json")
}

/// Reads the document of the evaluation in entry `seq`, and checks it against its digest.
///
/// # Errors
/// When there is no such evaluation, or its document is missing or altered.
pub fn read<S: LedgerStore>(
    ledger: &Ledger<S>,
    state: &State,
    seq: u64,
) -> Result<Evaluation, EngineError> {
    let refuse = |why: String| EngineError::Evaluation { seq, why };
    let judged = state.evaluations.iter().find(|judged| judged.seq == seq);
    let judged = judged.ok_or_else(|| refuse("the entry is not an evaluation".to_owned()))?;
    read_entry(ledger, seq, &judged.evaluation)
}

/// Reads the document that `entry`, in place `seq`, names, and checks it against its digest.
///
/// # Errors
/// When its document is missing or altered.
pub(crate) fn read_entry<S: LedgerStore>(
    ledger: &Ledger<S>,
    seq: u64,
    entry: &ledger::body::Evaluation,
) -> Result<Evaluation, EngineError> {
    let refuse = |why: String| EngineError::Evaluation { seq, why };
    let path = path(&entry.week, seq);
    let bytes =
        ledger.store().read_file(&path)?.ok_or_else(|| refuse(format!("`{path}` is missing")))?;
    if base::Digest::of(&bytes) != entry.document {
        return Err(refuse(format!("`{path}` does not have the digest that the entry names")));
    }
    serde_json::from_slice(&bytes).map_err(|error| refuse(format!("`{path}`: {error}")))
}
