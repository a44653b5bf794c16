use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use devnet::{Message, NodeId};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::frame::{Frame, FrameError, Hello, read_message};

/// Messages that wait for one peer; more are dropped, as a network drops them.
const QUEUE_LENGTH: usize = 64;
/// Connections that others may open to one node at a time.
const INBOUND_MAX: usize = 2_048;
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// Waits before the second and later attempts to reach a peer.
const DIAL_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];
/// How long a peer that could not be reached is left alone.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(500);
/// Enough for small messages; larger ones are read past the buffer.
const READ_BUFFER_BYTES: usize = 512;

/// What connections tell the node.
#[derive(Debug)]
pub(crate) enum Inbound {
    Message(NodeId, Arc<Message>),
    /// A peer opened a connection; what is sent to it may go there.
    Connected(NodeId, Link),
    /// A connection ended; `reached` says whether there ever was one.
    Closed {
        peer: NodeId,
        serial: u64,
        reached: bool,
    },
}

/// The sending end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    frames: mpsc::Sender<Frame>,
    serial: u64,
}

/// What happened on the node's connections since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) garbage: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) open: AtomicU64,
    serials: AtomicU64,
}

/// What every connection of a node shares.
#[derive(Debug)]
struct Shared {
    hello: Hello,
    ports: Vec<u16>,
    /// A connection without traffic for this long is closed.
    idle: Duration,
    inbound: mpsc::Sender<Inbound>,
    counters: Arc<Counters>,
}

/// A node's connections: opened when there is something to send, closed when they idle.
///
/// Every message names its receivers, so nothing has to be relayed: a proposer reaches its
/// committee directly and gets the attestations back on the same connections.
#[derive(Debug)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
    links: BTreeMap<NodeId, Link>,
    unreachable_until: BTreeMap<NodeId, Instant>,
}

