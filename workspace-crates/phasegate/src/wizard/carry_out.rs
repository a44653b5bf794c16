//! Carrying out what was planned.

use std::path::{Path, PathBuf};

use base::{Digest, PipelineId};
use definition::Overrides;
use ledger::LedgerStore;

use super::genesis::{self, Genesis};
use super::git;
use super::keys::NewKeys;
use super::plan::{Action, CHECK, Step};
use super::prompt::Prompt;
use super::summary::{Begun, Done, State, Summary};
use super::write::{self, Mode};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::session;
use crate::world::{self, World};

/// What carrying out needs.
pub struct CarryOut<'a> {
    /// The repository.
    pub world: &'a World,
    /// Pairs that were made and are written now.
    pub keys: &'a NewKeys,
    /// Key files that were named for this run.
    pub named: &'a [PathBuf],
    /// Who is asked before something is signed.
    pub prompt: &'a mut dyn Prompt,
}

impl CarryOut<'_> {
    /// Does every step; what is there already is left alone.
    pub fn run(mut self, steps: &[Step], has_origin: bool) -> Result<Summary, Failure> {
        let mut done = Vec::new();
        let mut begun = Begun::Not;
        for step in steps {
            let is_ledger =
                step.actions.iter().any(|action| matches!(action, Action::BeginLedger(_)));
            for action in &step.actions {
                if let Action::BeginLedger(id) = action {
                    begun = self.begin(id)?;
                } else {
                    self.act(action)?;
                }
            }
            let mut one = Done::of(step, State::Done);
            if step.name == CHECK {
                one.what = self.check()?;
                one.state = State::Passed;
            }
            match &begun {
                Begun::Now(digest) if is_ledger => {
                    one.what = format!("{}, genesis {digest}", one.what)
                }
                Begun::Waits { .. } if is_ledger => one.state = State::Waiting,
                Begun::Not if is_ledger => one.state = State::Skipped,
                _ => {}
            }
            done.push(one);
        }
        Summary::of(self.world, done, begun, has_origin)
    }

    fn act(&self, action: &Action) -> Result<(), Failure> {
        match action {
            Action::MakeRepository => git::init(&self.world.root),
            Action::WriteKey(id) => self.keys.write(self.world, id),
            Action::WriteFile { path, text } => {
                write::new_file(self.world, path, text, Mode::Usual)
            }
            Action::SetRemote(name) => {
                git::set_config(&self.world.root, genesis::REMOTE_SETTING, name)
            }
            Action::BeginLedger(_) => Ok(()),
        }
    }

    /// The check of `pipeline check`, on the files as they are on the disk.
    fn check(&self) -> Result<String, Failure> {
        let checked = self.world.check(&Overrides::default())?;
        let found = &checked.diagnostics;
        if !found.is_empty() {
            let colour = crate::output::stderr_has_colour();
            say(diagnostics::render::human(found, &checked.sources, colour).trim_end());
        }
        if diagnostics::has_errors(found) {
            return Err(Failure::new(Exit::Definition, "the definitions have errors")
                .hint("Mend them and run `phasegate init` again."));
        }
        Ok(diagnostics::render::summary(found))
    }

    /// Begins the ledger, or leaves its first entry for the others to sign.
    fn begin(&mut self, id: &PipelineId) -> Result<Begun, Failure> {
        let definitions = self.world.definitions(&Overrides::default())?;
        let pipeline = world::pipeline(&definitions, Some(id))?;
        let path = genesis::waiting_path(self.world);
        let genesis = if path.exists() {
            let waiting = Genesis::read(&path)?;
            waiting.check_against(self.world, &definitions)?;
            waiting
        } else {
            let public = genesis::keys_of_keyless(self.world, &definitions.roles)?;
            let (roles, without_key) = world::roles(&definitions.roles, &public);
            for principal in &without_key {
                say(format!(
                    "{principal} has no key yet and is left out; a later roles entry adds them."
                ));
            }
            Genesis::new(self.world, pipeline, roles)?
        };
        sign(self.world, genesis, &path, self.named, self.prompt)
    }
}

