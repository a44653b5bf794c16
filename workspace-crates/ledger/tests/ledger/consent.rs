//! Who has to agree before a phase moves, and what a key that is no longer trusted leaves behind.

use base::{Digest, Duration};
use ledger::body::{self, Advance, Distrust, ProposedTransition, RolesChange, Withdraw};
use ledger::chain::{Aside, Consent, Fault, Lapse};
use ledger::{Policy, Signer as _};

use crate::world::*;

/// A ledger with one evaluation and a proposal that rests on it.
struct Proposed {
    chain: Chain,
    judged: Digest,
    proposal: Digest,
}

impl Proposed {
    fn new() -> Self {
        Self::by("ci", "ci")
    }

    /// `judge` signs the evaluation, `operator` runs the network.
    fn by(judge: &str, operator: &str) -> Self {
        let mut chain = Chain::with_evaluators(&["ci", "alice"]);
        let judged = chain.push(evaluation(), &[judge]);
        let proposal = Self::operated_by(judged, operator);
        let proposal = chain.push(proposal, &["ci"]);
        Self { chain, judged, proposal }
    }

    fn operated_by(judged: Digest, operator: &str) -> ledger::body::Proposal {
        let operator = id(operator);
        let moved = ProposedTransition { operator, ..transition(judged) };
        proposal_of(body::Proposed::Transition(moved))
    }

    fn approve(mut self, names: &[&str]) -> Self {
        for name in names {
            self.chain.push(approval(self.proposal, name), &[name]);
        }
        self
    }

    fn advance(&self) -> Advance {
        carried_out(self.proposal, advance(1, self.judged))
    }

    fn consent(&self) -> Consent {
        self.chain.view().consent(&self.proposal, start()).unwrap()
    }

    fn refusal(&self) -> Fault {
        *self.chain.refusal(self.advance(), &["ci"]).fault
    }
}

fn aside(consent: &Consent) -> Vec<(&str, Aside)> {
    consent.aside.iter().map(|(who, why)| (who.as_str(), *why)).collect()
}

#[test]
fn an_advance_needs_a_proposal_that_two_leads_approved() {
    let proposed = Proposed::new();
    let bare = proposed.chain.refusal(advance(1, proposed.judged), &["ci"]);
    assert!(matches!(*bare.fault, Fault::NoProposal), "{bare}");
    let none = proposed.refusal();
    assert!(matches!(none, Fault::NoConsent { given: 0, threshold: 2, .. }), "{none}");
    let one = proposed.approve(&["alice"]);
    assert!(matches!(one.refusal(), Fault::NoConsent { given: 1, threshold: 2, .. }));
    let mut two = one.approve(&["bob"]);
    assert!(two.consent().is_given());
    two.chain.push(two.advance(), &["ci"]);
}

#[test]
fn one_person_twice_is_one_person() {
    let proposed = Proposed::new().approve(&["alice", "alice"]);
    let refusal = proposed.refusal();
    assert!(matches!(refusal, Fault::NoConsent { given: 1, .. }), "{refusal}");
    assert!(refusal.to_string().contains("`alice` does not count: one person counts once"));
    assert_eq!(aside(&proposed.consent()), [("alice", Aside::Twice)]);
}

#[test]
fn the_operator_and_the_one_who_judged_do_not_count() {
    let operated = Proposed::by("ci", "bob").approve(&["alice", "bob"]);
    assert_eq!(aside(&operated.consent()), [("bob", Aside::Operator)]);
    assert!(matches!(operated.refusal(), Fault::NoConsent { given: 1, .. }));
    let judged = Proposed::by("alice", "ci").approve(&["alice", "bob"]);
    assert_eq!(aside(&judged.consent()), [("alice", Aside::Judge)]);
    let mut enough = judged.approve(&["carol"]);
    enough.chain.push(enough.advance(), &["ci"]);
}

