//! Bundles, judging again, and what a participant is told about age, rollback and contradiction.

use std::path::Path;

use crate::support::{Repository, files, has};

fn rehearsed() -> Repository {
    let repository = Repository::tiny();
    repository.run(&["rehearse", "tiny", "--out", "out"]).ends(0);
    repository
}

fn bundled() -> Repository {
    let repository = rehearsed();
    let bundle = ["report", "bundle", "--rehearsal", "out", "--out", "one.tar"];
    repository.run(&bundle).ends(0).prints("one.tar").says("with its evidence");
    repository
}

/// The bundle with the files that `change` leaves in its unpacked folder.
fn repacked(repository: &Repository, change: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(std::fs::File::open(repository.path("one.tar")).unwrap())
        .unpack(folder.path())
        .unwrap();
    change(folder.path());
    let mut archive = tar::Builder::new(std::fs::File::create(repository.path("two.tar")).unwrap());
    for (path, bytes) in files(folder.path()) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    archive.finish().unwrap();
}

/// The path of the largest file in `folder`.
fn largest(folder: &Path) -> std::path::PathBuf {
    let found = files(folder);
    let (name, _) = found.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    folder.join(name)
}

#[test]
fn every_evaluation_of_a_rehearsal_comes_out_the_same() {
    let repository = rehearsed();
    let all = ["report", "recompute", "--rehearsal", "out", "--all", "--format", "json"];
    let found = repository.run(&all).ends(0).json();
    assert_eq!(found["same"], true);
    let evaluations = found["evaluations"].as_array().unwrap();
    assert!(evaluations.len() >= 2, "{found}");
    assert!(evaluations.iter().all(|one| one["recorded"] == one["recomputed"]));
    let one = ["report", "recompute", "--rehearsal", "out", "--week", "2026-W02"];
    repository.run(&one).ends(0).prints("the same bytes came out");
    let none = ["report", "recompute", "--rehearsal", "out", "--week", "2020-W01"];
    repository.run(&none).ends(6).says("nothing was judged in 2020-W01");
}

#[test]
fn a_bundle_is_enough_and_the_same_each_time() {
    let repository = bundled();
    let first = std::fs::read(repository.path("one.tar")).unwrap();
    let again = ["report", "bundle", "--rehearsal", "out", "--out", "two.tar"];
    repository.run(&again).ends(0);
    assert!(first == std::fs::read(repository.path("two.tar")).unwrap());
    // Nothing else is there: no definitions, no ledger, no evidence.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(repository.path("one.tar"), elsewhere.path().join("one.tar")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = crate::support::program(elsewhere.path(), arguments);
        crate::support::Answer::of(command.output().unwrap())
    };
    run(&["report", "recompute", "one.tar"]).ends(0).prints("the same bytes came out");
    let verified = run(&["report", "verify", "one.tar"]).ends(0);
    let verified = verified.prints("signed by evaluator").prints("published in entry");
    verified.prints("are at hand, unaltered");
    assert_eq!(files(elsewhere.path()).len(), 1, "reading a bundle left something behind");
}

#[test]
fn a_bundle_whose_evidence_or_rules_were_changed_is_refused() {
    let repository = bundled();
    repacked(&repository, |folder| {
        let evidence = largest(&folder.join("evidence"));
        let mut bytes = std::fs::read(&evidence).unwrap();
        bytes[0] ^= 1;
        std::fs::write(evidence, bytes).unwrap();
    });
    for command in ["verify", "recompute"] {
        repository.run(&["report", command, "two.tar"]).ends(7).says("has the digest");
    }
    repacked(&repository, |folder| {
        std::fs::remove_file(largest(&folder.join("evidence"))).unwrap();
    });
    repository.run(&["report", "recompute", "two.tar"]).ends(7).says("is stored; collect it again");
    repository.run(&["report", "verify", "two.tar"]).ends(7).says("evidence is missing");
    repacked(&repository, |folder| {
        let rules = folder.join("rules/pipeline/tiny.toml");
        let text = std::fs::read_to_string(&rules).unwrap();
        std::fs::write(rules, text.replace("over in virtual", "done in virtual")).unwrap();
    });
    repository.run(&["report", "recompute", "two.tar"]).ends(7).says("are not those that");
    repacked(&repository, |folder| {
        let entry = folder.join("ledger/entries/000003/entry.json");
        let text = std::fs::read_to_string(&entry).unwrap();
        std::fs::write(entry, text.replacen("2026", "2027", 1)).unwrap();
    });
    repository.run(&["report", "verify", "two.tar"]).ends(7).says("entry 000003");
    repository.write("three.tar", "no archive");
    repository.run(&["report", "verify", "three.tar"]).ends(7).says("is not a bundle");
}

#[test]
fn rules_that_changed_since_are_taken_from_git() {
    let repository = rehearsed();
    repository.edit("pipeline/tiny.toml", "title = \"Tiny\"", "title = \"Other\"");
    let recompute = ["report", "recompute", "--rehearsal", "out"];
    repository.run(&recompute).ends(7).says("does not have the rules with the git tree");
    repository.edit("pipeline/tiny.toml", "title = \"Other\"", "title = \"Tiny\"");
    repository.git(&["add", "pipeline", "stages"]);
    repository.git(&["commit", "--quiet", "--message", "Rules"]);
    repository.edit("pipeline/tiny.toml", "title = \"Tiny\"", "title = \"Other\"");
    repository.run(&recompute).ends(0).prints("the same bytes came out");
}

