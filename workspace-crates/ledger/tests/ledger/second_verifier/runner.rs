//! Runs both verifiers and brings their verdicts into one form.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use ledger::{Expectations, RawEntry, chain};

/// What a verifier says about a ledger.
pub enum Verdict {
    /// It verifies; with what the verifier printed.
    Good(String),
    /// It does not; the first faulty entry, when the fault is in one, and what was printed.
    Bad(Option<u64>, String),
}

/// A verdict without words: nothing when good, otherwise the first faulty entry.
pub type Place = Option<u64>;

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good(said) => write!(f, "good: {}", said.trim_end()),
            Self::Bad(_, said) => write!(f, "bad: {}", said.trim_end()),
        }
    }
}

impl Verdict {
    /// The first faulty entry; the highest number there is when the fault is in none of them.
    pub fn place(&self) -> Place {
        match self {
            Self::Good(_) => None,
            Self::Bad(seq, _) => Some(seq.unwrap_or(u64::MAX)),
        }
    }
}

/// The script, to be given its arguments.
pub fn command() -> Command {
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify-ledger.sh"));
    command
}

/// Whether the programs are there that the script needs; says which test is skipped if not.
pub fn installed(test: &str) -> bool {
    let missing = ["bash", "jq", "ssh-keygen", "sha256sum", "git"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(program) = missing {
        println!("skipped: {test} (no {program})");
    }
    missing.is_none()
}

/// Writes entries and signatures as the branch has them.
pub fn unpack(folder: &Path, raw: &[RawEntry]) {
    std::fs::create_dir_all(folder.join("entries")).unwrap();
    for entry in raw {
        let folder = folder.join(ledger::store::entry_folder(entry.seq));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("entry.json"), &entry.bytes).unwrap();
        for (who, text) in &entry.signatures {
            std::fs::write(folder.join(format!("{who}.sig")), text).unwrap();
        }
    }
}

/// Our own verdict.
pub fn ours(raw: &[RawEntry], expected: &Expectations) -> Verdict {
    match chain::verify_expecting(raw, expected) {
        Ok(view) => Verdict::Good(format!("{} entries", view.len())),
        Err(error) => Verdict::Bad(Some(error.seq), error.to_string()),
    }
}

/// The verdict of the script.
pub fn of_script(ledger: &Path, expected: &Expectations) -> Verdict {
    let mut command = command();
    if let Some(genesis) = expected.genesis {
        command.args(["--genesis", &genesis.to_string()]);
    }
    if let Some((seq, digest)) = expected.remembered {
        command.args(["--remember", &format!("{seq}:{digest}")]);
    }
    let output = command.arg(ledger).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) if complained.is_empty() => Verdict::Good(said),
        Some(1) if said.is_empty() && !complained.is_empty() => {
            let seq =
                complained.strip_prefix("entry ").and_then(|rest| rest.get(..6)?.parse().ok());
            Verdict::Bad(seq, complained)
        }
        code => panic!("{code:?}: {said}{complained}"),
    }
}

/// The complaints of `check` about all items, which are checked on all cores.
pub fn in_parallel<T: Sync>(
    items: &[T],
    check: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (queue, wrong) = (Mutex::new(items.iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap().next();
    let work = || {
        while let Some(item) = next() {
            if let Err(complaint) = check(item) {
                wrong.lock().unwrap().push(complaint);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    wrong
}