#[test]
fn who_deployed_does_not_count_whoever_the_proposal_names() {
    let mut proposed = Proposed::by("ci", "ci").approve(&["alice", "bob"]);
    let other = body::Event { track: Some(base::Track::Public), ..deployed() };
    proposed.chain.push(other, &["alice"]);
    assert!(proposed.consent().is_given(), "it is about another track");
    proposed.chain.push(deployed(), &["alice"]);
    assert_eq!(aside(&proposed.consent()), [("alice", Aside::Operator)]);
    assert!(matches!(proposed.refusal(), Fault::NoConsent { given: 1, .. }));
    // Who deploys anew operates from then on.
    proposed.chain.push(deployed(), &["ci"]);
    assert!(proposed.consent().is_given());
}

#[test]
fn a_transition_rests_on_the_newest_evaluation_and_on_what_it_says() {
    let mut chain = Chain::new();
    let old = chain.push(evaluation(), &["ci"]);
    let mut holds = evaluation();
    holds.verdicts.insert("phase-1/internal".to_owned(), base::VerdictKind::Hold);
    let newest = chain.push(holds, &["ci"]);
    let error = chain.refusal(proposal(old), &["ci"]);
    assert!(error.to_string().contains("entry 000002 judged anew since"), "{error}");
    let mut chain =
        Proposed { proposal: chain.push(proposal(newest), &["ci"]), judged: newest, chain };
    chain = chain.approve(&["alice", "bob"]);
    let body = carried_out(chain.proposal, advance(2, newest));
    let error = chain.chain.refusal(body, &["ci"]);
    let wanted = "it does not say that phase-1/internal advances";
    assert!(error.to_string().contains(wanted), "{error}");
}

#[test]
fn only_the_evaluator_records_what_happened_and_what_was_judged() {
    let chain = Chain::new();
    let bodies: [ledger::Body; 2] = [evaluation().into(), event("announced").into()];
    for body in bodies {
        let error = chain.refusal(body, &["alice"]);
        assert!(matches!(*error.fault, Fault::NotAllowed { .. }), "{error}");
    }
    let early = body::Evaluation { at: start() + Duration::from_hours(1), ..evaluation() };
    let error = chain.refusal(early, &["ci"]);
    assert!(error.to_string().contains("was still to come"), "{error}");
}

#[test]
fn a_withdrawn_approval_does_not_count_and_a_new_one_does() {
    let mut proposed = Proposed::new().approve(&["alice", "bob"]);
    let given = proposed.chain.view().last().digest;
    proposed.chain.push(Withdraw { approval: given }, &["bob"]);
    assert_eq!(aside(&proposed.consent()), [("bob", Aside::Withdrawn)]);
    assert!(matches!(proposed.refusal(), Fault::NoConsent { given: 1, .. }));
    let mut again = proposed.approve(&["bob"]);
    again.chain.push(again.advance(), &["ci"]);
}

#[test]
fn a_proposal_is_carried_out_once() {
    let mut proposed = Proposed::new().approve(&["alice", "bob"]);
    let seq = proposed.chain.view().next_seq();
    proposed.chain.push(proposed.advance(), &["ci"]);
    let again = proposed.refusal();
    assert!(matches!(again, Fault::Lapsed { lapse: Lapse::Consumed(at) } if at == seq), "{again}");
}

#[test]
fn a_proposal_lapses_with_its_time_a_newer_evaluation_or_other_roles() {
    let proposed = Proposed::new().approve(&["alice", "bob"]);
    let late =
        proposed.chain.view().consent(&proposed.proposal, start() + Duration::from_hours(24 * 7));
    assert!(matches!(late.unwrap().lapse, Some(Lapse::Expired(_))));

    let mut newer = Proposed::new().approve(&["alice", "bob"]);
    newer.chain.push(evaluation(), &["ci"]);
    let refusal = newer.refusal();
    assert!(matches!(refusal, Fault::Lapsed { lapse: Lapse::NewerEvaluation(5) }), "{refusal}");

    let mut changed = Proposed::new().approve(&["alice", "bob"]);
    let mut next = roles();
    next.version = 2;
    let change = RolesChange { roles: next, distrust: Vec::new(), proposal: None };
    changed.chain.push(change, &["alice", "bob"]);
    let refusal = changed.refusal();
    assert!(matches!(refusal, Fault::Lapsed { lapse: Lapse::OtherRoles(5) }), "{refusal}");
}

