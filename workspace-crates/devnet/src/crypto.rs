use std::sync::OnceLock;

use base::Digest;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::wire::{Reader, Wire, WireError};
use crate::{NetworkSpec, NodeId, State};

/// Which signature scheme a network uses; recorded with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptoKind {
    /// Ed25519 as in RFC 8032.
    Ed25519,
    /// Keyed hashes: fast, and no signatures at all. Never counts as a real network.
    KeyedHash,
}

impl CryptoKind {
    /// The scheme's name as evidence states it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::KeyedHash => "keyed-hash",
        }
    }
}

/// Who signs: a node or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

impl KeyId {
    const USERS: u32 = 1 << 24;

    /// The key of a node.
    #[must_use]
    pub const fn node(id: NodeId) -> Self {
        Self(id.0)
    }

    /// The key of a user's account.
    #[must_use]
    pub const fn user(account: u32) -> Self {
        Self(Self::USERS.saturating_add(account))
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

/// A signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Wire for Signature {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Wire::take(input)?))
    }
}

/// A signature with what it signs and who signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// Who is said to have signed.
    pub key: KeyId,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: Signature,
}

/// Signs and verifies with the keys of one network.
pub trait Crypto: Send + Sync {
    /// The scheme.
    fn kind(&self) -> CryptoKind;

    /// The public key; `None` for a key that the network does not have.
    fn public_key(&self, key: KeyId) -> Option<PublicKey>;

    /// A signature, the same for the same message; `None` without the secret key.
    fn sign(&self, key: KeyId, message: &[u8]) -> Option<Signature>;

