use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Duration, Instant};
use evidence::{Event, SubjectInterval};

/// What was seen of a deployment so far.
#[derive(Debug, Clone)]
pub struct Observation {
    /// All samples. Series have the labels `instance`, `role` and, for provers, `operator`.
    pub samples: Arc<samples::Store>,
    /// All events, in order of time.
    pub events: Vec<Event>,
    /// From when on which subject ran, in order of time; never empty.
    pub intervals: Vec<SubjectInterval>,
    /// When the network started.
    pub started: Instant,
    /// When the observation ended; `None` while the deployment is still being watched.
    pub ended: Option<Instant>,
    /// Until when the deployment was watched so far.
    pub observed_until: Instant,
    /// How often nodes are scraped.
    pub scrape_interval: Duration,
    /// How the network ran: `simulated` or `process`.
    pub host: &'static str,
    /// Which signatures it used: `ed25519` or `keyed-hash`.
    pub crypto: &'static str,
    /// Counters of the driver, such as `signatures` or `scrapes_failed`, by name.
    pub stats: BTreeMap<String, u64>,
    /// Digests that name the run, such as `trace`, by name.
    pub digests: BTreeMap<String, base::Digest>,
}
