//! Signatures: whose, over what, in which namespace, in which spelling.

use ledger::{LEDGER_NAMESPACE, REPORT_NAMESPACE, RawEntry, Signer as _};

use sha2::{Digest as _, Sha256};
use ssh_key::{Algorithm, HashAlg, LineEnding, Signature, SshSig};

use super::role_rules;
use super::table::{Case, bad, bad_end, good, opened};
use crate::world::*;

/// A ledger whose second entry is signed by CI, with the signature changed.
fn with_signature(change: impl FnOnce(&RawEntry, String) -> Vec<u8>) -> Vec<RawEntry> {
    let chain = Chain::new();
    let mut raw = sign(&chain.next(event("deploy")), &["ci"]);
    let text = String::from_utf8(raw.signatures.remove(&id("ci")).unwrap()).unwrap();
    let changed = change(&raw, text);
    raw.signatures.insert(id("ci"), changed);
    chain.with(raw)
}

fn respelled(change: impl FnOnce(String) -> String) -> Vec<RawEntry> {
    with_signature(|_, text| change(text).into_bytes())
}

/// The armor around the changed bytes of a signature, or text for it.
fn rewritten(change: impl FnOnce(&mut Vec<u8>)) -> Vec<RawEntry> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    respelled(|text| {
        let lines: Vec<_> = text.lines().collect();
        let mut bytes = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        change(&mut bytes);
        let body = STANDARD.encode(bytes);
        let body: Vec<_> =
            body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("{}\n{}\n{}\n", lines[0], body.join("\n"), lines[lines.len() - 1])
    })
}

pub fn cases() -> Vec<Case> {
    [signer_cases(), spelling_cases(), security_key_cases()].into_iter().flatten().collect()
}

fn signer_cases() -> Vec<Case> {
    let chain = Chain::new();
    let entry = chain.next(event("deploy"));
    let without = |names: &[&str]| {
        let mut raw = sign(&entry, &["ci"]);
        raw.signatures.clear();
        raw.signatures.extend(sign(&entry, names).signatures);
        chain.with(raw)
    };
    let renamed = |to: &str| {
        let mut raw = sign(&entry, &["ci"]);
        let signature = raw.signatures.remove(&id("ci")).unwrap();
        raw.signatures.insert(id(to), signature);
        chain.with(raw)
    };
    vec![
        bad_end("a lead writes an event", without(&["alice"])),
        good("more signatures than needed", without(&["alice", "bob", "carol", "ci"])),
        bad_end("no signature", without(&[])),
        bad_end("a foreign key", without(&["mallory"])),
        bad_end("a foreign key beside a good one", without(&["ci", "mallory"])),
        bad_end("a signature under another's name", renamed("alice")),
        bad_end("a signature under the name of nobody", renamed("nobody")),
        bad_end("a signature of the entry before", {
            let mut chain = Chain::new();
            chain.push(event("deploy"), &["ci"]);
            let mut raw = sign(&chain.next(event("announce")), &["ci"]);
            raw.signatures = chain.raw[1].signatures.clone();
            chain.with(raw)
        }),
        bad("a signature of the genesis entry is exchanged", 0, {
            let mut raw = every_kind().raw;
            let other = raw[0].signatures[&id("bob")].clone();
            raw[0].signatures.insert(id("alice"), other);
            raw
        }),
        bad_end(
            "a signature for reports",
            with_signature(|raw, _| {
                signer("ci").sign(REPORT_NAMESPACE, &raw.bytes).unwrap().into_bytes()
            }),
        ),
        bad_end(
            "a signature for git",
            with_signature(|raw, _| signer("ci").sign("git", &raw.bytes).unwrap().into_bytes()),
        ),
        bad_end(
            "a signature of other bytes",
            with_signature(|_, _| {
                signer("ci").sign(LEDGER_NAMESPACE, b"other").unwrap().into_bytes()
            }),
        ),
    ]
}

