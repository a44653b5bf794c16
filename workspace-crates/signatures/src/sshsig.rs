//! Detached SSHSIG signatures, as `ssh-keygen -Y sign` makes and `-Y verify` checks them.
//!
//! Ed25519 is verified strictly: no low-order points, no malleable encodings.

use ed25519_dalek::Signature as EdSignature;
use sha2::{Digest as _, Sha256};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

use crate::keys::{KeyError, PublicKey};
use crate::signing::{Signer, SigningError};

/// The namespace of signatures over ledger entries.
pub const LEDGER_NAMESPACE: &str = "phase-ledger@phasegate.dev";

/// The namespace of signatures over reports.
pub const REPORT_NAMESPACE: &str = "phase-report@phasegate.dev";

/// The most bytes that an armored signature may have.
pub const SIGNATURE_BYTES_MAX: usize = 16 * 1024;

/// A security key sets this flag when somebody touched it.
const USER_PRESENT: u8 = 1;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not an armored SSHSIG.
    #[error("it is not an armored SSH signature")]
    Malformed,
    /// The key in the signature is of a kind that is not taken.
    #[error("its key is not acceptable: {0}")]
    Key(#[from] KeyError),
    /// Made for another purpose.
    #[error("it was made for the namespace `{found}`, not for `{expected}`")]
    Namespace {
        /// As signed.
        found: String,
        /// As required here.
        expected: String,
    },
    /// Made by a key that is not the expected one.
    #[error("it was made by the key {0}, which is not the expected one")]
    ForeignKey(String),
    /// The bytes are not those that were signed, or the signature was altered.
    #[error("it does not fit the bytes; one of the two was altered")]
    Mismatch,
    /// A security key that signed without a touch.
    #[error("the security key signed without being touched")]
    NotTouched,
}

/// An armored SSHSIG after its form has been checked, before it is verified.
#[derive(Debug, Clone)]
pub struct DetachedSignature {
    sig: SshSig,
}

impl DetachedSignature {
    /// Reads an armored signature.
    ///
    /// # Errors
    /// When it is too long, malformed, or spelled otherwise than `ssh-keygen` does.
    pub fn parse(armored: &[u8]) -> Result<Self, SignatureError> {
        if armored.len() > SIGNATURE_BYTES_MAX {
            return Err(SignatureError::Malformed);
        }
        let sig = SshSig::from_pem(armored).map_err(|_| SignatureError::Malformed)?;
        if sig.version() != SshSig::VERSION || !sig.reserved().is_empty() {
            return Err(SignatureError::Malformed);
        }
        // One signature has one spelling, the one of `ssh-keygen`: no two readers can differ.
        match sig.to_pem(LineEnding::LF) {
            Ok(spelled) if spelled.as_bytes() == armored => Ok(Self { sig }),
            _ => Err(SignatureError::Malformed),
        }
    }

    /// The key that the signature says it was made by.
    fn key_data(&self) -> &KeyData {
        self.sig.public_key()
    }

    /// Whether the signature says that it was made by `key`; only [`Self::verify`] shows that it was.
    #[must_use]
    pub fn names(&self, key: &PublicKey) -> bool {
        *self.key_data() == key.data
    }

    /// The fingerprint of the key that the signature says it was made by.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key_data().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Verifies the signature of `bytes` in `namespace` by `key`.
    ///
    /// # Errors
    /// When it was made in another namespace, by another key, or over other bytes.
    pub fn verify(
        &self,
        key: &PublicKey,
        namespace: &str,
        bytes: &[u8],
    ) -> Result<(), SignatureError> {
        if self.sig.namespace() != namespace {
            return Err(SignatureError::Namespace {
                found: self.sig.namespace().to_owned(),
                expected: namespace.to_owned(),
            });
        }
        if !self.names(key) {
            return Err(SignatureError::ForeignKey(self.fingerprint()));
        }
        match (&key.data, &key.point) {
            (KeyData::Ed25519(_), Some(point)) => self.verify_ed25519(point, namespace, bytes),
            (KeyData::SkEd25519(sk), Some(point)) => {
                self.verify_security_key(sk.application(), point, namespace, bytes)
            }
            _ => ssh_key::PublicKey::from(key.data.clone())
                .verify(namespace, bytes, &self.sig)
                .map_err(|_| SignatureError::Mismatch),
        }
    }

    fn signed_data(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, SignatureError> {
        SshSig::signed_data(namespace, self.sig.hash_alg(), bytes)
            .map_err(|_| SignatureError::Mismatch)
    }

    fn verify_ed25519(
        &self,
        point: &ed25519_dalek::VerifyingKey,
        namespace: &str,
        bytes: &[u8],
    ) -> Result<(), SignatureError> {
        if self.sig.algorithm() != Algorithm::Ed25519 {
            return Err(SignatureError::Mismatch);
        }
        let signature = EdSignature::from_slice(self.sig.signature_bytes())
            .map_err(|_| SignatureError::Mismatch)?;
        point
            .verify_strict(&self.signed_data(namespace, bytes)?, &signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    /// A security key signs a digest of its application, its flags and counter, and the message.
    fn verify_security_key(
        &self,
        application: &str,
        point: &ed25519_dalek::VerifyingKey,
        namespace: &str,
        bytes: &[u8],
    ) -> Result<(), SignatureError> {
        if self.sig.algorithm() != Algorithm::SkEd25519 {
            return Err(SignatureError::Mismatch);
        }
        let (signature, trailer) =
            self.sig.signature_bytes().split_at_checked(64).ok_or(SignatureError::Mismatch)?;
        let [flags, _, _, _, _] = trailer else { return Err(SignatureError::Mismatch) };
        let mut signed = Sha256::digest(application).to_vec();
        signed.extend(trailer);
        signed.extend(Sha256::digest(self.signed_data(namespace, bytes)?));
        let signature = EdSignature::from_slice(signature).map_err(|_| SignatureError::Mismatch)?;
        point.verify_strict(&signed, &signature).map_err(|_| SignatureError::Mismatch)?;
        if flags & USER_PRESENT == 0 { Err(SignatureError::NotTouched) } else { Ok(()) }
    }
}

/// Signs `bytes` in `namespace`; the armored SSHSIG that `ssh-keygen -Y verify` accepts.
///
/// # Errors
/// Whatever keeps the signer from signing.
pub fn sign_detached(
    signer: &dyn Signer,
    namespace: &str,
    bytes: &[u8],
) -> Result<String, SigningError> {
    signer.sign(namespace, bytes)
}

/// Verifies an armored SSHSIG of `bytes` in `namespace` by one of `keys`, and tells by which.
///
/// # Errors
/// When the signature is malformed, made in another namespace, by none of the keys, or over
/// other bytes.
pub fn verify_detached<'k>(
    keys: &'k [PublicKey],
    namespace: &str,
    bytes: &[u8],
    armored: &[u8],
) -> Result<&'k PublicKey, SignatureError> {
    let signature = DetachedSignature::parse(armored)?;
    let key = keys
        .iter()
        .find(|key| signature.names(key))
        .ok_or_else(|| SignatureError::ForeignKey(signature.fingerprint()))?;
    signature.verify(key, namespace, bytes)?;
    Ok(key)
}
