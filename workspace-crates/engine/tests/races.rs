//! Programs that decide while others append: they read what is new, verify it, and decide anew.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use base::{DeploymentId, Instant, Track};
use common::{Fake, Shared, World, label, phase, when};
use engine::{Engine, EngineError};
use ledger::{
    AppendError, Durability, Expectations, GitStore, Head, Ledger, LedgerStore, NewAppend,
    Snapshot, StoreError,
};

type Decide = fn(&mut Engine<'_, Shared>, Instant) -> Result<(), EngineError>;

/// A command, and the instant until which the weekly job has run before it.
struct Command {
    name: &'static str,
    after: (i64, &'static str),
    decide: Decide,
}

const COMMANDS: [Command; 5] = [
    Command {
        name: "evaluate",
        after: (1, "thu"),
        decide: |engine, now| engine.evaluate_now(now).map(|_| ()),
    },
    Command {
        name: "advance",
        after: (1, "thu"),
        decide: |engine, now| engine.advance_phase(&phase("first"), now),
    },
    Command {
        name: "reset",
        after: (1, "tue"),
        decide: |engine, now| engine.reset_phase(&phase("first"), &phase("first"), "A test.", now),
    },
    Command {
        name: "take down",
        after: (1, "thu"),
        decide: |engine, now| {
            engine.take_down_now(&DeploymentId::new("first.internal.1").unwrap(), now)
        },
    },
    Command {
        name: "deploy",
        after: (1, "mon"),
        decide: |engine, now| engine.deploy_now(&phase("first"), Track::Public, now),
    },
];

impl Command {
    fn begin(&self) -> World {
        let world = World::new();
        world.tick_until(when(self.after.0, self.after.1));
        world
    }

    fn run(&self, world: &World) -> Result<(), EngineError> {
        let now = when(1, "tue") + base::Duration::from_hours(1);
        world.run(now, |engine| (self.decide)(engine, now))
    }
}

/// What was done; a second judgement with the same result is the same.
fn done(world: &World) -> Vec<String> {
    let mut all = world.done();
    all.dedup();
    all
}

#[test]
fn every_command_decides_anew_when_somebody_appends_in_between() {
    for command in COMMANDS {
        let clean = command.begin();
        let before = clean.trace().len();
        command.run(&clean).unwrap();
        let appends = clean.trace().len() - before;
        assert!(appends > 0, "{}: nothing was appended", command.name);
        for index in 0..appends {
            let mut world = command.begin();
            world.store.intrude_at(index, world.keys.remove("lead").unwrap());
            command.run(&world).unwrap();
            let what = format!("{}: intruded at {index}", command.name);
            assert_eq!(done(&world), done(&clean), "{what}");
            let intruded = world.trace().iter().filter(|line| line.contains("intruded")).count();
            assert_eq!(intruded, 1, "{what}");
            let ids =
                |world: &World| world.networks.borrow().up.keys().cloned().collect::<Vec<_>>();
            assert_eq!(ids(&world), ids(&clean), "{what}");
        }
    }
}

#[test]
fn whoever_is_never_first_gives_up_and_says_so() {
    let tick = Command { name: "tick", after: (1, "thu"), decide: |engine, now| engine.tick(now) };
    for command in COMMANDS.into_iter().chain([tick]) {
        let mut world = command.begin();
        let before = done(&world);
        world.store.intrude_always(world.keys.remove("lead").unwrap());
        let error = command.run(&world).unwrap_err();
        assert!(matches!(error, EngineError::Contested { .. }), "{}: {error}", command.name);
        assert!(error.to_string().contains("16 times"), "{error}");
        assert_eq!(done(&world), before, "{}", command.name);
    }
}

/// A clone's store, in whose first append somebody else is faster.
struct Raced<'w> {
    store: GitStore,
    first: RefCell<Option<Box<dyn FnOnce() + 'w>>>,
}

impl LedgerStore for Raced<'_> {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.store.head()
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.store.snapshot()
    }

    fn adopt(&self, head: &Head) -> Result<(), StoreError> {
        self.store.adopt(head)
    }

    fn append(&self, new: &NewAppend, expected: Option<&Head>) -> Result<Head, AppendError> {
        let first = self.first.take();
        if let Some(race) = first {
            race();
        }
        self.store.append(new, expected)
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read_file(path)
    }

    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError> {
        self.store.list_files(under)
    }
}