    /// Whether the signature is valid. An unknown key's never is.
    fn verify(&self, signed: &SignedMessage<'_>) -> bool;

    /// Whether all signatures are valid.
    fn verify_batch(&self, signed: &[SignedMessage<'_>]) -> bool {
        signed.iter().all(|each| self.verify(each))
    }
}

/// The provider that `spec` asks for, with the keys of all its nodes and users.
#[must_use]
pub fn provider(spec: &NetworkSpec) -> Box<dyn Crypto> {
    match spec.crypto {
        CryptoKind::Ed25519 => Box::new(Ed25519::new(spec)),
        CryptoKind::KeyedHash => Box::new(KeyedHash::new(spec)),
    }
}

fn secret(spec: &NetworkSpec, key: KeyId) -> [u8; 32] {
    let text = format!("devnet/1/key/{}/{}/{}", spec.network, spec.seed, key.0);
    Digest::of(text.as_bytes()).0
}

fn all_keys(spec: &NetworkSpec) -> impl Iterator<Item = KeyId> {
    (0..spec.node_count()).map(KeyId).chain((0..State::USERS).map(KeyId::user))
}

fn index_of(nodes: usize, count: usize, key: KeyId) -> Option<usize> {
    let index = match key.0.checked_sub(KeyId::USERS) {
        Some(user) => nodes.checked_add(user as usize)?,
        None if (key.0 as usize) < nodes => key.0 as usize,
        None => return None,
    };
    (index < count).then_some(index)
}

/// Real Ed25519. Keys come from the network's seed: they protect nothing of value.
///
/// A single verification is strict (canonical encodings, no points of small order). A batch
/// checks one random linear combination: it accepts what strict verification accepts, and in
/// addition crafted signatures of a key's own owner whose torsion parts cancel.
#[derive(Debug)]
pub struct Ed25519 {
    nodes: usize,
    secrets: Vec<[u8; 32]>,
    /// Derived when first used: a node of 300 uses few keys before it has to be ready.
    keys: Vec<OnceLock<SigningKey>>,
}

impl Ed25519 {
    /// The keys of all nodes and users of `spec`.
    #[must_use]
    pub fn new(spec: &NetworkSpec) -> Self {
        let secrets: Vec<[u8; 32]> = all_keys(spec).map(|key| secret(spec, key)).collect();
        let keys = secrets.iter().map(|_| OnceLock::new()).collect();
        Self { nodes: spec.node_count() as usize, secrets, keys }
    }

    /// The secret key, for a host that signs by itself; `None` for an unknown key.
    #[must_use]
    pub fn secret_key(&self, key: KeyId) -> Option<[u8; 32]> {
        self.secrets.get(index_of(self.nodes, self.keys.len(), key)?).copied()
    }

    fn key(&self, key: KeyId) -> Option<&SigningKey> {
        let index = index_of(self.nodes, self.keys.len(), key)?;
        let secret = self.secrets.get(index)?;
        Some(self.keys.get(index)?.get_or_init(|| SigningKey::from_bytes(secret)))
    }
}

/// Below this many signatures single verification is as fast and stricter.
const BATCH_MIN: usize = 3;

impl Crypto for Ed25519 {
    fn kind(&self) -> CryptoKind {
        CryptoKind::Ed25519
    }

    fn public_key(&self, key: KeyId) -> Option<PublicKey> {
        Some(PublicKey(self.key(key)?.verifying_key().to_bytes()))
    }

    fn sign(&self, key: KeyId, message: &[u8]) -> Option<Signature> {
        Some(Signature(self.key(key)?.sign(message).to_bytes()))
    }

    fn verify(&self, signed: &SignedMessage<'_>) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signed.signature.0);
        self.key(signed.key).is_some_and(|key| {
            key.verifying_key().verify_strict(signed.message, &signature).is_ok()
        })
    }

    fn verify_batch(&self, signed: &[SignedMessage<'_>]) -> bool {
        if signed.len() < BATCH_MIN {
            return signed.iter().all(|each| self.verify(each));
        }
        let keys: Option<Vec<VerifyingKey>> =
            signed.iter().map(|each| Some(self.key(each.key)?.verifying_key())).collect();
        let Some(keys) = keys else { return false };
        let messages: Vec<&[u8]> = signed.iter().map(|each| each.message).collect();
        let signatures: Vec<_> = signed
            .iter()
            .map(|each| ed25519_dalek::Signature::from_bytes(&each.signature.0))
            .collect();
        ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok()
    }
}

/// Keyed SHA-256 in place of signatures, to tell the cost of a simulation from that of signatures.
#[derive(Debug)]
pub struct KeyedHash {
    nodes: usize,
    keys: Vec<[u8; 32]>,
}

impl KeyedHash {
    /// Derives the keys of all nodes and users of `spec`.
    #[must_use]
    pub fn new(spec: &NetworkSpec) -> Self {
        let keys = all_keys(spec).map(|key| secret(spec, key)).collect();
        Self { nodes: spec.node_count() as usize, keys }
    }

    fn key(&self, key: KeyId) -> Option<&[u8; 32]> {
        self.keys.get(index_of(self.nodes, self.keys.len(), key)?)
    }
}

impl Crypto for KeyedHash {
    fn kind(&self) -> CryptoKind {
        CryptoKind::KeyedHash
    }

    fn public_key(&self, key: KeyId) -> Option<PublicKey> {
        Some(PublicKey(Digest::of(self.key(key)?).0))
    }

    fn sign(&self, key: KeyId, message: &[u8]) -> Option<Signature> {
        let mut bytes = self.key(key)?.to_vec();
        bytes.extend_from_slice(message);
        let tag = Digest::of(&bytes).0;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&tag);
        signature[32..].copy_from_slice(&tag);
        Some(Signature(signature))
    }

    fn verify(&self, signed: &SignedMessage<'_>) -> bool {
        self.sign(signed.key, signed.message) == Some(signed.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::{CryptoKind, KeyId, SignedMessage, provider};
    use crate::{NetworkSpec, NodeId};

    fn check(kind: CryptoKind) {
        let spec = NetworkSpec { crypto: kind, ..NetworkSpec::default() };
        let crypto = provider(&spec);
        let keys: Vec<_> = (2..12).map(|n| KeyId::node(NodeId(n))).collect();
        let mut signed: Vec<_> = keys
            .iter()
            .map(|key| SignedMessage {
                key: *key,
                message: b"block",
                signature: crypto.sign(*key, b"block").unwrap(),
            })
            .collect();
        assert!(crypto.verify_batch(&signed) && signed.iter().all(|each| crypto.verify(each)));
        signed[4].signature.0[40] ^= 1;
        assert!(!crypto.verify(&signed[4]) && !crypto.verify_batch(&signed));
        signed[4] = SignedMessage { key: keys[5], ..signed[3] };
        assert!(!crypto.verify(&signed[4]) && !crypto.verify_batch(&signed));
        signed[4] = SignedMessage { message: b"other", ..signed[3] };
        assert!(!crypto.verify_batch(&signed));
        assert!(crypto.sign(KeyId(1_000_000), b"").is_none());
        assert!(!crypto.verify(&SignedMessage { key: KeyId(u32::MAX), ..signed[0] }));
    }

    #[test]
    fn tampered_foreign_and_unknown_signatures_are_refused() {
        check(CryptoKind::Ed25519);
        check(CryptoKind::KeyedHash);
    }

    #[test]
    fn another_network_has_other_keys() {
        let key = |seed| {
            let spec = NetworkSpec { seed, ..NetworkSpec::default() };
            provider(&spec).public_key(KeyId(2))
        };
        assert!(key(1).is_some() && key(1) != key(2));
    }
}
