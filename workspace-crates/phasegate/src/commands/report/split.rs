//! Two copies of one ledger that contradict each other: both entries together are the proof.

use base::Digest;
use ledger::{LedgerStore, RawEntry};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::material::AnyLedger;
use crate::output::{Format, print, print_json, say};

/// Two entries at one place of one ledger, both signed by people and jobs that its roles name.
#[derive(Serialize)]
struct Proof {
    ledger: Digest,
    seq: u64,
    entries: [Signed; 2],
}

#[derive(Serialize)]
struct Signed {
    digest: Digest,
    /// The exact bytes, as text.
    entry: String,
    signatures: std::collections::BTreeMap<String, String>,
}

impl Signed {
    fn of(raw: &RawEntry) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let signatures = raw.signatures.iter();
        Self {
            digest: Digest::of(&raw.bytes),
            entry: text(&raw.bytes),
            signatures: signatures.map(|(who, sig)| (who.to_string(), text(sig))).collect(),
        }
    }
}

/// Compares two copies that verify, each by itself. Says which is ahead; a contradiction is printed
/// as proof and ends the command.
pub fn compare(one: &AnyLedger, other: &AnyLedger, format: Format) -> Outcome {
    let ledger = one.view().genesis().digest;
    if other.view().genesis().digest != ledger {
        return Err(Failure::new(
            Exit::NotVerified,
            "the two copies are not of one ledger: their genesis entries differ",
        ));
    }
    let (mine, theirs) = (one.store().entries()?, other.store().entries()?);
    let differs = |(a, b): &(&RawEntry, &RawEntry)| a.bytes != b.bytes;
    let Some((a, b)) = mine.iter().zip(&theirs).find(differs) else {
        let ahead = match mine.len().cmp(&theirs.len()) {
            std::cmp::Ordering::Equal => "both copies are the same".to_owned(),
            std::cmp::Ordering::Less => {
                format!("the other copy is {} ahead", theirs.len() - mine.len())
            }
            std::cmp::Ordering::Greater => {
                format!("the other copy is {} behind", mine.len() - theirs.len())
            }
        };
        if format == Format::Human {
            print(&format!("copies    agree; {ahead}\n"))?;
        }
        return Ok(Exit::Done);
    };
    let proof = Proof { ledger, seq: a.seq, entries: [Signed::of(a), Signed::of(b)] };
    print_json(&proof)?;
    let names = |raw: &RawEntry| {
        raw.signatures.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    say(format!(
        "Entry {:06} exists twice: {} signed one, {} signed the other. What is printed proves it to anybody.",
        a.seq,
        names(a),
        names(b)
    ));
    Err(Failure::new(
        Exit::NotVerified,
        format!(
            "the ledger is split at entry {:06}: two entries with valid signatures stand there",
            a.seq
        ),
    )
    .hint("Keep what was printed, and publish it: no honest ledger has two entries at one place."))
}
