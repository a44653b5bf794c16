use base::{Digest, PhaseId};

/// Why the engine could not do what was due. "Gate failed" and "no evidence" are outcomes, not errors.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The ledger could not be read or appended to.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// Others appended again and again while one thing was decided.
    #[error(
        "others appended to the ledger {decisions} times in a row while this was decided; what was done before stays done. Let one program at a time decide, and try again"
    )]
    Contested {
        /// How often it was decided.
        decisions: u32,
    },
    /// A file of the ledger could not be read.
    #[error(transparent)]
    LedgerStore(#[from] ledger::StoreError),
    /// A deployment could not be driven.
    #[error(transparent)]
    Driver(#[from] deployment::DriverError),
    /// Evidence could not be stored or read.
    #[error(transparent)]
    Evidence(#[from] evidence::EvidenceError),
    /// A value has no canonical form.
    #[error(transparent)]
    Canonical(#[from] base::CanonicalError),
    /// A record that should name a file of its own does not.
    #[error("the evidence {0} names no file of its own; restore it from a copy")]
    Unsealed(Digest),
    /// Samples on the disk cannot be read.
    #[error(transparent)]
    SampleBlock(#[from] samples::BlockError),
    /// A file with samples is damaged.
    #[error("the samples {digest} cannot be read: {source}; restore them from a copy")]
    Samples {
        /// The file.
        digest: Digest,
        /// Why.
        #[source]
        source: samples::StoreError,
    },
    /// A file with the answers of a server is damaged.
    #[error("the answers {digest} cannot be read: {source}; restore them from a copy")]
    Answers {
        /// The file.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The definition has mistakes that only showed when it was used.
    #[error("the definition has {} mistakes; `pipeline check` shows them", .0.len())]
    Definition(Vec<diagnostics::Diagnostic>),
    /// There is no such phase.
    #[error("the pipeline has no phase `{phase}`; it has {known}")]
    UnknownPhase {
        /// What was asked for.
        phase: PhaseId,
        /// What there is.
        known: String,
    },
    /// A network that a program in another place runs.
    #[error(
        "`{deployment}` runs in another place (`{place}`), and only from there it is seen and taken down. Run the weekly job there; when that place is lost, `phasegate deploy down {deployment}` says so"
    )]
    Elsewhere {
        /// The deployment.
        deployment: base::DeploymentId,
        /// The place that the ledger names.
        place: String,
    },
    /// A transition that the state does not allow.
    #[error("{phase} cannot {what}: {why}")]
    NotNow {
        /// The phase.
        phase: PhaseId,
        /// What was asked for.
        what: &'static str,
        /// Why not, and what to do.
        why: String,
    },
    /// An evaluation that the ledger names is not what it was.
    #[error("the evaluation of entry {seq} cannot be read: {why}; restore the ledger from a copy")]
    Evaluation {
        /// The entry.
        seq: u64,
        /// Why.
        why: String,
    },
    /// A deployment has a name that no identifier can have.
    #[error(transparent)]
    Id(#[from] base::IdError),
    /// A report could not be built.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// A report could not be signed.
    #[error(transparent)]
    Signing(#[from] ledger::SigningError),
    /// A statement could not be wrapped.
    #[error(transparent)]
    Dsse(#[from] ledger::dsse::DsseError),
    /// A file could not be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
