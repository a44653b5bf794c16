//! What a command says when it fails: what happened, why, and what to do.

use std::error::Error;
use std::fmt::Display;

use crate::exit::Exit;

/// A failure with its exit code.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What happened, and each cause behind it.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What commands return.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// The same failure with what to do.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// A failure from an error, with every cause that its message does not already tell.
    pub fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(exit, message)
    }

    /// A file that could not be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Exit::File, format!("cannot {what} {}: {error}", path.display()))
    }
}

impl From<engine::EngineError> for Failure {
    fn from(error: engine::EngineError) -> Self {
        use engine::EngineError as E;
        let exit = match &error {
            E::Ledger(_) | E::LedgerStore(_) | E::Signing(_) | E::Evaluation { .. } => Exit::Ledger,
            E::Driver(_) | E::Elsewhere { .. } => Exit::Deployment,
            E::Definition(_) => Exit::Definition,
            E::UnknownPhase { .. } => Exit::Usage,
            E::NotNow { .. } => Exit::NotNow,
            E::Evidence(_) | E::Unsealed(_) | E::Samples { .. } => Exit::NotVerified,
            E::Write { .. } => Exit::File,
            _ => Exit::Failed,
        };
        let failure = Self::of(exit, &error);
        match &error {
            E::Definition(problems) => {
                let first = problems.first().map(|problem| problem.message.clone());
                failure.hint(first.unwrap_or_default())
            }
            E::NotNow { .. } => {
                failure.hint("`cargo xtask phase status` says where each phase stands.")
            }
            _ => failure,
        }
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        Self::of(Exit::Ledger, &error)
    }
}

impl From<ledger::StoreError> for Failure {
    fn from(error: ledger::StoreError) -> Self {
        Self::of(Exit::Ledger, &error)
    }
}

impl From<ledger::SigningError> for Failure {
    fn from(error: ledger::SigningError) -> Self {
        Self::of(Exit::Ledger, &error)
    }
}

impl From<ledger::OwnerError> for Failure {
    fn from(error: ledger::OwnerError) -> Self {
        Self::of(Exit::Ledger, &error)
    }
}

impl From<deployment::DriverError> for Failure {
    fn from(error: deployment::DriverError) -> Self {
        Self::of(Exit::Deployment, &error)
    }
}

impl From<evidence::EvidenceError> for Failure {
    fn from(error: evidence::EvidenceError) -> Self {
        Self::of(Exit::NotVerified, &error)
    }
}

impl From<base::CanonicalError> for Failure {
    fn from(error: base::CanonicalError) -> Self {
        Self::of(Exit::Failed, &error)
    }
}
