use std::path::{Path, PathBuf};

use base::{Digest, Duration, Instant};
use devnet::{NetworkSpec, NodeId, NodeInfo, Upgrade};
use serde::{Deserialize, Serialize};

use crate::HostError;
use crate::error::io_error;

/// Version of the configuration format.
const SCHEMA: u32 = 1;

/// What all nodes of a network are started with: one file for all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// Version of this format; 1.
    pub schema: u32,
    /// The network.
    pub network: NetworkSpec,
    /// When slot 0 starts.
    pub genesis: Instant,
    /// What nodes add to the machine's monotonic time.
    pub clock_offset: Duration,
    /// Port of each node for its peers, in the order of the network's nodes.
    pub peer_ports: Vec<u16>,
    /// Port of each node for HTTP, in the same order.
    pub http_ports: Vec<u16>,
}

impl HostConfig {
    /// A configuration whose clock agrees with the wall clock at this moment.
    #[must_use]
    pub fn new(
        network: NetworkSpec,
        genesis: Instant,
        clock_offset: Duration,
        peer_ports: Vec<u16>,
        http_ports: Vec<u16>,
    ) -> Self {
        Self { schema: SCHEMA, network, genesis, clock_offset, peer_ports, http_ports }
    }

    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read, is not of this version, or describes no possible network.
    pub fn read(path: &Path) -> Result<Self, HostError> {
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        let refuse = |problem: String| HostError::Config { path: path.to_owned(), problem };
        let config: Self = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("it has version {}, not {SCHEMA}", self.schema));
        }
        if let Err(problems) = self.network.check() {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            return Err(problems.join("; "));
        }
        let nodes = self.network.node_count() as usize;
        for (what, ports) in [("peer_ports", &self.peer_ports), ("http_ports", &self.http_ports)] {
            if ports.len() != nodes {
                return Err(format!("`{what}` has {} entries for {nodes} nodes", ports.len()));
            }
        }
        Ok(())
    }

    /// Digest that a node's state file and its peers' greetings are bound to.
    #[must_use]
    pub fn network_digest(&self) -> Digest {
        let mut bytes = self.network.domain().0.to_vec();
        bytes.extend_from_slice(&self.genesis.unix_micros().to_le_bytes());
        Digest::of(&bytes)
    }

    /// The node called `name`.
    ///
    /// # Errors
    /// When the network has none.
    pub fn node(&self, name: &str) -> Result<NodeInfo, HostError> {
        let mut nodes = self.network.nodes().into_iter();
        nodes.find(|node| node.name == name).ok_or_else(|| HostError::UnknownNode(name.to_owned()))
    }

    /// Where the node answers HTTP; `None` when the network has no such node.
    #[must_use]
    pub fn http_port(&self, node: NodeId) -> Option<u16> {
        self.http_ports.get(node.index()).copied()
    }
}

/// Which client a node runs; written by whoever starts the node, before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFile {
    /// The client's version.
    pub version: u32,
    /// The upgrades that it knows, in ascending order.
    #[serde(default)]
    pub upgrades: Vec<Upgrade>,
    /// Whether it dies at its start, as a broken build does.
    #[serde(default)]
    pub broken: bool,
}

impl ClientFile {
    /// The client that the network's nodes start with.
    #[must_use]
    pub fn first(network: &NetworkSpec) -> Self {
        Self { version: network.node_version, upgrades: Vec::new(), broken: false }
    }
}

/// The files of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFiles {
    /// The node's directory.
    pub directory: PathBuf,
}

impl NodeFiles {
    /// The files of the node `name`, beside the configuration file at `config`.
    #[must_use]
    pub fn beside(config: &Path, name: &str) -> Self {
        let parent = config.parent().unwrap_or(Path::new("."));
        Self { directory: parent.join("nodes").join(name) }
    }

    /// What the node persisted.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.directory.join("state.log")
    }

    /// What the node observed, one event per line.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.directory.join("events.ndjson")
    }

    /// The node's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("node.log")
    }

    /// Which client the node runs.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.directory.join("client.json")
    }

    /// Reads which client the node runs; the network's first one when nothing says otherwise.
    pub(crate) fn read_client(&self, network: &NetworkSpec) -> Result<ClientFile, HostError> {
        let path = self.client();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(ClientFile::first(network));
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        serde_json::from_str(&text)
            .map_err(|error| HostError::Config { path, problem: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::HostConfig;
    use base::{Duration, Instant};
    use devnet::NetworkSpec;

    fn refused(change: impl FnOnce(&mut HostConfig)) -> String {
        let network = NetworkSpec { validators: 4, committee: 4, ..NetworkSpec::default() };
        let ports: Vec<u16> = (0..network.node_count() as u16).collect();
        let start = Instant::from_unix_millis(0);
        let mut config = HostConfig::new(network, start, Duration::ZERO, ports.clone(), ports);
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        HostConfig::read(&path).map(|_| String::new()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn a_configuration_that_cannot_run_is_refused_with_its_reason() {
        assert_eq!(refused(|_| {}), "");
        assert!(refused(|c| c.schema = 2).contains("it has version 2, not 1"));
        assert!(refused(|c| c.network.committee = 9).contains("only 4 validators exist"));
        assert!(refused(|c| c.http_ports.truncate(2)).contains("`http_ports` has 2 entries"));
    }

    #[test]
    fn a_missing_or_malformed_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        assert!(HostConfig::read(&path).unwrap_err().to_string().contains("config.json"));
        std::fs::write(&path, "{").unwrap();
        assert!(HostConfig::read(&path).unwrap_err().to_string().contains("not a usable"));
    }
}
