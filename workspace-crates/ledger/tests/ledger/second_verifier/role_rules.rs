//! Roles: which are acceptable, who may sign what, changes of roles, keys that are not trusted.

use ledger::body::{Approval, Distrust, Proposal, Proposed, RolesChange};
use ledger::keys::PublicKey;
use ledger::{Policy, PrincipalKind, RawEntry, Roles, Signer as _};

use super::table::{Case, bad, bad_end, good, opened};
use crate::world::*;

pub fn cases() -> Vec<Case> {
    let all = [
        acceptable(),
        key_cases(),
        change_cases(),
        takeover_cases(),
        distrust_cases(),
        resting_cases(),
    ];
    all.into_iter().flatten().collect()
}

const LEADS: [&str; 2] = ["alice", "bob"];

fn acceptable() -> Vec<Case> {
    let refused = |name, change: &dyn Fn(&mut Roles)| bad(name, 0, opened(change, &LEADS));
    let with_role = |name: &'static str, of: &'static [&'static str], threshold| {
        move |roles: &mut Roles| drop(roles.roles.insert(name.to_owned(), role(of, threshold)))
    };
    vec![
        bad("a genesis entry that one person signed", 0, opened(|_| {}, &["alice"])),
        bad("a genesis entry that CI signed too", 0, opened(|_| {}, &["alice", "ci"])),
        refused("roles of version 0", &|roles| roles.version = 0),
        refused("roles of version 2 at once", &|roles| roles.version = 2),
        refused("a principal twice", &|roles| roles.principals.push(roles.principals[3].clone())),
        refused("a principal without key", &|roles| roles.principals[2].keys.clear()),
        refused("no root", &|roles| drop(roles.roles.remove("root"))),
        refused("no lead", &|roles| drop(roles.roles.remove("lead"))),
        refused("no evaluator", &|roles| drop(roles.roles.remove("evaluator"))),
        refused("a member who is no principal", &with_role("partner", &["dave"], 1)),
        refused("a member twice", &with_role("lead", &["alice", "bob", "bob"], 2)),
        refused("CI among the leads", &with_role("lead", &["alice", "bob", "ci"], 2)),
        refused("CI in root", &with_role("root", &["alice", "bob", "ci"], 2)),
        refused("a threshold of 0", &with_role("evaluator", &["ci"], 0)),
        refused("a threshold that nobody reaches", &with_role("evaluator", &["ci"], 2)),
        refused("a threshold of 1 without solo", &with_role("lead", &["alice", "bob"], 1)),
        good("a role of its own", opened(with_role("partner", &["ci"], 1), &LEADS)),
        good("one person alone, who says so", solo().raw),
        bad_end("another one beside one person alone", solo().then(event("deploy"), &["ci"])),
    ]
}

/// A ledger that one person keeps alone.
pub fn solo() -> Chain {
    let raw = opened(
        |roles| {
            roles.policy = Policy::Solo;
            for name in ["root", "lead", "evaluator"] {
                roles.roles.insert(name.to_owned(), role(&["alice"], 1));
            }
        },
        &["alice"],
    );
    let mut chain = Chain { raw };
    let judged = chain.push(evaluation(), &["alice"]);
    chain.push(advance(1, judged), &["alice"]);
    chain.push(waiver(), &["alice"]);
    chain
}

/// Roles in which CI holds these keys.
fn keys(lines: &[&str]) -> Vec<RawEntry> {
    opened(
        |roles| roles.principals[3].keys = lines.iter().map(|one| (*one).to_owned()).collect(),
        &LEADS,
    )
}

/// A security key with the same secret as an Ed25519 key.
pub fn wrapped(name: &str) -> String {
    let point = signer(name).public_key().ed25519_bytes().unwrap();
    let mut wire = Vec::new();
    for part in [b"sk-ssh-ed25519@openssh.com".as_slice(), &point, b"ssh:"] {
        wire.extend((part.len() as u32).to_be_bytes());
        wire.extend(part);
    }
    use base64::Engine as _;
    format!("sk-ssh-ed25519@openssh.com {}", base64::engine::general_purpose::STANDARD.encode(wire))
}

