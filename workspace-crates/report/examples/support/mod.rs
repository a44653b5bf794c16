//! Realistic reports for the example and the tests: the second and third week of a programme.
#![allow(dead_code, clippy::unwrap_used, reason = "each user takes its part of fixed values")]

use std::collections::BTreeMap;

use base::{
    Digest, Duration, GateId, Instant, NetworkId, Outcome, PhaseId, PipelineId, StageId, Subject,
    Track, VerdictKind,
};
use definition::{GateRef, Hypothesis, Params, Phase, Pipeline};
use diagnostics::Location;
use gates::{
    Break, Coverage, Evaluation, Explanation, Finding, Measure, PhaseEvaluation, Point, Relation,
    Series, SoakProgress, WaiverNote,
};
use report::{
    EpochEvidence, GateAnswer, Host, Input, LedgerState, NextEvent, NextStep, PhaseRow, Standing,
    TimelineEvent, TimelineItem, TrackRow,
};

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn long(text: &str) -> Duration {
    text.parse().unwrap()
}

pub fn phase_id(text: &str) -> PhaseId {
    PhaseId::new(text).unwrap()
}

fn gate_id(text: &str) -> GateId {
    GateId::new(text).unwrap()
}

fn location() -> Location {
    Location::whole_file("pipeline/sequencer-prover-testnet.toml")
}

fn phase(id: &str, title: &str, summary: &str, after: &[&str]) -> Phase {
    Phase {
        id: phase_id(id),
        title: title.to_owned(),
        summary: summary.to_owned(),
        stage: StageId::new("stability").unwrap(),
        after: after.iter().map(|id| phase_id(id)).collect(),
        params: BTreeMap::new(),
        network: Params::empty(location()),
        conditions: BTreeMap::new(),
        gates: Vec::new(),
        operations: Vec::new(),
        location: location(),
    }
}

fn hypothesis(id: &str, statement: &str, gates: &[&str]) -> Hypothesis {
    let gates = gates.iter().map(|gate| reference(gate));
    Hypothesis { id: id.to_owned(), statement: statement.to_owned(), gates: gates.collect() }
}

fn reference(text: &str) -> GateRef {
    let (phase, gate) = text.split_once('/').unwrap();
    GateRef { phase: phase_id(phase), gate: gate_id(gate) }
}

/// The programme of the sequencer and prover testnet.
pub fn pipeline() -> Pipeline {
    Pipeline {
        id: PipelineId::new("sequencer-prover-testnet").unwrap(),
        title: "Sequencer & Prover Testnet".to_owned(),
        summary: "A series of networks of growing size and load that ends in a network like the public testnet.".to_owned(),
        calendar: "weekly-train".to_owned(),
        hypotheses: vec![
            hypothesis("throughput", "The network can run at 1 TPS throughput.", &["phase-4/internal-soak", "phase-4/throughput"]),
            hypothesis("small-committee", "A committee of 16 keeps producing blocks in public.", &["phase-1/public-soak"]),
            hypothesis("client-updates", "The network can coordinate and execute client updates with minimal interruption to block production.", &["phase-2/client-update", "phase-2/resync"]),
        ],
        servers: BTreeMap::new(),
        phases: vec![
            phase("phase-1", "Small committee", "48 validators, a committee of 16, one transaction a block, proving on.", &[]),
            phase("phase-2", "Client update and governance upgrade", "128 validators at 0.1 TPS; a soft fork on its own first, then a governance upgrade.", &["phase-1"]),
            phase("phase-3", "Full features", "The features of the public testnet at 128 validators; released as the new DevNet.", &["phase-2"]),
            phase("phase-4", "Full load", "At least 300 validators, a committee of 128 and 1 TPS, with external provers.", &["phase-3"]),
        ],
        rehearsal: None,
        location: location(),
    }
}

/// A series over a window; the function gives the value at each hour since its start.
fn series(
    title: &str,
    unit: &str,
    threshold: Option<f64>,
    from: &str,
    hours: i64,
    value: impl Fn(f64) -> Option<f64>,
) -> Series {
    let points = (0..=hours * 4).map(|quarter| {
        let hour = quarter as f64 / 4.0;
        Point { at: at(from) + Duration::from_minutes(15 * quarter), value: value(hour) }
    });
    Series { title: title.to_owned(), unit: unit.to_owned(), threshold, points: points.collect() }
}

