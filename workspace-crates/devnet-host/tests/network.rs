//! Real processes on loopback: they make blocks, survive a kill, and shrug off garbage.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devnet::NetworkSpec;
use devnet_host::{HostClock, HostConfig, NodeFiles, rpc};
use serde_json::Value;

/// Longer than anything here takes, also on a busy machine; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(90);

struct Network {
    directory: tempfile::TempDir,
    config: HostConfig,
    processes: Vec<(String, Child)>,
}

impl Network {
    /// A network of seven validators with slots of half a second; nothing runs yet.
    fn new() -> Self {
        let ms = base::Duration::from_millis;
        let mut spec = NetworkSpec {
            validators: 7,
            committee: 7,
            epoch_slots: 4,
            load_tps: 4.0,
            max_txs_per_block: 8,
            link_latency: ms(1),
            link_jitter: ms(5),
            ..NetworkSpec::default()
        }
        .with_slot(ms(500));
        spec.proving = ms(500);
        spec.check().unwrap();
        let offset = HostClock::offset_of_wall_clock();
        let mut ports = free_ports(2 * spec.node_count() as usize);
        let http = ports.split_off(spec.node_count() as usize);
        let genesis = HostClock::shared_now(offset) + ms(500);
        let config = HostConfig::new(spec, genesis, offset, ports, http);
        let directory = tempfile::tempdir().unwrap();
        let network = Self { directory, config, processes: Vec::new() };
        std::fs::write(network.file(), serde_json::to_vec(&network.config).unwrap()).unwrap();
        network
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    fn files(&self, node: &str) -> NodeFiles {
        NodeFiles::beside(&self.file(), node)
    }

    fn command(&self, node: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet-node"));
        command.arg("devnet-node").arg("--config").arg(self.file()).args(["--node", node]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn start(&mut self, node: &str) {
        let child = self.command(node).spawn().unwrap();
        self.processes.push((node.to_owned(), child));
    }

    fn start_all(&mut self) {
        for node in self.config.network.nodes() {
            self.start(&node.name);
        }
    }

    fn kill(&mut self, node: &str) {
        let index = self.processes.iter().position(|(name, _)| name == node).unwrap();
        let (_, mut child) = self.processes.remove(index);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn http_port(&self, node: &str) -> u16 {
        self.config.http_port(self.config.node(node).unwrap().id).unwrap()
    }

    fn peer_port(&self, node: &str) -> u16 {
        self.config.peer_ports[self.config.node(node).unwrap().id.index()]
    }

    /// The body of an answer; nothing when the node does not answer, or answers with an error.
    fn http(&self, node: &str, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port(node))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let body = answer.strip_prefix("HTTP/1.1 200 ")?.split_once("\r\n\r\n")?.1;
        Some(body.to_owned())
    }

    fn call(&self, node: &str, method: &str, params: Value) -> Option<Value> {
        let body = String::from_utf8(rpc::call(method, params)).unwrap();
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        rpc::result_of(self.http(node, &(head + &body))?.as_bytes()).ok()
    }

    fn metric(&self, node: &str, name: &str) -> Option<f64> {
        let page = self.http(node, "GET /metrics HTTP/1.1\r\n\r\n")?;
        let (samples, problems) = samples::exposition::parse(&page);
        assert!(problems.is_empty(), "{problems:?}");
        samples.iter().find(|(labels, _)| labels.metric_name() == name).map(|(_, value)| *value)
    }

    fn height(&self, node: &str, which: &str) -> Option<u64> {
        self.call(node, "devnet_tips", Value::Null)?[which]["height"].as_u64()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Polls until `check` holds.
fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn seven_validators_make_blocks_and_one_that_was_killed_follows_again() {
    let mut network = Network::new();
    network.start_all();
    wait_for("three blocks", || network.height("validator-0", "pending") >= Some(3));
    wait_for("a proven block", || network.height("validator-1", "proven") >= Some(1));
    wait_for("a final block", || network.height("validator-1", "finalized") >= Some(1));

    network.kill("validator-3");
    let at_kill = network.height("validator-0", "pending").unwrap();
    wait_for("two blocks without it", || {
        network.height("validator-0", "pending") >= Some(at_kill + 2)
    });
    network.start("validator-3");
    wait_for("it to follow again", || {
        network.height("validator-3", "pending") >= Some(at_kill + 3)
    });
    let health = network.call("validator-3", "devnet_health", Value::Null);
    assert!(health.is_some_and(|health| health["status"].is_string()));
    assert!(network.metric("validator-3", "devnet_pending_height") >= Some(3.0));
    assert!(network.metric("l1", "devnet_slots_filled_total") >= Some(3.0));

    let events = std::fs::read_to_string(network.files("validator-3").events()).unwrap();
    let starts = events.lines().filter(|line| line.contains("\"node.started\"")).count();
    assert_eq!(starts, 2);
}

#[test]
fn garbage_closes_its_connection_and_is_counted() {
    let mut network = Network::new();
    network.start("l1");
    wait_for("the L1 to answer", || network.metric("l1", "devnet_l1_height").is_some());
    let attacks: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: here\r\nUser-Agent: confused\r\n\r\n",
        &[0xff; 4_096],
        &[0; 4_096],
    ];
    for attack in attacks {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, network.peer_port("l1"))).unwrap();
        stream.write_all(attack).unwrap();
        // The node closes: either nothing more comes, or the connection is reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    wait_for("the node to count them", || {
        network.metric("l1", "devnet_host_garbage_total") == Some(3.0)
    });
    assert!(network.call("l1", "devnet_status", Value::Null).is_some());
    assert!(network.http("l1", "\u{0}\u{1}\n\n").is_none());
    assert!(network.call("l1", "devnet_status", Value::Null).is_some());
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let network = Network::new();
    let port = network.http_port("load");
    let _squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let output = network.command("load").stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains(&format!("port {port}")) && words.contains("in use"), "{words}");
}

#[test]
fn an_unusable_state_file_is_a_clear_error_and_a_torn_one_is_cut() {
    let mut network = Network::new();
    let files = network.files("validator-0");
    std::fs::create_dir_all(&files.directory).unwrap();
    std::fs::write(files.state(), b"not a state file").unwrap();
    let output = network.command("validator-0").stderr(Stdio::piped()).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("was not written for this network"), "{words}");

    std::fs::write(files.state(), b"pgst").unwrap();
    network.start("validator-0");
    wait_for("the node to answer", || {
        network.metric("validator-0", "devnet_pending_height").is_some()
    });
}

#[test]
fn a_full_disk_is_a_clear_error() {
    let network = Network::new();
    let files = network.files("validator-0");
    std::fs::create_dir_all(&files.directory).unwrap();
    std::os::unix::fs::symlink("/dev/full", files.events()).unwrap();
    let output = network.command("validator-0").stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("events.ndjson") && words.contains("No space left"), "{words}");
}

#[test]
fn faults_are_injected_over_rpc() {
    let mut network = Network::new();
    network.start("l1");
    wait_for("the L1 to answer", || network.metric("l1", "devnet_l1_height").is_some());
    let until = "2999-01-01T00:00:00Z";
    let silence = serde_json::json!({ "kind": "silence", "until": until });
    assert_eq!(network.call("l1", "devnet_inject", silence), Some(Value::Bool(true)));
    assert_eq!(network.metric("l1", "devnet_l1_height"), None);
    assert!(network.call("l1", "devnet_health", Value::Null).is_some());
}
