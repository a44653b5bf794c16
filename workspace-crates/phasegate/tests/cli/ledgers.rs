//! Ledgers and keys that are missing, foreign or damaged.

use std::os::unix::fs::PermissionsExt;

use base::PrincipalId;
use ledger::Signer;

use crate::support::Repository;

#[test]
fn a_ledger_begins_once() {
    let repository = Repository::tiny();
    let genesis = repository.run(&["ledger", "init", "tiny"]).ends(0).stdout;
    assert!(genesis.starts_with("genesis "), "{genesis}");
    let before = repository.git(&["rev-parse", "phase-ledger"]);
    let digest = genesis.trim().trim_start_matches("genesis ");
    // Keys that are lost do not make a second beginning possible, and no new keys are made for it.
    std::fs::remove_dir_all(repository.path(".phasegate/keys")).unwrap();
    repository.run(&["ledger", "init", "tiny"]).ends(4).says(digest);
    assert_eq!(repository.git(&["rev-parse", "phase-ledger"]), before);
    assert!(!repository.path(".phasegate/keys").exists());
}

#[test]
fn a_beginning_that_was_interrupted_is_carried_on() {
    let repository = Repository::tiny();
    // As if it had been killed before the public half and the ledger were written.
    repository.run(&["ledger", "init", "tiny"]).ends(0);
    repository.git(&["update-ref", "-d", "refs/heads/phase-ledger"]);
    let key = repository.read(".phasegate/keys/evaluator");
    std::fs::remove_file(repository.path(".phasegate/keys/evaluator.pub")).unwrap();
    repository.run(&["ledger", "init", "tiny"]).ends(0);
    assert_eq!(repository.read(".phasegate/keys/evaluator"), key, "the key is kept");
    repository.run(&["phase", "tick"]).ends(0);
}

#[test]
fn keys_are_private_and_stay_out_of_git() {
    let repository = Repository::tiny_with_ledger();
    for name in ["evaluator", "lead"] {
        let path = repository.path(&format!(".phasegate/keys/{name}"));
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let seen = repository.git(&["status", "--porcelain", "--untracked-files=all"]);
    assert!(!seen.contains(".phasegate"), "{seen}");
}

#[test]
fn without_a_ledger_it_says_how_to_get_one() {
    let repository = Repository::tiny();
    for command in [
        &["phase", "status"][..],
        &["phase", "tick"][..],
        &["phase", "evaluate", "--dry-run"][..],
        &["deploy", "up", "small"][..],
        &["report", "site", "--out", "site"][..],
        &["report", "verify"][..],
    ] {
        repository.run(command).ends(4).says("ledger").says("git fetch origin");
    }
}

#[test]
fn without_git_it_says_so() {
    let repository = Repository::tiny();
    std::fs::remove_dir_all(repository.path(".git")).unwrap();
    repository.run(&["phase", "status"]).ends(4).says("git init");
}

#[test]
fn a_missing_key_stops_what_signs_and_not_what_reads() {
    let repository = Repository::tiny_with_ledger();
    std::fs::remove_file(repository.path(".phasegate/keys/evaluator")).unwrap();
    repository.run(&["phase", "tick"]).ends(4).says("PHASEGATE_SIGNING_KEY_FILE");
    repository.run(&["phase", "status"]).ends(0);
    repository.run(&["report", "verify"]).ends(0);
}

#[test]
fn a_foreign_key_signs_nothing() {
    let repository = Repository::tiny_with_ledger();
    let foreign = ledger::keys::generate_ed25519(Some([7; 32])).unwrap();
    let path = repository.path(".phasegate/keys/evaluator");
    std::fs::write(&path, foreign.private_openssh.as_bytes()).unwrap();
    let lead = repository.path(".phasegate/keys/lead");
    let id: PrincipalId = "evaluator".parse().unwrap();
    let foreign = ledger::SshKeySigner::from_file(id, &path).unwrap();
    repository.run(&["phase", "tick"]).ends(4).says(&foreign.public_key().fingerprint());
    // A key of the roles, but of somebody else.
    let mut tick = repository.command(&["phase", "tick"]);
    let output = tick.env("PHASEGATE_SIGNING_KEY_FILE", lead).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8(output.stderr).unwrap().contains("belongs to `lead`"));
    assert_eq!(repository.entries().len(), 1);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let repository = Repository::tiny_with_ledger();
    let path = repository.path(".phasegate/keys/evaluator");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    repository.run(&["phase", "tick"]).ends(4).says("evaluator");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    repository.run(&["phase", "tick"]).ends(0);
}

#[test]
fn a_changed_entry_is_noticed_by_everyone() {
    let repository = Repository::tiny_with_ledger();
    repository.tamper(|folder| {
        let path = folder.join("entries/000000/entry.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("all pass"));
        std::fs::write(&path, text.replace("all pass", "may pass")).unwrap();
    });
    is_noticed(&repository);
}

#[test]
fn a_broken_link_is_noticed_by_everyone() {
    let repository = Repository::tiny_with_ledger();
    for _ in 0..2 {
        repository.run(&["phase", "reset", "small", "--reason", "A test."]).ends(0);
    }
    assert_eq!(repository.entries().len(), 3);
    // The last entry, truly signed, takes the place of the one before it.
    repository.tamper(|folder| {
        std::fs::remove_dir_all(folder.join("entries/000001")).unwrap();
        std::fs::rename(folder.join("entries/000002"), folder.join("entries/000001")).unwrap();
    });
    is_noticed(&repository);
}

#[track_caller]
fn is_noticed(repository: &Repository) {
    let before = repository.git(&["rev-parse", "phase-ledger"]);
    repository.run(&["phase", "status"]).ends(4).says("entry").says("restore the branch");
    repository.run(&["phase", "tick"]).ends(4);
    repository.run(&["report", "verify"]).ends(7).says("entry").says("Fetch the branch again");
    assert_eq!(repository.git(&["rev-parse", "phase-ledger"]), before, "nothing is appended to it");
}

#[test]
fn another_genesis_is_another_ledger() {
    let repository = Repository::tiny();
    let genesis = repository.run(&["ledger", "init", "tiny"]).ends(0).stdout;
    let digest = genesis.trim().trim_start_matches("genesis ").to_owned();
    repository.run(&["report", "verify", "--genesis", &digest]).ends(0).prints(&digest);
    repository.run(&["report", "verify", "--genesis", &"0".repeat(64)]).ends(7).says("genesis");
}

#[test]
fn status_is_json_too() {
    let repository = Repository::tiny_with_ledger();
    let json = repository.run(&["phase", "status", "--format", "json"]).ends(0).json();
    assert_eq!(json["pipeline"], "tiny");
    assert_eq!(json["ledger"]["entries"], 1);
    assert_eq!(json["phases"][0]["phase"], "small");
    assert_eq!(json["phases"][0]["next"]["event"], "deploy");
    let evaluation = ["phase", "evaluate", "--dry-run", "--format", "json"];
    let json = repository.run(&evaluation).ends(0).json();
    assert_eq!(json["phases"].as_array().map(Vec::len), Some(0));
    assert_eq!(repository.entries().len(), 1, "a dry run records nothing");
}
