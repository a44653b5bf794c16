//! Virtual-time host of the reference network: event queue, network model, faults, invariant checkers.
//!
//! [`Simulation`] runs every node of a [`devnet::NetworkSpec`] in one thread of events. Signing and
//! verifying go to worker threads; the outcome does not depend on how many there are.
//!
//! Architecture invariant: nothing here reads a clock; chance comes from the network's seed.

mod drills;
mod invariants;
mod memory;
mod network;
mod options;
mod pool;
mod queue;
mod scrape;
mod signer;
mod simulation;
mod trace;

pub use options::{NodeStatus, Options, SimulationError, Stats, TraceDigest};
pub use simulation::Simulation;
