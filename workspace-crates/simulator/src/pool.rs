use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use base::Digest;
use devnet::{
    Block, Compute, Crypto, CryptoKind, ExecutionError, Job, JobOutput, KeyId, NetworkSpec,
    PublicKey, Signature, SignedMessage, State,
};

/// Signatures verified at once: larger batches cost less for each signature.
const BATCH: usize = 2_048;
/// Batches that may wait before the simulation itself works on them.
const WAITING_MAX: usize = 2;
/// Jobs that the simulation does itself: so few are sooner done than handed over.
const OWN_JOBS: usize = 16;

/// Counts what the real provider does for the simulation. What jobs sign is counted when they are
/// done, because workers may be ahead of virtual time.
pub(crate) struct Counting {
    pub(crate) inner: Arc<dyn Crypto>,
    pub(crate) signatures: AtomicU64,
    pub(crate) verifications: AtomicU64,
}

impl Counting {
    pub(crate) fn new(spec: &NetworkSpec) -> Self {
        Self {
            inner: crate::signer::provider(spec),
            signatures: AtomicU64::new(0),
            verifications: AtomicU64::new(0),
        }
    }

    /// Counts signatures that jobs made.
    pub(crate) fn count(&self, signatures: usize) {
        self.signatures.fetch_add(signatures as u64, Ordering::Relaxed);
    }
}

impl Crypto for Counting {
    fn kind(&self) -> CryptoKind {
        self.inner.kind()
    }

    fn public_key(&self, key: KeyId) -> Option<PublicKey> {
        self.inner.public_key(key)
    }

    fn sign(&self, key: KeyId, message: &[u8]) -> Option<Signature> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.inner.sign(key, message)
    }

    fn verify(&self, signed: &SignedMessage<'_>) -> bool {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        self.inner.verify(signed)
    }

    fn verify_batch(&self, signed: &[SignedMessage<'_>]) -> bool {
        self.verifications.fetch_add(signed.len() as u64, Ordering::Relaxed);
        self.inner.verify_batch(signed)
    }
}

/// A signature that was made here and whose verification is put off.
pub(crate) struct Deferred {
    pub(crate) key: KeyId,
    pub(crate) message: Message,
    pub(crate) signature: Signature,
}

/// What was signed: the root of an attestation or the text of a transaction.
pub(crate) enum Message {
    Root(Digest),
    Text(Box<[u8; 68]>),
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Root(root) => &root.0,
            Self::Text(text) => &**text,
        }
    }
}

/// What a job needs, found out beforehand: workers share nothing but the keys.
pub(crate) struct Prepared {
    pub(crate) crypto: Arc<dyn Crypto>,
    pub(crate) domain: Digest,
    pub(crate) executed: Option<Result<Arc<State>, ExecutionError>>,
    pub(crate) valid: bool,
}

impl Compute for Prepared {
    fn crypto(&self) -> &dyn Crypto {
        &*self.crypto
    }

    fn domain(&self) -> Digest {
        self.domain
    }

    fn execute(&self, parent: &Arc<State>, block: &Block) -> Result<Arc<State>, ExecutionError> {
        match &self.executed {
            Some(executed) => executed.clone(),
            None => devnet::execute(parent, block),
        }
    }

    fn transactions_are_valid(&self, _: &Block) -> bool {
        self.valid
    }
}

/// A job on its way through the pool.
pub(crate) struct Cell {
    claimed: AtomicBool,
    job: Job,
    prepared: Prepared,
    output: OnceLock<JobOutput>,
}

impl Cell {
    pub(crate) fn new(job: Job, prepared: Prepared) -> Arc<Self> {
        let (claimed, output) = (AtomicBool::new(false), OnceLock::new());
        Arc::new(Self { claimed, job, prepared, output })
    }

    /// A cell whose job is done already.
    pub(crate) fn done(job: Job, prepared: Prepared, output: JobOutput) -> Arc<Self> {
        let (claimed, output) = (AtomicBool::new(true), OnceLock::from(output));
        Arc::new(Self { claimed, job, prepared, output })
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Runs the job unless somebody else does.
    fn run_if_free(&self) -> bool {
        let mine = !self.claimed.swap(true, Ordering::AcqRel);
        if mine {
            let output = self.job.run(&self.prepared);
            // Only the one that claimed the cell gets here, so the cell is empty.
            let _ = self.output.set(output);
        }
        mine
    }
}

#[derive(Default)]
struct Queues {
    jobs: VecDeque<Arc<Cell>>,
    batches: VecDeque<Vec<Deferred>>,
    verifying: usize,
    stop: bool,
}

struct Shared {
    crypto: Arc<Counting>,
    queues: Mutex<Queues>,
    work: Condvar,
    /// A signature that was made here turned out not to be valid.
    broken: AtomicBool,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify(&self, batch: &[Deferred]) {
        let signed: Vec<_> = batch
            .iter()
            .map(|each| SignedMessage {
                key: each.key,
                message: each.message.bytes(),
                signature: each.signature,
            })
            .collect();
        if !self.crypto.verify_batch(&signed) {
            self.broken.store(true, Ordering::Release);
        }
        self.queues().verifying -= 1;
    }

