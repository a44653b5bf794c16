//! The servers that the figures are compared with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};

use serde_json::Value as Json;

use super::data::{END_MS, HOURS, INTERVAL_MS};
use super::http::{self, form};
use super::rows::{Question, longest_run_seconds};
use crate::bench::machine;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long a server may take to start, to query, or to stop.
const PATIENCE: Duration = Duration::from_secs(600);

/// A product that is measured beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Prometheus,
    VictoriaMetrics,
}

impl Peer {
    pub const ALL: [Self; 2] = [Self::VictoriaMetrics, Self::Prometheus];

    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    pub fn program(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    /// The version of the Debian package: the program of VictoriaMetrics does not know its own.
    pub fn version(self) -> String {
        let query =
            Command::new("dpkg-query").args(["-W", "-f", "${Version}", self.program()]).output();
        let text = query.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        text.split('+').next().filter(|version| !version.is_empty()).unwrap_or("?").to_owned()
    }

    fn start_command(self, folder: &Path, port: u16) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Prometheus => command
                .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--storage.tsdb.retention.time=100y", "--query.timeout=10m"])
                .args(["--query.max-samples=1000000000", "--query.lookback-delta=5m"])
                .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]),
            Self::VictoriaMetrics => command
                .arg(format!("-storageDataPath={}", folder.join("data").display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .args(["-retentionPeriod=100y", "-search.disableCache"])
                .args(["-search.maxPointsPerTimeseries=100000", "-search.maxQueryDuration=10m"])
                .args(["-search.maxSamplesPerQuery=1000000000", "-selfScrapeInterval=0"]),
        };
        command
    }
}

/// A running server. It is killed when dropped.
pub struct Server {
    pub peer: Peer,
    pub port: u16,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server on the data in `folder`, and waits until it answers.
    pub fn start(peer: Peer, folder: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot start {}: {error}", peer.program()))
        };
        std::fs::create_dir_all(folder.join("data")).map_err(failed)?;
        std::fs::write(folder.join("prometheus.yml"), "global: {}\n").map_err(failed)?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        drop(listener);
        let log = folder.join("log.txt");
        let child = peer
            .start_command(folder, port)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let mut server = Self { peer, port, child, log };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let path = match self.peer {
            Peer::Prometheus => "/-/ready",
            Peer::VictoriaMetrics => "/health",
        };
        let clock = Clock::now();
        while clock.elapsed() < PATIENCE {
            if http::request(self.port, "GET", path, &[], &[]).is_ok_and(|answer| answer.is_ok()) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default();
                return Err(self.failure(format!("it ended with {status}: {last}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(self.failure("it does not answer".to_owned()))
    }

    fn failure(&self, reason: String) -> Failure {
        Failure::new(Exit::Failed, format!("{}: {reason}", self.peer.name()))
    }

    /// The most memory that the server has had at once, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        machine::peak_bytes(self.child.id())
    }

    /// Sends a request that must succeed.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let answer = http::request(self.port, method, path, headers, body)
            .map_err(|error| self.failure(format!("{path}: {error}")))?;
        if answer.is_ok() {
            return Ok(answer.body);
        }
        Err(self.failure(format!("{path}: status {}: {}", answer.status, answer.text())))
    }

    /// One of the figures that the server gives about itself; 0 when it has none of that name.
    pub fn own_metric(&self, name: &str) -> Result<f64, Failure> {
        let body = self.request("GET", "/metrics", &[], &[])?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    /// Asks a row's question and returns its answer, one number.
    pub fn ask(&self, question: &Question) -> Result<f64, Failure> {
        match question {
            Question::Value(query) => {
                let data = self.query(query)?;
                let value = data["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok());
                value.ok_or_else(|| self.failure(format!("`{query}` gives {data}")))
            }
            Question::LongestRun(conditions) => {
                let runs = conditions.iter().map(|condition| {
                    let data = self.query(&format!("({condition})[{HOURS}h:15s]"))?;
                    let values = data["result"][0]["values"].as_array().cloned();
                    Ok(values.unwrap_or_default().iter().filter_map(point).collect())
                });
                let runs = runs.collect::<Result<Vec<Vec<(i64, f64)>>, Failure>>()?;
                Ok(longest_run_seconds(&runs, INTERVAL_MS))
            }
        }
    }

    fn query(&self, query: &str) -> Result<Json, Failure> {
        let time = (END_MS / 1_000).to_string();
        let body =
            form(&[("query", query), ("time", &time), ("nocache", "1"), ("timeout", "600s")]);
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = self.request("POST", "/api/v1/query", &headers, body.as_bytes())?;
        let mut answer: Json = serde_json::from_slice(&body)
            .map_err(|error| self.failure(format!("its answer is not JSON: {error}")))?;
        Ok(answer["data"].take())
    }

    /// Ends the server in order, so that everything is on the disk.
    pub fn stop(mut self) -> Result<(), Failure> {
        let pid = self.child.id().to_string();
        let signalled = Command::new("kill").args(["-TERM", &pid]).status();
        if !signalled.is_ok_and(|status| status.success()) {
            return Err(self.failure("it cannot be ended".to_owned()));
        }
        self.child.wait().map_err(|error| self.failure(error.to_string()))?;
        Ok(())
    }
}

fn point(pair: &Json) -> Option<(i64, f64)> {
    Some(((pair[0].as_f64()? * 1_000.0).round() as i64, pair[1].as_str()?.parse().ok()?))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
