//! Observations become evidence: judgements read what was sealed, and never a live network.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Digest, Duration, Instant, Subject};
use deployment::Observation;
use evidence::{Event, External, Origin, Record, Store, SubjectInterval};
use gates::StoredRecord;
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// What was seen of one deployment, as it is stored. The samples are a file of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeploymentBody {
    events: Vec<Event>,
    intervals: Vec<SubjectInterval>,
    started: Instant,
    ended: Option<Instant>,
    observed_until: Instant,
    scrape_interval: Duration,
    stats: BTreeMap<String, u64>,
    digests: BTreeMap<String, Digest>,
}

/// A sealed observation, ready to be judged.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Digest of the record.
    pub digest: Digest,
    /// Digest of the file with the samples.
    pub samples_digest: Digest,
    /// The driver with its version.
    pub driver: String,
    /// How the network ran.
    pub host: String,
    /// Which signatures it used.
    pub crypto: String,
    /// All samples.
    pub samples: Arc<samples::Store>,
    /// All events, in order of time.
    pub events: Vec<Event>,
    /// From when on which subject ran.
    pub intervals: Vec<SubjectInterval>,
    /// When the network started.
    pub started: Instant,
    /// When the observation ended for good.
    pub ended: Option<Instant>,
    /// Until when it was watched.
    pub observed_until: Instant,
    /// How often nodes were scraped.
    pub scrape_interval: Duration,
    /// Counters of the driver.
    pub stats: BTreeMap<String, u64>,
    /// Digests that name the run.
    pub digests: BTreeMap<String, Digest>,
}

/// Stores `observation` of the deployment `id`, which `driver` ran for `subject`.
///
/// # Errors
/// When the evidence cannot be stored.
pub fn seal(
    store: &dyn Store,
    id: &base::DeploymentId,
    driver: &str,
    subject: &Subject,
    observation: Observation,
) -> Result<Sealed, EngineError> {
    let bytes = observation.samples.encode()?;
    let samples_digest = store.put(&bytes)?;
    let body = DeploymentBody {
        events: observation.events,
        intervals: observation.intervals,
        started: observation.started,
        ended: observation.ended,
        observed_until: observation.observed_until,
        scrape_interval: observation.scrape_interval,
        stats: observation.stats,
        digests: observation.digests,
    };
    let record = Record {
        schema: 1,
        kind: "deployment".to_owned(),
        for_whom: id.to_string(),
        origin: Origin {
            source: format!("deployment:{id}"),
            collector: driver.to_owned(),
            host: Some(observation.host.to_owned()),
            crypto: Some(observation.crypto.to_owned()),
        },
        observed_at: body.observed_until,
        subject: Some(subject.clone()),
        body: serde_json::to_value(&body).map_err(base::CanonicalError::from)?,
        external: Some(External {
            digest: samples_digest,
            size_bytes: bytes.len() as u64,
            location: samples_digest.to_string(),
        }),
    };
    let digest = store.put_record(&record)?;
    Ok(assemble(digest, samples_digest, record.origin, observation.samples, body))
}

/// Reads a sealed observation back.
///
/// # Errors
/// When the evidence is missing or damaged, or the record is of another kind.
pub fn unseal(store: &dyn Store, digest: Digest) -> Result<Sealed, EngineError> {
    let record = store.get_record(&digest)?;
    let body: DeploymentBody = evidence::read_body(&record, "deployment")?;
    let external = record.external.as_ref().ok_or(EngineError::Unsealed(digest))?;
    let bytes = store.get(&external.digest)?;
    let samples = samples::Store::decode(&bytes)
        .map_err(|source| EngineError::Samples { digest: external.digest, source })?;
    Ok(assemble(digest, external.digest, record.origin, Arc::new(samples), body))
}

/// Stores the record of a server's answers. The answers can be large, so they are a file of their
/// own; the record that comes back holds them, because judgements read no files.
///
/// # Errors
/// When the evidence cannot be stored.
pub fn seal_answers(store: &dyn Store, mut record: Record) -> Result<StoredRecord, EngineError> {
    let answers = record.body.get_mut("answers").map(serde_json::Value::take);
    let bytes = base::canonical_json(&answers)?;
    let digest = store.put(&bytes)?;
    if let Some(body) = record.body.as_object_mut() {
        body.remove("answers");
    }
    record.external =
        Some(External { digest, size_bytes: bytes.len() as u64, location: digest.to_string() });
    let name = store.put_record(&record)?;
    record.body["answers"] = answers.unwrap_or_default();
    Ok(StoredRecord { digest: name, record })
}

/// Reads the record of a server's answers back, with the answers.
///
/// # Errors
/// When the evidence is missing or damaged, or the record names no file with answers.
pub fn unseal_answers(store: &dyn Store, digest: Digest) -> Result<StoredRecord, EngineError> {
    let mut record = store.get_record(&digest)?;
    let external = record.external.as_ref().ok_or(EngineError::Unsealed(digest))?;
    let bytes = store.get(&external.digest)?;
    let damaged = |source| EngineError::Answers { digest: external.digest, source };
    let answers = serde_json::from_slice(&bytes).map_err(damaged)?;
    record.body["answers"] = answers;
    Ok(StoredRecord { digest, record })
}

fn assemble(
    digest: Digest,
    samples_digest: Digest,
    origin: Origin,
    samples: Arc<samples::Store>,
    body: DeploymentBody,
) -> Sealed {
    Sealed {
        digest,
        samples_digest,
        driver: origin.collector,
        host: origin.host.unwrap_or_default(),
        crypto: origin.crypto.unwrap_or_default(),
        samples,
        events: body.events,
        intervals: body.intervals,
        started: body.started,
        ended: body.ended,
        observed_until: body.observed_until,
        scrape_interval: body.scrape_interval,
        stats: body.stats,
        digests: body.digests,
    }
}
