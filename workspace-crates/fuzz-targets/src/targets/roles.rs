//! Who may sign what, as it stands in a ledger.

use std::collections::BTreeMap;

use ledger::keys::PublicKey;
use ledger::{Policy, Principal, PrincipalKind, Role, Roles, Signer, parse_strict};

use super::signing::signer;
use crate::Target;

const BYTES_MAX: usize = 1 << 20;

/// The bytes of roles.
pub const TARGET: Target = Target {
    name: "roles",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\"version\":0",
        "\"policy\":\"solo\"",
        "\"principals\":[",
        "\"kind\":\"human\"",
        "\"keys\":[\"ssh-ed25519 AAAA",
        "\"root\":{\"of\":[",
        "\"threshold\":0",
        "\"threshold\":4294967295",
        "\\n",
        " # ",
    ],
};

/// Roles that are acceptable have one owner for each key, and a view with a line for each.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(roles) = parse_strict::<Roles>(bytes, BYTES_MAX) else { return false };
    let Ok(written) = base::canonical_json(&roles) else { return false };
    assert_eq!(parse_strict::<Roles>(&written, BYTES_MAX * 8).ok().as_ref(), Some(&roles));
    if roles.check().is_err() {
        return false;
    }
    let mut keys = 0;
    for principal in &roles.principals {
        for key in &principal.keys {
            let Ok(key) = PublicKey::parse(key) else { panic!("accepted with the key {key}") };
            assert_eq!(roles.owner_of(&key), Some(&principal.id), "a key has two owners");
            keys += 1;
        }
    }
    let view = roles.allowed_signers();
    let lines = view.lines().filter(|line| !line.starts_with('#')).count();
    assert!(lines >= keys, "{lines} lines for {keys} keys: {view}");
    assert!(!view.chars().any(|c| c.is_control() && c != '\n'), "{view:?}");
    for (name, role) in &roles.roles {
        assert!(role.threshold > 0 && role.of.len() >= role.threshold as usize, "{name}");
    }
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let Some(signer) = signer() else { return Vec::new() };
    let id = signer.principal().clone();
    let role = || Role { of: vec![id.clone()], threshold: 1 };
    let roles = Roles {
        version: 1,
        policy: Policy::Solo,
        principals: vec![Principal {
            id: id.clone(),
            kind: PrincipalKind::Human,
            keys: vec![signer.public_key().to_openssh()],
        }],
        roles: BTreeMap::from(["root", "lead", "evaluator"].map(|name| (name.to_owned(), role()))),
    };
    base::canonical_json(&roles).ok().into_iter().collect()
}
