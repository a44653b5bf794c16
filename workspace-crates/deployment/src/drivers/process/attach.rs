//! Reads a deployment's files and asks its nodes, whoever started them.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use base::Instant;
use devnet_host::{HostClock, HostConfig, http, rpc};
use serde_json::Value;
use tokio::task::JoinSet;

use super::files::{DeploymentFiles, NodeEntry, SpecFile, SupervisorFile, SupervisorPhase, io};
use super::processes::{find, is_alive, node_arguments};
use super::start::Supervision;
use crate::{DeploymentState, DriverError, NodeState, NodeStatus, RpcAnswer};

/// Longest wait for one node's answer.
const RPC_TIMEOUT: Duration = Duration::from_secs(3);
/// As much of a log as is looked at for its last lines.
const LOG_BYTES_MAX: u64 = 1_024 * 1_024;

/// How the deployment is, by what its supervisor wrote and whether it still runs.
pub(crate) fn state_of(files: &DeploymentFiles, supervision: &Supervision) -> DeploymentState {
    let cure = "take it down with `deploy down`, which ends what still runs and removes its files";
    match supervision {
        Supervision::Never => DeploymentState::Failed {
            reason: format!("bringing it up was interrupted before its supervisor ran; {cure}"),
        },
        Supervision::Alive(file) => match &file.phase {
            SupervisorPhase::Starting => DeploymentState::Starting,
            SupervisorPhase::Running => running(file),
            SupervisorPhase::Failed { reason } => failed(reason),
        },
        Supervision::Gone(file) => match &file.phase {
            SupervisorPhase::Failed { reason } => failed(reason),
            SupervisorPhase::Starting => DeploymentState::Failed {
                reason: format!("its supervisor died while it brought the network up; {cure}"),
            },
            SupervisorPhase::Running => {
                let left = find(&borrowed(&node_arguments(&files.config()))).len();
                let pid = file.process.pid;
                DeploymentState::Degraded {
                    reason: format!(
                        "its supervisor (process {pid}) is gone: nothing is scraped and no action is performed, while {left} nodes still run; {cure}"
                    ),
                }
            }
        },
    }
}

fn failed(reason: &str) -> DeploymentState {
    DeploymentState::Failed { reason: reason.to_owned() }
}

fn running(file: &SupervisorFile) -> DeploymentState {
    let crashed: Vec<_> = file
        .nodes
        .iter()
        .filter(|node| node.state == NodeState::Crashed)
        .map(|node| node.name.as_str())
        .collect();
    match crashed.as_slice() {
        [] => DeploymentState::Running,
        [first, ..] => DeploymentState::Degraded {
            reason: format!(
                "{} of {} nodes stopped without having been asked to, the first is {first}; `deploy logs` shows why",
                crashed.len(),
                file.nodes.len()
            ),
        },
    }
}

pub(crate) fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Each node with what its supervisor knows; without one, with what the processes show.
pub(crate) fn nodes_of(
    spec: &SpecFile,
    config: Option<&HostConfig>,
    supervision: &Supervision,
) -> Vec<NodeStatus> {
    let (entries, alive): (&[NodeEntry], bool) = match supervision {
        Supervision::Never => (&[], false),
        Supervision::Alive(file) => (&file.nodes, true),
        Supervision::Gone(file) => (&file.nodes, false),
    };
    let nodes = spec.spec.network.nodes();
    let status = |info: devnet::NodeInfo| {
        let entry = entries.iter().find(|entry| entry.name == info.name);
        let process = entry.and_then(|entry| entry.process);
        let lives = process.is_some_and(is_alive);
        let state = match entry.map(|entry| entry.state) {
            Some(NodeState::Up) if !alive && !lives => NodeState::Crashed,
            Some(state) => state,
            None => NodeState::Stopped,
        };
        let port = config.and_then(|config| config.http_port(info.id));
        NodeStatus {
            name: info.name,
            role: info.role.as_str().to_owned(),
            state,
            version: entry.map_or(spec.spec.network.node_version, |entry| entry.version),
            starts: entry.map_or(0, |entry| entry.starts),
            pending_height: None,
            finalized_height: None,
            synced: None,
            pid: process.filter(|_| lives).map(|process| process.pid),
            endpoint: port.map(|port| format!("http://127.0.0.1:{port}")),
        }
    };
    nodes.into_iter().map(status).collect()
}

/// Adds what the nodes themselves say.
pub(crate) fn ask_statuses(nodes: &mut [NodeStatus]) -> Result<(), DriverError> {
    let answers = ask_all(nodes, "devnet_status")?;
    for (node, answer) in nodes.iter_mut().zip(answers) {
        let Ok(value) = answer.answer else { continue };
        node.pending_height = value["pending_height"].as_u64();
        node.finalized_height = value["finalized_height"].as_u64();
        node.synced = value["synced"].as_bool();
    }
    Ok(())
}

/// Calls a method of all nodes at once; answers are in the order of the nodes.
pub(crate) fn ask_all(nodes: &[NodeStatus], method: &str) -> Result<Vec<RpcAnswer>, DriverError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("start a runtime to ask", Path::new("the nodes")))?;
    let silent = |node: &NodeStatus| Err(format!("{} does not run", node.name));
    let mut answers: Vec<RpcAnswer> = nodes
        .iter()
        .map(|node| RpcAnswer { node: node.name.clone(), answer: silent(node) })
        .collect();
    let body = rpc::call(method, Value::Null);
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let port = node.endpoint.as_deref().and_then(|url| url.rsplit(':').next());
            let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) else { continue };
            if node.state == NodeState::Up {
                let body = body.clone();
                asked.spawn(async move { (index, ask(port, &body).await) });
            }
        }
        while let Some(Ok((index, answer))) = asked.join_next().await {
            answers[index].answer = answer;
        }
    });
    Ok(answers)
}

async fn ask(port: u16, body: &[u8]) -> Result<Value, String> {
    match http::ask(port, "/", Some(body), RPC_TIMEOUT).await {
        Ok(answer) => rpc::result_of(&answer),
        Err(error) => Err(format!("the node did not answer: {error}")),
    }
}

/// The network's present time.
pub(crate) fn now_of(config: Option<&HostConfig>) -> Instant {
    let offset = config.map_or_else(HostClock::offset_of_wall_clock, |config| config.clock_offset);
    HostClock::shared_now(offset)
}

/// The last lines of a log; empty when there is none yet.
pub(crate) fn tail(path: &Path, lines: usize) -> Result<String, DriverError> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(io("open", path)(error)),
    };
    let length = file.metadata().map_err(io("read", path))?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX))).map_err(io("read", path))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io("read", path))?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    Ok(last.iter().map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_last_lines_are_given_and_a_missing_log_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        assert_eq!(tail(&path, 2).unwrap(), "");
        std::fs::write(&path, "one\ntwo\nthree").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), "two\nthree\n");
        assert_eq!(tail(&path, 9).unwrap(), "one\ntwo\nthree\n");
    }
}
