//! What people would use without a ledger: signed commits, verified by git, which starts
//! `ssh-keygen` for each of them.

use std::path::Path;
use std::time::Instant as Clock;

use ledger::{Signer, SshKeySigner};

use super::{median, milliseconds};
use crate::bench::machine;
use crate::exit::Exit;
use crate::failure::Failure;

/// The namespace in which git signs.
const NAMESPACE: &str = "git";
const SIGNERS: &str = "allowed_signers";
const BRANCH: &str = "refs/heads/main";

fn failed(what: &str) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::Failed, format!("{what}: {error}"))
}

pub fn version() -> Result<String, Failure> {
    duct::cmd!("git", "--version").read().map_err(failed("git --version"))
}

fn git(folder: &Path, arguments: &[&str]) -> duct::Expression {
    // Nothing of the user's configuration may change what is measured.
    duct::cmd("git", arguments)
        .dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("LC_ALL", "C")
}

/// A bare repository with a branch of `count` commits, each signed by `signer`.
pub fn commits(folder: &Path, signer: &SshKeySigner, count: usize) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    let run = |arguments: &[&str], input: Vec<u8>| {
        git(folder, arguments).stdin_bytes(input).read().map_err(failed("git"))
    };
    run(&["init", "--quiet", "--bare"], Vec::new())?;
    let tree = run(&["hash-object", "-w", "-t", "tree", "--stdin"], Vec::new())?;
    let mut parent = None;
    for place in 0..count {
        let commit = signed_commit(&tree, parent.as_deref(), place, signer)?;
        let written = run(&["hash-object", "-w", "-t", "commit", "--stdin"], commit)?;
        parent = Some(written);
    }
    run(&["update-ref", BRANCH, parent.as_deref().unwrap_or_default()], Vec::new())?;
    // Packed, as a clone has it.
    run(&["repack", "--quiet", "-a", "-d"], Vec::new())?;
    let line = allowed(signer);
    let path = folder.join(SIGNERS);
    std::fs::write(&path, line).map_err(|error| Failure::file("write", &path, &error))
}

fn allowed(signer: &SshKeySigner) -> String {
    let key = signer.public_key().to_openssh();
    format!("{} namespaces=\"{NAMESPACE}\" {key}\n", signer.principal())
}

/// The bytes of a commit with its signature among its headers.
fn signed_commit(
    tree: &str,
    parent: Option<&str>,
    place: usize,
    signer: &SshKeySigner,
) -> Result<Vec<u8>, Failure> {
    let who = format!("Bench <bench@example.org> {} +0000", 1_767_225_600 + 60 * place);
    let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
    let head = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n");
    let message = format!("\nParticipants were told, {place}.\n");
    let signature = signer.sign(NAMESPACE, format!("{head}{message}").as_bytes())?;
    let header = signature.trim_end().replace('\n', "\n ");
    Ok(format!("{head}gpgsig {header}\n{message}").into_bytes())
}

/// How long `git log --show-signature` takes, on the clock and of the processor, in milliseconds.
/// Every signature has to be good.
pub fn show_signatures(folder: &Path, count: usize) -> Result<(f64, f64), Failure> {
    let signers = format!("gpg.ssh.allowedSignersFile={}", folder.join(SIGNERS).display());
    let arguments = ["-c", "gpg.format=ssh", "-c", &signers, "log", "--show-signature", BRANCH];
    let (clock, (_, before)) = (Clock::now(), machine::processor_ms());
    let shown = git(folder, &arguments).read().map_err(failed("git log"))?;
    let took = (milliseconds(clock), machine::processor_ms().1 - before);
    let good = shown.lines().filter(|line| line.starts_with("Good \"git\" signature")).count();
    if good == count {
        return Ok(took);
    }
    Err(Failure::new(Exit::Failed, format!("git found {good} of {count} signatures good")))
}

/// How long one `ssh-keygen -Y verify` takes, in milliseconds; the median.
pub fn verify_one(folder: &Path, signer: &SshKeySigner, runs: usize) -> Result<f64, Failure> {
    let text = b"Participants were told.";
    let (signature, signers) = (folder.join("text.sig"), folder.join(SIGNERS));
    for (path, bytes) in [(&signature, signer.sign(NAMESPACE, text)?), (&signers, allowed(signer))]
    {
        std::fs::write(path, bytes).map_err(|error| Failure::file("write", path, &error))?;
    }
    let who = signer.principal().as_str();
    let once = || {
        let clock = Clock::now();
        let verify = duct::cmd!(
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            &signers,
            "-I",
            who,
            "-n",
            NAMESPACE,
            "-s",
            &signature
        );
        verify.stdin_bytes(text).stdout_null().run().map_err(failed("ssh-keygen"))?;
        Ok(milliseconds(clock))
    };
    (0..runs.max(20)).map(|_| once()).collect::<Result<Vec<f64>, Failure>>().map(median)
}
