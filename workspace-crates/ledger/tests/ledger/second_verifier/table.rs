//! Ledgers, good and bad, each with the verdict that is right.

use base::Digest;
use ledger::{Body, Entry, Expectations, RawEntry, Roles};

use super::{bytes, decisions, places, role_rules, signatures};
use crate::chain::resigned;
use crate::world::*;

/// One ledger with the right verdict about it.
pub struct Case {
    pub name: &'static str,
    pub raw: Vec<RawEntry>,
    pub expected: Expectations,
    /// The first faulty entry; nothing when the ledger is good.
    pub verdict: Option<u64>,
}

pub fn good(name: &'static str, raw: Vec<RawEntry>) -> Case {
    Case { name, raw, expected: Expectations::default(), verdict: None }
}

pub fn bad(name: &'static str, seq: u64, raw: Vec<RawEntry>) -> Case {
    Case { name, raw, expected: Expectations::default(), verdict: Some(seq) }
}

/// A ledger whose last entry is the faulty one.
pub fn bad_end(name: &'static str, raw: Vec<RawEntry>) -> Case {
    let seq = raw.len() as u64 - 1;
    bad(name, seq, raw)
}

/// The ledger of every threat that is about a ledger.
pub fn cases() -> Vec<Case> {
    [bytes::cases(), places::cases(), signatures::cases(), role_rules::cases(), decisions::cases()]
        .into_iter()
        .flatten()
        .collect()
}

impl Chain {
    /// The ledger with one more entry, valid or not.
    pub fn then(&self, body: impl Into<Body>, names: &[&str]) -> Vec<RawEntry> {
        self.with(sign(&self.next(body), names))
    }

    pub fn with(&self, raw: RawEntry) -> Vec<RawEntry> {
        let mut all = self.raw.clone();
        all.push(raw);
        all
    }

    /// The ledger with one more entry of CI, whose bytes are `change`d before they are signed.
    pub fn then_spelled(
        &self,
        body: impl Into<Body>,
        names: &[&str],
        change: impl FnOnce(String) -> String,
    ) -> Vec<RawEntry> {
        let text = String::from_utf8(self.next(body).to_bytes().unwrap()).unwrap();
        let changed = change(text.clone());
        assert_ne!(changed, text, "nothing was changed");
        self.with(resigned(changed.into_bytes(), self.raw.len() as u64, names))
    }

    /// Several entries at once, valid or not; each as the one before leaves it.
    pub fn digest(&self, seq: usize) -> Digest {
        Digest::of(&self.raw[seq].bytes)
    }
}

/// A ledger that `names` open with these roles.
pub fn opened(change: impl FnOnce(&mut Roles), names: &[&str]) -> Vec<RawEntry> {
    let mut body = genesis_body();
    change(&mut body.roles);
    vec![sign(&Entry::genesis(network(), draft(0, body)), names)]
}
