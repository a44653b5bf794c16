//! DSSE envelopes: bytes from anywhere, opened with a key that is known.

use ledger::Signer;
use ledger::dsse::Envelope;

use super::signing::signer;
use crate::Target;

const PAYLOAD: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The bytes of an envelope.
pub const TARGET: Target = Target {
    name: "dsse",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "\"payload\":\"",
        "\"payloadType\":\"",
        "\"signatures\":[",
        "\"sig\":\"",
        "\"keyid\":\"",
        "==",
        "\\u003d",
        "},{",
        "null",
    ],
};

/// Only what the key signed is ever opened.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Some(signer) = signer() else { return false };
    let keys = [signer.public_key().clone()];
    let Ok(payload) = Envelope::open(bytes, PAYLOAD_TYPE, &keys) else { return false };
    assert_eq!(payload, PAYLOAD, "a payload that was not signed was opened");
    assert!(Envelope::open(bytes, PAYLOAD_TYPE, &[]).is_err(), "nobody's signature counted");
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let seal = || Envelope::sign(signer()?, PAYLOAD_TYPE, PAYLOAD).ok()?.to_bytes().ok();
    seal().into_iter().collect()
}
