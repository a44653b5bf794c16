//! `phase tick`: nothing due, something due, and two at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use base::{Duration, Instant};
use ledger::{Draft, GitStore, Ledger, Signer, SshKeySigner};

use crate::support::Repository;

#[test]
fn before_anything_is_due_a_tick_does_nothing() {
    let repository = Repository::tiny_with_ledger();
    for _ in 0..2 {
        let answer = repository.run(&["phase", "tick"]).ends(0).says("Nothing is due. Next: ");
        assert!(answer.stdout.is_empty());
    }
    assert_eq!(repository.entries().len(), 1);
}

/// The tiny programme with a ledger that began two days ago, when nobody ticked. Its calendar
/// skips what was missed, so that no network comes up.
fn neglected() -> Repository {
    let repository = Repository::tiny();
    repository.keep_events_away();
    let calendar = repository.read("pipeline/calendar.toml");
    let mut kept: Vec<&str> = Vec::new();
    for line in calendar.lines() {
        match line {
            "on_missed = \"catch-up\"" => kept.push("on_missed = \"skip\""),
            line if line.starts_with("within") => {}
            line => kept.push(line),
        }
    }
    repository.write("pipeline/calendar.toml", &kept.join("\n"));
    begin(&repository);
    repository
}

/// A principal whose key is in the file of its name.
fn signer(repository: &Repository, name: &str, seed: u8) -> SshKeySigner {
    let pair = ledger::keys::generate_ed25519(Some([seed; 32])).unwrap();
    let path = repository.path(name);
    std::fs::write(&path, pair.private_openssh.as_bytes()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    SshKeySigner::from_file(name.parse().unwrap(), &path).unwrap()
}

fn begin(repository: &Repository) {
    let lead = signer(repository, "lead", 1);
    let evaluator = signer(repository, "evaluator", 2);
    let principal = |signer: &SshKeySigner, kind| ledger::Principal {
        id: signer.principal().clone(),
        kind,
        keys: vec![signer.public_key().to_openssh()],
    };
    let role = |name: &str, signer: &SshKeySigner| {
        (name.to_owned(), ledger::Role { of: vec![signer.principal().clone()], threshold: 1 })
    };
    let roles = ledger::Roles {
        version: 1,
        policy: ledger::Policy::Solo,
        principals: vec![
            principal(&lead, ledger::PrincipalKind::Human),
            principal(&evaluator, ledger::PrincipalKind::Ci),
        ],
        roles: [role("root", &lead), role("lead", &lead), role("evaluator", &evaluator)].into(),
    };
    let tree = |name| ledger::git_store::definition_id(&repository.path(name)).unwrap();
    let pins = ledger::Pins {
        pipeline: tree("pipeline"),
        stages: tree("stages"),
        evaluator: engine::EVALUATOR.to_owned(),
    };
    let genesis = ledger::body::Genesis {
        pipeline: "tiny".parse().unwrap(),
        roles,
        note: "Two days ago.".to_owned(),
    };
    let now = Instant::from_unix_micros(jiff::Timestamp::now().as_second() * 1_000_000);
    let draft = Draft::new(now - Duration::from_hours(48), pins, genesis);
    let store = GitStore::open(repository.root()).unwrap();
    let signers: [&dyn Signer; 1] = [&lead];
    Ledger::create(store, "tiny".parse().unwrap(), draft, &signers, BTreeMap::new()).unwrap();
}

/// The keys of the events that the ledger has handled.
fn handled(repository: &Repository) -> Vec<String> {
    let entries = repository.entries();
    let due = entries.iter().map(|entry| find(entry, "due"));
    due.flatten().map(|key| key.to_string()).collect()
}

fn find<'v>(value: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .filter(|found| !found.is_null())
            .or_else(|| fields.values().find_map(|inner| find(inner, name))),
        _ => None,
    }
}

#[test]
fn what_was_missed_is_written_down_once() {
    let repository = neglected();
    let tick = || {
        let mut tick = repository.command(&["phase", "tick"]);
        tick.env("PHASEGATE_SIGNING_KEY_FILE", repository.path("evaluator")).output().unwrap()
    };
    let first = tick();
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(String::from_utf8(first.stdout).unwrap().contains("missed"));
    let once = handled(&repository);
    assert!(once.len() >= 8, "four events on each of two days: {once:?}");
    assert!(tick().stdout.is_empty());
    assert_eq!(handled(&repository), once);
}

#[test]
fn of_two_ticks_at_once_one_does_the_work() {
    let repository = neglected();
    let start = || {
        let mut tick = repository.command(&["phase", "tick"]);
        tick.env("PHASEGATE_SIGNING_KEY_FILE", repository.path("evaluator"));
        tick.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running = [start(), start()];
    let outputs = running.map(|tick| tick.wait_with_output().unwrap());
    for output in &outputs {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let handled = handled(&repository);
    let different: BTreeSet<&String> = handled.iter().collect();
    assert_eq!(handled.len(), different.len(), "a due thing was done twice: {handled:?}");
    let lines =
        outputs.iter().map(|output| String::from_utf8_lossy(&output.stdout).lines().count());
    assert_eq!(lines.sum::<usize>(), handled.len(), "each thing is told by one of them");
    repository.run(&["report", "verify"]).ends(0);
}

#[test]
fn the_daemon_ends_at_a_signal() {
    let repository = Repository::tiny_with_ledger();
    for name in ["INT", "TERM"] {
        let mut command = repository.command(&["phase", "run"]);
        let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("Ticking"));
        let kill = format!("kill -{name} {}", running.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(running.wait().unwrap().code(), Some(130), "SIG{name}");
    }
}
