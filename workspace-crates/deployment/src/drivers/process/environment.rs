//! What processes of a network are told about the machine: nothing that could be a secret.

use std::ffi::OsStr;
use std::process::Command;

/// Variables that a process may need to run at all. Everything else stays with the program that
/// starts it: tokens, above all, which anybody can read who may look at the process.
const PASSED_ON: [&str; 10] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TZ",
    "TERM",
    "RUST_BACKTRACE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
];

/// A command with only these variables.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

#[cfg(test)]
mod tests {
    use super::{PASSED_ON, command};

    #[test]
    fn a_process_sees_only_what_is_passed_on() {
        // Cargo sets this one for every test.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let output = command("env").output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> =
            seen.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"PATH"), "{seen}");
        assert!(names.iter().all(|name| PASSED_ON.contains(name)), "{seen}");
    }
}
