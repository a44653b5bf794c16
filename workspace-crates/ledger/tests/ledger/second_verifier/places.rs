//! Place in the chain: order, links, other ledgers, time, what a reader remembers.

use base::{Digest, Duration};
use ledger::{Entry, Expectations, RawEntry};
use serde_json::json;

use super::table::{Case, bad, bad_end, good};
use crate::chain::{altered, resigned};
use crate::world::*;

pub fn cases() -> Vec<Case> {
    [order_cases(), link_cases(), time_cases(), memory_cases()].into_iter().flatten().collect()
}

/// The same entries under the numbers from 0 on.
fn renumbered(mut raw: Vec<RawEntry>) -> Vec<RawEntry> {
    raw.iter_mut().zip(0..).for_each(|(raw, seq)| raw.seq = seq);
    raw
}

fn order_cases() -> Vec<Case> {
    let chain = every_kind();
    let edited = |change: &dyn Fn(&mut Vec<RawEntry>)| {
        let mut raw = chain.raw.clone();
        change(&mut raw);
        renumbered(raw)
    };
    vec![
        good("every kind of entry", chain.raw.clone()),
        bad("an entry is dropped", 5, edited(&|raw| drop(raw.remove(5)))),
        bad("the genesis entry is dropped", 0, edited(&|raw| drop(raw.remove(0)))),
        bad("two entries change places", 3, edited(&|raw| raw.swap(3, 4))),
        bad("an entry is there twice", 8, edited(&|raw| raw.insert(8, raw[7].clone()))),
        bad("an old entry is replayed at the end", 14, edited(&|raw| raw.push(raw[1].clone()))),
        bad("a second genesis entry", 14, edited(&|raw| raw.push(raw[0].clone()))),
        bad_end("a genesis entry in its place and after the beginning", {
            Chain::new().then(genesis_body(), &["alice", "bob"])
        }),
        bad_end("an entry with another number, signed", {
            let chain = Chain::new();
            let mut entry = chain.next(event("deploy"));
            entry.seq = 2;
            let mut raw = sign(&entry, &["ci"]);
            raw.seq = 1;
            chain.with(raw)
        }),
    ]
}

fn link_cases() -> Vec<Case> {
    let chain = every_kind();
    let here = Chain::new();
    let mut body = genesis_body();
    body.note = "Another ledger of the same people.".to_owned();
    let there =
        Chain { raw: vec![sign(&Entry::genesis(network(), draft(0, body)), &["alice", "bob"])] };
    let changed = |change: &dyn Fn(&mut Entry)| {
        let mut entry = here.next(event("deploy"));
        change(&mut entry);
        here.with(sign(&entry, &["ci"]))
    };
    let forged = |sign_again: bool| {
        let mut raw = chain.raw.clone();
        let bytes = altered(&raw[10], "/predicate/body/reasons/0", json!("Nothing to see here."));
        if sign_again {
            raw[10] = resigned(bytes, 10, &["ci"]);
        } else {
            raw[10].bytes = bytes;
        }
        raw
    };
    vec![
        bad("a forged entry", 10, forged(false)),
        bad("an entry is rewritten and signed again", 11, forged(true)),
        bad_end(
            "an entry of another ledger",
            here.with(sign(&there.next(event("deploy")), &["ci"])),
        ),
        bad_end(
            "an entry of another network",
            changed(&|entry| entry.network = "testnet-2".parse().unwrap()),
        ),
        bad_end("a link to another entry", changed(&|entry| entry.prev = Some(Digest::of(b"x")))),
        bad_end("no link", changed(&|entry| entry.prev = None)),
        bad_end("no ledger", changed(&|entry| entry.ledger = None)),
        bad("a genesis entry with a link", 0, {
            let mut linked = genesis();
            linked.prev = Some(Digest::of(b"x"));
            vec![sign(&linked, &["alice", "bob"])]
        }),
        bad("a first entry of another kind", 0, {
            let entry = Entry::genesis(network(), draft(0, event("deploy")));
            vec![sign(&entry, &["alice", "bob"])]
        }),
        bad("no entry at all", 0, Vec::new()),
    ]
}

fn time_cases() -> Vec<Case> {
    let chain = every_kind();
    let at = |micros| {
        let mut entry = chain.next(event("missed"));
        entry.time = chain.view().last().entry.time + Duration::from_micros(micros);
        chain.with(sign(&entry, &["ci"]))
    };
    vec![
        good("a clock that stands still", at(0)),
        bad_end("a clock that runs backwards by a microsecond", at(-1)),
        bad_end("a clock that runs backwards by a day", at(-86_400_000_000)),
    ]
}

fn memory_cases() -> Vec<Case> {
    let chain = every_kind();
    let last = (13, chain.digest(13));
    let remembers = |raw: &[RawEntry], remembered| Case {
        expected: Expectations { remembered: Some(remembered), ..Expectations::default() },
        ..good("", raw.to_vec())
    };
    let published = |genesis| Case {
        expected: Expectations { genesis: Some(genesis), ..Expectations::default() },
        ..good("", chain.raw.clone())
    };
    let cut = Chain { raw: chain.raw[..13].to_vec() };
    let forked = cut.then(event("missed"), &["ci"]);
    vec![
        Case { name: "what was remembered is there", ..remembers(&chain.raw, last) },
        Case { name: "a cut end", verdict: Some(13), ..remembers(&cut.raw, last) },
        Case { name: "a fork", verdict: Some(13), ..remembers(&forked, last) },
        Case { name: "the published genesis entry", ..published(chain.digest(0)) },
        Case { name: "another genesis entry", verdict: Some(0), ..published(Digest::of(b"x")) },
    ]
}
