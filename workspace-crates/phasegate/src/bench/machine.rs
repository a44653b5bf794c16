//! What the operating system tells about processes and files.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::Advice;

/// The most memory that a process has had at once, in bytes; 0 when it cannot be told.
pub fn peak_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}

/// Processor time so far, in milliseconds: of this process, and of its children that have ended with
/// theirs. Unlike the time on the clock it does not grow with what others do on the machine.
pub fn processor_ms() -> (f64, f64) {
    /// Linux counts in hundredths of a second here.
    const MS_PER_TICK: f64 = 10.0;
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name is in brackets, and may hold anything.
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    let ticks: Vec<f64> =
        fields.split_whitespace().map(|field| field.parse().unwrap_or(f64::NAN)).collect();
    let sum = |from: usize| ticks.get(from..from + 2).map_or(f64::NAN, |two| two.iter().sum());
    (sum(11) * MS_PER_TICK, sum(13) * MS_PER_TICK)
}

/// Makes the system forget the contents of all files in a folder and its folders, so that they are
/// read from the disk again; `false` when it does not. Programs stay in memory.
pub fn forget_files(folder: &Path) -> bool {
    files(folder).iter().all(|path| {
        // What is not written yet cannot be forgotten.
        let forget = |file: File| {
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)
        };
        File::open(path).and_then(forget).is_ok()
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(paths).collect()
}

/// The bytes of all files in a folder and its folders.
pub fn folder_bytes(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
}

/// Whether a program can be started.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
