//! The data set in our own store: in memory, in an archive on the disk, and out of text.

use std::path::Path;
use std::time::{Duration, Instant as Clock};

use samples::archive::{self, Scrape};
use samples::formats::Scraper;
use samples::formats::exposition::Dialect;
use samples::{Archive, Store, TargetId};

use super::data::{self, Node, SCRAPES, SERIES};
use super::text;
use crate::exit::Exit;
use crate::failure::Failure;

/// Scrapes of each node that are read from text: four hours.
const TEXT_SCRAPES: usize = 960;

fn failed(error: impl std::error::Error) -> Failure {
    Failure::of(Exit::Failed, &error)
}

/// All nodes, scraped in turn.
struct Network {
    nodes: Vec<Node>,
    /// The time of the latest scrape of each node, and its values.
    latest: Vec<(i64, [f64; SERIES])>,
}

impl Network {
    fn new(nodes: usize) -> Self {
        Self { nodes: (0..nodes).map(Node::new).collect(), latest: vec![(0, [0.0; SERIES]); nodes] }
    }

    /// Scrapes every node; `None` when the data set is over.
    fn scrape(&mut self) -> Option<&[(i64, [f64; SERIES])]> {
        for (node, (t_ms, row)) in self.nodes.iter_mut().zip(&mut self.latest) {
            *t_ms = node.scrape(row)?;
        }
        Some(&self.latest)
    }
}

/// Opens what [`write()`] wrote.
pub fn open(folder: &Path) -> Result<Store, Failure> {
    Archive::read(folder).and_then(samples::ArchiveReader::into_store).map_err(failed)
}

/// How long appending takes in memory, sealing of blocks included, without making the data up.
pub fn append(nodes: usize) -> Result<Duration, Failure> {
    let mut store = Store::new();
    let targets: Vec<TargetId> = (0..nodes).map(|n| store.add_target(data::labels(n))).collect();
    let mut network = Network::new(nodes);
    let mut spent = Duration::ZERO;
    while let Some(scrapes) = network.scrape() {
        let clock = Clock::now();
        for (target, (t_ms, row)) in targets.iter().zip(scrapes) {
            store.append(*target, *t_ms, row).map_err(failed)?;
        }
        spent += clock.elapsed();
    }
    Ok(spent)
}

/// Writes an archive, and merges its blocks as the servers merge theirs. Returns how long writing
/// took, every scrape handed to the operating system before the next; merging comes after.
pub fn write(folder: &Path, nodes: usize) -> Result<Duration, Failure> {
    let (mut archive, _) = Archive::open(folder).map_err(failed)?;
    let targets = (0..nodes).map(|node| archive.target(&data::labels(node)));
    let targets: Vec<TargetId> = targets.collect::<Result<_, _>>().map_err(failed)?;
    let mut network = Network::new(nodes);
    let mut spent = Duration::ZERO;
    while let Some(scrapes) = network.scrape() {
        let clock = Clock::now();
        let pairs = targets.iter().zip(scrapes);
        let round: Vec<Scrape<'_>> = pairs
            .map(|(target, (t_ms, row))| Scrape { target: *target, t_ms: *t_ms, values: row })
            .collect();
        for outcome in archive.append_all(&round).map_err(failed)? {
            outcome.map_err(failed)?;
        }
        spent += clock.elapsed();
    }
    let clock = Clock::now();
    archive.sync().map_err(failed)?;
    spent += clock.elapsed();
    drop(archive);
    archive::compact(folder, None, None, false).map_err(failed)?;
    Ok(spent)
}

/// Bytes per sample of the archive's blocks.
pub fn bytes_per_sample(folder: &Path) -> Result<f64, Failure> {
    let info = archive::info(folder).map_err(failed)?;
    info.bytes_per_sample().ok_or_else(|| Failure::new(Exit::Failed, "the archive has no block"))
}

/// How many samples are read from the text of scrapes and appended, and how long that takes without
/// making up the text.
pub fn parse(nodes: usize) -> Result<(u64, Duration), Failure> {
    let mut store = Store::new();
    let mut scrapers: Vec<(Scraper, Option<TargetId>)> =
        (0..nodes).map(|node| (Scraper::new(data::target(node)), None)).collect();
    let mut network = Network::new(nodes);
    let (mut samples, mut spent) = (0, Duration::ZERO);
    let mut texts = vec![String::new(); nodes];
    let names = text::names();
    for _ in 0..TEXT_SCRAPES.min(SCRAPES) {
        let Some(scrapes) = network.scrape() else { break };
        for (text, (_, row)) in texts.iter_mut().zip(scrapes) {
            text::exposition(&names, row, text);
        }
        let clock = Clock::now();
        for (((scraper, target), text), (t_ms, _)) in scrapers.iter_mut().zip(&texts).zip(scrapes) {
            let answer = (!text.is_empty()).then_some((text.as_bytes(), Dialect::Prometheus));
            let scrape = scraper.scrape(answer);
            if target.is_none() {
                *target = Some(store.add_target(scrape.series.to_vec()));
            }
            if let Some(target) = *target {
                store.append(target, *t_ms, scrape.values).map_err(failed)?;
            }
            samples += scrape.values.len() as u64;
        }
        spent += clock.elapsed();
    }
    Ok((samples, spent))
}
