//! Keys of a programme's people and jobs: new ones, and which of them can sign now.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::PrincipalId;
use ledger::keys::KeyPair;
use ledger::{Signer, SshKeySigner};

use super::write::{self, Mode};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::ssh_keys::{Found, FoundSigner, add_file, beside, discover, normal};
use crate::world::World;

/// Pairs that are to be written: made in memory, so that everything is checked before.
#[derive(Debug, Default)]
pub struct NewKeys {
    /// Pairs by whose they are.
    pub pairs: BTreeMap<PrincipalId, KeyPair>,
    /// Public halves that an earlier run did not get to, by whose they are.
    pub public_halves: BTreeMap<PrincipalId, String>,
}

impl NewKeys {
    /// The public key of `principal`: of the file that an earlier run made, or of a new pair.
    pub fn public_of(&mut self, world: &World, principal: &PrincipalId) -> Result<String, Failure> {
        let path = world.key_path(principal);
        let beside = beside(&path);
        let is_there = |path: &std::path::Path| path.symlink_metadata().is_ok();
        if is_there(&path) {
            // From the key itself: the file beside it is only for people.
            let signer = SshKeySigner::from_file(principal.clone(), &path)?;
            let public = signer.public_key().to_openssh();
            if !is_there(&beside) {
                self.public_halves.insert(principal.clone(), public.clone());
            }
            return Ok(public);
        }
        if is_there(&beside) {
            let message = format!("{} is there without its private half", beside.display());
            return Err(Failure::new(Exit::Ledger, message)
                .hint(format!("Name it when it is the key of {principal} (--lead {principal}={}), or move it away.", beside.display())));
        }
        if let Some(pair) = self.pairs.get(principal) {
            return normal(&pair.public_openssh).map_err(|error| Failure::new(Exit::Ledger, error));
        }
        let pair = ledger::keys::generate_ed25519(None)
            .map_err(|error| Failure::of(Exit::Ledger, &error))?;
        let public =
            normal(&pair.public_openssh).map_err(|error| Failure::new(Exit::Ledger, error))?;
        self.pairs.insert(principal.clone(), pair);
        Ok(public)
    }

    /// Those for whom something has to be written.
    pub fn principals(&self) -> Vec<PrincipalId> {
        self.pairs.keys().chain(self.public_halves.keys()).cloned().collect()
    }

    /// Writes what is missing of the pair of `principal`; never over another file.
    pub fn write(&self, world: &World, principal: &PrincipalId) -> Result<(), Failure> {
        let path = format!(".phasegate/keys/{principal}");
        let mut public = self.public_halves.get(principal);
        if let Some(pair) = self.pairs.get(principal) {
            write::new_file(world, &path, &pair.private_openssh, Mode::Private)?;
            let shown = world.key_path(principal);
            say(format!(
                "Made a key for {principal}: {}. Keep it; it is in no backup.",
                shown.display()
            ));
            public = Some(&pair.public_openssh);
        }
        match public {
            Some(public) => {
                write::new_file(world, &format!("{path}.pub"), &format!("{public}\n"), Mode::Usual)
            }
            None => Ok(()),
        }
    }
}

/// Somebody who can sign for `principal` on this machine with one of `keys`, if there is one.
/// `named` are key files that somebody named for this run.
pub fn at_hand(
    world: &World,
    principal: &PrincipalId,
    keys: &[String],
    named: &[PathBuf],
) -> Result<Option<Box<dyn Signer>>, Failure> {
    let keys: Vec<String> = keys.iter().filter_map(|key| normal(key).ok()).collect();
    let own = world.key_path(principal);
    if own.symlink_metadata().is_ok() {
        let signer = SshKeySigner::from_file(principal.clone(), &own)?;
        if keys.contains(&signer.public_key().to_openssh()) {
            return Ok(Some(Box::new(signer)));
        }
    }
    let signing_key = super::git::config(&world.root, "user.signingkey")?;
    let mut found = Vec::new();
    for path in named {
        add_file(&mut found, path, "named");
    }
    found.extend(discover(signing_key.as_deref()));
    let usable = |one: &&Found| keys.contains(&one.public) && one.can_sign();
    let Some(found) = found.iter().find(usable) else { return Ok(None) };
    Ok(Some(Box::new(FoundSigner::new(principal.clone(), found)?)))
}
