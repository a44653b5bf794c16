use std::collections::BTreeMap;
use std::sync::Arc;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::Identity as _;
use devnet::{
    Crypto, CryptoKind, Ed25519, KeyId, NetworkSpec, NodeId, PublicKey, Signature, SignedMessage,
    State,
};
use sha2::{Digest as _, Sha512};

/// The provider that `spec` asks for, with the fast signer for Ed25519.
pub(crate) fn provider(spec: &NetworkSpec) -> Arc<dyn Crypto> {
    match spec.crypto {
        CryptoKind::Ed25519 => Arc::new(Signer::new(spec)),
        CryptoKind::KeyedHash => Arc::from(devnet::provider(spec)),
    }
}

/// Digits of a scalar in base 256, and multiples of the base point for each but zero.
const DIGITS: usize = 32;
const MULTIPLES: usize = 255;

struct Key {
    scalar: Scalar,
    prefix: [u8; 32],
    public: [u8; 32],
}

/// Ed25519 with a large table of the base point: the signatures of RFC 8032, byte for byte, in half
/// the time, because millions of them are the greater part of a simulation.
///
/// The time of a signature depends on the secret. Here that gives nothing away: a network's keys
/// follow from its published seed.
struct Signer {
    inner: Ed25519,
    keys: BTreeMap<KeyId, Key>,
    table: Box<[EdwardsPoint]>,
}

impl Signer {
    fn new(spec: &NetworkSpec) -> Self {
        let inner = Ed25519::new(spec);
        let nodes = (0..spec.node_count()).map(|number| KeyId::node(NodeId(number)));
        let users = (0..State::USERS).map(KeyId::user);
        let expand = |id: KeyId| Some((id, expand(&inner, id)?));
        let keys = nodes.chain(users).filter_map(expand).collect();
        Self { inner, keys, table: table() }
    }

    fn times_base(&self, scalar: &Scalar) -> EdwardsPoint {
        let mut sum = EdwardsPoint::identity();
        for (row, digit) in self.table.chunks_exact(MULTIPLES).zip(scalar.to_bytes()) {
            if let Some(multiple) = usize::from(digit).checked_sub(1) {
                sum += row[multiple];
            }
        }
        sum
    }
}

fn expand(inner: &Ed25519, id: KeyId) -> Option<Key> {
    let hash = Sha512::digest(inner.secret_key(id)?);
    let (mut low, mut prefix) = ([0; 32], [0; 32]);
    low.copy_from_slice(&hash[..32]);
    prefix.copy_from_slice(&hash[32..]);
    let scalar = Scalar::from_bytes_mod_order(clamp_integer(low));
    Some(Key { scalar, prefix, public: inner.public_key(id)?.0 })
}

/// For each digit's place the multiples 1 to 255 of the base point.
fn table() -> Box<[EdwardsPoint]> {
    let mut table = Vec::with_capacity(DIGITS * MULTIPLES);
    let mut unit = ED25519_BASEPOINT_POINT;
    for _ in 0..DIGITS {
        let mut multiple = unit;
        for _ in 0..MULTIPLES {
            table.push(multiple);
            multiple += unit;
        }
        unit = multiple;
    }
    table.into_boxed_slice()
}

fn hash(parts: [&[u8]; 3]) -> Scalar {
    let mut hasher = Sha512::new();
    for part in parts {
        hasher.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

impl Crypto for Signer {
    fn kind(&self) -> CryptoKind {
        CryptoKind::Ed25519
    }

    fn public_key(&self, key: KeyId) -> Option<PublicKey> {
        self.inner.public_key(key)
    }

    fn sign(&self, key: KeyId, message: &[u8]) -> Option<Signature> {
        let key = self.keys.get(&key)?;
        let nonce = hash([&key.prefix, message, &[]]);
        let commitment = self.times_base(&nonce).compress().to_bytes();
        let challenge = hash([&commitment, &key.public, message]);
        let response = challenge * key.scalar + nonce;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&commitment);
        signature[32..].copy_from_slice(&response.to_bytes());
        Some(Signature(signature))
    }

    fn verify(&self, signed: &SignedMessage<'_>) -> bool {
        self.inner.verify(signed)
    }

    fn verify_batch(&self, signed: &[SignedMessage<'_>]) -> bool {
        self.inner.verify_batch(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;
    use devnet::{Crypto as _, Ed25519, KeyId, NetworkSpec};
    use proptest::prelude::*;

    #[test]
    fn an_unknown_key_signs_nothing() {
        assert!(Signer::new(&NetworkSpec::default()).sign(KeyId(u32::MAX), b"").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn signatures_are_those_of_ed25519_dalek(seed: u64, key in 0_u32..51, message in prop::collection::vec(any::<u8>(), 0..200)) {
            let spec = NetworkSpec { seed, validators: 16, committee: 8, ..NetworkSpec::default() };
            let key = if key < 19 { KeyId(key) } else { KeyId::user(key % 16) };
            let ours = Signer::new(&spec).sign(key, &message);
            prop_assert!(ours.is_some());
            prop_assert_eq!(ours, Ed25519::new(&spec).sign(key, &message));
        }
    }
}
