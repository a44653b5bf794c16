//! Fulfils what gates need: documents, issues, probes, answers of Prometheus-compatible servers.
//!
//! A collector never decides anything. What it could not bring becomes a record that says why, so
//! that the gate can tell "not there" from "could not look".

mod documents;
mod github;
mod inside;
mod probes;
mod prometheus;
mod recorded;

use base::{DeploymentId, Instant, Subject};
use deployment::Driver;
use evidence::{Origin, Record};
use gates::Need;

pub use documents::Documents;
pub use github::{GitHub, GitHubError};
pub use probes::Probes;
pub use prometheus::{Pace, Prometheus, read_answer};
pub use recorded::{RecordedIssues, Script, ScriptError, ScriptedApproval};

/// The version of every collector in this crate, as it stands in the origin of a record.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is asked of a collector.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What the gate needs.
    pub need: &'a Need,
    /// The gate, as `<phase>/<gate>`.
    pub for_whom: &'a str,
    /// When it is asked.
    pub at: Instant,
    /// What the evidence has to be about, where it is about a network.
    pub subject: Option<&'a Subject>,
    /// The deployment that can be asked, with its driver.
    pub deployment: Option<(&'a dyn Driver, &'a DeploymentId)>,
}

/// Gathers one kind of evidence.
pub trait Collector {
    /// The record for `request`; `None` when the need is not this collector's.
    fn collect(&self, request: &Request<'_>) -> Option<Record>;
}

/// Asks each collector in turn; the first that feels responsible answers.
#[derive(Default)]
pub struct Collectors(Vec<Box<dyn Collector>>);

impl Collectors {
    /// Collectors in the order in which they are asked.
    #[must_use]
    pub fn new(collectors: Vec<Box<dyn Collector>>) -> Self {
        Self(collectors)
    }

    /// The record for `request`; `None` when no collector is responsible, as for samples, events
    /// and approvals, which come from the driver and the ledger.
    #[must_use]
    pub fn collect(&self, request: &Request<'_>) -> Option<Record> {
        self.0.iter().find_map(|collector| collector.collect(request))
    }
}

fn record(
    request: &Request<'_>,
    kind: &str,
    source: String,
    collector: &str,
    body: serde_json::Value,
) -> Record {
    Record {
        schema: 1,
        kind: kind.to_owned(),
        for_whom: request.for_whom.to_owned(),
        origin: Origin {
            source,
            collector: format!("{collector}/{VERSION}"),
            host: None,
            crypto: None,
        },
        observed_at: request.at,
        subject: request.subject.cloned(),
        body,
        external: None,
    }
}
