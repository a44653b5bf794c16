//! The repository that a command works in: its root, definitions, ledger, keys and state.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base::{Instant, PipelineId, PrincipalId};
use calendar::{Calendar, CalendarLint};
use definition::{Checked, Definitions, Lint, Operation, Overrides, Phase, Pipeline};
use diagnostics::Diagnostic;
use gates::GateLint;
use ledger::{GitStore, Ledger, Pins, Secrets, SshKeySigner, StoreError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Painted, count, say, say_painted, stderr_has_colour};
use crate::remote;

/// How far the clocks of those who write a ledger and of those who read it may differ.
pub const CLOCK_SKEW: base::Duration = base::Duration::from_minutes(10);

/// The file of the state folder that remembers the newest verified entry.
const SEEN: &str = "seen.json";

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Root of the repository: the folder with `pipeline/` and `stages/` [default: found upwards]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Say more on standard error
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// Changes to stage parameters.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Changes {
    /// Replace a stage parameter in every phase that has it
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Let time run this many times faster: durations shrink, rates grow
    #[arg(long, value_name = "FACTOR")]
    pub time_scale: Option<f64>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as internal_soak=10m".to_owned()),
    }
}

impl From<&Changes> for Overrides {
    fn from(changes: &Changes) -> Self {
        Self { set: changes.set.iter().cloned().collect(), time_scale: changes.time_scale }
    }
}

/// Checks networks and operations, which only drivers understand.
struct NetworkLint;

impl Lint for NetworkLint {
    fn check_network(&self, phase: &Phase, _pipeline: &Pipeline) -> Vec<Diagnostic> {
        let Ok(id) = base::NetworkId::new(phase.id.as_str()) else { return Vec::new() };
        deployment::network_spec(&phase.network, &id, 1).err().unwrap_or_default()
    }

    fn check_operation(
        &self,
        operation: &Operation,
        _phase: &Phase,
        _pipeline: &Pipeline,
    ) -> Vec<Diagnostic> {
        deployment::scheduled_action(operation).err().unwrap_or_default()
    }
}

/// What this program could give away: secrets of its environment, and the token that it reads.
pub fn secrets() -> Secrets {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let mut secrets = Secrets::in_environment(std::env::vars_os().filter_map(text));
    if let Some(path) = std::env::var_os("PHASEGATE_GITHUB_TOKEN_FILE")
        // A file that cannot be read is told where it is needed.
        && let Ok(token) = std::fs::read_to_string(path)
    {
        secrets.add("PHASEGATE_GITHUB_TOKEN_FILE", token);
    }
    secrets
}

/// The repository.
#[derive(Debug, Clone)]
pub struct World {
    /// Its root.
    pub root: PathBuf,
}

