//! A server that answers as it was told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// In place of a reply: the connection is closed without one.
pub const CLOSES: &str = "";

#[derive(Default)]
struct State {
    /// Replies to range queries in turn; the last one again and again.
    script: Vec<String>,
    /// Replies by path.
    fixed: BTreeMap<String, String>,
    heads: Vec<String>,
    queries: Vec<String>,
    is_over: bool,
}

pub struct Scripted {
    pub url: String,
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    pub fn new(script: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.lock().unwrap().is_over {
                    return;
                }
                // A client that goes away in the middle is part of some tests.
                let _ = serve(stream, &shared);
            }
        });
        Self { url: format!("http://{address}"), address, state, thread: Some(thread) }
    }

    /// Answers requests for `path` with `reply`.
    pub fn say(&mut self, path: &str, reply: String) {
        self.state.lock().unwrap().fixed.insert(path.to_owned(), reply);
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }

    /// The forms of the range queries.
    pub fn queries(&self) -> Vec<String> {
        self.state.lock().unwrap().queries.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.state.lock().unwrap().is_over = true;
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        head.push_str(&line);
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form)?;
    let reply = {
        let mut state = state.lock().unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        state.heads.push(head);
        if path.ends_with("/api/v1/query_range") {
            state.queries.push(String::from_utf8_lossy(&form).into_owned());
            let index = (state.queries.len() - 1).min(state.script.len() - 1);
            state.script[index].clone()
        } else {
            let fixed = state.fixed.get(&path).cloned();
            fixed.unwrap_or_else(|| reply("404 Not Found", "", ""))
        }
    };
    stream.write_all(reply.as_bytes())
}

pub fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

pub fn ok(body: &str) -> String {
    reply("200 OK", "", body)
}

/// A matrix with a series for each node.
pub fn matrix(series: &[(&str, &[(f64, &str)])]) -> String {
    let one = |(node, values): &(&str, &[(f64, &str)])| {
        let values: Vec<String> = values.iter().map(|(t, v)| format!("[{t},\"{v}\"]")).collect();
        format!("{{\"metric\":{{\"node\":\"{node}\"}},\"values\":[{}]}}", values.join(","))
    };
    let series: Vec<String> = series.iter().map(one).collect();
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}}}",
        series.join(",")
    )
}
