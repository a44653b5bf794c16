//! `cargo xtask …` lines in workflows and documentation, and whether each of them would be accepted.
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::commands::{Owner, find};
use crate::tidy::Problem;

/// One `cargo xtask …` line that somebody is told to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The line in its file, from 1.
    pub line: usize,
    /// The words after `cargo xtask`.
    pub words: Vec<String>,
}

const COMMAND: &str = "cargo xtask";

/// The lines of a workflow or a systemd unit that run `cargo xtask`. Comments are left out.
pub fn in_workflow(text: &str) -> Vec<Example> {
    let lines = text.lines().enumerate();
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with('#'));
    code.filter_map(|(index, line)| example(index + 1, line)).collect()
}

/// The lines in a Markdown file's `sh` and `console` blocks that run `cargo xtask`.
pub(crate) fn in_markdown(text: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut in_shell = false;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                in_shell = matches!(&*language, "sh" | "bash" | "console");
            }
            Event::End(TagEnd::CodeBlock) => in_shell = false,
            Event::Text(block) if in_shell => {
                let first =
                    text.get(..range.start).map_or(0, |before| before.matches('\n').count());
                let lines = block.lines().enumerate();
                examples.extend(lines.filter_map(|(index, line)| example(first + index + 1, line)));
            }
            _ => {}
        }
    }
    examples
}

fn example(line: usize, text: &str) -> Option<Example> {
    let start = text.find(COMMAND)?;
    let rest = text.get(start + COMMAND.len()..)?;
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let goes_on = |word: &String| {
        let ends = matches!(word.as_str(), "|" | "&&" | "||" | ";" | ">" | "2>" | "<" | "\\");
        !ends && !word.starts_with('#')
    };
    Some(Example { line, words: split(rest).into_iter().take_while(goes_on).collect() })
}

/// The words as a shell splits them, as far as examples need it: quotes keep blanks together.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

impl Example {
    /// What is wrong with the first two words, from the list of commands alone.
    pub fn unknown_command(&self) -> Option<String> {
        let name = self.words.first()?;
        if name.starts_with('-') {
            return None;
        }
        let Some(command) = find(name) else {
            return Some(format!("`cargo xtask {name}` does not exist"));
        };
        if command.subcommands.is_empty() {
            return None;
        }
        match self.words.get(1) {
            Some(word) if word.starts_with('-') => None,
            Some(word) if command.subcommands.contains(&word.as_str()) => None,
            Some(word) => Some(format!("`cargo xtask {name}` has no `{word}`")),
            None if command.owner == Owner::Xtask => None,
            None => Some(format!("`cargo xtask {name}` needs one of {:?}", command.subcommands)),
        }
    }

    /// What is wrong with the whole line. The binary is asked with `--help` at the end: it reads
    /// from left to right, so a flag that does not exist is an error before help is shown.
    fn refused_by(&self, binary: &Path) -> Option<String> {
        if let Some(reason) = self.unknown_command() {
            return Some(reason);
        }
        let is_ours = self.words.first().and_then(|name| find(name))?.owner == Owner::Xtask;
        if is_ours {
            return None;
        }
        let arguments = self.words.iter().map(String::as_str).chain(["--help"]);
        let asked =
            duct::cmd(binary.as_os_str(), arguments).stdin_null().stdout_null().stderr_capture();
        match asked.unchecked().run() {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                Some(format!(
                    "`phasegate {}` refuses this line: {}",
                    self.words.join(" "),
                    stderr.lines().next().unwrap_or("it gave no reason")
                ))
            }
            Err(error) => Some(format!("phasegate could not be started: {error}")),
        }
    }
}

/// Problems of the examples in one file.
pub(crate) fn problems(path: &str, examples: &[Example], binary: &Path) -> Vec<Problem> {
    let problem = |example: &Example| {
        let message = example.refused_by(binary)?;
        let cure = "correct the line, or the command, so that both say the same";
        Some(Problem::new(path, example.line, "examples", message, cure))
    };
    examples.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        example(1, line).map(|example| example.words).unwrap_or_default()
    }

    #[test]
    fn lines_are_cut_at_comments_and_pipes() {
        assert_eq!(words("      - run: cargo xtask phase tick"), ["phase", "tick"]);
        assert_eq!(words("cargo xtask test  # all of them"), ["test"]);
        assert_eq!(words("cargo xtask pipeline graph | less"), ["pipeline", "graph"]);
        assert_eq!(
            words("cargo xtask report site --out \"site\""),
            ["report", "site", "--out", "site"]
        );
        assert_eq!(
            words("cargo xtask drill run x --action '{\"a\": \"b c\"}' # y"),
            ["drill", "run", "x", "--action", "{\"a\": \"b c\"}"]
        );
        assert_eq!(example(1, "cargo xtasks"), None);
    }

    #[test]
    fn only_shell_blocks_of_markdown_count() {
        let text = "Run `cargo xtask nonsense`.\n\n```text\ncargo xtask no\n```\n\n```sh\ncd x\ncargo xtask test\n```\n";
        assert_eq!(in_markdown(text), [Example { line: 9, words: vec!["test".into()] }]);
    }

    #[test]
    fn comments_of_a_workflow_do_not_count() {
        let text = "# cargo xtask nonsense\n  run: cargo xtask ci\n";
        assert_eq!(in_workflow(text), [Example { line: 2, words: vec!["ci".into()] }]);
    }

    #[test]
    fn unknown_commands_are_named() {
        let unknown = |line| example(1, line).and_then(|example| example.unknown_command());
        assert_eq!(unknown("cargo xtask phase tick"), None);
        assert_eq!(unknown("cargo xtask rehearse anything"), None);
        assert_eq!(unknown("cargo xtask --help"), None);
        assert_eq!(unknown("cargo xtask bench"), None);
        assert_eq!(unknown("cargo xtask fly").as_deref(), Some("`cargo xtask fly` does not exist"));
        assert_eq!(
            unknown("cargo xtask phase tock").as_deref(),
            Some("`cargo xtask phase` has no `tock`")
        );
        assert!(unknown("cargo xtask phase").is_some());
    }

    #[test]
    fn a_flag_that_the_binary_refuses_is_a_problem() {
        // `true` and `false` stand for a binary that accepts and one that refuses.
        let line = [Example { line: 3, words: vec!["phase".into(), "tick".into()] }];
        assert!(problems("a.md", &line, Path::new("true")).is_empty());
        let refused = problems("a.md", &line, Path::new("false"));
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].line, 3);
        assert_eq!(problems("a.md", &line, Path::new("no-such-binary")).len(), 1);
    }
}
