//! `pipeline`: check, draw and plan the definitions.

use base::{Instant, PipelineId};
use calendar::PlanPhase;
use clap::ValueEnum;
use definition::Overrides;
use diagnostics::render;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{
    Format, Painted, count, print, print_json, say, say_painted, stderr_has_colour, table,
};
use crate::world::{self, Changes, World};

/// Check, draw and plan the definitions
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check every definition and show everything that is wrong, at once
    #[command(after_help = "Examples:
  cargo xtask pipeline check
  cargo xtask pipeline check --format sarif > findings.sarif
  cargo xtask pipeline check --explain PG0203")]
    Check {
        /// How diagnostics are printed
        #[arg(long, value_enum, default_value_t)]
        format: CheckFormat,
        /// Explain a diagnostic code instead
        #[arg(long, value_name = "CODE")]
        explain: Option<String>,
        #[command(flatten)]
        changes: Changes,
    },
    /// Draw the phases of a pipeline
    #[command(after_help = "Examples:
  cargo xtask pipeline graph sequencer-prover-testnet
  cargo xtask pipeline graph sequencer-prover-testnet --format svg > phases.svg")]
    Graph {
        /// The pipeline
        pipeline: PipelineId,
        /// Mermaid text or an SVG picture
        #[arg(long, value_enum, default_value_t)]
        format: GraphFormat,
    },
    /// When each phase can start and pass at the earliest, week by week
    #[command(after_help = "Examples:
  cargo xtask pipeline plan sequencer-prover-testnet
  cargo xtask pipeline plan sequencer-prover-testnet --start 2026-01-05T00:00:00Z --format json")]
    Plan {
        /// The pipeline
        pipeline: PipelineId,
        /// The instant from which is planned [default: now]
        #[arg(long, value_name = "INSTANT")]
        start: Option<Instant>,
        /// How the plan is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        changes: Changes,
    },
}

/// How diagnostics are printed.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum CheckFormat {
    /// For people, with excerpts.
    #[default]
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
}

/// How a pipeline is drawn.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum GraphFormat {
    /// Text that many Markdown viewers draw.
    #[default]
    Mermaid,
    /// A picture.
    Svg,
}

/// Carries out a command of `pipeline`.
pub fn run(world: &World, command: &Command) -> Outcome {
    match command {
        Command::Check { explain: Some(code), .. } => explain(code),
        Command::Check { format, changes, .. } => check(world, *format, &changes.into()),
        Command::Graph { pipeline, format } => graph(world, pipeline, *format),
        Command::Plan { pipeline, start, format, changes } => {
            let start = start.unwrap_or_else(world::now);
            plan(world, pipeline, start, *format, &changes.into())
        }
    }
}

fn explain(code: &str) -> Outcome {
    match diagnostics::explain(code) {
        Some(info) => print(&format!("{}: {}\n", info.code, info.summary)),
        None => {
            let codes = diagnostics::CODES.iter().map(|info| info.code);
            let failure = Failure::new(Exit::Usage, format!("there is no code `{code}`"));
            Err(match diagnostics::suggestion(code, codes) {
                Some(near) => failure.hint(near),
                None => failure,
            })
        }
    }
}

fn check(world: &World, format: CheckFormat, overrides: &Overrides) -> Outcome {
    let checked = world.check(overrides)?;
    let (found, sources) = (&checked.diagnostics, &checked.sources);
    match format {
        CheckFormat::Json => print(&render::json(found, sources))?,
        CheckFormat::Sarif => print(&render::sarif(found, sources, env!("CARGO_PKG_VERSION")))?,
        CheckFormat::Human => {
            let text = render::human(found, sources, stderr_has_colour());
            if !text.trim().is_empty() {
                say_painted(&Painted::by_renderer(text.trim_end().to_owned()));
            }
            print("")?
        }
    };
    if diagnostics::has_errors(found) {
        say(format!("{}.", render::summary(found)));
        return Ok(Exit::Definition);
    }
    if let (CheckFormat::Human, Some(definitions)) = (format, &checked.definitions) {
        for pipeline in definitions.pipelines.values() {
            let gates: usize = pipeline.phases.iter().map(|phase| phase.gates.len()).sum();
            print(&format!(
                "{}: {}, {}, {}, policy {}\n",
                pipeline.id,
                count(pipeline.phases.len(), "phase", "phases"),
                count(gates, "gate", "gates"),
                count(pipeline.hypotheses.len(), "hypothesis", "hypotheses"),
                pipeline.digest()?.short(),
            ))?;
        }
        say(format!("{}.", render::summary(found)));
    }
    Ok(Exit::Done)
}

fn graph(world: &World, id: &PipelineId, format: GraphFormat) -> Outcome {
    let definitions = world.definitions(&Overrides::default())?;
    let pipeline = world::pipeline(&definitions, Some(id))?;
    print(&match format {
        GraphFormat::Mermaid => definition::graph::mermaid(pipeline),
        GraphFormat::Svg => definition::graph::svg(pipeline),
    })
}

#[derive(serde::Serialize)]
struct PlannedPhase {
    phase: base::PhaseId,
    deployed: Instant,
    advanced: Instant,
    released: Instant,
    completed: Instant,
}

fn plan(
    world: &World,
    id: &PipelineId,
    start: Instant,
    format: Format,
    overrides: &Overrides,
) -> Outcome {
    let definitions = world.definitions(overrides)?;
    let pipeline = world::pipeline(&definitions, Some(id))?;
    let calendar = world::calendar(&definitions, pipeline)?;
    let phases: Vec<PlanPhase> = pipeline.phases.iter().map(PlanPhase::of).collect();
    let plan = calendar.plan(&phases, start)?;
    if format == Format::Json {
        let phases = plan.phases.iter().map(|one| PlannedPhase {
            phase: one.phase.clone(),
            deployed: one.deployed,
            advanced: one.advanced,
            released: one.released,
            completed: one.completed,
        });
        return print_json(&serde_json::json!({
            "pipeline": pipeline.id, "start": start, "completed": plan.completed,
            "zone": calendar.zone_name(), "phases": phases.collect::<Vec<_>>(),
        }));
    }
    let rows = plan.phases.iter().map(|one| {
        let mut row = vec![one.phase.to_string()];
        let instants = [one.deployed, one.advanced, one.released, one.completed];
        row.extend(instants.map(|at| format!("{} {}", calendar.week(at), calendar.moment(at))));
        row
    });
    let header = ["phase", "deployed", "advances", "released", "complete"];
    print(&table(&header, rows))?;
    print(&format!("\nTimes are {}; nothing may fail on the way.\n", calendar.zone_name()))
}
