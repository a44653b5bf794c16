//! What others wrote never becomes something that a terminal obeys: no byte of any command's output
//! is a control character but line feeds and tabs, and no character turns the direction of writing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::support::{Answer, Repository};

/// Colours, a screen that is wiped, a link, a title of the window, both kinds of control
/// characters, marks of direction, and a line that looks like one of ours.
const ATTACK: &str = "x\u{1b}[31m\u{1b}[2J\u{1b}]8;;http://evil.example\u{7}y\u{1b}]0;z\u{1b}\\\u{9b}31m\u{9d}0;t\u{9c}\u{8}\r\u{b}\u{c}\u{7f}\u{85}\u{202e}gnp\u{2066}\u{2069}\u{200f}\u{61c}\u{200b}\u{feff}\u{e0041}<b>&\nerror: fake";

/// The attack as a text in TOML.
fn toml_attack() -> String {
    let escaped = ATTACK.chars().map(|c| match c {
        c if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// The characters that a terminal obeys or that deceive the reader.
fn is_dangerous(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\n' | '\t');
    is_control
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[track_caller]
fn is_harmless(answer: &Answer, what: &str) {
    for text in [&answer.stdout, &answer.stderr] {
        let found = text.char_indices().find(|(_, character)| is_dangerous(*character));
        if let Some((at, character)) = found {
            let before: String = text[..at].chars().rev().take(80).collect();
            let before: String = before.chars().rev().collect();
            panic!("{what}: {character:?} after {before:?}");
        }
    }
}

/// Runs the command twice, the second time with everything that is logged.
#[track_caller]
fn harmless(repository: &Repository, arguments: &[&str]) -> Answer {
    let answer = repository.run(arguments);
    is_harmless(&answer, &arguments.join(" "));
    let mut loud = repository.command(arguments);
    loud.env("RUST_LOG", "trace").arg("--verbose");
    is_harmless(&Answer::of(loud.output().unwrap()), &arguments.join(" "));
    answer
}

/// The tiny programme, in which every text that its author may choose is an attack.
fn hostile() -> Repository {
    let repository = Repository::tiny();
    let attack = toml_attack();
    let mut replaced = 0;
    for name in [
        "pipeline/tiny.toml",
        "pipeline/calendar.toml",
        "pipeline/roles.toml",
        "stages/tiny/stage.toml",
    ] {
        let text = repository.read(name);
        let lines = text.lines().map(|line| {
            let key = line.split(" = ").next().unwrap_or_default();
            if ["title", "summary", "statement", "why", "doc", "defect"].contains(&key) {
                replaced += 1;
                format!("{key} = {attack}\n")
            } else {
                format!("{line}\n")
            }
        });
        let text: String = lines.collect();
        repository.write(name, &text);
    }
    assert!(replaced > 20, "{replaced}");
    repository
}

#[test]
fn hostile_definitions_are_shown_harmlessly() {
    let repository = hostile();
    repository.keep_events_away();
    harmless(&repository, &["pipeline", "check"]).ends(0);
    for format in ["json", "sarif"] {
        harmless(&repository, &["pipeline", "check", "--format", format]).ends(0).json();
    }
    for format in ["mermaid", "svg"] {
        harmless(&repository, &["pipeline", "graph", "tiny", "--format", format]).ends(0);
    }
    harmless(&repository, &["pipeline", "plan", "tiny"]).ends(0);
    harmless(&repository, &["pipeline", "plan", "tiny", "--format", "json"]).ends(0).json();
    harmless(&repository, &["ledger", "init", "tiny"]).ends(0);
    harmless(&repository, &["phase", "status"]).ends(0);
    harmless(&repository, &["phase", "explain", "small/soak"]);
    harmless(&repository, &["phase", "evaluate", "--dry-run"]).ends(0);
    harmless(&repository, &["deploy", "up", "small", "--plan"]).ends(0);
    harmless(&repository, &["phase", "reset", "small", "--reason", ATTACK]).ends(0);
    let status = harmless(&repository, &["phase", "status", "--format", "json"]).ends(0);
    assert_eq!(status.json()["pipeline"], "tiny");
    harmless(&repository, &["report", "verify"]).ends(0);
    harmless(&repository, &["phase", "tick"]).ends(0);
    let log = repository.git(&["log", "phase-ledger", "--format=%B"]);
    assert!(!log.chars().any(is_dangerous), "{log:?}");
}

#[test]
fn hostile_evidence_is_shown_harmlessly() {
    let repository = hostile();
    let stall = "stall@small.internal+10m";
    let run = ["rehearse", "tiny", "--out", "out", "--fault", stall];
    let told = repository.run(&run);
    is_harmless(&told, "rehearse");
    // The break is by a condition whose title is an attack; it is shown and not obeyed.
    told.ends(0).says("\\u{1b}[31m");
    let rehearsal = ["--rehearsal", "out", "--deployment", "small.internal.1"];
    let query = |expression: &'static str, more: &[&'static str]| {
        let mut arguments = vec!["query", expression];
        arguments.extend(rehearsal);
        arguments.extend(more);
        harmless(&repository, &arguments).ends(0)
    };
    let set_label = "label_replace(vector(1), \"a\", \"\u{9b}2J\u{202e}\u{7f}\", \"\", \"\")";
    query(set_label, &[]).prints("\\u{202e}");
    query(set_label, &["--range", "-10m..now"]).prints("\\u{202e}");
    let json = query(set_label, &["--format", "json"]).json();
    assert_eq!(json["data"]["result"][0]["metric"]["a"], "\u{9b}2J\u{202e}\u{7f}");
    query("\"\\u001b]0;t\\u0007\"", &[]).prints("\\u{1b}");
    let explain = ["phase", "explain", "small/soak", "--rehearsal", "out"];
    harmless(&repository, &explain).ends(0).prints("\\u{202e}");
    harmless(&repository, &[&explain[..], &["--format", "json"]].concat()).ends(0).json();
}

#[test]
fn broken_definitions_with_hostile_names_are_told_harmlessly() {
    let repository = Repository::tiny();
    let name = "a\u{1b}[31m\u{202e}\u{9b}\nerror: b";
    repository.write(&format!("pipeline/{name}.toml"), &format!("schema = 1\n{ATTACK} = 1\n"));
    let folder = repository.path(&format!("stages/{name}"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("stage.toml"), format!("name = {}\n", toml_attack())).unwrap();
    std::os::unix::fs::symlink(ATTACK.replace('/', "-"), repository.path("pipeline/link.toml"))
        .unwrap();
    for format in ["human", "json", "sarif"] {
        harmless(&repository, &["pipeline", "check", "--format", format]).ends(3);
    }
    harmless(&repository, &["phase", "status"]);
    std::fs::remove_file(repository.path("pipeline/link.toml")).unwrap();
    harmless(&repository, &["pipeline", "check", "--format", "json"]).ends(3).json();
    harmless(&repository, &["pipeline", "check", "--format", "sarif"]).ends(3).json();
    harmless(&repository, &["pipeline", "check"]).ends(3).says("\\u{1b}");
}

#[test]
fn hostile_arguments_are_quoted_harmlessly() {
    let repository = Repository::tiny_with_ledger();
    for arguments in [
        &["phase", "status", ATTACK][..],
        &["phase", "explain", ATTACK],
        &["phase", "explain", "small/\u{1b}[31m"],
        &["pipeline", "graph", ATTACK],
        &["pipeline", "explain", ATTACK],
        &["deploy", "status", ATTACK],
        &["deploy", "logs", "small.internal.1", "--node", ATTACK],
        &["drill", "run", ATTACK, "--deployment", "small.internal.1", "--action", ATTACK],
        &["query", ATTACK, "--samples", ATTACK],
        &["query", "up", "--samples", ATTACK],
        &["samples", "info", ATTACK],
        &["samples", "verify", ATTACK],
        &["samples", "import", "archive", "--from", ATTACK],
        &["report", "verify", ATTACK],
        &["report", "verify", "--ledger", ATTACK],
        &["rehearse", ATTACK],
        &["rehearse", "tiny", "--fault", ATTACK],
        &["--root", ATTACK, "pipeline", "check"],
        &[ATTACK],
        &["pipeline", "plan", "tiny", "--set", ATTACK],
        &["pipeline", "plan", "tiny", "--set", &format!("{ATTACK}=1")],
    ] {
        let answer = harmless(&repository, arguments);
        assert_ne!(answer.code, Some(0), "{arguments:?}");
        assert!(answer.code.is_some_and(|code| code < 100), "{arguments:?}: {}", answer.stderr);
    }
    let mut command = repository.command(&["samples", "info"]);
    let output = command.arg(OsString::from_vec(b"a\xff\x1b[2J".to_vec())).output().unwrap();
    is_harmless(&Answer::of(output), "a name that is no text");
}

#[test]
fn hostile_samples_are_shown_harmlessly() {
    let repository = Repository::tiny();
    let label = "\u{1b}[2J\u{202e}\u{9b}31m";
    let page =
        format!("# TYPE m gauge\nm{{a=\"{label}\"}} 1 1767884400\nm{{\u{1b}=\"\"}} x\n# EOF\n");
    repository.write("bad.txt", &page);
    harmless(&repository, &["samples", "import", "bad", "--from", "bad.txt"]);
    let page = format!("# TYPE m gauge\nm{{a=\"{label}\"}} 1 1767884400\n# EOF\n");
    repository.write("good.txt", &page);
    repository.run(&["samples", "import", "good", "--from", "good.txt"]).ends(0);
    for command in [
        &["samples", "info", "good"][..],
        &["samples", "info", "good", "--format", "json"],
        &["samples", "verify", "good"],
        &["query", "m", "--samples", "good"],
        &["query", "m", "--samples", "good", "--format", "json"],
        &["query", "m[1h]", "--samples", "good"],
        &["query", "m + on(b) group_left m", "--samples", "good"],
    ] {
        harmless(&repository, command);
    }
}

#[test]
fn a_damaged_ledger_with_hostile_bytes_is_told_harmlessly() {
    let attack = serde_json::to_string(ATTACK).unwrap();
    let changes: [(&str, String); 5] = [
        ("entries/000000/entry.json", format!("{{{attack}: 1}}")),
        ("entries/000000/entry.json", format!("{{\"_type\": {attack}}}")),
        ("entries/000000/entry.json", ATTACK.to_owned()),
        ("entries/000000/a\u{1b}[2J\u{202e}.sig", ATTACK.to_owned()),
        ("entries/\u{9b}31m/entry.json", "{}".to_owned()),
    ];
    for (name, text) in &changes {
        let repository = Repository::tiny_with_ledger();
        repository.tamper(|folder| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        });
        harmless(&repository, &["phase", "status"]).ends(4);
        harmless(&repository, &["report", "verify"]).ends(7);
    }
}

#[test]
fn hostile_logs_of_nodes_are_shown_harmlessly() {
    let repository = Repository::tiny_with_ledger();
    let folder = repository.path(".phasegate/deployments/small.internal.1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("supervisor.log"), format!("{ATTACK}\n")).unwrap();
    let answer = harmless(&repository, &["deploy", "logs", "small.internal.1"]);
    answer.ends(0).prints("\\u{1b}[31m");
    std::fs::write(folder.join("supervisor.json"), ATTACK).unwrap();
    harmless(&repository, &["deploy", "status"]);
    harmless(&repository, &["deploy", "status", "small.internal.1", "--format", "json"]);
}
