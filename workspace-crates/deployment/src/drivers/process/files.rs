use std::io::Write as _;
use std::path::{Path, PathBuf};

use base::{DeploymentId, Digest, Instant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{DeploymentSpec, DriverError, NodeState};

/// Version of all files of a deployment.
const SCHEMA: u32 = 1;

/// The files of one deployment: `<state>/deployments/<id>/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeploymentFiles {
    pub(crate) directory: PathBuf,
}

impl DeploymentFiles {
    pub(crate) fn of(state: &Path, id: &DeploymentId) -> Self {
        Self { directory: deployments(state).join(id.as_str()) }
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.directory.join("spec.json")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.directory.join("supervisor.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("supervisor.log")
    }

    /// The archive of samples.
    pub(crate) fn samples(&self) -> PathBuf {
        self.directory.join("samples")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.directory.join("events.ndjson")
    }

    /// Requests to the supervisor; it answers each in a file of the same name in `answers`.
    pub(crate) fn requests(&self) -> PathBuf {
        self.directory.join("requests")
    }

    pub(crate) fn answers(&self) -> PathBuf {
        self.directory.join("answers")
    }
}

/// Where all deployments of a state directory are.
pub(crate) fn deployments(state: &Path) -> PathBuf {
    state.join("deployments")
}

/// What was deployed: `spec.json`, written before anything starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpecFile {
    pub(crate) schema: u32,
    pub(crate) spec: DeploymentSpec,
    /// The program that runs as supervisor and as every node.
    pub(crate) executable: PathBuf,
    /// Digest of that program when it was started.
    pub(crate) binary: Digest,
}

impl SpecFile {
    pub(crate) fn new(spec: DeploymentSpec, executable: PathBuf, binary: Digest) -> Self {
        Self { schema: SCHEMA, spec, executable, binary }
    }
}

/// How far the supervisor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum SupervisorPhase {
    Starting,
    Running,
    /// The network did not come up, or the supervisor had to give up.
    Failed {
        reason: String,
    },
}

/// What the supervisor says about itself and its nodes: `supervisor.json`, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SupervisorFile {
    pub(crate) schema: u32,
    pub(crate) process: ProcessId,
    #[serde(flatten)]
    pub(crate) phase: SupervisorPhase,
    /// Milliseconds from the first node's start until the last one was ready.
    pub(crate) ready_after_ms: Option<u64>,
    /// The time of the last scrape.
    pub(crate) observed_until: Option<Instant>,
    pub(crate) scrapes: u64,
    pub(crate) scrapes_failed: u64,
    pub(crate) events_unreadable: u64,
    pub(crate) nodes: Vec<NodeEntry>,
}

impl SupervisorFile {
    pub(crate) fn new(process: ProcessId) -> Self {
        Self {
            schema: SCHEMA,
            process,
            phase: SupervisorPhase::Starting,
            ready_after_ms: None,
            observed_until: None,
            scrapes: 0,
            scrapes_failed: 0,
            events_unreadable: 0,
            nodes: Vec::new(),
        }
    }
}

/// One process, told from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    /// Clock ticks from the start of the machine to the start of the process.
    pub(crate) started_ticks: u64,
}

/// One node as the supervisor knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeEntry {
    pub(crate) name: String,
    pub(crate) state: NodeState,
    pub(crate) version: u32,
    pub(crate) starts: u32,
    pub(crate) process: Option<ProcessId>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Why the request was refused; `None` when it was taken.
    pub(crate) problem: Option<String>,
}

pub(crate) fn io(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> DriverError + use<> {
    let path = path.to_owned();
    move |source| DriverError::Io { what, path, source }
}

/// Writes a file in one step: the death of this program leaves the old one or the new one. It is
/// not flushed to the disk, because no deployment outlives its machine.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DriverError> {
    let bytes = base::canonical_json(value)?;
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(&bytes)?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(io("write", path))
}

/// Reads a file; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DriverError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
    };
    let damaged = |problem: String| DriverError::Damaged { path: path.to_owned(), problem };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if let Some(schema) = value.get("schema").filter(|schema| **schema != SCHEMA) {
        return Err(damaged(format!("it has version {schema}, not {SCHEMA}")));
    }
    T::deserialize(value).map(Some).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{ProcessId, SupervisorFile, read_json, write_json};

    #[test]
    fn files_are_read_back_and_damaged_or_newer_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor.json");
        assert!(read_json::<SupervisorFile>(&path).unwrap().is_none());
        let written = SupervisorFile::new(ProcessId { pid: 1, started_ticks: 2 });
        write_json(&path, &written).unwrap();
        assert_eq!(read_json(&path).unwrap(), Some(written));
        for (bytes, expected) in [("{", "EOF"), (r#"{"schema":2}"#, "version 2, not 1")] {
            std::fs::write(&path, bytes).unwrap();
            let problem = read_json::<SupervisorFile>(&path).unwrap_err().to_string();
            assert!(problem.contains("supervisor.json") && problem.contains(expected), "{problem}");
        }
    }
}
