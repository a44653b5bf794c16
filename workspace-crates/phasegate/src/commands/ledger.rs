//! `ledger`: start the ledger of a programme.

use base::PipelineId;
use clap::Subcommand;
use definition::Overrides;
use ledger::LedgerStore;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::session;
use crate::wizard::genesis::{self, Genesis};
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
    let store = genesis::store(world)?;
    let snapshot = store.snapshot()?;
    if let Some(first) = snapshot.entries.first() {
        let error = ledger::Error::NotEmpty(base::Digest::of(&first.bytes));
        return Err(Failure::of(Exit::Ledger, &error)
            .hint("`cargo xtask report verify` checks it; a repository has one ledger."));
    }
    let definitions = world.definitions(&Overrides::default())?;
    let pipeline = world::pipeline(&definitions, Some(id))?;
    let public = genesis::keys_of_keyless(world, &definitions.roles)?;
    let (roles, without_key) = world::roles(&definitions.roles, &public);
    for principal in &without_key {
        say(format!("{principal} has no key yet and is left out; a later roles entry adds them."));
    }
    let mut genesis = Genesis::new(world, pipeline, roles)?;
    for signer in genesis.signers_at_hand(world, &[])? {
        genesis.sign(&*signer)?;
    }
    if !genesis.is_signed() {
        let missing: Vec<_> = genesis.missing().iter().map(ToString::to_string).collect();
        let message = format!(
            "`root` cannot sign here: the keys of {} are not on this machine",
            missing.join(", ")
        );
        return Err(Failure::new(Exit::Ledger, message)
            .hint("`phasegate init` prepares the entry for the others to sign."));
    }
    print(&format!("genesis {}\n", genesis.begin(world)?))?;
    say("Publish this digest where participants will look for it: it names the ledger.");
    Ok(Exit::Done)
}
