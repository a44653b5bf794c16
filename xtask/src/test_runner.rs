//! `cargo xtask test`: all tests, with cargo-nextest where it is installed.
use crate::Error;
use crate::workspace::{cargo, run_cargo, succeeds};

/// Runs the tests. Arguments after the command go to the runner, for example `-p ledger`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Error> {
    let nextest = succeeds(duct::cmd(cargo(), ["nextest", "--version"]));
    let extra = without_separator(arguments);
    let command = test_command(nextest, extra);
    eprintln!("runner: {}", if nextest { "cargo nextest" } else { "cargo test" });
    run_cargo(&command, &[])?;
    if extra.is_empty() {
        eprintln!("runner: cargo test, for the examples in the documentation");
        run_cargo(&["test", "--workspace", "--doc", "--no-fail-fast"], &[])?;
    } else {
        eprintln!("note: examples in the documentation are tested only when no filter is given");
    }
    Ok(())
}

fn without_separator(arguments: &[String]) -> &[String] {
    match arguments {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    }
}

/// The cargo arguments. A chosen package replaces `--workspace`, which would win over it.
fn test_command(nextest: bool, extra: &[String]) -> Vec<&str> {
    let mut command = if nextest {
        vec!["nextest", "run", "--no-fail-fast"]
    } else {
        // `--tests` is everything with tests, libraries and programs too, but not the examples in
        // the documentation. `--lib` would fail for a package that is a program only.
        vec!["test", "--tests", "--no-fail-fast"]
    };
    let picks_package = |argument: &String| {
        argument.starts_with("-p") || argument == "--package" || argument.starts_with("--package=")
    };
    if !extra.iter().any(picks_package) {
        command.push("--workspace");
    }
    command.extend(extra.iter().map(String::as_str));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|&argument| argument.to_owned()).collect()
    }

    #[test]
    fn everything_is_tested_unless_a_package_is_chosen() {
        assert!(test_command(true, &[]).contains(&"--workspace"));
        assert!(test_command(false, &strings(&["some_name"])).contains(&"--workspace"));
        assert!(!test_command(true, &strings(&["-p", "ledger"])).contains(&"--workspace"));
        assert!(!test_command(true, &strings(&["--package=ledger"])).contains(&"--workspace"));
    }

    #[test]
    fn a_separator_is_for_us_and_not_for_the_runner() {
        let arguments = strings(&["--", "soak"]);
        assert_eq!(without_separator(&arguments), strings(&["soak"]));
    }
}
