//! Detached SSH signatures, and public keys.

use ledger::keys::PublicKey;
use ledger::sshsig::{sign_detached, verify_detached};
use ledger::{LEDGER_NAMESPACE, REPORT_NAMESPACE, Signer};

use super::signing::signer;
use crate::Target;

const SIGNED: &[u8] = b"what was signed\n";

/// An armored signature, or a public key as OpenSSH writes it.
pub const TARGET: Target = Target {
    name: "ssh_signature",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "-----BEGIN SSH SIGNATURE-----\n",
        "-----END SSH SIGNATURE-----\n",
        "ssh-ed25519 ",
        "ssh-rsa ",
        "AAAA",
        "==",
        "\r\n",
        "sk-ssh-ed25519@openssh.com ",
    ],
};

/// A signature counts for what was signed and for nothing else; a key is written as it was read.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let key_read = std::str::from_utf8(bytes).is_ok_and(|text| {
        let Ok(key) = PublicKey::parse(text) else { return false };
        let Ok(again) = PublicKey::parse(&key.to_openssh()) else {
            panic!("a key that was read cannot be read again: {text}")
        };
        assert_eq!(again.fingerprint(), key.fingerprint());
        true
    });
    let Some(signer) = signer() else { return key_read };
    let keys = [signer.public_key().clone()];
    let verified = verify_detached(&keys, LEDGER_NAMESPACE, SIGNED, bytes).is_ok();
    let elsewhere = verify_detached(&keys, REPORT_NAMESPACE, SIGNED, bytes).is_ok();
    let other = verify_detached(&keys, LEDGER_NAMESPACE, b"something else\n", bytes).is_ok();
    assert!(!elsewhere && !other, "a signature counted for what was not signed");
    verified || key_read
}

fn seeds() -> Vec<Vec<u8>> {
    let Some(signer) = signer() else { return Vec::new() };
    let signature = sign_detached(signer, LEDGER_NAMESPACE, SIGNED).ok();
    let key = Some(signer.public_key().to_openssh());
    [signature, key].into_iter().flatten().map(String::into_bytes).collect()
}
