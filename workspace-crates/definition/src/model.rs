//! The checked definitions: what the rest of Phasegate works with.
//!
//! Locations are kept for the lints of other crates; they are left out of equality-sensitive
//! outputs such as [`Pipeline::digest`].

mod calendar;
mod gate;
mod pipeline;
mod roles;
mod server;
mod stage;

use std::collections::BTreeMap;

use base::{PipelineId, StageId};
use diagnostics::Location;
use serde::{Serialize, Serializer};

pub use calendar::{Calendar, CalendarEvent, Closable, EventKind, Freeze, FreezeWhen, Missed};
pub use gate::{Condition, Control, Deadline, Gate, GateRef, OnFail, Operation, Side};
pub use pipeline::{Hypothesis, Phase, Pipeline, Rehearsal};
pub use roles::{Policy, Principal, PrincipalKind, Role, Roles};
pub use server::{Auth, Product, Secret, Server};
pub use stage::{ParamValue, Stage, StageParam};

/// Everything that `pipeline/` and `stages/` define.
#[derive(Debug, Clone, PartialEq)]
pub struct Definitions {
    /// The pipelines by their id.
    pub pipelines: BTreeMap<PipelineId, Pipeline>,
    /// The calendars by their name.
    pub calendars: BTreeMap<String, Calendar>,
    /// Who may sign what.
    pub roles: Roles,
    /// The stages by their id.
    pub stages: BTreeMap<StageId, Stage>,
}

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub value: String,
    /// Where it stands.
    pub location: Location,
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.value)
    }
}
