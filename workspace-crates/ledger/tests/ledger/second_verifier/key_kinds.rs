//! Keys that ssh-keygen makes, and the signatures that it makes with them.

use std::path::Path;
use std::process::Command;

use ledger::{Expectations, LEDGER_NAMESPACE, RawEntry};

use super::runner::{self, installed, of_script};
use super::table::opened;
use crate::world::*;

/// Makes a key, and gives its public line.
fn generate(folder: &Path, kind: &[&str]) -> String {
    let path = folder.join("key");
    let _ = std::fs::remove_file(&path);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "a comment", "-t"]).args(kind).arg("-f").arg(&path);
    assert!(command.status().unwrap().success());
    std::fs::read_to_string(path.with_extension("pub")).unwrap()
}

fn sign_with(folder: &Path, bytes: &[u8]) -> Vec<u8> {
    let message = folder.join("message");
    let _ = std::fs::remove_file(folder.join("message.sig"));
    std::fs::write(&message, bytes).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", LEDGER_NAMESPACE, "-f"]);
    assert!(command.arg(folder.join("key")).arg(&message).status().unwrap().success());
    std::fs::read(folder.join("message.sig")).unwrap()
}

/// The right verdict, from both verifiers.
fn expect(what: &str, raw: &[RawEntry], verdict: Option<u64>) {
    let folder = tempfile::tempdir().unwrap();
    runner::unpack(folder.path(), raw);
    let ours = runner::ours(raw, &Expectations::default());
    let script = of_script(folder.path(), &Expectations::default());
    for found in [&ours, &script] {
        assert_eq!(found.place(), verdict, "{what}\n  ours:   {ours}\n  script: {script}");
    }
}

#[test]
fn both_verifiers_take_the_same_kinds_of_keys_and_their_signatures() {
    if !installed("both_verifiers_take_the_same_kinds_of_keys_and_their_signatures") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kinds: [(&[&str], bool); 6] = [
        (&["ed25519"], true),
        (&["ecdsa", "-b", "256"], true),
        (&["ecdsa", "-b", "521"], false),
        (&["rsa", "-b", "3072"], true),
        (&["rsa", "-b", "3071"], false),
        (&["rsa", "-b", "2048"], false),
    ];
    for (kind, is_taken) in kinds {
        let line = generate(folder.path(), kind);
        let raw = opened(|roles| roles.principals[3].keys = vec![line], &["alice", "bob"]);
        expect(&format!("{kind:?}"), &raw, if is_taken { None } else { Some(0) });
        if !is_taken {
            continue;
        }
        let chain = Chain { raw };
        let mut next = sign(&chain.next(event("deploy")), &["ci"]);
        next.signatures.insert(id("ci"), sign_with(folder.path(), &next.bytes));
        expect(&format!("{kind:?} signs"), &chain.with(next.clone()), None);
        next.signatures.insert(id("ci"), sign_with(folder.path(), b"other"));
        expect(&format!("{kind:?} signed something else"), &chain.with(next), Some(1));
    }
}
