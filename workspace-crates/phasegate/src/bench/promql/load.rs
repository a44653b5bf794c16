//! Brings the data set into a server.

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::data::{self, Node, SCRAPES, SERIES};
use super::peer::{Peer, Server};
use super::remote_write::{Encoder, HEADERS, snappy};
use super::{HasNodes, empty, read_note, text, write_note};
use crate::bench::machine;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;

/// Scrapes of each node in a request: ten minutes. Prometheus takes samples that are up to an hour
/// older than its newest.
const SLICE: usize = 40;
/// Nodes in a request.
const NODES_PER_REQUEST: usize = 54;
/// Senders: as many as the machine for which the goals are has cores.
const SENDERS: usize = 2;

/// A server's data on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Loaded {
    pub nodes: usize,
    pub samples: u64,
    /// By remote write.
    pub samples_per_second: f64,
    /// From text: VictoriaMetrics imports it, `promtool` makes Prometheus' blocks of it.
    pub text_samples_per_second: f64,
    pub bytes: u64,
}

impl HasNodes for Loaded {
    fn nodes(&self) -> usize {
        self.nodes
    }
}

/// Loads the data of `nodes` nodes into `folder`, unless they are there already.
pub fn load(peer: Peer, folder: &Path, nodes: usize) -> Result<Loaded, Failure> {
    let note = folder.join("loaded.json");
    if let Some(known) = read_note(&note, nodes) {
        return Ok(known);
    }
    empty(folder)?;
    say(format!("Loading {} …", peer.name()));
    let text_samples_per_second = import(peer, &folder.join("import"), nodes)?;
    let server = Server::start(peer, folder)?;
    let clock = Clock::now();
    let samples = send(&server, nodes)?;
    let samples_per_second = samples as f64 / clock.elapsed().as_secs_f64();
    match peer {
        Peer::Prometheus => settle_prometheus(server, folder)?,
        Peer::VictoriaMetrics => settle_victoria(server)?,
    }
    let bytes = match peer {
        Peer::Prometheus => machine::folder_bytes(&folder.join("data")),
        // What it keeps in `cache` only speeds up its start.
        Peer::VictoriaMetrics => ["data", "indexdb"]
            .map(|name| machine::folder_bytes(&folder.join("data").join(name)))
            .iter()
            .sum(),
    };
    let loaded = Loaded { nodes, samples, samples_per_second, text_samples_per_second, bytes };
    write_note(&note, &loaded)?;
    Ok(loaded)
}

/// Sends everything in the order of time, and returns how many samples that were.
fn send(server: &Server, nodes: usize) -> Result<u64, Failure> {
    let (step, failed, sent) = (Barrier::new(SENDERS), AtomicBool::new(false), AtomicU64::new(0));
    let sender = |first: usize| {
        let mut own: Vec<Sender> = (first..nodes).step_by(SENDERS).map(Sender::new).collect();
        let mut outcome = Ok(());
        for _ in 0..SCRAPES.div_ceil(SLICE) {
            // One sender must not run away from the other, see SLICE.
            step.wait();
            if failed.load(Ordering::Relaxed) {
                break;
            }
            outcome = own.chunks_mut(NODES_PER_REQUEST).try_for_each(|chunk| {
                let mut request = Vec::new();
                let samples: u64 = chunk.iter_mut().map(|node| node.slice(&mut request)).sum();
                sent.fetch_add(samples, Ordering::Relaxed);
                server.request("POST", "/api/v1/write", &HEADERS, &snappy(&request)).map(drop)
            });
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            step.wait();
        }
        outcome
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..SENDERS).map(|first| scope.spawn(move || sender(first))).collect();
        let lost = || Failure::new(Exit::Failed, "a sender panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| lost())?)
    })?;
    Ok(sent.into_inner())
}

struct Sender {
    node: Node,
    encoder: Encoder,
    before: [f64; SERIES],
}

impl Sender {
    fn new(index: usize) -> Self {
        let encoder = Encoder::new(&data::labels(index));
        Self { node: Node::new(index), encoder, before: [0.0; SERIES] }
    }

