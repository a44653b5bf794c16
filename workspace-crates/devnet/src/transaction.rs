use std::collections::BTreeMap;
use std::sync::Arc;

use base::Digest;

use crate::wire::{Reader, Wire, WireError, wire_struct};
use crate::{Crypto, KeyId, Signature, SignedMessage};

/// A transfer between two accounts, signed by the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The account that pays.
    pub from: u32,
    /// The account that receives.
    pub to: u32,
    /// What is transferred, in units.
    pub amount: u64,
    /// What the proposer's account receives, in units.
    pub fee: u64,
    /// The number of transactions that the sender made before.
    pub nonce: u64,
    /// The sender's signature over [`Transaction::signing_bytes`].
    pub signature: Signature,
}

wire_struct!(Transaction { from, to, amount, fee, nonce, signature });

impl Transaction {
    /// What the sender signs: the network's domain and every field but the signature.
    #[must_use]
    pub fn signing_bytes(&self, domain: &Digest) -> [u8; 68] {
        let mut bytes = [0; 68];
        bytes[..32].copy_from_slice(&domain.0);
        bytes[32..36].copy_from_slice(b"txn1");
        bytes[36..40].copy_from_slice(&self.from.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.to.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.amount.to_le_bytes());
        bytes[52..60].copy_from_slice(&self.fee.to_le_bytes());
        bytes[60..68].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }
}

/// Transactions that travel together, with a digest that is computed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionBatch {
    transactions: Vec<Arc<Transaction>>,
    digest: Digest,
    last_nonces: Vec<(u32, u64)>,
}

impl TransactionBatch {
    /// Puts transactions together; those of one sender must be in the order of their nonces.
    #[must_use]
    pub fn new(transactions: Vec<Arc<Transaction>>) -> Self {
        let digest = digest_of(&transactions);
        let mut highest = BTreeMap::new();
        for transaction in &transactions {
            let nonce = highest.entry(transaction.from).or_insert(transaction.nonce);
            *nonce = transaction.nonce.max(*nonce);
        }
        let last_nonces = highest.into_iter().collect();
        Self { transactions, digest, last_nonces }
    }

    /// The transactions.
    #[must_use]
    pub fn transactions(&self) -> &[Arc<Transaction>] {
        &self.transactions
    }

    /// Digest of all transactions with their signatures.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Per sender the highest nonce in the batch: enough to tell that all of it was executed.
    #[must_use]
    pub fn last_nonces(&self) -> &[(u32, u64)] {
        &self.last_nonces
    }

    /// Whether every signature is valid.
    #[must_use]
    pub fn is_valid(&self, crypto: &dyn Crypto, domain: &Digest) -> bool {
        transactions_are_valid(&self.transactions, crypto, domain)
    }
}

pub(crate) fn transactions_are_valid(
    transactions: &[Arc<Transaction>],
    crypto: &dyn Crypto,
    domain: &Digest,
) -> bool {
    let texts: Vec<_> = transactions.iter().map(|each| each.signing_bytes(domain)).collect();
    let signed: Vec<_> = transactions
        .iter()
        .zip(&texts)
        .map(|(each, text)| SignedMessage {
            key: KeyId::user(each.from),
            message: text,
            signature: each.signature,
        })
        .collect();
    crypto.verify_batch(&signed)
}

pub(crate) fn digest_of(transactions: &[Arc<Transaction>]) -> Digest {
    let mut bytes = Vec::with_capacity(transactions.len() * 96);
    for transaction in transactions {
        transaction.put(&mut bytes);
    }
    Digest::of(&bytes)
}

impl Wire for TransactionBatch {
    fn put(&self, out: &mut Vec<u8>) {
        self.transactions.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::new(Wire::take(input)?))
    }
}

/// Value that was locked on L1 and is credited on L2 exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Its number: the first deposit of a network has 0.
    pub number: u64,
    /// The L2 account that is credited.
    pub account: u32,
    /// How much, in units.
    pub amount: u64,
}

wire_struct!(Deposit { number, account, amount });
