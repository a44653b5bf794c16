use std::collections::BTreeMap;

use base::{CanonicalError, Digest, GateId, Instant, PhaseId, PipelineId, StageId, Track};
use diagnostics::Location;
use serde::Serialize;

use super::{Condition, Gate, GateRef, Operation, ParamValue, Server, Side, Text};
use crate::Params;

/// A programme from its first phase to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Its name: the stem of its file.
    pub id: PipelineId,
    /// What it is called in reports.
    pub title: String,
    /// What it is for, in one sentence.
    pub summary: String,
    /// The calendar that it follows: a key of [`super::Definitions::calendars`].
    pub calendar: String,
    /// What it is meant to find out.
    pub hypotheses: Vec<Hypothesis>,
    /// The servers that gates may be judged from, by name.
    // Left out when empty, so that pipelines without any keep their digest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, Server>,
    /// The phases, each after those it waits for, otherwise in the order of the file.
    pub phases: Vec<Phase>,
    /// How it is rehearsed; nothing when it cannot be.
    pub rehearsal: Option<Rehearsal>,
    /// Where the pipeline stands.
    #[serde(skip)]
    pub location: Location,
}

/// Something that a pipeline is meant to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hypothesis {
    /// Its name within the pipeline.
    pub id: String,
    /// The statement that is true or false.
    pub statement: String,
    /// The gates that answer it; it holds when all of them pass.
    pub gates: Vec<GateRef>,
}

/// One stage with its parameters filled in, at its place in a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// Its name within the pipeline.
    pub id: PhaseId,
    /// What it is called in reports.
    pub title: String,
    /// What happens in it, in one sentence.
    pub summary: String,
    /// The stage that it fills in.
    pub stage: StageId,
    /// The phases that it waits for.
    pub after: Vec<PhaseId>,
    /// The values of the stage's parameters, defaults and overrides included.
    pub params: BTreeMap<String, ParamValue>,
    /// The network that is deployed; empty for a stage without one.
    pub network: Params,
    /// The conditions by their full name.
    pub conditions: BTreeMap<String, Condition>,
    /// Included gates first, then those of the stage, then the phase's own.
    pub gates: Vec<Gate>,
    /// What is done to the running network, by track and time.
    pub operations: Vec<Operation>,
    /// Where the phase stands.
    #[serde(skip)]
    pub location: Location,
}

/// How a pipeline is rehearsed in virtual time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// The virtual instant at which it starts.
    pub start: Instant,
    /// The file that says what people do in it, relative to the root of the definitions.
    pub script: Text,
}

impl Pipeline {
    /// The phase of this id.
    #[must_use]
    pub fn phase(&self, id: &PhaseId) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.id == *id)
    }

    /// The gate that a reference names.
    #[must_use]
    pub fn gate(&self, reference: &GateRef) -> Option<&Gate> {
        self.phase(&reference.phase)?.gate(&reference.gate)
    }

    /// The phases that wait for `id`, directly or through others, in the order of the pipeline.
    #[must_use]
    pub fn downstream(&self, id: &PhaseId) -> Vec<&Phase> {
        let mut reached = vec![id];
        let mut found = Vec::new();
        for phase in &self.phases {
            if phase.after.iter().any(|before| reached.contains(&before)) {
                reached.push(&phase.id);
                found.push(phase);
            }
        }
        found
    }

    /// The digest of everything that the pipeline says, parameters filled in, locations and
    /// comments left out. A pipeline that means the same has the same digest.
    ///
    /// # Errors
    /// When the pipeline has no canonical JSON form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        base::canonical_json(self).map(|bytes| Digest::of(&bytes))
    }
}

impl Phase {
    /// The gate of this id.
    #[must_use]
    pub fn gate(&self, id: &GateId) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.id == *id)
    }

    /// The gates on one side of one track, in order.
    pub fn gates_on(&self, track: Track, side: Side) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(move |gate| gate.track == track && gate.on == side)
    }

    /// The condition that `gate` means by `name`: one of the stage that the gate was included from,
    /// or else one of the phase's own stage.
    #[must_use]
    pub fn condition(&self, gate: &GateId, name: &str) -> Option<&Condition> {
        let included = gate.as_str().rsplit_once('.').map(|(stage, _)| format!("{stage}.{name}"));
        included.and_then(|full| self.conditions.get(&full)).or_else(|| self.conditions.get(name))
    }

    /// The operation of this name.
    #[must_use]
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }
}
