use std::collections::BTreeMap;
use std::sync::Arc;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::{Identity as _, IsIdentity as _, VartimeMultiscalarMul as _};
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

/// From this many signatures on the common sum is cheaper than one verification each.
const BATCH_MIN: usize = 16;

struct Key {
    scalar: Scalar,
    prefix: [u8; 32],
    public: [u8; 32],
    point: EdwardsPoint,
}

/// Ed25519 with a large table of the base point: the signatures of RFC 8032, byte for byte, in half
/// the time, because millions of them are the greater part of a simulation. Batches are verified
/// with the usual random linear combination, in which each key occurs once however often it signed.
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
    let public = inner.public_key(id)?.0;
    let point = CompressedEdwardsY(public).decompress()?;
    Some(Key { scalar, prefix, public, point })
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

/// The sums that vanish for valid signatures: `-sum(z s) B + sum(z R) + sum(z h A) = 0`.
#[derive(Default)]
struct Combination<'a> {
    base: Scalar,
    keys: BTreeMap<KeyId, (Scalar, &'a EdwardsPoint)>,
    scalars: Vec<Scalar>,
    points: Vec<EdwardsPoint>,
}

impl Signer {
    /// Whether all signatures are valid; `None` when one of them is malformed.
    fn check_batch(&self, signed: &[SignedMessage<'_>]) -> Option<bool> {
        let mut parsed = Vec::with_capacity(signed.len());
        let mut transcript = Sha512::new();
        for each in signed {
            let key = self.keys.get(&each.key)?;
            let (mut commitment, mut response) = ([0; 32], [0; 32]);
            commitment.copy_from_slice(&each.signature.0[..32]);
            response.copy_from_slice(&each.signature.0[32..]);
            let challenge = hash([&commitment, &key.public, each.message]);
            transcript.update(challenge.to_bytes());
            transcript.update(response);
            let response: Option<Scalar> = Scalar::from_canonical_bytes(response).into();
            parsed.push((each.key, key, CompressedEdwardsY(commitment), challenge, response?));
        }
        let seed = transcript.finalize();
        let mut sum = Combination::default();
        for (index, (id, key, commitment, challenge, response)) in parsed.into_iter().enumerate() {
            let weight = weight(&seed, index);
            sum.base -= weight * response;
            sum.scalars.push(weight);
            sum.points.push(commitment.decompress()?);
            sum.keys.entry(id).or_insert((Scalar::ZERO, &key.point)).0 += weight * challenge;
        }
        for (coefficient, point) in sum.keys.into_values() {
            sum.scalars.push(coefficient);
            sum.points.push(*point);
        }
        sum.scalars.push(sum.base);
        sum.points.push(ED25519_BASEPOINT_POINT);
        Some(EdwardsPoint::vartime_multiscalar_mul(&sum.scalars, &sum.points).is_identity())
    }
}

/// 128 bits that nobody can foresee without all the signatures.
fn weight(seed: &[u8], index: usize) -> Scalar {
    let mut hasher = Sha512::new();
    hasher.update(seed);
    hasher.update((index as u64).to_le_bytes());
    let mut low = [0; 16];
    low.copy_from_slice(&hasher.finalize()[..16]);
    Scalar::from(u128::from_le_bytes(low))
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
        if signed.len() < BATCH_MIN {
            return self.inner.verify_batch(signed);
        }
        self.check_batch(signed).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;
    use devnet::{Crypto as _, Ed25519, KeyId, NetworkSpec, SignedMessage};
    use proptest::prelude::*;

    #[test]
    fn an_unknown_key_signs_nothing() {
        assert!(Signer::new(&NetworkSpec::default()).sign(KeyId(u32::MAX), b"").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn batches_are_judged_as_by_ed25519_dalek(count in 16_usize..60, index: prop::sample::Index, byte in 0_usize..64, flip: u8, keys in 1_u32..18) {
            let spec = NetworkSpec { validators: 16, committee: 8, ..NetworkSpec::default() };
            let (signer, dalek) = (Signer::new(&spec), Ed25519::new(&spec));
            let texts: Vec<[u8; 8]> = (0..count as u64).map(u64::to_le_bytes).collect();
            let mut signed: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(number, message)| {
                    let key = KeyId(number as u32 % keys);
                    SignedMessage { key, message, signature: signer.sign(key, message).unwrap() }
                })
                .collect();
            signed[index.index(count)].signature.0[byte] ^= flip;
            prop_assert_eq!(signer.verify_batch(&signed), flip == 0);
            prop_assert_eq!(dalek.verify_batch(&signed), flip == 0);
            signed[index.index(count)].signature.0[byte] ^= flip;
            signed[index.index(count)].key = KeyId(18);
            prop_assert!(!signer.verify_batch(&signed));
            signed[index.index(count)].key = KeyId(u32::MAX);
            prop_assert!(!signer.verify_batch(&signed));
        }
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
