//! Messages between nodes, from whoever connects.

use std::sync::Arc;

use base::Digest;
use devnet::{
    Attestation, Durable, GovernanceVote, Message, Move, NodeId, Record, Signature, SlashVote,
    SyncRequest, SyncResponse, Wire, decode, encode,
};

use crate::Target;

/// The bytes of a message.
pub const TARGET: Target = Target {
    name: "peer_message",
    run,
    seeds,
    repair: crate::no_repair,
    words: &["\u{1}", "\0\0\0\0", "\u{7f}\u{7f}\u{7f}\u{7f}", "\0\0\0\0\0\0\0\u{1}"],
};

/// A message has one form: what is read is written back as the same bytes. What a node keeps of it
/// is read again the same.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    kept::<Record>(bytes);
    kept::<Durable>(bytes);
    let Ok(message) = decode::<Message>(bytes) else { return false };
    assert_eq!(encode(&message), bytes, "two forms of one message: {message:?}");
    true
}

fn kept<T: Wire + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = decode::<T>(bytes) else { return };
    assert_eq!(decode::<T>(&encode(&value)).ok(), Some(value));
}

fn seeds() -> Vec<Vec<u8>> {
    let signature = Signature([9; 64]);
    let (slot, validator) = (1, NodeId(3));
    let block = Digest::of(b"b");
    let messages = [
        Message::Attestation(Attestation { slot, block, validator, signature }),
        Message::SlashVote(Arc::new(SlashVote {
            epoch: 2,
            voter: NodeId(3),
            offenders: vec![NodeId(4), NodeId(5)],
            signature,
        })),
        Message::GovernanceVote(GovernanceVote { proposal: 1, voter: NodeId(2), signature }),
        Message::Move(Move { version: 2, validator: NodeId(2), signature }),
        Message::ViewRequest(7),
        Message::SyncRequest(SyncRequest { from_height: 3, parent: Digest::of(b"p") }),
        Message::SyncResponse(Arc::new(SyncResponse { snapshot: None, blocks: Vec::new() })),
    ];
    messages.iter().map(encode).collect()
}
