use std::io;
use std::path::PathBuf;

use crate::JournalError;

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file could not be used.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried, such as `read`.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The configuration does not have its format.
    #[error("{path} is not a usable configuration: {problem}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The network has no such node.
    #[error("the network has no node `{0}`; names are l1, load, validator-<n> and prover-<n>")]
    UnknownNode(String),
    /// The client cannot run, as it was told.
    #[error("this client is built to fail at its start")]
    BadClient,
    /// Another program listens on the node's port.
    #[error(
        "port {port} of 127.0.0.1, which the configuration gives to {what}, is in use by another program; stop it, or deploy again to get other ports"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// What the node needs it for.
        what: &'static str,
    },
    /// The node cannot listen for another reason.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The state on disk cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state on disk does not decode.
    #[error("entry {index} of the state file {path} is not a record: {source}")]
    Record {
        /// Which entry, from 0.
        index: usize,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: devnet::WireError,
    },
    /// The runtime could not be started.
    #[error("cannot start the node's runtime")]
    Runtime(#[source] io::Error),
}

pub(crate) fn io_error(
    what: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> HostError {
    let path = path.to_owned();
    move |source| HostError::Io { what, path, source }
}

/// An error with what caused it, on one line.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
