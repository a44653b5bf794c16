//! The shell script for participants and our own verifier come to the same verdict.
//!
//! Each ledger of the table states the verdict that is right, so that two wrong ones are caught.

mod bytes;
mod decisions;
mod key_kinds;
mod places;
mod repositories;
mod role_rules;
mod runner;
mod signatures;
mod table;

use std::collections::BTreeSet;

use base::Digest;
use ledger::{Expectations, RawEntry};
use runner::{installed, of_script, ours};

use crate::chain::resigned;
use crate::world::*;

/// Runs both verifiers over a ledger that is unpacked in a folder.
fn judge(case: &table::Case) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    runner::unpack(folder.path(), &case.raw);
    let ours = ours(&case.raw, &case.expected);
    let script = of_script(folder.path(), &case.expected);
    if ours.place() == case.verdict && script.place() == case.verdict {
        return Ok(());
    }
    let (name, verdict) = (case.name, case.verdict);
    Err(format!("{name}: {verdict:?} is right\n  ours:   {ours}\n  script: {script}"))
}

#[test]
fn both_verifiers_agree_about_every_ledger_of_the_table() {
    if !installed("both_verifiers_agree_about_every_ledger_of_the_table") {
        return;
    }
    let cases = table::cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "two ledgers have one name");
    let wrong = runner::in_parallel(&cases, judge);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} ledgers", cases.len());
}

/// Changes some bytes of one entry, or of one signature; about every second time the entry is
/// signed again, so that the rules see the change and not only the signatures.
fn mutated(chain: &Chain, seed: u64) -> (Vec<RawEntry>, String) {
    let digest = Digest::of(&seed.to_le_bytes()).0;
    let number = |at: usize| usize::from(u16::from_le_bytes([digest[at], digest[at + 1]]));
    let mut raw = chain.raw.clone();
    let entry = &mut raw[number(0) % chain.raw.len()];
    let names: Vec<_> = entry.signatures.keys().cloned().collect();
    let what = number(2) % 8;
    let bytes = match what {
        7 => entry.signatures.get_mut(&names[number(4) % names.len()]).unwrap(),
        _ => &mut entry.bytes,
    };
    let at = number(6) % bytes.len();
    match number(8) % 4 {
        0 => bytes[at] = digest[10],
        1 => bytes[at] ^= 1 << (digest[10] % 8),
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, b"0 9,\"x}"[number(10) % 7]),
    }
    if what < 4 {
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        *entry = resigned(entry.bytes.clone(), entry.seq, &names);
    }
    (raw, format!("seed {seed}"))
}

#[test]
fn both_verifiers_agree_about_ledgers_with_a_damaged_byte() {
    if !installed("both_verifiers_agree_about_ledgers_with_a_damaged_byte") {
        return;
    }
    let count = std::env::var("LEDGER_MUTATIONS").ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = (0..count.unwrap_or(36)).collect();
    let chain = every_kind();
    let wrong = runner::in_parallel(&seeds, |seed| {
        let (raw, name) = mutated(&chain, *seed);
        let folder = tempfile::tempdir().unwrap();
        runner::unpack(folder.path(), &raw);
        let expected = Expectations::default();
        let (ours, script) = (ours(&raw, &expected), of_script(folder.path(), &expected));
        if ours.place() == script.place() {
            return Ok(());
        }
        Err(format!("{name}\n  ours:   {ours}\n  script: {script}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_script_says_what_it_verified() {
    if !installed("the_script_says_what_it_verified") {
        return;
    }
    let said = |chain: &Chain| {
        let folder = tempfile::tempdir().unwrap();
        runner::unpack(folder.path(), &chain.raw);
        of_script(folder.path(), &Expectations::default()).to_string()
    };
    let text = |chain: &Chain, roles: &str| {
        let view = chain.view();
        let (length, genesis, head) = (view.len(), view.genesis().digest, view.last().digest);
        format!("good: {length:06} entries verify, genesis {genesis}, head {head}, {roles}")
    };
    let chain = every_kind();
    assert_eq!(said(&chain), text(&chain, "roles version 2 (policy quorum)"));
    let chain = role_rules::solo();
    let alone = "roles version 1 (policy solo: one person may decide alone)";
    assert_eq!(said(&chain), text(&chain, alone));
}

#[test]
fn the_script_refuses_what_is_no_question_with_another_exit_code() {
    if !installed("the_script_refuses_what_is_no_question_with_another_exit_code") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().to_str().unwrap();
    let digest = "0".repeat(64);
    let wrong: [&[&str]; 8] = [
        &[],
        &["--help", ledger],
        &["--genesis", "abc", ledger],
        &["--genesis"],
        &["--remember", &digest, ledger],
        &["--remember", "x:abc", ledger],
        &[ledger, ledger],
        &[ledger],
    ];
    for arguments in wrong {
        let output = runner::command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let output = runner::command().arg(ledger).env("PATH", folder.path()).output();
    // Without any program there is no bash either, unless it is named in full.
    assert!(output.is_err() || output.unwrap().status.code() == Some(2));
}
