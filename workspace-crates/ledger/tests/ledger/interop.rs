//! What the tools of others say about our signatures. What is not installed is fetched from its
//! package registry into the build folder, once; without a registry a test is skipped, by name.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ledger::Signer as _;
use ledger::dsse::{Envelope, pre_authentication_encoding};
use ledger::statement::STATEMENT_MEDIA_TYPE;

use crate::world::*;

const PAYLOAD: &[u8] = b"{\"_type\":\"https://in-toto.io/Statement/v1\",\"verdict\":\"hold\"}\n";

fn installs() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop")
}

/// Runs a command and gives its output, or why there is none.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// The Python of an environment that has securesystemslib and in-toto.
fn python() -> &'static Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = installs().join("python");
        let python = folder.join("bin/python");
        let there = ["-c", "import in_toto, securesystemslib, cryptography"];
        if run(Command::new(&python).args(there)).is_err() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
            let packages = ["securesystemslib[crypto]==1.6.0", "in-toto==3.1.0"];
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
        }
        Ok(python)
    })
}

/// A folder in which node finds `@sigstore/verify`.
fn node_folder() -> &'static Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folder = installs().join("node");
        if !folder.join("node_modules/@sigstore/verify").is_dir() {
            std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let packages = ["@sigstore/verify@3", "@sigstore/bundle@4"];
            let flags = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
            run(Command::new("npm").args(flags).arg(&folder).args(packages))?;
        }
        Ok(folder)
    })
}

/// Says which test is skipped and why.
fn skip(test: &str, cause: &str) {
    println!("skipped: {test} ({cause})");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/interop").join(name)
}

/// The envelope, and one whose payload was changed after signing.
fn envelopes(folder: &Path) -> [PathBuf; 2] {
    let envelope = Envelope::sign(&signer("ci"), STATEMENT_MEDIA_TYPE, PAYLOAD).unwrap();
    let mut altered = envelope.clone();
    let other = Envelope::sign(&signer("ci"), STATEMENT_MEDIA_TYPE, b"{\"verdict\":\"advance\"}\n");
    altered.payload = other.unwrap().payload;
    [("good", envelope), ("altered", altered)].map(|(name, envelope)| {
        let path = folder.join(name);
        std::fs::write(&path, envelope.to_bytes().unwrap()).unwrap();
        path
    })
}

/// The key in the form that openssl and node read: a fixed header, then the 32 bytes.
fn pem(name: &str) -> String {
    use base64::Engine as _;
    let mut der = hex::decode("302a300506032b6570032100").unwrap();
    der.extend(signer(name).public_key().ed25519_bytes().unwrap());
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

#[test]
fn securesystemslib_and_in_toto_agree_about_our_envelopes() {
    let python = match python() {
        Ok(python) => python,
        Err(cause) => {
            return skip("securesystemslib_and_in_toto_agree_about_our_envelopes", cause);
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let [good, altered] = envelopes(folder.path());
    let verdict = |envelope: &Path, name: &str| {
        let key = hex::encode(signer(name).public_key().ed25519_bytes().unwrap());
        run(Command::new(python).arg(script("verify_dsse.py")).arg(envelope).arg(key)).unwrap()
    };
    assert_eq!(verdict(&good, "ci"), "securesystemslib accepts\nin-toto accepts");
    assert_eq!(verdict(&altered, "ci"), "securesystemslib refuses\nin-toto refuses");
    assert_eq!(verdict(&good, "alice"), "securesystemslib refuses\nin-toto refuses");
}

#[test]
fn sigstore_verifies_our_envelopes_with_a_public_key() {
    let node = match node_folder() {
        Ok(folder) => folder,
        Err(cause) => return skip("sigstore_verifies_our_envelopes_with_a_public_key", cause),
    };
    let folder = tempfile::tempdir().unwrap();
    let [good, altered] = envelopes(folder.path());
    let verdict = |envelope: &Path, name: &str| {
        let key = folder.path().join(name);
        std::fs::write(&key, pem(name)).unwrap();
        let mut command = Command::new("node");
        command.env("NODE_PATH", node.join("node_modules"));
        run(command.arg(script("verify_dsse.cjs")).arg(envelope).arg(key)).unwrap()
    };
    assert_eq!(verdict(&good, "ci"), "sigstore accepts");
    assert_eq!(verdict(&altered, "ci"), "sigstore refuses");
    assert_eq!(verdict(&good, "alice"), "sigstore refuses");
}

#[test]
fn openssl_verifies_the_bare_signature() {
    if let Err(cause) = run(Command::new("openssl").arg("version")) {
        return skip("openssl_verifies_the_bare_signature", &cause);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let signed = pre_authentication_encoding(STATEMENT_MEDIA_TYPE, PAYLOAD);
    let signature = file("sig", &signer("ci").sign_bare_ed25519(&signed).unwrap());
    let verifies = |key: &str, bytes: &[u8]| {
        let key = file(key, pem(key).as_bytes());
        let mut command = Command::new("openssl");
        command.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"]).arg(key);
        command.arg("-in").arg(file("bytes", bytes)).arg("-sigfile").arg(&signature);
        run(&mut command).is_ok()
    };
    assert!(verifies("ci", &signed));
    assert!(!verifies("alice", &signed));
    assert!(!verifies("ci", PAYLOAD));
}