    fn slice(&mut self, request: &mut Vec<u8>) -> u64 {
        let (mut times, mut rows) = (Vec::with_capacity(SLICE), Vec::with_capacity(SLICE));
        for _ in 0..SLICE {
            let mut row = [0.0; SERIES];
            let Some(t_ms) = self.node.scrape(&mut row) else { break };
            times.push(t_ms);
            rows.push(row);
        }
        let written = self.encoder.write(&times, &rows, &self.before, request);
        self.before = rows.last().copied().unwrap_or(self.before);
        written
    }
}

/// Brings the first hour into a server as text, and returns the samples per second.
fn import(peer: Peer, folder: &Path, nodes: usize) -> Result<f64, Failure> {
    empty(folder)?;
    let (text, samples) = first_hour(peer, nodes);
    let seconds = match peer {
        Peer::VictoriaMetrics => {
            let server = Server::start(peer, folder)?;
            let clock = Clock::now();
            server.request("POST", "/api/v1/import/prometheus", &[], text.as_bytes())?;
            clock.elapsed().as_secs_f64()
        }
        Peer::Prometheus => {
            let path = folder.join("samples.txt");
            std::fs::write(&path, text).map_err(|e| Failure::file("write", &path, &e))?;
            let clock = Clock::now();
            let blocks = folder.join("data");
            duct::cmd!("promtool", "tsdb", "create-blocks-from", "openmetrics", &path, &blocks)
                .stdout_null()
                .stderr_null()
                .run()
                .map_err(|error| Failure::new(Exit::Failed, format!("promtool: {error}")))?;
            clock.elapsed().as_secs_f64()
        }
    };
    std::fs::remove_dir_all(folder).map_err(|e| Failure::file("remove", folder, &e))?;
    Ok(samples as f64 / seconds)
}

/// The first hour of all nodes as text, and how many samples it has.
fn first_hour(peer: Peer, nodes: usize) -> (String, usize) {
    let mut all = String::new();
    for index in 0..nodes {
        let (mut node, labels) = (Node::new(index), data::labels(index));
        // OpenMetrics has no blanks between labels.
        let names = labels.iter().map(|labels| labels.to_string().replace(", ", ","));
        let names: Vec<String> = names.collect();
        let mut row = [0.0; SERIES];
        for _ in 0..240 {
            let Some(t_ms) = node.scrape(&mut row) else { break };
            text::import(&names, t_ms, &row, peer == Peer::Prometheus, &mut all);
        }
    }
    let samples = all.lines().count();
    if peer == Peer::Prometheus {
        all.push_str("# EOF\n");
    }
    (all, samples)
}

/// Brings what is still in memory into blocks, and waits until they are as large as they become.
fn settle_prometheus(server: Server, folder: &Path) -> Result<(), Failure> {
    let body = server.request("POST", "/api/v1/admin/tsdb/snapshot", &[], &[])?;
    let answer: Json = serde_json::from_slice(&body).unwrap_or_default();
    let name = answer["data"]["name"].as_str().unwrap_or_default().to_owned();
    server.stop()?;
    let (data, whole) = (folder.join("data"), folder.join("snapshot"));
    std::fs::rename(data.join("snapshots").join(name), &whole)
        .and_then(|()| std::fs::remove_dir_all(&data))
        .and_then(|()| std::fs::rename(&whole, &data))
        .map_err(|e| Failure::file("move the snapshot in", folder, &e))?;
    let server = Server::start(Peer::Prometheus, folder)?;
    // It looks for something to compact once a minute.
    while server.own_metric("prometheus_tsdb_compactions_triggered_total")? < 2.0 {
        std::thread::sleep(Duration::from_secs(1));
    }
    server.stop()
}

fn settle_victoria(server: Server) -> Result<(), Failure> {
    server.request("GET", "/internal/force_flush", &[], &[])?;
    server.request("GET", "/internal/force_merge", &[], &[])?;
    let mut quiet = 0;
    // The merge begins a moment after it was asked for.
    while quiet < 5 {
        std::thread::sleep(Duration::from_secs(1));
        let merging =
            server.own_metric("vm_active_force_merges")? + server.own_metric("vm_active_merges")?;
        quiet = if merging == 0.0 { quiet + 1 } else { 0 };
    }
    server.stop()
}