/// A repeatable up and down, without a random number.
fn ripple(hour: f64, size: f64) -> f64 {
    size * ((hour * 1.7).sin() + 0.6 * (hour * 4.3).sin() + 0.4 * (hour * 9.1).cos()) / 2.0
}

fn stalled(hour: f64) -> bool {
    (41.0..41.8).contains(&hour)
}

fn blind(hour: f64) -> bool {
    (63.0..64.5).contains(&hour)
}

fn finding(
    gate: &str,
    title: &str,
    track: Track,
    outcome: Outcome,
    rule: &str,
    reason: &str,
) -> Finding {
    Finding {
        gate: gate_id(gate),
        title: title.to_owned(),
        kind: "metric".to_owned(),
        track,
        advisory: false,
        owner: Some("lead".to_owned()),
        why:
            "Participants can only rely on a network that keeps going without anybody touching it."
                .to_owned(),
        outcome,
        rule: rule.to_owned(),
        reasons: vec![reason.to_owned()],
        measures: Vec::new(),
        coverage: None,
        soak: None,
        evidence: vec![Digest::of(gate.as_bytes())],
        explanation: Explanation::default(),
    }
}

fn coverage(from: &str, until: &str, expected: u64, present: u64, gap: &str) -> Coverage {
    Coverage {
        from: at(from),
        until: at(until),
        expected,
        present,
        longest_gap: long(gap),
        warm_up: long("1h"),
    }
}

fn measure(
    name: &str,
    value: Option<f64>,
    unit: &str,
    relation: Relation,
    threshold: f64,
) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.to_owned(), relation, threshold }
}

fn subject(network: &str, version: &str) -> Subject {
    Subject {
        network: NetworkId::new(network).unwrap(),
        artifacts: BTreeMap::from([("node".to_owned(), Digest::of(version.as_bytes()))]),
        configuration: Digest::of(network.as_bytes()),
        versions: BTreeMap::from([("node".to_owned(), version.to_owned())]),
    }
}

/// The queries of conditions, by their names.
fn queries(names: &[&str]) -> Vec<(String, String)> {
    let all = [
        ("blocks", "time() - max(devnet_pending_timestamp_seconds) < bool 120"),
        ("tps", "sum(rate(devnet_transactions_total[1h])) > bool 0.1"),
        ("proving", "max(increase(devnet_epochs_proven_total[1h])) > bool 0"),
        ("restarts", "sum(changes(process_start_time_seconds[1h])) < bool 1"),
    ];
    let asked = all.into_iter().filter(|(name, _)| names.contains(name));
    asked.map(|(name, query)| (name.to_owned(), query.to_owned())).collect()
}

fn public_soak() -> Finding {
    let from = "2026-01-13T16:00:00Z";
    let mut finding = finding(
        "public-soak",
        "Runs in public without a fatal crash",
        Track::Public,
        Outcome::Pass,
        "All conditions hold together for 120 h without a break.",
        "The conditions held for 142 h 30 min; 120 h are required.",
    );
    finding.kind = "soak".to_owned();
    finding.coverage = Some(coverage(from, "2026-01-19T14:30:00Z", 34_200, 34_188, "1m"));
    finding.soak = Some(SoakProgress {
        required: long("120h"),
        accrued: long("142h30m"),
        remaining: Duration::ZERO,
        eligible_at: None,
        since: Some(at(from)),
        longest_run: long("142h30m"),
        breaks: Vec::new(),
        breaks_total: 0,
    });
    finding.explanation.queries = queries(&["blocks", "restarts"]);
    finding.explanation.series = vec![
        series("blocks", "", None, from, 142, |_| Some(1.0)),
        series("restarts", "", None, from, 142, |_| Some(1.0)),
    ];
    finding
}

