//! Finds and ends processes, never a foreign one: a process is known by its start time or by a
//! command line that names the deployment's directory.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::files::ProcessId;

const PROC: &str = "/proc";

/// The process with this number, with its start time; `None` when there is none or it has ended.
pub(crate) fn identify(pid: u32) -> Option<ProcessId> {
    let stat = std::fs::read_to_string(format!("{PROC}/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows the last one is fixed.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = matches!(fields.first(), Some(&"Z" | &"X"));
    let started_ticks = fields.get(19)?.parse().ok()?;
    (!ended).then_some(ProcessId { pid, started_ticks })
}

pub(crate) fn is_alive(process: ProcessId) -> bool {
    identify(process.pid) == Some(process)
}

/// Memory that a process uses for itself, plus its share of what it shares with others (PSS), in
/// bytes; `None` when there is no such process.
#[must_use]
pub fn memory_bytes(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("{PROC}/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Processor time that a process has used since its start, in seconds; `None` when there is no such
/// process.
#[must_use]
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("{PROC}/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Sends a signal to a process of ours, if it still is that process.
pub(crate) fn signal(process: ProcessId, signal: Signal) {
    if let Some(pid) = handle(process.pid) {
        send_if(pid, signal, || is_alive(process));
    }
}

/// Opened before the check, so that a process which takes over the number is never hit.
fn handle(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn send_if(pid: Pid, signal: Signal, is_meant: impl FnOnce() -> bool) {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => {
            if is_meant() {
                // Fails only when it has ended in the meantime.
                let _ = pidfd_send_signal(&handle, signal);
            }
        }
        Err(rustix::io::Errno::NOSYS) => {
            if is_meant() {
                let _ = kill_process(pid, signal);
            }
        }
        Err(_) => {}
    }
}

/// Processes of this machine whose arguments, after the program, begin with `arguments`.
pub(crate) fn find(arguments: &[&str]) -> Vec<ProcessId> {
    let Ok(entries) = std::fs::read_dir(PROC) else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = pids.filter(|pid| runs(*pid, arguments)).filter_map(identify).collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn runs(pid: u32, arguments: &[&str]) -> bool {
    let Ok(bytes) = std::fs::read(format!("{PROC}/{pid}/cmdline")) else { return false };
    let mut words = bytes.split(|byte| *byte == 0).skip(1);
    arguments.iter().all(|argument| words.next() == Some(argument.as_bytes()))
}

/// The arguments of every node of the network that `config` describes.
pub(crate) fn node_arguments(config: &Path) -> [String; 3] {
    ["devnet-node".to_owned(), "--config".to_owned(), config.display().to_string()]
}

/// The arguments of the supervisor of the deployment in `directory`.
pub(crate) fn supervisor_arguments(directory: &Path) -> [String; 3] {
    ["devnet-supervisor".to_owned(), "--dir".to_owned(), directory.display().to_string()]
}

/// Kills all that `find` finds until it finds nothing; gives what is left after `limit`.
pub(crate) fn kill_all(find: impl Fn() -> Vec<ProcessId>, limit: Duration) -> Vec<ProcessId> {
    let deadline = Instant::now() + limit;
    loop {
        let found = find();
        if found.is_empty() || Instant::now() >= deadline {
            return found;
        }
        for process in &found {
            signal(*process, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, find, identify, is_alive, kill_all, memory_bytes, signal};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn a_reused_number_is_another_process() {
        let ours = identify(std::process::id()).unwrap();
        assert!(is_alive(ours));
        let other = super::ProcessId { started_ticks: ours.started_ticks + 1, ..ours };
        assert!(!is_alive(other));
        // Were this sent, the test would end here.
        signal(other, rustix::process::Signal::KILL);
        assert!(is_alive(ours));
    }

    #[test]
    fn memory_and_time_are_those_of_the_process() {
        let held = vec![1_u8; 8 * 1_024 * 1_024];
        assert!(memory_bytes(std::process::id()) > Some(held.len() as u64));
        assert!(cpu_seconds(std::process::id()).is_some_and(|seconds| seconds < 1e6));
        assert_eq!((memory_bytes(u32::MAX), cpu_seconds(u32::MAX)), (None, None));
    }

    #[test]
    fn processes_are_found_by_their_arguments_and_killed() {
        let marker = format!("phasegate-test-{}", std::process::id());
        let script = "while :; do read line || exit; done";
        let mut child =
            Command::new("sh").args(["-c", script, &marker]).stdin(Stdio::piped()).spawn().unwrap();
        let ours = || find(&["-c", script, &marker]);
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while ours().is_empty() {
            assert!(std::time::Instant::now() < deadline, "the process did not start");
            std::thread::yield_now();
        }
        assert_eq!(ours()[0].pid, child.id());
        assert!(find(&["-c", script, "another marker"]).is_empty());
        assert!(kill_all(ours, Duration::from_secs(30)).is_empty());
        assert!(!child.wait().unwrap().success());
    }
}
