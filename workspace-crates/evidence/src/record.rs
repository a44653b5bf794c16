use base::{CanonicalError, Digest, Instant, Subject, canonical_json};
use serde::{Deserialize, Serialize};

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What was asked: a path in the repository, a URL without credentials, or `deployment:<id>`.
    pub source: String,
    /// What asked: a driver or collector with its version, such as `simulator/0.1.0`.
    pub collector: String,
    /// How the network that the fact is about ran: `simulated` or `process`, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Which signatures that network used: `ed25519` or `keyed-hash`, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto: Option<String>,
}

/// Bytes that are too large for the ledger: they are named by digest, size and location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Digest of the bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Path relative to the evidence directory.
    pub location: String,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this format; 1.
    pub schema: u32,
    /// What kind of fact: `samples`, `events`, `document`, `issues`, `probe`, `drill`, `approvals`.
    pub kind: String,
    /// Which phase, gate or deployment asked for it, as `<phase>/<gate>` or a deployment id.
    pub for_whom: String,
    /// Where it comes from.
    pub origin: Origin,
    /// When the fact was observed; for samples the time of the last one.
    pub observed_at: Instant,
    /// What the fact is about; `None` where it is about no network (a document, an issue list).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The fact itself, where it is small. Its shape is fixed by `kind`.
    #[serde(default)]
    pub body: serde_json::Value,
    /// The fact itself, where it is large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

impl Record {
    /// The bytes that are stored and hashed.
    ///
    /// # Errors
    /// When the body has no canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical_json(self)
    }

    /// The record's name: the digest of its bytes.
    ///
    /// # Errors
    /// When the body has no canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&self.to_bytes()?))
    }
}
