//! The `cargo xtask` command. Everything is in the library, so that tests can reach it.
use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(std::env::args_os().skip(1).collect())
}
