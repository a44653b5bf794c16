//! Where the workspace is, and how programs are run in it.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Error;

/// The workspace's root directory: the parent of this crate's.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs us, so that a `cargo +toolchain xtask` stays on that toolchain.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs cargo in the workspace's root and fails if it fails.
pub(crate) fn run_cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Error> {
    let mut command = duct::cmd(cargo(), arguments).dir(root());
    for (name, value) in environment {
        command = command.env(name, value);
    }
    run(&format!("cargo {}", arguments.join(" ")), command)
}

/// Runs a command with the terminal's streams; `program` is what an error calls it.
pub(crate) fn run(program: &str, command: duct::Expression) -> Result<(), Error> {
    let output = command.unchecked().run().map_err(|source| start_error(program, source))?;
    check(program, output.status)
}

/// Runs a command and returns what it printed to stdout.
pub(crate) fn read(program: &str, command: duct::Expression) -> Result<String, Error> {
    let output = command
        .stdout_capture()
        .unchecked()
        .run()
        .map_err(|source| start_error(program, source))?;
    check(program, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command starts and succeeds; its output is dropped.
pub(crate) fn succeeds(command: duct::Expression) -> bool {
    let quiet = command.stdin_null().stdout_null().stderr_null().unchecked();
    quiet.run().is_ok_and(|output| output.status.success())
}

pub(crate) fn start_error(program: &str, source: std::io::Error) -> Error {
    Error::Start { program: program.to_owned(), source }
}

pub(crate) fn check(program: &str, status: std::process::ExitStatus) -> Result<(), Error> {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return Ok(());
    }
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Err(Error::Failed { program: program.to_owned(), code: code.unwrap_or(1) })
}