#[test]
fn an_advance_is_exactly_what_was_proposed() {
    let proposed = Proposed::new().approve(&["alice", "bob"]);
    let same = proposed.advance();
    let other_phase = Advance { phase: "phase-2".parse().unwrap(), ..same.clone() };
    let other_track = Advance { track: base::Track::Public, ..same.clone() };
    let other_from = Advance { from: "waiting".to_owned(), ..same.clone() };
    let other_to = Advance { to: "complete".to_owned(), ..same };
    for other in [other_phase, other_track, other_from, other_to] {
        let error = proposed.chain.refusal(other, &["ci"]);
        assert!(matches!(*error.fault, Fault::OtherProposal), "{error}");
    }
}

#[test]
fn a_partners_approval_is_no_leads_approval() {
    let mut proposed = Proposed::new();
    let mut next = approval(proposed.proposal, "carol");
    next.role = "root".to_owned();
    proposed.chain.push(next, &["carol"]);
    let proposed = proposed.approve(&["alice"]);
    assert_eq!(aside(&proposed.consent()), [("carol", Aside::OtherRole)]);
    assert!(matches!(proposed.refusal(), Fault::NoConsent { given: 1, .. }));
}

#[test]
fn one_person_alone_advances_under_the_solo_policy_only() {
    let mut genesis = genesis_body();
    genesis.roles.policy = Policy::Solo;
    let entry = ledger::Entry::genesis(network(), draft(0, genesis));
    let mut chain = Chain { raw: vec![sign(&entry, &["alice", "bob"])] };
    let judged = chain.push(evaluation(), &["ci"]);
    chain.push(advance(1, judged), &["ci"]);
    assert!(chain.view().is_solo());
}

/// Roles in which CI has a new key, and the fingerprint of the old one.
fn replaced() -> (ledger::Roles, String) {
    let mut next = roles();
    next.version = 2;
    next.principals.retain(|one| one.id != id("ci"));
    let mut fresh = principal("ci-2", ledger::PrincipalKind::Ci);
    fresh.id = id("ci-2");
    next.principals.push(fresh);
    next.roles.insert("evaluator".to_owned(), role(&["ci-2"], 1));
    (next, signer("ci").public_key().fingerprint())
}

#[test]
fn what_a_stolen_key_signed_no_longer_counts_and_its_advance_has_to_be_revoked() {
    let mut proposed = Proposed::new().approve(&["alice", "bob"]);
    let stolen = proposed.chain.view().next_seq();
    proposed.chain.push(proposed.advance(), &["ci"]);
    let (next, fingerprint) = replaced();
    let distrust = vec![Distrust { fingerprint, last_trusted: stolen - 1 }];
    proposed.chain.push(RolesChange { roles: next, distrust, proposal: None }, &["alice", "bob"]);
    let view = proposed.chain.view();
    assert!(view.is_void(stolen) && !view.is_void(stolen - 1));
    assert_eq!(view.unrevoked_voids().into_iter().collect::<Vec<_>>(), [stolen]);

    // A good advance has to wait until the bad one is revoked.
    let mut chain = proposed.chain;
    let judged = chain.push(evaluation(), &["ci-2"]);
    let seq = chain.view().last().entry.seq;
    let again = ledger::body::Proposal { roles_version: 2, ..proposal(judged) };
    let again = chain.push(again, &["ci-2"]);
    chain.push(approval(again, "alice"), &["alice"]);
    chain.push(approval(again, "bob"), &["bob"]);
    let error = chain.refusal(carried_out(again, advance(seq, judged)), &["ci-2"]);
    assert!(matches!(*error.fault, Fault::Unrevoked { seq } if seq == stolen), "{error}");
    chain.push(reset(vec![stolen]), &["ci-2"]);
    chain.push(carried_out(again, advance(seq, judged)), &["ci-2"]);
}

