//! The wizard: empty folders, repositories that are there, runs that were cut short, hostile input.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Answer, files, git, has, program};

/// A folder with a home of its own, so that no key and no name of this machine is found.
struct Machine {
    folder: TempDir,
    project: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir(&project).unwrap();
        Self { folder, project }
    }

    /// Another machine with a clone of the committed files.
    fn clone_of(other: &Self) -> Self {
        let machine = Self::new();
        std::fs::remove_dir(&machine.project).unwrap();
        let from = other.project.to_str().unwrap();
        git(machine.folder.path(), &["clone", "--quiet", from, "project"]);
        machine
    }

    fn isolated(&self, mut command: Command) -> Command {
        command.env("HOME", self.folder.path().join("home"));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for name in ["SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "GIT_DIR", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.isolated(program(&self.project, arguments))
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A key pair in the home's `.ssh`, as `ssh-keygen` makes it; the public half's path.
    fn ssh_key(&self, name: &str) -> String {
        let folder = self.folder.path().join("home/.ssh");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let pair = ledger::keys::generate_ed25519(None).unwrap();
        std::fs::write(&path, pair.private_openssh.as_bytes()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let public = folder.join(format!("{name}.pub"));
        std::fs::write(&public, format!("{}\n", pair.public_openssh)).unwrap();
        public.to_str().unwrap().to_owned()
    }

    fn commit(&self) {
        git(&self.project, &["add", "--all"]);
        git(&self.project, &["commit", "--quiet", "--message", "Set up"]);
    }

    /// Everything but git's own files, which change when they are read.
    fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = files(&self.project);
        all.retain(|path, _| !path.starts_with(".git/"));
        all
    }

    fn has_ledger(&self) -> bool {
        let refs = git(&self.project, &["for-each-ref", "refs/heads/phase-ledger"]);
        !refs.trim().is_empty()
    }
}

/// The states of the steps of a summary, by their names.
fn states(summary: &serde_json::Value) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let steps = summary["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

const JSON: [&str; 4] = ["init", "--yes", "--format", "json"];

#[test]
fn an_empty_folder_becomes_a_programme_with_a_ledger() {
    let machine = Machine::new();
    let answer = machine.run(&JSON).ends(0);
    let summary = answer.json();
    let states = states(&summary);
    for step in ["repository", "people", "calendar", "stages", "pipeline", "ledger"] {
        assert_eq!(states[step], "done", "{step}");
    }
    assert_eq!(states["remote"], "skipped");
    let check = machine.run(&["pipeline", "check"]).ends(0);
    assert!(check.stderr.contains("0 errors, 0 warnings"), "{}", check.stderr);
    let genesis = summary["genesis"].as_str().unwrap();
    machine.run(&["report", "verify", "--genesis", genesis]).ends(0);
    machine.run(&["phase", "status"]).ends(0);
    // The private halves are private, and git does not see them.
    for name in ["lead", "evaluator"] {
        let path = machine.path(&format!(".phasegate/keys/{name}"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let private = std::fs::read_to_string(&path).unwrap();
        let secret = private.lines().nth(3).unwrap();
        assert!(!answer.stdout.contains(secret) && !answer.stderr.contains(secret));
    }
    let seen = git(&machine.project, &["status", "--porcelain", "--untracked-files=all"]);
    assert!(!seen.contains(".phasegate"), "{seen}");
    let mode = std::fs::metadata(machine.path("pipeline/roles.toml")).unwrap().permissions().mode();
    assert_ne!(mode & 0o044, 0, "definitions are for everybody");
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    let machine = Machine::new();
    machine.run(&["init", "--yes"]).ends(0).prints("Next:");
    let before = machine.everything();
    let head = git(&machine.project, &["rev-parse", "phase-ledger"]);
    machine.run(&["init", "--yes"]).ends(0).prints("Nothing had to be done.");
    let summary = machine.run(&JSON).ends(0).json();
    assert_eq!(summary["changed"], false);
    assert_eq!(states(&summary)["ledger"], "there");
    assert_eq!(machine.everything(), before);
    assert_eq!(git(&machine.project, &["rev-parse", "phase-ledger"]), head);
}

#[test]
fn the_first_programme_ships_in_a_rehearsal() {
    let machine = Machine::new();
    machine.run(&["init", "--yes", "--name", "my-network", "--no-ledger"]).ends(0);
    machine.run(&["rehearse", "my-network", "--out", "out"]).ends(0).prints("phase-2");
}

#[test]
fn a_repository_keeps_what_it_has() {
    let machine = Machine::new();
    git(&machine.project, &["init", "--quiet"]);
    machine.write("README.md", "Ours.\n");
    machine.write("stages/monitoring/README.md", "Our own words.\n");
    machine.write("src/deep/file", "x");
    let mut init = machine.command(&JSON);
    // From a folder below, as every other command.
    let answer = Answer::of(init.current_dir(machine.path("src/deep")).output().unwrap()).ends(0);
    assert_eq!(states(&answer.json())["repository"], "there");
    assert_eq!(machine.read("README.md"), "Ours.\n");
    assert_eq!(machine.read("stages/monitoring/README.md"), "Our own words.\n");
    assert!(machine.path("stages/monitoring/stage.toml").is_file());
    assert!(machine.has_ledger());
}

#[test]
fn a_run_that_was_cut_short_is_carried_on() {
    let whole = Machine::new();
    let summary = whole.run(&JSON).ends(0).json();
    let steps = summary["steps"].as_array().unwrap();
    let written: Vec<String> = steps
        .iter()
        .flat_map(|step| step["files"].as_array().unwrap())
        .map(|path| path.as_str().unwrap().to_owned())
        .collect();
    assert!(written.len() > 10, "{written:?}");
    for count in 0..=written.len() {
        let machine = Machine::new();
        git(&machine.project, &["init", "--quiet"]);
        for path in &written[..count] {
            machine.write(path, &whole.read(path));
            let mode = if path.starts_with(".phasegate/") { 0o600 } else { 0o644 };
            std::fs::set_permissions(machine.path(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        // What a killed run leaves of the file that it was at.
        machine.write(".phasegate/init-x1", "half a fi");
        let known = machine.everything();
        machine.run(&JSON).ends(0);
        let after = machine.everything();
        for path in &written {
            assert!(after.contains_key(path), "{path} is missing after {count} files");
        }
        for (path, bytes) in known.iter().filter(|(path, _)| !path.ends_with("/init-x1")) {
            assert_eq!(after.get(path), Some(bytes), "{path} was changed after {count} files");
        }
        assert!(!machine.path(".phasegate/init-x1").exists());
        assert!(machine.has_ledger(), "after {count} files");
        machine.run(&["pipeline", "check"]).ends(0);
    }
}

#[test]
fn a_full_disk_leaves_nothing_that_a_second_run_cannot_mend() {
    let machine = Machine::new();
    git(&machine.project, &["init", "--quiet"]);
    // No file may be larger than 4 KiB: the signal would kill, so it is ignored, as disks do not signal.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" init --yes";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_phasegate")]).current_dir(&machine.project);
    let mut shell = machine.isolated(shell);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let answer = Answer::of(output).ends(8).says("run `phasegate init` again");
    assert!(
        answer.stderr.contains("stages/") || answer.stderr.contains("pipeline/"),
        "{}",
        answer.stderr
    );
    for (path, bytes) in machine.everything() {
        assert!(!path.ends_with("stage.toml") || bytes.len() < 4_200, "{path} is half-written");
    }
    let summary = machine.run(&JSON).ends(0).json();
    assert_eq!(states(&summary)["ledger"], "done");
    machine.run(&["pipeline", "check"]).ends(0);
}

#[test]
fn three_leads_on_three_machines_begin_one_ledger() {
    if !has("ssh-keygen", "three_leads_on_three_machines_begin_one_ledger") {
        return;
    }
    let ada = Machine::new();
    let others = [Machine::new(), Machine::new()];
    let (own, bob) = (ada.ssh_key("id_ed25519"), others[0].ssh_key("bob"));
    // What ada has of the others is a public key that they sent.
    let text = |path: &str| std::fs::read_to_string(path).unwrap().trim().to_owned();
    let lead_ada = format!("ada={own}");
    let lead_bob = format!("bob={}", text(&bob));
    let lead_cy = format!("cy={}", text(&others[1].ssh_key("cy")));
    let leads = ["--lead", &lead_ada, "--lead", &lead_bob, "--lead", &lead_cy];
    let answer = ada.run(&[&JSON[..], &leads[..]].concat()).ends(0);
    let summary = answer.json();
    assert_eq!(states(&summary)["ledger"], "waiting");
    assert_eq!(summary["waits_for"], serde_json::json!(["bob", "cy"]));
    assert_eq!(summary["signatures_needed"], 1);
    assert!(ada.read("pipeline/roles.toml").contains("policy = \"quorum\""));
    assert!(!ada.has_ledger());
    assert!(
        answer.stderr.contains("quorum: nobody decides alone"),
        "what is signed is shown: {}",
        answer.stderr
    );
    // Again: it still waits, with the same bytes and signatures.
    let waiting = ada.read(".phasegate/genesis.json");
    ada.run(&["init", "--yes"]).ends(0).prints("bob, cy");
    assert_eq!(ada.read(".phasegate/genesis.json"), waiting);
    ada.commit();
    let bob_clone = Machine::clone_of(&ada);
    bob_clone.write("../genesis.json", &waiting);
    // Without a key of those who are missing nothing is signed.
    let sign = ["init", "--yes", "--sign-genesis", "../genesis.json"];
    bob_clone.run(&sign).ends(4).says("no key of bob or cy");
    let lead_bob = format!("bob={bob}");
    // A clone with other definitions is not what was signed.
    let roles = bob_clone.read("pipeline/roles.toml");
    bob_clone.write("pipeline/roles.toml", &roles.replace("threshold = 2", "threshold = 3"));
    let signed = [
        "init",
        "--yes",
        "--sign-genesis",
        "../genesis.json",
        "--lead",
        &lead_bob,
        "--format",
        "json",
    ];
    bob_clone.run(&signed).ends(7).says("differ");
    bob_clone.write("pipeline/roles.toml", &roles);
    let summary = bob_clone.run(&signed).ends(0).says("pipeline     first-network").json();
    assert_eq!(states(&summary)["ledger"], "done");
    let genesis = summary["genesis"].as_str().unwrap();
    bob_clone.run(&["report", "verify", "--genesis", genesis]).ends(0);
    bob_clone.run(&signed).ends(4).says("opened before");
    // Ada gets it, and her run has nothing left to do.
    git(
        &ada.project,
        &["fetch", "--quiet", bob_clone.project.to_str().unwrap(), "phase-ledger:phase-ledger"],
    );
    ada.run(&["init", "--yes"]).ends(0).prints(genesis);
}

#[test]
fn a_waiting_entry_that_was_tampered_with_is_refused() {
    let machine = Machine::new();
    let (bob, cy) = (machine.ssh_key("bob"), machine.ssh_key("cy"));
    // Only their public halves stay.
    for name in ["bob", "cy"] {
        std::fs::remove_file(machine.folder.path().join("home/.ssh").join(name)).unwrap();
    }
    let (lead_bob, lead_cy) = (format!("bob={bob}"), format!("cy={cy}"));
    machine
        .run(&["init", "--yes", "--lead", "ada", "--lead", &lead_bob, "--lead", &lead_cy])
        .ends(0);
    let path = ".phasegate/genesis.json";
    let waiting = machine.read(path);
    assert!(waiting.contains("BEGIN SSH SIGNATURE"), "{waiting}");
    let refuse = |text: &str, why: &str| {
        machine.write(path, text);
        machine.run(&["init", "--yes", "--sign-genesis", path]).ends(7).says(why);
        machine.run(&["init", "--yes"]).ends(7).says(why);
        assert!(!machine.has_ledger());
    };
    refuse(&waiting.replace("\\\"threshold\\\":2", "\\\"threshold\\\":1"), "no entry");
    refuse(&waiting.replace("when enough leads", "when no leads"), "does not verify");
    refuse(&waiting.replace("\"ada\": \"-----", "\"eve\": \"-----"), "not of `root`");
    refuse(&waiting.replace("\"schema\": 1", "\"schema\": 2"), "version");
    refuse(&waiting.replace("\"schema\": 1", "\"schema\": 1, \"schema\": 1"), "no entry");
    refuse("", "no entry");
    refuse(&"[".repeat(100_000), "no entry");
}

#[test]
fn one_machine_with_all_keys_begins_at_once() {
    let machine = Machine::new();
    let arguments = ["--lead", "ada", "--lead", "bob", "--threshold", "2"];
    let answer = machine.run(&[&JSON[..], &arguments[..]].concat()).ends(0);
    assert_eq!(states(&answer.json())["ledger"], "done");
    assert!(answer.stderr.contains("no quorum"), "{}", answer.stderr);
    let status = machine.run(&["phase", "status"]).ends(0);
    assert!(!status.stdout.contains("solo"), "{}", status.stdout);
}

#[test]
fn a_key_with_a_passphrase_in_the_agent_signs() {
    for tool in ["ssh-agent", "ssh-add", "ssh-keygen"] {
        if !has(tool, "a_key_with_a_passphrase_in_the_agent_signs") {
            return;
        }
    }
    let machine = Machine::new();
    let public = machine.ssh_key("id_ed25519");
    let private = public.trim_end_matches(".pub");
    assert!(public.ends_with("home/.ssh/id_ed25519.pub"));
    let lead = "--lead=ada=~/.ssh/id_ed25519.pub";
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_phasegate"), private, lead]);
        shell.current_dir(&machine.project).stdin(Stdio::null());
        Answer::of(machine.isolated(shell).output().unwrap())
    };
    // The agent alone has the private half.
    run("exec ssh-agent sh -c 'ssh-add -q \"$1\" && rm \"$1\" && exec \"$0\" init --yes \"$2\"' \"$0\" \"$1\" \"$2\"")
        .ends(0)
        .prints("genesis");
    assert!(machine.has_ledger());
    assert!(!machine.path(".phasegate/keys/ada").exists(), "no key was made for ada");
}

#[test]
fn a_ledger_at_the_remote_is_not_begun_again() {
    let first = Machine::new();
    first.run(&["init", "--yes"]).ends(0);
    first.commit();
    let clone = Machine::clone_of(&first);
    let summary = clone.run(&JSON).ends(0).json();
    assert_eq!(states(&summary)["ledger"], "skipped");
    assert!(!clone.has_ledger());
    clone.run(&["init", "--yes"]).ends(0).prints("git fetch origin phase-ledger:phase-ledger");
}

#[test]
fn the_remote_of_the_ledger_is_a_setting_of_git() {
    let machine = Machine::new();
    git(&machine.project, &["init", "--quiet"]);
    machine
        .run(&["init", "--yes", "--no-ledger", "--remote", "origin"])
        .ends(2)
        .says("git remote add");
    assert!(!machine.path("pipeline").exists());
    git(&machine.project, &["remote", "add", "origin", "../nowhere.git"]);
    machine.run(&["init", "--yes", "--no-ledger", "--remote", "origin"]).ends(0);
    assert_eq!(git(&machine.project, &["config", "phasegate.remote"]).trim(), "origin");
    assert!(!machine.has_ledger());
}

#[test]
fn a_dry_run_writes_nothing() {
    let machine = Machine::new();
    let answer = machine.run(&["init", "--yes", "--dry-run"]).ends(0);
    assert!(answer.stdout.contains("==> pipeline/roles.toml"), "{}", answer.stdout);
    assert!(answer.stdout.contains("policy = \"solo\""));
    assert!(!answer.stdout.contains("PRIVATE") && !answer.stdout.contains("AAAA"));
    assert!(machine.everything().is_empty());
    let summary = machine.run(&[&JSON[..], &["--dry-run"]].concat()).ends(0).json();
    assert_eq!(summary["dry_run"], true);
    assert_eq!(states(&summary)["pipeline"], "planned");
    assert!(machine.everything().is_empty());
    // A folder that is not there yet is not made either.
    machine.run(&["init", "new", "--yes", "--dry-run"]).ends(0);
    assert!(!machine.path("new").exists());
    machine.run(&["init", "new", "--yes", "--no-ledger"]).ends(0);
    assert!(machine.path("new/pipeline/first-network.toml").is_file());
}

#[test]
fn the_shipped_programme_can_be_taken_as_it_is() {
    let machine = Machine::new();
    machine
        .run(&["init", "--yes", "--template", "sequencer-prover-testnet", "--partner", "north"])
        .ends(0);
    let own = |path: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(path)).unwrap()
    };
    let path = "pipeline/sequencer-prover-testnet.toml";
    assert_eq!(machine.read(path), own(path));
    let script = machine.read("pipeline/rehearsals/sequencer-prover-testnet.toml");
    assert!(script.contains("\"north\"") && !script.contains("\"partner-south\""), "{script}");
    machine.run(&["pipeline", "check"]).ends(0).says("0 errors, 0 warnings");
}

#[test]
fn without_a_terminal_it_lists_what_would_answer() {
    let machine = Machine::new();
    machine.run(&["init"]).ends(2).says("--yes").says("--lead").says("--time-zone");
    assert!(machine.everything().is_empty());
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let machine = Machine::new();
    let key = machine.ssh_key("id_ed25519");
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDHtLyRyxrRVoyNWuSUcPcMFxuXAGdyZaoz0LxKZgkQCVtvZ3GQ5zGZ7W0lIWlWvkEoPeQ9PyTAsJ9dTqRIbCsXbCzlmwRPz/YKYyBzVB9pvFDDDVoTn0HvCbk0L2qQBhXzmLkSGUhzVN7DpG5ZYTLGlC0Y0f0ZJ4lGNsfdxOSQNw== x";
    machine.write("not-a-key.pub", "hello\n");
    machine.write("binary.pub", "\0\u{1}\n");
    let twice = [format!("--lead=ada={key}"), format!("--lead=bob={key}")];
    let ada = format!("--lead=ada={key}");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--lead", "Ada Lovelace"], 2, "is not a principal id"),
        (&["--lead", "../x"], 2, "is not a principal id"),
        (&["--lead", "ada=not-a-key.pub"], 2, "is not an OpenSSH public key"),
        (&["--lead", "ada=binary.pub"], 2, "is not an OpenSSH public key"),
        (&["--lead", "ada=missing.pub"], 2, "neither a public key nor a file"),
        (&["--lead", "ada=."], 2, "it is not a plain file"),
        (&["--lead", "ada=/dev/zero"], 2, "it is not a plain file"),
        (&["--lead", &format!("ada={rsa}")], 2, "ada"),
        (&["--lead", "ada", "--lead", "ada"], 2, "ada"),
        (&["--lead", "evaluator"], 2, "evaluator"),
        (&[&twice[0], &twice[1]], 2, "one key counts for one principal"),
        (&[&ada, "--evaluator-key", &key], 2, "one key counts for one principal"),
        (&[&ada, "--policy", "quorum"], 2, "needs one signature only"),
        (&[&ada, "--threshold", "2"], 2, "needs 2 of 1 members"),
        (&[&ada, "--lead=bob", "--threshold", "1"], 2, "needs one signature only"),
        (&["--name", "../../etc"], 2, "is not a pipeline id"),
        (&["--name", "calendar"], 2, "is the file of something else"),
        (&["--title", "a\u{1b}[31mb"], 2, "without control characters"),
        (&["--time-zone", "Mars/Olympus"], 2, "IANA"),
        (&["--time-zone", "../../etc/passwd"], 2, "IANA"),
        (&["--deploy", "Someday 15:00"], 2, "Thursday 15:00"),
        (&["--evaluate", "Friday 14:30"], 3, "cannot be complete at the evaluation"),
        (&["--template", "nothing"], 2, "first-network"),
        (&["not-a-key.pub"], 2, "is not a folder"),
        (&["not-a-key.pub/below"], 8, "not-a-key.pub"),
    ];
    let before = machine.everything();
    for (arguments, code, text) in cases {
        let answer = machine.run(&[&["init", "--yes"], *arguments].concat());
        assert!(
            answer.stderr.contains(text),
            "{arguments:?}: `{text}` is not in:\n{}",
            answer.stderr
        );
        assert!(!answer.stderr.contains('\u{1b}'), "{arguments:?}");
        answer.ends(*code);
        assert_eq!(machine.everything(), before, "{arguments:?}");
    }
}

#[test]
fn titles_are_text_whatever_they_say() {
    let machine = Machine::new();
    let title = "\"]\n[x] = \\ <b>";
    machine.run(&["init", "--yes", "--no-ledger", "--title", title]).ends(2);
    let title = "\"] [x] = \\ <b> {{name}} ${tps}";
    machine.run(&["init", "--yes", "--no-ledger", "--title", title]).ends(0);
    let document: toml::Table = machine.read("pipeline/first-network.toml").parse().unwrap();
    assert_eq!(document["title"].as_str(), Some(title));
}

#[test]
fn definitions_with_errors_stop_it_before_it_writes() {
    let machine = Machine::new();
    machine.write("pipeline/roles.toml", "schema = 1\npolicy = \"solo\"\nnonsense = 1\n");
    let before = machine.everything();
    machine.run(&["init", "--yes"]).ends(3).says("nonsense").says("nothing was written");
    assert_eq!(machine.everything(), before);
}

#[test]
fn definitions_of_their_own_get_a_ledger_and_no_stages() {
    let machine = Machine::new();
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    for (path, bytes) in files(&tiny) {
        machine.write(&path, &String::from_utf8(bytes).unwrap());
    }
    let summary = machine.run(&JSON).ends(0).json();
    assert_eq!(states(&summary)["people"], "there");
    assert_eq!(states(&summary)["ledger"], "done");
    assert!(!machine.path("stages/stability").exists());
    machine.run(&["phase", "status"]).ends(0).prints("small");
}

#[test]
fn folders_that_cannot_be_written_are_an_error() {
    let machine = Machine::new();
    machine.write("project/pipeline", "a file\n");
    machine.run(&["init", "project", "--yes"]).ends(8).says("pipeline");
    // A link that leads elsewhere: its files would be somebody else's.
    let elsewhere = machine.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::create_dir(machine.path("linked")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, machine.path("linked/stages")).unwrap();
    machine.run(&["init", "linked", "--yes"]).ends(8).says("leads out of");
    assert!(files(&elsewhere).is_empty());
    let locked = machine.path("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), "").is_ok() {
        eprintln!(
            "folders_that_cannot_be_written_are_an_error is cut short: this user can write everywhere"
        );
        return;
    }
    machine.run(&["init", "locked", "--yes"]).ends(8).says("locked");
}

#[test]
fn bare_repositories_are_refused() {
    let machine = Machine::new();
    git(&machine.project, &["init", "--quiet", "--bare"]);
    machine.run(&["init", "--yes"]).ends(2).says("work tree");
}
