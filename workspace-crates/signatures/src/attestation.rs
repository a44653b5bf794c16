//! Attestations that others made: in-toto statements in DSSE envelopes, as builders hand them out.
//!
//! A file holds one JSON document, or several in a row as in JSON lines. Each is an envelope, or a
//! sigstore bundle around one. Fields that we do not know are passed over, as the specifications
//! ask; a repeated key is refused. What is not signed by a known key is never looked into.

use std::collections::BTreeMap;

use base::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde_json::Value;

use crate::dsse::pre_authentication_encoding;
use crate::json::{JsonError, parse_strict, parse_strict_documents};
use crate::keys::PublicKey;
use crate::statement::{STATEMENT_MEDIA_TYPE, STATEMENT_TYPE};

/// The `_type` of statements before version 1; SLSA provenance v0.2 comes in these.
pub const STATEMENT_TYPE_V0_1: &str = "https://in-toto.io/Statement/v0.1";

/// The most bytes that a file of attestations may have.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most envelopes that a file may hold.
pub const ENVELOPES_MAX: usize = 128;

/// The most signatures that an envelope may have.
pub const SIGNATURES_MAX: usize = 16;

/// How much of a foreign text an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// Why a file of attestations cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// No JSON, or JSON that two parsers could read differently.
    #[error("it is not JSON: {0}")]
    Json(#[source] JsonError),
    /// Nothing in it.
    #[error("there is no envelope in it")]
    Empty,
    /// More envelopes than are read.
    #[error("it has {0} envelopes; at most {ENVELOPES_MAX} are read")]
    TooMany(usize),
    /// A document that is no envelope.
    #[error("line {line} is neither a DSSE envelope nor a sigstore bundle with one: {cause}")]
    NotAnEnvelope {
        /// Where it begins.
        line: usize,
        /// What is wrong with its shape.
        #[source]
        cause: serde_json::Error,
    },
    /// An envelope around something else than a statement.
    #[error(
        "the envelope on line {line} has the payload type `{found}` instead of `{STATEMENT_MEDIA_TYPE}`"
    )]
    PayloadType {
        /// Where the envelope begins.
        line: usize,
        /// The beginning of what was found.
        found: String,
    },
    /// No signature at all, or too many.
    #[error("the envelope on line {line} has {count} signatures; 1 to {SIGNATURES_MAX} are read")]
    Signatures {
        /// Where the envelope begins.
        line: usize,
        /// How many there are.
        count: usize,
    },
    /// A field that is not base64.
    #[error("the field `{field}` of the envelope on line {line} is not base64")]
    Base64 {
        /// Where the envelope begins.
        line: usize,
        /// `payload` or `sig`.
        field: &'static str,
    },
    /// A signed payload that is no statement.
    #[error("what was signed on line {line} is no in-toto statement: {cause}")]
    NotAStatement {
        /// Where the envelope begins.
        line: usize,
        /// What is wrong with it; places in it count within the payload.
        #[source]
        cause: JsonError,
    },
    /// A statement of a version that is not read.
    #[error("the statement on line {line} has the type `{found}` instead of `{STATEMENT_TYPE}`")]
    StatementType {
        /// Where the envelope begins.
        line: usize,
        /// The beginning of what was found.
        found: String,
    },
    /// A provenance that names no builder, or has another shape.
    #[error("the provenance on line {line} cannot be read: {cause}")]
    Predicate {
        /// Where the envelope begins.
        line: usize,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// A statement about nothing that can be told apart.
    #[error("the statement on line {line} names no subject, or one without a digest")]
    Subject {
        /// Where the envelope begins.
        line: usize,
    },
}

/// One envelope of a file, before anybody's signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    line: usize,
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

/// A statement that known keys signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened<'k> {
    /// What they signed.
    pub statement: ForeignStatement,
    /// Who signed it, in the order of the keys that were asked about; never empty.
    pub signers: Vec<&'k PublicKey>,
}

/// An in-toto statement by somebody else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ForeignStatement {
    /// [`STATEMENT_TYPE`] or [`STATEMENT_TYPE_V0_1`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about; never empty, and each has a digest.
    pub subject: Vec<ForeignResource>,
    /// Which vocabulary the predicate uses.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The claim; null when there is none.
    #[serde(default)]
    pub predicate: Value,
}