/// Two clones of one programme that share a bare remote.
struct Clones {
    folder: tempfile::TempDir,
    world: World,
}

impl Clones {
    /// The first phase is deployed internally.
    fn new() -> Self {
        let clones = Self { folder: tempfile::tempdir().unwrap(), world: World::new() };
        GitStore::init_bare(&clones.folder.path().join("remote")).unwrap();
        clones.world.begin_in(clones.store("ours"));
        clones.run("ours", None, when(1, "thu"), |engine| engine.tick(when(1, "thu"))).unwrap();
        clones
    }

    fn store(&self, clone: &str) -> GitStore {
        let path = |name: &str| self.folder.path().join(name);
        let store = GitStore::init_bare(&path(clone)).unwrap();
        let store = store.with_durability(Durability::Buffered);
        store.with_remote(path("remote").to_str().unwrap())
    }

    /// A program in `clone`; before its first append, `race` takes place.
    fn run<'w, R>(
        &'w self,
        clone: &str,
        race: Option<Box<dyn FnOnce() + 'w>>,
        now: Instant,
        what: impl FnOnce(&mut Engine<'_, Raced<'w>>) -> R,
    ) -> R {
        self.world.networks.borrow_mut().now = now;
        let store = Raced { store: self.store(clone), first: RefCell::new(race) };
        let ledger = Ledger::open(store, &Expectations::default()).unwrap();
        let mut driver = Fake(Rc::clone(&self.world.networks));
        what(&mut Engine::new(self.world.setup(&mut driver), ledger))
    }

    /// What a stranger finds at the remote, from `seq` on.
    fn published(&self, seq: usize) -> Vec<String> {
        let remote = self.folder.path().join("remote");
        assert_eq!(commits(&remote), ledger(&remote).view().len(), "the history is not linear");
        ledger(&remote).view().iter().skip(seq).map(|one| label(&one.entry.body)).collect()
    }
}

fn ledger(path: &Path) -> Ledger<GitStore> {
    Ledger::open(GitStore::open(path).unwrap(), &Expectations::default()).unwrap()
}

fn commits(path: &Path) -> usize {
    let counted = std::process::Command::new("git")
        .args(["rev-list", "--count", "--max-parents=1", "phase-ledger"])
        .current_dir(path)
        .output()
        .unwrap();
    String::from_utf8(counted.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn a_judgement_that_loses_the_race_judges_what_the_other_clone_left() {
    let clones = Clones::new();
    let before = ledger(&clones.folder.path().join("remote")).view().len();
    let now = when(1, "mon");
    let judged = |race| clones.run("ours", race, now, |engine| engine.evaluate_now(now).unwrap());
    let alone = judged(None);
    assert_eq!(alone.phases.len(), 1);

    // While it judges again, the other clone takes the phase back.
    let first = phase("first");
    let reset = || {
        let reset = |engine: &mut Engine<'_, Raced<'_>>| {
            engine.reset_phase(&first, &first, "The client loses blocks.", now)
        };
        clones.run("theirs", None, now, reset).unwrap();
    };
    let raced = judged(Some(Box::new(reset)));
    assert!(raced.phases.is_empty(), "what is gone was judged: {raced:?}");
    assert_eq!(
        clones.published(before),
        ["evaluation", "torn-down first/internal", "reset first/internal", "evaluation"]
    );
    let newest = ledger(&clones.folder.path().join("remote"));
    match &newest.view().last().entry.body {
        ledger::Body::Evaluation(one) => assert!(one.verdicts.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_clones_that_tick_at_once_do_each_thing_once() {
    let clones = Clones::new();
    let before = ledger(&clones.folder.path().join("remote")).view().len();
    let now = when(1, "mon");
    let tick = |clone: &str, race: Option<Box<dyn FnOnce() + '_>>| {
        clones.run(clone, race, now, |engine| {
            engine.tick(now).unwrap();
            engine.take_happenings()
        })
    };
    let told = RefCell::new(Vec::new());
    let late = tick("ours", Some(Box::new(|| *told.borrow_mut() = tick("theirs", None))));
    let what: Vec<String> = told.take().into_iter().map(|one| one.what).collect();
    assert_eq!(what, ["evaluation", "advance"]);
    assert!(late.is_empty(), "told twice: {late:?}");
    assert_eq!(
        clones.published(before),
        ["evaluation", "advance first/internal", "torn-down first/internal", "evaluate"]
    );
}
