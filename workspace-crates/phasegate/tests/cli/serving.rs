//! `serve-samples`, asked by a client of its own over TCP and, where it is installed, by promtool.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::queries::{folder, run};
use crate::support::{has, program};

/// A server that is gone at the end of the test.
struct Server {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let folder = folder();
        let arguments = ["serve-samples", "--samples", "samples", "--listen", "127.0.0.1:0"];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        let mut command = program(folder.path(), &arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address, folder }
    }

    /// Status and body of the answer to a request.
    fn ask(&self, method: &str, path: &str, form: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, "")
    }
}

#[test]
fn answers_are_those_of_the_command() {
    let server = Server::start(&[]);
    let told = |arguments: &[&str]| {
        let all = ["query", "rate(devnet_height[5m])", "--samples", "samples", "--format", "json"];
        let all: Vec<&str> = all.iter().chain(arguments).copied().collect();
        run(server.folder.path(), &all).ends(0).stdout.trim_end().to_owned()
    };
    let query = "query=rate(devnet_height%5B5m%5D)";
    let instant = told(&["--at", "2026-01-10T00:00:00Z"]);
    let path = format!("/api/v1/query?{query}&time=2026-01-10T00:00:00Z");
    assert_eq!(server.get(&path), (200, instant.clone()));
    // Grafana asks with forms.
    let form = format!("{query}&time=1768003200");
    assert_eq!(server.ask("POST", "/api/v1/query", &form), (200, instant));
    let range = told(&["--range", "1768000000..1768003600", "--step", "61s"]);
    let path = format!("/api/v1/query_range?{query}&start=1768000000&end=1768003600&step=61");
    assert_eq!(server.get(&path), (200, range));
}

#[test]
fn what_grafana_asks_for_besides_is_there() {
    let server = Server::start(&[]);
    let data = |path: &str| {
        let (status, body) = server.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["data"].clone()
    };
    assert_eq!(data("/api/v1/labels"), serde_json::json!(["__name__", "instance", "role"]));
    let names = serde_json::json!(["devnet_height", "up"]);
    assert_eq!(data("/api/v1/label/__name__/values"), names);
    let series = data("/api/v1/series?match%5B%5D=up%7Binstance%3D%22b%22%7D");
    assert_eq!(series[0]["instance"], "b");
    assert_eq!(data("/api/v1/metadata"), serde_json::json!({}));
    assert_eq!(data("/api/v1/status/buildinfo")["application"], "phasegate");
    let two = serde_json::json!([1_768_003_600, "2"]);
    assert_eq!(data("/api/v1/query?query=1%2B1")["result"], two);
    for path in ["/-/healthy", "/-/ready", "/"] {
        assert_eq!(server.get(path).0, 200, "{path}");
    }
    assert_eq!(server.get("/graph").0, 404);
    assert_eq!(server.ask("DELETE", "/api/v1/query", "").0, 405);
    assert_eq!(server.ask("POST", "/-/quit", "").0, 405);
}

#[test]
fn refusals_have_the_status_and_the_kind_of_prometheus() {
    let server = Server::start(&["--max-samples", "100"]);
    for (path, status, kind) in [
        ("/api/v1/query?query=sum(", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=1e9&step=1", 400, "bad_data"),
        ("/api/v1/query?query=count_over_time(up%5B1h%5D)", 422, "execution"),
        ("/api/v1/query?query=up&timeout=0", 503, "timeout"),
        ("/api/v1/rules", 404, "not_found"),
    ] {
        let (found, body) = server.get(path);
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((found, &json["errorType"]), (status, &kind.into()), "{path}: {body}");
        assert_eq!(json["status"], "error");
    }
}

#[test]
fn broken_requests_do_not_end_the_server() {
    let server = Server::start(&[]);
    for garbage in [
        &b"\x00\xff\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST /api/v1/query HTTP/1.1\r\nContent-Length: 99\r\n\r\nq",
    ] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(garbage).unwrap();
        // The client goes away without waiting.
        drop(stream);
    }
    let form = format!("query={}", "x".repeat(2 * 1024 * 1024));
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{form}", form.len());
    // The server may close before it has read all of it.
    let _ = stream.write_all(request.as_bytes());
    assert_eq!(server.get("/-/healthy").0, 200);
}

#[test]
fn a_signal_stops_it_after_its_answers() {
    let mut server = Server::start(&[]);
    assert_eq!(server.get("/-/ready").0, 200);
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
}

#[test]
fn other_machines_are_let_in_only_on_purpose() {
    let folder = folder();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9099"] {
        let listen = ["serve-samples", "--samples", "samples", "--listen", address];
        run(folder.path(), &listen).ends(2).says("--public");
    }
    let taken = Server::start(&[]);
    let listen = ["serve-samples", "--samples", "samples", "--listen", &taken.address];
    run(folder.path(), &listen).ends(1).says("cannot listen").says("port 0");
}

#[test]
fn promtool_is_a_client_like_any_other() {
    if !has("promtool", "promtool_is_a_client_like_any_other") {
        return;
    }
    let server = Server::start(&[]);
    let url = format!("http://{}", server.address);
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let sum = promtool(&["query", "instant", "--time=1768003600", &url, "sum(up) by (role)"]);
    assert_eq!(sum, "{role=\"validator\"} => 2 @[1768003600]\n");
    let times = ["--start=1768000000", "--end=1768003600", "--step=30m"];
    let range: Vec<&str> = ["query", "range"].iter().chain(&times).copied().collect();
    let range = promtool(&[&range[..], &[&url, "max(devnet_height)"]].concat());
    assert_eq!(range, "{} =>\n0 @[1768000000]\n120 @[1768001800]\n240 @[1768003600]\n");
    assert_eq!(promtool(&["query", "labels", &url, "instance"]), "a\nb\n");
    let series = promtool(&["query", "series", "--match=up{instance=\"a\"}", &url]);
    assert_eq!(series, "{__name__=\"up\", instance=\"a\", role=\"validator\"}\n");
}
