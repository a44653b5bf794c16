//! Connections: who may ask, how many at once, and what happens when they go away.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::api::{self, Allowance, Refusal};
use super::params::Params;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::queries::{Feed, Sampled};

/// A form larger than this is refused.
const FORM_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to send a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that are open at once; further ones wait.
const CONNECTIONS_MAX: usize = 256;
/// How long answers that are on their way may take when the server is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the server offers.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What one request may use.
    pub allowance: Allowance,
    /// Requests that are answered at once; further ones wait.
    pub concurrency: usize,
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    feed: Mutex<Reading>,
    allowance: Allowance,
    turns: Semaphore,
}

struct Reading {
    feed: Feed,
    /// When it was read last.
    at: Clock,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When it is taken already, or the address is not one of this machine.
    pub fn bind(settings: Settings, feed: Feed) -> Result<Self, Failure> {
        let listener = TcpListener::bind(settings.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot listen on {}: {error}", settings.listen))
                .hint("Name another address with --listen; port 0 takes any that is free.")
        })?;
        let shared = Arc::new(Shared {
            feed: Mutex::new(Reading { feed, at: Clock::now() }),
            allowance: settings.allowance,
            turns: Semaphore::new(settings.concurrency.max(1)),
        });
        Ok(Self { listener, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        self.listener.local_addr().map_err(|error| cannot(&error))
    }

    /// Answers until a signal stops it.
    pub fn run(self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| cannot(&error))?;
        let outcome = runtime.block_on(self.accept());
        // A query that was withdrawn ends soon; nobody waits for it.
        runtime.shutdown_timeout(Duration::from_millis(500));
        outcome
    }

    async fn accept(self) -> Outcome {
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(|error| cannot(&error))?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| cannot(&error))?;
        let mut terminated = signal(SignalKind::terminate()).map_err(|error| cannot(&error))?;
        let (stop, stopped) = watch::channel(());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let next = async {
                let place = place.await;
                (listener.accept().await, place)
            };
            tokio::select! {
                (accepted, place) = next => match accepted {
                    Ok((stream, _)) => {
                        let serving = connection(stream, Arc::clone(&self.shared), stopped.clone());
                        connections.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        // Such as no free file handle: others have to end first.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                _ = interrupted.recv() => break,
                _ = terminated.recv() => break,
            }
        }
        drop(stop);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            connections.shutdown().await;
        }
        Ok(Exit::Interrupted)
    }
}

fn cannot(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the server cannot run: {error}"))
}

/// Serves one connection until it ends, or the server is stopped and it has no more to answer.
async fn connection(
    stream: tokio::net::TcpStream,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        // The sender is gone when the server stops.
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    tracing::debug!(method = %request.method(), %path, "request");
    Ok(match (request.method(), path.strip_prefix("/api/v1/")) {
        (&Method::GET | &Method::HEAD | &Method::POST, Some(rest)) => {
            match ask(shared, request, rest.to_owned()).await {
                Ok(body) => response(StatusCode::OK, "application/json", body),
                Err(refusal) => response(refusal.status, "application/json", refusal.json()),
            }
        }
        (_, Some(_)) => not_allowed(),
        (&Method::GET | &Method::HEAD, None) => page(&path),
        (_, None) => not_allowed(),
    })
}

fn page(path: &str) -> Response<Full<Bytes>> {
    let (status, text) = match path {
        "/-/healthy" => (StatusCode::OK, "Phasegate is healthy.\n"),
        "/-/ready" => (StatusCode::OK, "Phasegate is ready.\n"),
        "/" => (StatusCode::OK, "Samples of Phasegate, for Grafana's Prometheus data source.\n"),
        _ => (StatusCode::NOT_FOUND, "There is nothing here; queries are below /api/v1/.\n"),
    };
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn not_allowed() -> Response<Full<Bytes>> {
    let text = "Ask with GET or POST.\n".to_owned();
    let mut response = response(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", text);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    response
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Withdraws a query when nobody waits for its answer any more: hyper drops the future of a request
/// whose client has gone.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn ask(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    path: String,
) -> Result<String, Refusal> {
    let began = Clock::now();
    let params = params(request).await?;
    let mut allowance = shared.allowance;
    allowance.timeout = params.timeout(allowance.timeout)?;
    let cancelled = CancelOnDrop(Arc::new(AtomicBool::new(false)));
    let Ok(turn) = tokio::time::timeout(allowance.timeout, shared.turns.acquire()).await else {
        let message =
            "too many queries are being answered; try again, or allow more with --concurrency";
        return Err(Refusal::unavailable("timeout", message));
    };
    allowance.timeout = allowance.timeout.saturating_sub(began.elapsed());
    let flag = Arc::clone(&cancelled.0);
    let reader = Arc::clone(&shared);
    let task = tokio::task::spawn_blocking(move || {
        api::answer(&path, &params, &reader.sampled(), allowance, &flag)
    });
    let answer = task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a query ended unexpectedly");
        Err(Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "internal",
            message: "the query ended unexpectedly".to_owned(),
        })
    });
    drop(turn);
    answer
}

async fn params(request: Request<Incoming>) -> Result<Params, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if request.method() != Method::POST || !is_form {
        return Ok(Params::of(&query, b""));
    }
    let body = Limited::new(request.into_body(), FORM_BYTES_MAX).collect();
    match tokio::time::timeout(REQUEST_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(Params::of(&query, &body.to_bytes())),
        Ok(Err(error)) => Err(Refusal::bad(format!("the form cannot be read: {error}"))),
        Err(_) => Err(Refusal::bad("the form did not arrive in time")),
    }
}

impl Shared {
    /// The samples, read again when they may have changed since. What cannot be read again is
    /// answered from what is there.
    fn sampled(&self) -> Sampled {
        let mut reading = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = reading.feed.refresh_interval();
        let interval = interval.map(|every| Duration::from_secs_f64(every.seconds().max(0.0)));
        if interval.is_some_and(|every| reading.at.elapsed() >= every) {
            reading.at = Clock::now();
            if let Err(failure) = reading.feed.refresh() {
                tracing::warn!("the samples cannot be read again: {}", failure.message);
            }
        }
        reading.feed.sampled()
    }
}
