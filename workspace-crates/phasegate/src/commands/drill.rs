//! `drill`: inject a fault into a live deployment and judge the response.

use base::{DeploymentId, Duration};
use clap::Subcommand;
use deployment::Driver;
use devnet::ScheduledAction;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::session;
use crate::world::World;

/// Inject a fault into a live deployment and judge the response
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Inject a fault now; drill gates of the phase judge what follows
    #[command(after_help = "Examples:
  cargo xtask drill run kill --deployment phase-1.internal.1 --action '{\"kind\":\"kill\",\"targets\":{\"role\":\"validator\",\"share\":0.25},\"duration\":\"60s\"}'
  cargo xtask drill run reorg --deployment phase-1.internal.1 --action '{\"kind\":\"l1_reorg\",\"depth\":3}'")]
    Run {
        /// Name of the drill, as events and drill gates call it
        name: String,
        /// The deployment
        #[arg(long)]
        deployment: DeploymentId,
        /// What is done, as JSON with the fields of an operation's action
        #[arg(long, value_name = "JSON")]
        action: String,
    },
}

/// Carries out `drill run`.
pub fn run(world: &World, command: &Command) -> Outcome {
    let Command::Run { name, deployment, action } = command;
    let action = serde_json::from_str(action).map_err(|error| {
        Failure::new(Exit::Usage, format!("the action is not one that a network knows: {error}"))
            .hint("The reference page of drivers lists the actions; `--help` has examples.")
    })?;
    let mut driver = session::driver(world)?;
    let action = ScheduledAction { id: name.clone(), at: Duration::ZERO, action };
    driver.inject(deployment, &action)?;
    print(&format!("{name} was injected into {deployment}\n"))?;
    say(
        "`cargo xtask phase evaluate --dry-run` judges the response; `deploy logs` shows the events.",
    );
    Ok(Exit::Done)
}