const P256: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
const P384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBC5ugtxUB/EEoREXx8BbGZPDzrPbJfrmi6FpUCpP+TldmtNrVD6AFP8V1wjiHwn1hapt+tV1t5uUNBi4YZjZvNmwf/+TmbFdQ9NO+usuVrezPP+ICyQrPgtYr5bHWEHsQQ==";
const WEAK: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn key_cases() -> Vec<Case> {
    let ci = signer("ci").public_key().to_openssh();
    let alice = signer("alice").public_key().to_openssh();
    let (sk, sk_alice) = (wrapped("ci"), wrapped("alice"));
    assert!(PublicKey::parse(&sk).is_ok());
    let with = |change: &dyn Fn(&str) -> String| keys(&[&change(&ci)]);
    vec![
        good("a key with a comment", with(&|ci| format!("{ci} ci of the team\tüber <all>"))),
        good("white space around a key", with(&|ci| format!("\n\u{2003} {ci}\t\r\n"))),
        good("a security key", keys(&[&sk])),
        good("a P-256 key", keys(&[P256])),
        bad("two spaces inside a key", 0, with(&|ci| ci.replacen(' ', "  ", 1))),
        bad("a tab inside a key", 0, with(&|ci| ci.replacen(' ', "\t", 1))),
        bad("options before a key", 0, with(&|ci| format!("cert-authority {ci}"))),
        bad(
            "a kind that is not the key's",
            0,
            with(&|ci| ci.replacen("ssh-ed25519", "ssh-rsa", 1)),
        ),
        bad("a key that is cut short", 0, with(&|ci| ci[..ci.len() - 4].to_owned())),
        bad("no key at all", 0, keys(&["ssh-ed25519 nonsense"])),
        bad("a P-384 key", 0, keys(&[P384])),
        bad("a point that anybody can sign for", 0, keys(&[WEAK])),
        bad("one key for two principals", 0, keys(&[&alice])),
        bad("one key twice for one principal", 0, keys(&[&ci, &format!("{ci} again")])),
        bad("one secret under two wrappers", 0, keys(&[&ci, &sk])),
        bad("one secret of two principals under two wrappers", 0, keys(&[&sk_alice])),
    ]
}

fn replaced_root() -> RolesChange {
    next_roles(|roles| {
        for name in ["dave", "erin"] {
            roles.principals.push(principal(name, PrincipalKind::Human));
        }
        roles.roles.insert("root".to_owned(), role(&["dave", "erin"], 2));
    })
}

/// The same people, but the keys behind their names are of one stranger.
fn taken_names() -> RolesChange {
    next_roles(|roles| {
        for one in &mut roles.principals {
            one.keys = principal(&format!("fake-{}", one.id), one.kind).keys;
        }
    })
}

fn takeover_cases() -> Vec<Case> {
    let mut chain = Chain::new();
    let at_once = chain.next(taken_names());
    let at_once = chain.with(sign_as(&at_once, &[("fake-alice", "alice"), ("fake-bob", "bob")]));
    let digest = chain.push(proposal_of(Proposed::Roles(taken_names())), &["carol"]);
    let consent = Approval { role: "root".to_owned(), ..approval(digest, "alice") };
    let forged = chain.with(sign_as(&chain.next(consent.clone()), &[("fake-alice", "alice")]));
    vec![
        bad_end("a stranger gives the members' names to keys and takes over", at_once),
        bad_end("a proposal gives a member's name to a key that approves it", forged),
        good("a member approves its own new key with the old one", chain.then(consent, &["alice"])),
    ]
}

