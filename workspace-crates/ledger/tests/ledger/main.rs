//! The ledger from outside: what is refused, what survives, and what other tools accept.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests stop at the first surprise, and say what they skip"
)]

mod chain;
mod consent;
mod crash;
mod git;
mod interop;
mod remote;
mod reports;
mod roles;
mod secrets;
mod signing;
mod ssh_keygen;
mod trees;
mod vectors;
mod world;
