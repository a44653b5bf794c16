//! Requests to one server: credentials, limits, repetition.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use definition::Server;
use gates::{ServerProblem, ServerProblemKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode};

use super::pace::{Pace, backoff};
use super::reply::{BadReply, error_text};
use super::secret::{Credentials, Loaded, SecretError, authorities};

/// The largest single reply.
const REPLY_BYTES_MAX: usize = 64 << 20;
/// All replies for one gate together.
const REPLIES_BYTES_MAX: usize = 256 << 20;
/// The longest that a server may ask us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// One server, for the questions of one gate.
pub(super) struct Connection<'a> {
    client: Client,
    url: &'a str,
    timeout: Duration,
    runtime: &'a tokio::runtime::Runtime,
    pace: &'a dyn Pace,
    /// From when on nothing is asked any more, on the clock of `pace`.
    ends: Duration,
    bytes_left: Cell<usize>,
    hidden: Vec<String>,
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Send<'a> {
    Get,
    /// A form.
    Post(&'a str),
}

/// How an attempt ended that brought nothing.
enum Failed {
    /// The next attempt would end in the same way.
    ForGood(ServerProblem),
    /// It may go better after a while.
    ForNow { text: String, wait: Duration },
}

fn for_good(kind: ServerProblemKind, text: String) -> Failed {
    Failed::ForGood(ServerProblem { kind, text })
}

fn setup(error: &dyn std::fmt::Display) -> ServerProblem {
    let text = format!("The connection cannot be set up: {error}.");
    ServerProblem { kind: ServerProblemKind::Setup, text }
}

impl<'a> Connection<'a> {
    /// Prepares requests to `server`; nothing is sent yet.
    pub(super) fn new(
        server: &'a Server,
        root: &Path,
        runtime: &'a tokio::runtime::Runtime,
        pace: &'a dyn Pace,
    ) -> Result<Self, ServerProblem> {
        let (client, hidden) = client(server, root)?;
        Ok(Self {
            client,
            url: &server.url,
            timeout: std_duration(server.timeout),
            runtime,
            pace,
            ends: pace.now() + std_duration(server.deadline),
            bytes_left: Cell::new(REPLIES_BYTES_MAX),
            hidden,
        })
    }

    /// `text` without any secret: a server may repeat what it was sent.
    pub(super) fn hide(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// Asks until there is an answer, the server refuses, or time is up.
    pub(super) fn ask<T>(
        &self,
        path: &str,
        send: Send<'_>,
        read: impl Fn(&[u8]) -> Result<T, BadReply>,
    ) -> Result<T, ServerProblem> {
        let mut attempt = 0;
        loop {
            let (text, wait) = match self.attempt(path, send, &read) {
                Ok(answer) => return Ok(answer),
                Err(Failed::ForGood(problem)) => return Err(problem),
                Err(Failed::ForNow { text, wait }) => (text, wait.max(backoff(attempt))),
            };
            attempt += 1;
            if self.pace.now() + wait >= self.ends {
                let times = if attempt == 1 { "once" } else { "again and again" };
                let text = format!("{text}; it was asked {times} until its time was up.");
                return Err(ServerProblem { kind: ServerProblemKind::Unreachable, text });
            }
            tracing::debug!(url = self.url, attempt, "the server is asked again");
            self.pace.sleep(wait);
        }
    }

    /// Asks once, for what may be missing.
    pub(super) fn ask_once(&self, path: &str) -> Option<Vec<u8>> {
        self.attempt(path, Send::Get, &|bytes| Ok(bytes.to_vec())).ok()
    }

    fn attempt<T>(
        &self,
        path: &str,
        send: Send<'_>,
        read: &impl Fn(&[u8]) -> Result<T, BadReply>,
    ) -> Result<T, Failed> {
        let left = self.ends.saturating_sub(self.pace.now());
        if left.is_zero() {
            let text = format!("{} was not asked, because the time was up.", self.url);
            return Err(for_good(ServerProblemKind::Unreachable, text));
        }
        let timeout = self.timeout.min(left);
        let (status, headers, bytes) = self.runtime.block_on(self.exchange(path, send, timeout))?;
        let url = self.url;
        let said = || error_text(&bytes).map_or_else(String::new, |said| format!(": {said}"));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let text = format!("{url} says that its quota is used up{}.", said());
            return Err(for_good(ServerProblemKind::RateLimited, text));
        }
        if status.is_server_error() {
            let text = format!("{url} answered {status}{}", said());
            return Err(Failed::ForNow { text, wait: retry_after(&headers) });
        }
        if !status.is_success() {
            let text = format!("{url} answered {status}{}.", said());
            return Err(for_good(ServerProblemKind::Refused, text));
        }
        read(&bytes).map_err(|bad| match bad {
            BadReply::Malformed(why) => for_good(
                ServerProblemKind::Malformed,
                format!("The answer of {url} cannot be used: {}.", why.trim_end_matches('.')),
            ),
            BadReply::Refused(said) => {
                for_good(ServerProblemKind::Refused, format!("{url} refuses the query: {said}."))
            }
            BadReply::Failed(said) => {
                Failed::ForNow { text: format!("{url} failed: {said}"), wait: Duration::ZERO }
            }
        })
    }

