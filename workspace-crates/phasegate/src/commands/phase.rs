//! `phase`: where phases stand and why; move them; do what is due.

use std::str::FromStr;

use base::{Instant, PhaseId, PipelineId, Track, VerdictKind};
use clap::Subcommand;
use definition::EventKind;
use engine::document;
use engine::state::{Standing, State};
use gates::{Evaluation, Finding, PhaseEvaluation};
use ledger::{GitStore, Ledger};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, print, print_json, say, sparkline, table};
use crate::progress::line;
use crate::session::{self, Session};
use crate::world::{self, World};

/// Where phases stand and why; move them; do what the calendar says is due
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Where every phase stands, what blocks it, and what comes next
    #[command(after_help = "Examples:
  cargo xtask phase status
  cargo xtask phase status phase-2 --format json")]
    Status {
        /// Only this phase
        phase: Option<PhaseId>,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// A gate's rule, what was measured, how, and what would change it
    #[command(after_help = "Examples:
  cargo xtask phase explain phase-1/internal-soak
  cargo xtask phase explain phase-1/internal-soak --live")]
    Explain {
        /// The gate, as PHASE/GATE
        gate: String,
        /// Judge it now instead of reading the newest evaluation
        #[arg(long)]
        live: bool,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Judge every open phase and record the evaluation; nothing moves
    #[command(after_help = "Examples:
  cargo xtask phase evaluate --dry-run
  cargo xtask phase evaluate --at 2026-01-12T14:30:00Z --dry-run --format json")]
    Evaluate {
        /// The instant that is judged [default: now]
        #[arg(long, value_name = "INSTANT")]
        at: Option<Instant>,
        /// Record nothing
        #[arg(long)]
        dry_run: bool,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Judge a phase now and move it on when every gate passes
    #[command(after_help = "Example:
  cargo xtask phase advance phase-1")]
    Advance {
        /// The phase
        phase: PhaseId,
    },
    /// Send the programme back to a phase; what depended on it is revoked
    #[command(after_help = "Example:
  cargo xtask phase reset phase-2 --to phase-1 --reason 'The client of phase 1 loses blocks.'")]
    Reset {
        /// The phase that is reset
        phase: PhaseId,
        /// The phase from which the programme starts again [default: the phase itself]
        #[arg(long, value_name = "PHASE")]
        to: Option<PhaseId>,
        /// Why, for the report
        #[arg(long)]
        reason: String,
    },
    /// Do everything that is due, each thing exactly once
    #[command(after_help = "Example, from a timer:
  cargo xtask phase tick")]
    Tick,
    /// Tick again and again until stopped
    #[command(after_help = "Example:
  cargo xtask phase run")]
    Run,
}

/// Carries out a command of `phase`.
pub fn run(world: &World, command: &Command) -> Outcome {
    match command {
        Command::Status { phase, format } => status(world, phase.as_ref(), *format),
        Command::Explain { gate, live, format } => explain(world, gate, *live, *format),
        Command::Evaluate { at, dry_run, format } => evaluate(world, *at, *dry_run, *format),
        Command::Advance { phase } => advance(world, phase),
        Command::Reset { phase, to, reason } => reset(world, phase, to.as_ref(), reason),
        Command::Tick => tick(world),
        Command::Run => daemon(world),
    }
}

/// What `phase status` prints as JSON.
#[derive(Serialize)]
struct PhaseStatus {
    phase: PhaseId,
    standing: Standing,
    attempts: u32,
    deployment: Option<String>,
    deployed: Option<Instant>,
    earliest_pass: Option<Instant>,
    held: Vec<String>,
    next: Option<Next>,
}

#[derive(Serialize)]
struct Next {
    event: String,
    at: Instant,
}

/// A ledger with the pipeline that it is about, for reading.
pub struct Reading {
    /// The definitions, with the changes that live deployments were made with.
    pub definitions: definition::Definitions,
    /// The ledger, verified.
    pub ledger: Ledger<GitStore>,
    /// The pipeline that the ledger is about.
    pub pipeline: PipelineId,
    /// What the entries say about each phase.
    pub state: State,
}

impl Reading {
    /// Reads and verifies; needs no key and changes nothing.
    pub fn open(world: &World) -> Result<Self, Failure> {
        let ledger = world.ledger()?;
        // A deployment with changed parameters is shown by the parameters that it has.
        let definitions = world.definitions(&session::remembered(world)?)?;
        let pipeline = world::pipeline(&definitions, Some(ledger.view().pipeline()))?;
        let entries = ledger.view().iter().map(|verified| (&verified.entry, verified.digest));
        let state = State::fold(pipeline, entries);
        let pipeline = pipeline.id.clone();
        Ok(Self { definitions, ledger, pipeline, state })
    }

    /// The definition of the ledger's pipeline.
    pub fn pipeline(&self) -> Result<&definition::Pipeline, Failure> {
        world::pipeline(&self.definitions, Some(&self.pipeline))
    }
}

fn status(world: &World, only: Option<&PhaseId>, format: Format) -> Outcome {
    let reading = Reading::open(world)?;
    let pipeline = reading.pipeline()?;
    if let Some(phase) = only
        && pipeline.phase(phase).is_none()
    {
        let known: Vec<&str> = pipeline.phases.iter().map(|one| one.id.as_str()).collect();
        return Err(Failure::new(Exit::Usage, format!("the pipeline has no phase `{phase}`"))
            .hint(format!("There are: {}.", known.join(", "))));
    }
    let calendar = world::calendar(&reading.definitions, pipeline)?;
    let now = world::now();
    let all: Vec<PhaseStatus> = pipeline
        .phases
        .iter()
        .filter(|phase| only.is_none_or(|only| *only == phase.id))
        .map(|phase| phase_status(&reading.state, phase, &calendar, now))
        .collect();
    if format == Format::Json {
        return print_json(&serde_json::json!({
            "pipeline": reading.pipeline, "at": now, "solo": reading.ledger.view().is_solo(),
            "ledger": { "entries": reading.ledger.view().len(), "head": reading.ledger.view().last().digest },
            "phases": all,
        }));
    }
    let rows = all.iter().map(|one| {
        let at = |at: Option<Instant>| at.map_or("–".to_owned(), |at| calendar.moment(at));
        let next =
            one.next.as_ref().map(|next| format!("{} {}", next.event, calendar.moment(next.at)));
        vec![
            one.phase.to_string(),
            one.standing.describe().to_owned(),
            one.attempts.to_string(),
            at(one.deployed),
            at(one.earliest_pass),
            next.unwrap_or_else(|| "–".to_owned()),
        ]
    });
    let header = ["phase", "standing", "attempts", "deployed", "can pass from", "next"];
    print(&table(&header, rows))?;
    for one in all.iter().filter(|one| !one.held.is_empty()) {
        print(&format!("\n{} is held:\n", one.phase))?;
        for reason in &one.held {
            print(&format!("  {}\n", diagnostics::render::escape(reason)))?;
        }
    }
    if reading.ledger.view().is_solo() {
        say("One person signs alone here (policy `solo`).");
    }
    Ok(Exit::Done)
}

fn phase_status(
    state: &State,
    phase: &definition::Phase,
    calendar: &calendar::Calendar,
    now: Instant,
) -> PhaseStatus {
    let standing = state.standing(&phase.id);
    let track = match standing {
        Standing::PublicSoak | Standing::Complete => Track::Public,
        _ => Track::Internal,
    };
    let own = state.phase(&phase.id).map(|one| one.track(track));
    let live = own.and_then(|own| own.deployment.as_ref());
    let plan = calendar::PlanPhase::of(phase);
    let soak = match track {
        Track::Internal => plan.internal_soak,
        Track::Public => plan.public_soak,
    };
    let is_open = matches!(standing, Standing::InternalSoak | Standing::PublicSoak);
    let event = match standing {
        Standing::Ready => Some(EventKind::Deploy),
        Standing::InternalSoak | Standing::PublicSoak => Some(EventKind::Evaluate),
        Standing::Cleared => Some(EventKind::Release),
        Standing::Locked | Standing::Complete => None,
    };
    let next = event.and_then(|event| calendar.next(event, now));
    PhaseStatus {
        phase: phase.id.clone(),
        standing,
        attempts: state.phase(&phase.id).map_or(0, |one| one.internal.attempts),
        deployment: live.map(|live| live.id.to_string()),
        deployed: live.map(|live| live.started),
        earliest_pass: live.filter(|_| is_open).map(|live| live.started + plan.warm_up + soak),
        held: own.map(|own| own.held.clone()).unwrap_or_default(),
        next: next.map(|next| Next { event: next.kind.to_string(), at: next.at }),
    }
}

fn explain(world: &World, gate: &str, live: bool, format: Format) -> Outcome {
    let wrong = || {
        Failure::new(Exit::Usage, format!("`{gate}` is not a gate"))
            .hint("Write PHASE/GATE, such as phase-1/internal-soak.")
    };
    let (phase, id) = gate.split_once('/').ok_or_else(wrong)?;
    let phase = PhaseId::from_str(phase).map_err(|error| Failure::new(Exit::Usage, error))?;
    let reading = Reading::open(world)?;
    let gates = reading.pipeline()?.phase(&phase).map(|one| one.gates.as_slice());
    let known: Vec<&str> = gates.unwrap_or_default().iter().map(|one| one.id.as_str()).collect();
    if !known.contains(&id) {
        return Err(match diagnostics::suggestion(id, known.iter().copied()) {
            Some(near) => wrong().hint(near),
            None => wrong(),
        });
    }
    let evaluations = if live {
        let (mut session, ledger) = Session::open(world, None)?;
        vec![judge_now(&mut session, ledger, world::now())?]
    } else {
        let newest = reading.state.evaluations.iter().rev();
        newest
            .map(|judged| document::read(&reading.ledger, &reading.state, judged.seq))
            .collect::<Result<Vec<_>, _>>()?
    };
    let found = evaluations.iter().find_map(|evaluation| {
        let judged = evaluation.phases.iter().filter(|judged| judged.phase == phase);
        let finding =
            judged.flat_map(|judged| &judged.findings).find(|one| one.gate.as_str() == id)?;
        Some((evaluation, finding))
    });
    let Some((evaluation, finding)) = found else {
        return Err(Failure::new(Exit::NotNow, format!("`{gate}` was not judged yet"))
            .hint("It is judged when its phase is deployed; `phase status` says when."));
    };
    if format == Format::Json {
        return print_json(finding);
    }
    print(&explained(evaluation, finding))
}

/// Everything that is known about one finding, for people.
fn explained(evaluation: &Evaluation, finding: &Finding) -> String {
    let mut text = String::new();
    let mut add = |line: String| {
        text.push_str(&diagnostics::render::escape(&line));
        text.push('\n');
    };
    add(format!("{} ({}): {}", finding.title, finding.kind, finding.outcome));
    add(format!("Rule: {}", finding.rule));
    add(format!("Why: {}", finding.why));
    if let Some(owner) = &finding.owner {
        add(format!("Owner: {owner}"));
    }
    add(format!("Judged at {}", evaluation.at));
    for reason in &finding.reasons {
        add(format!("  {reason}"));
    }
    for measure in &finding.measures {
        let value = measure.value.map_or("not measured".to_owned(), |value| format!("{value:.6}"));
        let distance = measure.distance().map_or(String::new(), |d| format!(", distance {d:+.6}"));
        add(format!(
            "Measured {}: {value} {} against {}{distance}",
            measure.name, measure.unit, measure.threshold
        ));
    }
    if let Some(coverage) = &finding.coverage {
        add(format!(
            "Window {} to {}, {} of {} points ({:.2} %), longest gap {}, warm-up {}",
            coverage.from,
            coverage.until,
            coverage.present,
            coverage.expected,
            coverage.share() * 100.0,
            coverage.longest_gap,
            coverage.warm_up,
        ));
    }
    if let Some(soak) = &finding.soak {
        add(format!(
            "Soak: {} of {} accrued, {} remaining, longest run {}, {} breaks",
            soak.accrued, soak.required, soak.remaining, soak.longest_run, soak.breaks_total
        ));
        for one in &soak.breaks {
            let value = one.value.map_or(String::new(), |value| format!(" (value {value})"));
            add(format!("  {} broke at {}{value}", one.condition, one.at));
        }
    }
    let explanation = &finding.explanation;
    for (name, query) in &explanation.queries {
        add(format!("Query {name}: {query}"));
    }
    for step in &explanation.steps {
        add(format!("  {step}"));
    }
    for series in &explanation.series {
        let values: Vec<Option<f64>> = series.points.iter().map(|point| point.value).collect();
        add(format!("{:<28} {}", series.title, sparkline(&values, 60)));
    }
    if let (Some(first), Some(last)) = (explanation.first_breach, explanation.last_breach) {
        add(format!("First breach {first}, last breach {last}"));
    }
    if let Some(change) = &explanation.would_change {
        add(format!("What would change it: {change}"));
    }
    for digest in &finding.evidence {
        add(format!("Evidence {digest}"));
    }
    text
}

fn judge_now(
    session: &mut Session,
    ledger: Ledger<GitStore>,
    at: Instant,
) -> Result<Evaluation, Failure> {
    let mut engine = session.engine(ledger)?;
    engine.advance_networks(at, &mut |_| {})?;
    Ok(engine.judge(at)?)
}

fn evaluate(world: &World, at: Option<Instant>, dry_run: bool, format: Format) -> Outcome {
    let (mut session, ledger) = Session::open(world, None)?;
    let mut engine = session.engine(ledger)?;
    let now = world::now();
    engine.advance_networks(now, &mut |_| {})?;
    let at = at.unwrap_or(now);
    let evaluation = if dry_run { engine.judge(at)? } else { engine.evaluate_now(at)? };
    show(&evaluation, format)?;
    if dry_run {
        say("Nothing was recorded (--dry-run).");
    }
    let all = evaluation.phases.iter().all(|judged| judged.verdict == VerdictKind::Advance);
    Ok(if all { Exit::Done } else { Exit::Held })
}

fn show(evaluation: &Evaluation, format: Format) -> Outcome {
    if format == Format::Json {
        return print_json(evaluation);
    }
    if evaluation.phases.is_empty() {
        return print("Nothing is deployed, so nothing was judged.\n");
    }
    for judged in &evaluation.phases {
        print(&judged_text(judged))?;
    }
    Ok(Exit::Done)
}

fn judged_text(judged: &PhaseEvaluation) -> String {
    let head = format!(
        "{} {} (attempt {}): {}\n",
        judged.phase, judged.track, judged.attempt, judged.verdict
    );
    let rows = judged.findings.iter().map(|finding| {
        let advisory = if finding.advisory { " (advisory)" } else { "" };
        let reason = finding.reasons.first().cloned().unwrap_or_default();
        vec![
            format!("{}{advisory}", finding.gate),
            finding.outcome.to_string(),
            diagnostics::render::escape(&reason).to_string(),
        ]
    });
    format!("{head}{}\n", table(&["gate", "outcome", "reason"], rows))
}

fn advance(world: &World, phase: &PhaseId) -> Outcome {
    let (mut session, ledger) = Session::open(world, None)?;
    let mut engine = session.engine(ledger)?;
    let now = world::now();
    engine.advance_networks(now, &mut |_| {})?;
    engine.advance_phase(phase, now)?;
    tell(engine.take_happenings())
}

fn reset(world: &World, phase: &PhaseId, to: Option<&PhaseId>, reason: &str) -> Outcome {
    if reason.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "a reset needs a reason")
            .hint("Say it with --reason; participants read it in the report."));
    }
    let (mut session, ledger) = Session::open(world, None)?;
    let mut engine = session.engine(ledger)?;
    engine.reset_phase(phase, to.unwrap_or(phase), reason, world::now())?;
    tell(engine.take_happenings())
}

