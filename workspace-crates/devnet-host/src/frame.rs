use std::io;
use std::sync::Arc;

use base::Digest;
use devnet::{MESSAGE_BYTES_MAX, Message, NodeId, WireError, decode, encode};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A message as it goes over a connection: its length, then its bytes.
pub(crate) type Frame = Arc<[u8]>;

const LENGTH_BYTES: usize = 4;
/// First bytes of a greeting; the digit is the version of the protocol between hosts.
const MAGIC: &[u8; 8] = b"pgpeer1\n";
/// Length of a greeting in bytes.
pub(crate) const HELLO_BYTES: usize = 8 + 32 + 4;

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes is longer than a message can be")]
    TooLong(usize),
    #[error("a frame holds no message: {0}")]
    Message(#[from] WireError),
    #[error("the peer does not speak this protocol")]
    Protocol,
    #[error("the peer belongs to another network")]
    Network,
    #[error("the peer says that it is node {0}, which it cannot be")]
    Identity(u32),
}

impl FrameError {
    /// Whether the peer sent what no node of this network sends.
    pub(crate) fn is_garbage(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// Who a node says it is when a connection begins. Hosts on one machine trust each other's word;
/// what counts in the protocol is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) network: Digest,
    pub(crate) node: NodeId,
}

impl Hello {
    pub(crate) fn to_bytes(self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..40].copy_from_slice(&self.network.0);
        bytes[40..].copy_from_slice(&self.node.0.to_le_bytes());
        bytes
    }

    /// Reads a peer's greeting and checks it against our own; gives the peer's number.
    pub(crate) async fn read<R: AsyncRead + Unpin>(
        self,
        reader: &mut R,
        nodes: usize,
    ) -> Result<NodeId, FrameError> {
        let mut bytes = [0; HELLO_BYTES];
        reader.read_exact(&mut bytes).await?;
        if bytes[..8] != *MAGIC {
            return Err(FrameError::Protocol);
        }
        if bytes[8..40] != self.network.0 {
            return Err(FrameError::Network);
        }
        let node = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]);
        if node as usize >= nodes || node == self.node.0 {
            return Err(FrameError::Identity(node));
        }
        Ok(NodeId(node))
    }
}

pub(crate) fn frame(message: &Message) -> Frame {
    let bytes = encode(message);
    let mut frame = Vec::with_capacity(LENGTH_BYTES + bytes.len());
    frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    frame.extend_from_slice(&bytes);
    frame.into()
}

/// Reads one message; `None` when the peer closed the connection between two messages.
pub(crate) async fn read_message<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<Option<Arc<Message>>, FrameError> {
    let mut head = [0; LENGTH_BYTES];
    if let Err(error) = reader.read_exact(&mut head).await {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            Ok(None)
        } else {
            Err(error.into())
        };
    }
    let length = u32::from_le_bytes(head) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut body = Vec::new();
    // Grows as bytes arrive, so that a forged length reserves nothing.
    reader.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(Arc::new(decode(&body)?)))
}

#[cfg(test)]
mod tests {
    use super::{FrameError, HELLO_BYTES, Hello, frame, read_message};
    use base::Digest;
    use devnet::{Message, NodeId};

    async fn read(bytes: &[u8]) -> Result<Option<std::sync::Arc<Message>>, FrameError> {
        read_message(&mut &bytes[..]).await
    }

    #[tokio::test]
    async fn a_message_survives_the_way_and_two_do_not_mix() {
        let first = frame(&Message::ViewRequest(7));
        let second = frame(&Message::ViewRequest(8));
        let both = [&first[..], &second[..]].concat();
        let mut reader = &both[..];
        for number in [7, 8] {
            let message = read_message(&mut reader).await.unwrap().unwrap();
            assert_eq!(*message, Message::ViewRequest(number));
        }
        assert!(read_message(&mut reader).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn garbage_is_told_from_a_broken_connection() {
        let long = u32::MAX.to_le_bytes();
        assert!(matches!(read(&long).await, Err(FrameError::TooLong(_))));
        let nonsense = [&3_u32.to_le_bytes()[..], b"abc"].concat();
        assert!(read(&nonsense).await.unwrap_err().is_garbage());
        let short = [&9_u32.to_le_bytes()[..], b"abc"].concat();
        assert!(!read(&short).await.unwrap_err().is_garbage());
    }

    #[tokio::test]
    async fn strangers_are_refused() {
        let ours = Hello { network: Digest::of(b"n"), node: NodeId(0) };
        let greet = |hello: Hello| async move { ours.read(&mut &hello.to_bytes()[..], 3).await };
        assert_eq!(greet(Hello { node: NodeId(2), ..ours }).await.unwrap(), NodeId(2));
        let other = Hello { network: Digest::of(b"o"), node: NodeId(2) };
        assert!(matches!(greet(other).await, Err(FrameError::Network)));
        for impossible in [0, 3] {
            let hello = Hello { node: NodeId(impossible), ..ours };
            assert!(matches!(greet(hello).await, Err(FrameError::Identity(_))));
        }
        let http = [b'G'; HELLO_BYTES];
        assert!(matches!(ours.read(&mut &http[..], 3).await, Err(FrameError::Protocol)));
    }
}
