//! `phase`: where phases stand and why; move them; do what is due.

pub mod agree;
mod checked;
pub mod waive;

use std::path::PathBuf;
use std::str::FromStr;

use base::{Instant, PhaseId, PipelineId, Track, VerdictKind};
use clap::Subcommand;
use definition::{EventKind, Overrides};
use diagnostics::render::escape_line;
use engine::document;
use engine::state::{Standing, State};
use gates::{Evaluation, Finding, PhaseEvaluation};
use ledger::body::Proposed;
use ledger::{GitStore, Ledger};
use samples::SampleSource;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, Painted, as_called, print, print_json, print_painted, say, table};
use crate::progress::line;
use crate::proposals::{self, Open};
use crate::queries::origin::Rehearsed;
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
  cargo xtask phase explain phase-1/internal-soak --live
  cargo xtask phase explain phase-2/internal-soak --rehearsal rehearsal --week 2026-W04")]
    Explain(ExplainArgs),
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
    /// Propose the advance that the newest evaluation allows
    #[command(after_help = "Example:
  cargo xtask phase propose phase-1")]
    Propose(agree::ProposeArgs),
    /// Approve a proposal, after judging again what it rests on
    #[command(after_help = "Examples:
  cargo xtask phase approve
  cargo xtask phase approve 41 --as alice --key ~/.ssh/id_ed25519_sk
  cargo xtask phase approve 41 --bundle 2026-W03.tar
  cargo xtask phase approve 41 --role partner --statement onboarded --without-recompute")]
    Approve(agree::ApproveArgs),
    /// Take your approval of a proposal back
    #[command(after_help = "Example:
  cargo xtask phase withdraw 41")]
    Withdraw(agree::WithdrawArgs),
    /// Except one gate, for what runs now, until a date
    #[command(after_help = "Example:
  cargo xtask phase waive phase-1/throughput --until 7d --name bob \\
    --reason 'The load generator stopped on Saturday; the network did not.'")]
    Waive(waive::Args),
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
        Command::Explain(args) => explain(world, args),
        Command::Evaluate { at, dry_run, format } => evaluate(world, *at, *dry_run, *format),
        Command::Advance { phase } => advance(world, phase),
        Command::Reset { phase, to, reason } => reset(world, phase, to.as_ref(), reason),
        Command::Propose(args) => agree::propose(world, args),
        Command::Approve(args) => agree::approve(world, args),
        Command::Withdraw(args) => agree::withdraw(world, args),
        Command::Waive(args) => waive::run(world, args),
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
        // A deployment with changed parameters is shown by the parameters that it has.
        Self::of(world, world.ledger()?, &session::remembered(world)?)
    }

    /// Reads a ledger that was verified, by the definitions of this repository.
    fn of(world: &World, ledger: Ledger<GitStore>, overrides: &Overrides) -> Result<Self, Failure> {
        let definitions = world.definitions(overrides)?;
        let pipeline = world::pipeline(&definitions, Some(ledger.view().pipeline()))?;
        let state = State::of(pipeline, ledger.view());
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
    let view = reading.ledger.view();
    let open = Open::all(view, now.max(view.last().entry.time));
    let waived = reading.state.waivers.iter().map(|granted| &granted.waiver);
    let waived: Vec<_> = waived.filter(|waiver| waiver.expires > now).collect();
    let to_revoke = view.unrevoked_voids();
    if format == Format::Json {
        let proposals: Vec<_> = open.iter().map(Open::shown).collect();
        return print_json(&serde_json::json!({
            "proposals": proposals, "pipeline": reading.pipeline, "at": now, "solo": reading.ledger.view().is_solo(),
            "ledger": { "entries": reading.ledger.view().len(), "head": reading.ledger.view().last().digest },
            "phases": all, "waivers": waived, "to_revoke": to_revoke,
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
            print(&format!("  {reason}\n"))?;
        }
    }
    for one in waived {
        let what = proposals::what(&Proposed::Waiver(one.clone()));
        let line = format!("{what} (borne by {})", one.names.join(", "));
        // A reason with a line of its own could pass for one of ours.
        print(&format!("\nWaiver: {}\n", escape_line(&line)))?;
    }
    for one in &open {
        print(&format!("\nProposed: {}\n", one.line()))?;
    }
    if let Some(text) = session::voids(view) {
        print(&format!("\n{}\n", as_called(&text)))?;
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
    let needed = earliest_pass(phase, track);
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
        earliest_pass: live.filter(|_| is_open).map(|live| live.started + needed),
        held: own.map(|own| own.held.clone()).unwrap_or_default(),
        next: next.map(|next| Next { event: next.kind.to_string(), at: next.at }),
    }
}

/// How long after its start a deployment can pass all exit gates of `track` at the earliest. The
/// gates themselves say so; one that cannot be parsed is judged as an error anyway.
fn earliest_pass(phase: &definition::Phase, track: Track) -> base::Duration {
    let gates = phase.gates_on(track, definition::Side::Exit).filter(|gate| !gate.advisory);
    let parsed = gates.filter_map(|gate| gates::parse(gate, phase).ok());
    parsed.map(|gate| gate.earliest_pass()).max().unwrap_or_default()
}

/// What `phase explain` is asked.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The gate, as PHASE/GATE
    gate: String,
    /// Judge it now instead of reading the newest evaluation
    #[arg(long, conflicts_with_all = ["week", "rehearsal"])]
    live: bool,
    /// Read the newest evaluation of this week instead, such as 2026-W04
    #[arg(long, value_name = "WEEK")]
    week: Option<String>,
    /// Read the ledger in the folder of a rehearsal
    #[arg(long, value_name = "DIR")]
    rehearsal: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn explain(world: &World, args: &ExplainArgs) -> Outcome {
    let wrong = || {
        Failure::new(Exit::Usage, format!("`{}` is not a gate", args.gate))
            .hint("Write PHASE/GATE, such as phase-1/internal-soak.")
    };
    let (phase, id) = args.gate.split_once('/').ok_or_else(wrong)?;
    let phase = PhaseId::from_str(phase).map_err(|error| Failure::new(Exit::Usage, error))?;
    let (reading, evidence) = match &args.rehearsal {
        None => (Reading::open(world)?, world.evidence()?),
        Some(folder) => {
            let rehearsed = Rehearsed::open(folder)?;
            (Reading::of(world, rehearsed.ledger, &Overrides::default())?, rehearsed.evidence)
        }
    };
    let gates = reading.pipeline()?.phase(&phase).map(|one| one.gates.as_slice());
    let gates = gates.unwrap_or_default();
    let Some(gate) = gates.iter().find(|one| one.id.as_str() == id) else {
        let known = gates.iter().map(|one| one.id.as_str());
        return Err(match diagnostics::suggestion(id, known) {
            Some(near) => wrong().hint(near),
            None => wrong(),
        });
    };
    let found = match args.live {
        true => {
            let (mut session, ledger) = Session::open_to_judge(world, None)?;
            found_in(judge_now(&mut session, ledger, world::now())?, &phase, id)
        }
        false => judged(&reading, &phase, id, args.week.as_deref())?,
    };
    let Some((evaluation, finding)) = found else {
        let of = args.week.as_ref().map_or(String::new(), |week| format!(" in {week}"));
        return Err(Failure::new(Exit::NotNow, format!("`{}` was not judged yet{of}", args.gate))
            .hint("It is judged when its phase is deployed; `phase status` says when, and --live judges it now."));
    };
    if args.format == Format::Json {
        return print_json(&finding);
    }
    let samples = samples_of(&evidence, &finding);
    let samples = samples.as_ref().map(|store| store as &dyn SampleSource);
    print(&crate::explain::text(&evaluation, &finding, gate, samples))
}

/// The newest evaluation, of `week` if one is named, in which the gate was judged.
fn judged(
    reading: &Reading,
    phase: &PhaseId,
    gate: &str,
    week: Option<&str>,
) -> Result<Option<(Evaluation, Finding)>, Failure> {
    let newest = reading.state.evaluations.iter().rev();
    for judged in newest.filter(|one| week.is_none_or(|week| one.evaluation.week == week)) {
        let evaluation = document::read(&reading.ledger, &reading.state, judged.seq)?;
        if let Some(found) = found_in(evaluation, phase, gate) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn found_in(evaluation: Evaluation, phase: &PhaseId, gate: &str) -> Option<(Evaluation, Finding)> {
    let judged = evaluation.phases.iter().filter(|judged| judged.phase == *phase);
    let mut findings = judged.flat_map(|judged| &judged.findings);
    let finding = findings.find(|one| one.gate.as_str() == gate)?.clone();
    Some((evaluation, finding))
}

/// The samples that the finding rests on, when they are kept here. An explanation without them is
/// still one.
fn samples_of(store: &dyn evidence::Store, finding: &Finding) -> Option<samples::Store> {
    finding.evidence.iter().find_map(|digest| {
        let bytes = store.get(digest).ok()?;
        samples::Store::decode(&bytes).ok()
    })
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
    let open = if dry_run { Session::open_to_judge } else { Session::open };
    let (mut session, ledger) = open(world, None)?;
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
        let is_waived = judged.waivers.iter().any(|waiver| waiver.gate == finding.gate);
        let mark = match (is_waived, finding.advisory) {
            (true, _) => " (waived)",
            (false, true) => " (advisory)",
            (false, false) => "",
        };
        vec![
            format!("{}{mark}", finding.gate),
            finding.outcome.to_string(),
            finding.reasons.first().cloned().unwrap_or_default(),
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
        print_painted(&line(happening).then(&Painted::plain("\n")))?;
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