#[test]
fn an_old_report_says_so_and_is_refused_where_a_fresh_one_is_wanted() {
    let repository = rehearsed();
    let report = ["report", "verify", "out/reports/2026-W02", "--ledger", "out/ledger.git"];
    repository.run(&report).ends(0).prints("age       ");
    let fresh = [report.as_slice(), &["--fresh"]].concat();
    let refused = repository.run(&fresh).ends(7);
    assert!(
        refused.stderr.contains("not the newest") || refused.stderr.contains("is overdue"),
        "{}",
        refused.stderr
    );
    let found = repository.run(&[report.as_slice(), &["--format", "json"]].concat()).ends(0).json();
    assert_eq!(found["report"]["signed_by"], "evaluator");
    assert!(found["report"]["valid_until"].is_string(), "{found}");
    let evidence = [report.as_slice(), &["--evidence", "out/evidence"]].concat();
    repository.run(&evidence).ends(0).prints("are at hand, unaltered");
    let nowhere = [report.as_slice(), &["--evidence", "nowhere"]].concat();
    repository.run(&nowhere).ends(8).says("nowhere");
}

#[test]
fn a_report_is_not_taken_for_that_of_another_week() {
    let repository = rehearsed();
    let weeks: Vec<String> = std::fs::read_dir(repository.path("out/reports"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(weeks.len() >= 2, "{weeks:?}");
    // The statement of one week over the files of another.
    let (one, other) = (format!("out/reports/{}", weeks[0]), format!("out/reports/{}", weeks[1]));
    for name in ["statement.json", "statement.json.sig", "statement.dsse.json"] {
        std::fs::copy(
            repository.path(&format!("{one}/{name}")),
            repository.path(&format!("{other}/{name}")),
        )
        .unwrap();
    }
    let report = ["report", "verify", &other, "--ledger", "out/ledger.git"];
    repository.run(&report).ends(7).says("is not what was signed");
}

#[test]
fn a_remembered_head_tells_a_rollback_and_a_rewrite() {
    let repository = rehearsed();
    let verify = ["report", "verify", "--ledger", "out/ledger.git", "--remember", "heads.json"];
    repository.run(&verify).ends(0);
    repository.run(&verify).ends(0);
    let ledger = repository.path("out/ledger.git");
    let ledger = ledger.to_str().unwrap();
    let git = |arguments: &[&str]| repository.git(&[&["--git-dir", ledger], arguments].concat());
    git(&["update-ref", "refs/heads/phase-ledger", "refs/heads/phase-ledger~2"]);
    repository.run(&verify).ends(7).says("the ledger was cut short");
    repository.write("heads.json", "{\"nonsense\": 1}");
    repository.run(&verify).ends(8).says("heads.json is damaged");
}

#[test]
fn two_histories_of_one_ledger_are_printed_as_proof() {
    let repository = rehearsed();
    // The same keys and the same beginning, another course: what a dishonest evaluator would show
    // to somebody else.
    let other = ["rehearse", "tiny", "--out", "other", "--fault", "stall@small.internal"];
    let ran = repository.run(&other);
    assert!(matches!(ran.code, Some(0 | 10)), "{}", ran.stderr);
    let against = [
        "report",
        "verify",
        "--ledger",
        "out/ledger.git",
        "--against",
        "other/ledger.git",
        "--format",
        "json",
    ];
    let refused = repository.run(&against).ends(7).says("exists twice").says("is split at entry");
    let proof = refused.json();
    let entries = proof["entries"].as_array().unwrap();
    assert_ne!(entries[0]["digest"], entries[1]["digest"]);
    for entry in entries {
        assert!(entry["signatures"]["evaluator"].as_str().unwrap().starts_with("-----BEGIN SSH"));
        assert!(entry["entry"].as_str().unwrap().contains("ledger-entry/v1"));
    }
    let same = ["report", "verify", "--ledger", "out/ledger.git", "--against", "out/ledger.git"];
    repository.run(&same).ends(0).prints("both copies are the same");
    repository.run(&["rehearse", "tiny", "--out", "third", "--seed", "7"]).ends(0);
    let foreign =
        ["report", "verify", "--ledger", "out/ledger.git", "--against", "third/ledger.git"];
    repository.run(&foreign).ends(7).says("not of one ledger");
}

#[test]
fn an_unpacked_bundle_is_verified_without_this_program() {
    for tool in ["bash", "jq", "sha256sum", "ssh-keygen"] {
        if !has(tool, "an_unpacked_bundle_is_verified_without_this_program") {
            return;
        }
    }
    let repository = bundled();
    let folder = tempfile::tempdir().unwrap();
    let archive = std::fs::File::open(repository.path("one.tar")).unwrap();
    tar::Archive::new(archive).unpack(folder.path()).unwrap();
    let run = |script: &str| {
        let mut command = std::process::Command::new("bash");
        command.args(["-euc", script]).current_dir(folder.path()).output().unwrap()
    };
    let good = run("./verify-ledger.sh ledger");
    let said = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && said.contains("entries verify"), "{good:?}");
    let steps = std::fs::read_to_string(folder.path().join("README.txt")).unwrap();
    let (_, steps) = steps.split_once("./verify-ledger.sh --genesis DIGEST ledger").unwrap();
    let (_, steps) = steps.split_once('\n').unwrap();
    // What the file says, with the names of this bundle.
    let about = std::fs::read(folder.path().join("bundle.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    let steps = steps.replace("FOLDER ", &format!("{} # ", about["report"].as_str().unwrap()));
    let report = run(&steps.replace("SIGNER", "evaluator"));
    assert!(report.status.success(), "{steps}\n{report:?}");
    let entry = folder.path().join("ledger/entries/000002/entry.json");
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, text.replacen("2026", "2027", 1)).unwrap();
    assert_eq!(run("./verify-ledger.sh ledger").status.code(), Some(1));
}