fn broken_soak() -> Finding {
    let from = "2026-01-15T16:00:00Z";
    let mut finding = finding(
        "internal-soak",
        "Stable over the weekend",
        Track::Internal,
        Outcome::Fail,
        "All conditions hold together for 90 h without a break; load stays at or above 0.1 TPS.",
        "No block was built for 48 min from Saturday 09:00, so the soak started again and has 52 h 42 min of 90 h.",
    );
    finding.kind = "soak".to_owned();
    finding.coverage = Some(coverage(from, "2026-01-19T14:30:00Z", 22_680, 22_320, "1h30m"));
    finding.soak = Some(SoakProgress {
        required: long("90h"),
        accrued: long("52h42m"),
        remaining: long("37h18m"),
        eligible_at: Some(at("2026-01-21T03:48:00Z")),
        since: Some(at("2026-01-17T09:48:00Z")),
        longest_run: long("52h42m"),
        breaks: vec![Break {
            at: at("2026-01-17T09:00:00Z"),
            condition: "blocks".to_owned(),
            value: Some(0.0),
        }],
        breaks_total: 1,
    });
    let condition = |broken: fn(f64) -> bool| {
        move |hour: f64| if blind(hour) { None } else { Some(f64::from(u8::from(!broken(hour)))) }
    };
    finding.explanation = Explanation {
        queries: queries(&["blocks", "tps", "proving", "restarts"]),
        steps: vec![
            "The four conditions are evaluated every 15 s from 1 h after the deployment on."
                .to_owned(),
            "The run that counts ends at the evaluation; it began when the last break was over."
                .to_owned(),
        ],
        first_breach: Some(at("2026-01-17T09:00:00Z")),
        last_breach: Some(at("2026-01-17T09:47:45Z")),
        would_change: Some("37 h 18 min more without a break.".to_owned()),
        series: vec![
            series("blocks", "", None, from, 94, condition(stalled)),
            series("tps", "", None, from, 94, condition(|hour| (41.0..42.3).contains(&hour))),
            series("proving", "", None, from, 94, condition(|_| false)),
            series("restarts", "", None, from, 94, condition(|_| false)),
            series("Seconds since the last block", "s", Some(120.0), from, 94, |hour| match hour {
                _ if blind(hour) => None,
                _ if stalled(hour) => Some(300.0 + (hour - 41.0) * 3_200.0),
                _ => Some(38.0 + ripple(hour, 9.0)),
            }),
            series("Transactions a second", "TPS", Some(0.1), from, 94, |hour| match hour {
                _ if blind(hour) => None,
                _ if stalled(hour) => Some(0.0),
                _ => Some(0.11 + ripple(hour, 0.006)),
            }),
        ],
    };
    finding
}

fn missed_slots() -> Finding {
    let mut finding = finding(
        "missed-slots",
        "Few slots are missed",
        Track::Internal,
        Outcome::Pass,
        "At most 5 % of slots are missed in every epoch.",
        "The worst epoch missed 3.1 % of its slots.",
    );
    finding.measures = vec![
        measure("missed slots, worst epoch", Some(3.125), "%", Relation::AtMost, 5.0),
        measure("epochs judged", Some(290.0), "", Relation::AtLeast, 281.0),
    ];
    finding.coverage =
        Some(coverage("2026-01-15T16:00:00Z", "2026-01-19T14:30:00Z", 290, 290, "0s"));
    finding.explanation.series = vec![series(
        "Missed slots per epoch",
        "%",
        Some(5.0),
        "2026-01-15T16:00:00Z",
        94,
        |hour| Some((1.2 + ripple(hour, 1.9)).max(0.0)),
    )];
    finding
}

fn blob_availability() -> Finding {
    let mut finding = finding(
        "blob-da",
        "Blob data availability",
        Track::Internal,
        Outcome::Inconclusive,
        "At least one blob is published in every hour.",
        "The reference network does not publish `devnet_blobs_total`, so nothing is known.",
    );
    finding.advisory = true;
    finding.owner = None;
    finding.measures = vec![measure("blobs in the worst hour", None, "", Relation::Above, 0.0)];
    finding
}

fn partner_dashboard() -> Finding {
    let mut finding = finding(
        "dashboard",
        "The partners' dashboard answers",
        Track::Internal,
        Outcome::Error,
        "The dashboard answers a probe within 2 s.",
        "The probe could not be sent: the name dashboard.partner.example does not resolve.",
    );
    finding.kind = "probe".to_owned();
    finding
}

