use base::{Digest, Duration};
use ledger::body::*;
use ledger::chain::{Fault, verify, verify_expecting};
use ledger::sshsig::SignatureError;
use ledger::{
    ChainError, Entry, Expectations, REPORT_NAMESPACE, RawEntry, Signer as _, VerifiedLedger,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::*;

fn fault(raw: &[RawEntry]) -> (u64, Fault) {
    let ChainError { seq, fault } = verify(raw).unwrap_err();
    (seq, *fault)
}

/// Rewrites one entry with the field at `pointer` set to `value`, and signs it again or not.
pub fn altered(raw: &RawEntry, pointer: &str, value: Value) -> Vec<u8> {
    let mut statement: Value = serde_json::from_slice(&raw.bytes).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = statement.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
        other => other[field] = value,
    }
    base::canonical_json(&statement).unwrap()
}

pub fn resigned(bytes: Vec<u8>, seq: u64, names: &[&str]) -> RawEntry {
    let signature = |name: &&str| {
        let text = signer(name).sign(ledger::LEDGER_NAMESPACE, &bytes).unwrap();
        (id(name), text.into_bytes())
    };
    let signatures = names.iter().map(signature).collect();
    RawEntry { seq, bytes, signatures }
}

#[test]
fn a_ledger_with_every_kind_of_entry_verifies_and_reads_back() {
    let chain = every_kind();
    let view = chain.view();
    let kinds: Vec<_> = view.iter().map(|one| one.entry.body.kind()).collect();
    assert_eq!(
        kinds,
        [
            "genesis",
            "event",
            "evaluation",
            "proposal",
            "approval",
            "approval",
            "withdraw",
            "approval",
            "waiver",
            "advance",
            "hold",
            "reset",
            "roles",
            "event"
        ]
    );
    assert_eq!(view.roles().version, 2);
    assert_eq!(view.pipeline().as_str(), "testnet");
    assert!(!view.is_solo());
    for (raw, verified) in chain.raw.iter().zip(view.iter()) {
        assert_eq!(verified.entry.to_bytes().unwrap(), raw.bytes);
        assert_eq!(Entry::from_bytes(&raw.bytes).unwrap(), verified.entry);
        assert_eq!(view.by_digest(&Digest::of(&raw.bytes)), Some(verified));
        assert_eq!(view.get(raw.seq), Some(verified));
    }
    assert_eq!(view.get(view.next_seq()), None);
}

#[test]
fn the_written_form_of_an_entry_is_pinned() {
    let bytes = genesis().to_bytes().unwrap();
    let statement: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://phasegate.dev/ledger-entry/v1");
    assert_eq!(statement["subject"][0]["digest"]["gitTree"], "1".repeat(40));
    assert_eq!(statement["predicate"]["kind"], "genesis");
    assert_eq!(
        Digest::of(&bytes).to_string(),
        "5d49b05a36e5d9784d064b4d8416a4ab6b7cfc599203bdd972a0cf67a967f16a",
        "the stored format has changed: give the predicate type a new version"
    );
}

#[test]
fn altering_any_field_without_signing_again_is_refused_at_that_entry() {
    let chain = every_kind();
    for raw in &chain.raw {
        let statement: Value = serde_json::from_slice(&raw.bytes).unwrap();
        for pointer in leaves(&statement, "") {
            let mut copy = chain.raw.clone();
            let found = statement.pointer(&pointer).unwrap();
            let other = match found {
                Value::String(text) => json!(format!("{text}x")),
                Value::Number(number) => json!(number.as_f64().unwrap() + 1.0),
                other => panic!("{pointer}: {other}"),
            };
            copy[raw.seq as usize].bytes = altered(raw, &pointer, other);
            let (seq, fault) = fault(&copy);
            assert_eq!(seq, raw.seq, "{pointer}: {fault}");
        }
    }
}

