//! The sequence of a week: due events, deployments, evaluations, transitions, reports.
//!
//! Architecture invariant: this is the only crate that knows that sequence. What is decided is
//! decided in [`decide`], which is pure; the rest carries it out and records it.

mod agreement;
mod anew;
mod announce;
mod ask;
pub mod decide;
pub mod document;
mod engine;
mod error;
mod evaluate;
mod gather;
pub mod inputs;
pub mod recompute;
mod rehearse;
pub mod seal;
pub mod state;
mod tick;

pub use agreement::states;
pub use announce::{Files, write_files};
pub use engine::{Change, Engine, Happening, PlannedFault, Setup};
pub use error::EngineError;
pub use evaluate::EVALUATOR;
pub use rehearse::{PhaseOutcome, Rehearsal, Rehearsed, Told};