/// One thing that a foreign statement names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ForeignResource {
    /// Where it is.
    #[serde(default)]
    pub uri: Option<String>,
    /// Digest by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

impl ForeignStatement {
    /// Whether one of its subjects has the SHA-256 digest `digest`.
    #[must_use]
    pub fn is_about(&self, digest: &Digest) -> bool {
        let digest = digest.to_string();
        self.subject.iter().any(|one| one.digest.get("sha256") == Some(&digest))
    }
}

/// Reads every envelope of a file, in their order.
///
/// # Errors
/// When one of the documents is no envelope of an in-toto statement, or a limit is passed. One bad
/// document spoils the file: whoever cut or mixed it up should be told.
pub fn read(bytes: &[u8]) -> Result<Vec<Attestation>, AttestationError> {
    let documents =
        parse_strict_documents(bytes, FILE_BYTES_MAX).map_err(AttestationError::Json)?;
    match documents.len() {
        0 => Err(AttestationError::Empty),
        count if count > ENVELOPES_MAX => Err(AttestationError::TooMany(count)),
        _ => documents.into_iter().map(|(line, value)| Attestation::read(line, value)).collect(),
    }
}

/// A bundle as sigstore writes it. Its certificates and log entries are not judged here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: WireEnvelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

/// The key id beside a signature is a hint that anybody can write, so it is not read.
#[derive(Deserialize)]
struct WireSignature {
    sig: String,
}

impl Attestation {
    fn read(line: usize, value: Value) -> Result<Self, AttestationError> {
        let is_bundle = value.get("payload").is_none() && value.get("dsseEnvelope").is_some();
        let envelope = if is_bundle {
            serde_json::from_value(value).map(|bundle: Bundle| bundle.dsse_envelope)
        } else {
            serde_json::from_value(value)
        };
        let envelope: WireEnvelope =
            envelope.map_err(|cause| AttestationError::NotAnEnvelope { line, cause })?;
        if envelope.payload_type != STATEMENT_MEDIA_TYPE {
            let found = quoted(&envelope.payload_type);
            return Err(AttestationError::PayloadType { line, found });
        }
        let count = envelope.signatures.len();
        if count == 0 || count > SIGNATURES_MAX {
            return Err(AttestationError::Signatures { line, count });
        }
        let decode =
            |field, text: &str| decode(text).ok_or(AttestationError::Base64 { line, field });
        let signatures = envelope.signatures.iter().map(|one| decode("sig", &one.sig));
        Ok(Self {
            line,
            payload: decode("payload", &envelope.payload)?,
            signatures: signatures.collect::<Result<_, _>>()?,
        })
    }

    /// The line of the file on which it begins, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The statement, when one of `keys` signed it. The bytes that are read are those that were
    /// verified; each key counts once.
    ///
    /// # Errors
    /// When one of the keys signed something that is no statement about anything.
    pub fn open<'k>(&self, keys: &'k [PublicKey]) -> Result<Option<Opened<'k>>, AttestationError> {
        let signed = pre_authentication_encoding(STATEMENT_MEDIA_TYPE, &self.payload);
        let mut signers: Vec<&PublicKey> = Vec::new();
        for key in keys {
            let counted = signers.iter().any(|one| one.material() == key.material());
            if !counted && self.signatures.iter().any(|sig| key.verify_bare_ed25519(&signed, sig)) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Opened { statement: self.statement()?, signers }))
    }

    fn statement(&self) -> Result<ForeignStatement, AttestationError> {
        let line = self.line;
        let statement: ForeignStatement = parse_strict(&self.payload, FILE_BYTES_MAX)
            .map_err(|cause| AttestationError::NotAStatement { line, cause })?;
        if ![STATEMENT_TYPE, STATEMENT_TYPE_V0_1].contains(&statement.statement_type.as_str()) {
            let found = quoted(&statement.statement_type);
            return Err(AttestationError::StatementType { line, found });
        }
        if statement.subject.is_empty() || statement.subject.iter().any(|one| one.digest.is_empty())
        {
            return Err(AttestationError::Subject { line });
        }
        Ok(statement)
    }
}

/// Both alphabets of base64 are in use in envelopes; the bytes that come out are what is verified.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
