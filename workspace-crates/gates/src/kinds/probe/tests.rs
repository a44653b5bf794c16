use crate::testing::{START, World, minutes, subject};
use base::Outcome::{Error, Fail, Inconclusive, Pass};
use serde_json::{Value, json};

fn health() -> World {
    World::new(
        "probe",
        "rpc = 'devnet_health'\nrole = 'validator'\npointer = '/status'\nequals = 'ok'\nmin_share = 0.75",
    )
}

fn ok() -> Value {
    json!({"role": "validator", "result": {"status": "ok", "height": 7}})
}

fn answered(world: World, answers: [Value; 4]) -> World {
    let names = ["a", "b", "c", "d"].into_iter().map(str::to_owned);
    let answers: serde_json::Map<String, Value> = names.zip(answers).collect();
    world.with_record("probe", json!({"rpc": "devnet_health", "answers": answers}))
}

#[test]
fn no_answer_and_a_wrong_one_both_count_against_the_share() {
    let silent = json!({"role": "validator", "error": "connection refused"});
    let wrong = json!({"role": "validator", "result": {"status": "syncing"}});
    let (outcome, reasons) = answered(health(), [ok(), ok(), ok(), silent.clone()]).verdict();
    assert_eq!(outcome, Pass);
    assert_eq!(
        reasons,
        "3 of 4 validators answered as expected (75 %); at least 75 % must. 1 gave no answer and 0 another one: d."
    );
    assert_eq!(answered(health(), [ok(), ok(), wrong, silent.clone()]).verdict().0, Fail);
    assert_eq!(
        answered(health(), [silent.clone(), silent.clone(), silent.clone(), silent]).verdict().0,
        Fail
    );
}

#[test]
fn other_roles_do_not_count() {
    let prover = json!({"role": "prover", "result": {"status": "ok"}});
    let (outcome, reasons) =
        answered(health(), [prover.clone(), prover.clone(), prover.clone(), prover]).verdict();
    assert_eq!(outcome, Inconclusive);
    assert!(reasons.contains("No validator was asked"), "{reasons}");
}

#[test]
fn answers_of_another_subject_time_or_call_do_not_count() {
    let all = || answered(health(), [ok(), ok(), ok(), ok()]);
    let mut other = all();
    other.records[0].record.subject = Some(subject("v2"));
    assert!(other.verdict().1.contains("about another subject: another artifact `node`"));
    let mut nameless = all();
    nameless.records[0].record.subject = None;
    assert_eq!(nameless.verdict().0, Inconclusive);
    let mut before = all();
    before.records[0].record.observed_at = START - minutes(1);
    assert_eq!(
        before.at_minute(10).verdict(),
        (Inconclusive, "The answers are older than the deployment.".to_owned())
    );
    let mut old = all();
    old.records[0].record.observed_at = START + minutes(539);
    assert_eq!(old.verdict().0, Inconclusive);
    old.ended = Some(START + minutes(560));
    assert_eq!(old.verdict().0, Pass, "asked shortly before the end");
    let call = health().with_record("probe", json!({"rpc": "other", "answers": {}}));
    assert_eq!(call.verdict().0, Inconclusive);
    let mut nothing = all();
    nothing.deployed = false;
    assert_eq!(nothing.verdict().0, Inconclusive);
    assert_eq!(health().verdict().0, Inconclusive);
    assert_eq!(health().with_record("probe", json!([])).verdict().0, Error);
}

#[test]
fn the_whole_result_can_be_compared() {
    let world = World::new(
        "probe",
        "rpc = 'devnet_health'\nrole = 'validator'\nequals = { status = 'ok', height = 7 }",
    );
    assert_eq!(answered(world, [ok(), ok(), ok(), ok()]).verdict().0, Pass);
}

#[test]
fn senseless_parameters_are_refused() {
    let text = "rpc = 'x'\nrole = 'validator'\npointer = 'status'\nequals = 'ok'\nmin_share = 1.5";
    assert_eq!(World::new("probe", text).problems().len(), 2);
}
