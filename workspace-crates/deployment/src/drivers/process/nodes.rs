use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use devnet::{NodeInfo, Upgrade};
use devnet_host::{ClientFile, NodeFiles};
use rustix::process::Signal;

use super::environment;
use super::files::{NodeEntry, ProcessId, io, write_json};
use super::processes::{identify, node_arguments, signal};
use crate::{DriverError, NodeState};

/// One node as its supervisor holds it.
#[derive(Debug)]
pub(crate) struct ManagedNode {
    pub(crate) info: NodeInfo,
    pub(crate) http_port: u16,
    pub(crate) client: ClientFile,
    files: NodeFiles,
    config: PathBuf,
    executable: PathBuf,
    child: Option<(Child, Option<ProcessId>)>,
    state: NodeState,
    starts: u32,
}

impl ManagedNode {
    pub(crate) fn new(
        info: NodeInfo,
        http_port: u16,
        client: ClientFile,
        config: PathBuf,
        executable: PathBuf,
    ) -> Self {
        let files = NodeFiles::beside(&config, &info.name);
        Self {
            info,
            http_port,
            client,
            files,
            config,
            executable,
            child: None,
            state: NodeState::Stopped,
            starts: 0,
        }
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.files.events()
    }

    /// Starts the node's process, unless it has one.
    pub(crate) fn start(&mut self) -> Result<(), DriverError> {
        if self.child.is_some() {
            return Ok(());
        }
        let directory = &self.files.directory;
        std::fs::create_dir_all(directory).map_err(io("create", directory))?;
        write_json(&self.files.client(), &self.client)?;
        let stderr_path = directory.join("stderr.log");
        let stderr = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&stderr_path)
            .map_err(io("open", &stderr_path))?;
        let child = environment::command(&self.executable)
            .args(node_arguments(&self.config))
            .args(["--node", &self.info.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(io("run", &self.executable))?;
        let process = identify(child.id());
        self.child = Some((child, process));
        self.state = NodeState::Up;
        self.starts += 1;
        Ok(())
    }

    /// Kills the node's process; says whether there was one.
    pub(crate) fn kill(&mut self) -> bool {
        self.state = NodeState::Stopped;
        let Some((mut child, _)) = self.child.take() else { return false };
        // Both fail only when the process has ended already.
        let _ = child.kill();
        let _ = child.wait();
        true
    }

    pub(crate) fn freeze(&mut self) {
        if let Some((_, Some(process))) = &self.child {
            signal(*process, Signal::STOP);
            self.state = NodeState::Paused;
        }
    }

    pub(crate) fn unfreeze(&mut self) {
        if let Some((_, Some(process))) = &self.child {
            signal(*process, Signal::CONT);
            self.state = NodeState::Up;
        }
    }

    /// Tells the process to end and lets it.
    pub(crate) fn ask_to_end(&mut self) {
        self.unfreeze();
        if let Some((_, Some(process))) = &self.child {
            signal(*process, Signal::TERM);
        }
    }

    /// Whether the process has ended without having been asked to, and how.
    pub(crate) fn crash(&mut self) -> Option<ExitStatus> {
        let (child, _) = self.child.as_mut()?;
        let status = child.try_wait().ok().flatten()?;
        self.child = None;
        self.state = NodeState::Crashed;
        Some(status)
    }

    /// Takes the new client on; the node runs it after its next start.
    pub(crate) fn upgrade(&mut self, upgrade: Upgrade) {
        self.client.version = upgrade.version;
        self.client.upgrades.push(upgrade);
    }

    /// The last thing that the process said before it ended.
    pub(crate) fn last_words(&self) -> String {
        let path = self.files.directory.join("stderr.log");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }

    pub(crate) fn entry(&self) -> NodeEntry {
        NodeEntry {
            name: self.info.name.clone(),
            state: self.state,
            version: self.client.version,
            starts: self.starts,
            process: self.child.as_ref().and_then(|(_, process)| *process),
        }
    }
}

/// Ends all nodes: politely first, by force after `patience`.
pub(crate) fn end_all(nodes: &mut [ManagedNode], patience: Duration) {
    for node in nodes.iter_mut() {
        node.ask_to_end();
    }
    let deadline = Instant::now() + patience;
    while nodes.iter().any(|node| node.child.is_some()) && Instant::now() < deadline {
        for node in nodes.iter_mut() {
            node.crash();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for node in nodes {
        node.kill();
    }
}
