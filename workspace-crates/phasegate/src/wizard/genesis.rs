//! The first entry of a ledger: made once, signed by enough of `root`, perhaps on several machines.
//!
//! Where one machine cannot sign for all, the entry's exact bytes wait in a file that travels from
//! one to the next; each adds a signature, and the last one begins the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::{Digest, Duration, NetworkId, PrincipalId};
use definition::{Definitions, Pipeline};
use ledger::entry::ENTRY_BYTES_MAX;
use ledger::keys::PublicKey;
use ledger::store::NewAppend;
use ledger::{Body, Draft, Entry, GitStore, Ledger, Policy, Roles, Signer};
use serde::{Deserialize, Serialize};

use super::keys::{self, NewKeys};
use super::write;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::remote;
use crate::ssh_keys;
use crate::world::{self, World};

/// The setting of git that names the remote through which the ledger is shared.
pub const REMOTE_SETTING: &str = "phasegate.remote";

/// The version of the file in which an entry waits.
const SCHEMA: u32 = 1;

/// An entry with a signature of everybody is not much larger.
const WAITING_BYTES_MAX: usize = 4 * ENTRY_BYTES_MAX;

/// How far the clock of another machine may be ahead of this one.
const SKEW_MAX: Duration = Duration::from_minutes(10);

/// A genesis entry and who has signed it.
#[derive(Debug, Clone)]
pub struct Genesis {
    entry: Entry,
    /// The exact bytes that are signed and stored.
    bytes: Vec<u8>,
    /// The roles that the entry brings.
    pub roles: Roles,
    /// Armored SSHSIG by principal.
    signatures: BTreeMap<PrincipalId, String>,
}

/// The file in which an entry waits for signatures.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    schema: u32,
    /// The exact bytes of the entry, which are text.
    entry: String,
    signatures: BTreeMap<PrincipalId, String>,
}

/// Where an entry waits on the machine that made it.
pub fn waiting_path(world: &World) -> PathBuf {
    world.state_dir().join("genesis.json")
}

/// The store that the ledger is begun in, and the remote that it is shared through.
pub fn store(world: &World) -> Result<GitStore, Failure> {
    remote::to_change(GitStore::open(&world.root)?)
}

/// The public keys of those of `root`, `lead` and `evaluator` for whom the definitions have none.
/// Keys that are missing are made and written.
pub fn keys_of_keyless(
    world: &World,
    roles: &definition::Roles,
) -> Result<BTreeMap<PrincipalId, String>, Failure> {
    let own = [ledger::roles::ROOT, ledger::roles::LEAD, ledger::roles::EVALUATOR];
    let mut public = BTreeMap::new();
    for principal in roles.principals.iter().filter(|one| one.keys.is_empty()) {
        let is_member = |role: &&str| {
            roles.roles.get(*role).is_some_and(|role| role.of.contains(&principal.id))
        };
        if own.iter().any(is_member) {
            let mut new = NewKeys::default();
            public.insert(principal.id.clone(), new.public_of(world, &principal.id)?);
            new.write(world, &principal.id)?;
        }
    }
    Ok(public)
}

impl Genesis {
    /// The genesis entry of the pipeline as the definitions are now; nobody has signed it yet.
    pub fn new(world: &World, pipeline: &Pipeline, roles: Roles) -> Result<Self, Failure> {
        roles.check().map_err(|error| Failure::of(Exit::Definition, &error))?;
        let note = match roles.policy {
            Policy::Solo => "The weekly job advances phases whose gates all pass.",
            Policy::Quorum => {
                "Phases whose gates all pass advance when enough leads have approved."
            }
        };
        let body = ledger::body::Genesis {
            pipeline: pipeline.id.clone(),
            roles: roles.clone(),
            note: note.to_owned(),
        };
        let network = NetworkId::new(pipeline.id.as_str())
            .map_err(|error| Failure::new(Exit::Definition, error))?;
        let entry = Entry::genesis(network, Draft::new(world::now(), world.pins()?, body));
        let bytes = entry.to_bytes().map_err(|error| Failure::of(Exit::Failed, &error))?;
        Ok(Self { entry, bytes, roles, signatures: BTreeMap::new() })
    }

