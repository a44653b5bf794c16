//! Which person runs a command, and the key that they sign with.
//!
//! People sign through `ssh-keygen`, so that keys in an agent, on a security key or behind a
//! passphrase work. Private keys are never read here.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use base::PrincipalId;
use ledger::keys::PublicKey;
use ledger::{PrincipalKind, Roles, Signer, SshKeygenSigner};
use tempfile::TempDir;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::wizard::prompt::Prompt;
use crate::wizard::terminal::Terminal;
use crate::world::World;

/// Who signs, and with what.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct As {
    /// Who you are [default: whoever has the key]
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub who: Option<PrincipalId>,
    /// Your key: a private key file, or a public one whose private half is in the agent [default:
    /// git's user.signingkey, the agent's keys, the keys of this repository, ~/.ssh]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Sign what is shown without asking
    #[arg(long)]
    pub yes: bool,
}

/// A person who can sign.
pub struct Person {
    signer: SshKeygenSigner,
    /// Holds the public half of a key that lies in no file.
    _scratch: Option<TempDir>,
}

impl Person {
    /// Their name in the roles.
    pub fn id(&self) -> &PrincipalId {
        self.signer.principal()
    }

    /// What signs for them.
    pub fn signer(&self) -> &dyn Signer {
        &self.signer
    }
}

/// A key that may be the person's.
struct Candidate {
    public: PublicKey,
    /// A key file, or nothing when only an agent has it.
    file: Option<PathBuf>,
}

impl As {
    /// Finds the person in `roles`, of which there may be several versions: those in force, and
    /// those that are proposed.
    ///
    /// # Errors
    /// When no key at hand belongs to a person of the roles, or the key belongs to somebody else.
    pub fn find(&self, world: &World, roles: &[&Roles]) -> Result<Person, Failure> {
        let candidates = match &self.key {
            Some(file) => vec![named(file)?],
            None => candidates(world, self.who.as_ref()),
        };
        let mut others = Vec::new();
        for candidate in candidates {
            let owner = roles.iter().find_map(|roles| {
                let owner = roles.owner_of(&candidate.public)?;
                let is_human =
                    roles.principal(owner).is_some_and(|one| one.kind == PrincipalKind::Human);
                is_human.then(|| owner.clone())
            });
            match owner {
                Some(owner) if self.who.as_ref().is_none_or(|who| *who == owner) => {
                    return person(owner, &candidate);
                }
                Some(owner) => others.push(owner.to_string()),
                None => {}
            }
        }
        Err(self.nobody(roles, &others))
    }

    /// Asks whether what was shown is to be signed: most keys sign at once, and nobody signs what
    /// they have not seen.
    ///
    /// # Errors
    /// When the answer is no, or nobody can be asked and `--yes` is not given.
    pub fn agree(&self, person: &Person) -> Result<(), Failure> {
        let who = person.id();
        let key = person.signer.public_key().fingerprint();
        if self.yes {
            say(format!("Signing as {who} with the key {key}."));
            return Ok(());
        }
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(Failure::new(Exit::Usage, format!("{who} has to be asked before anything is signed, and there is no terminal to ask on"))
                .hint("Nothing was recorded. Read what is shown, and add --yes to sign it."));
        }
        let unsigned = || Failure::new(Exit::Interrupted, "not signed; nothing was recorded");
        let question = format!("Sign it as {who} with the key {key}?");
        match Terminal::new()?.confirm(&question, false) {
            Ok(true) => Ok(()),
            Ok(false) => Err(unsigned()),
            Err(failure) if failure.exit == Exit::Interrupted => Err(unsigned()),
            Err(failure) => Err(failure),
        }
    }

    fn nobody(&self, roles: &[&Roles], others: &[String]) -> Failure {
        let people = roles.iter().flat_map(|roles| &roles.principals);
        let mut people: Vec<&str> = people
            .filter(|one| one.kind == PrincipalKind::Human)
            .map(|one| one.id.as_str())
            .collect();
        people.sort_unstable();
        people.dedup();
        let failure = match (&self.who, &self.key) {
            (Some(who), _) if !people.contains(&who.as_str()) => {
                Failure::new(Exit::Ledger, format!("the roles have no person `{who}`"))
            }
            (Some(who), _) if !others.is_empty() => Failure::new(
                Exit::Ledger,
                format!("the key belongs to {}, not to {who}", others.join(", ")),
            ),
            (_, Some(file)) => Failure::new(
                Exit::Ledger,
                format!("no person of the roles has the key in {}", file.display()),
            ),
            (_, None) => {
                Failure::new(Exit::Ledger, "no key at hand belongs to a person of the roles")
            }
        };
        failure.hint(format!(
            "People: {}. Name your key with --key; `cargo xtask roles show` lists the keys.",
            people.join(", ")
        ))
    }
}

