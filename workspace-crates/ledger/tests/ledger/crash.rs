//! A process that is killed while it appends leaves a ledger that verifies and goes on.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use ledger::{Durability, Error, GitStore};

use crate::children::*;
use crate::git::{create, git};

const DURABILITY: &str = "LEDGER_TEST_DURABILITY";
/// How many kills a test makes; more only until every step that it is about was met once.
const KILLS: usize = 150;
const KILLS_MAX: usize = 1_500;
/// A ledger is given up for a new one after so many kills, so that verifying it stays quick.
const KILLS_PER_LEDGER: usize = 30;

/// Appends without end when it is started by a test below; otherwise there is nothing to do.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let is_flushed = std::env::var(DURABILITY).unwrap() == "flushed";
    let durability = if is_flushed { Durability::Flushed } else { Durability::Buffered };
    let mut ledger = open(folder.as_ref(), durability);
    loop {
        append(&mut ledger, "deploy").unwrap();
        // One byte tells the parent that an append is complete.
        std::io::stderr().write_all(b"+").unwrap();
    }
}

/// A process that appends, and the pipe on which it says so.
struct Writer {
    child: Child,
    pipe: ChildStderr,
}

impl Writer {
    fn start(folder: &Path, durability: &str) -> Self {
        let mut command = child("crash::child_that_appends_until_it_is_killed", folder);
        let command = command.env(DURABILITY, durability).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pipe = child.stderr.take().unwrap();
        Self { child, pipe }
    }

    fn wait_for_append(&mut self) {
        let mut byte = [0_u8; 1];
        self.pipe.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"+");
    }

    /// Kills it, and tells how many more appends it had said to be complete.
    fn kill(mut self) -> usize {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = Vec::new();
        self.pipe.read_to_end(&mut rest).unwrap();
        assert!(rest.iter().all(|byte| *byte == b'+'), "{}", String::from_utf8_lossy(&rest));
        rest.len()
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % limit.max(1)
    }
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// What a writer was at when it died, as its traces tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    BetweenAppends,
    BeforeObjects,
    AmongObjects,
    BranchLocked,
    BranchMoved,
    Packing,
}

/// A repository whose writers are killed.
struct Victim {
    _folder: tempfile::TempDir,
    work: PathBuf,
    git: PathBuf,
    /// Entries that somebody said to be complete.
    acknowledged: usize,
}

impl Victim {
    fn new(is_bare: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().to_owned();
        let store = match is_bare {
            true => GitStore::init_bare(&work).unwrap(),
            false => {
                git2::Repository::init(&work).unwrap();
                GitStore::open(&work).unwrap()
            }
        };
        let git = store.common_dir().to_owned();
        create(store.with_durability(Durability::Buffered));
        Self { _folder: folder, work, git, acknowledged: 1 }
    }

    fn branch_lock(&self) -> PathBuf {
        self.git.join("refs/heads/phase-ledger.lock")
    }

    /// Loose objects, finished or not.
    fn objects(&self) -> usize {
        let folders = std::fs::read_dir(self.git.join("objects")).unwrap();
        let count = |entry: std::fs::DirEntry| match entry.file_name().len() {
            2 => std::fs::read_dir(entry.path()).unwrap().count(),
            _ => usize::from(entry.file_type().unwrap().is_file()),
        };
        folders.map(|entry| count(entry.unwrap())).sum()
    }

    /// Files that were never given the name of an object or a pack.
    fn drafts(&self) -> Vec<String> {
        let names = |folder: &str| {
            let files = std::fs::read_dir(self.git.join(folder)).unwrap();
            files.map(|file| file.unwrap().file_name().into_string().unwrap())
        };
        let all = names("objects").chain(names("objects/pack"));
        all.filter(|name| name.contains("_git2_")).collect()
    }

    /// Starts a writer, and kills it a random part of an append after it completed one.
    fn run_and_kill(&mut self, durability: &str, random: &mut Random) -> Step {
        let objects = self.objects();
        let mut writer = Writer::start(&self.work, durability);
        writer.wait_for_append();
        let start = Instant::now();
        writer.wait_for_append();
        let usual = start.elapsed().as_nanos() as u64;
        spin(Duration::from_nanos(random.below(usual * 2)));
        let appended = 2 + writer.kill();
        self.acknowledged += appended;
        self.step(objects, appended)
    }

