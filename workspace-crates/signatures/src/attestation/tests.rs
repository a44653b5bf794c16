use std::path::PathBuf;

use base::{Digest, PrincipalId};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AttestationError, ENVELOPES_MAX, Opened, SIGNATURES_MAX, read};
use crate::dsse::{Envelope, pre_authentication_encoding};
use crate::keys::{PublicKey, generate_ed25519};
use crate::statement::STATEMENT_MEDIA_TYPE;
use crate::{Signer, SshKeySigner};

fn signer(seed: u8) -> SshKeySigner {
    let pair = generate_ed25519(Some([seed; 32])).unwrap();
    SshKeySigner::from_openssh(PrincipalId::new("ci").unwrap(), &pair.private_openssh).unwrap()
}

fn key(seed: u8) -> PublicKey {
    signer(seed).public_key().clone()
}

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "node", "digest": {"sha256": Digest::of(b"node").to_string()}}],
        "predicateType": "https://example.org/p",
        "predicate": {"a": 1},
    })
}

fn sealed(payload: &str, seeds: &[u8]) -> Envelope {
    let seal = |seed: &u8| {
        Envelope::sign(&signer(*seed), STATEMENT_MEDIA_TYPE, payload.as_bytes()).unwrap()
    };
    let mut envelopes = seeds.iter().map(seal);
    let mut first = envelopes.next().unwrap();
    first.signatures.extend(envelopes.flat_map(|one| one.signatures));
    first
}

fn good(seeds: &[u8]) -> Value {
    serde_json::to_value(sealed(&statement().to_string(), seeds)).unwrap()
}

fn refusal(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

fn opened<'k>(file: &Value, keys: &'k [PublicKey]) -> Option<Opened<'k>> {
    let read = read(file.to_string().as_bytes()).unwrap();
    assert_eq!(read.len(), 1);
    read[0].open(keys).unwrap()
}

#[test]
fn an_envelope_opens_for_those_who_signed_it_and_nobody_else() {
    let keys = [key(1), key(2), key(3)];
    let found = opened(&good(&[3, 1]), &keys).unwrap();
    assert_eq!(found.signers, [&keys[0], &keys[2]]);
    assert!(found.statement.is_about(&Digest::of(b"node")));
    assert!(!found.statement.is_about(&Digest::of(b"other")));
    assert_eq!(opened(&good(&[4]), &keys), None);
    assert_eq!(opened(&good(&[1]), &[]), None);
}

#[test]
fn one_key_counts_once_however_often_it_signs_or_is_listed() {
    let keys = [key(1), key(1)];
    assert_eq!(opened(&good(&[1, 1, 1]), &keys).unwrap().signers, [&keys[0]]);
}

#[test]
fn an_altered_payload_or_signature_opens_for_nobody() {
    let altered = STANDARD.encode(statement().to_string().replace("\"a\":1", "\"a\":2"));
    let mut envelope = good(&[1]);
    envelope["payload"] = altered.into();
    assert_eq!(opened(&envelope, &[key(1)]), None);
    let mut envelope = good(&[1]);
    envelope["signatures"][0]["sig"] = STANDARD.encode([7; 64]).into();
    assert_eq!(opened(&envelope, &[key(1)]), None);
    // The payload alone is not what is signed.
    use ed25519_dalek::Signer as _;
    let bare =
        ed25519_dalek::SigningKey::from_bytes(&[1; 32]).sign(statement().to_string().as_bytes());
    envelope["signatures"][0]["sig"] = STANDARD.encode(bare.to_bytes()).into();
    assert_eq!(opened(&envelope, &[key(1)]), None);
}

#[test]
fn what_nobody_signed_is_not_looked_into() {
    let foreign = serde_json::to_value(sealed("no statement", &[9])).unwrap();
    assert_eq!(opened(&foreign, &[key(1)]), None);
}

