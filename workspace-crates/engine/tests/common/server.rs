//! A Prometheus-compatible server over samples in memory.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base::Instant;
use promql::{Limits, Query};
use samples::Store;
use serde_json::json;

/// A clock on which nothing takes time.
#[derive(Default)]
pub struct Hasty(Cell<Duration>);

impl collectors::Pace for Hasty {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, length: Duration) {
        self.0.set(self.0.get() + length);
    }
}

pub struct Server {
    pub url: String,
    address: SocketAddr,
    queries: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(samples: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (queries, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counter, over) = (Arc::clone(&queries), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // Who goes away in the middle misses the answer.
                let _ = serve(stream, &samples, &counter);
            }
        });
        let url = format!("http://{address}");
        Self { url, address, queries, is_over, thread: Some(thread) }
    }

    /// How many range queries there were.
    pub fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, samples: &Store, queries: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form)?;
    let body = match first.split(' ').nth(1) {
        Some("/api/v1/query_range") => {
            queries.fetch_add(1, Ordering::SeqCst);
            evaluate(&fields(&String::from_utf8_lossy(&form)), samples)
        }
        Some("/metrics") => "prometheus_build_info{version=\"3.1.0\"} 1\n".to_owned(),
        _ => String::new(),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn evaluate(fields: &BTreeMap<String, String>, samples: &Store) -> String {
    let query = Query::parse(&fields["query"]).unwrap();
    let time = |name: &str| fields[name].parse::<Instant>().unwrap();
    let step = base::Duration::from_seconds(fields["step"].parse().unwrap());
    let limits = Limits::default();
    let matrix = promql::range(&query, samples, time("start"), time("end"), step, &limits).unwrap();
    let series: Vec<_> = matrix
        .series
        .iter()
        .map(|series| {
            let metric: BTreeMap<&str, &str> = series.labels.iter().collect();
            let values: Vec<_> = series
                .points
                .iter()
                .map(|point| json!([point.t_ms as f64 / 1_000.0, point.value.to_string()]))
                .collect();
            json!({ "metric": metric, "values": values })
        })
        .collect();
    json!({ "status": "success", "data": { "resultType": "matrix", "result": series } }).to_string()
}

/// The fields of a form.
fn fields(form: &str) -> BTreeMap<String, String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
