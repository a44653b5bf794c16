//! What fuzzers run: one function for each parser of untrusted bytes.
//!
//! Each target is a plain function over bytes that returns whether it accepted them. It panics when
//! a law is broken. libFuzzer calls it from the shells in `fuzz/`; the tests of this crate call it on
//! stable Rust, over the corpus and over random mutations of it.
//!
//! Architecture invariant: nothing that ships depends on this crate.

/// The words of a target for JSON: its own, then those that every reader of JSON has to stand.
macro_rules! json_words {
    ($($own:literal),* $(,)?) => {
        &[
            $($own,)*
            "null",
            "true",
            "\\u0000",
            "\\ud800",
            "[[[[",
            "{\"a\":",
            "1E400",
            "-0",
            "18446744073709551616",
            "\u{feff}",
        ]
    };
}

pub mod mutate;
mod random;
mod targets;

pub use random::Random;
pub use targets::*;

/// One thing that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the shell and of the folder in the corpus.
    pub name: &'static str,
    /// Runs one input; `true` when it was accepted. Panics when a law is broken.
    pub run: fn(&[u8]) -> bool,
    /// Small valid inputs that are made in code; others are in the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes lengths and checksums fit again, so that mutations get past them.
    pub repair: fn(&mut [u8]),
    /// Pieces of text that mean something to the parser.
    pub words: &'static [&'static str],
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    attestation::TARGET,
    block::TARGET,
    bundle::TARGET,
    definition::TARGET,
    document::TARGET,
    dsse::TARGET,
    evaluation::TARGET,
    event_lines::TARGET,
    evidence_record::TARGET,
    exposition::TARGET,
    github_issues::TARGET,
    ledger_entry::TARGET,
    node_journal::TARGET,
    peer_message::TARGET,
    prometheus_answer::TARGET,
    query_text::TARGET,
    query_tree::TARGET,
    rehearsal_script::TARGET,
    remote_write::TARGET,
    roles::TARGET,
    sample_log::TARGET,
    ssh_signature::TARGET,
    statement::TARGET,
    store::TARGET,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// For formats without checksums.
fn no_repair(_: &mut [u8]) {}

/// For targets whose valid inputs are files of the corpus.
fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
