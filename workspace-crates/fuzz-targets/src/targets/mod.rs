//! The targets: one file each.

pub mod attestation;
pub mod block;
pub mod bundle;
pub mod definition;
pub mod document;
pub mod dsse;
pub mod evaluation;
pub mod event_lines;
pub mod evidence_record;
pub mod exposition;
pub mod github_issues;
pub mod ledger_entry;
pub mod node_journal;
pub mod peer_message;
pub mod prometheus_answer;
pub mod query_text;
pub mod query_tree;
mod querying;
pub mod rehearsal_script;
pub mod remote_write;
pub mod roles;
pub mod sample_log;
mod signing;
pub mod ssh_signature;
pub mod statement;
pub mod store;
