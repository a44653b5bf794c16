//! Asks servers what gates want to know, before the gates are judged from the record of it.

use std::collections::BTreeMap;

use base::GateId;
use definition::Side;
use gates::{Need, PhaseFacts, StoredRecord, questions};
use ledger::LedgerStore;

use crate::EngineError;
use crate::engine::Engine;

/// A gate that knows the answers has nothing left to ask; more than one round means that an answer
/// led to another question.
const ROUNDS_MAX: usize = 4;

impl<S: LedgerStore> Engine<'_, S> {
    /// Adds the answers of servers to `records`. What cannot be asked stays unanswered, and the
    /// gate says so.
    pub(crate) fn ask_servers(
        &self,
        facts: PhaseFacts<'_>,
        side: Side,
        records: &mut BTreeMap<GateId, Vec<StoredRecord>>,
    ) -> Result<(), EngineError> {
        for gate in facts.phase.gates_on(facts.track, side) {
            let Ok(parsed) = gates::parse(gate, facts.phase) else { continue };
            for need in parsed.needs() {
                let Need::Server { server, .. } = need else { continue };
                for _ in 0..ROUNDS_MAX {
                    let open = questions(&PhaseFacts { records, ..facts }, gate);
                    if open.is_empty() {
                        break;
                    }
                    let Some(answer) = self.ask(&facts, gate, &server, open)? else { break };
                    records.entry(gate.id.clone()).or_default().push(answer);
                }
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        facts: &PhaseFacts<'_>,
        gate: &definition::Gate,
        server: &str,
        questions: Vec<gates::Question>,
    ) -> Result<Option<StoredRecord>, EngineError> {
        let need = Need::Server { server: server.to_owned(), questions };
        let for_whom = format!("{}/{}", facts.phase.id, gate.id);
        let request = collectors::Request {
            need: &need,
            for_whom: &for_whom,
            at: facts.at,
            subject: facts.subject(),
            deployment: None,
        };
        let record = self.setup.collectors.collect(&request);
        record.map(|record| self.store(record)).transpose()
    }
}
