//! The built program, run as its users run it: in repositories of its own, made for each test.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests may do what tests may"
)]

mod agreeing;
mod archives;
mod attestations;
mod canary;
mod definitions;
mod deployments;
mod exit_codes;
mod help;
mod hostile;
mod init;
mod ledgers;
mod paths;
mod queries;
mod recomputing;
mod rehearsals;
mod remotes;
mod reports;
mod serving;
mod support;
mod ticks;
