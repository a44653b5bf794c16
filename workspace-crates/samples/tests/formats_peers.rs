//! What we write is read by the tools of others, and what they write by us.

#![expect(clippy::print_stderr, reason = "a skipped test is named")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use samples::formats::exposition::{Family, MetricKind};
use samples::formats::{Grouper, openmetrics, remote_write};
use samples::{Labels, Matcher, STALE_NAN, SampleSource, Series, Store};

/// Samples by labels and milliseconds; values as bits.
type Samples = BTreeMap<String, Vec<(i64, u64)>>;

const START_MS: i64 = 1_700_000_000_000;

/// A few series over three hours, at times that are no whole seconds.
fn series() -> Vec<Series> {
    let one = |labels, value: &dyn Fn(i64) -> f64| {
        let times: Vec<i64> = (0..700).map(|n| START_MS + n * 15_001).collect();
        let values = (0..700).map(value).collect();
        Series::new(labels, Arc::new(times), values).unwrap()
    };
    let stale = |n| if n == 50 { STALE_NAN } else { 0.0 };
    vec![
        one(Labels::metric("tx_total", &[("instance", "a\\\"b\n}")]), &|n| (n * 17) as f64),
        one(Labels::metric("tx_total", &[("instance", "é")]), &|n| n as f64 / 7.0),
        one(Labels::metric("lag_seconds", &[]), &|n| (n % 10) as f64 * 1e-3),
        one(Labels::metric("b_seconds_bucket", &[("le", "+Inf")]), &|n| n as f64),
        one(Labels::metric("b_seconds_sum", &[]), &|n| n as f64 * 0.5),
        one(Labels::metric("gone", &[("A", "1")]), &stale),
    ]
}

fn text() -> Vec<u8> {
    let family = |kind| Family { kind, unit: String::new(), help: "What it\nmeans.".to_owned() };
    let families = BTreeMap::from([
        ("tx_total".to_owned(), family(MetricKind::Counter)),
        ("lag_seconds".to_owned(), family(MetricKind::Gauge)),
        ("b_seconds".to_owned(), family(MetricKind::Histogram)),
    ]);
    let mut text = Vec::new();
    openmetrics::write(&series(), &[], (0, i64::MAX), &families, &mut text).unwrap();
    text
}

fn expected() -> Samples {
    let samples = |series: &Series| {
        let pairs = series.times_ms().iter().zip(series.values());
        let kept = pairs.filter(|(_, value)| !samples::is_stale(**value));
        (series.labels().to_string(), kept.map(|(t, v)| (*t, v.to_bits())).collect())
    };
    series().iter().map(samples).collect()
}

fn is_installed(program: &str, test: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {test} (no {program})");
    }
    found
}

#[test]
fn promtool_makes_blocks_of_what_we_write() {
    if !is_installed("promtool", "promtool_makes_blocks_of_what_we_write") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, blocks) = (folder.path().join("samples.om"), folder.path().join("data"));
    std::fs::write(&file, text()).unwrap();
    // Reading blocks back, promtool wants a write-ahead log beside them.
    std::fs::create_dir_all(blocks.join("wal")).unwrap();
    run(&["tsdb", "create-blocks-from", "openmetrics"], &[&file, &blocks]);
    let dump = run(&["tsdb", "dump"], &[&blocks]);
    let mut found = Samples::new();
    for line in dump.lines() {
        let (rest, t_ms) = line.rsplit_once(' ').unwrap();
        let (labels, value) = rest.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let sample = (t_ms.parse().unwrap(), value.to_bits());
        found.entry(labels_of_dump(labels)).or_default().push(sample);
    }
    found.values_mut().for_each(|samples| samples.sort_unstable());
    assert_eq!(found, expected());
}

