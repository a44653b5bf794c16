use base::{DeploymentId, Digest, Duration, Instant, PhaseId, PrincipalId, Subject, Track};
use evidence::{Event, Record, SubjectInterval, candidate_span};
use samples::SampleSource;

use crate::Measure;

/// Everything that a gate may look at. What is not in here does not exist for it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The instant of the judgement; nothing later is looked at.
    pub at: Instant,
    /// The phase that the gate belongs to.
    pub phase: &'a definition::Phase,
    /// The gate.
    pub gate: &'a definition::Gate,
    /// The deployment of the gate's track; `None` when nothing is deployed.
    pub deployment: Option<DeploymentFacts<'a>>,
    /// Records that were collected for this gate, oldest first.
    pub records: &'a [StoredRecord],
    /// Approvals of this gate's phase, in the order of the ledger; withdrawn ones are left out.
    pub approvals: &'a [ApprovalFact],
    /// Last passing evaluations of this gate, newest last.
    pub earlier: &'a [EarlierPass],
}

/// A record with the name under which it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// Digest of the record's bytes.
    pub digest: Digest,
    /// The record.
    pub record: Record,
}

/// What is known about one deployment.
#[derive(Clone, Copy)]
pub struct DeploymentFacts<'a> {
    /// Its name.
    pub id: &'a DeploymentId,
    /// Its track.
    pub track: Track,
    /// Which attempt at the track it is, from 1.
    pub attempt: u32,
    /// The driver with its version, such as `simulator/0.1.0`.
    pub driver: &'a str,
    /// How it runs: `simulated` or `process`.
    pub host: &'a str,
    /// Which signatures it uses: `ed25519` or `keyed-hash`.
    pub crypto: &'a str,
    /// When it was ready.
    pub started: Instant,
    /// When it was taken down; `None` while it runs.
    pub ended: Option<Instant>,
    /// What the evidence has to be about.
    pub candidate: &'a Subject,
    /// What ran, in time order; the first interval begins no later than `started`.
    pub intervals: &'a [SubjectInterval],
    /// Scraped samples; `None` when none were collected.
    pub samples: Option<&'a dyn SampleSource>,
    /// Digest of the evidence that holds the samples.
    pub samples_digest: Option<Digest>,
    /// What happened, in time order.
    pub events: &'a [Event],
    /// Digest of the evidence that holds the events.
    pub events_digest: Option<Digest>,
    /// How often each node is scraped.
    pub scrape_interval: Duration,
    /// When it was released to participants; `None` on the internal track.
    pub released_at: Option<Instant>,
}

impl DeploymentFacts<'_> {
    /// The span that counts for the candidate: its first instant, and the last one that can be
    /// judged at `at`. `None` when the candidate did not run.
    #[must_use]
    pub fn candidate_window(&self, at: Instant) -> Option<(Instant, Instant)> {
        let (from, replaced) = candidate_span(self.intervals, self.candidate)?;
        // The instant at which another subject begins is that one's already.
        let last = replaced.map(|next| next - Duration::from_micros(1));
        let ends = [Some(at), last, self.ended];
        let until = ends.into_iter().flatten().min()?;
        Some((from.max(self.started), until))
    }

    /// When another subject took the candidate's place, if one did.
    #[must_use]
    pub fn candidate_replaced_at(&self) -> Option<Instant> {
        candidate_span(self.intervals, self.candidate)?.1
    }

    /// Whether the deployment was taken down no later than `at`.
    #[must_use]
    pub fn has_ended(&self, at: Instant) -> bool {
        self.ended.is_some_and(|ended| ended <= at)
    }

    /// The last instant of the deployment that can be judged at `at`.
    #[must_use]
    pub fn end(&self, at: Instant) -> Instant {
        self.ended.map_or(at, |ended| ended.min(at))
    }
}

/// One signed consent, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFact {
    /// Who consented.
    pub principal: PrincipalId,
    /// In which role.
    pub role: String,
    /// Whether the principal is a person; machines never approve.
    pub human: bool,
    /// What was said.
    pub statement: String,
    /// For which phase.
    pub phase: PhaseId,
    /// When.
    pub at: Instant,
    /// From when on it no longer counts.
    pub expires: Option<Instant>,
    /// Sequence number of the ledger entry.
    pub entry: u64,
}

/// An earlier evaluation in which the gate passed.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierPass {
    /// When it was judged.
    pub at: Instant,
    /// What was judged.
    pub subject: Option<Subject>,
    /// What was measured.
    pub measures: Vec<Measure>,
}