fn tick(world: &World) -> Outcome {
    let (happenings, next) = tick_once(world)?;
    if happenings.is_empty() {
        say(format!("Nothing is due.{next}"));
    }
    tell(happenings)
}

/// Does what is due; says what was done, and in a sentence what comes next.
fn tick_once(world: &World) -> Result<(Vec<engine::Happening>, String), Failure> {
    let (mut session, ledger) = Session::open(world, None)?;
    let mut engine = session.engine(ledger)?;
    let now = world::now();
    engine.advance_networks(now, &mut |_| {})?;
    engine.tick(now)?;
    let next = engine.calendar().next_any(now).map_or(String::new(), |next| {
        format!(" Next: {} at {}.", next.kind, engine.calendar().moment(next.at))
    });
    Ok((engine.take_happenings(), next))
}

fn tell(happenings: Vec<engine::Happening>) -> Outcome {
    for happening in &happenings {
        print(&format!("{}\n", line(happening)))?;
    }
    Ok(Exit::Done)
}

/// Ticks, then sleeps until the next event, but never longer than this.
const NAP_MAX: std::time::Duration = std::time::Duration::from_secs(60);

fn daemon(world: &World) -> Outcome {
    let cannot = |error| Failure::new(Exit::Failed, format!("cannot start: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    // Before the first tick, so that a signal never ends the program in the middle of one.
    let (mut interrupted, mut terminated) = {
        let _inside = runtime.enter();
        let on = |kind| signal(kind).map_err(cannot);
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?)
    };
    say("Ticking; stop with Ctrl-C. What was done stays done.");
    loop {
        // Outside of the runtime: drivers and collectors have runtimes of their own.
        match tick_once(world) {
            Ok((happenings, _)) => {
                tell(happenings)?;
            }
            // A week is longer than a network failure: say it and try again.
            Err(failure) => say(format!("error: {}", failure.message)),
        }
        let stopped = runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(NAP_MAX) => false,
                _ = interrupted.recv() => true,
                _ = terminated.recv() => true,
            }
        });
        if stopped {
            return Ok(Exit::Interrupted);
        }
    }
}
