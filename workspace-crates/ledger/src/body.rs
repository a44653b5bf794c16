//! What entries say: one body per kind of entry.

use std::collections::BTreeMap;

use base::{
    DeploymentId, Digest, GateId, Instant, PhaseId, PipelineId, PrincipalId, Subject, Track,
    VerdictKind,
};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::roles::{LEAD, ROOT, Roles};

/// The body of an entry. Its kind is written beside it, in the entry's field `kind`.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Opens a ledger.
    Genesis(Genesis),
    /// Changes the roles.
    Roles(RolesChange),
    /// Records that something happened or was missed.
    Event(Event),
    /// Proposes one change, for approval.
    Proposal(Proposal),
    /// Consents to one proposal.
    Approval(Approval),
    /// Takes an approval back.
    Withdraw(Withdraw),
    /// Excepts one gate for one subject until it expires.
    Waiver(Waiver),
    /// Records a judgement of all open phases.
    Evaluation(Evaluation),
    /// Moves one track of a phase forward.
    Advance(Advance),
    /// Keeps one track of a phase where it is.
    Hold(Hold),
    /// Sends the programme back to a phase.
    Reset(Reset),
}

/// Opens a ledger: the pipeline, and who may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The pipeline whose ledger this is.
    pub pipeline: PipelineId,
    /// The first roles; version 1.
    pub roles: Roles,
    /// How decisions are taken, in plain words, for the reports.
    pub note: String,
}

/// Changes the roles. Needs the threshold of `root` under the old and under the new roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolesChange {
    /// The new roles; their version is one more than before.
    pub roles: Roles,
    /// Keys that somebody else may have had. What they signed after their last trusted entry no
    /// longer counts, and neither does what was carried out or advanced on the strength of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distrust: Vec<Distrust>,
    /// Digest of the entry with the proposal that was approved; without one, the members of
    /// `root` sign this entry themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Digest>,
}

/// A key that is no longer trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distrust {
    /// The key, as `ssh-keygen -l` prints it: `SHA256:…`.
    pub fingerprint: String,
    /// Place of the last entry that its signature still counts for.
    pub last_trusted: u64,
}

/// The name of the event that says that a deployment is up. Who signs it operates the deployment.
pub const DEPLOYED: &str = "deployed";

/// Records that something happened or was missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What happened: `deploy`, `deployed`, `deployment-failed`, `torn-down`, `announce`,
    /// `release`, `missed`, `drill`, … in the form of an identifier.
    pub event: String,
    /// The due time that this settles, such as `deploy@2026-01-08T15:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The phase that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseId>,
    /// The track that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Track>,
    /// The deployment that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// What ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// More facts of this event; small.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Event {
    /// An event with a name and nothing else.
    #[must_use]
    pub fn new(event: impl Into<String>) -> Self {
        Self {
            event: event.into(),
            due: None,
            phase: None,
            track: None,
            deployment: None,
            subject: None,
            detail: Value::Null,
        }
    }
}

/// Proposes one change, for approval. Everything that an approver consents to is fixed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// What would be done.
    pub what: Proposed,
    /// Version of the roles that approve it.
    pub roles_version: u32,
    /// When it lapses; at most 14 days after the entry's time.
    pub expires: Instant,
}

/// What a proposal would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// Move one track of a phase. The leads decide.
    Transition(ProposedTransition),
    /// Waive one gate. The leads decide.
    Waiver(Waiver),
    /// Change the roles. The members of `root` decide, under the old and under the new roles.
    Roles(RolesChange),
}

impl Proposed {
    /// The role whose people decide.
    #[must_use]
    pub fn decided_by(&self) -> &'static str {
        match self {
            Self::Transition(_) | Self::Waiver(_) => LEAD,
            Self::Roles(_) => ROOT,
        }
    }

    /// The transition that is proposed, when it is one.
    #[must_use]
    pub fn transition(&self) -> Option<&ProposedTransition> {
        match self {
            Self::Transition(transition) => Some(transition),
            Self::Waiver(_) | Self::Roles(_) => None,
        }
    }
}

/// A transition that is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposedTransition {
    /// The phase that would move.
    pub phase: PhaseId,
    /// The track that would move.
    pub track: Track,
    /// The state that the track would leave.
    pub from: String,
    /// The state that the track would take.
    pub to: String,
    /// Digest of the entry with the evaluation that this rests on.
    pub evaluation: Digest,
    /// Digest of the rules that were evaluated.
    pub policy: Digest,
    /// Who operates the deployment; their approval does not count, and neither does that of whoever
    /// signed that it was deployed.
    pub operator: PrincipalId,
}

