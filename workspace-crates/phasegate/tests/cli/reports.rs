//! Reports as participants get them: verified with the program and with other people's tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{Repository, files, has};

/// A rehearsed programme and the folder of its first report.
fn rehearsed() -> (Repository, PathBuf) {
    let repository = Repository::tiny();
    repository.run(&["rehearse", "tiny", "--out", "out"]).ends(0);
    let report = repository.path("out/reports/2026-W02");
    (repository, report)
}

#[track_caller]
fn verify(repository: &Repository, code: i32) -> crate::support::Answer {
    let report = ["report", "verify", "out/reports/2026-W02", "--ledger", "out/ledger.git"];
    repository.run(&report).ends(code)
}

#[test]
fn a_report_verifies_until_one_byte_changes() {
    let (repository, folder) = rehearsed();
    verify(&repository, 0).prints("signed by evaluator").prints("published in entry");
    for (name, bytes) in files(&folder) {
        // These two repeat what the others say; nothing is judged by them.
        if name == "allowed_signers" || name == "statement.dsse.json" {
            continue;
        }
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(folder.join(&name), &changed).unwrap();
        let answer = verify(&repository, 7);
        assert!(!answer.stdout.contains("signed by"), "{name} was changed");
        std::fs::write(folder.join(&name), &bytes).unwrap();
    }
    verify(&repository, 0);
}

#[test]
fn a_report_of_another_ledger_is_refused() {
    let (repository, _) = rehearsed();
    let run = ["rehearse", "tiny", "--out", "other", "--seed", "2"];
    repository.run(&run).ends(0);
    let report = ["report", "verify", "other/reports/2026-W02", "--ledger", "out/ledger.git"];
    repository.run(&report).ends(7).says("is not signed by an evaluator of this ledger");
}

#[test]
fn what_is_missing_is_named() {
    let (repository, folder) = rehearsed();
    std::fs::remove_file(folder.join("report.md")).unwrap();
    verify(&repository, 8).says("report.md");
    std::fs::remove_file(folder.join("statement.json")).unwrap();
    verify(&repository, 8).says("statement.json");
    let nowhere = ["report", "verify", "--ledger", "nowhere"];
    repository.run(&nowhere).ends(4).says("nowhere");
}

fn shell(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

const SSH_VERIFY: &str = "ssh-keygen -Y verify -f allowed_signers -I evaluator \
    -n phase-report@phasegate.dev -s statement.json.sig < statement.json";

#[test]
fn ssh_keygen_accepts_a_report_and_no_other() {
    if !has("ssh-keygen", "ssh_keygen_accepts_a_report_and_no_other") {
        return;
    }
    let (_repository, folder) = rehearsed();
    let good = shell(&folder, SSH_VERIFY);
    let text = String::from_utf8_lossy(&good.stdout);
    assert!(good.status.success() && text.contains("Good"), "{good:?}");
    let path = folder.join("statement.json");
    let statement = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, statement.replace("PASSED", "FAILED")).unwrap();
    assert!(!shell(&folder, SSH_VERIFY).status.success());
}

/// The commands of the page for participants, in the order of the page.
fn commands_of_the_page() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify-a-report.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found: Vec<String> = Vec::new();
    for block in blocks.by_ref() {
        if !block.contains("cargo xtask") {
            found.push(block.to_owned());
        }
    }
    found
}

#[test]
fn the_commands_that_participants_are_told_to_run_work() {
    for tool in ["ssh-keygen", "jq", "sha256sum"] {
        if !has(tool, "the_commands_that_participants_are_told_to_run_work") {
            return;
        }
    }
    let (repository, folder) = rehearsed();
    let commands = commands_of_the_page();
    assert!(commands.len() >= 3, "{commands:?}");
    let ledger = repository.path("out/ledger.git");
    for command in &commands {
        let script = format!("export LEDGER={}\n{command}", ledger.display());
        let output = shell(&folder, &script);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{stderr}");
    }
    // A file that is not what was signed is noticed by one of them.
    let path = folder.join("report.html");
    let mut page = std::fs::read(&path).unwrap();
    page.push(b' ');
    std::fs::write(&path, page).unwrap();
    let all = commands.join("\n");
    let script = format!("export LEDGER={}\n{all}", ledger.display());
    assert!(!shell(&folder, &script).status.success());
}

#[test]
fn a_site_has_every_report_of_the_ledger() {
    let (repository, folder) = rehearsed();
    // A clone of the ledger is all that the site is made from.
    let ledger = repository.path("out/ledger.git");
    let from = ledger.to_str().unwrap();
    repository.git(&["fetch", "--quiet", from, "phase-ledger:phase-ledger"]);
    repository.run(&["report", "site", "--out", "site"]).ends(0).prints("site/index.html");
    let site = files(&repository.path("site"));
    for (name, bytes) in files(&folder) {
        assert!(site.get(&format!("2026-W02/{name}")) == Some(&bytes), "{name}");
    }
    let index = String::from_utf8(site["index.html"].clone()).unwrap();
    assert!(index.contains("2026-W02") && !index.contains("<script"), "{index}");
    let status = repository.run(&["phase", "status"]).ends(0).stdout;
    assert!(status.contains("small"), "{status}");
    let explained = repository.run(&["phase", "explain", "small/soak"]).ends(0).stdout;
    assert!(explained.contains("Soak: ") && explained.contains("Evidence:"), "{explained}");
}
