//! What was done, and what comes next.

use std::path::{Path, PathBuf};

use base::{Digest, PrincipalId};
use ledger::{GitStore, LedgerStore};
use serde::Serialize;

use super::git;
use super::plan::{Action, Step};
use crate::commands::init::shown;
use crate::failure::Failure;
use crate::output::table;
use crate::world::World;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All of it was there before.
    There,
    /// What was missing was done.
    Done,
    /// What there is was checked and has no errors.
    Passed,
    /// It would be done.
    Planned,
    /// It was left out.
    Skipped,
    /// Others have to sign.
    Waiting,
}

/// One step, done.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// One word.
    pub step: &'static str,
    /// How it ended.
    pub state: State,
    /// What there is now.
    pub what: String,
    /// Files that were written, from the root on, in their order.
    pub files: Vec<String>,
}

impl Done {
    /// The step, with `state` when there was something to do.
    pub fn of(step: &Step, state: State) -> Self {
        let state = match (step.skipped, step.actions.is_empty()) {
            (true, _) => State::Skipped,
            (false, true) => State::There,
            (false, false) => state,
        };
        let files = step.actions.iter().flat_map(|action| match action {
            Action::WriteFile { path, .. } => vec![path.clone()],
            Action::WriteKey(id) => {
                vec![format!(".phasegate/keys/{id}"), format!(".phasegate/keys/{id}.pub")]
            }
            _ => Vec::new(),
        });
        Self { step: step.name, state, what: step.what.clone(), files: files.collect() }
    }
}

/// Whether a ledger was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It was not.
    Not,
    /// With this genesis entry.
    Now(Digest),
    /// Its first entry waits for signatures.
    Waits {
        /// Where.
        file: PathBuf,
        /// How many are still needed.
        needed: usize,
        /// Who can give them.
        missing: Vec<PrincipalId>,
    },
}

/// Something to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The command; empty when it is no command.
    pub run: String,
    /// What it is for.
    pub why: String,
}

/// What was done, and what comes next.
#[derive(Debug, Serialize)]
pub struct Summary {
    root: PathBuf,
    dry_run: bool,
    /// Whether anything was changed.
    changed: bool,
    steps: Vec<Done>,
    genesis: Option<Digest>,
    waits_for: Vec<PrincipalId>,
    signatures_needed: usize,
    next: Vec<Next>,
}

impl Summary {
    /// What would be done.
    pub fn planned(root: &Path, steps: &[Step]) -> Self {
        Self {
            root: root.to_owned(),
            dry_run: true,
            changed: false,
            steps: steps.iter().map(|step| Done::of(step, State::Planned)).collect(),
            genesis: None,
            waits_for: Vec::new(),
            signatures_needed: 0,
            next: Vec::new(),
        }
    }

    /// What was done.
    pub fn of(
        world: &World,
        steps: Vec<Done>,
        begun: Begun,
        has_origin: bool,
    ) -> Result<Self, Failure> {
        let next = next(world, &begun, has_origin)?;
        let (genesis, waits_for, signatures_needed) = match begun {
            Begun::Now(digest) => (Some(digest), Vec::new(), 0),
            Begun::Waits { needed, missing, .. } => (None, missing, needed),
            Begun::Not => (None, Vec::new(), 0),
        };
        let changed = steps.iter().any(|step| step.state == State::Done);
        let root = world.root.clone();
        Ok(Self {
            root,
            dry_run: false,
            changed,
            steps,
            genesis,
            waits_for,
            signatures_needed,
            next,
        })
    }

    /// The summary for people.
    pub fn describe(&self) -> String {
        let rows = self.steps.iter().map(|one| {
            let state = match one.state {
                State::There => "there",
                State::Done => "done",
                State::Passed => "passed",
                State::Planned => "planned",
                State::Skipped => "left out",
                State::Waiting => "waiting",
            };
            vec![one.step.to_owned(), state.to_owned(), one.what.clone()]
        });
        let mut text = table(&["step", "state", "what"], rows);
        if self.dry_run {
            text.push_str("\nNothing was written: this was a dry run.\n");
            return text;
        }
        if !self.changed && self.waits_for.is_empty() {
            text.push_str("\nNothing had to be done.\n");
        }
        if !self.next.is_empty() {
            text.push_str("\nNext:\n");
        }
        for (place, next) in self.next.iter().enumerate() {
            text.push_str(&format!("  {}. {}\n", place + 1, next.why));
            if !next.run.is_empty() {
                text.push_str(&format!("     {}\n", next.run));
            }
        }
        text
    }
}

fn next(world: &World, begun: &Begun, has_origin: bool) -> Result<Vec<Next>, Failure> {
    let mut next = Vec::new();
    let mut add =
        |run: &str, why: &str| next.push(Next { run: run.to_owned(), why: why.to_owned() });
    if git::has_changes(&world.root)? {
        add(
            "git add pipeline stages && git commit --message \"Set up Phasegate\"",
            "Commit the definitions: the ledger cites them.",
        );
    }
    if let Begun::Waits { file, needed, missing } = begun {
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let needed = crate::output::count(*needed, "signature", "signatures");
        add(
            "phasegate init --sign-genesis genesis.json",
            &format!(
                "The ledger waits for {needed} more, of {}. Push the commit and hand over {}; each of them runs this in a clone at the same commit, and the last one begins the ledger.",
                names.join(", "),
                shown(file),
            ),
        );
    }
    if let Begun::Now(digest) = begun {
        // With a remote of its own the ledger was pushed as it was begun.
        if has_origin && git::config(&world.root, super::genesis::REMOTE_SETTING)?.is_none() {
            add("git push origin phase-ledger", "Publish the ledger.");
        }
        add(
            "",
            &format!(
                "Publish the digest of the first entry where participants will look for it: {digest}"
            ),
        );
    }
    let keys = std::fs::read_dir(world.root.join(".phasegate/keys"));
    if keys.is_ok_and(|mut keys| keys.next().is_some()) && *begun != Begun::Not {
        add(
            "",
            "Keep a copy of .phasegate/keys in a safe place: git ignores it, and it is in no backup.",
        );
    }
    let pipelines = super::survey::pipelines_of(&world.files()?);
    let name = match pipelines.as_slice() {
        [only] => only.as_str(),
        _ => "NAME",
    };
    add(&format!("phasegate rehearse {name}"), "Rehearse the whole programme in virtual time.");
    if *begun == Begun::Not && GitStore::open(&world.root)?.head()?.is_none() {
        add("phasegate init", "Begin the ledger.");
    }
    add("phasegate phase status", "With the ledger: see where each phase stands.");
    add(
        "phasegate phase tick",
        "Let a scheduled job do what the calendar says is due: docs/github.md and docs/systemd.md of Phasegate say how.",
    );
    Ok(next)
}
