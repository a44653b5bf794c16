//! Waivers and changes of roles that are proposed, approved one by one, and then carried out.

use base::{Digest, Duration, PrincipalId};
use ledger::body::{Approval, Proposal, Proposed, RolesChange, Waiver, Withdraw};
use ledger::chain::{Aside, Fault, Lapse, Share};
use ledger::{PrincipalKind, Roles};

use crate::world::*;

fn consenting(proposal: Digest, name: &str, role: &str) -> Approval {
    Approval { role: role.to_owned(), ..approval(proposal, name) }
}

fn carried(proposal: Digest) -> Waiver {
    Waiver { proposal: Some(proposal), ..waiver() }
}

/// Roles in which dave takes the place of carol, whose key goes.
fn with_dave() -> RolesChange {
    next_roles(|roles| {
        roles.principals.retain(|one| one.id.as_str() != "carol");
        roles.principals.push(principal("dave", PrincipalKind::Human));
        for role in ["root", "lead"] {
            roles.roles.insert(role.to_owned(), self::role(&["alice", "bob", "dave"], 2));
        }
    })
}

fn only_new_people() -> RolesChange {
    next_roles(|roles| {
        roles.principals = vec![
            principal("dave", PrincipalKind::Human),
            principal("erin", PrincipalKind::Human),
            principal("ci", PrincipalKind::Ci),
        ];
        for role in ["root", "lead"] {
            roles.roles.insert(role.to_owned(), self::role(&["dave", "erin"], 2));
        }
    })
}

fn proposed_roles(change: &RolesChange) -> (Chain, Digest, RolesChange) {
    let mut chain = Chain::new();
    let proposed = chain.push(proposal_of(Proposed::Roles(change.clone())), &["alice"]);
    let carried = RolesChange { proposal: Some(proposed), ..change.clone() };
    (chain, proposed, carried)
}

#[test]
fn a_waiver_that_two_leads_approved_needs_one_signature_only() {
    let mut chain = Chain::new();
    let proposed = chain.push(proposal_of(Proposed::Waiver(waiver())), &["alice"]);
    chain.push(approval(proposed, "alice"), &["alice"]);
    let early = chain.refusal(carried(proposed), &["ci"]);
    assert!(matches!(*early.fault, Fault::NoConsent { given: 1, threshold: 2, .. }), "{early}");
    chain.push(approval(proposed, "bob"), &["bob"]);
    // Nobody else may carry it out, and nothing else may be carried out.
    let other = Waiver { gate: "proofs".parse().unwrap(), ..carried(proposed) };
    let refused = chain.refusal(other, &["ci"]);
    assert!(matches!(*refused.fault, Fault::OtherProposal), "{refused}");
    let longer =
        Waiver { expires: waiver().expires + Duration::from_hours(1), ..carried(proposed) };
    assert!(matches!(*chain.refusal(longer, &["ci"]).fault, Fault::OtherProposal));
    chain.push(carried(proposed), &["ci"]);
    let again = chain.refusal(carried(proposed), &["ci"]);
    let lapsed = Fault::Lapsed { lapse: Lapse::Consumed(4) };
    assert_eq!(again.fault.to_string(), lapsed.to_string());
}

#[test]
fn a_waiver_that_names_no_proposal_needs_the_leads_signatures_as_before() {
    let chain = Chain::new();
    let alone = chain.refusal(waiver(), &["alice"]);
    assert!(matches!(*alone.fault, Fault::NotAllowed { .. }), "{alone}");
    let by_ci = chain.refusal(waiver(), &["ci"]);
    assert!(matches!(*by_ci.fault, Fault::NotAllowed { .. }), "{by_ci}");
}

#[test]
fn a_newer_evaluation_lapses_a_transition_and_no_waiver() {
    let mut chain = Chain::new();
    let proposed = chain.push(proposal_of(Proposed::Waiver(waiver())), &["alice"]);
    chain.push(approval(proposed, "alice"), &["alice"]);
    chain.push(approval(proposed, "bob"), &["bob"]);
    chain.push(evaluation(), &["ci"]);
    chain.push(carried(proposed), &["bob"]);
}

