//! Real servers on free ports, filled with samples, and gone when dropped.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use samples::Series;

pub struct Running {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Prometheus over blocks of `samples`; `None` when it is not installed.
    pub fn prometheus(samples: &[Series]) -> Option<Self> {
        let is_there = |program| Command::new(program).arg("--version").output().is_ok();
        if !is_there("prometheus") || !is_there("promtool") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (text, data) = (folder.path().join("samples.txt"), folder.path().join("data"));
        std::fs::write(&text, format!("{}# EOF\n", lines(samples, true))).unwrap();
        let built = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&text, &data])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let start = |port: u16, _: &Path| {
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--storage.tsdb.retention.time=100y");
            command
        };
        Some(Self::start(folder, "/-/ready", start))
    }

    /// VictoriaMetrics with `samples`; `None` when it is not installed.
    pub fn victoria_metrics(samples: &[Series]) -> Option<Self> {
        Command::new("victoria-metrics").arg("--version").output().ok()?;
        let folder = tempfile::tempdir().unwrap();
        let start = |port: u16, folder: &Path| {
            let mut command = Command::new("victoria-metrics");
            command
                .arg(format!("-storageDataPath={}", folder.join("data").display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]);
            command
        };
        let running = Self::start(folder, "/health", start);
        let text = lines(samples, false);
        let import = format!(
            "POST /api/v1/import/prometheus HTTP/1.0\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        assert_eq!(exchange(running.port, &import), Some(204));
        assert_eq!(exchange(running.port, "GET /internal/force_flush HTTP/1.0\r\n\r\n"), Some(200));
        Some(running)
    }

    /// Starts a server and waits until it is ready. Another program can take a port first, then
    /// the server ends and the next port is tried.
    fn start(
        folder: tempfile::TempDir,
        ready: &str,
        command: impl Fn(u16, &Path) -> Command,
    ) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = command(port, folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() {
                if exchange(port, &format!("GET {ready} HTTP/1.0\r\n\r\n")) == Some(200) {
                    return Self { child, port, _folder: folder };
                }
                std::thread::yield_now();
            }
        }
        panic!("the server does not start");
    }
}

/// The status of the answer to `request`.
fn exchange(port: u16, request: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// The samples in text form: times in seconds, as OpenMetrics has them, or in milliseconds.
fn lines(samples: &[Series], seconds: bool) -> String {
    let mut text = String::new();
    for series in samples {
        let labels: Vec<String> = series
            .labels()
            .iter()
            .filter(|(name, _)| *name != samples::METRIC_NAME)
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let name = series.labels().metric_name();
        for (time_ms, value) in series.times_ms().iter().zip(series.values()) {
            let (whole, rest) = (time_ms / 1_000, time_ms % 1_000);
            let time = if seconds { format!("{whole}.{rest:03}") } else { time_ms.to_string() };
            writeln!(text, "{name}{{{}}} {value} {time}", labels.join(",")).unwrap();
        }
    }
    text
}
