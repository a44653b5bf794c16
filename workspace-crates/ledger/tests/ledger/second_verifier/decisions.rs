//! Proposals, approvals, what is carried out, waivers, and the fields of the other kinds.

use base::{Digest, Duration, Track, VerdictKind};
use ledger::body::{
    Advance, Approval, Evaluation, Event, Proposal, Proposed, ProposedTransition, RolesChange,
    Waiver, Withdraw,
};
use ledger::{Body, PrincipalKind, RawEntry};

use super::table::{Case, bad_end, good};
use crate::world::*;

pub fn cases() -> Vec<Case> {
    let all = [transition_cases(), lapse_cases(), waiver_cases(), roles_cases(), field_cases()];
    all.into_iter().flatten().collect()
}

/// An evaluation (1) and a proposal (2), under construction.
#[derive(Clone)]
struct Decision {
    chain: Chain,
    judged: Digest,
    proposal: Digest,
}

impl Decision {
    fn by(judge: &str, operator: &str) -> Self {
        let mut chain = Chain::with_evaluators(&["ci", "alice"]);
        let judged = chain.push(evaluation(), &[judge]);
        let what = ProposedTransition { operator: id(operator), ..transition(judged) };
        let proposal = chain.push(proposal_of(Proposed::Transition(what)), &["ci"]);
        Self { chain, judged, proposal }
    }

    fn approved(names: &[&str]) -> Self {
        Self::by("ci", "ci").approve(names)
    }

    fn approve(mut self, names: &[&str]) -> Self {
        for name in names {
            self.chain.push(approval(self.proposal, name), &[name]);
        }
        self
    }

    fn push(mut self, body: impl Into<Body>, names: &[&str]) -> Self {
        self.chain.push(body, names);
        self
    }

    fn last(&self) -> Digest {
        self.chain.digest(self.chain.raw.len() - 1)
    }

    fn advance(&self) -> Advance {
        carried_out(self.proposal, advance(1, self.judged))
    }

    fn advanced(&self) -> Vec<RawEntry> {
        self.chain.then(self.advance(), &["ci"])
    }
}

fn transition_cases() -> Vec<Case> {
    let two = Decision::approved(&["alice", "bob"]);
    let withdrawn = {
        let last = two.last();
        two.clone().push(Withdraw { approval: last }, &["bob"])
    };
    let none = Decision::approved(&[]);
    let other = |change: &dyn Fn(&mut Advance)| {
        let mut advance = two.advance();
        change(&mut advance);
        two.chain.then(advance, &["ci"])
    };
    let as_root = Approval { role: "root".to_owned(), ..approval(two.proposal, "bob") };
    vec![
        good("an advance that two leads approved", two.advanced()),
        bad_end("an advance without proposal", two.chain.then(advance(1, two.judged), &["ci"])),
        bad_end("an advance that nobody approved", none.advanced()),
        bad_end("one person approves twice", Decision::approved(&["alice", "alice"]).advanced()),
        bad_end("CI approves", none.chain.then(approval(none.proposal, "ci"), &["ci"])),
        bad_end(
            "one approves in another's name",
            none.chain.then(approval(none.proposal, "alice"), &["bob"]),
        ),
        bad_end(
            "somebody unknown approves",
            none.chain.then(approval(none.proposal, "dave"), &["alice"]),
        ),
        bad_end("an approval in a role that one has not", {
            let evaluator =
                Approval { role: "evaluator".to_owned(), ..approval(none.proposal, "carol") };
            none.chain.then(evaluator, &["carol"])
        }),
        bad_end(
            "an approval in a role that does not decide",
            Decision::approved(&["alice"]).push(as_root, &["bob"]).advanced(),
        ),
        bad_end(
            "the operator approves",
            Decision::by("ci", "bob").approve(&["alice", "bob"]).advanced(),
        ),
        bad_end(
            "the judge approves",
            Decision::by("alice", "ci").approve(&["alice", "bob"]).advanced(),
        ),
        bad_end(
            "who deployed approves, and the proposal names another operator",
            Decision::approved(&["alice", "bob"]).push(deployed(), &["alice"]).advanced(),
        ),
        good(
            "who deployed approves another track",
            Decision::approved(&["alice", "bob"])
                .push(Event { track: Some(Track::Public), ..deployed() }, &["alice"])
                .advanced(),
        ),
        good(
            "who deployed the network of before approves",
            Decision::approved(&["alice", "bob"])
                .push(deployed(), &["alice"])
                .push(deployed(), &["ci"])
                .advanced(),
        ),
        good(
            "two others than the judge approve",
            Decision::by("alice", "ci").approve(&["alice", "bob", "carol"]).advanced(),
        ),
        bad_end("an approval is withdrawn", withdrawn.advanced()),
        good(
            "an approval is withdrawn and given again",
            withdrawn.clone().approve(&["bob"]).advanced(),
        ),
        bad_end("another withdraws an approval", {
            let last = two.last();
            two.chain.then(Withdraw { approval: last }, &["alice"])
        }),
        bad_end(
            "a withdrawal of what is no approval",
            two.chain.then(Withdraw { approval: two.proposal }, &["alice"]),
        ),
        bad_end(
            "an approval of what is no proposal",
            two.chain.then(approval(two.judged, "alice"), &["alice"]),
        ),
        bad_end(
            "an approval of another ledger's proposal",
            two.chain.then(approval(Digest::of(b"x"), "alice"), &["alice"]),
        ),
        bad_end("another phase advances", other(&|one| one.phase = "phase-2".parse().unwrap())),
        bad_end("another track advances", other(&|one| one.track = Track::Public)),
        bad_end("another state is left", other(&|one| one.from = "waiting".to_owned())),
        bad_end("another state is taken", other(&|one| one.to = "complete".to_owned())),
        bad_end("an evaluation that is none", other(&|one| one.evaluation.seq = 2)),
        bad_end("an evaluation that is not there", other(&|one| one.evaluation.seq = 99)),
        bad_end("a proposal that is none", other(&|one| one.proposal = Some(two.judged))),
        bad_end("an advance that a partner signs", two.chain.then(two.advance(), &["mallory"])),
    ]
}

