//! A ledger that two repositories share through a git remote, named in git's configuration or in
//! the environment.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Answer, Repository, program};

/// A programme whose ledger has begun at a bare remote, and a second repository of it.
struct Team {
    folder: tempfile::TempDir,
    ours: Repository,
    theirs: Repository,
}

impl Team {
    fn new() -> Self {
        let team = Self {
            folder: tempfile::tempdir().unwrap(),
            ours: Repository::tiny(),
            theirs: Repository::tiny(),
        };
        team.ours.git(&["init", "--quiet", "--bare", team.remote().to_str().unwrap()]);
        for one in [&team.ours, &team.theirs] {
            one.keep_events_away();
            one.git(&["remote", "add", "origin", team.remote().to_str().unwrap()]);
            one.git(&["config", "phasegate.remote", "origin"]);
        }
        team.ours.run(&["ledger", "init", "tiny"]).ends(0);
        // Both sign with the same keys.
        let keys = |one: &Repository| one.path(".phasegate/keys");
        std::fs::create_dir_all(team.theirs.path(".phasegate")).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-a").args([keys(&team.ours), keys(&team.theirs)]);
        assert!(copy.status().unwrap().success());
        team
    }

    fn remote(&self) -> PathBuf {
        self.folder.path().join("remote")
    }

    fn away(&self) -> PathBuf {
        self.folder.path().join("away")
    }
}

fn reset(one: &Repository, reason: &str) -> Answer {
    one.run(&["phase", "reset", "small", "--reason", reason])
}

fn entries(one: &Repository) -> usize {
    let status = one.run(&["phase", "status", "--format", "json"]).ends(0).json();
    usize::try_from(status["ledger"]["entries"].as_u64().unwrap()).unwrap()
}

#[test]
fn entries_of_two_repositories_end_in_one_history() {
    let team = Team::new();
    assert_eq!(entries(&team.theirs), 1, "it was never fetched by hand");
    reset(&team.ours, "One.").ends(0);
    reset(&team.theirs, "Two.").ends(0);
    reset(&team.ours, "Three.").ends(0);
    assert_eq!(entries(&team.theirs), 4);
    team.ours.git(&["--git-dir", team.remote().to_str().unwrap(), "fsck", "--strict"]);
    // The remote has it all, and anybody verifies it there.
    let remote = team.remote();
    let verify = ["report", "verify", "--ledger", remote.to_str().unwrap()];
    team.theirs.run(&verify).ends(0).prints("4 entries verify");
}

#[test]
fn of_two_repositories_that_begin_a_ledger_the_second_is_told() {
    let team = Team::new();
    team.theirs.run(&["ledger", "init", "tiny"]).ends(4).says("was opened before");
}

#[test]
fn without_the_remote_reading_says_so_and_changing_fails() {
    let team = Team::new();
    reset(&team.ours, "One.").ends(0);
    std::fs::rename(team.remote(), team.away()).unwrap();
    let read = [&["phase", "status"][..], &["phase", "evaluate", "--dry-run"]];
    for command in read {
        let answer = team.ours.run(command).ends(0).says("remote `origin` did not answer");
        answer.says("This is the copy here, which ends with entry 1 of 20");
    }
    team.ours.run(&["report", "verify"]).ends(0).prints("2 entries verify");
    for command in [
        &["phase", "reset", "small", "--reason", "Two."][..],
        &["phase", "tick"],
        &["phase", "evaluate"],
        &["phase", "advance", "small"],
        &["deploy", "up", "small"],
    ] {
        team.ours.run(command).ends(4).says("did not answer").says("nothing was appended");
    }
    assert_eq!(team.ours.entries().len(), 2);
    // Without a copy there is nothing to read, and nobody is told to begin another ledger.
    let answer = team.theirs.run(&["phase", "status"]).ends(4).says("did not answer");
    assert!(!answer.stderr.contains("ledger init"), "{}", answer.stderr);
    // On this machine alone, when that is what is wanted; the remote gets it later.
    let mut alone = team.ours.command(&["phase", "reset", "small", "--reason", "Two."]);
    Answer::of(alone.env("PHASEGATE_LEDGER_REMOTE", "").output().unwrap()).ends(0);
    std::fs::rename(team.away(), team.remote()).unwrap();
    team.ours.run(&["phase", "status"]).ends(0).says("`origin` lacks entries that are here");
    reset(&team.ours, "Three.").ends(0);
    assert_eq!(entries(&team.theirs), 4);
}

#[test]
fn the_environment_names_the_remote_before_the_configuration() {
    let team = Team::new();
    team.theirs.git(&["config", "phasegate.remote", "nowhere"]);
    team.theirs.run(&["phase", "status"]).ends(4).says("remote `nowhere` did not answer");
    let mut named = team.theirs.command(&["phase", "status"]);
    let named = Answer::of(named.env("PHASEGATE_LEDGER_REMOTE", "origin").output().unwrap());
    assert!(!named.ends(0).stderr.contains("did not answer"));
    assert_eq!(team.theirs.entries().len(), 1);
}

#[test]
fn a_fork_stops_everybody_and_names_both_ends() {
    let team = Team::new();
    assert_eq!(entries(&team.theirs), 1);
    let mut alone = team.theirs.command(&["phase", "reset", "small", "--reason", "Alone."]);
    Answer::of(alone.env("PHASEGATE_LEDGER_REMOTE", "").output().unwrap()).ends(0);
    reset(&team.ours, "One.").ends(0);
    let ends = [&team.theirs, &team.ours].map(|one| one.git(&["rev-parse", "phase-ledger"]));
    for command in [&["phase", "status"][..], &["phase", "tick"]] {
        let answer = team.theirs.run(command).ends(4).says("has forked");
        ends.iter().for_each(|end| assert!(answer.stderr.contains(end.trim())));
    }
}

#[test]
fn passwords_in_addresses_are_never_told() {
    let team = Team::new();
    let address = "http://somebody:canary@127.0.0.1:1/x";
    for command in [&["phase", "status"][..], &["phase", "tick"], &["--verbose", "phase", "tick"]] {
        let mut command = program(team.ours.root(), command);
        let answer = Answer::of(command.env("PHASEGATE_LEDGER_REMOTE", address).output().unwrap());
        let answer = answer.says("http://***@127.0.0.1:1/x");
        assert!(!(answer.stdout + &answer.stderr).contains("canary"));
    }
}