    /// Reads an entry that waits. Its signatures are verified; whether they are enough is not.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(
                Exit::NotVerified,
                format!("{} is no entry that waits for signatures: {why}", path.display()),
            )
            .hint("Ask for the file again; the one who began has it as .phasegate/genesis.json.")
        };
        let bytes = ssh_keys::read_file(path, WAITING_BYTES_MAX as u64)
            .map_err(|error| Failure::file("read", path, &error))?;
        let waiting: Waiting = ledger::parse_strict(&bytes, WAITING_BYTES_MAX)
            .map_err(|error| wrong(&report::clean(&error.to_string())))?;
        if waiting.schema != SCHEMA {
            return Err(wrong(&format!("its version is {}, not {SCHEMA}", waiting.schema)));
        }
        let bytes = waiting.entry.into_bytes();
        let entry =
            Entry::from_bytes(&bytes).map_err(|error| wrong(&report::clean(&error.to_string())))?;
        let Body::Genesis(body) = &entry.body else { return Err(wrong(&"it is a later entry")) };
        let roles = body.roles.clone();
        roles.check().map_err(|error| wrong(&error))?;
        let read = Self { entry, bytes, roles, signatures: waiting.signatures };
        read.check_signatures().map_err(|error| wrong(&error))?;
        Ok(read)
    }

    fn check_signatures(&self) -> Result<(), String> {
        for (id, signature) in &self.signatures {
            if !self.roles.is_member(ledger::roles::ROOT, id) {
                return Err(format!("`{id}` signed and is not of `root`"));
            }
            let keys: Vec<PublicKey> =
                self.keys_of(id).iter().filter_map(|key| PublicKey::parse(key).ok()).collect();
            ledger::sshsig::verify_detached(
                &keys,
                ledger::LEDGER_NAMESPACE,
                &self.bytes,
                signature.as_bytes(),
            )
            .map_err(|error| format!("the signature of `{id}` does not verify: {error}"))?;
        }
        Ok(())
    }

    /// Checks that the entry says what the definitions here say: nobody signs what they do not see.
    pub fn check_against(&self, world: &World, definitions: &Definitions) -> Result<(), Failure> {
        let differs = |what: &str| {
            Failure::new(Exit::NotVerified, format!("the entry and this repository differ: {what}"))
                .hint("Bring the repository to the commit that the entry was made from; when the definitions have changed since, begin anew: delete the file and run `phasegate init`.")
        };
        let pins = world.pins()?;
        if self.entry.pins.pipeline != pins.pipeline || self.entry.pins.stages != pins.stages {
            return Err(differs("the files of `pipeline/` or `stages/` are others"));
        }
        let (roles, _) = world::roles(&definitions.roles, &BTreeMap::new());
        let normal = |roles: &Roles| {
            let mut roles = roles.clone();
            for principal in &mut roles.principals {
                for key in &mut principal.keys {
                    if let Ok(parsed) = PublicKey::parse(key) {
                        *key = parsed.to_openssh();
                    }
                }
            }
            roles
        };
        if normal(&self.roles) != normal(&roles) {
            return Err(differs("its roles are not those of pipeline/roles.toml"));
        }
        if self.entry.time > world::now() + SKEW_MAX {
            return Err(differs(&format!(
                "it is dated {}, which is still to come",
                self.entry.time
            )));
        }
        Ok(())
    }

    fn keys_of(&self, id: &PrincipalId) -> &[String] {
        self.roles.principal(id).map_or(&[], |one| one.keys.as_slice())
    }

    fn root(&self) -> &[PrincipalId] {
        self.roles.roles.get(ledger::roles::ROOT).map_or(&[], |role| role.of.as_slice())
    }

    /// Those of `root` who have not signed.
    pub fn missing(&self) -> Vec<PrincipalId> {
        let unsigned = self.root().iter().filter(|id| !self.signatures.contains_key(*id));
        unsigned.cloned().collect()
    }

    /// How many signatures are still needed.
    pub fn still_needed(&self) -> usize {
        let threshold = self.roles.roles.get(ledger::roles::ROOT).map_or(0, |role| role.threshold);
        (threshold as usize).saturating_sub(self.signatures.len())
    }

    /// Whether enough have signed.
    pub fn is_signed(&self) -> bool {
        let signers: BTreeSet<_> = self.signatures.keys().cloned().collect();
        self.roles.reaches_threshold(ledger::roles::ROOT, &signers)
    }

    /// Those of `root` who can sign on this machine and have not yet, up to the threshold.
    pub fn signers_at_hand(
        &self,
        world: &World,
        named: &[PathBuf],
    ) -> Result<Vec<Box<dyn Signer>>, Failure> {
        let mut signers = Vec::new();
        for id in self.missing() {
            if signers.len() < self.still_needed() {
                signers.extend(keys::at_hand(world, &id, self.keys_of(&id), named)?);
            }
        }
        Ok(signers)
    }

    /// Adds the signature of `signer`.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), Failure> {
        let signature = signer.sign(ledger::LEDGER_NAMESPACE, &self.bytes)?;
        self.signatures.insert(signer.principal().clone(), signature);
        Ok(())
    }

    /// Writes the entry with its signatures, so that the next one can sign.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let entry = String::from_utf8(self.bytes.clone())
            .map_err(|error| Failure::of(Exit::Failed, &error))?;
        let waiting = Waiting { schema: SCHEMA, entry, signatures: self.signatures.clone() };
        let text = serde_json::to_string_pretty(&waiting)
            .map_err(|error| Failure::of(Exit::Failed, &error))?;
        write::own_file(path, &format!("{text}\n"))
    }

    /// Begins the ledger with this entry.
    pub fn begin(&self, world: &World) -> Result<Digest, Failure> {
        let new = NewAppend {
            seq: self.entry.seq,
            time: self.entry.time,
            summary: self.entry.summary(),
            entry: self.bytes.clone(),
            signatures: self.signatures.clone(),
            files: BTreeMap::new(),
        };
        let ledger = Ledger::begin(store(world)?, &new)?;
        Ok(ledger.view().genesis().digest)
    }

    /// Everything that a signature stands for, in the order of reading.
    pub fn describe(&self) -> String {
        let Entry { pins, time, .. } = &self.entry;
        let Body::Genesis(body) = &self.entry.body else { return String::new() };
        let policy = match self.roles.policy {
            Policy::Solo => "solo: one person decides alone, and every report says so",
            Policy::Quorum => "quorum: nobody decides alone",
        };
        let mut text = format!(
            "  pipeline     {}\n  policy       {policy}\n  time         {time}\n  note         {}\n",
            body.pipeline,
            report::clean(&body.note)
        );
        for (name, role) in &self.roles.roles {
            let of: Vec<_> = role.of.iter().map(|id| id.as_str()).collect();
            let (threshold, name) = (role.threshold, report::clean(name));
            text.push_str(&format!(
                "  {name:<12} {} ({threshold} of {})\n",
                of.join(", "),
                of.len()
            ));
        }
        for principal in &self.roles.principals {
            for key in principal.keys.iter().filter_map(|key| PublicKey::parse(key).ok()) {
                text.push_str(&format!(
                    "  key          {} of {}\n",
                    key.fingerprint(),
                    principal.id
                ));
            }
        }
        text.push_str(&format!(
            "  pipeline/    {}\n  stages/      {}\n",
            pins.pipeline, pins.stages
        ));
        text.push_str(&format!("  judged by    {}\n", report::clean(&pins.evaluator)));
        text.push_str(&format!("  digest       {}", Digest::of(&self.bytes)));
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{SCHEMA, Waiting};

    #[test]
    fn the_file_in_which_an_entry_waits_is_pinned() {
        let signatures = BTreeMap::from([("ada".parse().unwrap(), "-----BEGIN\n".to_owned())]);
        let waiting = Waiting { schema: SCHEMA, entry: "{\"a\":1}".to_owned(), signatures };
        let text = "{\n  \"schema\": 1,\n  \"entry\": \"{\\\"a\\\":1}\",\n  \"signatures\": {\n    \"ada\": \"-----BEGIN\\n\"\n  }\n}";
        assert_eq!(serde_json::to_string_pretty(&waiting).unwrap(), text);
    }
}
