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
    let judged = state
        .evaluations
        .iter()
        .find(|judged| judged.seq == seq)
        .ok_or_else(|| refuse("the entry is not an evaluation".to_owned()))?;
    let path = path(&judged.evaluation.week, seq);
    let bytes =
        ledger.store().read_file(&path)?.ok_or_else(|| refuse(format!("`{path}` is missing")))?;
    if base::Digest::of(&bytes) != judged.evaluation.document {
        return Err(refuse(format!("`{path}` does not have the digest that the entry names")));
    }
    serde_json::from_slice(&bytes).map_err(|error| refuse(format!("`{path}`: {error}")))
}
