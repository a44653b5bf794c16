//! The typed entry, and its exact bytes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use base::{Digest, Instant, NetworkId, canonical_json};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::body::{Body, Proposed};
use crate::statement::{ResourceDescriptor, Statement, StatementError};
use crate::{JsonError, parse_strict};

/// The predicate type of entries of this version.
pub const ENTRY_PREDICATE_TYPE: &str = "https://phasegate.dev/ledger-entry/v1";

/// The most bytes that an entry may have.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// The id of a git object: 40 or 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ObjectId(String);

/// A text that is no id of a git object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a git object id of 40 or 64 lower-case hexadecimal digits")]
pub struct ObjectIdError(String);

impl ObjectId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if matches!(text.len(), 40 | 64) && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ObjectIdError(text.chars().take(80).collect()))
        }
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The rules and the evaluator that were in use when an entry was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Git tree of `pipeline/`.
    pub pipeline: ObjectId,
    /// Git tree of `stages/`.
    pub stages: ObjectId,
    /// Version of the evaluator, such as `phasegate 0.1.0`.
    pub evaluator: String,
}

/// What a caller wants to append; the ledger adds the place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// When the entry is written; never before the entry that it follows.
    pub time: Instant,
    /// The rules and the evaluator in use.
    pub pins: Pins,
    /// Digests of the evidence that the entry rests on.
    pub evidence: BTreeSet<Digest>,
    /// What the entry says.
    pub body: Body,
}

impl Draft {
    /// A draft that rests on no evidence.
    #[must_use]
    pub fn new(time: Instant, pins: Pins, body: impl Into<Body>) -> Self {
        Self { time, pins, evidence: BTreeSet::new(), body: body.into() }
    }

    /// The same draft, resting on the evidence with these digests too.
    #[must_use]
    pub fn with_evidence(mut self, digests: impl IntoIterator<Item = Digest>) -> Self {
        self.evidence.extend(digests);
        self
    }
}

/// One entry of a ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Digest of the genesis entry; absent in the genesis entry itself.
    pub ledger: Option<Digest>,
    /// The network whose programme this is; the same in all entries.
    pub network: NetworkId,
    /// Place in the chain; 0 for the genesis entry.
    pub seq: u64,
    /// Digest of the entry before; absent in the genesis entry.
    pub prev: Option<Digest>,
    /// When it was written, by the writer's clock. Order comes from the chain, not from here.
    pub time: Instant,
    /// The rules and the evaluator in use.
    pub pins: Pins,
    /// Digests of the evidence that the entry rests on.
    pub evidence: BTreeSet<Digest>,
    /// What the entry says.
    pub body: Body,
}

/// The written form of the predicate.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<Digest>,
    network: NetworkId,
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev: Option<Digest>,
    time: Instant,
    pins: Pins,
    evidence: Vec<Digest>,
    kind: String,
    body: Value,
}

/// Why bytes are not an entry, or an entry has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not strict JSON of the shape of an entry.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not a statement of the right type.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A body that is not of its kind.
    #[error("{0}")]
    Body(serde_json::Error),
    /// The statement is about something else than the entry's own pins and evidence.
    #[error("its subjects are not its pinned rules and its evidence")]
    Subject,
    /// Evidence digests that are not in order, or repeated.
    #[error("its evidence digests are not in ascending order, each once")]
    EvidenceOrder,
    /// A value in another spelling than the one that is written, such as `null` for a field that
    /// is missing, a list for an object, or an instant with an offset.
    #[error("its value at `{0}` is spelled otherwise than an entry is written")]
    Spelling(String),
    /// Written in another form than the canonical one.
    #[error("it has no canonical form: {0}")]
    Canonical(#[from] base::CanonicalError),
}

/// The place of the first value in `found` that `written` does not have in the same spelling.
/// Fields with a default may be missing in `found`.
///
/// Deserialization reads several spellings of one entry; another reader of the signed bytes, such
/// as a script, would not.
fn first_difference(found: &Value, written: &Value, at: &str) -> Option<String> {
    match (found, written) {
        (Value::Object(found), Value::Object(written)) => found.iter().find_map(|(key, value)| {
            let at = format!("{at}/{key}");
            written.get(key).map_or(Some(at.clone()), |other| first_difference(value, other, &at))
        }),
        (Value::Array(found), Value::Array(written)) if found.len() == written.len() => {
            found.iter().zip(written).enumerate().find_map(|(nth, (value, other))| {
                first_difference(value, other, &format!("{at}/{nth}"))
            })
        }
        _ => (found != written).then(|| at.to_owned()),
    }
}

