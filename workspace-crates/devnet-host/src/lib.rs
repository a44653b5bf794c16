//! Process host of the reference network: one operating system process per node, TCP on loopback,
//! state on disk, metrics and JSON-RPC over HTTP.
//!
//! Architecture invariant: nothing of the protocol is here. The host gives a [`devnet::Machine`]
//! time, connections and a disk, and carries its actions out.

mod clock;
mod config;
mod error;
mod frame;
pub mod http;
mod injection;
mod journal;
mod node;
mod page;
mod peers;
pub mod rpc;
mod run;
mod timers;

pub use clock::HostClock;
pub use config::{ClientFile, HostConfig, NodeFiles};
pub use error::{HostError, describe};
pub use injection::Injection;
pub use journal::{Journal, JournalError, Opened};
pub use run::run_node;
