use base::Digest;

/// Why evidence could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Nothing is stored under the digest.
    #[error("no evidence {0} is stored; collect it again, or restore the evidence directory")]
    Missing(Digest),
    /// The bytes that are stored do not have the digest that names them.
    #[error(
        "the evidence {expected} is damaged: its bytes have the digest {found}; restore it from a copy"
    )]
    Damaged {
        /// The name under which the bytes are stored.
        expected: Digest,
        /// The digest that they really have.
        found: Digest,
    },
    /// The bytes are more than a reader takes.
    #[error("{what} has {size_bytes} bytes, which is more than the limit of {limit_bytes}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Bytes that do not say what their format requires.
    #[error("{file}:{line}:{column}: {reason}")]
    Malformed {
        /// Name of the file or answer, as the caller gave it.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// A record whose body does not have the shape that its kind fixes.
    #[error("the body of the `{kind}` record for {for_whom} is not of its kind: {reason}")]
    Body {
        /// The record's kind.
        kind: String,
        /// What the record was collected for.
        for_whom: String,
        /// What is wrong.
        reason: String,
    },
    /// The disk refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, such as `cannot write`.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The record has no canonical form.
    #[error(transparent)]
    Canonical(#[from] base::CanonicalError),
}