impl Entry {
    /// The genesis entry that `draft` describes.
    #[must_use]
    pub fn genesis(network: NetworkId, draft: Draft) -> Self {
        let Draft { time, pins, evidence, body } = draft;
        Self { ledger: None, network, seq: 0, prev: None, time, pins, evidence, body }
    }

    /// The exact bytes that are signed, hashed and stored: a canonical in-toto statement.
    ///
    /// # Errors
    /// When a body holds a map that JSON cannot express.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        Ok(canonical_json(&self.statement()?)?)
    }

    fn statement(&self) -> Result<Statement<Written>, EntryError> {
        let written = Written {
            ledger: self.ledger,
            network: self.network.clone(),
            seq: self.seq,
            prev: self.prev,
            time: self.time,
            pins: self.pins.clone(),
            evidence: self.evidence.iter().copied().collect(),
            kind: self.body.kind().to_owned(),
            body: self.body.to_value().map_err(EntryError::Body)?,
        };
        Ok(Statement::new(self.subjects(), ENTRY_PREDICATE_TYPE, written))
    }

    /// Reads an entry from its exact bytes.
    ///
    /// # Errors
    /// When the bytes are not strict JSON, not a statement with an entry, have unknown fields,
    /// or when their subjects are not the entry's own pins and evidence.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        let spelled: Value = parse_strict(bytes, ENTRY_BYTES_MAX)?;
        let statement: Statement<Written> =
            serde_json::from_value(spelled.clone()).map_err(JsonError::from)?;
        statement.check(ENTRY_PREDICATE_TYPE)?;
        let Statement { subject, predicate: written, .. } = statement;
        if !written.evidence.is_sorted_by(|one, next| one < next) {
            return Err(EntryError::EvidenceOrder);
        }
        let entry = Self {
            ledger: written.ledger,
            network: written.network,
            seq: written.seq,
            prev: written.prev,
            time: written.time,
            pins: written.pins,
            evidence: written.evidence.into_iter().collect(),
            body: Body::from_value(&written.kind, written.body).map_err(EntryError::Body)?,
        };
        if subject != entry.subjects() {
            return Err(EntryError::Subject);
        }
        match first_difference(
            &spelled,
            &serde_json::to_value(entry.statement()?).map_err(EntryError::Body)?,
            "",
        ) {
            None => Ok(entry),
            Some(at) => Err(EntryError::Spelling(at)),
        }
    }

    /// What the entry's statement is about: the rules in use, then the evidence.
    #[must_use]
    pub fn subjects(&self) -> Vec<ResourceDescriptor> {
        let tree = |name: &str, id: &ObjectId| {
            ResourceDescriptor::with_digest(name, "gitTree", id.to_string())
        };
        let mut subjects =
            vec![tree("pipeline", &self.pins.pipeline), tree("stages", &self.pins.stages)];
        subjects.extend(
            self.evidence
                .iter()
                .map(|digest| ResourceDescriptor::sha256(format!("evidence/{digest}"), *digest)),
        );
        subjects
    }

    /// One line for logs and commit messages, such as `entry 42: advance phase-1/internal`.
    #[must_use]
    pub fn summary(&self) -> String {
        let about = match &self.body {
            Body::Genesis(genesis) => genesis.pipeline.to_string(),
            Body::Roles(change) => format!("version {}", change.roles.version),
            Body::Event(event) => match &event.phase {
                Some(phase) => format!("{} {phase}", event.event),
                None => event.event.clone(),
            },
            Body::Proposal(one) => match &one.what {
                Proposed::Transition(one) => format!("{}/{}", one.phase, one.track),
                Proposed::Waiver(one) => format!("waiver of {}/{}", one.phase, one.gate),
                Proposed::Roles(one) => format!("roles version {}", one.roles.version),
            },
            Body::Approval(one) => format!("by {}", one.principal),
            Body::Withdraw(one) => one.approval.short(),
            Body::Waiver(one) => format!("{}/{}", one.phase, one.gate),
            Body::Evaluation(one) => one.week.clone(),
            Body::Advance(one) => format!("{}/{}", one.phase, one.track),
            Body::Hold(one) => format!("{}/{}", one.phase, one.track),
            Body::Reset(one) => format!("{}/{} to {}", one.phase, one.track, one.to),
        };
        format!("entry {}: {} {about}", self.seq, self.body.kind())
    }
}
