//! DSSE envelopes with bare Ed25519 signatures, for tools of the in-toto family.

use base::canonical_json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;
use crate::parse_strict;
use crate::signing::{Signer, SigningError};

/// The most bytes that an envelope may have.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A payload with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// One signature per key.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// Which key made it; a hint that is never trusted.
    #[serde(default)]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
}

/// Why an envelope does not count.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Not an envelope.
    #[error("it is not a DSSE envelope: {0}")]
    Malformed(#[from] crate::JsonError),
    /// A field that is not base64.
    #[error("the field `{0}` of the envelope is not base64")]
    Base64(&'static str),
    /// Another payload type.
    #[error("the payload type is `{found}` instead of `{expected}`")]
    PayloadType {
        /// As found.
        found: String,
        /// As required here.
        expected: String,
    },
    /// No signature of an expected key.
    #[error("no signature in the envelope was made by an expected key over this payload")]
    NoSignature,
    /// The key cannot make or check such signatures.
    #[error("DSSE envelopes need an Ed25519 key")]
    NotEd25519,
    /// The payload could not be signed.
    #[error("the payload could not be signed")]
    Signing(#[from] SigningError),
    /// The key description has no canonical form.
    #[error("the key description could not be written")]
    Canonical(#[from] base::CanonicalError),
}

/// The bytes that are signed: the pre-authentication encoding of type and payload.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The key id as securesystemslib computes it: SHA-256 of the key's canonical JSON description.
///
/// # Errors
/// When the key is not an Ed25519 key.
pub fn key_id(key: &PublicKey) -> Result<String, DsseError> {
    let public = hex::encode(key.ed25519_bytes().ok_or(DsseError::NotEd25519)?);
    let description = serde_json::json!({
        "keytype": "ed25519",
        "keyval": { "public": public },
        "scheme": "ed25519",
    });
    let mut bytes = canonical_json(&description)?;
    // securesystemslib hashes the object without a line feed after it.
    bytes.pop();
    Ok(base::Digest::of(&bytes).to_string())
}

impl Envelope {
    /// Puts `payload` into an envelope that `signer` signs.
    ///
    /// # Errors
    /// When the signer has no Ed25519 key at hand.
    pub fn sign(
        signer: &dyn Signer,
        payload_type: &str,
        payload: &[u8],
    ) -> Result<Self, DsseError> {
        let keyid = key_id(signer.public_key())?;
        let sig = signer.sign_bare_ed25519(&pre_authentication_encoding(payload_type, payload))?;
        Ok(Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![EnvelopeSignature { keyid, sig: STANDARD.encode(sig) }],
        })
    }

    /// The canonical bytes of the envelope.
    ///
    /// # Errors
    /// Never for an envelope; the signature is that of the canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DsseError> {
        Ok(canonical_json(self)?)
    }

    /// Reads an envelope and returns its payload when one of `keys` signed it.
    ///
    /// # Errors
    /// When the bytes are no envelope, the payload is of another type, or no expected key
    /// signed it.
    pub fn open(
        bytes: &[u8],
        payload_type: &str,
        keys: &[PublicKey],
    ) -> Result<Vec<u8>, DsseError> {
        let envelope: Self = parse_strict(bytes, ENVELOPE_BYTES_MAX)?;
        if envelope.payload_type != payload_type {
            return Err(DsseError::PayloadType {
                found: envelope.payload_type,
                expected: payload_type.to_owned(),
            });
        }
        let payload =
            STANDARD.decode(&envelope.payload).map_err(|_| DsseError::Base64("payload"))?;
        let signed = pre_authentication_encoding(payload_type, &payload);
        let fits = |one: &EnvelopeSignature| {
            STANDARD
                .decode(&one.sig)
                .is_ok_and(|sig| keys.iter().any(|key| key.verify_bare_ed25519(&signed, &sig)))
        };
        if envelope.signatures.iter().any(fits) { Ok(payload) } else { Err(DsseError::NoSignature) }
    }
}