#[test]
fn what_others_carried_out_on_the_strength_of_a_stolen_key_does_not_count_either() {
    let proposed = Proposed::new().approve(&["alice", "carol"]);
    let (advance, mut chain) = (proposed.advance(), proposed.chain);
    let advanced = chain.push(advance, &["ci"]);
    let waived = chain.push(proposal_of(body::Proposed::Waiver(waiver())), &["ci"]);
    for name in ["alice", "carol"] {
        chain.push(approval(waived, name), &[name]);
    }
    let waiver = chain.push(body::Waiver { proposal: Some(waived), ..waiver() }, &["ci"]);
    let mut change = next_roles(|roles| {
        roles.principals.retain(|one| one.id != id("carol"));
        for name in ["root", "lead"] {
            roles.roles.insert(name.to_owned(), role(&["alice", "bob"], 2));
        }
    });
    let fingerprint = signer("carol").public_key().fingerprint();
    change.distrust = vec![Distrust { fingerprint, last_trusted: 2 }];
    chain.push(change, &["alice", "bob"]);
    let view = chain.view();
    for digest in [advanced, waiver] {
        assert!(view.is_void(view.by_digest(&digest).unwrap().entry.seq));
    }
    assert!(!view.is_void(view.by_digest(&waived).unwrap().entry.seq));
    assert_eq!(view.unrevoked_voids().len(), 1);
}

#[test]
fn nothing_rests_on_what_no_longer_counts() {
    let proposed = Proposed::new().approve(&["alice", "bob"]);
    let mut chain = proposed.chain.clone();
    let (next, fingerprint) = replaced();
    let distrust = vec![Distrust { fingerprint, last_trusted: 0 }];
    chain.push(RolesChange { roles: next, distrust, proposal: None }, &["alice", "bob"]);
    assert_eq!(chain.view().consent(&proposed.proposal, start()), None);
    let again = ledger::body::Proposal { roles_version: 2, ..proposal(proposed.judged) };
    let bodies: [ledger::Body; 3] =
        [again.into(), hold(1, proposed.judged).into(), advance(1, proposed.judged).into()];
    for body in bodies {
        let error = chain.refusal(body, &["ci-2"]);
        assert!(matches!(*error.fault, Fault::Reference { .. }), "{error}");
    }
}

#[test]
fn distrust_names_a_key_that_signed_and_is_gone_and_never_undoes_roles() {
    let chain = Chain::new();
    let (next, fingerprint) = replaced();
    let refusal = |roles: &ledger::Roles, fingerprint: &str, last_trusted| {
        let distrust = vec![Distrust { fingerprint: fingerprint.to_owned(), last_trusted }];
        let change = RolesChange { roles: roles.clone(), distrust, proposal: None };
        chain.refusal(change, &["alice", "bob"]).to_string()
    };
    assert!(refusal(&next, &fingerprint, 0).contains("never signed here"));
    let alice = signer("alice").public_key().fingerprint();
    assert!(refusal(&next, &alice, 0).contains("still hold the key"));

    let mut chain = Chain::new();
    let mut second = roles();
    second.version = 2;
    chain.push(
        RolesChange { roles: second, distrust: Vec::new(), proposal: None },
        &["alice", "bob"],
    );
    let mut third = roles();
    third.version = 3;
    third.principals.retain(|one| one.id != id("alice"));
    for role in third.roles.values_mut() {
        role.of.retain(|one| *one != id("alice"));
    }
    let distrust = vec![Distrust { fingerprint: alice, last_trusted: 0 }];
    let error =
        chain.refusal(RolesChange { roles: third, distrust, proposal: None }, &["bob", "carol"]);
    assert!(error.to_string().contains("entry 000001 set roles"), "{error}");
}
