//! `phase waive`: except one gate, for what runs now, until a date.

use std::collections::BTreeSet;

use base::{Duration, Instant, Outcome as GateOutcome, PhaseId, Subject};
use diagnostics::render::escape_line;
use engine::document;
use ledger::Body;
use ledger::body::{Proposed, Waiver, WaiverScope};
use ledger::chain::{PROPOSAL_LASTS_MAX, WAIVER_LASTS_MAX};
use ledger::roles::LEAD;

use super::agree::propose_own;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::people::As;
use crate::proposals;
use crate::signed::Book;
use crate::world::{self, World};

/// What `phase waive` is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gate, as PHASE/GATE
    gate: String,
    /// Why, in plain words; participants read it on the first page of the report
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends: an instant, or a duration from now such as 7d; at most 30 days
    #[arg(long, value_name = "WHEN")]
    until: String,
    /// Who bears the consequence; may be given several times
    #[arg(long = "name", value_name = "WHO", required = true)]
    names: Vec<String>,
    /// Waive it for whatever runs with this configuration, and not for these artifacts only
    #[arg(long)]
    configuration: bool,
    #[command(flatten)]
    signs: As,
}

/// What a waiver is limited to, in words.
fn scope_text(scope: &WaiverScope) -> String {
    match scope {
        WaiverScope::Subject(subject) => {
            let artifacts: Vec<String> = subject
                .artifacts
                .iter()
                .map(|(name, digest)| format!("{name} {}", digest.short()))
                .collect();
            format!(
                "{} with the configuration {}",
                artifacts.join(", "),
                subject.configuration.short()
            )
        }
        WaiverScope::Configuration(digest) => format!("the configuration {}", digest.short()),
    }
}

/// What a waiver says beside the gate and the reason, one line each.
pub fn terms(waiver: &Waiver) -> [String; 2] {
    [
        format!("Bears it  {}", waiver.names.join(", ")),
        format!("Only for  {}", scope_text(&waiver.scope)),
    ]
}

fn shown(waiver: &Waiver) -> Vec<String> {
    let what = proposals::what(&Proposed::Waiver(waiver.clone()));
    [vec![format!("Waiver    {what}")], terms(waiver).to_vec()].concat()
}

/// Waives a gate: at once when one person decides, else it is proposed and approved.
pub fn run(world: &World, args: &Args) -> Outcome {
    let until = until(&args.until, world::now())?;
    let mut book = Book::open(world)?;
    let waiver = waiver(world, &book, args, until)?;
    let person = args.signs.find(world, &[book.view().roles()])?;
    for line in shown(&waiver) {
        // A reason with a line of its own could pass for one of ours.
        print(&format!("{}\n", escape_line(&line)))?;
    }
    args.signs.agree(&person)?;
    let alone = BTreeSet::from([person.id().clone()]);
    if book.view().roles().reaches_threshold(LEAD, &alone) {
        book.append(person.signer(), &|_| Ok(Body::from(waiver.clone())))?;
        say(format!("{}/{} is waived until {until}.", waiver.phase, waiver.gate));
        return Ok(Exit::Done);
    }
    let expires = (book.time() + PROPOSAL_LASTS_MAX).min(until);
    propose_own(&mut book, &person, &Proposed::Waiver(waiver), expires)
}

fn until(text: &str, now: Instant) -> Result<Instant, Failure> {
    if let Ok(instant) = text.parse::<Instant>() {
        return Ok(instant);
    }
    text.parse::<Duration>().map(|lasts| now + lasts).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` is neither an instant nor a duration: {error}"))
            .hint("Write 7d, or 2026-01-19T14:30:00Z.")
    })
}

fn waiver(world: &World, book: &Book, args: &Args, until: Instant) -> Result<Waiver, Failure> {
    let reading = super::Reading::open(world)?;
    let wrong = |why: &str| {
        Failure::new(Exit::Usage, format!("`{}` {why}", args.gate))
            .hint("Write PHASE/GATE, such as phase-1/internal-soak.")
    };
    let (phase, gate) = args.gate.split_once('/').ok_or_else(|| wrong("is not a gate"))?;
    let phase: PhaseId = phase.parse().map_err(|error| Failure::new(Exit::Usage, error))?;
    let gates = reading.pipeline()?.phase(&phase).map(|one| one.gates.as_slice());
    let gates = gates.unwrap_or_default();
    let Some(gate) = gates.iter().find(|one| one.id.as_str() == gate) else {
        let known = gates.iter().map(|one| one.id.as_str());
        let failure = wrong("is not a gate");
        return Err(match diagnostics::suggestion(gate, known) {
            Some(near) => failure.hint(near),
            None => failure,
        });
    };
    if args.reason.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "a waiver says why").hint("Say it with --reason."));
    }
    let subject = subject(&reading, &phase, gate)?;
    let configuration = subject.configuration;
    let scope = match args.configuration {
        true => WaiverScope::Configuration(configuration),
        false => WaiverScope::Subject(subject),
    };
    if until - book.time() > WAIVER_LASTS_MAX || until <= book.time() {
        return Err(Failure::new(Exit::Usage, format!("a waiver until {until} is not possible"))
            .hint("It ends after now, and at most 30 days later."));
    }
    Ok(Waiver {
        phase,
        gate: gate.id.clone(),
        scope,
        reason: args.reason.trim().to_owned(),
        expires: until,
        names: args.names.clone(),
        proposal: None,
    })
}

/// What the gate is judged for: what runs now, or what the newest evaluation judged.
fn subject(
    reading: &super::Reading,
    phase: &PhaseId,
    gate: &definition::Gate,
) -> Result<Subject, Failure> {
    let own = reading.state.phase(phase).map(|own| own.track(gate.track));
    if let Some(deployed) = own.and_then(|own| own.deployment.as_ref()) {
        return Ok(deployed.subject.clone());
    }
    for judged in reading.state.evaluations.iter().rev() {
        let evaluation = document::read(&reading.ledger, &reading.state, judged.seq)?;
        let mut judged = evaluation.phases.into_iter().filter(|one| one.phase == *phase);
        let found = judged.find(|one| {
            one.findings
                .iter()
                .any(|finding| finding.gate == gate.id && finding.outcome != GateOutcome::Pass)
        });
        if let Some(subject) = found.and_then(|one| one.subject) {
            return Ok(subject);
        }
    }
    Err(Failure::new(
        Exit::NotNow,
        format!("{phase} has nothing that `{}` could be waived for: nothing was deployed", gate.id),
    )
    .hint("A waiver is for one subject; deploy it first."))
}
