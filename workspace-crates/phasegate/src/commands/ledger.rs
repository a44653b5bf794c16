//! `ledger`: start the ledger of a programme.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::{NetworkId, PipelineId, PrincipalId};
use clap::Subcommand;
use definition::Overrides;
use ledger::{Draft, GitStore, Ledger, LedgerStore, Signer, SshKeySigner};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::remote;
use crate::session;
use crate::world::{self, World};

/// Start the ledger of a programme
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the genesis entry; keys that are missing are made
    #[command(after_help = "Example:
  cargo xtask ledger init sequencer-prover-testnet")]
    Init {
        /// The pipeline whose ledger it is
        pipeline: PipelineId,
    },
}

/// Carries out `ledger init`.
pub fn run(world: &World, command: &Command) -> Outcome {
    match command {
        Command::Init { pipeline } => init(world, pipeline),
    }
}

fn init(world: &World, id: &PipelineId) -> Outcome {
    let _lock = session::lock(world)?;
    // Before any key is made: keys of a second beginning would belong to nobody.
    let store = remote::to_change(GitStore::open(&world.root)?)?;
    let snapshot = store.snapshot()?;
    if let Some(first) = snapshot.entries.first() {
        let error = ledger::Error::NotEmpty(base::Digest::of(&first.bytes));
        return Err(Failure::of(Exit::Ledger, &error)
            .hint("`cargo xtask report verify` checks it; a repository has one ledger."));
    }
    let definitions = world.definitions(&Overrides::default())?;
    let pipeline = world::pipeline(&definitions, Some(id))?;
    let own = [ledger::roles::ROOT, ledger::roles::LEAD, ledger::roles::EVALUATOR];
    let mut public = BTreeMap::new();
    for principal in &definitions.roles.principals {
        let is_ours = own.iter().any(|role| {
            definitions.roles.roles.get(*role).is_some_and(|role| role.of.contains(&principal.id))
        });
        if principal.keys.is_empty() && is_ours {
            let key = make_key(world, &principal.id)?;
            public.insert(principal.id.clone(), key);
        }
    }
    let (roles, without_key) = world::roles(&definitions.roles, &public);
    for principal in &without_key {
        say(format!("{principal} has no key yet and is left out; a later roles entry adds them."));
    }
    let mut signers = Vec::new();
    for member in
        roles.roles.get(ledger::roles::ROOT).map(|role| role.of.clone()).unwrap_or_default()
    {
        signers.push(SshKeySigner::from_file(member.clone(), &world.key_path(&member))?);
    }
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| signer as &dyn Signer).collect();
    let files =
        BTreeMap::from([("allowed_signers".to_owned(), roles.allowed_signers().into_bytes())]);
    let genesis = ledger::body::Genesis {
        pipeline: pipeline.id.clone(),
        roles,
        note: "The weekly job advances phases whose gates all pass.".to_owned(),
    };
    let network = NetworkId::new(pipeline.id.as_str())
        .map_err(|error| Failure::new(Exit::Definition, error))?;
    let draft = Draft::new(world::now(), world.pins()?, genesis);
    let ledger = Ledger::create(store, network, draft, &signers, files)?;
    print(&format!("genesis {}\n", ledger.view().genesis().digest))?;
    say("Publish this digest where participants will look for it: it names the ledger.");
    Ok(Exit::Done)
}

/// The public key of `principal`, whose pair is made when there is none.
fn make_key(world: &World, principal: &PrincipalId) -> Result<String, Failure> {
    let path = world.key_path(principal);
    if path.exists() {
        // From the key itself: the file beside it is only for people.
        let signer = SshKeySigner::from_file(principal.clone(), &path)?;
        return Ok(signer.public_key().to_openssh());
    }
    let pair =
        ledger::keys::generate_ed25519(None).map_err(|error| Failure::of(Exit::Ledger, &error))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    }
    write_private(&path, &pair.private_openssh)?;
    let mut public_path = path.clone().into_os_string();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    std::fs::write(&public_path, format!("{}\n", pair.public_openssh))
        .map_err(|error| Failure::file("write", &public_path, &error))?;
    say(format!("Made a key for {principal}: {}. Keep it; it is in no backup.", path.display()));
    Ok(pair.public_openssh)
}

/// Writes a file that only its owner can read, and never over another.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::file("write", path, &error))
}
