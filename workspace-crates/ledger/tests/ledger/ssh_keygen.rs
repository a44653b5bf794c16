//! What OpenSSH's own program says about our signatures and keys.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ledger::keys::PublicKey;
use ledger::sshsig::{SignatureError, sign_detached, verify_detached};
use ledger::{
    OwnerError, REPORT_NAMESPACE, Signer as _, SigningError, SshKeySigner, SshKeygenSigner,
};

use crate::world::*;

fn installed(test: &str) -> bool {
    let found = Command::new("ssh-keygen").arg("-?").output().is_ok();
    if !found {
        println!("skipped: {test} (no ssh-keygen)");
    }
    found
}

fn accepts(folder: &Path, namespace: &str, who: &str, signature: &str, bytes: &[u8]) -> bool {
    std::fs::write(folder.join("allowed_signers"), roles().allowed_signers()).unwrap();
    std::fs::write(folder.join("sig"), signature).unwrap();
    let mut child = Command::new("ssh-keygen")
        .current_dir(folder)
        .args(["-Y", "verify", "-f", "allowed_signers", "-I", who, "-n", namespace, "-s", "sig"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn ssh_keygen_accepts_our_signatures_and_refuses_altered_ones() {
    if !installed("ssh_keygen_accepts_our_signatures_and_refuses_altered_ones") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bytes = b"{\"verdict\":\"advance\"}\n";
    let signature = sign_detached(&signer("ci"), REPORT_NAMESPACE, bytes).unwrap();
    let check =
        |namespace, who, bytes: &[u8]| accepts(folder.path(), namespace, who, &signature, bytes);
    assert!(check(REPORT_NAMESPACE, "ci", bytes));
    assert!(!check(REPORT_NAMESPACE, "alice", bytes));
    assert!(!check("git", "ci", bytes));
    assert!(!check(REPORT_NAMESPACE, "ci", b"{\"verdict\":\"hold\"}\n"));
}

#[test]
fn ssh_keygen_accepts_the_signatures_of_every_entry() {
    if !installed("ssh_keygen_accepts_the_signatures_of_every_entry") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for raw in every_kind().raw {
        for (who, signature) in &raw.signatures {
            let signature = std::str::from_utf8(signature).unwrap();
            let namespace = ledger::LEDGER_NAMESPACE;
            assert!(accepts(folder.path(), namespace, who.as_str(), signature, &raw.bytes));
        }
    }
}

fn generate(folder: &Path, kind: &[&str], passphrase: &str) -> std::path::PathBuf {
    let path = folder.join(kind.join("-"));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-C", "test", "-t"])
        .args(kind)
        .arg("-f")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

#[test]
fn keys_made_by_ssh_keygen_are_taken_unless_encrypted() {
    if !installed("keys_made_by_ssh_keygen_are_taken_unless_encrypted") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = generate(folder.path(), &["ed25519"], "");
    assert!(SshKeySigner::from_file(id("ci"), &path).is_ok());
    let path = generate(folder.path(), &["rsa", "-b", "2048"], "");
    let error = SshKeySigner::from_file(id("ci"), &path).unwrap_err();
    assert!(matches!(error, SigningError::Kind { .. }), "{error}");
    let path = generate(folder.path(), &["ecdsa", "-b", "384"], "");
    let error = SshKeySigner::from_file(id("ci"), &path).unwrap_err();
    assert!(matches!(error, SigningError::Kind { .. }), "{error}");
    let other = tempfile::tempdir().unwrap();
    let path = generate(other.path(), &["ed25519"], "secret");
    let error = SshKeySigner::from_file(id("ci"), &path).unwrap_err();
    assert!(matches!(error, SigningError::Encrypted { .. }), "{error}");
}

#[test]
fn what_ssh_keygen_signs_with_each_kind_of_key_is_accepted() {
    if !installed("what_ssh_keygen_signs_with_each_kind_of_key_is_accepted") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let message = folder.path().join("message");
    std::fs::write(&message, b"bytes").unwrap();
    for kind in [&["ed25519"][..], &["ecdsa", "-b", "256"], &["rsa", "-b", "3072"]] {
        let path = generate(folder.path(), kind, "");
        let _ = std::fs::remove_file(folder.path().join("message.sig"));
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", REPORT_NAMESPACE, "-f"])
            .args([&path, &message])
            .status()
            .unwrap();
        assert!(signed.success());
        let armored = std::fs::read(folder.path().join("message.sig")).unwrap();
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let keys = [PublicKey::parse(&public).unwrap()];
        let verify = |bytes: &[u8]| verify_detached(&keys, REPORT_NAMESPACE, bytes, &armored);
        assert_eq!(verify(b"bytes"), Ok(&keys[0]), "{kind:?}");
        assert_eq!(verify(b"other"), Err(SignatureError::Mismatch), "{kind:?}");
    }
}

/// An agent that ends with the test.
struct Agent {
    child: std::process::Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The agent prints its socket once it listens there.
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        Self { child, socket }
    }

    /// Adds a key whose passphrase is `passphrase`.
    fn add(&self, folder: &Path, key: &Path, passphrase: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let answer = folder.join("answer");
        std::fs::write(&answer, format!("#!/bin/sh\necho {passphrase}\n")).unwrap();
        std::fs::set_permissions(&answer, std::fs::Permissions::from_mode(0o700)).unwrap();
        let added = Command::new("ssh-add")
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", &answer)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .arg("-q")
            .arg(key)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_key_with_a_passphrase_signs_through_the_agent() {
    if !installed("a_key_with_a_passphrase_signs_through_the_agent") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = generate(folder.path(), &["ed25519"], "correct-horse");
    let agent = Agent::start(folder.path());
    agent.add(folder.path(), &path, "correct-horse");
    let public = path.with_extension("pub");
    let signer = SshKeygenSigner::new(id("alice"), &public).unwrap().with_agent(&agent.socket);
    let armored = signer.sign(REPORT_NAMESPACE, b"bytes").unwrap();
    let keys = [signer.public_key().clone()];
    assert!(verify_detached(&keys, REPORT_NAMESPACE, b"bytes", armored.as_bytes()).is_ok());
    let error = roles().check_owner(&signer).unwrap_err();
    assert!(matches!(error, OwnerError::UnknownKey { .. }), "{error}");
}

#[test]
fn an_agent_without_the_key_is_an_error_that_says_what_ssh_keygen_said() {
    if !installed("an_agent_without_the_key_is_an_error_that_says_what_ssh_keygen_said") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = generate(folder.path(), &["ed25519"], "");
    let agent = Agent::start(folder.path());
    let public = folder.path().join("moved.pub");
    std::fs::rename(path.with_extension("pub"), &public).unwrap();
    std::fs::remove_file(path).unwrap();
    let signer = SshKeygenSigner::new(id("alice"), &public).unwrap().with_agent(&agent.socket);
    let error = signer.sign(REPORT_NAMESPACE, b"bytes").unwrap_err().to_string();
    assert!(error.contains("`alice` could not sign: ssh-keygen ended with"), "{error}");
    assert!(error.contains("No private key found"), "{error}");
}
