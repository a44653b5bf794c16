//! One file per command.

pub mod deploy;
pub mod drill;
pub mod hidden;
pub mod init;
pub mod ledger;
pub mod phase;
pub mod pipeline;
pub mod query;
pub mod reference;
pub mod rehearse;
pub mod report;
pub mod roles;
pub mod samples;
pub mod serve_samples;
