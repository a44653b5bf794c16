//! Names and files that lead elsewhere: in folders that somebody sent, and in definitions.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::{REPORT_NAMESPACE, SshKeySigner};

use crate::support::{Repository, files};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A report of a new ledger, in a folder that can be altered and signed again.
struct Report {
    repository: Repository,
    folder: PathBuf,
    statement: String,
}

impl Report {
    fn new() -> Self {
        let repository = Repository::tiny_with_ledger();
        repository.run(&["phase", "evaluate"]).ends(0);
        repository.run(&["report", "build", "--out", "report"]).ends(0);
        let folder = repository.path("report");
        let statement = repository.read("report/statement.json");
        repository.run(&["report", "verify", "report"]).ends(0);
        Self { repository, folder, statement }
    }

    /// The statement as the evaluator would have signed it with another name in it.
    fn names(&self, name: &str) {
        let mut statement: serde_json::Value = serde_json::from_str(&self.statement).unwrap();
        statement["subject"][0]["name"] = name.into();
        let bytes = serde_json::to_vec(&statement).unwrap();
        let key = self.repository.path(".phasegate/keys/evaluator");
        let signer = SshKeySigner::from_file("evaluator".parse().unwrap(), &key).unwrap();
        let signature = ledger::sshsig::sign_detached(&signer, REPORT_NAMESPACE, &bytes).unwrap();
        std::fs::write(self.folder.join("statement.json"), bytes).unwrap();
        std::fs::write(self.folder.join("statement.json.sig"), signature).unwrap();
    }

    #[track_caller]
    fn is_refused(&self, what: &str) {
        let answer = self.repository.run(&["report", "verify", "report"]);
        let told = format!("{what}: {}\n{}", answer.stdout, answer.stderr);
        assert_eq!(answer.code, Some(7), "{told}");
        assert!(!answer.stdout.contains("signed by"), "{told}");
    }
}

#[test]
fn a_report_names_only_its_own_files() {
    let report = Report::new();
    std::fs::write(report.repository.path("outside"), "x").unwrap();
    for name in [
        "",
        ".",
        "..",
        "../outside",
        "/etc/passwd",
        "a/../../outside",
        "a\\b",
        "..\\outside",
        "a\0b",
        ".hidden",
        "a\u{1b}[2J",
        "a\u{202e}",
        "a b",
        "C:x",
        "é",
        "e\u{301}",
    ] {
        report.names(name);
        report.is_refused(&format!("{name:?}"));
    }
}

#[test]
fn a_report_is_made_of_plain_files() {
    for name in ["report.html", "statement.json", "statement.json.sig"] {
        let report = Report::new();
        let path = report.folder.join(name);
        let outside = report.repository.path("outside");
        std::fs::rename(&path, &outside).unwrap();
        symlink(&outside, &path).unwrap();
        report.is_refused("a link, even to the right bytes");
        std::fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        report.is_refused("a device");
        std::fs::remove_file(&path).unwrap();
        pipe(&path);
        report.is_refused("a pipe");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        report.is_refused("a folder");
        std::fs::remove_dir(&path).unwrap();
        let large = std::fs::File::create(&path).unwrap();
        large.set_len(40 << 20).unwrap();
        report.is_refused("a large file");
    }
}

#[test]
fn a_site_is_written_nowhere_but_into_its_folder() {
    let repository = Repository::tiny_with_ledger();
    let blob = repository.git(&["rev-parse", "phase-ledger:entries/000000/entry.json"]);
    let entries = repository.git(&["rev-parse", "phase-ledger:entries"]);
    // `report site` would write `reports/../statement.json` beside its folder.
    let inner = tree(&repository, &[("blob", "statement.json", blob.trim())]);
    let reports = tree(&repository, &[("tree", "..", &inner)]);
    let root =
        tree(&repository, &[("tree", "entries", entries.trim()), ("tree", "reports", &reports)]);
    let commit = repository.git(&["commit-tree", &root, "-m", "x"]);
    repository.git(&["update-ref", "refs/heads/phase-ledger", commit.trim()]);
    repository.run(&["report", "site", "--out", "deep/site"]).ends(4).says("reports/..");
    assert!(!repository.path("deep/statement.json").exists());
}

