use std::collections::BTreeMap;

use base::Outcome::{self, Error, Fail, Inconclusive, Pass};
use base::{Digest, GateId, PhaseId, Track, VerdictKind};
use definition::{Deadline, OnFail, Phase, Side};
use evidence::{Origin, Record};
use proptest::prelude::*;
use serde_json::json;

use super::{PhaseFacts, judge_phase};
use crate::testing::{START, World, gate, minutes, phase, subject};
use crate::{PhaseEvaluation, StoredRecord, Waiver, WaiverScope};

/// What a document gate is shown so that it has this outcome.
fn record(outcome: Outcome) -> Option<StoredRecord> {
    let body = match outcome {
        Pass => json!({"path": "a.md", "text": "Text."}),
        Fail => json!({"path": "a.md", "text": ""}),
        Error => json!({"path": 7}),
        _ => return None,
    };
    let origin =
        Origin { source: "t".to_owned(), collector: "t".to_owned(), host: None, crypto: None };
    let record = Record {
        schema: 1,
        kind: "document".to_owned(),
        for_whom: "phase-1/gate".to_owned(),
        origin,
        observed_at: START,
        subject: None,
        body,
        external: None,
    };
    Some(StoredRecord { digest: record.digest().unwrap(), record })
}

/// A phase with one document gate for each outcome; the flag makes it advisory.
struct Case {
    phase: Phase,
    records: BTreeMap<GateId, Vec<StoredRecord>>,
    waivers: Vec<Waiver>,
}

fn id(index: usize) -> GateId {
    GateId::new(format!("gate-{index}")).unwrap()
}

fn case(outcomes: &[(Outcome, bool)]) -> Case {
    let mut phase = phase(&[]);
    let mut records = BTreeMap::new();
    for (index, (outcome, advisory)) in outcomes.iter().enumerate() {
        let mut gate = gate("document", "path = 'a.md'");
        gate.id = id(index);
        gate.title = format!("Gate {index}");
        gate.advisory = *advisory;
        records.insert(gate.id.clone(), record(*outcome).into_iter().collect());
        phase.gates.push(gate);
    }
    Case { phase, records, waivers: Vec::new() }
}

impl Case {
    fn judge_at(&self, minute: i64, version: &str) -> PhaseEvaluation {
        let candidate = subject(version);
        judge_phase(&PhaseFacts {
            at: START + minutes(minute),
            phase: &self.phase,
            track: Track::Internal,
            side: Some(Side::Exit),
            attempt: 1,
            deployment: None,
            candidate: Some(&candidate),
            records: &self.records,
            approvals: &[],
            earlier: &BTreeMap::new(),
            waivers: &self.waivers,
        })
    }

    fn judge(&self) -> PhaseEvaluation {
        self.judge_at(60, "v1")
    }

    fn waive(mut self, index: usize) -> Self {
        self.waivers.push(Waiver {
            phase: PhaseId::new("phase-1").unwrap(),
            gate: id(index),
            scope: WaiverScope::Subject(subject("v1")),
            reason: "Known.".to_owned(),
            expires: START + minutes(120),
            entry: 9,
        });
        self
    }
}

#[test]
fn one_gate_that_does_not_pass_holds_the_phase() {
    for outcome in [Inconclusive, Error, Fail] {
        let evaluation = case(&[(Pass, false), (outcome, false)]).judge();
        assert_eq!(evaluation.verdict, VerdictKind::Hold, "{outcome}");
        assert!(evaluation.reasons[0].starts_with("Gate 1: "), "{:?}", evaluation.reasons);
    }
    let evaluation = case(&[(Pass, false), (Pass, false)]).judge();
    assert_eq!(evaluation.verdict, VerdictKind::Advance);
    assert_eq!(evaluation.reasons, ["All 2 required gates pass."]);
}

#[test]
fn all_reasons_are_kept_most_severe_first() {
    let evaluation =
        case(&[(Inconclusive, false), (Pass, false), (Fail, false), (Error, false)]).judge();
    let gates: Vec<&str> = evaluation.reasons.iter().map(|r| &r[..6]).collect();
    assert_eq!(gates, ["Gate 2", "Gate 3", "Gate 0"]);
    assert_eq!(evaluation.findings.len(), 4);
}

#[test]
fn an_advisory_gate_is_shown_and_never_blocks() {
    let evaluation = case(&[(Pass, false), (Fail, true)]).judge();
    assert_eq!(evaluation.verdict, VerdictKind::Advance);
    assert_eq!(evaluation.findings[1].outcome, Fail);
}

#[test]
fn a_failure_resets_where_the_gate_says_so_and_an_earlier_phase_weighs_more() {
    let mut two = case(&[(Fail, false), (Fail, false)]);
    let phase_id = |text: &str| PhaseId::new(text).unwrap();
    two.phase.gates[0].on_fail = OnFail::Reset(phase_id("phase-1"));
    assert_eq!(two.judge().reset_to, Some(phase_id("phase-1")));
    two.phase.gates[1].on_fail = OnFail::Reset(phase_id("phase-0"));
    let evaluation = two.judge();
    assert_eq!(evaluation.verdict, VerdictKind::Reset);
    assert_eq!(evaluation.reset_to, Some(phase_id("phase-0")));
    let mut unknown = case(&[(Inconclusive, false)]);
    unknown.phase.gates[0].on_fail = OnFail::Reset(phase_id("phase-0"));
    let evaluation = unknown.judge();
    assert_eq!((evaluation.verdict, evaluation.reset_to), (VerdictKind::Hold, None));
}