fn lapse_cases() -> Vec<Case> {
    let two = Decision::approved(&["alice", "bob"]);
    let at = |micros| {
        let mut entry = two.chain.next(two.advance());
        entry.time = start() + Duration::from_hours(24 * 7) + Duration::from_micros(micros);
        two.chain.with(sign(&entry, &["ci"]))
    };
    let expiring = |hours, micros| {
        let mut chain = Chain::new();
        let judged = chain.push(evaluation(), &["ci"]);
        let time = start() + Duration::from_minutes(2);
        let expires = time + Duration::from_hours(hours) + Duration::from_micros(micros);
        chain.then(Proposal { expires, ..proposal(judged) }, &["ci"])
    };
    vec![
        good("a proposal in its last microsecond", at(-1)),
        bad_end("an expired proposal", at(0)),
        good("a proposal of 14 days", expiring(24 * 14, 0)),
        bad_end("a proposal of more than 14 days", expiring(24 * 14, 1)),
        bad_end("a proposal that is over at once", expiring(0, 0)),
        bad_end(
            "a proposal is carried out twice",
            two.clone().push(two.advance(), &["ci"]).advanced(),
        ),
        bad_end("a newer evaluation", two.clone().push(evaluation(), &["ci"]).advanced()),
        bad_end("other roles", two.clone().push(next_roles(|_| {}), &["alice", "bob"]).advanced()),
        bad_end("a proposal under other roles", {
            let judged = two.judged;
            two.chain.then(Proposal { roles_version: 2, ..proposal(judged) }, &["ci"])
        }),
        bad_end(
            "a proposal without evaluation",
            two.chain.then(proposal(Digest::of(b"x")), &["ci"]),
        ),
    ]
}