#[test]
fn terms_that_no_waiver_may_have_are_refused_when_they_are_proposed() {
    let chain = Chain::new();
    let refusal = |waiver: Waiver| {
        chain.refusal(proposal_of(Proposed::Waiver(waiver)), &["alice"]).fault.to_string()
    };
    assert!(refusal(Waiver { reason: " ".to_owned(), ..waiver() }).contains("says why"));
    let late = start() + Duration::from_hours(24 * 31);
    assert!(refusal(Waiver { expires: late, ..waiver() }).contains("at most 30 days"));
    assert!(refusal(carried(Digest::of(b"x"))).contains("no proposal of its own"));
}

#[test]
fn a_change_of_roles_needs_root_under_the_old_and_under_the_new_roles() {
    let change = with_dave();
    let (mut chain, proposed, carried) = proposed_roles(&change);
    chain.push(consenting(proposed, "alice", "root"), &["alice"]);
    chain.push(consenting(proposed, "dave", "root"), &["dave"]);
    let consent = chain.view().consent(&proposed, start()).unwrap();
    let share = |roles_version, given| Share { roles_version, given, needed: 2 };
    assert_eq!(consent.shares, [share(1, 1), share(2, 2)]);
    assert_eq!(consent.missing(), 1);
    let early = chain.refusal(carried.clone(), &["alice"]);
    assert!(matches!(*early.fault, Fault::NoConsent { roles_version: 1, given: 1, .. }), "{early}");
    chain.push(consenting(proposed, "carol", "root"), &["carol"]);
    chain.push(carried, &["ci"]);
    assert_eq!(chain.view().roles().version, 2);
    assert_eq!(*chain.view().roles(), change.roles);
    // The roles are those of the change from the next entry on.
    let error = chain.refusal(reset(Vec::new()), &["carol"]);
    assert!(matches!(*error.fault, Fault::ForeignKey { .. }), "{error}");
    chain.push(reset(Vec::new()), &["dave"]);
}

#[test]
fn old_members_alone_cannot_hand_over_and_new_members_alone_cannot_take() {
    let (mut chain, proposed, carried) = proposed_roles(&only_new_people());
    chain.push(consenting(proposed, "alice", "root"), &["alice"]);
    chain.push(consenting(proposed, "bob", "root"), &["bob"]);
    let handed = chain.refusal(carried.clone(), &["alice"]);
    assert!(matches!(*handed.fault, Fault::NoConsent { roles_version: 2, given: 0, .. }));

    let (mut chain, proposed, taken) = proposed_roles(&only_new_people());
    chain.push(consenting(proposed, "dave", "root"), &["dave"]);
    chain.push(consenting(proposed, "erin", "root"), &["erin"]);
    let refused = chain.refusal(taken.clone(), &["ci"]);
    assert!(matches!(*refused.fault, Fault::NoConsent { roles_version: 1, given: 0, .. }));
    // Who is only proposed signs nothing but the approval.
    let error = chain.refusal(taken, &["dave"]);
    assert!(matches!(*error.fault, Fault::NotAllowed { .. }), "{error}");
    let error = chain.refusal(event("deploy"), &["dave"]);
    assert!(matches!(*error.fault, Fault::ForeignKey { .. }), "{error}");
}

#[test]
fn only_people_of_root_approve_a_change_of_roles() {
    let (chain, proposed, _) = proposed_roles(&with_dave());
    let refusal = |name: &str, role: &str| {
        chain.refusal(consenting(proposed, name, role), &[name]).fault.to_string()
    };
    assert!(refusal("alice", "lead").contains("not a human with the role `root`"));
    assert!(refusal("ci", "root").contains("not a human with the role `root`"));
    assert!(refusal("erin", "root").contains("do not hold"));
}

#[test]
fn roles_that_could_not_follow_are_refused_when_they_are_proposed() {
    let chain = Chain::new();
    let refusal = |change: &mut dyn FnMut(&mut Roles)| {
        let proposed = Proposed::Roles(next_roles(change));
        chain.refusal(proposal_of(proposed), &["alice"]).fault.to_string()
    };
    assert!(refusal(&mut |roles| roles.version = 3).contains("the next version is 2"));
    let alone = refusal(&mut |roles| {
        roles.roles.insert("lead".to_owned(), role(&["alice"], 1));
    });
    assert!(alone.contains("needs one signature only"), "{alone}");
    let nested = RolesChange { proposal: Some(Digest::of(b"x")), ..with_dave() };
    let nested = chain.refusal(proposal_of(Proposed::Roles(nested)), &["alice"]);
    assert!(nested.to_string().contains("no proposal of its own"));
}

