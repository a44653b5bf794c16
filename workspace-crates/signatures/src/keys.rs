//! Public keys of principals, and new key pairs.

use std::fmt;

use ed25519_dalek::VerifyingKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{EcdsaCurve, HashAlg, LineEnding, PrivateKey};

/// The smallest RSA modulus that is taken, in bits.
pub const RSA_BITS_MIN: u32 = 3_072;

/// Why a text is not a public key that roles may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an OpenSSH public key.
    #[error(
        "`{0}` is not an OpenSSH public key; write its one line, such as `ssh-ed25519 AAAA… name`"
    )]
    Malformed(String),
    /// The private half of a key, which is never quoted.
    #[error("it is a private key; the public half is in the file that ends in `.pub`")]
    Private,
    /// A kind of key that is not taken.
    #[error("keys of the kind {0} are not taken; use Ed25519, sk-Ed25519, P-256, or RSA")]
    Kind(String),
    /// An RSA modulus that is too short.
    #[error("the RSA key has {0} bits; at least {RSA_BITS_MIN} are required")]
    Short(u32),
    /// A point that is no Ed25519 public key, or one of low order, which anybody can sign for.
    #[error("the Ed25519 key is not a point of full order; anybody could sign for it")]
    WeakPoint,
}

/// A public key of one of the kinds that roles may hold.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) data: KeyData,
    /// The point of an Ed25519 or sk-Ed25519 key, unpacked once.
    pub(crate) point: Option<VerifyingKey>,
}

impl PublicKey {
    /// Reads one line as in `id_ed25519.pub`; a comment is ignored.
    ///
    /// # Errors
    /// When the text is no OpenSSH public key, or one of a kind or length that is not taken.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let key = ssh_key::PublicKey::from_openssh(text.trim())
            .map_err(|_| KeyError::Malformed(text.chars().take(60).collect()))?;
        Self::from_data(key.key_data().clone())
    }

    pub(crate) fn from_data(data: KeyData) -> Result<Self, KeyError> {
        let point = match &data {
            KeyData::Ed25519(key) => Some(unpack(&key.0)?),
            KeyData::SkEd25519(key) => Some(unpack(&key.public_key().0)?),
            KeyData::Ecdsa(key) if key.curve() == EcdsaCurve::NistP256 => None,
            KeyData::Rsa(key) if modulus_bits(key) >= RSA_BITS_MIN => None,
            KeyData::Rsa(key) => return Err(KeyError::Short(modulus_bits(key))),
            other => return Err(KeyError::Kind(other.algorithm().to_string())),
        };
        Ok(Self { data, point })
    }

    /// The 32 bytes of an Ed25519 key; nothing for other kinds, security keys among them.
    #[must_use]
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        self.data.ed25519().map(|key| key.0)
    }

    /// Whether `signature` is a bare Ed25519 signature of `bytes` by this key, strictly verified.
    /// Never true for other kinds of keys.
    #[must_use]
    pub fn verify_bare_ed25519(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        let point = self.point.filter(|_| self.data.is_ed25519());
        point.is_some_and(|point| point.verify_strict(bytes, &signature).is_ok())
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.data.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The key as one line without comment.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        // Every key of these kinds was decoded from its wire form, so it has one.
        ssh_key::PublicKey::from(self.data.clone()).to_openssh().unwrap_or_default()
    }

    /// What makes two keys the same secret: the bare point or number, whatever wraps it.
    #[must_use]
    pub fn material(&self) -> Vec<u8> {
        match (&self.point, &self.data) {
            (Some(point), _) => point.as_bytes().to_vec(),
            (None, KeyData::Ecdsa(key)) => key.as_sec1_bytes().to_vec(),
            (None, KeyData::Rsa(key)) => key.n().as_bytes().to_vec(),
            (None, _) => self.to_openssh().into_bytes(),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

/// The length of an RSA modulus; the library rounds it up to whole bytes.
fn modulus_bits(key: &RsaPublicKey) -> u32 {
    let first = key.n().as_positive_bytes().and_then(|bytes| bytes.first().copied());
    key.key_size().saturating_sub(first.unwrap_or_default().leading_zeros())
}

fn unpack(bytes: &[u8; 32]) -> Result<VerifyingKey, KeyError> {
    match VerifyingKey::from_bytes(bytes) {
        Ok(point) if !point.is_weak() => Ok(point),
        _ => Err(KeyError::WeakPoint),
    }
}

/// An OpenSSH key pair. The private part never shows in `Debug`.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key file's content, unencrypted; store it with mode 0600.
    pub private_openssh: String,
    /// The public key's one line.
    pub public_openssh: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public_openssh", &self.public_openssh)
            .finish_non_exhaustive()
    }
}

/// Why no key pair was made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// The key has no OpenSSH form.
    #[error("the key cannot be written in OpenSSH form")]
    Encoding(#[from] ssh_key::Error),
}

/// Makes an Ed25519 key pair: from the operating system's randomness, or, for rehearsals, the
/// one that `seed` determines (same seed, same bytes).
///
/// # Errors
/// When the operating system gives no randomness.
pub fn generate_ed25519(seed: Option<[u8; 32]>) -> Result<KeyPair, GenerateError> {
    let seed = match seed {
        Some(seed) => seed,
        None => {
            let mut fresh = [0; 32];
            getrandom::fill(&mut fresh).map_err(GenerateError::Randomness)?;
            fresh
        }
    };
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "phasegate")?;
    Ok(KeyPair {
        private_openssh: key.to_openssh(LineEnding::LF)?.to_string(),
        public_openssh: key.public_key().to_openssh()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{KeyError, PublicKey, generate_ed25519};

    #[test]
    fn the_same_seed_gives_the_same_pair_and_no_seed_a_fresh_one() {
        let pair = |seed| generate_ed25519(seed).unwrap();
        assert_eq!(pair(Some([7; 32])).private_openssh, pair(Some([7; 32])).private_openssh);
        assert_ne!(pair(Some([7; 32])).public_openssh, pair(Some([8; 32])).public_openssh);
        assert_ne!(pair(None).public_openssh, pair(None).public_openssh);
    }

    #[test]
    fn the_private_part_never_shows() {
        let pair = generate_ed25519(Some([7; 32])).unwrap();
        let secret = pair.private_openssh.lines().nth(3).unwrap().to_owned();
        assert!(!format!("{pair:?}").contains(&secret));
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }

    #[test]
    fn foreign_short_and_malformed_keys_are_refused() {
        assert!(matches!(PublicKey::parse("ssh-ed25519 nonsense"), Err(KeyError::Malformed(_))));
        assert!(matches!(PublicKey::parse(""), Err(KeyError::Malformed(_))));
        let p384 = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBC5ugtxUB/EEoREXx8BbGZPDzrPbJfrmi6FpUCpP+TldmtNrVD6AFP8V1wjiHwn1hapt+tV1t5uUNBi4YZjZvNmwf/+TmbFdQ9NO+usuVrezPP+ICyQrPgtYr5bHWEHsQQ==";
        assert!(matches!(PublicKey::parse(p384), Err(KeyError::Kind(_))));
    }

    #[test]
    fn a_point_of_low_order_is_no_key() {
        let mut wire = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        wire.extend([0; 32]);
        let text = ssh_key::PublicKey::from_bytes(&wire).unwrap().to_openssh().unwrap();
        assert_eq!(PublicKey::parse(&text), Err(KeyError::WeakPoint));
    }
}
