//! `cargo xtask docs`: the reference pages, written by the binary from the code that they describe.
use std::path::Path;

use crate::binary::{Profile, build};
use crate::commands::{COMMANDS, Owner};
use crate::tidy::{Problem, Tree};
use crate::workspace::{read, root};
use crate::{Error, examples};

/// `phasegate reference PAGE` prints the Markdown of `docs/reference/PAGE.md`.
const PAGES: &[&str] = &["gates", "exit-codes", "drivers", "network", "promql"];

const FOLDER: &str = "docs/reference";

/// Writes the pages, or with `--check` compares them and asks the binary for every command that the
/// help, the workflows and the documentation name.
pub(crate) fn run(arguments: &[String]) -> Result<(), Error> {
    let check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err(Error::usage("`cargo xtask docs` takes `--check` or nothing")),
    };
    // The tests have built the development binary already, and it prints the same pages.
    let binary = build(Profile::Dev)?;
    let mut problems = Vec::new();
    for page in PAGES {
        let text = reference(&binary, page)?;
        let path = root().join(FOLDER).join(format!("{page}.md"));
        if check {
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            problems.extend(drift(&format!("{FOLDER}/{page}.md"), &stored, &text));
        } else {
            write(&path, &text)?;
            println!("{FOLDER}/{page}.md");
        }
    }
    if check {
        problems.extend(missing_commands(&binary));
        problems.extend(wrong_examples(&binary)?);
    }
    crate::tidy::report(problems)
}

fn reference(binary: &Path, page: &str) -> Result<String, Error> {
    let program = format!("phasegate reference {page}");
    let text = read(&program, duct::cmd(binary.as_os_str(), ["reference", page]).stdin_null())?;
    if text.trim().is_empty() {
        return Err(Error::Check(format!("`{program}` printed nothing")));
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::file("create", folder, source))?;
    }
    std::fs::write(path, text).map_err(|source| Error::file("write", path, source))
}

/// The first line that differs, if any does.
fn drift(path: &str, stored: &str, generated: &str) -> Option<Problem> {
    if stored == generated {
        return None;
    }
    let same = stored.lines().zip(generated.lines()).take_while(|(left, right)| left == right);
    let message = "this page is not what `phasegate reference` prints today";
    let cure = "run `cargo xtask docs` and commit the result";
    Some(Problem::new(path, same.count() + 1, "docs", message, cure))
}

/// Commands of the help that the binary does not have.
fn missing_commands(binary: &Path) -> Vec<Problem> {
    let mut examples = Vec::new();
    for command in COMMANDS.iter().filter(|command| command.owner == Owner::Phasegate) {
        let name = command.name.to_owned();
        if command.subcommands.is_empty() {
            examples.push(examples::Example { line: 1, words: vec![name] });
            continue;
        }
        let words = command.subcommands.iter().map(|word| vec![name.clone(), (*word).to_owned()]);
        examples.extend(words.map(|words| examples::Example { line: 1, words }));
    }
    examples::problems("xtask/src/commands.rs", &examples, binary)
}

fn wrong_examples(binary: &Path) -> Result<Vec<Problem>, Error> {
    let tree = Tree::load(&root())?;
    let mut problems = Vec::new();
    for file in &tree.files {
        let found = match file.path.rsplit('.').next() {
            Some("md") => examples::in_markdown(&file.text),
            Some("yml" | "service") => examples::in_workflow(&file.text),
            _ => continue,
        };
        problems.extend(examples::problems(&file.path, &found, binary));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_points_at_the_first_line_that_differs() {
        assert_eq!(drift("p", "a\nb\n", "a\nb\n"), None);
        assert_eq!(drift("p", "a\nb\n", "a\nc\n").map(|problem| problem.line), Some(2));
        assert_eq!(drift("p", "", "a\n").map(|problem| problem.line), Some(1));
        assert_eq!(drift("p", "a\n", "a\nb\n").map(|problem| problem.line), Some(2));
    }

    #[test]
    fn a_page_that_is_not_printed_is_an_error_and_not_an_empty_page() {
        assert!(reference(Path::new("true"), "gates").is_err());
        assert!(reference(Path::new("false"), "gates").is_err());
        assert!(reference(Path::new("echo"), "gates").is_ok());
    }

    #[test]
    fn a_binary_without_the_commands_is_caught() {
        assert!(missing_commands(Path::new("true")).is_empty());
        assert!(missing_commands(Path::new("false")).len() > COMMANDS.len());
    }
}
