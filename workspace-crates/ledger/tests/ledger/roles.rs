use ledger::keys::{KeyError, generate_ed25519};
use ledger::{Policy, PrincipalKind, Roles, RolesError};

use crate::world::*;

fn refusal(change: impl FnOnce(&mut Roles)) -> RolesError {
    let mut changed = roles();
    change(&mut changed);
    changed.check().unwrap_err()
}

#[test]
fn the_sample_roles_are_acceptable_in_both_policies() {
    assert_eq!(roles().check(), Ok(()));
    let mut solo = roles();
    solo.policy = Policy::Solo;
    for name in ["root", "lead"] {
        solo.roles.insert(name.to_owned(), role(&["alice"], 1));
    }
    assert_eq!(solo.check(), Ok(()));
}

#[test]
fn one_key_never_counts_twice() {
    let alice = generate_ed25519(Some(seed("alice"))).unwrap().public_openssh;
    let twice = |roles: &mut Roles| roles.principals[1].keys.push(alice.clone());
    assert!(matches!(refusal(twice), RolesError::KeyTwice { .. }));
    let twice = |roles: &mut Roles| roles.principals[0].keys.push(format!("{alice}-again"));
    assert!(matches!(refusal(twice), RolesError::KeyTwice { .. }));
}

#[test]
fn every_rule_about_roles_has_its_error() {
    assert_eq!(refusal(|roles| roles.version = 0), RolesError::Version);
    assert_eq!(
        refusal(|roles| roles.principals[1].id = id("alice")),
        RolesError::PrincipalTwice(id("alice"))
    );
    assert_eq!(refusal(|roles| roles.principals[2].keys.clear()), RolesError::NoKey(id("carol")));
    assert!(matches!(
        refusal(|roles| roles.principals[0].keys[0] = "ssh-dss AAAA".to_owned()),
        RolesError::Key { cause: KeyError::Malformed(_), .. }
    ));
    assert_eq!(
        refusal(|roles| {
            roles.roles.remove("lead");
        }),
        RolesError::MissingRole("lead")
    );
    let set = |name: &'static str, of: &'static [&'static str], threshold| {
        refusal(move |roles| {
            roles.roles.insert(name.to_owned(), role(of, threshold));
        })
    };
    assert!(matches!(set("lead", &["alice", "zoe"], 2), RolesError::UnknownMember { .. }));
    assert!(matches!(set("lead", &["alice", "alice"], 2), RolesError::MemberTwice { .. }));
    assert!(matches!(set("lead", &["alice", "ci"], 2), RolesError::NotHuman { .. }));
    assert!(matches!(set("lead", &["alice", "bob"], 3), RolesError::Threshold { .. }));
    assert!(matches!(set("evaluator", &["ci"], 0), RolesError::Threshold { .. }));
    assert!(matches!(set("evaluator", &[], 1), RolesError::Threshold { .. }));
    assert_eq!(set("root", &["alice", "bob"], 1), RolesError::Alone("root".to_owned()));
}

#[test]
fn the_form_of_the_design_is_read_and_quorum_is_the_default() {
    let key = |name| generate_ed25519(Some(seed(name))).unwrap().public_openssh;
    let text = serde_json::json!({
        "version": 1,
        "principals": [
            { "id": "alice", "kind": "human", "keys": [key("alice")] },
            { "id": "bob", "kind": "human", "keys": [key("bob")] },
            { "id": "ci", "kind": "ci", "keys": [key("ci")] },
        ],
        "roles": {
            "root": { "of": ["alice", "bob"], "threshold": 2 },
            "lead": { "of": ["alice", "bob"], "threshold": 2 },
            "evaluator": { "of": ["ci"], "threshold": 1 },
        },
    });
    let read: Roles = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(read.policy, Policy::Quorum);
    assert_eq!(read.check(), Ok(()));
    assert_eq!(read.principals[2].kind, PrincipalKind::Ci);

    let mut unknown = text;
    unknown["quorum"] = serde_json::json!(1);
    assert!(serde_json::from_value::<Roles>(unknown).is_err());
}

#[test]
fn allowed_signers_names_each_key_with_both_namespaces() {
    let text = roles().allowed_signers();
    assert_eq!(text.lines().count(), 4);
    for (line, name) in text.lines().zip(["alice", "bob", "carol", "ci"]) {
        assert!(line.starts_with(&format!("{name} namespaces=\"phase-ledger@phasegate.dev,phase-report@phasegate.dev\" ssh-ed25519 AAAA")), "{line}");
    }
}
