//! The help of every command: it is public text, and its examples are what people copy.

use crate::support::program;

fn help(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
    let output = program(std::env::temp_dir().as_path(), &words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command}");
    assert!(output.stderr.is_empty(), "{command}: help is data and goes to standard output");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `help` lists below `command`, itself included.
fn with_subcommands(command: &str) -> Vec<String> {
    let text = help(command);
    let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.split_whitespace().next());
    let below = names.filter(|name| *name != "help").map(|name| format!("{command} {name}"));
    std::iter::once(command.to_owned()).chain(below).collect()
}

#[test]
fn every_command_explains_itself() {
    let top = help("");
    insta::assert_snapshot!("phasegate", top);
    let groups: Vec<String> = with_subcommands("").into_iter().skip(1).collect();
    assert!(groups.len() >= 8, "{groups:?}");
    for group in groups {
        let group = group.trim();
        let mut pages = String::new();
        for command in with_subcommands(group) {
            pages.push_str(&format!("$ phasegate {command} --help\n{}\n", help(&command)));
        }
        insta::assert_snapshot!(group, pages);
    }
}

#[test]
fn every_command_has_an_example() {
    for group in with_subcommands("").iter().skip(1) {
        let commands = with_subcommands(group.trim());
        // A group is explained by the commands in it.
        let leaves = if commands.len() > 1 { &commands[1..] } else { &commands[..] };
        for leaf in leaves {
            assert!(help(leaf).contains("xample"), "`{leaf}` has no example");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = program(std::env::temp_dir().as_path(), &["--version"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("phasegate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let folder = std::env::temp_dir();
        let output = program(&folder, &["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("rehearse") && text.contains("evaluate"), "{shell}");
    }
}