impl World {
    /// The repository that `global` names, or the one around the current directory.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        let start = match &global.root {
            Some(root) => root.clone(),
            None => std::env::current_dir()
                .map_err(|error| Failure::file("find", Path::new("."), &error))?,
        };
        let is_root = |dir: &Path| dir.join("pipeline").is_dir();
        let found = if global.root.is_some() {
            is_root(&start).then(|| start.clone())
        } else {
            start.ancestors().find(|dir| is_root(dir)).map(Path::to_owned)
        };
        match found {
            Some(root) => Ok(Self { root }),
            None => Err(Failure::new(
                Exit::Usage,
                format!("there is no folder `pipeline/` in {}", start.display()),
            )
            .hint("Run the command in a repository with definitions, or name it with --root.")),
        }
    }

    /// Where state is kept that is not committed.
    pub fn state_dir(&self) -> PathBuf {
        self.root.join(".phasegate")
    }

    /// Makes the folder of the state. It holds private keys, so git is told to leave it alone.
    pub fn make_state_dir(&self) -> Result<PathBuf, Failure> {
        let folder = self.state_dir();
        std::fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n")
                .map_err(|error| Failure::file("write", &ignore, &error))?;
        }
        Ok(folder)
    }

    /// The evidence store of this repository.
    pub fn evidence(&self) -> Result<evidence::DirStore, Failure> {
        Ok(evidence::DirStore::open(self.state_dir().join("evidence"))?)
    }

    /// Everything that checking the definitions found.
    pub fn check(&self, overrides: &Overrides) -> Result<Checked, Failure> {
        Ok(check_files(&self.files()?, overrides))
    }

    /// The definition files as they are.
    pub fn files(&self) -> Result<definition::Files, Failure> {
        definition::files::read(&self.root).map_err(|error| match error {
            definition::files::FilesError::Refused { diagnostics, sources } => {
                let text = diagnostics::render::human(&diagnostics, &sources, stderr_has_colour());
                say_painted(&Painted::by_renderer(text.trim_end().to_owned()));
                Failure::new(Exit::Definition, "the definition files cannot be used")
            }
            error => Failure::of(Exit::File, &error),
        })
    }

    /// The definitions; what is wrong with them goes to standard error.
    pub fn definitions(&self, overrides: &Overrides) -> Result<Definitions, Failure> {
        let checked = self.check(overrides)?;
        if let Some(definitions) = checked.definitions {
            return Ok(definitions);
        }
        let text =
            diagnostics::render::human(&checked.diagnostics, &checked.sources, stderr_has_colour());
        say_painted(&Painted::by_renderer(text.trim_end().to_owned()));
        let errors = checked.diagnostics.iter().filter(|one| one.is_error()).count();
        Err(Failure::new(
            Exit::Definition,
            format!("the definitions have {}", count(errors, "error", "errors")),
        )
        .hint("`cargo xtask pipeline check` shows them again."))
    }

    /// The rules and the evaluator that entries pin.
    pub fn pins(&self) -> Result<Pins, Failure> {
        let tree = |name: &str| {
            ledger::git_store::definition_id(&self.root.join(name))
                .map_err(|error| Failure::of(Exit::File, &error))
        };
        Ok(Pins {
            pipeline: tree("pipeline")?,
            stages: tree("stages")?,
            evaluator: engine::EVALUATOR.to_owned(),
        })
    }

    /// The ledger of this repository, verified, to read it. Where it is shared it is brought up to
    /// date; when the remote does not answer it is the copy here, and that is said.
    pub fn ledger(&self) -> Result<Ledger<GitStore>, Failure> {
        let (store, silence) = remote::to_read(GitStore::open(&self.root)?)?;
        match (self.verified(store), silence) {
            (Ok(ledger), Some(silence)) => {
                say(remote::notice(&silence, &ledger));
                Ok(ledger)
            }
            (ledger, _) => ledger,
        }
    }

    /// The ledger of this repository, verified, to append to it: without its remote nobody can.
    pub fn shared_ledger(&self) -> Result<Ledger<GitStore>, Failure> {
        self.verified(remote::to_change(GitStore::open(&self.root)?)?)
    }

    fn verified(&self, store: GitStore) -> Result<Ledger<GitStore>, Failure> {
        let seen = self.seen();
        let expected = ledger::Expectations {
            remembered: seen,
            verified_until: seen,
            not_after: Some(now() + CLOCK_SKEW),
            ..ledger::Expectations::default()
        };
        let ledger = Ledger::open(store, &expected).map_err(|error| match error {
            ledger::Error::Empty => Failure::new(
                Exit::Ledger,
                "this repository has no ledger yet (branch `phase-ledger`)",
            )
            .hint("Start one with `cargo xtask ledger init`, or fetch it: `git fetch origin phase-ledger:phase-ledger`. `git config phasegate.remote origin` shares it from then on."),
            error @ ledger::Error::Store(StoreError::Unreachable { .. }) => {
                Failure::of(Exit::Ledger, &error).hint("Commands that only read do without it.")
            }
            error => Failure::of(Exit::Ledger, &error)
                .hint("`cargo xtask report verify` checks the ledger; restore the branch from a clone that verifies. When you replaced the ledger on purpose, delete .phasegate/seen.json."),
        })?;
        self.remember(&ledger);
        Ok(ledger.refusing(secrets()))
    }

    /// The newest entry that this repository has verified before: a ledger that lost it was rolled
    /// back, and what lies before it need not be verified again.
    fn seen(&self) -> Option<(u64, base::Digest)> {
        let bytes = std::fs::read(self.state_dir().join(SEEN)).ok()?;
        // A damaged memory is no memory: everything is verified again.
        serde_json::from_slice(&bytes).ok()
    }

    fn remember(&self, ledger: &Ledger<GitStore>) {
        let last = ledger.view().last();
        let seen = (last.entry.seq, last.digest);
        if self.seen() == Some(seen) {
            return;
        }
        let written = serde_json::to_vec(&seen).map_err(std::io::Error::from).and_then(|bytes| {
            std::fs::create_dir_all(self.state_dir())?;
            std::fs::write(self.state_dir().join(SEEN), bytes)
        });
        // A repository that cannot be written can be read all the same.
        if let Err(error) = written {
            tracing::debug!(%error, "the newest entry cannot be remembered");
        }
    }

    /// Where the key of `principal` is looked for when nothing else is said.
    pub fn key_path(&self, principal: &PrincipalId) -> PathBuf {
        self.state_dir().join("keys").join(principal.as_str())
    }

    /// The signer of the weekly job: the key that the environment names, or that of this repository.
    pub fn signer(&self, ledger: &Ledger<GitStore>) -> Result<SshKeySigner, Failure> {
        let roles = ledger.view().roles();
        let evaluator = roles
            .roles
            .get("evaluator")
            .and_then(|role| role.of.first())
            .cloned()
            .ok_or_else(|| Failure::new(Exit::Ledger, "the ledger has no role `evaluator`"))?;
        let path = match std::env::var_os("PHASEGATE_SIGNING_KEY_FILE") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => self.key_path(&evaluator),
        };
        let signer = SshKeySigner::from_file(evaluator, &path).map_err(|error| {
            Failure::of(Exit::Ledger, &error).hint(
                "Name the key file in PHASEGATE_SIGNING_KEY_FILE; reading commands need no key.",
            )
        })?;
        roles.check_owner(&signer)?;
        Ok(signer)
    }
}

