//! The hidden commands of the process driver as a program of their own; tests and measurements
//! start it.

use std::process::ExitCode;

use deployment::process::{HiddenCommand, hidden_command, run_supervisor};

#[expect(clippy::print_stderr, reason = "a program's last words belong on stderr")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result: Result<(), Box<dyn std::error::Error>> = match hidden_command(&arguments) {
        Some(HiddenCommand::Node { config, node }) => {
            devnet_host::run_node(&config, &node).map_err(Into::into)
        }
        Some(HiddenCommand::Supervisor { directory }) => {
            run_supervisor(&directory).map_err(Into::into)
        }
        None => Err("there are `devnet-node` and `devnet-supervisor`".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", devnet_host::describe(&*error));
            ExitCode::FAILURE
        }
    }
}