/// Signs with the keys of this machine, when whoever is asked agrees; then begins the ledger, or
/// keeps the entry in `path` for the next one.
fn sign(
    world: &World,
    mut genesis: Genesis,
    path: &Path,
    named: &[PathBuf],
    prompt: &mut dyn Prompt,
) -> Result<Begun, Failure> {
    let rest_is_there = |failure: Failure| {
        match failure.hint {
        Some(_) => failure,
        None => {
            failure.hint("Nothing was recorded, and everything else is in place; the same command tries this step again.")
        }
    }
    };
    if !genesis.is_signed() {
        let signers = genesis.signers_at_hand(world, named).map_err(rest_is_there)?;
        if !signers.is_empty() {
            let names: Vec<_> = signers.iter().map(|one| one.principal().as_str()).collect();
            let names = names.join(" and ");
            prompt.step(
                "Ledger",
                "The ledger is the programme's only memory: signed entries, each chained to the one before. Its first entry names who may sign what, and is signed by `root`.",
            );
            let verb = if signers.len() == 1 { "signs" } else { "sign" };
            say(format!("{names} {verb} this:\n\n{}\n", genesis.describe()));
            if !prompt.confirm(&format!("Sign it as {names}?"), true)? {
                return Ok(Begun::Not);
            }
        }
        for signer in signers {
            genesis.sign(&*signer).map_err(rest_is_there)?;
        }
    }
    if !genesis.is_signed() {
        genesis.save(path)?;
        let (needed, missing) = (genesis.still_needed(), genesis.missing());
        return Ok(Begun::Waits { file: path.to_owned(), needed, missing });
    }
    let digest: Digest = genesis.begin(world).map_err(rest_is_there)?;
    // Verified once more as everybody will read it, and remembered from here on.
    world.ledger()?;
    if path.exists() {
        std::fs::remove_file(path).map_err(|error| Failure::file("remove", path, &error))?;
    }
    Ok(Begun::Now(digest))
}

/// Signs the entry that waits in `file`, on the machine of another lead.
pub fn sign_waiting(
    world: &World,
    file: &Path,
    named: &[PathBuf],
    prompt: &mut dyn Prompt,
) -> Result<Summary, Failure> {
    let _lock = session::lock(world)?;
    if let Some(first) = genesis::store(world)?.snapshot()?.entries.first() {
        return Err(Failure::of(Exit::Ledger, &ledger::Error::NotEmpty(Digest::of(&first.bytes)))
            .hint(
                "There is nothing to sign any more; `phasegate report verify` checks the ledger.",
            ));
    }
    let genesis = Genesis::read(file)?;
    let definitions = world.definitions(&Overrides::default())?;
    genesis.check_against(world, &definitions)?;
    if !genesis.is_signed() && genesis.signers_at_hand(world, named)?.is_empty() {
        let missing: Vec<_> = genesis.missing().iter().map(ToString::to_string).collect();
        let message = format!("no key of {} is on this machine", missing.join(" or "));
        return Err(Failure::new(Exit::Ledger, message)
            .hint("Add the key to the agent with `ssh-add`, or name its file: --lead ID=FILE."));
    }
    let begun = sign(world, genesis, file, named, prompt)?;
    let state = match &begun {
        Begun::Now(_) => State::Done,
        Begun::Waits { .. } => State::Waiting,
        Begun::Not => State::Skipped,
    };
    let what = match &begun {
        Begun::Now(digest) => format!("genesis {digest}"),
        Begun::Waits { .. } => "signed, and not by enough".to_owned(),
        Begun::Not => "not signed".to_owned(),
    };
    let done = Done { step: "ledger", state, what, files: Vec::new() };
    let has_origin = git::config(&world.root, "remote.origin.url")?.is_some();
    Summary::of(world, vec![done], begun, has_origin)
}
