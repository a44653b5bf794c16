//! One file or folder per driver.

pub mod process;
mod simulator;

pub use process::ProcessDriver;
pub use simulator::SimulatorDriver;
