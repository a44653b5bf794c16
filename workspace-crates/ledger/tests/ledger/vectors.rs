//! Published signature vectors, when they are there.

use std::path::PathBuf;

use ledger::dsse::{Envelope, key_id, pre_authentication_encoding};
use ledger::keys::{KeyError, PublicKey};
use ledger::sshsig::{SignatureError, verify_detached};
use serde::Deserialize;

fn folder(test: &str, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let path = path.join(name);
    if !path.is_dir() {
        println!("skipped: {test} (no vectors of {name})");
        return None;
    }
    Some(path)
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn key(path: PathBuf) -> Result<PublicKey, KeyError> {
    PublicKey::parse(&String::from_utf8(read(path)).unwrap())
}

#[test]
fn openssh_signatures_have_their_published_verdicts() {
    let Some(folder) = folder("openssh_signatures_have_their_published_verdicts", "openssh-sshsig")
    else {
        return;
    };
    let data = folder.join("testdata");
    let signed = read(data.join("signed-data"));
    let verify = |name: &str, bytes: &[u8]| {
        let key = key(data.join(format!("{name}.pub"))).map_err(SignatureError::Key)?;
        let sig = read(data.join(format!("{name}.sig")));
        verify_detached(&[key], "unittest", bytes, &sig).map(|_| ())
    };
    for good in ["ed25519", "ed25519_sk", "ecdsa"] {
        assert_eq!(verify(good, &signed), Ok(()), "{good}");
        assert_eq!(verify(good, b"other"), Err(SignatureError::Mismatch), "{good}");
    }
    // Security keys on P-256 and newer kinds are not taken.
    for foreign in ["ecdsa_sk", "ecdsa_sk_webauthn", "mldsa44-ed25519"] {
        assert!(matches!(verify(foreign, &signed), Err(SignatureError::Key(_))), "{foreign}");
    }
    // The RSA key is taken when it is long enough; its signature holds then.
    let rsa = verify("rsa", &signed);
    assert!(matches!(rsa, Ok(()) | Err(SignatureError::Key(KeyError::Short(_)))), "{rsa:?}");
}

#[test]
fn rustcrypto_signatures_have_their_published_verdicts() {
    let Some(folder) =
        folder("rustcrypto_signatures_have_their_published_verdicts", "rustcrypto-sshsig")
    else {
        return;
    };
    let verify = |key_name: &str, sig_name: &str| {
        let key = key(folder.join(format!("{key_name}.pub"))).map_err(SignatureError::Key)?;
        let sig = read(folder.join(sig_name));
        verify_detached(&[key], "example", b"testing", &sig).map(|_| ())
    };
    assert_eq!(verify("id_ed25519", "sshsig_ed25519"), Ok(()));
    assert_eq!(verify("id_ecdsa_p256", "sshsig_ecdsa_p256"), Ok(()));
    assert_eq!(verify("id_rsa_3072", "sshsig_rsa_3072"), Ok(()));
    assert_eq!(verify("id_sk_ed25519_2", "sshsig_sk_ed25519"), Ok(()));
    assert!(matches!(
        verify("id_ecdsa_p384", "sshsig_ecdsa_p384"),
        Err(SignatureError::Key(KeyError::Kind(_)))
    ));
    assert!(verify("id_ed25519", "sshsig_dsa_1024").is_err());
    assert!(matches!(verify("id_ed25519", "sshsig_rsa_3072"), Err(SignatureError::ForeignKey(_))));
}

#[test]
fn signatures_of_other_tools_have_their_verdicts() {
    let Some(folder) = folder("signatures_of_other_tools_have_their_verdicts", "interop-generated")
    else {
        return;
    };
    let bytes = read(folder.join("m.json"));
    let verify = |key_name: &str, sig_name: &str| {
        let key = key(folder.join(format!("{key_name}.pub"))).unwrap();
        let sig = read(folder.join(sig_name));
        verify_detached(&[key], "phase-ledger@example.org", &bytes, &sig).map(|_| ())
    };
    assert_eq!(verify("alice", "m.alice.ok.sig"), Ok(()));
    assert_eq!(verify("alice", "m.a256.sig"), Ok(()));
    assert_eq!(verify("carol", "m.carol.ok.sig"), Ok(()));
    assert_eq!(verify("dave", "m.dave.ok.sig"), Ok(()));
    assert_eq!(verify("grace", "m.grace.sig"), Ok(()));
    assert!(matches!(verify("ci", "m.ci.git.sig"), Err(SignatureError::Namespace { .. })));
    assert!(matches!(verify("ci", "m.alice.ok.sig"), Err(SignatureError::ForeignKey(_))));
}

#[test]
fn the_envelope_of_another_tool_opens_and_has_our_key_id() {
    let Some(folder) =
        folder("the_envelope_of_another_tool_opens_and_has_our_key_id", "interop-generated")
    else {
        return;
    };
    let key = key(folder.join("ci.pub")).unwrap();
    let envelope = read(folder.join("st.std.dsse.json"));
    let media = "application/vnd.in-toto+json";
    let payload = Envelope::open(&envelope, media, std::slice::from_ref(&key)).unwrap();
    assert!(payload.starts_with(b"{\"_type\":\"https://in-toto.io/Statement/v1\""));
    let parsed: Envelope = serde_json::from_slice(&envelope).unwrap();
    assert_eq!(parsed.signatures[1].keyid, key_id(&key).unwrap());
}

#[test]
fn the_pre_authentication_encoding_is_the_specified_one() {
    let Some(folder) = folder("the_pre_authentication_encoding_is_the_specified_one", "dsse-spec")
    else {
        return;
    };
    let vector: serde_json::Value =
        serde_json::from_slice(&read(folder.join("vector.json"))).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let ours = pre_authentication_encoding(&text("payloadType"), text("payload_utf8").as_bytes());
    assert_eq!(String::from_utf8(ours).unwrap(), text("pae"));
}

#[derive(Deserialize)]
struct EdgeCase {
    number: u32,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

#[test]
fn edge_cases_of_ed25519_are_refused_strictly() {
    let Some(folder) = folder("edge_cases_of_ed25519_are_refused_strictly", "cctv-ed25519") else {
        return;
    };
    let cases: Vec<EdgeCase> =
        serde_json::from_slice(&read(folder.join("ed25519vectors.json"))).unwrap();
    let mut accepted = 0;
    for case in &cases {
        let flags = case.flags.clone().unwrap_or_default();
        if envelope_opens(case) {
            accepted += 1;
            let bad = [
                "low_order_A",
                "low_order_R",
                "non_canonical_A",
                "non_canonical_R",
                "low_order_residue",
            ];
            assert!(
                !flags.iter().any(|flag| bad.contains(&flag.as_str())),
                "{}: {flags:?}",
                case.number
            );
        } else {
            assert!(!flags.is_empty(), "{}: an ordinary signature is refused", case.number);
        }
    }
    println!("{accepted} of {} accepted", cases.len());
}

/// The cases sign bare messages, so they are judged below the envelope: by the key rules and
/// the strict verification that envelopes and SSH signatures share.
fn envelope_opens(case: &EdgeCase) -> bool {
    let bytes: [u8; 32] = hex::decode(&case.key).unwrap().try_into().unwrap();
    let mut wire = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    wire.extend(bytes);
    let text = format!("ssh-ed25519 {}", base64_of(&wire));
    let Ok(key) = PublicKey::parse(&text) else { return false };
    let sig = hex::decode(&case.sig).unwrap();
    key.verify_bare_ed25519(case.msg.as_bytes(), &sig)
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
