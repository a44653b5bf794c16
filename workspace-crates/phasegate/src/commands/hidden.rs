//! Programs that other commands start: a node, and the supervisor of a deployment.

use std::path::PathBuf;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

/// Run one node of the reference network
#[derive(Debug, clap::Args)]
pub struct NodeArgs {
    /// The network's configuration
    #[arg(long)]
    config: PathBuf,
    /// The node's name
    #[arg(long)]
    node: String,
}

/// Keep a deployment running
#[derive(Debug, clap::Args)]
pub struct SupervisorArgs {
    /// The deployment's folder
    #[arg(long)]
    dir: PathBuf,
}

/// Runs one node until it is told to stop.
pub fn node(args: &NodeArgs) -> Outcome {
    match devnet_host::run_node(&args.config, &args.node) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::of(Exit::Deployment, &error)),
    }
}

/// Runs the supervisor of a deployment until it is taken down.
pub fn supervisor(args: &SupervisorArgs) -> Outcome {
    deployment::process::run_supervisor(&args.dir)?;
    Ok(Exit::Done)
}
