//! What can go wrong here, in words for the terminal.
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// A command that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is wrong; the text says how.
    #[error("{0}\n  see `cargo xtask --help`")]
    Usage(String),
    /// An argument that has to be text is not UTF-8.
    #[error("the argument `{}` is not valid UTF-8", .0.display())]
    NotText(OsString),
    /// A program could not be started.
    #[error("could not start `{program}`")]
    Start {
        /// The program and its arguments.
        program: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{program}` failed with exit code {code}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// Its exit code; 128 + signal when a signal ended it.
        code: i32,
    },
    /// A file could not be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// "read", "write", "remove".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Cargo did not describe the workspace.
    #[error("could not read the workspace's metadata")]
    Metadata(#[source] cargo_metadata::Error),
    /// A check found problems, which are already printed.
    #[error("{0}")]
    Check(String),
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }

    /// 2 for a wrong command line, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::NotText(_) => 2,
            _ => 1,
        }
    }
}
