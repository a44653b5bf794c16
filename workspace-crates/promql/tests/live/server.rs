//! A Prometheus of one's own: started on a free port, filled, asked, and gone when dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use samples::{Labels, Series};
use serde_json::Value as Json;

/// Points by labels and by Unix milliseconds.
pub type Points = BTreeMap<Labels, BTreeMap<i64, f64>>;

/// A query and when it is asked, in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

pub struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// `None` when Prometheus is not installed.
    pub fn start() -> Option<Self> {
        let installed = Command::new("prometheus").arg("--version").output();
        if !installed.is_ok_and(|output| output.status.success()) {
            return None;
        }
        // Another program can take the port before the server does; then the next one is tried.
        (0..5).find_map(|_| Self::start_once().ok()).or_else(|| panic!("Prometheus does not start"))
    }

    fn start_once() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.retention.time=100y", "--query.lookback-delta=5m"])
            .arg("--web.enable-remote-write-receiver")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Server is ready to receive web requests") {
            if log.read_line(&mut said).unwrap() == 0 {
                let _ = child.wait();
                return Err(said);
            }
        }
        // Nobody may fill the pipe: a blocked log blocks the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { child, port, _folder: folder })
    }

    /// Sends a request and returns the status and the body.
    fn post(&self, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // HTTP/1.0: the server does not send chunks, and closes when it is done.
        let head =
            format!("POST {path} HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }

    /// Writes samples by remote write, ten minutes at a time, since a server takes no old samples
    /// after much newer ones.
    pub fn write(&self, series: &[Series]) {
        let times = || series.iter().flat_map(|s| s.times_ms().iter().copied());
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
        let mut from = first - 1;
        while from < last {
            let request: Vec<u8> = series
                .iter()
                .map(|one| one.within(from, from + 600_000))
                .filter(|one| !one.values().is_empty())
                .flat_map(|one| message(1, &time_series(&one)))
                .collect();
            let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
                           X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
            let (status, answer) = self.post("/api/v1/write", headers, &snappy(&request));
            assert_eq!(status, 204, "{}", String::from_utf8_lossy(&answer));
            from += 600_000;
        }
    }

    /// What the server answers: points, or why it refuses.
    pub fn ask(&self, query: &str, when: When) -> Result<Points, String> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (path, body) = match when {
            When::Instant(at) => ("/api/v1/query", format!("query={encoded}&time={at}")),
            When::Range { start, end, step } => (
                "/api/v1/query_range",
                format!("query={encoded}&start={start}&end={end}&step={step}"),
            ),
        };
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (_, answer) = self.post(path, headers, body.as_bytes());
        let answer: Json = serde_json::from_slice(&answer).unwrap();
        match answer["status"].as_str() {
            Some("success") => Ok(points(&answer["data"])),
            _ => Err(answer["error"].as_str().unwrap_or("no reason given").to_owned()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn points(data: &Json) -> Points {
    let result = &data["result"];
    if data["resultType"] == "scalar" {
        return Points::from([(Labels::empty(), BTreeMap::from([point(result)]))]);
    }
    let mut all = Points::new();
    for element in result.as_array().into_iter().flatten() {
        let pairs = element["metric"].as_object().unwrap().iter();
        let labels = Labels::from_pairs(pairs.map(|(key, value)| (key, value.as_str().unwrap())));
        let values = element["values"].as_array().into_iter().flatten();
        let one = element.get("value").into_iter();
        let before = all.insert(labels, values.chain(one).map(point).collect());
        assert!(before.is_none(), "the server gives a series twice");
    }
    all
}

fn point(pair: &Json) -> (i64, f64) {
    let t_ms = (pair[0].as_f64().unwrap() * 1_000.0).round() as i64;
    (t_ms, pair[1].as_str().unwrap().parse().unwrap())
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of the protocol buffers that holds bytes.
fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

fn time_series(series: &Series) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in series.labels().iter() {
        let label = [message(1, name.as_bytes()), message(2, value.as_bytes())].concat();
        out.extend(message(1, &label));
    }
    for (t_ms, value) in series.times_ms().iter().zip(series.values()) {
        let mut sample = vec![1 << 3 | 1];
        sample.extend(value.to_le_bytes());
        sample.push(2 << 3);
        varint(*t_ms as u64, &mut sample);
        out.extend(message(2, &sample));
    }
    out
}

/// Snappy's block format without compression: only literals.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(bytes.len() as u64, &mut out);
    for chunk in bytes.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend(((chunk.len() - 1) as u16).to_le_bytes());
        out.extend(chunk);
    }
    out
}
