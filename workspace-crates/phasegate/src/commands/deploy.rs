//! `deploy`: a phase's deployment in real time.

use base::{DeploymentId, PhaseId, Track};
use clap::{Subcommand, ValueEnum};
use definition::Overrides;
use deployment::{DeploymentState, Driver, NodeState, Status};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, Painted, print, print_json, print_painted, say, table};
use crate::session::{self, Session};
use crate::world::{self, Changes, World};

/// A phase's deployment
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring a phase's network up on this machine, now
    #[command(after_help = "Examples:
  cargo xtask deploy up phase-1 --plan
  cargo xtask deploy up phase-1 --time-scale 36 --set internal_soak=10m")]
    Up {
        /// The phase
        phase: PhaseId,
        /// The track
        #[arg(long, value_enum, default_value_t)]
        track: TrackArg,
        /// Show what would be started, and start nothing
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        changes: Changes,
    },
    /// Take a deployment down; nothing of it is left but its evidence
    #[command(after_help = "Example:
  cargo xtask deploy down phase-1.internal.1")]
    Down {
        /// The deployment
        deployment: DeploymentId,
    },
    /// How deployments are
    #[command(after_help = "Example:
  cargo xtask deploy status --format json")]
    Status {
        /// Only this deployment, with its nodes
        deployment: Option<DeploymentId>,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// The last lines of a log
    #[command(after_help = "Example:
  cargo xtask deploy logs phase-1.internal.1 --node validator-3")]
    Logs {
        /// The deployment
        deployment: DeploymentId,
        /// The node [default: the deployment's own log]
        #[arg(long)]
        node: Option<String>,
        /// How many lines
        #[arg(long, default_value_t = 40)]
        lines: usize,
    },
}

/// A track on the command line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum TrackArg {
    /// Run by the team.
    #[default]
    Internal,
    /// Released to participants.
    Public,
}

impl From<TrackArg> for Track {
    fn from(track: TrackArg) -> Self {
        match track {
            TrackArg::Internal => Self::Internal,
            TrackArg::Public => Self::Public,
        }
    }
}

/// Carries out a command of `deploy`.
pub fn run(world: &World, command: &Command) -> Outcome {
    match command {
        Command::Up { phase, track, plan, changes } => {
            up(world, phase, (*track).into(), *plan, changes.into())
        }
        Command::Down { deployment } => down(world, deployment),
        Command::Status { deployment, format } => status(world, deployment.as_ref(), *format),
        Command::Logs { deployment, node, lines } => {
            let text = session::driver(world)?.logs(deployment, node.as_deref(), *lines)?;
            if text.is_empty() {
                say("The log is empty.");
            }
            print(&text)
        }
    }
}

fn up(world: &World, phase: &PhaseId, track: Track, plan: bool, changes: Overrides) -> Outcome {
    let changes = joined(world, changes)?;
    let open = if plan { Session::open_to_judge } else { Session::open };
    let (mut session, ledger) = open(world, Some(changes.clone()))?;
    let mut engine = session.engine(ledger)?;
    let now = world::now();
    if plan {
        return show_plan(&engine.plan(phase, track, now)?);
    }
    say("Bringing the network up …");
    // Before the network is up: whoever judges it has to know the changes, also when this
    // command is killed in between.
    let before = session::remembered(world)?;
    session::remember(world, &changes)?;
    if let Err(error) = engine.deploy_now(phase, track, now) {
        session::remember(world, &before)?;
        return Err(error.into());
    }
    for happening in engine.take_happenings() {
        print_painted(&crate::progress::line(&happening).then(&Painted::plain("\n")))?;
    }
    say("It runs on by itself; `cargo xtask deploy status` shows it, `phase evaluate` judges it.");
    Ok(Exit::Done)
}

/// The changes for a deployment beside those that are up: all are judged by the same definitions,
/// so others would change what is measured already.
fn joined(world: &World, changes: Overrides) -> Result<Overrides, Failure> {
    let live = session::driver(world)?.list()?;
    let Some(one) = live.first() else { return Ok(changes) };
    let in_use = session::remembered(world)?;
    if changes == in_use {
        return Ok(changes);
    }
    if changes == Overrides::default() {
        say(session::note(&in_use));
        return Ok(in_use);
    }
    Err(Failure::new(
        Exit::NotNow,
        format!(
            "`{}` is up with other parameters, and all that is up is judged by the same",
            one.deployment
        ),
    )
    .hint("Leave --time-scale and --set out to use its parameters, or take it down first."))
}

fn show_plan(plan: &deployment::Plan) -> Outcome {
    let nodes: Vec<String> =
        plan.nodes.iter().map(|(role, count)| format!("{count} {role}")).collect();
    let mut text = format!("{} on `{}`: {}\n", plan.deployment, plan.driver, nodes.join(", "));
    for step in &plan.steps {
        text.push_str(&format!("  {step}\n"));
    }
    for action in &plan.schedule {
        text.push_str(&format!("  {} {} ({})\n", action.at, action.id, action.kind));
    }
    print(&text)
}

fn down(world: &World, id: &DeploymentId) -> Outcome {
    let (mut session, ledger) = Session::open(world, None)?;
    let mut engine = session.engine(ledger)?;
    engine.take_down_now(id, world::now())?;
    if session::driver(world)?.list()?.is_empty() {
        session::remember(world, &Overrides::default())?;
    }
    print(&format!("{id} is down\n"))
}

fn status(world: &World, only: Option<&DeploymentId>, format: Format) -> Outcome {
    let driver = session::driver(world)?;
    let all: Vec<Status> = match only {
        Some(id) => vec![driver.status(id)?],
        None => driver.list()?,
    };
    if format == Format::Json {
        return print_json(&all);
    }
    if all.is_empty() {
        return print("No deployment is up.\n");
    }
    for one in &all {
        let up = one.nodes.iter().filter(|node| node.state == NodeState::Up).count();
        print(&format!(
            "{} {}: {up} of {} nodes up\n",
            one.deployment,
            describe(&one.state),
            one.nodes.len()
        ))?;
    }
    if only.is_some() {
        let rows = all.iter().flat_map(|one| &one.nodes).map(|node| {
            let number =
                |value: Option<u64>| value.map_or("–".to_owned(), |value| value.to_string());
            vec![
                node.name.clone(),
                format!("{:?}", node.state).to_lowercase(),
                node.version.to_string(),
                node.starts.to_string(),
                number(node.pending_height),
                number(node.finalized_height),
                node.endpoint.clone().unwrap_or_default(),
            ]
        });
        let header = ["node", "state", "version", "starts", "pending", "final", "endpoint"];
        print(&table(&header, rows))?;
    }
    let sound = all.iter().all(|one| matches!(one.state, DeploymentState::Running));
    if sound {
        Ok(Exit::Done)
    } else {
        Err(Failure::new(Exit::Deployment, "not every deployment is sound"))
    }
}

fn describe(state: &DeploymentState) -> String {
    match state {
        DeploymentState::Starting => "is starting".to_owned(),
        DeploymentState::Running => "is running".to_owned(),
        DeploymentState::Degraded { reason } => format!("is degraded ({reason})"),
        DeploymentState::Failed { reason } => format!("has failed ({reason})"),
    }
}