/// Everything that checking these definition files finds: what `pipeline check` says.
pub fn check_files(files: &definition::Files, overrides: &Overrides) -> Checked {
    definition::check(files, overrides, &[&GateLint, &CalendarLint, &NetworkLint])
}

/// The pipeline that is meant: the one that is named, that of the ledger, or the only one.
pub fn pipeline<'d>(
    definitions: &'d Definitions,
    named: Option<&PipelineId>,
) -> Result<&'d Pipeline, Failure> {
    let known = || definitions.pipelines.keys().map(ToString::to_string).collect::<Vec<_>>();
    match named {
        Some(id) => definitions.pipelines.get(id).ok_or_else(|| {
            let known = known();
            let near = diagnostics::suggestion(id.as_str(), known.iter().map(String::as_str));
            let failure = Failure::new(Exit::Usage, format!("there is no pipeline `{id}`"));
            failure.hint(near.unwrap_or_else(|| format!("There are: {}.", known.join(", "))))
        }),
        None => match definitions.pipelines.values().collect::<Vec<_>>().as_slice() {
            [only] => Ok(*only),
            _ => Err(Failure::new(Exit::Usage, "name a pipeline")
                .hint(format!("There are: {}.", known().join(", ")))),
        },
    }
}

/// The calendar of `pipeline`, compiled.
pub fn calendar(definitions: &Definitions, pipeline: &Pipeline) -> Result<Calendar, Failure> {
    let defined = definitions.calendars.get(&pipeline.calendar).ok_or_else(|| {
        Failure::new(Exit::Definition, format!("there is no calendar `{}`", pipeline.calendar))
    })?;
    Calendar::new(defined).map_err(|problems| {
        let text = problems.iter().map(|one| one.message.clone()).collect::<Vec<_>>();
        Failure::new(Exit::Definition, text.join("; "))
    })
}

/// The roles that the definitions state, with the keys in `keys` for those who have none.
/// Principals without any key are left out, and said so.
pub fn roles(
    defined: &definition::Roles,
    keys: &BTreeMap<PrincipalId, String>,
) -> (ledger::Roles, Vec<PrincipalId>) {
    let mut without_key = Vec::new();
    let mut principals = Vec::new();
    for principal in &defined.principals {
        let mut own = principal.keys.clone();
        own.extend(keys.get(&principal.id).filter(|_| principal.keys.is_empty()).cloned());
        if own.is_empty() {
            without_key.push(principal.id.clone());
            continue;
        }
        let kind = match principal.kind {
            definition::PrincipalKind::Human => ledger::PrincipalKind::Human,
            definition::PrincipalKind::Ci => ledger::PrincipalKind::Ci,
            definition::PrincipalKind::Organisation => ledger::PrincipalKind::Organisation,
        };
        principals.push(ledger::Principal { id: principal.id.clone(), kind, keys: own });
    }
    let policy = match defined.policy {
        definition::Policy::Solo => ledger::Policy::Solo,
        definition::Policy::Quorum => ledger::Policy::Quorum,
    };
    let roles = defined.roles.iter().filter_map(|(name, role)| {
        let of: Vec<_> = role.of.iter().filter(|id| !without_key.contains(id)).cloned().collect();
        let reachable = of.len() >= role.threshold as usize;
        let role = ledger::roles::Role { of, threshold: role.threshold };
        reachable.then(|| (name.clone(), role))
    });
    (ledger::Roles { version: 1, policy, principals, roles: roles.collect() }, without_key)
}

/// The machine's clock, in whole seconds.
pub fn now() -> Instant {
    let micros = jiff::Timestamp::now().as_second().saturating_mul(1_000_000);
    Instant::from_unix_micros(micros)
}
