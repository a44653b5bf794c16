use base::{Digest, canonical_json};
use ledger::dsse::{DsseError, Envelope};
use ledger::keys::PublicKey;
use ledger::sshsig::{SignatureError, sign_detached, verify_detached};
use ledger::statement::{ResourceDescriptor, STATEMENT_MEDIA_TYPE};
use ledger::vsa::*;
use ledger::{LEDGER_NAMESPACE, REPORT_NAMESPACE, Signer as _};

use crate::world::*;

fn statement() -> Vec<u8> {
    let summary = VerificationSummary {
        verifier: Verifier {
            id: "https://phasegate.dev/evaluator".to_owned(),
            version: [("phasegate".to_owned(), "0.1.0".to_owned())].into(),
        },
        time_verified: start(),
        valid_until: None,
        resource_uri: "urn:phasegate:testnet:2026-W02".to_owned(),
        policy: VsaPolicy::sha256("pipeline/testnet.toml", Digest::of(b"policy")),
        input_attestations: Vec::new(),
        verification_result: VerificationResult::Failed,
        verified_levels: Vec::new(),
    };
    let subject = vec![ResourceDescriptor::sha256("report.json", Digest::of(b"{}"))];
    canonical_json(&summary.into_statement(subject).unwrap()).unwrap()
}

#[test]
fn a_detached_signature_holds_for_its_bytes_namespace_and_key_only() {
    let bytes = statement();
    let armored = sign_detached(&signer("ci"), REPORT_NAMESPACE, &bytes).unwrap();
    let keys = [signer("alice").public_key().clone(), signer("ci").public_key().clone()];
    let verify = |keys: &[PublicKey], namespace, bytes: &[u8]| {
        verify_detached(keys, namespace, bytes, armored.as_bytes()).cloned()
    };
    assert_eq!(verify(&keys, REPORT_NAMESPACE, &bytes), Ok(keys[1].clone()));
    assert!(matches!(
        verify(&keys, LEDGER_NAMESPACE, &bytes),
        Err(SignatureError::Namespace { .. })
    ));
    assert!(matches!(
        verify(&keys[..1], REPORT_NAMESPACE, &bytes),
        Err(SignatureError::ForeignKey(_))
    ));
    assert_eq!(verify(&keys, REPORT_NAMESPACE, b"{}"), Err(SignatureError::Mismatch));
}

#[test]
fn an_envelope_opens_with_its_key_type_and_payload_only() {
    let payload = statement();
    let envelope = Envelope::sign(&signer("ci"), STATEMENT_MEDIA_TYPE, &payload).unwrap();
    let bytes = envelope.to_bytes().unwrap();
    let key = signer("ci").public_key().clone();
    let keys = std::slice::from_ref(&key);
    assert_eq!(Envelope::open(&bytes, STATEMENT_MEDIA_TYPE, keys).unwrap(), payload);
    let refused = |bytes: &[u8], media, name| {
        let key = signer(name).public_key().clone();
        Envelope::open(bytes, media, &[key]).unwrap_err()
    };
    assert!(matches!(refused(&bytes, STATEMENT_MEDIA_TYPE, "alice"), DsseError::NoSignature));
    assert!(matches!(refused(&bytes, "text/plain", "ci"), DsseError::PayloadType { .. }));
    let mut other = envelope.clone();
    other.payload = "e30=".to_owned();
    let other = other.to_bytes().unwrap();
    assert!(matches!(refused(&other, STATEMENT_MEDIA_TYPE, "ci"), DsseError::NoSignature));
    // A key id is a hint; a wrong one neither helps nor harms.
    let mut other = envelope.clone();
    other.signatures[0].keyid = "0".repeat(64);
    assert!(Envelope::open(&other.to_bytes().unwrap(), STATEMENT_MEDIA_TYPE, keys).is_ok());
    let mut other = envelope;
    other.signatures.clear();
    let other = other.to_bytes().unwrap();
    assert!(matches!(refused(&other, STATEMENT_MEDIA_TYPE, "ci"), DsseError::NoSignature));
    assert!(matches!(refused(b"{", STATEMENT_MEDIA_TYPE, "ci"), DsseError::Malformed(_)));
}
