use base::{Digest, GateId, Instant, PhaseId, Subject};
use serde::{Deserialize, Serialize};

/// What a waiver is limited to, beside its gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverScope {
    /// Exactly this subject.
    Subject(Subject),
    /// Any subject that runs this configuration.
    Configuration(Digest),
}

/// A signed exception, as the ledger has it. It overlays an outcome and never rewrites it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The phase of the gate.
    pub phase: PhaseId,
    /// The one gate that is waived.
    pub gate: GateId,
    /// What the waiver is limited to.
    pub scope: WaiverScope,
    /// Why.
    pub reason: String,
    /// The instant at which it stops counting.
    pub expires: Instant,
    /// Sequence number of the ledger entry.
    pub entry: u64,
}

impl Waiver {
    /// Whether the waiver counts for `gate` of `phase` with `subject` at `at`.
    /// Without a subject there is nothing that it could be limited to, so it does not count.
    #[must_use]
    pub fn covers(
        &self,
        phase: &PhaseId,
        gate: &GateId,
        subject: Option<&Subject>,
        at: Instant,
    ) -> bool {
        let in_scope = match (&self.scope, subject) {
            (_, None) => false,
            (WaiverScope::Subject(waived), Some(subject)) => waived == subject,
            (WaiverScope::Configuration(waived), Some(subject)) => *waived == subject.configuration,
        };
        in_scope && self.phase == *phase && self.gate == *gate && at < self.expires
    }
}