fn person(owner: PrincipalId, candidate: &Candidate) -> Result<Person, Failure> {
    let (file, scratch) = match &candidate.file {
        Some(file) => (file.clone(), None),
        None => {
            // ssh-keygen finds a key in the agent by its public half, which it reads from a file.
            let folder = tempfile::Builder::new().prefix("phasegate-").tempdir();
            let folder =
                folder.map_err(|error| Failure::file("make", &std::env::temp_dir(), &error))?;
            let file = folder.path().join("key.pub");
            let text = format!("{}\n", candidate.public.to_openssh());
            std::fs::write(&file, text).map_err(|error| Failure::file("write", &file, &error))?;
            (file, Some(folder))
        }
    };
    let signer = SshKeygenSigner::new(owner, &file)?;
    Ok(Person { signer, _scratch: scratch })
}

/// The key in a file that was named; a mistake in it is told.
fn named(file: &Path) -> Result<Candidate, Failure> {
    let public_file = public_half(file);
    let text = std::fs::read_to_string(&public_file)
        .map_err(|error| Failure::file("read", &public_file, &error))?;
    let public = PublicKey::parse(&text).map_err(|error| {
        Failure::new(Exit::Ledger, format!("{}: {error}", public_file.display()))
    })?;
    Ok(Candidate { public, file: Some(file.to_owned()) })
}

fn public_half(file: &Path) -> PathBuf {
    if file.extension() == Some(OsStr::new("pub")) {
        return file.to_owned();
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Every key at hand that may be a person's, in the order in which they are tried. What cannot be
/// read is no candidate.
fn candidates(world: &World, who: Option<&PrincipalId>) -> Vec<Candidate> {
    let mut found = Vec::new();
    if let Some(key) = output("git", &["config", "--get", "user.signingkey"], &world.root) {
        found.extend(git_key(key.trim()));
    }
    let listed = output("ssh-add", &["-L"], &world.root).unwrap_or_default();
    let agent = listed.lines().filter_map(|line| PublicKey::parse(line).ok());
    found.extend(agent.map(|public| Candidate { public, file: None }));
    let own = world.state_dir().join("keys");
    match who {
        Some(who) => found.extend(in_file(&own.join(who.as_str()))),
        None => found.extend(in_folder(&own)),
    }
    if let Some(home) = std::env::var_os("HOME") {
        found.extend(in_folder(&Path::new(&home).join(".ssh")));
    }
    found
}

/// git names a file, or a key itself after `key::`.
fn git_key(text: &str) -> Option<Candidate> {
    let literal = text.strip_prefix("key::").or(text.starts_with("ssh-").then_some(text));
    if let Some(literal) = literal {
        let public = PublicKey::parse(literal).ok()?;
        return Some(Candidate { public, file: None });
    }
    let path = match text.strip_prefix("~/") {
        Some(below) => Path::new(&std::env::var_os("HOME")?).join(below),
        None => PathBuf::from(text),
    };
    in_file(&path)
}

fn in_file(file: &Path) -> Option<Candidate> {
    named(file).ok()
}

/// The keys in a folder whose public half lies beside them, in the order of their names.
fn in_folder(folder: &Path) -> Vec<Candidate> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new("pub")))
        .map(|path| path.with_extension(""))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.iter().filter_map(|file| in_file(file)).collect()
}

/// What a program prints; nothing when it is not there or fails.
fn output(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let command = duct::cmd(program, arguments).dir(folder).stdin_null().stderr_null();
    command.read().ok()
}