    fn take_batch(&self) -> Option<Vec<Deferred>> {
        let mut queues = self.queues();
        let batch = queues.batches.pop_front()?;
        queues.verifying += 1;
        Some(batch)
    }

    fn work(&self) {
        let mut queues = self.queues();
        loop {
            if queues.stop {
                return;
            }
            if queues.jobs.len() > OWN_JOBS
                && let Some(job) = queues.jobs.pop_back()
            {
                drop(queues);
                job.run_if_free();
                queues = self.queues();
            } else if let Some(batch) = queues.batches.pop_front() {
                queues.verifying += 1;
                drop(queues);
                self.verify(&batch);
                queues = self.queues();
            } else {
                queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Threads that sign and verify while virtual time goes on.
///
/// What they compute never depends on when they do it, so a simulation with any number of threads
/// is the same.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    deferred: Vec<Deferred>,
}

/// A worker died.
#[derive(Debug)]
pub(crate) struct WorkerDied;

impl Pool {
    /// Starts `threads - 1` workers: the calling thread works too.
    pub(crate) fn new(crypto: Arc<Counting>, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            crypto,
            queues: Mutex::default(),
            work: Condvar::new(),
            broken: AtomicBool::new(false),
        });
        let mut pool =
            Self { shared: Arc::clone(&shared), workers: Vec::new(), deferred: Vec::new() };
        for number in 1..threads.max(1) {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name(format!("simulator-{number}"));
            pool.workers.push(builder.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Hands a job to the workers. They begin with the newest, the simulation with the oldest, so
    /// that it seldom has to wait for them.
    pub(crate) fn submit(&self, cell: &Arc<Cell>) {
        if self.workers.is_empty() {
            return;
        }
        let mut queues = self.shared.queues();
        queues.jobs.push_back(Arc::clone(cell));
        let enough = queues.jobs.len() > OWN_JOBS;
        drop(queues);
        if enough {
            self.shared.work.notify_one();
        }
    }

    /// The job's output; does the job here when nobody has begun it.
    pub(crate) fn finish(&self, cell: &Arc<Cell>) -> Result<JobOutput, WorkerDied> {
        cell.run_if_free();
        let mut spins = 0_u32;
        loop {
            if let Some(output) = cell.output.get() {
                return Ok(output.clone());
            }
            let other = self.next_job();
            if other.is_none_or(|other| !other.run_if_free()) {
                spins = spins.wrapping_add(1);
                if spins.is_multiple_of(1 << 10) {
                    self.check_workers()?;
                    std::thread::yield_now();
                }
                std::hint::spin_loop();
            }
        }
    }

    /// The oldest job that nobody has begun; forgets those before it.
    fn next_job(&self) -> Option<Arc<Cell>> {
        let mut queues = self.shared.queues();
        while let Some(job) = queues.jobs.pop_front() {
            if !job.claimed.load(Ordering::Acquire) {
                return Some(job);
            }
        }
        None
    }

    /// Forgets jobs that are begun or done, so that the queue counts only those that wait.
    pub(crate) fn tidy(&self) {
        if self.workers.is_empty() {
            return;
        }
        let mut queues = self.shared.queues();
        while queues.jobs.front().is_some_and(|job| job.claimed.load(Ordering::Acquire)) {
            queues.jobs.pop_front();
        }
    }

    fn check_workers(&self) -> Result<(), WorkerDied> {
        if self.workers.iter().any(JoinHandle::is_finished) { Err(WorkerDied) } else { Ok(()) }
    }

    /// Puts a verification off whose result is certain unless the scheme itself is broken.
    pub(crate) fn defer(&mut self, deferred: Deferred) {
        self.deferred.push(deferred);
        if self.deferred.len() >= BATCH {
            self.queue_batch();
            if self.shared.queues().batches.len() > WAITING_MAX {
                self.help();
            }
        }
    }

    fn queue_batch(&mut self) {
        let batch = std::mem::replace(&mut self.deferred, Vec::with_capacity(BATCH));
        self.shared.queues().batches.push_back(batch);
        self.shared.work.notify_one();
    }

    fn help(&self) -> bool {
        match self.shared.take_batch() {
            Some(batch) => {
                self.shared.verify(&batch);
                true
            }
            None => false,
        }
    }

    /// Verifies everything that was put off; `false` when a signature is not valid.
    pub(crate) fn settle(&mut self) -> Result<bool, WorkerDied> {
        if !self.deferred.is_empty() {
            self.queue_batch();
        }
        loop {
            if self.help() {
                continue;
            }
            if self.shared.queues().verifying == 0 {
                return Ok(!self.shared.broken.load(Ordering::Acquire));
            }
            self.check_workers()?;
            std::thread::yield_now();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queues().stop = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has nothing more to say here.
            let _ = worker.join();
        }
    }
}
