//! Rules that look at one line, or at the number of lines.
use super::{File, Problem};

const LINES_MAX: usize = 900;

/// Written by programs: long, and with other people's words in them.
const GENERATED: &[&str] = &["reports/", "docs/reference/"];

/// The words are in two halves, so that this file does not contain them.
const MARKERS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
const PHRASES: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("for ", "now"),
    concat!("place", "holder"),
];

/// The phrase as the head of a loop.
const LOOP: &str = concat!("for ", "now in ");

/// Folders that exist on one machine only.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/tm", "p/t/")];

const PRINTING: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!"];
/// Crates that talk to a terminal.
const MAY_PRINT: &[&str] = &["workspace-crates/phasegate/", "xtask/"];
/// Programs beside a library, with which its tests run: they have nobody else to tell.
const PROGRAMS: &str = "/src/bin/";

const CLOCKS: &[&str] = &[
    "SystemTime::now",
    "std::time::Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "Instant::now()",
];
/// Crates in which time is a value that is handed in.
const WITHOUT_CLOCK: &[&str] = &[
    "base",
    "diagnostics",
    "samples",
    "promql",
    "definition",
    "devnet",
    "calendar",
    "evidence",
    "simulator",
    "gates",
    "report",
    "engine",
];

pub(crate) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let generated = GENERATED.iter().any(|folder| file.path.starts_with(folder));
    let written_by_people = matches!(file.extension(), "rs" | "toml" | "md") && !generated;
    if written_by_people {
        problems.extend(words(file));
        problems.extend(size(file));
    }
    problems.extend(machine_paths(file));
    if file.extension() == "rs" {
        problems.extend(ignored_tests(file));
        problems.extend(printing(file));
        problems.extend(clocks(file));
    }
    problems.retain(|problem| !file.allows(problem.line, problem.rule));
    problems
}

fn words(file: &File) -> Vec<Problem> {
    let find = |line: &str| {
        let marker = MARKERS.iter().find(|word| has_word(line, word, true));
        // A loop over instants is no unfinished work.
        let lower = line.to_lowercase().replace(LOOP, "");
        marker.or_else(|| PHRASES.iter().find(|phrase| has_word(&lower, phrase, false))).copied()
    };
    let cure = "do it, or write what is missing as a clear error or an issue";
    per_line(file, |line| Some((format!("`{}` marks unfinished work", find(line)?), cure)), "words")
}

fn machine_paths(file: &File) -> Vec<Problem> {
    let find = |line: &str| {
        MACHINE_PATHS.iter().find(|path| {
            let inside_a_path = |at: usize| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}'))
            };
            line.match_indices(**path).any(|(at, _)| !inside_a_path(at))
        })
    };
    let cure = "use a path relative to the repository, or one that every machine has";
    per_line(
        file,
        |line| Some((format!("`{}…` is a path of one machine", find(line)?), cure)),
        "paths",
    )
}

fn size(file: &File) -> Option<Problem> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX {
        return None;
    }
    let message = format!("{lines} lines; a file has at most {LINES_MAX}");
    let cure = "split it by purpose";
    Some(Problem::new(&file.path, LINES_MAX + 1, "size", message, cure))
}

fn ignored_tests(file: &File) -> Vec<Problem> {
    let bare = concat!("#[", "ignore]");
    let cure = "make the test run everywhere, or write `#[ignore = \"reason\"]`";
    let find = |line: &str| {
        let found = line.trim_start().starts_with(bare);
        found.then(|| ("a test is switched off without a reason".to_owned(), cure))
    };
    per_line(file, find, "ignored")
}

fn printing(file: &File) -> Vec<Problem> {
    let may_print = MAY_PRINT.iter().any(|folder| file.path.starts_with(folder));
    if may_print || file.path.contains(PROGRAMS) {
        return Vec::new();
    }
    let cure = "return the text, or report it with `tracing`";
    let describe = |word: &str| format!("`{word}(…)` outside `phasegate` and `xtask`");
    in_shipped_code(file, PRINTING, describe, cure, "printing")
}

fn clocks(file: &File) -> Vec<Problem> {
    let has_no_clock = |name: &&str| file.path.starts_with(&format!("workspace-crates/{name}/"));
    let Some(name) = WITHOUT_CLOCK.iter().find(|name| has_no_clock(name)) else {
        return Vec::new();
    };
    let describe = |word: &str| format!("`{word}`: `{name}` knows no clock");
    in_shipped_code(file, CLOCKS, describe, "let the caller hand the time in as a value", "clock")
}