fn spelling_cases() -> Vec<Case> {
    // Where the parts of an Ed25519 signature's armor begin.
    let reserved = 6 + 4 + 4 + 51 + 4 + LEDGER_NAMESPACE.len();
    vec![
        bad_end("no armor", respelled(|_| "nonsense".to_owned())),
        bad_end("an empty signature", respelled(|_| String::new())),
        bad_end("text before the armor", respelled(|text| format!("Look:\n{text}"))),
        bad_end("text after the armor", respelled(|text| format!("{text}\n"))),
        bad_end("a NUL after the armor", respelled(|text| format!("{text}\0"))),
        bad_end("no line feed after the armor", respelled(|text| text.trim_end().to_owned())),
        bad_end("other line ends", respelled(|text| text.replace('\n', "\r\n"))),
        bad_end(
            "lines of another length",
            respelled(|text| {
                let lines: Vec<_> = text.lines().collect();
                let body = lines[1..lines.len() - 1].concat();
                format!("{}\n{body}\n{}\n", lines[0], lines[lines.len() - 1])
            }),
        ),
        bad_end("two signatures in one file", respelled(|text| format!("{text}{text}"))),
        bad_end("a signature that is too long", respelled(|text| text + &"\n".repeat(20_000))),
        good("the same armor again", rewritten(|_| {})),
        bad_end("bytes after the signature", rewritten(|bytes| bytes.push(0))),
        bad_end("another version of signatures", rewritten(|bytes| bytes[9] = 2)),
        bad_end(
            "a reserved field with content",
            rewritten(|bytes| {
                bytes[reserved + 3] = 1;
                bytes.insert(reserved + 4, b'x');
            }),
        ),
        bad_end(
            "one bit of the signature is turned",
            rewritten(|bytes| {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }),
        ),
        bad_end(
            "the order of the group is added to the signature",
            rewritten(|bytes| add_the_order(bytes)),
        ),
    ]
}

/// What a security key with this application, these flags and the secret of `name` signs.
fn security_key_signature(name: &str, flags: u8, bytes: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer as _;
    let trailer = [flags, 0, 0, 0, 7];
    let message = SshSig::signed_data(LEDGER_NAMESPACE, HashAlg::Sha512, bytes).unwrap();
    let signed = [&Sha256::digest("ssh:")[..], &trailer, &Sha256::digest(message)].concat();
    let secret = ed25519_dalek::SigningKey::from_bytes(&seed(name));
    let signature = [&secret.sign(&signed).to_bytes()[..], &trailer].concat();
    let key = ssh_key::PublicKey::from_openssh(&role_rules::wrapped(name)).unwrap();
    let signature = Signature::new(Algorithm::SkEd25519, signature).unwrap();
    let sig =
        SshSig::new(key.key_data().clone(), LEDGER_NAMESPACE, HashAlg::Sha512, signature).unwrap();
    sig.to_pem(LineEnding::LF).unwrap().into_bytes()
}

fn security_key_cases() -> Vec<Case> {
    let raw = opened(
        |roles| roles.principals[3].keys = vec![role_rules::wrapped("ci")],
        &["alice", "bob"],
    );
    let chain = Chain { raw };
    let with = |flags, altered: bool| {
        let mut raw = sign(&chain.next(event("deploy")), &["alice"]);
        let bytes: &[u8] = if altered { b"other" } else { &raw.bytes };
        let signature = security_key_signature("ci", flags, bytes);
        raw.signatures.insert(id("ci"), signature);
        chain.with(raw)
    };
    vec![
        good("a security key that was touched", with(1, false)),
        good("a security key that knows who touched it", with(5, false)),
        bad_end("a security key that was not touched", with(4, false)),
        bad_end("a security key that signed something else", with(1, true)),
    ]
}

/// Makes another signature that a lenient verifier takes: the second half stands for a number
/// modulo the order of the group.
fn add_the_order(bytes: &mut [u8]) {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let at = bytes.len() - 32;
    let mut carry = 0_u16;
    for (byte, add) in bytes[at..].iter_mut().zip(hex::decode(order).unwrap()) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
}