    async fn exchange(
        &self,
        path: &str,
        send: Send<'_>,
        timeout: Duration,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failed> {
        let address = format!("{}{path}", self.url);
        let request = match send {
            Send::Get => self.client.get(address),
            Send::Post(form) => self
                .client
                .post(address)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.to_owned()),
        };
        let mut response =
            request.timeout(timeout).send().await.map_err(|error| self.unsent(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unsent(error))? {
            let left = self.bytes_left.get();
            if chunk.len() > left || bytes.len() + chunk.len() > REPLY_BYTES_MAX {
                let text = format!(
                    "{} answered with more than is read; aggregate the query, or lengthen the step.",
                    self.url
                );
                return Err(for_good(ServerProblemKind::Malformed, text));
            }
            self.bytes_left.set(left - chunk.len());
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, headers, bytes))
    }

    fn unsent(&self, error: reqwest::Error) -> Failed {
        let url = self.url;
        let is_certificate = sources(&error).any(|source| source.is::<rustls::Error>());
        let is_timeout = error.is_timeout();
        let error = error.without_url();
        let causes: Vec<String> = sources(&error).map(ToString::to_string).collect();
        let cause = causes.last().cloned().unwrap_or_else(|| error.to_string());
        if is_certificate {
            let text = format!("The connection to {url} is not secure: {cause}.");
            return for_good(ServerProblemKind::Setup, text);
        }
        let text = if is_timeout {
            format!("{url} did not answer in time")
        } else {
            format!("{url} did not answer: {cause}")
        };
        Failed::ForNow { text, wait: Duration::ZERO }
    }
}

/// Everything that led to an error. TLS errors hide in I/O errors, which do not name them as source.
fn sources<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| {
        let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match io {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX)
}

fn std_duration(length: base::Duration) -> Duration {
    Duration::from_micros(u64::try_from(length.micros()).unwrap_or(0))
}

fn client(server: &Server, root: &Path) -> Result<(Client, Vec<String>), ServerProblem> {
    // The first provider stays; a second call finds it and is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert(reqwest::header::USER_AGENT, HeaderValue::from_static("phasegate"));
    // A redirect would take the credentials and the questions somewhere else.
    let mut builder = Client::builder().redirect(reqwest::redirect::Policy::none());
    let mut hidden = Vec::new();
    if let Some(auth) = &server.auth {
        let loaded = Loaded::read(auth, root).map_err(|error: SecretError| setup(&error))?;
        hidden = loaded.hidden;
        match loaded.credentials {
            Credentials::Header(value) => {
                headers.insert(AUTHORIZATION, value);
            }
            Credentials::Identity(pem) => {
                // The error may quote the key.
                let unusable = "the client's certificate and key are not PEM that belongs together";
                let identity = reqwest::Identity::from_pem(&pem).map_err(|_| setup(&unusable))?;
                builder = builder.identity(identity);
            }
        }
    }
    if let Some(file) = &server.ca_file {
        let pem = authorities(&root.join(file)).map_err(|error| setup(&error))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|_| setup(&format!("`{file}` holds no certificates as PEM")))?;
        if certificates.is_empty() {
            return Err(setup(&format!("`{file}` holds no certificates as PEM")));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    let unusable = "its certificates or credentials cannot be used";
    let client = builder.default_headers(headers).build().map_err(|_| setup(&unusable))?;
    Ok((client, hidden))
}
