use crate::ApprovalFact;
use crate::testing::{START, World, minutes};
use base::Outcome::{Inconclusive, Pass};
use base::{PhaseId, PrincipalId};

fn partners() -> World {
    World::new("approval", "role = 'partner'\ncount = 2\nstatement = 'onboarded'")
}

fn by(principal: &str) -> ApprovalFact {
    ApprovalFact {
        principal: PrincipalId::new(principal).unwrap(),
        role: "partner".to_owned(),
        human: true,
        statement: "onboarded".to_owned(),
        phase: PhaseId::new("phase-1").unwrap(),
        at: START + minutes(60),
        expires: None,
        entry: 7,
    }
}

fn signed(approvals: Vec<ApprovalFact>) -> (base::Outcome, String) {
    let mut world = partners();
    world.approvals = approvals;
    world.verdict()
}

#[test]
fn two_people_are_enough_and_one_is_not() {
    let both = signed(vec![by("north"), by("south")]);
    assert_eq!(both, (Pass, "north and south signed \"onboarded\".".to_owned()));
    let one = signed(vec![by("north")]);
    assert_eq!(
        one,
        (Inconclusive, "Only north signed \"onboarded\" so far; 1 of 2 still missing.".to_owned())
    );
    assert_eq!(signed(vec![]).0, Inconclusive);
}

#[test]
fn one_person_twice_counts_once() {
    let (outcome, reasons) = signed(vec![by("north"), by("north")]);
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("one person counts once"), "{reasons}");
}

#[test]
fn machines_other_roles_statements_phases_and_the_future_do_not_count() {
    let spoil: [fn(&mut ApprovalFact); 5] = [
        |a| a.human = false,
        |a| a.role = "lead".to_owned(),
        |a| a.statement = "onboard".to_owned(),
        |a| a.phase = PhaseId::new("phase-2").unwrap(),
        |a| a.at = START + minutes(601),
    ];
    for spoil in spoil {
        let mut spoiled = by("south");
        spoil(&mut spoiled);
        assert_eq!(signed(vec![by("north"), spoiled.clone()]).0, Inconclusive, "{spoiled:?}");
    }
}

#[test]
fn a_signature_stops_counting_at_the_instant_of_its_expiry() {
    let mut expiring = by("south");
    expiring.expires = Some(START + minutes(601));
    assert_eq!(signed(vec![by("north"), expiring.clone()]).0, Pass);
    expiring.expires = Some(START + minutes(600));
    let (outcome, reasons) = signed(vec![by("north"), expiring]);
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("The signature of south expired"), "{reasons}");
}

#[test]
fn old_signatures_do_not_count_where_the_gate_says_so() {
    let mut world = partners();
    world.approvals = vec![by("north"), by("south")];
    world.gate.max_age = Some(minutes(540));
    assert_eq!(world.verdict().0, Pass);
    world.gate.max_age = Some(minutes(539));
    assert_eq!(world.verdict().0, Inconclusive);
}

#[test]
fn asking_nobody_is_refused() {
    let problems = World::new("approval", "role = 'partner'\ncount = 0\nstatement = ''").problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
}
