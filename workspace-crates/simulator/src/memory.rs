use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Digest;
use devnet::{
    Block, Compute, Crypto, ExecutionError, JobOutput, KeyId, NetworkSpec, Signature,
    SignedMessage, State, Transaction, TransactionBatch,
};

use crate::pool::{Cell, Counting, Deferred, Message, Pool, Prepared, WorkerDied};

/// Entries of one generation; the older of two generations is forgotten when the newer is full.
const GENERATION: usize = 1 << 15;

/// Keys that are digests or signatures need no further mixing.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map that forgets its oldest entries. It is never iterated, so its order shows nowhere.
struct Recent<K, V> {
    young: HashMap<K, V, BuildHasherDefault<Taken>>,
    old: HashMap<K, V, BuildHasherDefault<Taken>>,
}

impl<K: Eq + std::hash::Hash, V> Recent<K, V> {
    fn new() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// A signature that was made in this simulation.
struct Made {
    key: KeyId,
    message: u64,
    rest: u64,
    /// Its verification was asked for, and so put off.
    asked: bool,
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let count = bytes.len().min(8);
    word[..count].copy_from_slice(&bytes[..count]);
    u64::from_le_bytes(word)
}

fn fold(bytes: &[u8]) -> u64 {
    let mut hasher = Taken::default();
    hasher.write(bytes);
    hasher.finish()
}

struct Inner {
    pool: Pool,
    made: Recent<u64, Made>,
    executed: Recent<(Digest, Digest), Result<Arc<State>, ExecutionError>>,
    batches: Recent<Digest, bool>,
    blocks: Recent<Digest, bool>,
    executions: u64,
    executions_remembered: u64,
    verifications_remembered: u64,
    unconserved: Option<Digest>,
}

/// Answers each question once for all nodes.
///
/// A signature that was made in this simulation is valid by the scheme's own correctness: the
/// answer is given at once, and the verification is really made, in large batches, before
/// [`Memory::settle`] returns. Any other signature is verified on the spot.
pub(crate) struct Memory {
    crypto: Arc<Counting>,
    domain: Digest,
    inner: Mutex<Inner>,
}

/// What was counted.
pub(crate) struct Counted {
    pub(crate) executions: u64,
    pub(crate) executions_remembered: u64,
    pub(crate) verifications_remembered: u64,
}

impl Memory {
    pub(crate) fn new(spec: &NetworkSpec, threads: usize) -> std::io::Result<Self> {
        let crypto = Arc::new(Counting::new(spec));
        let inner = Inner {
            pool: Pool::new(Arc::clone(&crypto), threads)?,
            made: Recent::new(),
            executed: Recent::new(),
            batches: Recent::new(),
            blocks: Recent::new(),
            executions: 0,
            executions_remembered: 0,
            verifications_remembered: 0,
            unconserved: None,
        };
        Ok(Self { crypto, domain: spec.domain(), inner: Mutex::new(inner) })
    }

