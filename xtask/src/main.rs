//! Thin task runner.
fn main() {}
