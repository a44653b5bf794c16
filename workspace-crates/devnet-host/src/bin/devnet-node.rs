//! One node of the reference network as a program of its own; tests and measurements start it.

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a program's last words belong on stderr")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["devnet-node", "--config", config, "--node", node] = arguments[..] else {
        eprintln!("usage: devnet-node devnet-node --config FILE --node NAME");
        return ExitCode::from(2);
    };
    match devnet_host::run_node(std::path::Path::new(config), node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", devnet_host::describe(&error));
            ExitCode::FAILURE
        }
    }
}
