//! Runs networks in real time on this machine: one process per node on loopback, and a supervisor
//! that survives the program which started it.

mod agenda;
mod attach;
mod driver;
mod environment;
mod files;
mod nodes;
mod operations;
mod ports;
mod processes;
mod start;
mod supervisor;
mod watch;

pub use driver::ProcessDriver;
pub use processes::{cpu_seconds, memory_bytes};
pub use start::{HiddenCommand, hidden_command};
pub use supervisor::run_supervisor;