#[test]
fn lines_and_bundles_and_both_alphabets_are_read() {
    let mut websafe = good(&[1]);
    for pointer in ["/payload", "/signatures/0/sig"] {
        let field = websafe.pointer_mut(pointer).unwrap();
        let bytes = STANDARD.decode(field.as_str().unwrap()).unwrap();
        *field = URL_SAFE.encode(bytes).into();
    }
    websafe["signatures"][0]["keyid"] = "a lie".into();
    websafe["unknown"] = json!({"fields": "are passed over"});
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "dsseEnvelope": good(&[1]),
    });
    let pretty = serde_json::to_string_pretty(&good(&[1])).unwrap();
    let text = format!("{}\n{websafe}\n\n{bundle}\n{pretty}\n", good(&[2]));
    let read = read(text.as_bytes()).unwrap();
    let lines: Vec<usize> = read.iter().map(super::Attestation::line).collect();
    assert_eq!(lines, [1, 2, 4, 5]);
    let keys = [key(1)];
    let signed: Vec<bool> = read.iter().map(|one| one.open(&keys).unwrap().is_some()).collect();
    assert_eq!(signed, [false, true, true, true]);
}

#[test]
fn files_that_are_no_envelopes_are_refused_with_their_place() {
    assert_eq!(refusal(""), "there is no envelope in it");
    assert_eq!(refusal(" \n\n"), "there is no envelope in it");
    assert!(refusal("hello").starts_with("it is not JSON: expected value at line 1"));
    let cut = good(&[1]).to_string();
    assert!(refusal(&format!("{cut}\n{}", &cut[..40])).contains("at line 2 column 40"));
    let twice = cut.replacen('{', "{\"payload\":\"\",", 1);
    assert!(refusal(&twice).contains("the key `payload` is repeated"), "{}", refusal(&twice));
    let missing = refusal(&format!("{cut}\n{{\"payload\":\"\"}}"));
    assert!(missing.starts_with("line 2 is neither a DSSE envelope nor"), "{missing}");
    assert!(refusal("[]").starts_with("line 1 is neither"));
    let bundle = json!({"mediaType": "x", "messageSignature": {}}).to_string();
    assert!(refusal(&bundle).starts_with("line 1 is neither"));
}

#[test]
fn every_field_of_an_envelope_has_its_refusal() {
    let change = |pointer: &str, value: Value| {
        let mut envelope = good(&[1]);
        *envelope.pointer_mut(pointer).unwrap() = value;
        refusal(&envelope.to_string())
    };
    assert_eq!(
        change("/payloadType", "text/plain".into()),
        "the envelope on line 1 has the payload type `text/plain` instead of \
         `application/vnd.in-toto+json`"
    );
    assert!(change("/payload", "?".into()).starts_with("the field `payload` of the envelope"));
    assert!(change("/signatures/0/sig", "?".into()).starts_with("the field `sig`"));
    assert!(change("/signatures", json!([])).contains("has 0 signatures; 1 to 16"));
    let many = vec![json!({"sig": ""}); SIGNATURES_MAX + 1];
    assert!(change("/signatures", many.into()).contains("has 17 signatures"));
    assert!(change("/signatures", json!([{"keyid": "x"}])).starts_with("line 1 is neither"));
    let long = change("/payloadType", "x".repeat(5_000).into());
    assert!(long.len() < 300, "{long}");
}

#[test]
fn too_many_envelopes_and_bytes_are_refused() {
    let line = format!("{}\n", good(&[1]));
    assert_eq!(read(line.repeat(ENVELOPES_MAX).as_bytes()).unwrap().len(), ENVELOPES_MAX);
    let text = line.repeat(ENVELOPES_MAX + 1);
    assert!(matches!(read(text.as_bytes()), Err(AttestationError::TooMany(129))));
    assert!(refusal(&" ".repeat(super::FILE_BYTES_MAX + 1)).contains("at most 4194304 are read"));
}

