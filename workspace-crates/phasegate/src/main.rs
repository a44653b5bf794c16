//! The phasegate command: takes a network from its threat model to a public testnet, one gated phase
//! at a time.

mod bench;
mod commands;
mod exit;
mod explain;
mod failure;
mod faults;
mod material;
mod output;
mod people;
mod process;
mod progress;
mod proposals;
mod queries;
mod remote;
mod serving;
mod session;
mod signed;
mod ssh_keys;
mod wizard;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Painted, say};
use crate::world::{Global, World};

/// Take a protocol's network from a threat model to a public testnet, one gated phase at a time.
#[derive(Debug, Parser)]
#[command(
    name = "phasegate",
    version,
    after_help = "Examples:
  cargo xtask rehearse sequencer-prover-testnet
  cargo xtask phase status
  cargo xtask pipeline check"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(commands::init::Args),
    Rehearse(commands::rehearse::Args),
    #[command(subcommand)]
    Phase(commands::phase::Command),
    #[command(subcommand)]
    Deploy(commands::deploy::Command),
    #[command(subcommand)]
    Drill(commands::drill::Command),
    #[command(subcommand)]
    Pipeline(commands::pipeline::Command),
    #[command(subcommand)]
    Report(commands::report::Command),
    #[command(subcommand)]
    Roles(commands::roles::Command),
    #[command(subcommand)]
    Ledger(commands::ledger::Command),
    Query(commands::query::Args),
    ServeSamples(commands::serve_samples::Args),
    #[command(subcommand)]
    Samples(commands::samples::Command),
    /// Print the completions of a shell
    #[command(after_help = "Example:
  phasegate completions bash > ~/.local/share/bash-completion/completions/phasegate")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(hide = true)]
    Reference(commands::reference::Args),
    #[command(hide = true, subcommand)]
    Bench(bench::Command),
    #[command(hide = true)]
    DevnetNode(commands::hidden::NodeArgs),
    #[command(hide = true)]
    DevnetSupervisor(commands::hidden::SupervisorArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            tell_usage(&error);
            return if is_help { Exit::Done } else { Exit::Usage }.into();
        }
    };
    start_log(cli.global.verbose);
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say(format!("error: {}", failure.message));
            if let Some(hint) = &failure.hint {
                say(format!("hint: {hint}"));
            }
            failure.exit.into()
        }
    }
}

/// What is wrong with the arguments, or the help. A hostile argument, which may be a file name that
/// the shell put there, costs the colours.
fn tell_usage(error: &clap::Error) {
    let text = error.render();
    let has_colour = match error.use_stderr() {
        true => output::stderr_has_colour(),
        false => output::stdout_has_colour(),
    };
    let plain = text.to_string();
    let text = match has_colour && diagnostics::render::escape(&plain) == plain {
        true => Painted::by_renderer(output::as_called(&text.ansi().to_string())),
        false => Painted::plain(&output::as_called(&plain)),
    };
    if error.use_stderr() {
        output::say_painted(&text.trim_end());
    } else {
        // Nobody can be told that the terminal is gone.
        let _ = output::print_painted(&text);
    }
}

fn run(cli: Cli) -> Outcome {
    let world = || World::find(&cli.global);
    match cli.command {
        Command::Init(args) => commands::init::run(&cli.global, &args),
        Command::Rehearse(args) => commands::rehearse::run(&world()?, &args),
        Command::Phase(command) => commands::phase::run(&world()?, &command),
        Command::Deploy(command) => commands::deploy::run(&world()?, &command),
        Command::Drill(command) => commands::drill::run(&world()?, &command),
        Command::Pipeline(command) => commands::pipeline::run(&world()?, &command),
        Command::Report(command) => commands::report::run(&cli.global, &command),
        Command::Roles(command) => commands::roles::run(&world()?, &command),
        Command::Ledger(command) => commands::ledger::run(&world()?, &command),
        Command::Query(args) => commands::query::run(&cli.global, &args),
        Command::ServeSamples(args) => commands::serve_samples::run(&cli.global, &args),
        Command::Samples(command) => commands::samples::run(&cli.global, &command),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "phasegate", &mut text);
            output::print(&String::from_utf8_lossy(&text))
        }
        Command::Reference(args) => commands::reference::run(&args),
        Command::Bench(command) => bench::run(&cli.global, &command),
        Command::DevnetNode(args) => commands::hidden::node(&args),
        Command::DevnetSupervisor(args) => commands::hidden::supervisor(&args),
    }
}

/// Warnings always, everything with `--verbose`; `RUST_LOG` says otherwise.
fn start_log(verbose: bool) {
    let default = if verbose { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::stderr_has_colour())
        .fmt_fields(debug_fn(log_field).delimited(" "))
        .without_time();
    // A second start in one process finds the first one in place.
    let _ = log.try_init();
}

/// Values that are logged quote what others wrote: they stay on their line.
fn log_field(
    writer: &mut Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    let value = diagnostics::render::escape_line(&format!("{value:?}"));
    match field.name() {
        "message" => write!(writer, "{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

impl From<calendar::PlanError> for Failure {
    fn from(error: calendar::PlanError) -> Self {
        Self::of(Exit::Definition, &error)
    }
}
