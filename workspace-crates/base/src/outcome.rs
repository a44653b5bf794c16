use std::fmt;

use serde::{Deserialize, Serialize};

/// What the judgement of one gate found. Missing data is never [`Outcome::Pass`].
///
/// The order of the variants is the severity: `pass < inconclusive < error < fail`;
/// a gate that does not apply weighs less than one that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A stated rule says that the gate does not apply here.
    NotApplicable,
    /// The condition holds on sufficient evidence.
    Pass,
    /// Evidence is missing, stale, too sparse, about another subject, or not finished.
    Inconclusive,
    /// The gate could not be evaluated: server down, file malformed, quota used up.
    Error,
    /// The condition does not hold.
    Fail,
}

impl Outcome {
    /// Whether a gate with this outcome lets its phase advance without a waiver.
    #[must_use]
    pub fn lets_advance(self) -> bool {
        matches!(self, Self::Pass | Self::NotApplicable)
    }

    /// The outcome as it is written in definitions and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an evaluation decides for one track of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Every required gate passes or is waived.
    Advance,
    /// Something is not known yet, or fails without a reset; the phase stays where it is.
    Hold,
    /// A gate failed whose definition sends the programme back.
    Reset,
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Advance => "advance",
            Self::Hold => "hold",
            Self::Reset => "reset",
        })
    }
}

/// Where a deployment runs: internal first, public after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// Run by the team, before anything is released.
    Internal,
    /// Released to participants.
    Public,
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Internal => "internal",
            Self::Public => "public",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Error, Fail, Inconclusive, NotApplicable, Pass};

    #[test]
    fn severity_is_pass_inconclusive_error_fail() {
        assert!(Pass < Inconclusive && Inconclusive < Error && Error < Fail);
        assert!(NotApplicable < Pass);
    }

    #[test]
    fn only_pass_and_not_applicable_let_a_phase_advance() {
        for blocking in [Inconclusive, Error, Fail] {
            assert!(!blocking.lets_advance(), "{blocking}");
        }
        assert!(Pass.lets_advance() && NotApplicable.lets_advance());
    }
}
