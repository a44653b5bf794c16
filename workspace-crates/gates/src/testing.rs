//! A small world for tests: a deployment of ten hours, scraped every minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{
    DeploymentId, Digest, Duration, GateId, Instant, NetworkId, PhaseId, StageId, Subject, Track,
};
use definition::{Condition, Control, OnFail, Params, Phase, Side, Text};
use diagnostics::{Diagnostic, Location};
use evidence::{Event, Origin, Record, SubjectInterval};
use samples::{Labels, Series};

use crate::{
    ApprovalFact, Context, DeploymentFacts, EarlierPass, Finding, StoredRecord, judge_gate,
};

/// Thursday, 15:00.
pub(crate) const START: Instant = Instant::from_unix_millis(1_767_884_400_000);

pub(crate) fn minutes(count: i64) -> Duration {
    Duration::from_minutes(count)
}

pub(crate) fn location() -> Location {
    Location::whole_file("test.toml")
}

pub(crate) fn subject(version: &str) -> Subject {
    Subject {
        network: NetworkId::new("phase-1").unwrap(),
        artifacts: BTreeMap::from([("node".to_owned(), Digest::of(version.as_bytes()))]),
        configuration: Digest::of(b"configuration"),
        versions: BTreeMap::new(),
    }
}

/// A gate `gate` of `kind` with parameters in TOML.
pub(crate) fn gate(kind: &str, params: &str) -> definition::Gate {
    definition::Gate {
        id: GateId::new("gate").unwrap(),
        title: "Gate".to_owned(),
        kind: kind.to_owned(),
        kind_location: location(),
        track: Track::Internal,
        on: Side::Exit,
        params: Params::from_toml(params).unwrap(),
        advisory: false,
        on_fail: OnFail::Hold,
        max_age: None,
        deadline: None,
        owner: None,
        why: "Tests ask for it.".to_owned(),
        control: Control::Defect("stall".to_owned()),
        location: location(),
    }
}

/// A phase `phase-1` with conditions by name and query.
pub(crate) fn phase(conditions: &[(&str, &str)]) -> Phase {
    let conditions = conditions.iter().map(|(name, query)| {
        let query = Text { value: (*query).to_owned(), location: location() };
        let title = format!("Condition {name}");
        ((*name).to_owned(), Condition { name: (*name).to_owned(), title, query })
    });
    Phase {
        id: PhaseId::new("phase-1").unwrap(),
        title: "Phase 1".to_owned(),
        summary: "The first.".to_owned(),
        stage: StageId::new("stability").unwrap(),
        after: Vec::new(),
        params: BTreeMap::new(),
        network: Params::empty(location()),
        conditions: conditions.collect(),
        gates: Vec::new(),
        operations: Vec::new(),
        location: location(),
    }
}

/// A series with the value of `value` at each minute; `None` is no sample.
pub(crate) fn series(
    name: &str,
    labels: &[(&str, &str)],
    minutes: std::ops::Range<i64>,
    value: impl Fn(i64) -> Option<f64>,
) -> Series {
    let known = minutes.filter_map(|minute| Some((minute, value(minute)?)));
    let (times, values): (Vec<i64>, Vec<f64>) =
        known.map(|(minute, v)| (START.unix_millis() + minute * 60_000, v)).unzip();
    Series::new(Labels::metric(name, labels), Arc::new(times), values).unwrap()
}

/// Everything that a gate can be shown.
pub(crate) struct World {
    pub(crate) at: Instant,
    pub(crate) phase: Phase,
    pub(crate) gate: definition::Gate,
    pub(crate) samples: Option<Vec<Series>>,
    pub(crate) events: Vec<Event>,
    pub(crate) intervals: Vec<SubjectInterval>,
    pub(crate) candidate: Subject,
    pub(crate) ended: Option<Instant>,
    pub(crate) deployed: bool,
    pub(crate) records: Vec<StoredRecord>,
    pub(crate) approvals: Vec<ApprovalFact>,
    pub(crate) earlier: Vec<EarlierPass>,
    pub(crate) host: &'static str,
}

impl World {
    /// Ten hours after the start, with nothing measured.
    pub(crate) fn new(kind: &str, params: &str) -> Self {
        Self {
            at: START + minutes(600),
            phase: phase(&[]),
            gate: gate(kind, params),
            samples: Some(Vec::new()),
            events: Vec::new(),
            intervals: vec![SubjectInterval { from: START, subject: subject("v1") }],
            candidate: subject("v1"),
            ended: None,
            deployed: true,
            records: Vec::new(),
            approvals: Vec::new(),
            earlier: Vec::new(),
            host: "process",
        }
    }

