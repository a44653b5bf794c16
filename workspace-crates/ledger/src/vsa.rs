//! The SLSA Verification Summary (VSA v1) predicate of reports.

use std::collections::BTreeMap;

use base::{Digest, Instant};
use serde::{Deserialize, Serialize};

use crate::statement::{ResourceDescriptor, Statement};

/// The predicate type of a verification summary.
pub const VSA_PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// What a verifier found when it judged the inputs against a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationSummary {
    /// Who judged.
    pub verifier: Verifier,
    /// When it judged: the instant of the evaluation.
    pub time_verified: Instant,
    /// Until when it stands, an extension of ours: a report that is shown later is an old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Instant>,
    /// What was judged, such as `urn:phasegate:sequencer-prover-testnet:2026-W02`.
    pub resource_uri: String,
    /// The rules that it was judged by.
    pub policy: VsaPolicy,
    /// The evidence that it was judged on.
    pub input_attestations: Vec<ResourceDescriptor>,
    /// The result.
    pub verification_result: VerificationResult,
    /// The levels reached. Our own, such as `PHASEGATE_PHASE_1_ADVANCE`.
    pub verified_levels: Vec<String>,
}

/// Who judged: a stable identity and the version of each component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verifier {
    /// A URI.
    pub id: String,
    /// Version by component.
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// The rules, by location and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VsaPolicy {
    /// Where the rules are.
    pub uri: String,
    /// Digest by algorithm.
    pub digest: BTreeMap<String, String>,
}

/// Whether everything that was judged passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VerificationResult {
    /// Everything passes.
    Passed,
    /// Something does not pass, or is not known.
    Failed,
}

/// Why a verification summary is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VsaError {
    /// A level that only the SLSA framework may define.
    #[error("the level `{0}` starts with `SLSA_`, which only SLSA itself may define; rename it")]
    ReservedLevel(String),
}

impl VerificationSummary {
    /// The statement about `subject` that carries this summary.
    ///
    /// # Errors
    /// When a level starts with `SLSA_`.
    pub fn into_statement(
        self,
        subject: Vec<ResourceDescriptor>,
    ) -> Result<Statement<Self>, VsaError> {
        self.check()?;
        Ok(Statement::new(subject, VSA_PREDICATE_TYPE, self))
    }

    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// When a level starts with `SLSA_`.
    pub fn check(&self) -> Result<(), VsaError> {
        match self.verified_levels.iter().find(|level| level.starts_with("SLSA_")) {
            Some(level) => Err(VsaError::ReservedLevel(level.clone())),
            None => Ok(()),
        }
    }
}

impl VsaPolicy {
    /// Rules with the SHA-256 digest of their bytes.
    #[must_use]
    pub fn sha256(uri: impl Into<String>, digest: Digest) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), digest.to_string())]);
        Self { uri: uri.into(), digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::canonical_json;

    fn summary() -> VerificationSummary {
        VerificationSummary {
            verifier: Verifier {
                id: "https://phasegate.dev/evaluator".to_owned(),
                version: BTreeMap::from([("phasegate".to_owned(), "0.1.0".to_owned())]),
            },
            time_verified: "2026-01-12T14:30:00Z".parse().unwrap(),
            valid_until: Some("2026-01-19T18:00:00Z".parse().unwrap()),
            resource_uri: "urn:phasegate:testnet:2026-W02".to_owned(),
            policy: VsaPolicy::sha256("pipeline/testnet.toml", Digest::of(b"policy")),
            input_attestations: vec![ResourceDescriptor::sha256("evidence", Digest::of(b"e"))],
            verification_result: VerificationResult::Passed,
            verified_levels: vec!["PHASEGATE_PHASE_1_ADVANCE".to_owned()],
        }
    }

    #[test]
    fn the_written_form_has_the_field_names_of_the_specification() {
        let subject = vec![ResourceDescriptor::sha256("report.json", Digest::of(b"r"))];
        let bytes = canonical_json(&summary().into_statement(subject).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(value["predicateType"], VSA_PREDICATE_TYPE);
        let predicate = &value["predicate"];
        assert_eq!(predicate["timeVerified"], "2026-01-12T14:30:00Z");
        assert_eq!(predicate["validUntil"], "2026-01-19T18:00:00Z");
        assert_eq!(predicate["verificationResult"], "PASSED");
        assert_eq!(predicate["resourceUri"], "urn:phasegate:testnet:2026-W02");
        assert!(predicate["policy"]["digest"]["sha256"].is_string());
        assert!(predicate["inputAttestations"].is_array());
        assert!(predicate["verifiedLevels"].is_array());
    }

    #[test]
    fn levels_of_slsa_itself_are_refused() {
        let mut claimed = summary();
        claimed.verified_levels.push("SLSA_BUILD_LEVEL_3".to_owned());
        assert_eq!(claimed.check(), Err(VsaError::ReservedLevel("SLSA_BUILD_LEVEL_3".to_owned())));
    }
}