fn track(
    phase: &str,
    track: Track,
    verdict: VerdictKind,
    reason: &str,
    findings: Vec<Finding>,
) -> PhaseEvaluation {
    PhaseEvaluation {
        phase: phase_id(phase),
        track,
        attempt: 1,
        subject: Some(subject(phase, if phase == "phase-1" { "1.4.0" } else { "1.5.0-rc.2" })),
        verdict,
        reset_to: None,
        reasons: vec![reason.to_owned()],
        waivers: Vec::new(),
        findings,
    }
}

fn evaluation(at_text: &str, phases: Vec<PhaseEvaluation>) -> Evaluation {
    Evaluation {
        schema: 1,
        evaluator: "phasegate/0.1.0".to_owned(),
        pipeline: PipelineId::new("sequencer-prover-testnet").unwrap(),
        policy: Digest::of(b"resolved pipeline"),
        at: at(at_text),
        phases,
    }
}

/// Week 4: phase 1 is complete, phase 2 is held because its chain stalled on Saturday.
pub fn held_evaluation() -> Evaluation {
    let mut held = track(
        "phase-2",
        Track::Internal,
        VerdictKind::Hold,
        "The soak broke on Saturday 17 January at 09:00, when no block was built for 48 minutes.",
        vec![broken_soak(), missed_slots(), partner_dashboard(), blob_availability()],
    );
    held.waivers = vec![WaiverNote {
        gate: gate_id("dashboard"),
        reason: "The partner moves its dashboard to another host until the end of the month."
            .to_owned(),
        expires: at("2026-01-31T00:00:00Z"),
        entry: 17,
    }];
    let complete = track(
        "phase-1",
        Track::Public,
        VerdictKind::Advance,
        "Every gate of the public track passes.",
        vec![public_soak()],
    );
    evaluation("2026-01-19T14:30:00Z", vec![complete, held])
}

/// Week 3: phase 1 passes its internal gates.
pub fn advanced_evaluation() -> Evaluation {
    let mut soak = public_soak();
    soak.gate = gate_id("internal-soak");
    soak.track = Track::Internal;
    let reason = "Every gate of the internal track passes.";
    let phases = vec![track("phase-1", Track::Internal, VerdictKind::Advance, reason, vec![soak])];
    evaluation("2026-01-12T14:30:00Z", phases)
}

fn row(phase: &str, standing: Standing, state: &str) -> PhaseRow {
    PhaseRow {
        phase: phase_id(phase),
        standing,
        state: state.to_owned(),
        attempt: 0,
        internal: TrackRow { required: Some(long("90h")), ..TrackRow::default() },
        public: TrackRow { required: Some(long("120h")), ..TrackRow::default() },
        next: None,
    }
}

fn item(time: &str, phase: &str, track: Track, event: TimelineEvent) -> TimelineItem {
    let planned = at(time) > at("2026-01-19T14:30:00Z");
    TimelineItem { at: at(time), phase: phase_id(phase), track, event, planned }
}

fn timeline() -> Vec<TimelineItem> {
    use TimelineEvent::{Deployed, Ended, Evaluated};
    use Track::{Internal, Public};
    use VerdictKind::{Advance, Hold};
    vec![
        item("2026-01-08T15:00:00Z", "phase-1", Internal, Deployed),
        item("2026-01-12T14:30:00Z", "phase-1", Internal, Evaluated(Advance)),
        item("2026-01-13T15:00:00Z", "phase-1", Internal, Ended),
        item("2026-01-13T15:00:00Z", "phase-1", Public, Deployed),
        item("2026-01-15T15:00:00Z", "phase-2", Internal, Deployed),
        item("2026-01-19T14:30:00Z", "phase-1", Public, Evaluated(Advance)),
        item("2026-01-19T14:30:00Z", "phase-2", Internal, Evaluated(Hold)),
        item("2026-01-19T15:00:00Z", "phase-2", Internal, Ended),
        item("2026-01-22T15:00:00Z", "phase-2", Internal, Deployed),
        item("2026-01-26T14:30:00Z", "phase-2", Internal, Evaluated(Advance)),
        item("2026-01-27T15:00:00Z", "phase-2", Internal, Ended),
        item("2026-01-27T15:00:00Z", "phase-2", Public, Deployed),
        item("2026-02-02T14:30:00Z", "phase-2", Public, Evaluated(Advance)),
        item("2026-01-29T15:00:00Z", "phase-3", Internal, Deployed),
        item("2026-02-02T14:30:00Z", "phase-3", Internal, Evaluated(Advance)),
        item("2026-02-03T15:00:00Z", "phase-3", Internal, Ended),
        item("2026-02-03T15:00:00Z", "phase-3", Public, Deployed),
        item("2026-02-16T14:30:00Z", "phase-3", Public, Evaluated(Advance)),
        item("2026-02-05T15:00:00Z", "phase-4", Internal, Deployed),
        item("2026-02-09T14:30:00Z", "phase-4", Internal, Evaluated(Advance)),
        item("2026-02-10T15:00:00Z", "phase-4", Internal, Ended),
        item("2026-02-17T15:00:00Z", "phase-4", Public, Deployed),
        item("2026-03-02T14:30:00Z", "phase-4", Public, Evaluated(Advance)),
    ]
}