fn change_cases() -> Vec<Case> {
    let chain = Chain::new();
    let change = replaced_root();
    let both = ["alice", "bob", "dave", "erin"];
    let mut changed = chain.clone();
    changed.push(change.clone(), &both);
    let without_ci = RolesChange {
        roles: Roles { version: 3, ..roles() },
        distrust: Vec::new(),
        proposal: None,
    };
    let invalid = next_roles(|roles| drop(roles.roles.remove("lead")));
    let stolen_name = next_roles(|roles| {
        // Alice's key goes to carol and carol's to alice.
        let keys = roles.principals[0].keys.clone();
        roles.principals[0].keys = std::mem::replace(&mut roles.principals[2].keys, keys);
    });
    vec![
        good("a change of roles under both versions", changed.raw.clone()),
        bad_end("a change of roles under the old version only", chain.then(change.clone(), &LEADS)),
        bad_end(
            "a change of roles under the new version only",
            chain.then(change, &["dave", "erin"]),
        ),
        bad_end(
            "a change of roles that CI signed",
            chain.then(next_roles(|_| {}), &["ci", "alice"]),
        ),
        bad_end("a version is skipped", chain.then(next_roles(|roles| roles.version = 3), &LEADS)),
        bad_end("a version is repeated", chain.then(next_roles(|roles| roles.version = 1), &LEADS)),
        bad_end("a change to roles that are not acceptable", chain.then(invalid, &LEADS)),
        bad_end("who left root changes roles", changed.then(without_ci.clone(), &LEADS)),
        bad_end(
            "who came changes roles without those that come",
            changed.then(without_ci, &["dave", "erin"]),
        ),
        good("keys change their owners", chain.then(stolen_name.clone(), &["alice", "carol"])),
        bad_end("who lost a key signs with it", {
            let mut chain = chain.clone();
            chain.push(stolen_name, &["alice", "bob"]);
            chain.then(reset(Vec::new()), &["alice"])
        }),
    ]
}

/// Roles in which CI has a new key and name, and the old key is distrusted.
fn distrusting(last_trusted: u64, version: u32) -> RolesChange {
    let mut change = next_roles(|roles| {
        roles.version = version;
        roles.principals.retain(|one| one.id != id("ci"));
        roles.principals.push(principal("ci-2", PrincipalKind::Ci));
        roles.roles.insert("evaluator".to_owned(), role(&["ci-2"], 1));
    });
    let fingerprint = signer("ci").public_key().fingerprint();
    change.distrust = vec![Distrust { fingerprint, last_trusted }];
    change
}

/// An evaluation (1), its proposal (2), two approvals, and the advance (5), the last by the key
/// that is distrusted then (6).
fn stolen(last_trusted: u64) -> (Chain, base::Digest) {
    let mut chain = Chain::new();
    let judged = chain.push(evaluation(), &["ci"]);
    let proposed = chain.push(proposal(judged), &["ci"]);
    for name in LEADS {
        chain.push(approval(proposed, name), &[name]);
    }
    chain.push(carried_out(proposed, advance(1, judged)), &["ci"]);
    chain.push(distrusting(last_trusted, 2), &LEADS);
    (chain, judged)
}

/// Roles without carol, whose key was lost after `last_trusted`.
fn without_carol(last_trusted: u64, version: u32) -> RolesChange {
    let mut change = next_roles(|roles| {
        roles.version = version;
        roles.principals.retain(|one| one.id != id("carol"));
        for name in ["root", "lead"] {
            roles.roles.insert(name.to_owned(), role(&LEADS, 2));
        }
    });
    let fingerprint = signer("carol").public_key().fingerprint();
    change.distrust = vec![Distrust { fingerprint, last_trusted }];
    change
}

/// What rests on a lost key, although others signed it.
fn resting_cases() -> Vec<Case> {
    let mut chain = Chain::new();
    let judged = chain.push(evaluation(), &["ci"]);
    let proposed = chain.push(proposal(judged), &["ci"]);
    for name in ["alice", "carol"] {
        chain.push(approval(proposed, name), &[name]);
    }
    chain.push(carried_out(proposed, advance(1, judged)), &["ci"]);
    let again = |last_trusted, revokes: &[u64]| {
        let mut chain = chain.clone();
        chain.push(without_carol(last_trusted, 2), &LEADS);
        let proposal = Proposal { roles_version: 2, ..proposal(judged) };
        let proposed = chain.push(proposal, &["ci"]);
        for name in LEADS {
            chain.push(approval(proposed, name), &[name]);
        }
        chain.push(reset(revokes.to_vec()), &["ci"]);
        chain.then(carried_out(proposed, advance(1, judged)), &["ci"])
    };
    // Carol consents to the change that lets her key go; that change stands whatever comes.
    let mut gone = Chain::new();
    gone.push(event("deploy"), &["ci"]);
    gone.push(reset(Vec::new()), &["carol"]);
    let change = without_carol(2, 2);
    let proposed = gone.push(proposal_of(Proposed::Roles(change.clone())), &["alice"]);
    for name in ["carol", "alice", "bob"] {
        let consent = Approval { role: "root".to_owned(), ..approval(proposed, name) };
        gone.push(consent, &[name]);
    }
    gone.push(RolesChange { proposal: Some(proposed), ..change }, &["alice"]);
    let mut next = distrusting(1, 3);
    next.roles.principals.retain(|one| one.id != id("carol"));
    for name in ["root", "lead"] {
        next.roles.roles.insert(name.to_owned(), role(&LEADS, 2));
    }
    let mut taken = Chain::new();
    let proposed = taken.push(proposal_of(Proposed::Roles(next_roles(|_| {}))), &["alice"]);
    for name in ["alice", "carol"] {
        let consent = Approval { role: "root".to_owned(), ..approval(proposed, name) };
        taken.push(consent, &[name]);
    }
    let carried = RolesChange { proposal: Some(proposed), ..next_roles(|_| {}) };
    taken.push(carried, &["ci"]);
    vec![
        bad_end("an advance stands that a lost key approved", again(3, &[])),
        good("an advance that a lost key approved is revoked", again(3, &[5])),
        good("a lost key approved while it was trusted", again(4, &[])),
        good("another key is lost after one that consented to its end", gone.then(next, &LEADS)),
        bad_end("roles that a lost key approved", taken.then(without_carol(2, 3), &LEADS)),
        good("roles that a key approved before it was lost", {
            taken.then(without_carol(3, 3), &LEADS)
        }),
    ]
}