#[test]
fn a_machine_carries_out_what_people_approved_and_approves_nothing() {
    let (mut chain, proposed, carried) = proposed_roles(&with_dave());
    let refused = chain.refusal(carried.clone(), &["ci"]);
    assert!(matches!(*refused.fault, Fault::NoConsent { given: 0, .. }), "{refused}");
    let given = chain.push(consenting(proposed, "alice", "root"), &["alice"]);
    chain.push(consenting(proposed, "bob", "root"), &["bob"]);
    chain.push(Withdraw { approval: given }, &["alice"]);
    let consent = chain.view().consent(&proposed, start()).unwrap();
    assert_eq!(consent.aside, [(id("alice"), Aside::Withdrawn)]);
    assert!(matches!(*chain.refusal(carried, &["ci"]).fault, Fault::NoConsent { given: 1, .. }));
}

#[test]
fn a_change_of_roles_lapses_what_was_proposed_before_it() {
    let mut chain = Chain::new();
    let waived = chain.push(proposal_of(Proposed::Waiver(waiver())), &["alice"]);
    chain.push(approval(waived, "alice"), &["alice"]);
    chain.push(approval(waived, "bob"), &["bob"]);
    chain.push(next_roles(|_| {}), &["alice", "bob"]);
    let error = chain.refusal(carried(waived), &["ci"]);
    assert!(matches!(*error.fault, Fault::Lapsed { lapse: Lapse::OtherRoles(4) }), "{error}");
}

#[test]
fn what_is_open_is_listed_until_it_lapses_or_is_carried_out() {
    let mut chain = Chain::new();
    let first = chain.push(proposal_of(Proposed::Waiver(waiver())), &["alice"]);
    let short = Proposal {
        expires: start() + Duration::from_hours(1),
        ..proposal_of(Proposed::Roles(with_dave()))
    };
    let second = chain.push(short, &["bob"]);
    let open = |chain: &Chain, at| -> Vec<Digest> {
        chain.view().open_proposals(at).into_iter().map(|(digest, _)| digest).collect()
    };
    assert_eq!(open(&chain, start()), [first, second]);
    assert_eq!(open(&chain, start() + Duration::from_hours(1)), [first]);
    assert_eq!(chain.view().ready(start()), None);
    let people: Vec<PrincipalId> = ["alice", "bob"].map(id).into();
    for who in people {
        chain.push(approval(first, who.as_str()), &[who.as_str()]);
    }
    // A waiver that would be over is not carried out any more.
    assert_eq!(chain.view().ready(waiver().expires), None);
    let ready = chain.view().ready(start()).unwrap();
    assert_eq!(ready, carried(first).into());
    chain.push(ready, &["ci"]);
    assert_eq!(open(&chain, start()), [second]);
    assert_eq!(chain.view().ready(start()), None);
}

/// Roles that give the names of the people of root to keys of somebody else.
fn with_foreign_keys() -> RolesChange {
    next_roles(|roles| {
        for principal in &mut roles.principals {
            let name = principal.id.as_str().to_owned();
            principal.keys = self::principal(&format!("fake-{name}"), principal.kind).keys;
        }
    })
}

#[test]
fn nobody_speaks_for_a_member_with_a_key_that_only_proposed_roles_give_the_name() {
    let (chain, proposed, _) = proposed_roles(&with_foreign_keys());
    let entry = chain.next(consenting(proposed, "alice", "root"));
    let forged = sign_as(&entry, &[("fake-alice", "alice")]);
    let error = ledger::chain::verify(&[chain.raw.clone(), vec![forged]].concat()).unwrap_err();
    assert!(matches!(*error.fault, Fault::ForeignKey { .. }), "{error}");

    // Nor at once, without a proposal.
    let chain = Chain::new();
    let entry = chain.next(with_foreign_keys());
    let forged = sign_as(&entry, &[("fake-alice", "alice"), ("fake-bob", "bob")]);
    let error = ledger::chain::verify(&[chain.raw.clone(), vec![forged]].concat()).unwrap_err();
    assert!(matches!(*error.fault, Fault::ForeignKey { .. }), "{error}");
}