fn waiver_cases() -> Vec<Case> {
    let chain = Chain::new();
    let lasting = |hours, micros| {
        let time = start() + Duration::from_minutes(1);
        let expires = time + Duration::from_hours(hours) + Duration::from_micros(micros);
        chain.then(Waiver { expires, ..waiver() }, &["alice", "bob"])
    };
    let because = |reason: &str| {
        chain.then(Waiver { reason: reason.to_owned(), ..waiver() }, &["alice", "bob"])
    };
    let mut proposed = chain.clone();
    let digest = proposed.push(proposal_of(Proposed::Waiver(waiver())), &["alice"]);
    let carried = Waiver { proposal: Some(digest), ..waiver() };
    proposed.push(approval(digest, "alice"), &["alice"]);
    let one = proposed.clone();
    proposed.push(approval(digest, "bob"), &["bob"]);
    let mut judged = proposed.clone();
    judged.push(evaluation(), &["ci"]);
    let mut done = proposed.clone();
    done.push(carried.clone(), &["ci"]);
    let other = Waiver { gate: "proofs".parse().unwrap(), ..carried.clone() };
    let proposing = |waiver| chain.then(proposal_of(Proposed::Waiver(waiver)), &["alice"]);
    vec![
        good("a waiver that two leads signed", chain.then(waiver(), &["alice", "bob"])),
        bad_end("a waiver that one lead signed", chain.then(waiver(), &["alice"])),
        bad_end("a waiver that CI signed with a lead", chain.then(waiver(), &["alice", "ci"])),
        good("a waiver of 30 days", lasting(24 * 30, 0)),
        bad_end("a waiver of more than 30 days", lasting(24 * 30, 1)),
        bad_end("a waiver that is over", lasting(0, 0)),
        bad_end("a waiver without reason", because("")),
        bad_end("a waiver with white space for a reason", because(" \t\u{2003}\u{85}\n")),
        good("a waiver that was proposed and approved", done.raw.clone()),
        good("a waiver after a newer evaluation", judged.then(carried.clone(), &["bob"])),
        bad_end("a waiver that one approved", one.then(carried.clone(), &["ci"])),
        bad_end("a waiver that is carried out twice", done.then(carried.clone(), &["ci"])),
        bad_end("another waiver than was approved", proposed.then(other, &["ci"])),
        bad_end(
            "an advance for a waiver's proposal",
            judged.then(carried_out(digest, advance(4, judged.digest(4))), &["ci"]),
        ),
        bad_end(
            "a proposed waiver without reason",
            proposing(Waiver { reason: " ".to_owned(), ..waiver() }),
        ),
        bad_end(
            "a proposed waiver that lasts too long",
            proposing(Waiver { expires: start() + Duration::from_hours(24 * 31), ..waiver() }),
        ),
        bad_end("a proposed waiver that names a proposal", proposing(carried)),
        bad_end(
            "a proposal of two things",
            chain.then_spelled(proposal_of(Proposed::Waiver(waiver())), &["alice"], |text| {
                text.replacen(r#""what":{"#, r#""what":{"gift":{},"#, 1)
            }),
        ),
        bad_end(
            "a proposal that nobody may make",
            chain.then(proposal_of(Proposed::Waiver(waiver())), &["mallory"]),
        ),
    ]
}

/// Dave takes the place of carol.
fn with_dave() -> RolesChange {
    next_roles(|roles| {
        roles.principals.retain(|one| one.id.as_str() != "carol");
        roles.principals.push(principal("dave", PrincipalKind::Human));
        for name in ["root", "lead"] {
            roles.roles.insert(name.to_owned(), role(&["alice", "bob", "dave"], 2));
        }
    })
}

fn roles_cases() -> Vec<Case> {
    let change = with_dave();
    let mut chain = Chain::new();
    let digest = chain.push(proposal_of(Proposed::Roles(change.clone())), &["carol"]);
    let carried = RolesChange { proposal: Some(digest), ..change.clone() };
    let consent =
        |name: &str, role: &str| Approval { role: role.to_owned(), ..approval(digest, name) };
    let approved = |names: &[&str]| {
        let mut chain = chain.clone();
        for name in names {
            chain.push(consent(name, "root"), &[name]);
        }
        chain
    };
    let carried_after = |names: &[&str]| approved(names).then(carried.clone(), &["ci"]);
    let proposing = |change: RolesChange, name: &str| {
        Chain::new().then(proposal_of(Proposed::Roles(change)), &[name])
    };
    let mut moved = approved(&["alice", "bob"]);
    moved.push(carried.clone(), &["ci"]);
    vec![
        good("roles that were proposed and approved", carried_after(&["alice", "bob"])),
        good("a newcomer approves too", carried_after(&["alice", "carol", "dave"])),
        bad_end("roles that the old ones alone approved", carried_after(&["alice", "carol"])),
        bad_end("roles that the new ones alone approved", carried_after(&["alice", "dave"])),
        bad_end("roles that one approved", carried_after(&["bob"])),
        bad_end("roles that nobody approved", carried_after(&[])),
        bad_end(
            "a lead approves roles as a lead",
            chain.then(consent("alice", "lead"), &["alice"]),
        ),
        bad_end("CI approves roles", chain.then(consent("ci", "root"), &["ci"])),
        bad_end("a stranger approves roles", chain.then(consent("erin", "root"), &["erin"])),
        bad_end(
            "a newcomer carries out",
            approved(&["alice", "bob"]).then(carried.clone(), &["dave"]),
        ),
        bad_end("a newcomer writes an event", chain.then(event("deploy"), &["dave"])),
        bad_end("other roles than were approved", {
            let other = RolesChange { proposal: Some(digest), ..next_roles(|_| {}) };
            approved(&["alice", "bob"]).then(other, &["ci"])
        }),
        good("a newcomer writes after the change", moved.then(reset(Vec::new()), &["dave"])),
        bad_end("who left writes after the change", moved.then(reset(Vec::new()), &["carol"])),
        bad_end(
            "proposed roles of a version that does not follow",
            proposing(
                RolesChange {
                    roles: ledger::Roles { version: 3, ..change.roles.clone() },
                    ..change.clone()
                },
                "alice",
            ),
        ),
        bad_end(
            "proposed roles that are not acceptable",
            proposing(next_roles(|roles| drop(roles.roles.remove("lead"))), "alice"),
        ),
        bad_end("proposed roles that name a proposal", proposing(carried, "alice")),
        good("CI proposes roles", proposing(change, "ci")),
    ]
}

fn field_cases() -> Vec<Case> {
    let mut chain = Chain::new();
    let judged = chain.push(evaluation(), &["ci"]);
    let week = |week: &str| {
        let mut body = evaluation();
        body.week = week.to_owned();
        chain.then(body, &["ci"])
    };
    let verdict = |key: &str| {
        let mut body = evaluation();
        body.verdicts.insert(key.to_owned(), VerdictKind::Hold);
        chain.then(body, &["ci"])
    };
    vec![
        good("week 53", week("2026-W53")),
        bad_end("a lead judges", chain.then(evaluation(), &["alice"])),
        bad_end("a lead records an event", chain.then(event("announced"), &["alice"])),
        bad_end("what is still to come is judged", {
            let at = start() + Duration::from_hours(1);
            chain.then(Evaluation { at, ..evaluation() }, &["ci"])
        }),
        bad_end("a proposal rests on an older evaluation", {
            let mut chain = chain.clone();
            chain.push(evaluation(), &["ci"]);
            chain.then(proposal(judged), &["ci"])
        }),
        bad_end("an advance that the evaluation does not say", {
            let mut chain = Chain::new();
            let mut holds = evaluation();
            holds.verdicts.insert("phase-1/internal".to_owned(), VerdictKind::Hold);
            let judged = chain.push(holds, &["ci"]);
            let proposed = chain.push(proposal(judged), &["ci"]);
            for name in ["alice", "bob"] {
                chain.push(approval(proposed, name), &[name]);
            }
            chain.then(carried_out(proposed, advance(1, judged)), &["ci"])
        }),
        bad_end("week 54", week("2026-W54")),
        bad_end("week 0", week("2026-W00")),
        bad_end("a week without its letter", week("2026-02")),
        bad_end("a week that goes on", week("2026-W02\n")),
        bad_end("a week with a sign", week("2026-W+1")),
        bad_end("a verdict without track", verdict("phase-1")),
        bad_end("a verdict about a foreign track", verdict("phase-1/secret")),
        bad_end("a verdict about no phase", verdict("../public")),
        bad_end("an event with a path for a name", chain.then(Event::new("../x"), &["ci"])),
        bad_end("an event without name", chain.then(Event::new(""), &["ci"])),
        good("a hold", chain.then(hold(1, judged), &["ci"])),
        bad_end("a hold that rests on nothing", chain.then(hold(1, Digest::of(b"x")), &["ci"])),
        bad_end("a reset of what is no advance", chain.then(reset(vec![1]), &["carol"])),
        bad_end("a reset of what is not there", chain.then(reset(vec![99]), &["carol"])),
        good("a reset of nothing", chain.then(reset(Vec::new()), &["ci"])),
    ]
}