fn distrust_cases() -> Vec<Case> {
    let (chain, judged) = stolen(4);
    let again = |chain: &Chain, seq, judged| {
        let mut chain = chain.clone();
        let proposal = ledger::body::Proposal { roles_version: 2, ..proposal(judged) };
        let proposed = chain.push(proposal, &["ci-2"]);
        for name in LEADS {
            chain.push(approval(proposed, name), &[name]);
        }
        chain.then(carried_out(proposed, advance(seq, judged)), &["ci-2"])
    };
    let mut revoked = chain.clone();
    revoked.push(reset(vec![5]), &["carol"]);
    let (void, void_judged) = stolen(0);
    let fresh = Chain::new();
    let mut kept = distrusting(0, 2);
    kept.roles = next_roles(|_| {}).roles;
    let mut by_alice = fresh.clone();
    by_alice.push(next_roles(|_| {}), &LEADS);
    let mut third = next_roles(|roles| {
        roles.version = 3;
        roles.principals.retain(|one| one.id != id("alice"));
        for name in ["root", "lead"] {
            roles.roles.insert(name.to_owned(), role(&["bob", "carol"], 2));
        }
    });
    let alice = signer("alice").public_key().fingerprint();
    let of_alice = |last_trusted| vec![Distrust { fingerprint: alice.clone(), last_trusted }];
    third.distrust = of_alice(0);
    let mut trusted = third.clone();
    trusted.distrust = of_alice(1);
    vec![
        good("a stolen key is distrusted", chain.raw.clone()),
        bad_end("an advance while a stolen key's advance stands", again(&chain, 1, judged)),
        good("an advance after the stolen key's was revoked", again(&revoked, 1, judged)),
        bad_end(
            "a hold that rests on a void evaluation",
            void.then(hold(1, void_judged), &["ci-2"]),
        ),
        bad_end("a proposal that rests on a void evaluation", {
            let proposal = ledger::body::Proposal { roles_version: 2, ..proposal(void_judged) };
            void.then(proposal, &["ci-2"])
        }),
        bad_end("a key that never signed is distrusted", fresh.then(distrusting(0, 2), &LEADS)),
        bad_end("a key that stays is distrusted", {
            let mut chain = fresh.clone();
            chain.push(event("deploy"), &["ci"]);
            chain.then(kept, &LEADS)
        }),
        bad_end(
            "a key that set roles is distrusted from before them",
            by_alice.then(third, &["bob", "carol"]),
        ),
        good(
            "a key that set roles is distrusted from after them",
            by_alice.then(trusted, &["bob", "carol"]),
        ),
        bad_end("a newcomer approves roles whose proposal is void", {
            let mut chain = fresh.clone();
            let proposed = chain.push(proposal_of(Proposed::Roles(replaced_root())), &["ci"]);
            chain.push(distrusting(0, 2), &LEADS);
            let mut consent = approval(proposed, "dave");
            consent.role = "root".to_owned();
            chain.then(consent, &["dave"])
        }),
    ]
}
