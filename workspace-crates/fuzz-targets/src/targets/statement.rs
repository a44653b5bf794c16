//! Statements about reports, as they are signed.

use std::collections::BTreeMap;

use base::{Digest, Instant};
use ledger::parse_strict;
use ledger::statement::{ResourceDescriptor, Statement};
use ledger::vsa::{
    VSA_PREDICATE_TYPE, VerificationResult, VerificationSummary, Verifier, VsaPolicy,
};

use crate::Target;

const BYTES_MAX: usize = 1 << 20;

/// The bytes of a statement.
pub const TARGET: Target = Target {
    name: "statement",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"_type\":",
        "\"subject\":[",
        "\"name\":\"../x\"",
        "\"digest\":{\"sha256\":\"",
        "\"predicateType\":",
        "\"verificationResult\":\"PASSED\"",
        "\"verifiedLevels\":[\"SLSA_",
        "\"timeVerified\":\"",
    ],
};

/// What is read is written back the same, and is acceptable or not both times.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(statement) = parse_strict::<Statement<VerificationSummary>>(bytes, BYTES_MAX) else {
        return false;
    };
    let Ok(written) = base::canonical_json(&statement) else { return false };
    let Ok(again) = parse_strict::<Statement<VerificationSummary>>(&written, BYTES_MAX * 8) else {
        panic!("a statement that was read cannot be read again: {statement:?}")
    };
    assert_eq!(again, statement);
    let accepted = statement.check(VSA_PREDICATE_TYPE).is_ok();
    assert_eq!(again.check(VSA_PREDICATE_TYPE).is_ok(), accepted);
    if accepted {
        assert!(statement.subject.iter().all(|one| !one.digest.is_empty()), "{statement:?}");
    }
    accepted
}

fn seeds() -> Vec<Vec<u8>> {
    let summary = VerificationSummary {
        verifier: Verifier {
            id: "https://example.org/evaluator".to_owned(),
            version: BTreeMap::from([("phasegate".to_owned(), "0.1.0".to_owned())]),
        },
        time_verified: Instant::from_unix_millis(1_767_884_400_000),
        valid_until: None,
        resource_uri: "urn:phasegate:testnet:2026-W02".to_owned(),
        policy: VsaPolicy::sha256("pipeline/testnet.toml".to_owned(), Digest::of(b"policy")),
        input_attestations: vec![ResourceDescriptor::sha256("genesis", Digest::of(b"genesis"))],
        verification_result: VerificationResult::Passed,
        verified_levels: vec!["PHASEGATE_ONE_INTERNAL".to_owned()],
    };
    let subject = vec![ResourceDescriptor::sha256("report.html", Digest::of(b"report"))];
    let statement = summary.into_statement(subject).ok();
    statement.and_then(|one| base::canonical_json(&one).ok()).into_iter().collect()
}
