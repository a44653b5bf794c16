//! What an evaluation was judged on, listed so that anybody can gather it again from evidence.

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, GateId, PhaseId, Subject, Track};
use definition::{Overrides, Side};
use evidence::Store;
use gates::StoredRecord;
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::gather::Gathered;
use crate::seal::{unseal, unseal_answers};

/// The version of the format.
const SCHEMA: u32 = 1;

/// Everything that one evaluation was judged on and that the ledger does not say itself. Its
/// canonical JSON is evidence, which the evaluation's entry names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Version of this format; 1.
    pub schema: u32,
    /// Changes to the parameters of the definition.
    pub overrides: Overrides,
    /// Side by side, in the order in which they were judged.
    pub sides: Vec<SideInputs>,
}

/// What one side of one track was judged on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideInputs {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// Whether the way in or the way out was judged.
    pub side: Side,
    /// The record of what was seen of the deployment; absent when nothing was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Digest>,
    /// What would be deployed, where nothing is yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Subject>,
    /// Records that were collected, by gate, in the order in which the gate saw them.
    pub records: BTreeMap<GateId, Vec<Digest>>,
}

impl Inputs {
    pub(crate) fn new(overrides: Overrides, sides: Vec<SideInputs>) -> Self {
        Self { schema: SCHEMA, overrides, sides }
    }

    /// Digests of all evidence that is listed. The files that large records name are not among
    /// them; see [`Inputs::closure`].
    #[must_use]
    pub fn digests(&self) -> BTreeSet<Digest> {
        let records = self.sides.iter().flat_map(|side| side.records.values().flatten());
        let observations = self.sides.iter().filter_map(|side| side.observation.as_ref());
        records.chain(observations).copied().collect()
    }

    /// Digests of all evidence that is listed, with the files that large records name.
    ///
    /// # Errors
    /// When a record is missing or damaged.
    pub fn closure(&self, store: &dyn Store) -> Result<BTreeSet<Digest>, EngineError> {
        let mut all = self.digests();
        for digest in self.digests() {
            all.extend(store.get_record(&digest)?.external.map(|external| external.digest));
        }
        Ok(all)
    }
}

impl SideInputs {
    /// What was gathered, read back from evidence.
    pub(crate) fn gather(&self, store: &dyn Store) -> Result<Gathered, EngineError> {
        let read = |digest: &Digest| -> Result<StoredRecord, EngineError> {
            let record = store.get_record(digest)?;
            match record.kind == gates::SERVER_RECORD {
                true => unseal_answers(store, *digest),
                false => Ok(StoredRecord { digest: *digest, record }),
            }
        };
        let mut records = BTreeMap::new();
        for (gate, digests) in &self.records {
            records.insert(gate.clone(), digests.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Gathered {
            sealed: self.observation.map(|digest| unseal(store, digest)).transpose()?,
            candidate: self.candidate.clone(),
            records,
        })
    }
}
