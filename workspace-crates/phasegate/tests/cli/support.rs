//! Repositories to run the program in, and what it answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A repository in a folder of its own; gone at the end of the test.
pub struct Repository {
    folder: TempDir,
}

/// How the program ended and what it wrote.
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The same answer, when the program ended with `code`.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The same answer, when standard error has `text` in it.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// The same answer, when standard output has `text` in it.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "`{text}` is not in:\n{}", self.stdout);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error} in:\n{}\nstderr:\n{}", self.stdout, self.stderr)
        })
    }
}

impl Repository {
    /// A copy of this repository's own definitions.
    pub fn with_own_definitions() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self::of(&root)
    }

    /// A programme with one phase of four validators, which is over in a second.
    pub fn tiny() -> Self {
        Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny"))
    }

    fn of(root: &Path) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["pipeline", "stages"] {
            copy(&root.join(name), &repository.path(name));
        }
        repository.git(&["init", "--quiet"]);
        repository
    }

    /// The tiny programme with a ledger that has just begun.
    pub fn tiny_with_ledger() -> Self {
        let repository = Self::tiny();
        repository.keep_events_away();
        repository.run(&["ledger", "init", "tiny"]).ends(0);
        repository
    }

    /// Moves the events of the tiny programme half a day away from the machine's time, so that
    /// none falls into a test by chance.
    pub fn keep_events_away(&self) {
        let hour = (jiff::Timestamp::now().as_second() / 3_600 + 12) % 24;
        let calendar = self.read("pipeline/calendar.toml");
        assert!(calendar.contains("BYHOUR=15") && calendar.contains("BYHOUR=16"), "{calendar}");
        let calendar = calendar
            .replace("BYHOUR=15", "BYHOUR=first")
            .replace("BYHOUR=16", &format!("BYHOUR={}", (hour + 1) % 24));
        let calendar = calendar.replace("BYHOUR=first", &format!("BYHOUR={hour}"));
        self.write("pipeline/calendar.toml", &calendar);
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Replaces `from`, which has to be there, in the file `name`.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        program(self.root(), arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.root(), arguments)
    }

    /// Puts what `change` makes of the ledger's files onto the ledger's branch.
    pub fn tamper(&self, change: impl FnOnce(&Path)) {
        let copy = tempfile::tempdir().unwrap();
        let origin = self.root().to_str().unwrap();
        git(copy.path(), &["clone", "--quiet", "--branch", "phase-ledger", origin, "."]);
        change(copy.path());
        git(copy.path(), &["add", "--all"]);
        git(copy.path(), &["commit", "--quiet", "--message", "Somebody was here"]);
        git(copy.path(), &["push", "--quiet", "--force", "origin", "phase-ledger"]);
    }

    /// What the entries of the ledger say, from the first one on.
    pub fn entries(&self) -> Vec<serde_json::Value> {
        let names = self.git(&["ls-tree", "-r", "--name-only", "phase-ledger"]);
        names
            .lines()
            .filter(|name| name.ends_with("/entry.json"))
            .map(|name| {
                let text = self.git(&["show", &format!("phase-ledger:{name}")]);
                serde_json::from_str(&text).unwrap()
            })
            .collect()
    }
}

/// The program, with nothing of the environment that could change what it does.
pub fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phasegate"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("COLUMNS", "100").env("NO_COLOR", "1");
    for name in ["SIGNING_KEY_FILE", "GITHUB_TOKEN_FILE", "LEDGER_REMOTE"] {
        command.env_remove(format!("PHASEGATE_{name}"));
    }
    for name in ["RUST_LOG", "SSH_AUTH_SOCK"] {
        command.env_remove(name);
    }
    // The keys and the settings of whoever runs the tests.
    command.env("HOME", folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Test");
        command.env(format!("GIT_{who}_EMAIL"), "test@example.org");
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Every file below `folder`, by its path in it.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Whether `tool` can be started. Says which test did without it.
pub fn has(tool: &str, test: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("{test} is skipped: `{tool}` is not installed");
    }
    found
}
