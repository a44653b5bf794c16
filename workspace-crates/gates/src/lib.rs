//! Gate kinds as pure evaluators, soak, waivers, and the verdict of a phase.
//!
//! Architecture invariant: `gates` knows no clock, no file system and no network. Time is a value.

mod evaluation;
mod finding;

pub use evaluation::{Evaluation, PhaseEvaluation, WaiverNote};
pub use finding::{
    Break, Coverage, Explanation, Finding, Measure, Point, Relation, Series, SoakProgress,
};