fn answers() -> BTreeMap<GateRef, GateAnswer> {
    let answer =
        GateAnswer { outcome: Outcome::Pass, waived: false, at: at("2026-01-19T14:30:00Z") };
    BTreeMap::from([(reference("phase-1/public-soak"), answer)])
}

/// The input of week 4.
pub fn held_input<'a>(pipeline: &'a Pipeline, evaluation: &'a Evaluation) -> Input<'a> {
    let mut first = row("phase-1", Standing::Complete, "Complete since Monday 19 January 2026.");
    first.attempt = 1;
    first.internal = TrackRow {
        deployed: Some(at("2026-01-08T15:00:00Z")),
        passed: Some(at("2026-01-12T14:30:00Z")),
        accrued: Some(long("94h30m")),
        required: Some(long("90h")),
    };
    first.public = TrackRow {
        deployed: Some(at("2026-01-13T15:00:00Z")),
        passed: Some(at("2026-01-19T14:30:00Z")),
        accrued: Some(long("142h30m")),
        required: Some(long("120h")),
    };
    let mut second = row(
        "phase-2",
        Standing::Ready,
        "Held: the soak broke, and a new deployment starts it again.",
    );
    second.attempt = 1;
    second.internal.deployed = Some(at("2026-01-15T15:00:00Z"));
    second.internal.accrued = Some(long("52h42m"));
    second.next =
        Some(NextEvent { at: at("2026-01-22T15:00:00Z"), step: NextStep::InternalDeployment });
    let mut third = row("phase-3", Standing::Locked, "Waits for the release of phase 2.");
    third.public.required = Some(long("1w"));
    let mut fourth = row("phase-4", Standing::Locked, "Waits for the release of phase 3.");
    fourth.public.required = Some(long("1w"));
    Input {
        pipeline,
        evaluation,
        week: "2026-W04".to_owned(),
        valid_until: Some(at("2026-01-26T18:00:00Z")),
        phases: vec![first, second, third, fourth],
        answers: answers(),
        solo: true,
        host: Host {
            name: "simulator".to_owned(),
            simulated: true,
            signatures: "Ed25519".to_owned(),
            epoch_evidence: EpochEvidence::SignedReExecution,
        },
        ledger: LedgerState { genesis: Digest::of(b"genesis"), head: Digest::of(b"head"), seq: 21 },
        timeline: timeline(),
        not_known: vec![
            "Whether external provers can prove the network: none has joined yet.".to_owned(),
        ],
    }
}

/// The input of week 3.
pub fn advanced_input<'a>(pipeline: &'a Pipeline, evaluation: &'a Evaluation) -> Input<'a> {
    let mut input = held_input(pipeline, evaluation);
    input.week = "2026-W03".to_owned();
    input.valid_until = Some(at("2026-01-19T18:00:00Z"));
    input.answers.clear();
    input.not_known.clear();
    input.timeline.retain(|item| item.at <= at("2026-01-13T15:00:00Z"));
    input.phases[0].standing = Standing::Approved;
    input.phases[0].state = "Passes its internal gates; it is released on Tuesday.".to_owned();
    input.phases[0].public = TrackRow { required: Some(long("120h")), ..TrackRow::default() };
    input.phases[0].next =
        Some(NextEvent { at: at("2026-01-13T15:00:00Z"), step: NextStep::PublicDeployment });
    input.phases[1] = row("phase-2", Standing::Locked, "Waits for the release of phase 1.");
    input
}