#[test]
fn a_waiver_lifts_one_gate_for_one_subject_until_it_expires() {
    let waived = case(&[(Fail, false), (Pass, false)]).waive(0);
    let evaluation = waived.judge();
    assert_eq!(evaluation.verdict, VerdictKind::Advance);
    assert_eq!(evaluation.findings[0].outcome, Fail, "a waiver never rewrites an outcome");
    assert_eq!(evaluation.waivers[0].entry, 9);
    assert!(evaluation.reasons[0].starts_with("Gate 0 (waived): "), "{:?}", evaluation.reasons);
    assert_eq!(waived.judge_at(60, "v2").verdict, VerdictKind::Hold, "another subject");
    assert_eq!(waived.judge_at(119, "v1").verdict, VerdictKind::Advance);
    let expired = waived.judge_at(120, "v1");
    assert_eq!((expired.verdict, expired.waivers.len()), (VerdictKind::Hold, 0));
    let other = case(&[(Fail, false), (Fail, false)]).waive(0);
    assert_eq!(other.judge().verdict, VerdictKind::Hold, "another gate");
}

#[test]
fn a_waiver_of_a_configuration_covers_every_artifact_that_runs_it() {
    let mut waived = case(&[(Fail, false)]).waive(0);
    waived.waivers[0].scope = WaiverScope::Configuration(subject("v1").configuration);
    assert_eq!(waived.judge_at(60, "v2").verdict, VerdictKind::Advance);
    waived.waivers[0].scope = WaiverScope::Configuration(Digest::of(b"other"));
    assert_eq!(waived.judge_at(60, "v2").verdict, VerdictKind::Hold);
}

#[test]
fn only_gates_of_the_track_and_side_are_judged() {
    let mut three = case(&[(Pass, false), (Fail, false), (Fail, false)]);
    three.phase.gates[1].track = Track::Public;
    three.phase.gates[2].on = Side::Entry;
    let evaluation = three.judge();
    assert_eq!((evaluation.verdict, evaluation.findings.len()), (VerdictKind::Advance, 1));
    assert_eq!(evaluation.reasons, ["The only required gate passes."]);
}

#[test]
fn what_is_not_known_after_the_deadline_fails() {
    let mut world = World::new("document", "path = 'a.md'");
    world.gate.deadline = Some(Deadline::After(minutes(601)));
    assert_eq!(world.verdict().0, Inconclusive);
    world.gate.deadline = Some(Deadline::After(minutes(600)));
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Fail);
    assert!(
        reasons.starts_with("The gate had to pass by 2026-01-09T01:00:00Z and did not."),
        "{reasons}"
    );
    let passing = world.with_record("document", json!({"path": "a.md", "text": "Text."}));
    assert_eq!(passing.verdict().0, Pass);
}

#[test]
fn a_gate_that_cannot_be_read_is_an_error_with_every_problem() {
    let mut world = World::new("document", "path = 'a.md'");
    world.gate.kind = "documnt".to_owned();
    let (outcome, reasons) = world.verdict();
    assert_eq!(outcome, Error);
    assert!(reasons.contains("unknown gate kind `documnt`."), "{reasons}");
}

fn any_gate() -> impl Strategy<Value = (Outcome, bool)> {
    (prop_oneof![Just(Pass), Just(Inconclusive), Just(Error), Just(Fail)], any::<bool>())
}

/// How severe a verdict is.
fn severity(verdict: VerdictKind) -> u8 {
    match verdict {
        VerdictKind::Advance => 0,
        VerdictKind::Hold => 1,
        VerdictKind::Reset => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_more_gate_never_makes_a_verdict_milder(
        gates in prop::collection::vec(any_gate(), 0..6), more in any_gate(), resets in any::<bool>(),
    ) {
        let with_resets = |outcomes: &[(Outcome, bool)]| {
            let mut case = case(outcomes);
            for gate in &mut case.phase.gates {
                if resets {
                    gate.on_fail = OnFail::Reset(PhaseId::new("phase-0").unwrap());
                }
            }
            case.judge()
        };
        let before = with_resets(&gates);
        let mut extended = gates.clone();
        extended.push(more);
        let after = with_resets(&extended);
        prop_assert!(severity(after.verdict) >= severity(before.verdict));
        prop_assert!(!after.reasons.is_empty());
    }

    #[test]
    fn a_phase_advances_exactly_when_every_required_gate_passes_or_is_waived(
        gates in prop::collection::vec(any_gate(), 1..6), waived in prop::option::of(0..6_usize),
    ) {
        let mut judged = case(&gates);
        if let Some(index) = waived {
            judged = judged.waive(index);
        }
        let free = |(index, (outcome, advisory)): (usize, &(Outcome, bool))| {
            *advisory || *outcome == Pass || waived == Some(index)
        };
        let expected = gates.iter().enumerate().all(free);
        let evaluation = judged.judge();
        prop_assert_eq!(evaluation.verdict == VerdictKind::Advance, expected);
        prop_assert!(evaluation.waivers.len() <= 1);
        for (finding, (outcome, _)) in evaluation.findings.iter().zip(&gates) {
            prop_assert_eq!(finding.outcome, *outcome);
        }
    }
}
