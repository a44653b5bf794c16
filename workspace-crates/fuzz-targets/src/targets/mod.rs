//! The targets: one file each.

pub mod attestation;
pub mod block;
pub mod definition;
pub mod dsse;
pub mod exposition;
pub mod ledger_entry;
pub mod query_text;
pub mod query_tree;
mod querying;
pub mod remote_write;
pub mod sample_log;
mod signing;
pub mod ssh_signature;
pub mod store;
