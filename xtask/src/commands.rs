//! The one list of commands. `--help` prints it, the tests of the workflows look commands up in it,
//! and `cargo xtask docs --check` asks the binary for each of them.
use std::fmt::Write as _;

/// Who carries a command out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This crate.
    Xtask,
    /// The `phasegate` binary, which gets the whole command line.
    Phasegate,
}

/// One command of `cargo xtask`.
#[derive(Debug)]
pub struct Command {
    /// The first word.
    pub name: &'static str,
    /// The words that may follow it; empty if none has to.
    pub subcommands: &'static [&'static str],
    /// One sentence for the help.
    pub about: &'static str,
    /// Who carries it out.
    pub owner: Owner,
}

const fn own(
    name: &'static str,
    subcommands: &'static [&'static str],
    about: &'static str,
) -> Command {
    Command { name, subcommands, about, owner: Owner::Xtask }
}

const fn phasegate(
    name: &'static str,
    subcommands: &'static [&'static str],
    about: &'static str,
) -> Command {
    Command { name, subcommands, about, owner: Owner::Phasegate }
}

/// Every command, in the order of the help.
pub const COMMANDS: &[Command] = &[
    phasegate(
        "init",
        &[],
        "Set up a programme in a repository, new or not: keys, roles, calendar, pipeline",
    ),
    phasegate(
        "rehearse",
        &[],
        "Run a whole programme in virtual time and write its signed reports",
    ),
    phasegate(
        "phase",
        &[
            "status", "explain", "evaluate", "advance", "reset", "propose", "approve", "withdraw",
            "waive", "tick", "run",
        ],
        "Where phases stand and why; move them; do what the calendar says is due",
    ),
    phasegate("deploy", &["up", "down", "status", "logs"], "A phase's deployment"),
    phasegate("drill", &["run"], "Inject a fault into a live deployment and judge the response"),
    phasegate("pipeline", &["check", "graph", "plan"], "Check, draw and plan the definitions"),
    phasegate(
        "report",
        &["build", "verify", "recompute", "bundle", "site"],
        "Build, verify, recompute and publish reports",
    ),
    phasegate("roles", &["show", "propose", "rotate"], "Who may sign what: show it, and change it"),
    phasegate("query", &[], "Run a PromQL query against a deployment's samples"),
    phasegate(
        "serve-samples",
        &[],
        "Serve a deployment's samples as Prometheus would, for Grafana",
    ),
    phasegate(
        "samples",
        &["info", "verify", "compact", "retain", "export", "import"],
        "Look after archives of samples; bring samples in and out",
    ),
    phasegate("ledger", &["init"], "Start the ledger of a programme"),
    phasegate("completions", &[], "Print the completions of a shell"),
    own("test", &[], "Run all tests; arguments go to the runner, for example `-p ledger`"),
    own("tidy", &[], "Check what the compiler does not: layers, registrations, links, words"),
    own("ci", &[], "Everything that CI runs: tests, formatting, clippy, tidy, documentation"),
    own("docs", &[], "Write docs/reference; with --check, only say what is out of step"),
    own(
        "bench",
        &["rehearse", "spinup", "status", "ledger", "promql"],
        "Measure; all but promql when none is named, as that takes half an hour",
    ),
    own("signing-key", &["write", "remove"], "Move the CI signing key between a secret and a file"),
];

/// The command with this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The text of `cargo xtask --help`.
pub fn help() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND [ARGUMENTS]\n");
    for (owner, title) in [
        (Owner::Phasegate, "Commands of phasegate (built first; `COMMAND --help` has examples)"),
        (Owner::Xtask, "Commands for work on this repository"),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{title}:");
        for command in COMMANDS.iter().filter(|command| command.owner == owner) {
            let _ = writeln!(text, "  {:<13} {}", command.name, command.about);
            if !command.subcommands.is_empty() {
                let _ = writeln!(text, "  {:<13} {}", "", command.subcommands.join(" | "));
            }
        }
    }
    text.push_str(
        "\nExamples:\n  cargo xtask rehearse sequencer-prover-testnet\n  cargo xtask test\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_help() {
        let help = help();
        for (index, command) in COMMANDS.iter().enumerate() {
            assert!(help.contains(&format!("  {} ", command.name)), "{}", command.name);
            let same = COMMANDS.iter().skip(index + 1).any(|other| other.name == command.name);
            assert!(!same, "{} is listed twice", command.name);
        }
    }
}
