//! The phasegate command.
fn main() {}
