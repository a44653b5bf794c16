//! Virtual-time host of the reference network: event queue, network model, faults, invariant checkers.
//!
//! The entrance is `Simulation`:
//! `new(spec, schedule, start, options)`, `run_until(t)`, `inject(action)`, `now()`, `store()`,
//! `events()`, `stats()`, `nodes()`. Errors, statistics and options are the types below.

mod options;

pub use options::{NodeStatus, Options, SimulationError, Stats, TraceDigest};