/// Code in `src/`, without comments and without the test module at a file's end.
fn in_shipped_code(
    file: &File,
    words: &[&str],
    describe: impl Fn(&str) -> String,
    cure: &'static str,
    rule: &'static str,
) -> Vec<Problem> {
    if !file.path.contains("/src/") || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let shipped = file.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let code = shipped.enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let problem = |(index, line): (usize, &str)| {
        let word = words.iter().find(|word| has_word(line, word, false))?;
        Some(Problem::new(&file.path, index + 1, rule, describe(word), cure))
    };
    code.filter_map(problem).collect()
}

fn per_line(
    file: &File,
    find: impl Fn(&str) -> Option<(String, &'static str)>,
    rule: &'static str,
) -> Vec<Problem> {
    let problem = |(index, line): (usize, &str)| {
        let (message, cure) = find(line)?;
        Some(Problem::new(&file.path, index + 1, rule, message, cure))
    };
    file.text.lines().enumerate().filter_map(problem).collect()
}

/// Whether the word is in the line and does not continue a longer one; `whole`: nor is continued.
fn has_word(line: &str, word: &str, whole: bool) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, found)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + found.len()..).and_then(|after| after.chars().next());
        let continued = whole && joins(after);
        !joins(before) && !continued
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules and lines of what is wrong with a file.
    fn found(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let problems = check(&File { path: path.into(), text: text.into() });
        problems.into_iter().map(|problem| (problem.rule, problem.line)).collect()
    }

    const LIBRARY: &str = "workspace-crates/gates/src/lib.rs";

    #[test]
    fn every_marker_of_unfinished_work_is_found() {
        for word in MARKERS.iter().chain(PHRASES) {
            for path in [LIBRARY, "pipeline/calendar.toml", "docs/README.md"] {
                assert_eq!(found(path, &format!("one\n# {word} two")), [("words", 2)], "{word}");
            }
            assert_eq!(found("reports/sample/report.md", word), [], "{word}");
        }
    }

    #[test]
    fn phrases_are_found_in_any_case_and_markers_only_as_words() {
        assert_eq!(found("a.md", &PHRASES[2].to_uppercase()), [("words", 1)]);
        assert_eq!(found("a.md", &format!("mktemp dir.{0}{0}", MARKERS[2])), []);
        assert_eq!(found("a.md", "to do this, hack away, before nowadays"), []);
        assert_eq!(found(LIBRARY, &format!("{LOOP}[monday, tuesday] {{")), []);
    }

    #[test]
    fn an_exception_with_a_reason_is_accepted() {
        let text =
            format!("// tidy-allow(words): the gate looks for it\nlet word = \"{}\";", MARKERS[0]);
        assert_eq!(found(LIBRARY, &text), []);
    }

    #[test]
    fn paths_of_one_machine_are_found_in_every_text_file() {
        for path in MACHINE_PATHS {
            for file in [LIBRARY, ".ci/run", "reports/sample/report.json", "a.svg"] {
                assert_eq!(found(file, &format!("at \"{path}x\"")), [("paths", 1)], "{path}");
            }
        }
        assert_eq!(found("a.md", &format!("https://example.org{}page", MACHINE_PATHS[1])), []);
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(found(LIBRARY, &"//\n".repeat(LINES_MAX)), []);
        assert_eq!(found(LIBRARY, &"//\n".repeat(LINES_MAX + 1)), [("size", LINES_MAX + 1)]);
        assert_eq!(found("docs/reference/gates.md", &"x\n".repeat(LINES_MAX + 1)), []);
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        let bare = concat!("    #[", "ignore]\n");
        assert_eq!(found(LIBRARY, bare), [("ignored", 1)]);
        assert_eq!(found(LIBRARY, "#[ignore = \"needs two machines\"]\n"), []);
    }

    #[test]
    fn printing_is_for_programs() {
        for word in PRINTING {
            let text = format!("fn f() {{\n    {word}(\"x\");\n}}\n");
            assert_eq!(found(LIBRARY, &text), [("printing", 2)], "{word}");
            assert_eq!(found("workspace-crates/phasegate/src/main.rs", &text), []);
            assert_eq!(found("workspace-crates/gates/src/bin/judge.rs", &text), []);
            assert_eq!(found("workspace-crates/gates/tests/all.rs", &text), []);
            assert_eq!(found(LIBRARY, &format!("/// {word}(\"x\")\n")), []);
            assert_eq!(found(LIBRARY, &format!("#[cfg(test)]\nmod tests {{ {word}() }}")), []);
        }
        assert_eq!(found(LIBRARY, "pretty_print!(x); writeln!(out)"), []);
    }

    #[test]
    fn pure_crates_know_no_clock() {
        let text = "let now = std::time::SystemTime::now();\n";
        assert_eq!(found(LIBRARY, text), [("clock", 1)]);
        assert_eq!(found(LIBRARY, "let now = Instant::now();\n"), [("clock", 1)]);
        assert_eq!(found("workspace-crates/deployment/src/lib.rs", text), []);
    }
}
