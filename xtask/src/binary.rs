//! Builds the `phasegate` binary and becomes it.
use std::ffi::OsString;
use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use cargo_metadata::Message;

use crate::Error;
use crate::workspace::{cargo, check, root, run, start_error};

/// Optimised builds are what users run; development builds are what the tests have built already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Release,
    Dev,
}

impl Profile {
    fn directory(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// How long a build may be silent before it says that it is one.
const SILENT_BUILD_MAX: Duration = Duration::from_secs(2);

/// Builds the binary, then replaces this process by it, so that signals, the terminal and exit
/// codes are the binary's own. Returns only if that failed.
pub(crate) fn replace_this_process(arguments: &[OsString]) -> Error {
    let executable = match build(Profile::Release) {
        Ok(executable) => executable,
        Err(error) => return error,
    };
    // So that what it tells people to run is what they have.
    let source =
        Command::new(&executable).args(arguments).env("PHASEGATE_CALLED_AS", "cargo xtask").exec();
    start_error(&executable.display().to_string(), source)
}

/// Builds the binary and runs it as a child.
pub(crate) fn run_release(arguments: &[&str]) -> Result<(), Error> {
    let executable = build(Profile::Release)?;
    run(&format!("phasegate {}", arguments.join(" ")), duct::cmd(executable, arguments))
}

/// Builds the binary and returns where cargo put it.
pub(crate) fn build(profile: Profile) -> Result<PathBuf, Error> {
    let built_before = usual_place(profile).exists();
    if !built_before {
        eprintln!("building phasegate (once, a few minutes on two cores) …");
    }
    let (done, wait) = mpsc::channel::<()>();
    let notice = std::thread::spawn(move || {
        if wait.recv_timeout(SILENT_BUILD_MAX) == Err(mpsc::RecvTimeoutError::Timeout)
            && built_before
        {
            eprintln!("the sources have changed: building phasegate again …");
        }
    });
    let executable = cargo_build(profile, built_before);
    drop(done);
    // The thread ends as soon as its channel closes; it only prints.
    notice.join().ok();
    executable
}

fn cargo_build(profile: Profile, quiet: bool) -> Result<PathBuf, Error> {
    let program = "cargo build --package phasegate";
    let mut command = Command::new(cargo());
    command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.args(["build", "--package", "phasegate", "--bin", "phasegate"]);
    command.arg("--message-format=json-render-diagnostics");
    if profile == Profile::Release {
        command.arg("--release");
    }
    if quiet {
        command.arg("--quiet");
    }
    let mut child = command.spawn().map_err(|source| start_error(program, source))?;
    let mut executable = None;
    if let Some(stdout) = child.stdout.take() {
        for message in Message::parse_stream(BufReader::new(stdout)) {
            if let Ok(Message::CompilerArtifact(artifact)) = message
                && artifact.target.name == "phasegate"
            {
                executable = artifact.executable.or(executable);
            }
        }
    }
    check(program, child.wait().map_err(|source| start_error(program, source))?)?;
    let executable = executable.ok_or_else(|| {
        Error::Check("cargo built phasegate but did not say where the executable is".into())
    })?;
    Ok(executable.into())
}

/// Where the binary is unless a configuration says otherwise. Only decides what is printed.
fn usual_place(profile: Profile) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    target.join(profile.directory()).join("phasegate")
}
