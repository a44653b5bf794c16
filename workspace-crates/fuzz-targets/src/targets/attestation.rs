//! Attestations of others: files of envelopes from anywhere, and statements that a known key signed.

use signatures::Signer;
use signatures::attestation::{ForeignStatement, read};
use signatures::dsse::Envelope;
use signatures::provenance::Provenance;
use signatures::statement::STATEMENT_MEDIA_TYPE;

use super::signing::signer;
use crate::Target;

const STATEMENT: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"node","digest":{"sha256":"00"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"resolvedDependencies":[{"uri":"git+https://example.org/node@main","digest":{"gitCommit":"aa"}}]},"runDetails":{"builder":{"id":"https://example.org/builder"}}}}"#;
const OLD_STATEMENT: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":"00"}}],"predicateType":"https://slsa.dev/provenance/v0.2","predicate":{"builder":{"id":"b"},"materials":[{"uri":"git+https://example.org/node","digest":{"sha1":"aa"}}]}}"#;

/// 0 and a file of envelopes, or 1 and a statement that is signed before it is read.
pub const TARGET: Target = Target {
    name: "attestation",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "\"dsseEnvelope\":{",
        "\"payload\":\"",
        "\"payloadType\":\"",
        "\"signatures\":[",
        "\"sig\":\"",
        "\"subject\":[",
        "\"digest\":{",
        "\"predicate\":{",
        "\"materials\":[",
        "\"resolvedDependencies\":[",
        "}\n{",
        "},{",
        "==",
        "null",
    ],
};

/// Of a file only what the key signed is looked into; a signed statement is about something.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((0, file)) => run_file(file),
        Some((1, payload)) => run_payload(payload),
        _ => false,
    }
}

fn run_file(file: &[u8]) -> bool {
    let Some(signer) = signer() else { return false };
    let keys = [signer.public_key().clone()];
    let Ok(envelopes) = read(file) else { return false };
    let mut is_ours = false;
    for envelope in &envelopes {
        assert!(matches!(envelope.open(&[]), Ok(None)), "nobody's signature counted");
        // What was not signed is not read, so it cannot be found malformed either.
        let opened = envelope.open(&keys).unwrap_or_else(|error| panic!("{error}"));
        let Some(opened) = opened else { continue };
        let known = [STATEMENT, OLD_STATEMENT].map(|known| serde_json::from_slice(known).ok());
        assert!(known.contains(&Some(opened.statement)), "a statement that was not signed");
        is_ours = true;
    }
    is_ours
}

fn run_payload(payload: &[u8]) -> bool {
    let Some(file) = seal(payload) else { return false };
    let Some(signer) = signer() else { return false };
    let keys = [signer.public_key().clone()];
    let envelopes = read(&file).unwrap_or_else(|error| panic!("our own envelope: {error}"));
    let Some(envelope) = envelopes.first() else { panic!("our own envelope is not found") };
    let Ok(opened) = envelope.open(&keys) else { return false };
    let Some(opened) = opened else { panic!("our own signature does not count") };
    let lenient: Option<ForeignStatement> = serde_json::from_slice(payload).ok();
    assert_eq!(lenient.as_ref(), Some(&opened.statement), "two parsers read two statements");
    let ForeignStatement { subject, predicate_type, predicate, .. } = opened.statement;
    assert!(!subject.is_empty() && subject.iter().all(|one| !one.digest.is_empty()));
    match Provenance::read(&predicate_type, &predicate) {
        Ok(None) => assert!(!Provenance::is_read(&predicate_type)),
        Ok(Some(found)) => {
            for uri in found.materials.iter().filter_map(|one| one.uri.as_deref()) {
                assert!(found.commits_of(uri).is_some(), "a material is not found by its URI");
            }
        }
        Err(_) => assert!(Provenance::is_read(&predicate_type)),
    }
    true
}

fn seal(payload: &[u8]) -> Option<Vec<u8>> {
    Envelope::sign(signer()?, STATEMENT_MEDIA_TYPE, payload).ok()?.to_bytes().ok()
}

fn seeds() -> Vec<Vec<u8>> {
    let tagged = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
    let mut seeds: Vec<Vec<u8>> =
        [STATEMENT, OLD_STATEMENT].iter().map(|payload| tagged(1, payload)).collect();
    let sealed: Vec<Vec<u8>> =
        [STATEMENT, OLD_STATEMENT].iter().filter_map(|payload| seal(payload)).collect();
    seeds.push(tagged(0, &sealed.concat()));
    if let Some(first) = sealed.first() {
        let bundle = [b"{\"mediaType\":\"x\",\"dsseEnvelope\":", first.trim_ascii(), b"}"].concat();
        seeds.push(tagged(0, &bundle));
    }
    seeds
}
