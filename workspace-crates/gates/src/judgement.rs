use base::{Digest, Outcome};

use crate::{Context, Coverage, Explanation, Finding, Measure, Question, SoakProgress};

/// What a kind says about its gate; shared code makes a [`Finding`] of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What was found.
    pub outcome: Outcome,
    /// Full sentences that say why.
    pub reasons: Vec<String>,
    /// Measured values against their thresholds.
    pub measures: Vec<Measure>,
    /// How much of the expected evidence was there.
    pub coverage: Option<Coverage>,
    /// Progress of a soak.
    pub soak: Option<SoakProgress>,
    /// Evidence that was used.
    pub evidence: Vec<Digest>,
    /// What explains it further.
    pub explanation: Explanation,
    /// What a server has to be asked before the judgement counts; it is inconclusive until then.
    pub unanswered: Vec<Question>,
}

impl Judgement {
    /// A judgement with its first reason.
    #[must_use]
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reasons: vec![reason.into()],
            measures: Vec::new(),
            coverage: None,
            soak: None,
            evidence: Vec::new(),
            explanation: Explanation::default(),
            unanswered: Vec::new(),
        }
    }

    /// The condition holds.
    #[must_use]
    pub fn pass(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Pass, reason)
    }

    /// The condition does not hold.
    #[must_use]
    pub fn fail(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Fail, reason)
    }

    /// It is not known whether the condition holds.
    #[must_use]
    pub fn inconclusive(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Inconclusive, reason)
    }

    /// The gate could not be evaluated.
    #[must_use]
    pub fn error(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Error, reason)
    }

    /// The same with one more reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }

    /// The same with the smallest change that would turn it.
    #[must_use]
    pub fn would_change(mut self, change: impl Into<String>) -> Self {
        self.explanation.would_change = Some(change.into());
        self
    }

    /// The same with the evidence that it rests on.
    #[must_use]
    pub fn resting_on(mut self, digests: impl IntoIterator<Item = Digest>) -> Self {
        self.evidence.extend(digests);
        self
    }

    /// The finding about the gate of `context`, whose rule is `rule`.
    #[must_use]
    pub fn into_finding(mut self, context: &Context<'_>, rule: String) -> Finding {
        let gate = context.gate;
        self.evidence.sort();
        self.evidence.dedup();
        Finding {
            gate: gate.id.clone(),
            title: gate.title.clone(),
            kind: gate.kind.clone(),
            track: gate.track,
            advisory: gate.advisory,
            owner: gate.owner.clone(),
            why: gate.why.clone(),
            outcome: self.outcome,
            rule,
            reasons: self.reasons,
            measures: self.measures,
            coverage: self.coverage,
            soak: self.soak,
            evidence: self.evidence,
            explanation: self.explanation,
        }
    }
}
