//! Drivers that bring a network up for a phase, run it, observe it and take it down.
//!
//! A driver is one file in `drivers/` and passes the conformance suite in `tests/conformance.rs`.
//!
//! Architecture invariant: a driver judges nothing. It reports what it saw; missing data stays
//! missing.

mod actions;
mod definition_tables;
mod driver;
mod drivers;
mod error;
mod observation;
mod plan;
mod spec;
mod status;
mod subject;

pub use definition_tables::{network_spec, scheduled_action};
pub use driver::{Driver, Progress, RpcAnswer};
pub use drivers::process;
pub use drivers::{ProcessDriver, SimulatorDriver};
pub use error::DriverError;
pub use observation::Observation;
pub use plan::{Capabilities, Plan, PlannedAction};
pub use spec::DeploymentSpec;
pub use status::{DeploymentState, NodeState, NodeStatus, Status};
pub use subject::{intervals, subject, subject_of};