    pub(crate) fn with_series(mut self, series: Series) -> Self {
        self.samples.get_or_insert_default().push(series);
        self
    }

    pub(crate) fn with_conditions(mut self, conditions: &[(&str, &str)]) -> Self {
        self.phase = phase(conditions);
        self
    }

    pub(crate) fn with_event(mut self, minute: i64, name: &str) -> Self {
        self.events.push(Event::new(START + minutes(minute), name));
        self
    }

    pub(crate) fn at_minute(mut self, minute: i64) -> Self {
        self.at = START + minutes(minute);
        self
    }

    /// Adds a record that was observed a minute before the judgement.
    pub(crate) fn with_record(mut self, kind: &str, body: serde_json::Value) -> Self {
        let record = Record {
            schema: 1,
            kind: kind.to_owned(),
            for_whom: "phase-1/gate".to_owned(),
            origin: Origin {
                source: "test".to_owned(),
                collector: "test/1".to_owned(),
                host: None,
                crypto: None,
            },
            observed_at: self.at - minutes(1),
            subject: Some(self.candidate.clone()),
            body,
            external: None,
        };
        let digest = record.digest().unwrap();
        self.records.push(StoredRecord { digest, record });
        self
    }

    pub(crate) fn judge(&self) -> Finding {
        self.with_context(judge_gate)
    }

    /// What `look` sees in this world.
    pub(crate) fn with_context<R>(&self, look: impl FnOnce(&Context<'_>) -> R) -> R {
        let id = DeploymentId::new("phase-1.internal.1").unwrap();
        let deployment = DeploymentFacts {
            id: &id,
            track: Track::Internal,
            attempt: 1,
            driver: "simulator/0.1.0",
            host: self.host,
            crypto: "ed25519",
            started: START,
            ended: self.ended,
            candidate: &self.candidate,
            intervals: &self.intervals,
            samples: self.samples.as_ref().map(|samples| samples as &dyn samples::SampleSource),
            samples_digest: Some(Digest::of(b"samples")),
            events: &self.events,
            events_digest: Some(Digest::of(b"events")),
            scrape_interval: minutes(1),
            released_at: None,
        };
        look(&Context {
            at: self.at,
            phase: &self.phase,
            gate: &self.gate,
            deployment: self.deployed.then_some(deployment),
            records: &self.records,
            approvals: &self.approvals,
            earlier: &self.earlier,
        })
    }

    /// The outcome, and all reasons in one text.
    pub(crate) fn verdict(&self) -> (base::Outcome, String) {
        let finding = self.judge();
        (finding.outcome, finding.reasons.join(" "))
    }

    /// What the definition's check says about the gate: message and help, joined.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = crate::parse(&self.gate, &self.phase).err().unwrap_or_default();
        problems.iter().map(describe).collect()
    }
}

/// A key that signs in tests; each seed gives its own.
pub(crate) fn signer(seed: u8) -> signatures::SshKeySigner {
    let pair = signatures::keys::generate_ed25519(Some([seed; 32])).unwrap();
    let ci = base::PrincipalId::new("ci").unwrap();
    signatures::SshKeySigner::from_openssh(ci, &pair.private_openssh).unwrap()
}

/// The one line of the public key of [`signer`].
pub(crate) fn public_key(seed: u8) -> String {
    use signatures::Signer as _;
    signer(seed).public_key().to_openssh()
}

/// A DSSE envelope around `statement`, as one line.
pub(crate) fn sealed(statement: &serde_json::Value, seed: u8) -> String {
    use signatures::{dsse::Envelope, statement::STATEMENT_MEDIA_TYPE};
    let payload = statement.to_string();
    let sealed = Envelope::sign(&signer(seed), STATEMENT_MEDIA_TYPE, payload.as_bytes()).unwrap();
    format!("{}\n", serde_json::to_string(&sealed).unwrap())
}

/// The provenance of an artifact with these bytes.
pub(crate) fn provenance(bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "node", "digest": {"sha256": Digest::of(bytes).to_string()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://example.org/build/v1",
                "resolvedDependencies": [{
                    "uri": "git+https://example.org/node@refs/heads/main",
                    "digest": {"gitCommit": "6fe0a1d3f2c9b8e7d6c5b4a3f2e1d0c9b8a79685"},
                }],
            },
            "runDetails": {"builder": {"id": "https://example.org/builder"}},
        },
    })
}

fn describe(problem: &Diagnostic) -> String {
    let help = problem.help.clone().unwrap_or_default();
    format!("{} {} ({help})", problem.code, problem.message)
}