#[test]
fn a_signed_payload_that_is_no_statement_is_an_error() {
    let keys = [key(1)];
    let told = |payload: &str| {
        let envelope = serde_json::to_string(&sealed(payload, &[1])).unwrap();
        read(envelope.as_bytes()).unwrap()[0].open(&keys).unwrap_err().to_string()
    };
    assert!(told("hello").starts_with("what was signed on line 1 is no in-toto statement"));
    let twice = statement().to_string().replacen('{', "{\"_type\":\"x\",", 1);
    assert!(told(&twice).contains("the key `_type` is repeated"));
    let with = |pointer: &str, value: Value| {
        let mut statement = statement();
        *statement.pointer_mut(pointer).unwrap() = value;
        told(&statement.to_string())
    };
    assert!(with("/_type", "link".into()).contains("has the type `link` instead of"));
    for subject in [json!([]), json!([{"name": "node"}]), json!([{"digest": {}}])] {
        assert!(with("/subject", subject).contains("names no subject"));
    }
    assert!(with("/predicateType", Value::Null).contains("no in-toto statement"));
}

#[test]
fn envelopes_of_other_tools_have_their_verdicts() {
    let test = "envelopes_of_other_tools_have_their_verdicts";
    let vectors = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let folder = vectors.join("interop-generated");
    if !folder.is_dir() {
        println!("skipped: {test} (no vectors of interop-generated)");
        return;
    }
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let ci = PublicKey::parse(&String::from_utf8(file("ci.pub")).unwrap()).unwrap();
    let alice = PublicKey::parse(&String::from_utf8(file("alice.pub")).unwrap()).unwrap();
    let read_one = |name: &str| read(&file(name)).unwrap().remove(0);
    // A bare signature beside one that is an SSHSIG; the latter counts for nobody.
    let envelope = read_one("st.std.dsse.json");
    let keys = [alice.clone(), ci.clone()];
    let opened = envelope.open(&keys).unwrap().unwrap();
    assert_eq!(opened.signers, [&ci]);
    assert_eq!(opened.statement.predicate_type, "https://slsa.dev/verification_summary/v1");
    assert!(opened.statement.is_about(&Digest::of(b"hello")));
    assert_eq!(envelope.open(&[alice]).unwrap(), None);
    // Layouts and links of in-toto 0.9 are signed envelopes of the same type, but no statements.
    let told = read_one("in-toto-layout-2of2/root.layout").open(&[ci]).unwrap_err();
    assert!(matches!(told, AttestationError::NotAStatement { line: 1, .. }), "{told}");
    // The key of the links is not among ours.
    let link = read_one("in-toto-layout-2of2/approve.19f69b3c.link");
    assert_eq!(link.open(&[key(1)]).unwrap(), None);
    assert!(matches!(
        read(&file("in-toto-layout-2of2/eval.json")),
        Err(AttestationError::NotAnEnvelope { line: 1, .. })
    ));
}

#[test]
fn the_envelope_of_the_specification_is_about_something_else() {
    let test = "the_envelope_of_the_specification_is_about_something_else";
    let vectors = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let Ok(bytes) = std::fs::read(vectors.join("dsse-spec/vector.json")) else {
        println!("skipped: {test} (no vectors of dsse-spec)");
        return;
    };
    let vector: Value = serde_json::from_slice(&bytes).unwrap();
    let refused = refusal(&vector["envelope"].to_string());
    assert!(refused.contains("has the payload type `http://example.com/HelloWorld`"), "{refused}");
}

/// Whatever a file says, only what a key signed comes out of it.
fn holds_the_law(bytes: &[u8], keys: &[PublicKey]) {
    for one in read(bytes).unwrap_or_default() {
        let signed = pre_authentication_encoding(STATEMENT_MEDIA_TYPE, &one.payload);
        let by =
            |key: &PublicKey| one.signatures.iter().any(|s| key.verify_bare_ed25519(&signed, s));
        match one.open(keys) {
            Ok(Some(opened)) => assert!(opened.signers.iter().all(|key| by(key))),
            Ok(None) => assert!(!keys.iter().any(by)),
            Err(_) => assert!(keys.iter().any(by)),
        }
    }
}

proptest! {
    #[test]
    fn damaged_files_are_read_or_refused_without_panic(
        at in 0usize..400, byte in any::<u8>(), cut in 0usize..600,
    ) {
        let keys = [key(1)];
        let mut bytes = good(&[1, 2]).to_string().into_bytes();
        let index = at % bytes.len();
        bytes[index] = byte;
        holds_the_law(&bytes, &keys);
        holds_the_law(&bytes[..cut.min(bytes.len())], &keys);
    }
}