/// Consents to one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Digest of the entry with the proposal.
    pub proposal: Digest,
    /// Who consents; also a signer of the entry, and a human.
    pub principal: PrincipalId,
    /// The role in which they consent.
    pub role: String,
    /// What they checked, in their words.
    pub statement: String,
}

/// Takes an approval back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// Digest of the entry with the approval; one signer of this entry has to be its principal.
    pub approval: Digest,
}

/// Excepts one gate for one subject until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The phase of the gate.
    pub phase: PhaseId,
    /// The gate.
    pub gate: GateId,
    /// What it is waived for.
    pub scope: WaiverScope,
    /// Why, in plain words; never empty.
    pub reason: String,
    /// When it stops counting; at most 30 days after the entry's time.
    pub expires: Instant,
    /// Who bears the consequence.
    pub names: Vec<String>,
    /// Digest of the entry with the proposal that was approved; without one, the leads sign this
    /// entry themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Digest>,
}

/// What a gate is waived for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverScope {
    /// Exactly this subject.
    Subject(Subject),
    /// Whatever runs with this configuration.
    Configuration(Digest),
}

/// Records a judgement of all open phases at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The instant that was judged.
    pub at: Instant,
    /// ISO 8601 week, such as `2026-W02`.
    pub week: String,
    /// Digest of the file that holds the evaluation in full.
    pub document: Digest,
    /// Digest of the evidence that lists what was judged: with it anybody can judge again.
    pub inputs: Digest,
    /// Verdict by `<phase>/<track>`.
    pub verdicts: BTreeMap<String, VerdictKind>,
}

/// An entry with an evaluation, by its place and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRef {
    /// Its place in the chain.
    pub seq: u64,
    /// Digest of its `entry.json`.
    pub digest: Digest,
}

/// Moves one track of a phase forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The state that the track leaves.
    pub from: String,
    /// The state that the track takes.
    pub to: String,
    /// The evaluation that this rests on.
    pub evaluation: EvaluationRef,
    /// Digest of the entry with the proposal that the leads approved. Required unless the policy
    /// is `solo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Digest>,
    /// Why, in plain words.
    pub reason: String,
}

/// Keeps one track of a phase where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The evaluation that this rests on.
    pub evaluation: EvaluationRef,
    /// Every reason, in plain words.
    pub reasons: Vec<String>,
}

/// Sends the programme back to a phase and revokes what depended on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The phase that is reset.
    pub phase: PhaseId,
    /// The track that is reset.
    pub track: Track,
    /// The phase from which the programme starts again.
    pub to: PhaseId,
    /// Why, in plain words.
    pub reason: String,
    /// Places of the earlier `advance` entries that no longer count.
    pub revokes: Vec<u64>,
}

impl Body {
    /// Digest of the entry with the proposal that this carries out; nothing when it names none.
    #[must_use]
    pub fn carries_out(&self) -> Option<Digest> {
        match self {
            Self::Advance(one) => one.proposal,
            Self::Waiver(one) => one.proposal,
            Self::Roles(one) => one.proposal,
            _ => None,
        }
    }
}

macro_rules! kinds {
    ($($kind:literal => $variant:ident($body:ty)),+ $(,)?) => {
        impl Body {
            /// The kind as it is written in entries.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)+ }
            }

            pub(crate) fn to_value(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$variant(body) => serde_json::to_value(body),)+ }
            }

            pub(crate) fn from_value(kind: &str, body: Value) -> Result<Self, serde_json::Error> {
                match kind {
                    $($kind => Ok(Self::$variant(read::<$body>(kind, body)?)),)+
                    other => Err(serde_json::Error::custom(format!(
                        "`{other}` is not a kind of entry"
                    ))),
                }
            }
        }

        $(impl From<$body> for Body {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

kinds! {
    "genesis" => Genesis(Genesis),
    "roles" => Roles(RolesChange),
    "event" => Event(Event),
    "proposal" => Proposal(Proposal),
    "approval" => Approval(Approval),
    "withdraw" => Withdraw(Withdraw),
    "waiver" => Waiver(Waiver),
    "evaluation" => Evaluation(Evaluation),
    "advance" => Advance(Advance),
    "hold" => Hold(Hold),
    "reset" => Reset(Reset),
}

fn read<T: DeserializeOwned>(kind: &str, body: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(body)
        .map_err(|cause| serde_json::Error::custom(format!("body of `{kind}`: {cause}")))
}
