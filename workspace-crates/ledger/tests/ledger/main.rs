//! The ledger from outside: what is refused, what survives, and what other tools accept.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests stop at the first surprise, and say what they skip"
)]

mod chain;
mod children;
mod clones;
mod consent;
mod crash;
mod git;
mod interop;
mod proposals;
mod remote;
mod reports;
mod roles;
mod second_verifier;
mod secrets;
mod signing;
mod ssh_keygen;
mod stress;
mod transports;
mod trees;
mod vectors;
mod world;
