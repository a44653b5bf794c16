//! The wire codec: every message is read back as written, and no bytes make it panic.
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::sync::Arc;

use base::{Digest, Instant};
use devnet::{
    Attestation, Block, BlockRef, Committee, Deposit, Durable, GovernanceView, GovernanceVote,
    Header, L1Update, MESSAGE_BYTES_MAX, Message, Move, NodeId, PostedBlock, Proof, Record,
    Signature, SlashVote, Snapshot, State, Statement, SyncRequest, SyncResponse, Tips, Transaction,
    TransactionBatch, WIRE_VERSION, WireError, decode, encode,
};
use proptest::prelude::*;

fn block(height: u64) -> Arc<Block> {
    let header = Header {
        height,
        slot: height + 3,
        proposer: NodeId(7),
        parent: Digest::of(b"parent"),
        state_root: State::genesis().root(),
        protocol_version: 1,
        rollup_version: 2,
    };
    Arc::new(Block::new(header, transactions(3), vec![deposit()]))
}

fn deposit() -> Deposit {
    Deposit { number: 4, account: 5, amount: 6 }
}

fn transactions(count: u64) -> Vec<Arc<Transaction>> {
    let one = |nonce| Transaction {
        from: 1,
        to: 2,
        amount: 3,
        fee: 4,
        nonce,
        signature: Signature([nonce as u8; 64]),
    };
    (0..count).map(|nonce| Arc::new(one(nonce))).collect()
}

fn posted(height: u64) -> Arc<PostedBlock> {
    let attestations = (2..9).map(|n| (NodeId(n), Signature([n as u8; 64]))).collect();
    Arc::new(PostedBlock { block: block(height), attestations })
}

fn at(height: u64) -> BlockRef {
    BlockRef { height, digest: Digest::of(b"block"), slot: 9, state_root: State::genesis().root() }
}

fn update() -> L1Update {
    L1Update {
        number: 5,
        l1_height: 6,
        tips: Tips { pending: at(9), proven: at(8), finalized: at(7) },
        blocks: vec![posted(9)],
        committees: vec![Arc::new(Committee {
            epoch: 1,
            members: vec![NodeId(2), NodeId(3)],
            proposers: vec![NodeId(3); 4],
        })],
        deposits: vec![deposit()],
        registered_rollup: 2,
        rollup_from_slot: 64,
        governance: Some(GovernanceView {
            proposal: 1,
            version: 2,
            executable_at: Some(Instant::from_unix_micros(-5)),
        }),
    }
}

fn messages() -> Vec<Message> {
    let signature = Signature([9; 64]);
    let statement = Statement::over(3, Digest::of(b"root"), &[block(1), block(2)]).unwrap();
    let snapshot = Arc::new(Snapshot { at: at(7), state: Arc::new(State::genesis()) });
    vec![
        Message::Transactions(Arc::new(TransactionBatch::new(transactions(5)))),
        Message::Proposal(block(4)),
        Message::Attestation(Attestation {
            slot: 1,
            block: Digest::of(b"b"),
            validator: NodeId(3),
            signature,
        }),
        Message::Post(posted(5)),
        Message::Proof(Arc::new(Proof { statement, prover: NodeId(50), bytes: vec![1, 2, 3] })),
        Message::SlashVote(Arc::new(SlashVote {
            epoch: 2,
            voter: NodeId(3),
            offenders: vec![NodeId(4)],
            signature,
        })),
        Message::GovernanceVote(GovernanceVote { proposal: 1, voter: NodeId(2), signature }),
        Message::Move(Move { version: 2, validator: NodeId(2), signature }),
        Message::ViewRequest(7),
        Message::L1Update(Arc::new(update())),
        Message::SyncRequest(SyncRequest { from_height: 3, parent: Digest::of(b"p") }),
        Message::SyncResponse(Arc::new(SyncResponse {
            snapshot: Some(snapshot),
            blocks: vec![posted(8), posted(9)],
        })),
    ]
}

#[test]
fn every_message_is_read_back_as_written() {
    for message in messages() {
        let bytes = encode(&message);
        assert_eq!(bytes[..2], [WIRE_VERSION, message.tag()]);
        assert_eq!(decode::<Message>(&bytes).unwrap(), message);
    }
}

#[test]
fn every_record_is_read_back_as_written_and_replays() {
    let snapshot = Arc::new(Snapshot { at: at(7), state: Arc::new(State::genesis()) });
    let records =
        [Record::Voted(9), Record::Proposed(4), Record::Finalized(snapshot), Record::Voted(8)];
    let mut durable = Durable::default();
    for record in records {
        assert_eq!(decode::<Record>(&encode(&record)).unwrap(), record);
        durable.apply(record);
    }
    assert_eq!((durable.voted, durable.proposed), (Some(9), Some(4)));
    assert_eq!(decode::<Durable>(&encode(&durable)).unwrap(), durable);
}

#[test]
fn cut_extended_foreign_and_oversized_bytes_are_refused() {
    for message in messages() {
        let bytes = encode(&message);
        for cut in 0..bytes.len() {
            assert!(decode::<Message>(&bytes[..cut]).is_err(), "{} of {}", cut, bytes.len());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<Message>(&longer), Err(WireError::Trailing(1)));
        let mut foreign = bytes;
        foreign[0] = 99;
        assert_eq!(decode::<Message>(&foreign), Err(WireError::Version(99)));
    }
    let huge = vec![WIRE_VERSION; MESSAGE_BYTES_MAX + 1];
    assert_eq!(decode::<Message>(&huge), Err(WireError::Long(huge.len())));
    assert_eq!(decode::<Message>(&[1, 99]), Err(WireError::Tag { what: "message", tag: 99 }));
}

#[test]
fn a_forged_count_reserves_no_memory() {
    // A proposal whose list of transactions claims four billion entries.
    let Message::Proposal(block) = Message::Proposal(block(1)) else { unreachable!() };
    let mut bytes = encode(&Message::Proposal(block));
    let header = 2 + 8 + 8 + 4 + 32 + 32 + 4 + 4;
    bytes[header..header + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode::<Message>(&bytes), Err(WireError::Short));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode::<Message>(&bytes);
        let _ = decode::<Record>(&bytes);
        let _ = decode::<Durable>(&bytes);
    }

    #[test]
    fn no_flipped_byte_makes_it_panic_or_is_read_as_the_same(index in 0_usize..4_000, flip in 1_u8..=255, which in 0_usize..12) {
        let message = &messages()[which];
        let mut bytes = encode(message);
        let index = index % bytes.len();
        bytes[index] ^= flip;
        if let Ok(read) = decode::<Message>(&bytes) {
            prop_assert_ne!(&read, message);
        }
    }
}
