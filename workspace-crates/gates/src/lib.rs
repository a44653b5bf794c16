//! Gate kinds as pure evaluators, soak, waivers, and the verdict of a phase.
//!
//! Architecture invariant: `gates` knows no clock, no file system and no network. Time is a value.

#[cfg(test)]
mod controls;
mod evaluation;
mod facts;
mod finding;
mod judge;
mod judgement;
pub mod kinds;
mod measure;
mod need;
mod query;
mod reading;
mod server;

pub mod soak;
#[cfg(test)]
mod testing;
mod text;
mod thin;
#[cfg(test)]
mod traps;
mod waiver;
mod window;

pub use evaluation::{Evaluation, PhaseEvaluation, WaiverNote};
pub use facts::{ApprovalFact, Context, DeploymentFacts, EarlierPass, StoredRecord};
pub use finding::{
    Break, Coverage, Explanation, Finding, Measure, Point, Relation, Series, SoakProgress,
};
pub use judge::{PhaseFacts, judge_gate, judge_phase, questions};
pub use judgement::Judgement;
pub use kinds::{Gate, GateLint, KindInfo, ParamInfo, parse, reference_markdown, registry};
pub use need::Need;
pub use server::{
    Answer, AnsweredSeries, Question, SERVER_RECORD, ServerBody, ServerProblem, ServerProblemKind,
    dialect_notes,
};
pub use waiver::{Waiver, WaiverScope};