impl Peers {
    pub(crate) fn new(
        hello: Hello,
        ports: Vec<u16>,
        idle: Duration,
        inbound: mpsc::Sender<Inbound>,
    ) -> Self {
        let shared = Shared { hello, ports, idle, inbound, counters: Arc::default() };
        Self {
            shared: Arc::new(shared),
            links: BTreeMap::new(),
            unreachable_until: BTreeMap::new(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Takes connections in until the node ends.
    pub(crate) fn listen(&self, listener: TcpListener) {
        tokio::spawn(accept(Arc::clone(&self.shared), listener));
    }

    /// Sends a message, or drops it when the peer cannot be reached or does not keep up.
    pub(crate) fn send(&mut self, peer: NodeId, frame: &Frame) {
        let frame = match self.links.get(&peer) {
            Some(link) => match link.frames.try_send(Arc::clone(frame)) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(_)) => return self.drop_one(),
                Err(mpsc::error::TrySendError::Closed(frame)) => frame,
            },
            None => Arc::clone(frame),
        };
        if self.unreachable_until.get(&peer).is_some_and(|until| Instant::now() < *until) {
            return self.drop_one();
        }
        let Some(port) = self.shared.ports.get(peer.index()).copied() else {
            return self.drop_one();
        };
        let (link, frames) = self.shared.link();
        let serial = link.serial;
        // The channel is new and empty, so this cannot be refused.
        let _ = link.frames.try_send(frame);
        self.links.insert(peer, link);
        tokio::spawn(dial(Arc::clone(&self.shared), peer, port, frames, serial));
    }

    /// Takes in what a connection says about itself; gives the message, if it is one.
    pub(crate) fn take(&mut self, inbound: Inbound) -> Option<(NodeId, Arc<Message>)> {
        match inbound {
            Inbound::Message(peer, message) => return Some((peer, message)),
            Inbound::Connected(peer, link) => {
                self.unreachable_until.remove(&peer);
                if self.links.get(&peer).is_none_or(|known| known.frames.is_closed()) {
                    self.links.insert(peer, link);
                }
            }
            Inbound::Closed { peer, serial, reached } => {
                if self.links.get(&peer).is_some_and(|known| known.serial == serial) {
                    self.links.remove(&peer);
                }
                if !reached {
                    self.unreachable_until.insert(peer, Instant::now() + UNREACHABLE_PAUSE);
                }
            }
        }
        None
    }

    fn drop_one(&self) {
        self.shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn link(&self) -> (Link, mpsc::Receiver<Frame>) {
        let (frames, receiver) = mpsc::channel(QUEUE_LENGTH);
        let serial = self.counters.serials.fetch_add(1, Ordering::Relaxed);
        (Link { frames, serial }, receiver)
    }

    fn note(&self, peer: &dyn std::fmt::Display, error: &FrameError) {
        if error.is_garbage() {
            self.counters.garbage.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("closed the connection to {peer}: {error}");
        }
    }
}

async fn dial(
    shared: Arc<Shared>,
    peer: NodeId,
    port: u16,
    frames: mpsc::Receiver<Frame>,
    serial: u64,
) {
    let reached = match connect(&shared, peer, port).await {
        Ok(stream) => {
            let result = converse(&shared, peer, stream, frames).await;
            result.inspect_err(|error| shared.note(&format!("node {}", peer.0), error)).ok();
            true
        }
        Err(error) => {
            shared.note(&format!("node {}", peer.0), &error);
            false
        }
    };
    // Fails only when the node is ending.
    let _ = shared.inbound.send(Inbound::Closed { peer, serial, reached }).await;
}

async fn connect(shared: &Shared, peer: NodeId, port: u16) -> Result<TcpStream, FrameError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut pauses = DIAL_PAUSES.iter();
    let mut stream = loop {
        match (TcpStream::connect(address).await, pauses.next()) {
            (Ok(stream), _) => break stream,
            (Err(_), Some(pause)) => sleep(*pause).await,
            (Err(error), None) => return Err(error.into()),
        }
    };
    stream.set_nodelay(true)?;
    stream.write_all(&shared.hello.to_bytes()).await?;
    let found =
        within(GREETING_TIMEOUT, shared.hello.read(&mut stream, shared.ports.len())).await?;
    if found == peer { Ok(stream) } else { Err(FrameError::Identity(found.0)) }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(INBOUND_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let result = welcome(&shared, stream).await;
                    result.inspect_err(|error| shared.note(&address, error)).ok();
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: let some connections end first.
            Err(error) => {
                tracing::warn!("cannot take a connection in: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn welcome(shared: &Shared, mut stream: TcpStream) -> Result<(), FrameError> {
    stream.set_nodelay(true)?;
    let peer = within(GREETING_TIMEOUT, shared.hello.read(&mut stream, shared.ports.len())).await?;
    stream.write_all(&shared.hello.to_bytes()).await?;
    let (link, frames) = shared.link();
    let serial = link.serial;
    if shared.inbound.send(Inbound::Connected(peer, link)).await.is_err() {
        return Ok(());
    }
    let result = converse(shared, peer, stream, frames).await;
    let _ = shared.inbound.send(Inbound::Closed { peer, serial, reached: true }).await;
    result
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, FrameError> {
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut).into();
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

/// Reads and writes until either side ends, or nothing went either way for the idle time.
async fn converse(
    shared: &Shared,
    peer: NodeId,
    stream: TcpStream,
    frames: mpsc::Receiver<Frame>,
) -> Result<(), FrameError> {
    shared.counters.open.fetch_add(1, Ordering::Relaxed);
    let (reader, writer) = stream.into_split();
    let traffic = AtomicU64::new(0);
    let result = tokio::select! {
        result = read_all(shared, peer, reader, &traffic) => result,
        result = write_all(writer, frames, &traffic) => result,
        () = idle(shared.idle, &traffic) => Ok(()),
    };
    shared.counters.open.fetch_sub(1, Ordering::Relaxed);
    result
}

async fn read_all(
    shared: &Shared,
    peer: NodeId,
    reader: OwnedReadHalf,
    traffic: &AtomicU64,
) -> Result<(), FrameError> {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
    while let Some(message) = read_message(&mut reader).await? {
        traffic.fetch_add(1, Ordering::Relaxed);
        // A full queue makes the peer wait: its connection fills up.
        if shared.inbound.send(Inbound::Message(peer, message)).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Frame>,
    traffic: &AtomicU64,
) -> Result<(), FrameError> {
    while let Some(frame) = frames.recv().await {
        traffic.fetch_add(1, Ordering::Relaxed);
        writer.write_all(&frame).await?;
    }
    // The node sends over another connection; this one still brings messages in.
    std::future::pending().await
}

async fn idle(limit: Duration, traffic: &AtomicU64) {
    let mut before = traffic.load(Ordering::Relaxed);
    loop {
        sleep(limit).await;
        let now = traffic.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}