    fn step(&self, objects_before: usize, appended: usize) -> Step {
        /// Entry, signature, their folder, all folders, the root, the commit.
        const OBJECTS_PER_APPEND: usize = 6;
        let mark = std::fs::read(self.git.join("phasegate/ledger.flock")).unwrap();
        let entries = git2::Repository::open(&self.git).unwrap();
        let head = entries.refname_to_id(ledger::LEDGER_BRANCH).unwrap();
        let tree = entries.find_commit(head).unwrap().tree().unwrap();
        let next = format!("entries/{:06}", self.acknowledged);
        if self.branch_lock().exists() {
            Step::BranchLocked
        } else if tree.get_path(next.as_ref()).is_ok() {
            Step::BranchMoved
        } else if mark.is_empty() {
            Step::BetweenAppends
        } else if self.objects() > objects_before + appended * OBJECTS_PER_APPEND {
            Step::AmongObjects
        } else {
            Step::BeforeObjects
        }
    }

    fn is_sound_for_git(&self) {
        assert_eq!(git(&self.work, &["fsck", "--strict", "--no-dangling"]).unwrap(), "");
    }

    /// Another repository with the same ledger.
    fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("copy");
        let copied = std::process::Command::new("cp").arg("-a").args([&self.work, &work]).status();
        assert!(copied.unwrap().success());
        Self { _folder: folder, git: work.clone(), work, acknowledged: self.acknowledged }
    }

    /// The ledger verifies, has all that was acknowledged, and takes the next entry.
    fn go_on(&mut self) -> Result<(), Error> {
        let mut ledger = open(&self.work, Durability::Buffered);
        let found = ledger.view().len();
        // The last append may have been complete before it could be acknowledged.
        let acknowledged = self.acknowledged;
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{acknowledged} {found}");
        append(&mut ledger, "missed")?;
        assert!(!self.branch_lock().exists());
        assert_eq!(self.drafts(), Vec::<String>::new());
        self.acknowledged = ledger.view().len();
        Ok(())
    }
}

/// Kills writers at random moments until enough of them died, and at each of `steps`.
fn kill_at_every_step(is_bare: bool, durability: &str, seed: u64, steps: &[Step]) {
    let mut random = Random(seed);
    let mut met: BTreeMap<Step, usize> = BTreeMap::new();
    let mut victim = Victim::new(is_bare);
    let mut kills = 0;
    while kills < KILLS || (kills < KILLS_MAX && steps.iter().any(|step| !met.contains_key(step))) {
        if kills.is_multiple_of(KILLS_PER_LEDGER) {
            victim = Victim::new(is_bare);
        }
        let step = victim.run_and_kill(durability, &mut random);
        *met.entry(step).or_default() += 1;
        victim.go_on().unwrap_or_else(|error| panic!("killed at {step:?}: {error}"));
        kills += 1;
        if kills.is_multiple_of(KILLS_PER_LEDGER) {
            victim.is_sound_for_git();
        }
    }
    println!("{kills} kills: {met:?}");
    for step in steps {
        assert!(met.contains_key(step), "nobody died at {step:?} in {kills} kills: {met:?}");
    }
}

#[test]
fn writers_of_a_bare_repository_that_are_killed_block_nobody_and_lose_nothing() {
    kill_at_every_step(true, "flushed", 1, &[Step::AmongObjects, Step::BranchMoved]);
}

#[test]
fn writers_of_a_work_tree_that_are_killed_leave_locks_that_block_nobody() {
    let steps = [Step::AmongObjects, Step::BranchLocked, Step::BranchMoved];
    kill_at_every_step(false, "buffered", 2, &steps);
}

#[test]
fn writers_that_are_killed_while_they_pack_lose_nothing() {
    /// The entry with this number is followed by a pack.
    const PACKED: usize = 128;
    let mut before = Victim::new(true);
    let mut ledger = open(&before.work, Durability::Buffered);
    while ledger.view().len() < PACKED - 2 {
        append(&mut ledger, "deploy").unwrap();
    }
    before.acknowledged = ledger.view().len();
    let mut random = Random(3);
    let mut usual = Duration::ZERO;
    let mut met: BTreeMap<Step, usize> = BTreeMap::new();
    let mut kills = 0;
    while kills < 20 || (kills < 200 && !met.contains_key(&Step::Packing)) {
        let mut victim = before.copied();
        let mut writer = Writer::start(&victim.work, "buffered");
        writer.wait_for_append();
        let start = Instant::now();
        if kills == 0 {
            writer.wait_for_append();
            usual = start.elapsed();
            victim.acknowledged += 1;
        }
        spin(Duration::from_nanos(random.below(usual.as_nanos() as u64)));
        victim.acknowledged += 1 + writer.kill();
        let packs = std::fs::read_dir(victim.git.join("objects/pack")).unwrap().count();
        let is_packing = packs > 0 && victim.acknowledged < PACKED;
        let step = if is_packing { Step::Packing } else { Step::BetweenAppends };
        *met.entry(step).or_default() += 1;
        victim.go_on().unwrap();
        victim.is_sound_for_git();
        kills += 1;
    }
    println!("{kills} kills: {met:?}");
    assert!(met.contains_key(&Step::Packing), "nobody died while packing: {met:?}");
}