/// A tree of entries, which git makes without asking what their names mean.
fn tree(repository: &Repository, entries: &[(&str, &str, &str)]) -> String {
    let line = |(kind, name, oid): &(&str, &str, &str)| {
        let mode = if *kind == "tree" { "040000" } else { "100644" };
        format!("{mode} {kind} {oid}\t{name}\n")
    };
    let list: String = entries.iter().map(line).collect();
    repository.write("tree", &list);
    let list = std::fs::File::open(repository.path("tree")).unwrap();
    let mut command = Command::new("git");
    let output = command.arg("mktree").current_dir(repository.root()).stdin(list).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn definitions_are_plain_files_of_their_folder() {
    let repository = Repository::tiny();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), "secret = \"not to be quoted\"\n").unwrap();
    let path = repository.path("pipeline/other.toml");
    type Make = fn(&Path, &Path);
    let cases: [(&str, Make); 4] = [
        ("leads out of", |path, outside| symlink(outside, path).unwrap()),
        ("leads out of", |path, _| symlink("/dev/zero", path).unwrap()),
        ("is not a plain file", |path, _| pipe(path)),
        ("is not a plain file", |path, _| std::fs::create_dir(path).unwrap()),
    ];
    for (complaint, make) in cases {
        make(&path, outside.path());
        let answer = repository.run(&["pipeline", "check"]).ends(3).says(complaint);
        assert!(!answer.stderr.contains("not to be quoted"), "{}", answer.stderr);
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
    repository.run(&["pipeline", "check"]).ends(0);
}

#[test]
fn a_rehearsal_script_lies_in_the_repository_and_is_no_key() {
    let repository = Repository::tiny_with_ledger();
    let script = "script = \"pipeline/rehearsals/tiny.toml\"";
    let key = repository.read(".phasegate/keys/lead");
    for place in
        ["/etc/passwd", "../x.toml", "/dev/zero", ".phasegate/keys/lead", ".git/config", "pipeline"]
    {
        let other = format!("script = \"{place}\"");
        repository.edit("pipeline/tiny.toml", script, &other);
        let answer = repository.run(&["rehearse", "tiny", "--out", "out"]);
        assert!(answer.code.is_some_and(|code| code != 0 && code < 100), "{}", answer.stderr);
        assert!(!answer.stderr.contains("PRIVATE KEY"), "{}", answer.stderr);
        assert!(!answer.stderr.contains(key.lines().nth(1).unwrap()));
        repository.edit("pipeline/tiny.toml", &other, script);
    }
}

#[test]
fn an_archive_is_made_of_plain_files() {
    let repository = Repository::tiny();
    repository.write("in.txt", "# TYPE up gauge\nup 1 1768000000\n# EOF\n");
    repository.run(&["samples", "import", "archive", "--from", "in.txt"]).ends(0);
    let names: Vec<String> = files(&repository.path("archive")).into_keys().collect();
    assert!(names.len() > 1, "{names:?}");
    for name in &names {
        let path = repository.path("archive").join(name);
        let outside = repository.path("outside");
        std::fs::rename(&path, &outside).unwrap();
        let before = std::fs::read(&outside).unwrap();
        symlink(&outside, &path).unwrap();
        let step = ["samples", "compact", "archive", "--step", "1h", "--yes"];
        let more = ["samples", "import", "archive", "--from", "in.txt"];
        for command in [&["samples", "info", "archive"][..], &["samples", "verify", "archive"]] {
            repository.run(command);
        }
        repository.run(&step);
        repository.run(&more);
        assert_eq!(std::fs::read(&outside).unwrap(), before, "{name} was written through a link");
        // Only the lock of the archive may be missing.
        std::fs::remove_file(&path).unwrap();
        pipe(&path);
        for command in [&["samples", "info", "archive"][..], &["samples", "verify", "archive"]] {
            repository.run(command);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&outside, &path).unwrap();
    }
    repository.run(&["samples", "verify", "archive"]).ends(0);
}