    pub(crate) fn counting(&self) -> &Counting {
        &self.crypto
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counted(&self) -> Counted {
        let inner = self.inner();
        Counted {
            executions: inner.executions,
            executions_remembered: inner.executions_remembered,
            verifications_remembered: inner.verifications_remembered,
        }
    }

    /// Root of a state whose accounts do not own the supply, when one was ever executed.
    pub(crate) fn unconserved(&self) -> Option<Digest> {
        self.inner().unconserved
    }

    pub(crate) fn settle(&self) -> Result<bool, WorkerDied> {
        self.inner().pool.settle()
    }

    /// Starts a job. What depends on shared memory is looked up now, so that its order never
    /// depends on threads.
    pub(crate) fn start(&self, job: devnet::Job) -> Arc<Cell> {
        let mut prepared = Prepared {
            crypto: Arc::clone(&self.crypto.inner),
            domain: self.domain,
            executed: None,
            valid: false,
        };
        match &job {
            devnet::Job::VerifyAttestations { .. } => {
                let output = job.run(self);
                return Cell::done(job, prepared, output);
            }
            devnet::Job::Attest { parent, block, .. } => {
                prepared.executed = Some(self.execute(parent, block));
                prepared.valid = self.transactions_are_valid(block);
            }
            _ => {}
        }
        let cell = Cell::new(job, prepared);
        self.inner().pool.submit(&cell);
        cell
    }

    /// Waits for a job and remembers the signatures that it made.
    pub(crate) fn finish(&self, cell: &Arc<Cell>) -> Result<JobOutput, WorkerDied> {
        let mut inner = self.inner();
        let output = inner.pool.finish(cell)?;
        inner.pool.tidy();
        match (&output, cell.job()) {
            (JobOutput::Attested(Ok(signature)), devnet::Job::Attest { validator, block, .. }) => {
                self.crypto.count(1);
                let root = block.attestation_root(&self.domain);
                inner.remember(KeyId::node(*validator), &root.0, signature);
            }
            (JobOutput::Proven(Ok(_)), _) => self.crypto.count(1),
            (JobOutput::Signed(transactions), _) => {
                self.crypto.count(transactions.len());
                for transaction in transactions {
                    let text = transaction.signing_bytes(&self.domain);
                    inner.remember(KeyId::user(transaction.from), &text, &transaction.signature);
                }
            }
            _ => {}
        }
        Ok(output)
    }

    fn all_valid(&self, inner: &mut Inner, transactions: &[Arc<Transaction>]) -> bool {
        transactions.iter().all(|transaction| {
            let text = transaction.signing_bytes(&self.domain);
            let key = KeyId::user(transaction.from);
            let message = || Message::Text(Box::new(text));
            inner.is_valid(&self.crypto, key, &text, &transaction.signature, message)
        })
    }
}

impl Inner {
    fn remember(&mut self, key: KeyId, message: &[u8], signature: &Signature) {
        let (first, rest) = (word(&signature.0), fold(&signature.0[8..]));
        self.made.insert(first, Made { key, message: fold(message), rest, asked: false });
    }

    fn is_valid(
        &mut self,
        crypto: &Counting,
        key: KeyId,
        text: &[u8],
        signature: &Signature,
        message: impl FnOnce() -> Message,
    ) -> bool {
        let first = word(&signature.0);
        let made = self.made.get_mut(&first).filter(|made| {
            made.key == key && made.message == fold(text) && made.rest == fold(&signature.0[8..])
        });
        match made {
            Some(made) if made.asked => {
                self.verifications_remembered += 1;
                true
            }
            Some(made) => {
                made.asked = true;
                let deferred = Deferred { key, message: message(), signature: *signature };
                self.pool.defer(deferred);
                true
            }
            None => crypto.verify(&SignedMessage { key, message: text, signature: *signature }),
        }
    }
}

impl Compute for Memory {
    fn crypto(&self) -> &dyn Crypto {
        &*self.crypto
    }

    fn domain(&self) -> Digest {
        self.domain
    }

    fn execute(&self, parent: &Arc<State>, block: &Block) -> Result<Arc<State>, ExecutionError> {
        let mut inner = self.inner();
        let key = (parent.root(), block.digest());
        if let Some(executed) = inner.executed.get(&key) {
            let executed = executed.clone();
            inner.executions_remembered += 1;
            return executed;
        }
        let executed = devnet::execute(parent, block);
        inner.executions += 1;
        if let Ok(state) = &executed
            && !state.is_conserved()
        {
            inner.unconserved = Some(state.root());
        }
        inner.executed.insert(key, executed.clone());
        executed
    }

    fn batch_is_valid(&self, batch: &TransactionBatch) -> bool {
        let mut inner = self.inner();
        if let Some(valid) = inner.batches.get(&batch.digest()).copied() {
            inner.verifications_remembered += batch.transactions().len() as u64;
            return valid;
        }
        let valid = self.all_valid(&mut inner, batch.transactions());
        inner.batches.insert(batch.digest(), valid);
        valid
    }

    fn transactions_are_valid(&self, block: &Block) -> bool {
        let mut inner = self.inner();
        if let Some(valid) = inner.blocks.get(&block.digest()).copied() {
            inner.verifications_remembered += block.transactions().len() as u64;
            return valid;
        }
        let valid = self.all_valid(&mut inner, block.transactions());
        inner.blocks.insert(block.digest(), valid);
        valid
    }

    fn valid_attestations(
        &self,
        root: &Digest,
        attestations: &[(devnet::NodeId, Signature)],
    ) -> Vec<bool> {
        let mut inner = self.inner();
        let mut valid = Vec::with_capacity(attestations.len());
        for (node, signature) in attestations {
            let (key, message) = (KeyId::node(*node), || Message::Root(*root));
            valid.push(inner.is_valid(&self.crypto, key, &root.0, signature, message));
        }
        valid
    }
}
