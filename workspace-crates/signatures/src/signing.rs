//! Who signs, and with what.

mod keygen;

pub use keygen::SshKeygenSigner;

use std::fmt;
use std::path::{Path, PathBuf};

use base::PrincipalId;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::keys::{KeyError, PublicKey};

/// Why something could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key file cannot be read.
    #[error("the key file {path} cannot be read: {source}; name an OpenSSH private key file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner can read or write the key file.
    #[error(
        "the key file {path} has the mode {mode:03o}, so others can use it; run `chmod 600 {path}` and replace the key if it was shared"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not an OpenSSH private key.
    #[error(
        "{origin} cannot be read as an OpenSSH private key ({cause}); `ssh-keygen -t ed25519 -f FILE` makes one"
    )]
    NotAKey {
        /// Where the text came from.
        origin: String,
        /// What the library said; never key material.
        cause: String,
    },
    /// A key that needs a passphrase.
    #[error(
        "the key in {origin} is encrypted; people sign with it through ssh-keygen, and jobs with a key without passphrase that is kept in a secret store"
    )]
    Encrypted {
        /// Where the text came from.
        origin: String,
    },
    /// A kind of key that roles cannot hold.
    #[error("the key in {origin} cannot sign here: {source}")]
    Kind {
        /// Where the text came from.
        origin: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The key cannot make bare Ed25519 signatures.
    #[error(
        "the key of `{0}` cannot make the bare Ed25519 signature of a DSSE envelope; use an Ed25519 key file"
    )]
    NoBareSignature(PrincipalId),
    /// The signature could not be made.
    #[error("`{principal}` could not sign: {cause}")]
    Failed {
        /// Who was to sign.
        principal: PrincipalId,
        /// What the library said; never key material.
        cause: String,
    },
}

/// Somebody who can sign. Tests and rehearsals use keys in memory, CI a key file.
pub trait Signer {
    /// On whose behalf this signs.
    fn principal(&self) -> &PrincipalId;

    /// The public key that verifies the signatures.
    fn public_key(&self) -> &PublicKey;

    /// Makes an armored SSHSIG over `bytes` in `namespace`.
    ///
    /// # Errors
    /// When the key cannot be used.
    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<String, SigningError>;

    /// Makes a bare Ed25519 signature over `bytes`, as DSSE envelopes need it.
    ///
    /// # Errors
    /// When the key is of another kind, or sits behind an agent that only makes SSHSIGs.
    fn sign_bare_ed25519(&self, bytes: &[u8]) -> Result<[u8; 64], SigningError>;
}

/// Signs with an OpenSSH private key without passphrase.
pub struct SshKeySigner {
    principal: PrincipalId,
    key: PrivateKey,
    public: PublicKey,
}

impl fmt::Debug for SshKeySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKeySigner")
            .field("principal", &self.principal)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl SshKeySigner {
    /// Reads a private key file.
    ///
    /// # Errors
    /// When the file is missing, unreadable, readable by others, no private key, or encrypted.
    pub fn from_file(principal: PrincipalId, path: &Path) -> Result<Self, SigningError> {
        let unreadable = |source| SigningError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        refuse_exposed(path, &file.metadata().map_err(unreadable)?)?;
        let text = read_small(file).map_err(unreadable)?;
        Self::from_openssh_named(principal, &text, &path.display().to_string())
    }

    /// Takes the text of a private key, as rehearsals generate it.
    ///
    /// # Errors
    /// When the text is no private key, or one that is encrypted or of a kind that is not taken.
    pub fn from_openssh(principal: PrincipalId, text: &str) -> Result<Self, SigningError> {
        Self::from_openssh_named(principal, text.as_bytes(), "the text given")
    }

    fn from_openssh_named(
        principal: PrincipalId,
        text: &[u8],
        origin: &str,
    ) -> Result<Self, SigningError> {
        let origin = || origin.to_owned();
        let key = PrivateKey::from_openssh(text).map_err(|cause| SigningError::NotAKey {
            origin: origin(),
            cause: cause.to_string(),
        })?;
        if key.is_encrypted() {
            return Err(SigningError::Encrypted { origin: origin() });
        }
        let public = PublicKey::from_data(key.public_key().key_data().clone())
            .map_err(|source| SigningError::Kind { origin: origin(), source })?;
        Ok(Self { principal, key, public })
    }

    fn failed(&self, cause: impl fmt::Display) -> SigningError {
        SigningError::Failed { principal: self.principal.clone(), cause: cause.to_string() }
    }
}

/// A key file is a few hundred bytes to a few kilobytes; more is no key file.
fn read_small(file: std::fs::File) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
    let mut text = Vec::new();
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SigningError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(SigningError::Exposed { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), SigningError> {
    Ok(())
}

impl Signer for SshKeySigner {
    fn principal(&self) -> &PrincipalId {
        &self.principal
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<String, SigningError> {
        self.key
            .sign(namespace, HashAlg::Sha512, bytes)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|cause| self.failed(cause))
    }

    fn sign_bare_ed25519(&self, bytes: &[u8]) -> Result<[u8; 64], SigningError> {
        use ed25519_dalek::Signer as _;
        let pair = self
            .key
            .key_data()
            .ed25519()
            .ok_or_else(|| SigningError::NoBareSignature(self.principal.clone()))?;
        let key = ed25519_dalek::SigningKey::try_from(pair).map_err(|cause| self.failed(cause))?;
        Ok(key.sign(bytes).to_bytes())
    }
}
