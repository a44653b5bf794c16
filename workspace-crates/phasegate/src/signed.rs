//! Entries that a person signs: appended, or decided anew when somebody else was first.

use std::collections::BTreeMap;

use base::{Digest, Instant};
use ledger::{Body, Draft, GitStore, Ledger, Signer, VerifiedLedger};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::session;
use crate::world::{self, World};

/// How often an entry is decided and signed anew before the command gives up.
const ATTEMPTS_MAX: u32 = 5;

/// The ledger of this repository, opened to append what people sign.
pub struct Book {
    /// The ledger, verified.
    pub ledger: Ledger<GitStore>,
    world: World,
}

impl Book {
    /// Opens the ledger; needs no key.
    pub fn open(world: &World) -> Result<Self, Failure> {
        Ok(Self { ledger: world.shared_ledger()?, world: world.clone() })
    }

    /// What has been written so far.
    pub fn view(&self) -> &VerifiedLedger {
        self.ledger.view()
    }

    /// The time of the next entry: now, and never before the newest one.
    pub fn time(&self) -> Instant {
        world::now().max(self.view().last().entry.time)
    }

    /// Appends what `decide` makes of the ledger, signed by `signer`, and gives the digest of the
    /// entry. When somebody else appends first, `decide` looks at the new entries.
    pub fn append(
        &mut self,
        signer: &dyn Signer,
        decide: &dyn Fn(&Self) -> Result<Body, Failure>,
    ) -> Result<Digest, Failure> {
        // Two on one machine take turns; nobody waits for a person who reads or is asked.
        let _lock = session::lock(&self.world)?;
        for _ in 0..ATTEMPTS_MAX {
            let body = decide(self)?;
            let draft = Draft::new(self.time(), self.world.pins()?, body);
            match self.ledger.append(draft, &[signer], BTreeMap::new()) {
                Ok(()) => return Ok(self.view().last().digest),
                Err(error) if error.is_conflict() => {
                    say("Somebody else appended first; looking at that, and signing anew.");
                    self.ledger.refresh()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::new(
            Exit::Ledger,
            format!("somebody else appended first, {ATTEMPTS_MAX} times in a row"),
        )
        .hint("Nothing of yours was appended. Try again when the weekly job is through."))
    }

    /// Carries out every waiver and change of roles that has enough approvals, signed by `signer`.
    pub fn carry_out(&mut self, signer: &dyn Signer) -> Result<(), Failure> {
        while let Some(body) = self.view().ready(self.time()) {
            let text = match &body {
                Body::Waiver(one) => {
                    format!("{}/{} is waived until {}.", one.phase, one.gate, one.expires)
                }
                Body::Roles(one) => {
                    format!("Version {} of the roles is in force.", one.roles.version)
                }
                _ => String::new(),
            };
            self.append(signer, &|_| Ok(body.clone()))?;
            say(text);
            if matches!(body, Body::Roles(_)) {
                self.say_what_follows();
            }
        }
        Ok(())
    }

    /// Says what has to follow a change of roles.
    pub fn say_what_follows(&self) {
        if let Some(text) = session::voids(self.view()) {
            say(text);
        }
    }
}