fn run(command: &[&str], paths: &[&Path]) -> String {
    let output = Command::new("promtool").args(command).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A dump has Go's quotes, which are those of the text format here.
fn labels_of_dump(labels: &str) -> String {
    let inside = labels.strip_prefix('{').unwrap();
    let (name, rest) =
        inside.strip_prefix("__name__=\"").unwrap_or(inside).split_once('"').unwrap();
    let text = match labels.split_once("__name__=") {
        Some((before, after)) if before != "{" => {
            let name = after.strip_prefix('"').unwrap().split_once('"').unwrap().0;
            format!("{name}{} 1\n", before.trim_end_matches([',', ' ']).to_owned() + "}")
        }
        _ => format!("{name}{{{} 1\n", rest.trim_start_matches([',', ' '])),
    };
    let (read, errors) = samples::exposition::parse(&text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    read[0].0.to_string()
}

/// A server that is gone when dropped.
struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server and waits until its log says `ready`. Another program can take the port
    /// before the server does; then the next one is tried.
    fn start(ready: &str, command: impl Fn(u16, &Path) -> Command) -> Self {
        let once = |_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = tempfile::tempdir().unwrap();
            let mut command = command(port, folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut log = BufReader::new(child.stderr.take().unwrap());
            let mut said = String::new();
            while !said.contains(ready) {
                if log.read_line(&mut said).unwrap() == 0 {
                    let _ = child.wait();
                    return None;
                }
            }
            // A log that nobody reads blocks the server.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            // One of them says that it is ready a little before it listens.
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if child.try_wait().unwrap().is_some() {
                    return None;
                }
                std::thread::yield_now();
            }
            Some(Self { child, port, _folder: folder })
        };
        (0..5).find_map(once).unwrap()
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // HTTP/1.0: the answer has no chunks, and ends when the server is done.
        let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1).map(|status| &status[..2]), Some("20"), "{answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn victoria_metrics_imports_what_we_write() {
    if !is_installed("victoria-metrics", "victoria_metrics_imports_what_we_write") {
        return;
    }
    let server = Server::start("started VictoriaMetrics", |port, folder| {
        let mut command = Command::new("victoria-metrics");
        command
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg(format!("-storageDataPath={}", folder.join("data").display()))
            .args(["-retentionPeriod=100y", "-search.disableCache"]);
        command
    });
    server.ask("POST", "/api/v1/import/prometheus", &text());
    server.ask("GET", "/internal/force_flush", b"");
    let matchers = "match[]=%7B__name__!%3D%22%22%7D&start=1699999999";
    let answer = server.ask("GET", &format!("/api/v1/export?{matchers}"), b"");
    let mut found = Samples::new();
    for line in answer.lines().filter(|line| line.starts_with("{\"metric\"")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let labels = line["metric"].as_object().unwrap();
        let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name, text(value))));
        let values = line["values"].as_array().unwrap().iter();
        let times = line["timestamps"].as_array().unwrap().iter();
        let samples = times
            .zip(values)
            .map(|(time, value)| (time.as_i64().unwrap(), value.as_f64().unwrap().to_bits()));
        found.entry(labels.to_string()).or_default().extend(samples);
    }
    found.values_mut().for_each(|samples| samples.sort_unstable());
    let expected = expected();
    assert!(found.keys().eq(expected.keys()));
    // This server keeps twelve digits of a fraction.
    for (labels, samples) in &expected {
        assert_eq!(found[labels].len(), samples.len(), "{labels}");
        for ((found_t_ms, found), (t_ms, value)) in found[labels].iter().zip(samples) {
            let (found, value) = (f64::from_bits(*found), f64::from_bits(*value));
            assert_eq!(found_t_ms, t_ms);
            assert!((found - value).abs() <= value.abs() * 1e-11, "{labels}: {found} for {value}");
        }
    }
}

#[test]
fn a_prometheus_writes_its_own_metrics_to_us() {
    if !is_installed("prometheus", "a_prometheus_writes_its_own_metrics_to_us") {
        return;
    }
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || receive(&receiver, &sender));
    let server = Server::start("Server is ready to receive web requests", |port, folder| {
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\n\
             remote_write:\n- url: http://{address}/write\n  \
             queue_config: {{batch_send_deadline: 100ms}}\n\
             scrape_configs:\n- job_name: self\n  static_configs:\n  \
             - targets: ['127.0.0.1:{port}']\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    });
    let (mut grouper, mut store, mut targets) = (Grouper::new(), Store::new(), Vec::new());
    let up = [Matcher::equal("__name__", "up"), Matcher::equal("job", "self")];
    let mut scrapes = 0;
    while scrapes < 3 {
        let body = messages.recv_timeout(Duration::from_secs(60)).unwrap();
        let request = remote_write::decode(&body).unwrap();
        assert_eq!(request.refused, []);
        for group in grouper.group(request.series) {
            if group.is_new {
                assert_eq!(group.number, targets.len());
                targets.push(store.add_target(group.series.clone()));
            }
            for (t_ms, values) in &group.rows {
                store.append(targets[group.number], *t_ms, values).unwrap();
            }
        }
        let found = store.select(&up, 0, i64::MAX).unwrap();
        scrapes = found.first().map_or(0, |series| series.values().len());
    }
    drop(server);
    let found = store.select(&up, 0, i64::MAX).unwrap();
    assert!(found[0].values().iter().all(|value| *value == 1.0));
}

/// Takes requests, hands their bodies over, and says that all is well.
fn receive(receiver: &TcpListener, sender: &mpsc::Sender<Vec<u8>>) {
    while let Ok((stream, _)) = receiver.accept() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            while let Some(body) = read_request(&mut reader) {
                let _ = reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                if sender.send(body).is_err() {
                    return;
                }
            }
        });
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() && !headers.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| headers.get(name).map(String::as_str);
    remote_write::check_headers(header("content-type"), header("content-encoding")).unwrap();
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
