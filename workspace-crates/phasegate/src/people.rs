//! Which person runs a command, and the key that they sign with.

use std::io::IsTerminal;
use std::path::PathBuf;

use base::PrincipalId;
use ledger::keys::PublicKey;
use ledger::{PrincipalKind, Roles, Signer};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::ssh_keys::{self, Found, FoundSigner};
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
    /// git's user.signingkey, the agent's keys, ~/.ssh, the keys of this repository]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Sign what is shown without asking
    #[arg(long)]
    pub yes: bool,
}

/// A person who can sign.
pub struct Person(FoundSigner);

impl Person {
    /// Their name in the roles.
    pub fn id(&self) -> &PrincipalId {
        self.0.principal()
    }

    /// What signs for them.
    pub fn signer(&self) -> &dyn Signer {
        &self.0
    }
}

impl As {
    /// Finds the person in `roles`, of which there may be several versions: those in force, and
    /// those that are proposed.
    ///
    /// # Errors
    /// When no key at hand belongs to a person of the roles, or the key belongs to somebody else.
    pub fn find(&self, world: &World, roles: &[&Roles]) -> Result<Person, Failure> {
        let mut others = Vec::new();
        for found in self.candidates(world)?.into_iter().filter(Found::can_sign) {
            let owner = roles.iter().enumerate().find_map(|(at, version)| {
                let owner = version.owner_of(&PublicKey::parse(&found.public).ok()?)?;
                let is_human =
                    version.principal(owner).is_some_and(|one| one.kind == PrincipalKind::Human);
                // Whom earlier versions list signs with a key that they hold.
                let is_known = roles[..at].iter().any(|one| one.principal(owner).is_some());
                (is_human && !is_known).then(|| owner.clone())
            });
            match owner {
                Some(owner) if self.who.as_ref().is_none_or(|who| *who == owner) => {
                    let signer = FoundSigner::new(owner, &found)?;
                    return Ok(Person(signer));
                }
                Some(owner) => others.push(owner.to_string()),
                None => {}
            }
        }
        Err(self.nobody(roles, &others))
    }

    /// Every key at hand that may be the person's, in the order in which they are tried.
    fn candidates(&self, world: &World) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        if let Some(file) = &self.key {
            // A mistake in what was named is told.
            ssh_keys::read_public(&file.to_string_lossy())
                .map_err(|error| Failure::new(Exit::Ledger, error))?;
            ssh_keys::add_file(&mut found, file, "named");
            // A public half alone stands for a key in the agent.
            found.iter_mut().for_each(|one| one.in_agent |= one.file.is_none());
            return Ok(found);
        }
        let own = world.state_dir().join("keys");
        if let Some(who) = &self.who {
            ssh_keys::add_file(&mut found, &world.key_path(who), "this repository");
        }
        let signing_key = crate::wizard::git::config(&world.root, "user.signingkey")?;
        found.extend(ssh_keys::discover(signing_key.as_deref()));
        ssh_keys::add_folder(&mut found, &own, ".phasegate/keys");
        Ok(found)
    }

    /// Asks whether what was shown is to be signed: most keys sign at once, and nobody signs what
    /// they have not seen.
    ///
    /// # Errors
    /// When the answer is no, or nobody can be asked and `--yes` is not given.
    pub fn agree(&self, person: &Person) -> Result<(), Failure> {
        let who = person.id();
        let key = person.signer().public_key().fingerprint();
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
            (Some(who), Some(_)) if !others.is_empty() => Failure::new(
                Exit::Ledger,
                format!("the key belongs to {}, not to {who}", others.join(", ")),
            ),
            (_, Some(file)) => Failure::new(
                Exit::Ledger,
                format!("no person of the roles has the key in {}", file.display()),
            ),
            (Some(who), None) => Failure::new(Exit::Ledger, format!("no key of {who} is at hand")),
            (None, None) => {
                Failure::new(Exit::Ledger, "no key at hand belongs to a person of the roles")
            }
        };
        failure.hint(format!(
            "People: {}. Name your key with --key; `cargo xtask roles show` lists the keys.",
            people.join(", ")
        ))
    }
}
