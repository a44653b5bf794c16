//! What the supervisor sees of its nodes: scrapes and events.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devnet::{NetworkEvent, NodeInfo, metrics_of};
use devnet_host::http;
use samples::{Labels, METRIC_NAME, STALE_NAN};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::files::io;
use crate::DriverError;

/// Nodes that are asked at the same time.
const CONCURRENCY: usize = 32;

/// `up` and the metrics of the node's role, with the node's labels: what every scrape of the node
/// gives, whether it answers or not.
pub(crate) fn series_of(node: &NodeInfo) -> Vec<Labels> {
    let labels = |name: &str, own: Option<(&str, &str)>| {
        let operator = node.operator.map(|operator| ("operator", operator.as_str()));
        let pairs = [
            Some((METRIC_NAME, name)),
            Some(("instance", node.name.as_str())),
            Some(("role", node.role.as_str())),
            operator,
            own,
        ];
        Labels::from_pairs(pairs.into_iter().flatten())
    };
    let metrics = metrics_of(node.role).map(|metric| labels(metric.name, metric.label));
    std::iter::once(labels("up", None)).chain(metrics).collect()
}

/// The values of `series` in an exposition; a node that did not answer is down, and what it does
/// not export is missing.
pub(crate) fn values_of(series: &[Labels], exposition: Option<&str>) -> Vec<f64> {
    let found = exposition.map(|text| samples::exposition::parse(text).0);
    let up = if found.is_some() { 1.0 } else { 0.0 };
    let found: std::collections::BTreeMap<_, _> = found.into_iter().flatten().collect();
    let value = |labels: &Labels| {
        if labels.metric_name() == "up" {
            up
        } else {
            found.get(labels).copied().unwrap_or(STALE_NAN)
        }
    };
    series.iter().map(value).collect()
}

/// Asks every port for its metrics; `None` for those that do not answer in time.
pub(crate) async fn scrape(ports: Vec<u16>, limit: Duration) -> Vec<Option<String>> {
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut asked = JoinSet::new();
    let count = ports.len();
    for (index, port) in ports.into_iter().enumerate() {
        let places = Arc::clone(&places);
        asked.spawn(async move {
            let _place = places.acquire_owned().await;
            let answer = http::ask(port, "/metrics", None, limit).await.ok();
            (index, answer.and_then(|body| String::from_utf8(body).ok()))
        });
    }
    let mut answers = vec![None; count];
    while let Some(answer) = asked.join_next().await {
        if let Ok((index, text)) = answer {
            answers[index] = text;
        }
    }
    answers
}

/// Follows the event file of one node.
#[derive(Debug)]
pub(crate) struct EventTail {
    path: PathBuf,
    read: u64,
}

/// What was new in an event file.
#[derive(Debug, Default)]
pub(crate) struct NewEvents {
    pub(crate) events: Vec<NetworkEvent>,
    /// Lines that are no events: a crash in the middle of a write leaves one.
    pub(crate) unreadable: u64,
}

impl EventTail {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// The events that were added since the last call. Half a line waits for its other half.
    pub(crate) fn read(&mut self) -> NewEvents {
        let mut new = NewEvents::default();
        let Ok(mut file) = File::open(&self.path) else { return new };
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.read)).is_err() || file.read_to_end(&mut bytes).is_err() {
            return new;
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.read += whole as u64;
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(event) => new.events.push(event),
                Err(_) => new.unreadable += 1,
            }
        }
        new
    }
}

/// The events of the whole deployment, one per line.
#[derive(Debug)]
pub(crate) struct EventLog {
    file: File,
    path: PathBuf,
}

impl EventLog {
    pub(crate) fn open(path: &Path) -> Result<Self, DriverError> {
        let file =
            File::options().append(true).create(true).open(path).map_err(io("open", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(crate) fn append(&mut self, events: &[NetworkEvent]) -> Result<(), DriverError> {
        let mut bytes = Vec::new();
        for event in events {
            bytes.extend(serde_json::to_vec(event).map_err(base::CanonicalError::from)?);
            bytes.push(b'\n');
        }
        self.file.write_all(&bytes).map_err(io("write to", &self.path))
    }
}

/// All events of a deployment, in order of time.
pub(crate) fn read_events(path: &Path) -> NewEvents {
    let mut all = EventTail::new(path.to_owned()).read();
    all.events.sort_by_key(|event| event.at);
    all
}

#[cfg(test)]
mod tests {
    use super::{EventTail, series_of, values_of};
    use devnet::NetworkSpec;
    use samples::is_stale;
    use std::io::Write as _;

    #[test]
    fn a_node_that_does_not_answer_is_down_and_its_metrics_are_missing() {
        let node = &NetworkSpec::default().nodes()[2];
        let series = series_of(node);
        let down = values_of(&series, None);
        assert_eq!(down[0], 0.0);
        assert!(down[1..].iter().all(|value| is_stale(*value)));
        let page = "devnet_final_height{role=\"validator\",instance=\"validator-0\"} 7\n";
        let up = values_of(&series, Some(page));
        assert_eq!(up[0], 1.0);
        let index = series.iter().position(|l| l.metric_name() == "devnet_final_height").unwrap();
        assert_eq!(up[index], 7.0);
        assert_eq!(up.iter().filter(|value| !is_stale(**value)).count(), 2);
    }

    #[test]
    fn half_a_line_waits_and_nonsense_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        let mut tail = EventTail::new(path.clone());
        assert!(tail.read().events.is_empty());
        let mut file = std::fs::File::create(&path).unwrap();
        let line = r#"{"at":"2026-01-08T15:00:00Z","name":"node.started","node":"l1"}"#;
        let (first, second) = line.split_at(20);
        write!(file, "{line}\n{first}").unwrap();
        assert_eq!(tail.read().events.len(), 1);
        assert!(tail.read().events.is_empty());
        write!(file, "{second}\n\nnonsense\n{line}\n").unwrap();
        let new = tail.read();
        assert_eq!((new.events.len(), new.unreadable), (2, 1));
    }
}