/// The pointers of all texts and numbers in a document.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")))
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(n, item)| leaves(item, &format!("{at}/{n}")))
            .collect(),
        Value::String(_) | Value::Number(_) => vec![at.to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn altering_a_text_field_breaks_the_signature() {
    let mut chain = every_kind();
    let raw = &mut chain.raw[10];
    raw.bytes = altered(raw, "/predicate/body/reasons/0", json!("Nothing to see here."));
    let (seq, fault) = fault(&chain.raw);
    assert_eq!(seq, 10);
    assert!(
        matches!(&fault, Fault::Signature { cause: SignatureError::Mismatch, principal } if *principal == id("ci")),
        "{fault}"
    );
}

#[test]
fn altering_and_signing_again_breaks_the_next_link() {
    let mut chain = every_kind();
    let bytes = altered(&chain.raw[10], "/predicate/body/reasons/0", json!("Other."));
    chain.raw[10] = resigned(bytes, 10, &["ci"]);
    let (seq, fault) = fault(&chain.raw);
    assert_eq!(seq, 11);
    assert!(matches!(fault, Fault::Link { .. }), "{fault}");
}

#[test]
fn dropping_swapping_and_repeating_entries_is_refused() {
    let chain = every_kind();
    for at in 0..chain.raw.len() - 1 {
        let mut dropped = chain.raw.clone();
        dropped.remove(at);
        let (seq, found) = fault(&dropped);
        assert_eq!(seq, at as u64);
        assert!(matches!(found, Fault::Place { .. } | Fault::NoGenesis), "{found}");
        // The same with the numbers of the store closed up.
        dropped.iter_mut().zip(0..).for_each(|(raw, seq)| raw.seq = seq);
        assert_eq!(fault(&dropped).0, at as u64);

        let mut swapped = chain.raw.clone();
        swapped.swap(at, at + 1);
        assert!(
            matches!(fault(&swapped), (seq, Fault::Place { .. } | Fault::NoGenesis) if seq == at as u64)
        );

        let mut repeated = chain.raw.clone();
        repeated.insert(at, chain.raw[at].clone());
        assert!(matches!(fault(&repeated), (seq, Fault::Place { .. }) if seq == at as u64 + 1));
    }
}

#[test]
fn an_empty_ledger_is_refused() {
    assert!(matches!(fault(&[]), (0, Fault::NoGenesis)));
}

#[test]
fn a_cut_or_rewritten_end_is_noticed_by_who_remembers_it() {
    let chain = every_kind();
    let last = chain.view().last().clone();
    let remembers =
        Expectations { remembered: Some((last.entry.seq, last.digest)), ..Expectations::default() };
    assert!(verify_expecting(&chain.raw, &remembers).is_ok());

    let mut cut = chain.clone();
    cut.raw.pop();
    let error = verify_expecting(&cut.raw, &remembers).unwrap_err();
    assert!(matches!(*error.fault, Fault::Truncated), "{error}");

    cut.push(event("missed"), &["ci"]);
    let error = verify_expecting(&cut.raw, &remembers).unwrap_err();
    assert!(matches!(*error.fault, Fault::Forked { .. }), "{error}");
}

#[test]
fn signatures_are_verified_once_by_who_remembers_the_chain_and_only_then() {
    let chain = every_kind();
    let last = chain.view().last().clone();
    let until = |seq, digest| Expectations {
        verified_until: Some((seq, digest)),
        ..Expectations::default()
    };
    let mut forged = chain.clone();
    let other = forged.raw[2].signatures.clone();
    forged.raw[1].signatures = other;
    assert!(verify_expecting(&forged.raw, &Expectations::default()).is_err());
    assert!(verify_expecting(&forged.raw, &until(last.entry.seq, last.digest)).is_ok());
    // Another digest, or an earlier place, is no memory of the forged entry.
    assert!(verify_expecting(&forged.raw, &until(last.entry.seq, Digest::of(b"x"))).is_err());
    let genesis = chain.view().genesis().digest;
    assert!(verify_expecting(&forged.raw, &until(0, genesis)).is_err());
    // Bytes are covered by the chain, whatever is remembered.
    let mut altered_bytes = chain.clone();
    let raw = &mut altered_bytes.raw[1];
    raw.bytes = altered(raw, "/predicate/body/due", json!("deploy@never"));
    assert!(verify_expecting(&altered_bytes.raw, &until(last.entry.seq, last.digest)).is_err());
}

#[test]
fn another_genesis_and_entries_from_the_future_are_noticed() {
    let chain = every_kind();
    let other = Expectations { genesis: Some(Digest::of(b"other")), ..Expectations::default() };
    let error = verify_expecting(&chain.raw, &other).unwrap_err();
    assert!(matches!(*error.fault, Fault::OtherGenesis { .. }), "{error}");

    let early = Expectations {
        not_after: Some(start() + Duration::from_minutes(5)),
        ..Expectations::default()
    };
    let error = verify_expecting(&chain.raw, &early).unwrap_err();
    assert_eq!(error.seq, 6);
    assert!(matches!(*error.fault, Fault::Future { .. }), "{error}");
}

#[test]
fn entries_of_another_ledger_are_refused() {
    let here = Chain::new();
    let mut body = genesis_body();
    body.note = "Another ledger of the same people.".to_owned();
    let there =
        Chain { raw: vec![sign(&Entry::genesis(network(), draft(0, body)), &["alice", "bob"])] };

    let mut raw = here.raw.clone();
    raw.push(sign(&there.next(event("deploy")), &["ci"]));
    assert!(matches!(fault(&raw), (1, Fault::OtherLedger { .. })));

    let mut entry = here.next(event("deploy"));
    entry.network = "testnet-2".parse().unwrap();
    let raw = [here.raw[0].clone(), sign(&entry, &["ci"])];
    assert!(matches!(fault(&raw), (1, Fault::OtherNetwork { .. })));
}

#[test]
fn a_second_genesis_and_a_genesis_with_a_link_are_refused() {
    let chain = Chain::new();
    let error = chain.refusal(genesis_body(), &["alice", "bob"]);
    assert!(matches!(*error.fault, Fault::GenesisTwice), "{error}");

    let mut linked = genesis();
    linked.prev = Some(Digest::of(b"x"));
    assert!(matches!(fault(&[sign(&linked, &["alice", "bob"])]), (0, Fault::NoGenesis)));
}

#[test]
fn time_never_runs_backwards_and_may_stand_still() {
    let chain = every_kind();
    let mut entry = chain.next(event("missed"));
    entry.time = chain.view().last().entry.time;
    let mut raw = chain.raw.clone();
    raw.push(sign(&entry, &["ci"]));
    assert!(verify(&raw).is_ok());

    entry.time = entry.time - Duration::from_micros(1);
    raw.pop();
    raw.push(sign(&entry, &["ci"]));
    assert!(matches!(fault(&raw), (14, Fault::TimeBackwards { .. })));
}

#[test]
fn foreign_keys_foreign_names_and_foreign_namespaces_are_refused() {
    let chain = Chain::new();
    let entry = chain.next(event("deploy"));
    let with = |raw: RawEntry| fault(&[chain.raw[0].clone(), raw]);

    assert!(matches!(with(sign(&entry, &["mallory"])), (1, Fault::ForeignKey { .. })));
    // A good signature does not excuse a bad one beside it.
    assert!(matches!(with(sign(&entry, &["ci", "mallory"])), (1, Fault::ForeignKey { .. })));

    let mut renamed = sign(&entry, &["ci"]);
    let signature = renamed.signatures.remove(&id("ci")).unwrap();
    renamed.signatures.insert(id("alice"), signature);
    assert!(matches!(with(renamed), (1, Fault::OtherOwner { .. })));

    let mut raw = sign(&entry, &["ci"]);
    let text = signer("ci").sign(REPORT_NAMESPACE, &raw.bytes).unwrap();
    raw.signatures.insert(id("ci"), text.into_bytes());
    let found = with(raw.clone()).1;
    assert!(
        matches!(&found, Fault::Signature { cause: SignatureError::Namespace { .. }, .. }),
        "{found}"
    );

    raw.signatures.insert(id("ci"), b"nonsense".to_vec());
    let found = with(raw.clone()).1;
    assert!(matches!(&found, Fault::Signature { cause: SignatureError::Malformed, .. }), "{found}");

    raw.signatures.clear();
    assert!(matches!(with(raw), (1, Fault::NotAllowed { .. })));
}

#[test]
fn every_kind_needs_its_signers() {
    let mut chain = Chain::new();
    let not_allowed =
        |error: ChainError| assert!(matches!(*error.fault, Fault::NotAllowed { .. }), "{error}");
    assert!(matches!(fault(&[sign(&genesis(), &["alice"])]), (0, Fault::NotAllowed { .. })));
    assert!(matches!(fault(&[sign(&genesis(), &["ci", "alice"])]), (0, Fault::NotAllowed { .. })));
    not_allowed(chain.refusal(waiver(), &["alice"]));
    not_allowed(chain.refusal(waiver(), &["alice", "ci"]));
    let mut next = roles();
    next.version = 2;
    not_allowed(chain.refusal(
        RolesChange { roles: next, distrust: Vec::new(), proposal: None },
        &["alice", "ci"],
    ));

    let judged = chain.push(evaluation(), &["ci"]);
    let proposed = chain.push(proposal(judged), &["ci"]);
    not_allowed(chain.refusal(approval(proposed, "alice"), &["bob"]));
    // CI never approves, not even with its own signature.
    let error = chain.refusal(approval(proposed, "ci"), &["ci"]);
    assert!(matches!(*error.fault, Fault::Field { field: "principal", .. }), "{error}");
    let approved = chain.push(approval(proposed, "alice"), &["alice"]);
    let error = chain.refusal(Withdraw { approval: approved }, &["bob"]);
    assert!(matches!(*error.fault, Fault::Field { field: "approval", .. }), "{error}");
}

#[test]
fn one_person_may_keep_a_ledger_that_says_so() {
    let mut body = genesis_body();
    body.roles.policy = ledger::Policy::Solo;
    for name in ["root", "lead", "evaluator"] {
        body.roles.roles.insert(name.to_owned(), role(&["alice"], 1));
    }
    let mut chain =
        Chain { raw: vec![sign(&Entry::genesis(network(), draft(0, body)), &["alice"])] };
    assert!(chain.view().is_solo());
    let judged = chain.push(evaluation(), &["alice"]);
    chain.push(advance(1, judged), &["alice"]);
    chain.push(waiver(), &["alice"]);
    let error = chain.refusal(event("deploy"), &["ci"]);
    assert!(matches!(*error.fault, Fault::NotAllowed { .. }), "{error}");
}

#[test]
fn a_change_of_roles_needs_both_quorums_and_takes_effect_at_once() {
    let mut chain = Chain::new();
    let mut next = roles();
    next.version = 2;
    next.principals.push(principal("dave", ledger::PrincipalKind::Human));
    next.principals.push(principal("erin", ledger::PrincipalKind::Human));
    next.roles.insert("root".to_owned(), role(&["dave", "erin"], 2));
    let change = RolesChange { roles: next.clone(), distrust: Vec::new(), proposal: None };
    // The new ones alone, and the old ones alone, are not enough.
    for some in [["dave", "erin"], ["alice", "bob"]] {
        let error = chain.refusal(change.clone(), &some);
        assert!(matches!(*error.fault, Fault::NotAllowed { .. }), "{error}");
    }
    chain.push(change, &["alice", "bob", "dave", "erin"]);
    next.version = 3;
    next.principals.retain(|one| one.id != id("ci"));
    next.roles.insert("evaluator".to_owned(), role(&["carol"], 1));
    chain.push(
        RolesChange { roles: next.clone(), distrust: Vec::new(), proposal: None },
        &["dave", "erin"],
    );
    // CI has left; its signature does not count any more.
    let error = chain.refusal(event("deploy"), &["ci"]);
    assert!(matches!(*error.fault, Fault::ForeignKey { .. }), "{error}");

    next.version = 5;
    let error = chain.refusal(
        RolesChange { roles: next, distrust: Vec::new(), proposal: None },
        &["dave", "erin"],
    );
    assert!(matches!(*error.fault, Fault::RolesVersion { expected: 4, found: 5 }), "{error}");
}

#[test]
fn references_have_to_be_there_and_of_the_right_kind() {
    let mut chain = Chain::new();
    let genesis = chain.view().genesis().digest;
    let judged = chain.push(evaluation(), &["ci"]);
    let proposed = chain.push(proposal(judged), &["ci"]);
    let bodies: Vec<ledger::Body> = vec![
        advance(1, genesis).into(),
        advance(9, judged).into(),
        advance(0, genesis).into(),
        hold(1, genesis).into(),
        proposal(genesis).into(),
        reset(vec![1]).into(),
        reset(vec![99]).into(),
    ];
    for body in bodies {
        let error = chain.refusal(body, &["ci"]);
        assert!(matches!(*error.fault, Fault::Reference { .. }), "{error}");
    }
    let error = chain.refusal(approval(judged, "alice"), &["alice"]);
    assert!(matches!(*error.fault, Fault::Reference { .. }), "{error}");
    let error = chain.refusal(Withdraw { approval: proposed }, &["alice"]);
    assert!(matches!(*error.fault, Fault::Reference { .. }), "{error}");
}

#[test]
fn validity_is_bounded_and_fields_have_their_form() {
    let mut chain = Chain::new();
    let judged = chain.push(evaluation(), &["ci"]);
    for days in [-1, 0, 31] {
        let mut long = waiver();
        long.expires = start() + Duration::from_hours(24 * days) + Duration::from_minutes(2);
        if days == 0 {
            long.expires = start() + Duration::from_minutes(2);
        }
        let error = chain.refusal(long, &["alice", "bob"]);
        assert!(matches!(*error.fault, Fault::Expiry { days_max: 30, .. }), "{error}");
    }
    let mut long = proposal(judged);
    long.expires = start() + Duration::from_hours(24 * 15);
    let error = chain.refusal(long, &["ci"]);
    assert!(matches!(*error.fault, Fault::Expiry { days_max: 14, .. }), "{error}");

    let field = |error: ChainError, expected: &str| {
        assert!(matches!(*error.fault, Fault::Field { field, .. } if field == expected), "{error}");
    };
    let mut bad = waiver();
    bad.reason = " ".to_owned();
    field(chain.refusal(bad, &["alice", "bob"]), "reason");
    for week in ["2026-W00", "2026-W54", "2026-02", "26-W02", "2026-W2", "2026-W+1"] {
        let mut bad = evaluation();
        bad.week = week.to_owned();
        field(chain.refusal(bad, &["ci"]), "week");
    }
    let mut bad = evaluation();
    bad.verdicts.insert("phase-1".to_owned(), base::VerdictKind::Hold);
    field(chain.refusal(bad, &["ci"]), "verdicts");
    for name in ["", "Deploy", "../x", "<script>"] {
        field(chain.refusal(Event::new(name), &["ci"]), "event");
    }
    let mut bad = proposal(judged);
    bad.roles_version = 2;
    field(chain.refusal(bad, &["ci"]), "roles_version");
}

#[test]
fn unknown_fields_repeated_keys_and_foreign_subjects_are_refused_though_signed() {
    let chain = Chain::new();
    let good = sign(&chain.next(event("deploy")), &["ci"]);
    let with = |bytes: Vec<u8>| {
        let (seq, fault) = fault(&[chain.raw[0].clone(), resigned(bytes, 1, &["ci"])]);
        assert_eq!(seq, 1);
        assert!(matches!(fault, Fault::Form(_)), "{fault}");
        fault.to_string()
    };
    for pointer in ["/extra", "/predicate/extra", "/predicate/body/extra", "/predicate/pins/extra"]
    {
        assert!(with(altered(&good, pointer, json!(1))).contains("unknown field `extra`"));
    }
    let text = String::from_utf8(good.bytes.clone()).unwrap();
    let twice = text.replacen("\"seq\":1", "\"seq\":1,\"seq\":1", 1);
    assert!(with(twice.into_bytes()).contains("`seq` is repeated"));
    let twice = text.replacen("\"ratio\":0.25", "\"ratio\":0.25,\"ratio\":0.5", 1);
    assert!(with(twice.into_bytes()).contains("`ratio` is repeated"));
    assert!(with(altered(&good, "/predicate/kind", json!("party"))).contains("`party`"));
    assert!(with(altered(&good, "/_type", json!("x"))).contains("statement type"));
    assert!(with(altered(&good, "/predicateType", json!("x"))).contains("predicate type"));
    assert!(with(altered(&good, "/subject/0/name", json!("x"))).contains("subjects"));
    let digest = json!([Digest::of(b"b"), Digest::of(b"b")]);
    assert!(with(altered(&good, "/predicate/evidence", digest)).contains("ascending"));
    let long = "x".repeat(300_000);
    assert!(with(altered(&good, "/predicate/body/due", json!(long))).contains("at most"));
}

#[test]
fn extending_equals_verifying_at_once_and_notices_forks() {
    let chain = every_kind();
    for split in 1..chain.raw.len() {
        let mut view = verify(&chain.raw[..split]).unwrap();
        assert_eq!(view.extend(&chain.raw).unwrap(), chain.raw.len() - split);
        let entries = |view: &VerifiedLedger| view.iter().cloned().collect::<Vec<_>>();
        assert_eq!(entries(&view), entries(&chain.view()));
        assert_eq!(view.roles(), chain.view().roles());
        let error = view.extend(&chain.raw[..split]).unwrap_err();
        assert!(matches!(*error.fault, Fault::Truncated));
    }
    let mut view = chain.view();
    let mut forked = chain.clone();
    forked.raw.pop();
    forked.push(event("missed"), &["ci"]);
    assert!(matches!(*view.extend(&forked.raw).unwrap_err().fault, Fault::Forked { .. }));
    // A faulty addition leaves the view as it was.
    let mut longer = chain.raw.clone();
    longer.push(sign(&chain.next(event("missed")), &["mallory"]));
    assert!(view.extend(&longer).is_err());
    assert_eq!(view.len(), chain.raw.len());
}

#[test]
fn the_first_faulty_entry_is_named_though_signatures_are_verified_last() {
    let mut chain = every_kind();
    let raw = &mut chain.raw[1];
    raw.bytes = altered(raw, "/predicate/body/due", json!("deploy@never"));
    chain.raw[5].signatures.clear();
    let (seq, fault) = fault(&chain.raw);
    assert_eq!(seq, 1, "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_no_entry_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Entry::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_single_byte_change_of_a_signed_entry_is_refused(
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut chain = Chain::new();
        chain.push(event("deploy"), &["ci"]);
        let bytes = &mut chain.raw[1].bytes;
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(verify(&chain.raw).unwrap_err().seq, 1);
    }
}
