use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base::Digest;
use devnet_host::{HostClock, HostConfig};

use super::environment;
use super::files::{
    DeploymentFiles, SpecFile, SupervisorFile, SupervisorPhase, deployments, io, read_json,
    write_json,
};
use super::ports::free_ports;
use super::processes::{is_alive, supervisor_arguments};
use crate::{DeploymentSpec, DriverError};

/// How long the supervisor may take to bring all nodes up; it gives up earlier by itself.
const UP_TIMEOUT: Duration = Duration::from_secs(90);
/// How often the driver looks whether the supervisor got further.
const POLL: Duration = Duration::from_millis(10);

/// A command that a driver runs its own program with; people never type it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HiddenCommand {
    /// `devnet-node --config FILE --node NAME`: see [`devnet_host::run_node`].
    Node {
        /// The configuration of all nodes.
        config: PathBuf,
        /// The node's name.
        node: String,
    },
    /// `devnet-supervisor --dir DIR`: see [`super::run_supervisor`].
    Supervisor {
        /// The deployment's directory.
        directory: PathBuf,
    },
}

/// The hidden command that `arguments` (without the program's name) ask for, if they ask for one.
#[must_use]
pub fn hidden_command(arguments: &[String]) -> Option<HiddenCommand> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["devnet-node", "--config", config, "--node", node] => {
            Some(HiddenCommand::Node { config: config.into(), node: node.to_owned() })
        }
        ["devnet-supervisor", "--dir", directory] => {
            Some(HiddenCommand::Supervisor { directory: directory.into() })
        }
        _ => None,
    }
}

/// Starts a deployment's supervisor and waits until the network is up; why not, if it is not.
pub(crate) fn start(
    state: &Path,
    files: &DeploymentFiles,
    spec: &DeploymentSpec,
    executable: &Path,
    binary: Digest,
) -> Result<Result<Child, String>, DriverError> {
    let file = SpecFile::new(spec.clone(), executable.to_owned(), binary);
    write_json(&files.spec(), &file)?;
    let config = match configuration(state, spec)? {
        Some(config) => config,
        None => return Ok(Err("not enough ports of 127.0.0.1 are free".to_owned())),
    };
    write_json(&files.config(), &config)?;
    let log_path = files.log();
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&log_path)
        .map_err(io("open", &log_path))?;
    let child = environment::command(executable)
        .args(supervisor_arguments(&files.directory))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(io("run", executable))?;
    wait_until_up(files, child)
}

fn wait_until_up(
    files: &DeploymentFiles,
    mut child: Child,
) -> Result<Result<Child, String>, DriverError> {
    let deadline = Instant::now() + UP_TIMEOUT;
    while Instant::now() < deadline {
        let ended = child.try_wait().map_err(io("watch the supervisor of", &files.directory))?;
        match read_json::<SupervisorFile>(&files.supervisor())?.map(|file| file.phase) {
            Some(SupervisorPhase::Running) if ended.is_none() => return Ok(Ok(child)),
            Some(SupervisorPhase::Failed { reason }) => return Ok(Err(reason)),
            _ => {}
        }
        if let Some(status) = ended {
            let log = std::fs::read_to_string(files.log()).unwrap_or_default();
            let words = log.lines().last().unwrap_or("it said nothing").to_owned();
            return Ok(Err(format!("the supervisor ended ({status}): {words}")));
        }
        std::thread::sleep(POLL);
    }
    Ok(Err(format!("the network was not up within {} s", UP_TIMEOUT.as_secs())))
}

/// Gives every node its ports; `None` when too few are free.
fn configuration(state: &Path, spec: &DeploymentSpec) -> Result<Option<HostConfig>, DriverError> {
    let nodes = spec.network.node_count() as usize;
    let name = Digest::of(format!("{}{}", state.display(), spec.id).as_bytes()).0;
    let salt = u64::from(u32::from_le_bytes([name[0], name[1], name[2], name[3]]));
    let Some(mut ports) = free_ports(2 * nodes, &taken_ports(state)?, salt) else {
        return Ok(None);
    };
    let http = ports.split_off(nodes);
    let offset = HostClock::offset_of_wall_clock();
    // Slot 0 begins when the nodes are most likely up; a late one catches up.
    let millis = 1_000 + 10 * i64::from(spec.network.node_count());
    let genesis = HostClock::shared_now(offset) + base::Duration::from_millis(millis);
    Ok(Some(HostConfig::new(spec.network.clone(), genesis, offset, ports, http)))
}

/// Ports of the other deployments: a node that is down now wants its port back.
fn taken_ports(state: &Path) -> Result<BTreeSet<u16>, DriverError> {
    let directory = deployments(state);
    let entries = std::fs::read_dir(&directory).map_err(io("read", &directory))?;
    let mut taken = BTreeSet::new();
    for entry in entries.flatten() {
        let files = DeploymentFiles { directory: entry.path() };
        // A damaged neighbour is its own problem.
        if let Ok(Some(config)) = read_json::<HostConfig>(&files.config()) {
            taken.extend(config.peer_ports);
            taken.extend(config.http_ports);
        }
    }
    Ok(taken)
}

/// What became of a deployment's supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Supervision {
    /// It never wrote its state.
    Never,
    /// It runs.
    Alive(SupervisorFile),
    /// It is gone; this is what it wrote last.
    Gone(SupervisorFile),
}

pub(crate) fn supervision(files: &DeploymentFiles) -> Result<Supervision, DriverError> {
    Ok(match read_json::<SupervisorFile>(&files.supervisor())? {
        None => Supervision::Never,
        Some(file) if is_alive(file.process) => Supervision::Alive(file),
        Some(file) => Supervision::Gone(file),
    })
}
