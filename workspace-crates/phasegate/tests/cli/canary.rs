//! Secrets of the machine appear in nothing that a command writes.

use std::path::Path;
use std::process::Command;

use crate::support::{Answer, Repository, files};

/// Variables that hold a secret; the last one by a name that nobody knows.
const VARIABLES: [&str; 5] =
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_PASSPHRASE", "CI_JOB_TOKEN", "SOMETHING_ELSE"];

fn canary(name: &str) -> String {
    format!("canary-{}-4c1f", name.to_lowercase())
}

/// The tiny programme on a machine with secrets.
struct Canaries {
    repository: Repository,
    token: tempfile::NamedTempFile,
    /// What was written to both streams so far.
    said: std::cell::RefCell<String>,
}

impl Canaries {
    fn new() -> Self {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), canary("TOKEN_FILE")).unwrap();
        Self { repository: Repository::tiny(), token, said: String::new().into() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.repository.command(arguments);
        command.env("RUST_LOG", "trace").arg("--verbose");
        command.envs(VARIABLES.map(|name| (name, canary(name))));
        command.env("PHASEGATE_GITHUB_TOKEN_FILE", self.token.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let answer = Answer::of(self.command(arguments).output().unwrap());
        self.said.borrow_mut().push_str(&format!("{}\n{}\n", answer.stdout, answer.stderr));
        answer
    }

    /// Every text that must not be seen, by what it is.
    fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets = vec![("token file".to_owned(), canary("TOKEN_FILE"))];
        secrets.extend(VARIABLES.map(|name| (name.to_owned(), canary(name))));
        for name in ["evaluator", "lead"] {
            let Ok(key) =
                std::fs::read_to_string(self.repository.path(&format!(".phasegate/keys/{name}")))
            else {
                continue;
            };
            // The first line of the body is the same for every key.
            let lines = key.lines().filter(|line| !line.starts_with("-----")).skip(1);
            secrets.extend(lines.map(|line| (format!("key of {name}"), line.to_owned())));
        }
        secrets
    }

    /// Nothing that was written has a secret in it: neither streams nor files nor objects of git.
    #[track_caller]
    fn are_nowhere(&self) {
        let secrets = self.secrets();
        let clean = |place: &str, bytes: &[u8]| {
            for (what, secret) in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{what} is in {place}");
            }
        };
        clean("the output", self.said.borrow().as_bytes());
        let written = files(self.repository.root());
        for (name, bytes) in &written {
            let is_key = name.starts_with(".phasegate/keys/") && !name.ends_with(".pub");
            if !is_key {
                clean(name, bytes);
            }
        }
        for git in [self.repository.root().to_owned(), self.repository.path("out/ledger.git")] {
            if git.exists() {
                clean("the objects of git", &objects(&git));
            }
        }
    }
}

/// Every object of a repository, unpacked, one after the other.
fn objects(repository: &Path) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args(["cat-file", "--batch-all-objects", "--batch"]).current_dir(repository);
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn secrets_of_the_machine_are_in_nothing_that_is_written() {
    let canaries = Canaries::new();
    canaries.repository.keep_events_away();
    canaries.run(&["ledger", "init", "tiny"]).ends(0);
    assert!(canaries.secrets().len() > 8, "the keys are among them");
    canaries.run(&["phase", "tick"]).ends(0);
    canaries.run(&["phase", "reset", "small", "--reason", "A test."]).ends(0);
    canaries.run(&["phase", "evaluate"]).ends(0);
    canaries.run(&["report", "build", "--out", "report"]).ends(0);
    canaries.run(&["phase", "status", "--format", "json"]).ends(0);
    canaries.run(&["report", "verify"]).ends(0);
    canaries.run(&["rehearse", "tiny", "--out", "out"]).ends(0);
    canaries.run(&["phase", "explain", "small/soak", "--rehearsal", "out"]).ends(0);
    // Keys that cannot be used are not quoted either.
    let path = canaries.repository.path(".phasegate/keys/evaluator");
    let key = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, key.replace("END", "ENT")).unwrap();
    canaries.run(&["phase", "tick"]).ends(4);
    std::fs::write(&path, &key).unwrap();
    canaries.are_nowhere();
}

#[test]
fn networks_are_not_told_the_secrets_of_the_machine() {
    let canaries = Canaries::new();
    canaries.repository.keep_events_away();
    canaries.run(&["ledger", "init", "tiny"]).ends(0);
    canaries.run(&["deploy", "up", "small", "--time-scale", "4"]).ends(0);
    let seen = environments(canaries.repository.root());
    canaries.run(&["deploy", "logs", "small.internal.1"]).ends(0);
    canaries.run(&["deploy", "logs", "small.internal.1", "--node", "validator-0"]).ends(0);
    canaries.are_nowhere();
    canaries.run(&["deploy", "down", "small.internal.1"]).ends(0);
    canaries.are_nowhere();
    // The supervisor and its seven nodes, where the system shows environments.
    if cfg!(target_os = "linux") {
        assert!(seen.len() >= 8, "{}", seen.len());
    }
    for environment in seen {
        assert!(environment.contains("PATH=") && !environment.contains("canary-"), "{environment}");
    }
}

/// The environments of the processes that run for the repository at `root`.
fn environments(root: &Path) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let text = |path: std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    };
    let processes = processes.filter_map(Result::ok).map(|one| one.path());
    let ours =
        processes.filter(|process| text(process.join("cmdline")).contains(root.to_str().unwrap()));
    ours.map(|process| text(process.join("environ"))).collect()
}

#[test]
fn what_would_publish_a_secret_is_refused() {
    let canaries = Canaries::new();
    canaries.repository.keep_events_away();
    canaries.run(&["ledger", "init", "tiny"]).ends(0);
    let before = canaries.repository.entries().len();
    for name in ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_PASSPHRASE"] {
        let reason = format!("It says {}.", canary(name));
        canaries.refuses(&reason, name);
    }
    canaries.refuses(&canary("TOKEN_FILE"), "PHASEGATE_GITHUB_TOKEN_FILE");
    let key = canaries.repository.read(".phasegate/keys/lead");
    canaries.refuses(&format!("The key: {key}"), "private key");
    assert_eq!(canaries.repository.entries().len(), before);
    canaries.are_nowhere();
}

impl Canaries {
    #[track_caller]
    fn refuses(&self, reason: &str, what: &str) {
        let answer = self.run(&["phase", "reset", "small", "--reason", reason]);
        answer.ends(4).says(what).says("othing was appended");
    }
}
