//! Bundles, as somebody sends them.

use base::Digest;
use ledger::body::EvaluationRef;
use report::bundle::{About, Bundle, EVIDENCE, LEDGER, RULES};

use crate::Target;

/// The bytes of a bundle.
pub const TARGET: Target = Target {
    name: "bundle",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "ustar",
        "../",
        "/etc/passwd",
        "bundle.json",
        "entries/",
        "\0\0\0",
        "0000644",
        "GNUSparse",
    ],
};

/// What is read is written back so that it reads the same, and its paths lead nowhere else.
///
/// # Panics
/// When one of these laws is broken.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(bundle) = Bundle::parse(bytes, bytes.len() as u64) else { return false };
    for folder in [LEDGER, EVIDENCE, RULES] {
        for path in bundle.under(folder).keys() {
            let leads_away = |name: &str| matches!(name, "" | "." | "..") || name.contains('\\');
            assert!(!path.split('/').any(leads_away), "{path:?}");
        }
    }
    let Ok(written) = bundle.to_bytes() else { panic!("a bundle that was read cannot be written") };
    let again = Bundle::parse(written.as_slice(), written.len() as u64);
    assert!(again.is_ok_and(|again| again == bundle));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let Ok(pipeline) = "demo".parse() else { return Vec::new() };
    let mut bundle = Bundle::new(About {
        schema: 1,
        pipeline,
        genesis: Digest::of(b"genesis"),
        evaluation: EvaluationRef { seq: 4, digest: Digest::of(b"entry") },
        week: "2026-W02".to_owned(),
        report: Some("2026-W02".to_owned()),
    });
    bundle.add(LEDGER, "entries/000000/entry.json", b"{}\n".to_vec());
    bundle.add(RULES, &format!("stages/{}/stage.toml", "x".repeat(200)), b"schema = 1".to_vec());
    bundle.add_top("verify-ledger.sh", b"#!/bin/sh\n".to_vec(), true);
    bundle.to_bytes().into_iter().collect()
}
