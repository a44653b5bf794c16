//! Entries of a ledger, as they are stored.

use base::Instant;
use ledger::body::{Event, Genesis};
use ledger::{Body, Draft, Entry, ObjectId, Pins, Policy, Roles};

use crate::Target;

/// The exact bytes of an entry.
pub const TARGET: Target = Target {
    name: "ledger_entry",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "\"predicate\":",
        "\"subject\":[",
        "\"digest\":{\"sha256\":\"",
        "\"evidence\":[",
        "null",
        "true",
        "\"kind\":\"genesis\"",
        "\"kind\":\"waiver\"",
        "\"kind\":\"advance\"",
        "\\u0000",
        "\\ud800",
        "[[[[",
        "{\"a\":",
        "\"seq\":18446744073709551615",
        "-0",
        "1E400",
        "\"time\":\"",
        "\u{feff}",
    ],
};

/// What is read is written back the same, and reads the same again.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::from_bytes(bytes) else { return false };
    assert!(!entry.summary().is_empty());
    if let Body::Genesis(genesis) = &entry.body {
        let _ = (genesis.roles.check(), genesis.roles.allowed_signers());
    }
    let Ok(written) = entry.to_bytes() else { return true };
    let Ok(again) = Entry::from_bytes(&written) else {
        panic!("an entry that was read cannot be read again: {entry:?}")
    };
    assert_eq!(again, entry);
    assert_eq!(again.to_bytes().ok(), Some(written));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let genesis = genesis().and_then(|draft| Some(Entry::genesis("testnet".parse().ok()?, draft)));
    let event = pins().and_then(|pins| {
        let draft =
            Draft::new(Instant::from_unix_millis(1_767_884_400_000), pins, Event::new("deployed"));
        Some(Entry::genesis("testnet".parse().ok()?, draft))
    });
    [genesis, event].into_iter().flatten().filter_map(|entry| entry.to_bytes().ok()).collect()
}

fn genesis() -> Option<Draft> {
    let roles = Roles {
        version: 1,
        policy: Policy::Quorum,
        principals: Vec::new(),
        roles: std::collections::BTreeMap::new(),
    };
    let body = Genesis { pipeline: "testnet".parse().ok()?, roles, note: "A note.".to_owned() };
    Some(Draft::new(Instant::from_unix_millis(1_767_884_400_000), pins()?, body))
}

fn pins() -> Option<Pins> {
    let id = |digit: &str| digit.repeat(40).parse::<ObjectId>().ok();
    Some(Pins { pipeline: id("1")?, stages: id("2")?, evaluator: "phasegate 0.1.0".to_owned() })
}
