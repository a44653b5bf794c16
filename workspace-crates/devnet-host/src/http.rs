//! As much of HTTP/1.1 as metrics and JSON-RPC need: one request per connection, strict limits.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const HEAD_BYTES_MAX: u64 = 8 * 1024;
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Longest answer that the client takes: metrics of one node are a few KiB.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 64;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into().into_bytes() }
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        let body = value.to_string().into_bytes();
        Self { status: 200, content_type: "application/json", body }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Error",
        };
        let (status, kind, length) = (self.status, self.content_type, self.body.len());
        let mut bytes = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A request with the place where its answer goes.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Response>,
}

/// Takes requests in until the node ends.
pub(crate) async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let calls = calls.clone();
        tokio::spawn(async move {
            // A client that breaks off, or is too slow, concerns nobody else.
            let _ = timeout(REQUEST_TIMEOUT, converse(stream, calls)).await;
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let response = match read_request(&mut BufReader::with_capacity(1_024, reader)).await? {
        Ok(request) => answer(request, &calls).await,
        Err(refusal) => refusal,
    };
    writer.write_all(&response.to_bytes()).await?;
    writer.shutdown().await
}

async fn answer(request: Request, calls: &mpsc::Sender<Call>) -> Response {
    let (sender, receiver) = oneshot::channel();
    let ending = || Response::text(503, "the node is ending\n");
    if calls.send(Call { request, answer: sender }).await.is_err() {
        return ending();
    }
    receiver.await.unwrap_or_else(|_| ending())
}

/// The request, or the answer that refuses it.
async fn read_request<R: AsyncBufRead + Unpin>(
    reader: &mut R,
) -> io::Result<Result<Request, Response>> {
    let mut head = reader.take(HEAD_BYTES_MAX);
    let Some(first) = read_line(&mut head).await? else { return Ok(Err(bad_head(&head))) };
    let mut words = first.split(' ');
    let (Some(method), Some(path), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Ok(Err(Response::text(400, "the first line is no request line\n")));
    };
    if !version.starts_with("HTTP/1.") {
        return Ok(Err(Response::text(400, "only HTTP/1.1 is spoken here\n")));
    }
    let mut length = 0;
    loop {
        let Some(line) = read_line(&mut head).await? else { return Ok(Err(bad_head(&head))) };
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Err(Response::text(400, "send the body with a Content-Length\n")));
        }
        if name.eq_ignore_ascii_case("content-length") {
            match value.trim().parse::<usize>() {
                Ok(stated) => length = stated,
                Err(_) => return Ok(Err(Response::text(400, "Content-Length is no number\n"))),
            }
        }
    }
    if length > BODY_BYTES_MAX {
        let text = format!("a body has at most {BODY_BYTES_MAX} bytes\n");
        return Ok(Err(Response::text(413, text)));
    }
    let mut body = Vec::new();
    reader.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Ok(Request { method: method.to_owned(), path: path.to_owned(), body }))
}

/// A line without its end; `None` when it does not end within the limit or is no UTF-8 text.
async fn read_line<R: AsyncBufRead + Unpin>(head: &mut R) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    head.read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8(line).ok())
}

fn bad_head<R: AsyncBufRead>(head: &tokio::io::Take<R>) -> Response {
    if head.limit() == 0 {
        Response::text(431, format!("a request's head has at most {HEAD_BYTES_MAX} bytes\n"))
    } else {
        Response::text(400, "the request's head is not complete text\n")
    }
}

/// Asks a server on this machine: `GET path`, or `POST path` when there is a body. Gives the body
/// of the answer.
///
/// # Errors
/// When the server cannot be reached within `limit`, answers with another status than 200, or
/// with something that is no HTTP.
pub async fn ask(
    port: u16,
    path: &str,
    body: Option<&[u8]>,
    limit: Duration,
) -> io::Result<Vec<u8>> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    timeout(limit, exchange(port, path, body)).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange(port: u16, path: &str, body: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(malformed)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| malformed())?;
    let status = head.split(' ').nth(1).ok_or_else(malformed)?.to_owned();
    let body = answer.split_off(end + 4);
    if status == "200" {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body);
    Err(io::Error::other(format!("status {status}: {}", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::{Request, read_request};

    async fn status(bytes: &[u8]) -> u16 {
        match read_request(&mut &bytes[..]).await {
            Ok(Ok(_)) => 200,
            Ok(Err(refusal)) => refusal.status,
            Err(_) => 0,
        }
    }

    #[tokio::test]
    async fn a_post_is_read_with_its_body() {
        let bytes = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: 2\r\n\r\n{}rest";
        let request = read_request(&mut &bytes[..]).await.unwrap().unwrap();
        let expected = Request { method: "POST".into(), path: "/".into(), body: b"{}".to_vec() };
        assert_eq!(request, expected);
    }

    #[tokio::test]
    async fn hostile_requests_are_refused_within_limits() {
        let long_head = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 9_000]].concat();
        assert_eq!(status(&long_head).await, 431);
        let many = [b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(4_000)].concat();
        assert_eq!(status(&many).await, 431);
        assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n").await, 413);
        assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n").await, 400);
        assert_eq!(status(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").await, 400);
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\xff\xfe\n").await, 400);
        assert_eq!(status(b"GET /\r\n\r\n").await, 400);
        assert_eq!(status(b"GET / HTTP/1.1\r\n").await, 400);
        assert_eq!(status(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab").await, 0);
        assert_eq!(status(b"").await, 400);
    }
}
