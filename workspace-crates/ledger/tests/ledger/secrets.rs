//! Nothing secret is appended, whoever asks for it and wherever it stands.

use std::collections::BTreeMap;

use base::Digest;
use ledger::keys::generate_ed25519;
use ledger::{AppendError, Error, Ledger, LedgerStore, MemoryStore, Secrets, Signer};

use crate::world::*;

const TOKEN: &str = "token-0123456789\"\\";

fn ledger() -> Ledger<MemoryStore> {
    let signers = [signer("alice"), signer("bob")];
    let signers: Vec<&dyn Signer> = signers.iter().map(|one| one as &dyn Signer).collect();
    let (store, files) = (MemoryStore::new(), BTreeMap::new());
    let ledger =
        Ledger::create(store, network(), draft(0, genesis_body()), &signers, files).unwrap();
    let mut secrets = Secrets::default();
    secrets.add("A_TOKEN", TOKEN);
    ledger.refusing(secrets)
}

#[track_caller]
fn is_refused(event: ledger::body::Event, path: &str, bytes: &[u8], what: &str, secret: &str) {
    let mut ledger = ledger();
    let before = ledger.head().cloned();
    let files = BTreeMap::from([(path.to_owned(), bytes.to_vec())]);
    let error = ledger.append(draft(1, event), &[&signer("ci")], files).unwrap_err();
    assert!(matches!(error, Error::Append(AppendError::File { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains(what) && text.contains("othing was appended"), "{text}");
    assert!(!text.contains(secret) && !format!("{error:?}").contains(secret), "{text}");
    assert_eq!(ledger.store().head().unwrap(), before);
    assert_eq!(ledger.view().len(), 1);
    // The same ledger takes the next entry that gives nothing away.
    let harmless = draft(1, self::event("deploy"));
    ledger.append(harmless, &[&signer("ci")], BTreeMap::new()).unwrap();
}

fn noted(text: &str) -> ledger::body::Event {
    let mut event = event("deploy");
    event.detail = serde_json::json!({ "note": ["deep", { "down": text }] });
    event
}

#[test]
fn a_secret_in_an_entry_or_in_a_file_is_refused() {
    let report = "reports/2026-W02/report.md";
    is_refused(noted(&format!("x{TOKEN}x")), report, b"", "entries/000001/entry.json", TOKEN);
    is_refused(event("deploy"), report, TOKEN.as_bytes(), "`A_TOKEN`", TOKEN);
    let evidence = serde_json::json!({ "said": TOKEN }).to_string();
    let path = format!("evidence/{}.json", Digest::of(evidence.as_bytes()));
    is_refused(event("deploy"), &path, evidence.as_bytes(), "`A_TOKEN`", TOKEN);
}

#[test]
fn a_private_key_is_refused_by_every_store() {
    let pair = generate_ed25519(Some([9; 32])).unwrap();
    let body = pair.private_openssh.lines().nth(1).unwrap().to_owned();
    let report = "reports/2026-W02/report.md";
    is_refused(noted(&pair.private_openssh), report, b"", "private key", &body);
    is_refused(event("deploy"), report, pair.private_openssh.as_bytes(), "private key", &body);
    is_refused(event("deploy"), report, body.as_bytes(), report, &body);
    let folder = tempfile::tempdir().unwrap();
    let store = ledger::GitStore::init_bare(folder.path()).unwrap();
    let new = append_of(&genesis(), &["alice", "bob"]);
    let new = new.with_file(report, pair.private_openssh.as_bytes().to_vec());
    assert!(matches!(store.append(&new, None), Err(AppendError::File { .. })));
    assert_eq!(store.head().unwrap(), None);
}
