use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use devnet::{Durable, NodeConfig, Record, decode};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::HostClock;
use crate::config::{HostConfig, NodeFiles};
use crate::error::{describe, io_error};
use crate::frame::Hello;
use crate::http;
use crate::node::{Node, Parts};
use crate::peers::{Inbound, Peers};
use crate::{HostError, Journal};

/// Messages that wait for the node; when there are more, its peers have to wait.
const INBOUND_LENGTH: usize = 512;
/// Messages that are handled before the disk is flushed and timers are looked at again.
const BATCH: usize = 64;

/// Runs the node `name` of the network that the file at `config` describes, until it is told to
/// end by SIGTERM or SIGINT. Its files are in `nodes/<name>` beside the configuration.
///
/// # Errors
/// When the configuration or the node's files cannot be used, a port is taken, or the disk refuses
/// what the node must not forget.
pub fn run_node(config: &Path, name: &str) -> Result<(), HostError> {
    let host = HostConfig::read(config)?;
    let files = NodeFiles::beside(config, name);
    let info = host.node(name)?;
    std::fs::create_dir_all(&files.directory).map_err(io_error("create", &files.directory))?;
    start_log(&files)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HostError::Runtime)?;
    let result = runtime.block_on(run(host, info, &files));
    if let Err(error) = &result {
        tracing::error!("the node ends: {}", describe(error));
    }
    result
}

fn start_log(files: &NodeFiles) -> Result<(), HostError> {
    let path = files.log();
    let file = append_to(&path)?;
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::sync::Mutex::new(file))
        .finish();
    // In a program that runs several nodes one after the other, the first log stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

fn append_to(path: &Path) -> Result<std::fs::File, HostError> {
    std::fs::OpenOptions::new().append(true).create(true).open(path).map_err(io_error("open", path))
}

/// A crash may have left half a line; the next one starts afresh.
fn append_lines_to(path: &Path) -> Result<std::fs::File, HostError> {
    let mut file = append_to(path)?;
    let length = file.metadata().map_err(io_error("read", path))?.len();
    if length > 0 {
        file.write_all(b"\n").map_err(io_error("write to", path))?;
    }
    Ok(file)
}

async fn run(host: HostConfig, info: devnet::NodeInfo, files: &NodeFiles) -> Result<(), HostError> {
    let client = files.read_client(&host.network)?;
    if client.broken {
        return Err(HostError::BadClient);
    }
    let mut end = signal(SignalKind::terminate()).map_err(HostError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(HostError::Runtime)?;
    let peer_listener = listen(host.peer_ports[info.id.index()], "its peers").await?;
    let http_listener = listen(host.http_ports[info.id.index()], "HTTP").await?;

    let clock = HostClock::shared(host.clock_offset);
    let (journal, durable) = open_state(files, &host)?;
    let hello = Hello { network: host.network_digest(), node: info.id };
    let (inbound_sender, mut inbound) = mpsc::channel(INBOUND_LENGTH);
    let idle = idle_time(&host);
    let peers = Peers::new(hello, host.peer_ports.clone(), idle, inbound_sender);
    peers.listen(peer_listener);
    let config = NodeConfig {
        spec: Arc::new(host.network.clone()),
        id: info.id,
        genesis: host.genesis,
        version: client.version,
        upgrades: client.upgrades,
        started: clock.now(),
    };
    let unknown = |_| HostError::UnknownNode(info.name.clone());
    let machine = devnet::build(config.clone()).map_err(unknown)?;
    let events_path = files.events();
    let events = append_lines_to(&events_path)?;
    let mut node = Node::new(Parts {
        info,
        config,
        machine,
        clock,
        journal,
        durable,
        events,
        events_path,
        peers,
    });
    node.settle()?;
    // Only now: whoever gets an answer knows that the node is ready.
    let (call_sender, mut calls) = mpsc::channel(16);
    tokio::spawn(http::serve(http_listener, call_sender));

    loop {
        let wake = node.wake();
        tokio::select! {
            Some(first) = inbound.recv() => take_batch(&mut node, first, &mut inbound),
            Some(call) = calls.recv() => node.take_call(call),
            () = sleep_until(wake) => {}
            _ = end.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        node.settle()?;
    }
}

fn take_batch(node: &mut Node, first: Inbound, inbound: &mut mpsc::Receiver<Inbound>) {
    node.take_inbound(first);
    for _ in 1..BATCH {
        let Ok(next) = inbound.try_recv() else { return };
        node.take_inbound(next);
    }
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// Connections are kept over the pauses of a busy pair of nodes: four slots, at least ten seconds.
fn idle_time(host: &HostConfig) -> std::time::Duration {
    let slots = u64::try_from(host.network.slot.times(4).micros()).unwrap_or(0);
    std::time::Duration::from_micros(slots).max(std::time::Duration::from_secs(10))
}

async fn listen(port: u16, what: &'static str) -> Result<TcpListener, HostError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => HostError::PortInUse { port, what },
        _ => HostError::Listen { port, source },
    })
}

fn open_state(files: &NodeFiles, host: &HostConfig) -> Result<(Journal, Durable), HostError> {
    let path = files.state();
    let opened = Journal::open(&path, &host.network_digest())?;
    if opened.cut_bytes > 0 {
        tracing::warn!(
            "cut {} bytes of an unfinished entry off {}",
            opened.cut_bytes,
            path.display()
        );
    }
    let mut durable = Durable::default();
    for (index, entry) in opened.entries.iter().enumerate() {
        let refuse = |source| HostError::Record { index, path: path.clone(), source };
        durable.apply(decode::<Record>(entry).map_err(refuse)?);
    }
    Ok((opened.journal, durable))
}
