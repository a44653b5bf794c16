//! Thin task runner. Its own commands test, check and document the workspace; every other command
//! is handed to the `phasegate` binary, which it builds first.
//!
//! It depends on no crate of the workspace, so that `cargo xtask` itself builds in seconds.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to a terminal"
)]

mod binary;
mod ci;
pub mod commands;
mod docs;
mod error;
mod examples;
mod signing_key;
mod test_runner;
mod tidy;
mod workspace;

pub use error::Error;
pub use examples::{Example, in_workflow};

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line, without the program's name. Exit code 0 is success, 1 a failed check,
/// 2 a wrong command line; a command of `phasegate` replaces this process and keeps its own codes.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(arguments: &[OsString]) -> Result<(), Error> {
    let Some(name) = arguments.first() else {
        print!("{}", commands::help());
        return Ok(());
    };
    let rest = arguments.get(1..).unwrap_or_default();
    let own = match name.to_str() {
        Some("help" | "--help" | "-h") => {
            print!("{}", commands::help());
            return Ok(());
        }
        Some(name) => name,
        None => "",
    };
    match own {
        "test" => test_runner::run(&text(rest)?),
        "tidy" => no_arguments("tidy", rest).and_then(|()| tidy::run()),
        "ci" => no_arguments("ci", rest).and_then(|()| ci::run()),
        "docs" => docs::run(&text(rest)?),
        "bench" => bench(rest),
        "signing-key" => signing_key::run(&text(rest)?),
        _ => Err(binary::replace_this_process(arguments)),
    }
}

/// Measures one thing, or everything when none is named.
fn bench(rest: &[OsString]) -> Result<(), Error> {
    if !rest.is_empty() {
        let arguments: Vec<OsString> =
            std::iter::once("bench".into()).chain(rest.iter().cloned()).collect();
        return Err(binary::replace_this_process(&arguments));
    }
    let names = commands::find("bench").map_or(&[][..], |command| command.subcommands);
    let short = names.iter().filter(|name| **name != "promql");
    short.into_iter().try_for_each(|name| binary::run_release(&["bench", name]))
}

fn text(arguments: &[OsString]) -> Result<Vec<String>, Error> {
    let text = |argument: &OsString| argument.clone().into_string().map_err(Error::NotText);
    arguments.iter().map(text).collect()
}

fn no_arguments(command: &'static str, rest: &[OsString]) -> Result<(), Error> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => Err(Error::usage(format!(
            "`cargo xtask {command}` takes no arguments, but was given `{}`",
            extra.display()
        ))),
    }
}
