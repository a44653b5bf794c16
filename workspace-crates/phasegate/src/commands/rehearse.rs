//! `rehearse`: the whole programme in virtual time, through the engine, gates, ledger and reports
//! that production uses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant as Clock;

use base::{Digest, Duration, Instant, NetworkId, PipelineId, PrincipalId, Track};
use collectors::{Collectors, Documents, Probes, RecordedIssues, Script};
use definition::{Overrides, Pipeline};
use deployment::SimulatorDriver;
use engine::{Engine, PlannedFault, Rehearsal, Rehearsed, Setup, Told};
use ledger::git_store::{Durability, GitStore};
use ledger::{Draft, Ledger, Pins, Signer, SshKeySigner};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, count, print, print_json, say, table};
use crate::progress::Bar;
use crate::world::{self, World};
use crate::{faults, process};

/// The sentence on the first page of every report of a rehearsal.
const NOTE: &str = "This is a rehearsal: the networks ran in virtual time on the simulator, and issues and \
    approvals are scripted. It says how the programme would be judged, not how a real network does.";

/// A public deployment is watched this long after its soak.
const WATCH_AFTER_SOAK: Duration = Duration::from_hours(1);

/// Names a folder that a rehearsal made, so that the next one may replace it.
const MARK: &str = "rehearsal.json";

const EXAMPLES: &str = "Examples:
  cargo xtask rehearse sequencer-prover-testnet
  cargo xtask rehearse sequencer-prover-testnet --fault stall
  cargo xtask rehearse sequencer-prover-testnet --fault 'crash@phase-3.public+60h' --format json";

/// Run a whole programme in virtual time and write its signed reports.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", faults::help()))]
pub struct Args {
    /// The programme: a file of `pipeline/` without its ending
    pub pipeline: PipelineId,
    /// Seed of the networks; the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Add a fault; `--help` lists them
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Where ledger, evidence and reports are written [default: target/rehearsals/…]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Give up after this many weeks
    #[arg(long, default_value_t = 16)]
    pub weeks_max: u32,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    #[command(flatten)]
    pub changes: world::Changes,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    pipeline: &'a PipelineId,
    seed: u64,
    faults: &'a [String],
    #[serde(flatten)]
    rehearsed: &'a Rehearsed,
    wall_seconds: f64,
    peak_rss_mb: f64,
    ledger_head: String,
    reports: Vec<String>,
}

/// Rehearses a programme; [`Exit::Held`] when it does not ship.
pub fn run(world: &World, args: &Args) -> Outcome {
    let clock = Clock::now();
    let overrides = Overrides::from(&args.changes);
    let definitions = world.definitions(&overrides)?;
    let pipeline = world::pipeline(&definitions, Some(&args.pipeline))?;
    let rehearsal = pipeline.rehearsal.as_ref().ok_or_else(|| {
        Failure::new(Exit::Definition, format!("`{}` has no `[rehearsal]`", pipeline.id))
            .hint("State `start` and `script` in its file.")
    })?;
    let script = Script::read(&world.root, Path::new(&rehearsal.script.value))
        .map_err(|error| Failure::of(Exit::Definition, &error))?;
    let planned: Vec<PlannedFault> = args
        .fault
        .iter()
        .map(|fault| faults::parse(fault).and_then(|planned| faults::fits(planned, pipeline)))
        .collect::<Result<_, _>>()?;
    let attempts: Vec<_> =
        planned.iter().map(|one| (one.phase.clone(), one.track, one.attempt)).collect();
    let out = args.out.clone().unwrap_or_else(|| default_out(world, args));
    prepare(&out)?;
    let keys = Keys::of(&definitions.roles, args.seed)?;
    let pins = world.pins()?;
    let ledger = open_ledger(&out, pipeline, &definitions.roles, &keys, &pins, rehearsal.start)?;
    let evidence = evidence::DirStore::open(out.join("evidence"))?;
    let mut driver = SimulatorDriver::new();
    let setup = Setup {
        pipeline,
        calendar: world::calendar(&definitions, pipeline)?,
        pins,
        signer: keys.evaluator(ledger.view().roles())?,
        driver: &mut driver,
        collectors: Collectors::new(vec![
            Box::new(Documents::new(&world.root)),
            Box::new(RecordedIssues::new(&world.root, &script)),
            Box::new(Probes),
        ]),
        evidence: &evidence,
        seed: args.seed,
        faults: planned,
        watch_after_soak: Some(WATCH_AFTER_SOAK),
        publish: Some(out.join("reports")),
        place: String::new(),
        overrides,
        note: NOTE.to_owned(),
    };
    let mut engine = Engine::new(setup, ledger);
    let plan = Rehearsal {
        start: rehearsal.start,
        weeks_max: args.weeks_max,
        approvals: script.approvals.clone(),
        signers: keys.signers.iter().map(|(id, key)| (id.clone(), key as &dyn Signer)).collect(),
    };
    let bar = Bar::new(rehearsal.start);
    let rehearsed = engine.rehearse(&plan, &mut |told| match told {
        Told::Progress(progress) => bar.progress(progress),
        Told::Happened(happening) => bar.happened(happening),
    })?;
    bar.finish();
    let reports = written_reports(&out)?;
    crate::commands::report::write_site(&out.join("reports"), pipeline)?;
    let printed = Printed {
        pipeline: &pipeline.id,
        seed: args.seed,
        faults: &args.fault,
        rehearsed: &rehearsed,
        wall_seconds: (clock.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        peak_rss_mb: process::peak_rss_mb(),
        ledger_head: engine.ledger().view().last().digest.to_string(),
        reports,
    };
    mark(&out, &printed)?;
    for (phase, track, attempt) in attempts {
        let ran = rehearsed.phases.iter().find(|one| one.id == phase);
        // How often a phase ran in public is not counted; its first public network is.
        let reached = ran.is_some_and(|one| match track {
            Track::Internal => one.attempts >= attempt,
            Track::Public => one.public_soak_hours.is_some(),
        });
        if !reached {
            say(format!("The fault in {phase} {track}, attempt {attempt}, was never reached."));
        }
    }
    show(args.format, &printed, &out)?;
    Ok(if rehearsed.shipped { Exit::Done } else { Exit::Held })
}

fn default_out(world: &World, args: &Args) -> PathBuf {
    let mut name = format!("{}-seed-{}", args.pipeline, args.seed);
    for fault in &args.fault {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        name.push('-');
        name.extend(fault.chars().map(plain));
    }
    world.root.join("target/rehearsals").join(name)
}

/// An empty folder at `out`. A folder of an earlier rehearsal is replaced; any other is refused.
fn prepare(out: &Path) -> Result<(), Failure> {
    let started = out.join(MARK);
    let is_empty = match std::fs::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::file("read", out, &error)),
        Ok(mut entries) => entries.next().is_none(),
    };
    if !is_empty {
        if !started.is_file() {
            let message = format!("{} is not empty and was not made by a rehearsal", out.display());
            return Err(Failure::new(Exit::Usage, message).hint("Name another folder with --out."));
        }
        clear(out).map_err(|error| Failure::file("replace", out, &error))?;
    }
    std::fs::create_dir_all(out).map_err(|error| Failure::file("make", out, &error))?;
    std::fs::write(&started, "{}\n").map_err(|error| Failure::file("write", &started, &error))
}

/// Removes what is in the folder of a rehearsal. The mark stays, so that the folder is known for
/// what it is also when this is interrupted.
fn clear(out: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The keys of a rehearsal: made from the seed, so that every byte comes out the same again.
/// They protect nothing, and the ledger says so.
struct Keys {
    signers: BTreeMap<PrincipalId, SshKeySigner>,
    public: BTreeMap<PrincipalId, String>,
}

impl Keys {
    fn of(roles: &definition::Roles, seed: u64) -> Result<Self, Failure> {
        let mut keys = Self { signers: BTreeMap::new(), public: BTreeMap::new() };
        for principal in &roles.principals {
            let material = format!("phasegate rehearsal {seed} {}", principal.id);
            let pair = ledger::keys::generate_ed25519(Some(Digest::of(material.as_bytes()).0))
                .map_err(|error| Failure::of(Exit::Ledger, &error))?;
            let signer = SshKeySigner::from_openssh(principal.id.clone(), &pair.private_openssh)?;
            keys.signers.insert(principal.id.clone(), signer);
            keys.public.insert(principal.id.clone(), pair.public_openssh);
        }
        Ok(keys)
    }

    fn signer_of(&self, roles: &ledger::Roles, role: &str) -> Result<&SshKeySigner, Failure> {
        let of = roles.roles.get(role).map(|role| &role.of);
        of.and_then(|of| of.first()).and_then(|id| self.signers.get(id)).ok_or_else(|| {
            Failure::new(Exit::Definition, format!("`pipeline/roles.toml` has nobody as `{role}`"))
        })
    }

    fn evaluator(&self, roles: &ledger::Roles) -> Result<&SshKeySigner, Failure> {
        self.signer_of(roles, "evaluator")
    }
}

fn open_ledger(
    out: &Path,
    pipeline: &Pipeline,
    roles: &definition::Roles,
    keys: &Keys,
    pins: &Pins,
    start: Instant,
) -> Result<Ledger<GitStore>, Failure> {
    // A rehearsal must not use anybody's real keys.
    let mut without_keys = roles.clone();
    for principal in &mut without_keys.principals {
        principal.keys.clear();
    }
    let (roles, _) = world::roles(&without_keys, &keys.public);
    let store = GitStore::init_bare(&out.join("ledger.git"))?.with_durability(Durability::Buffered);
    let root = roles.roles.get("root").map(|role| role.of.clone()).unwrap_or_default();
    let signers: Vec<&dyn Signer> =
        root.iter().filter_map(|id| keys.signers.get(id).map(|key| key as &dyn Signer)).collect();
    let genesis = ledger::body::Genesis {
        pipeline: pipeline.id.clone(),
        roles,
        note: "A rehearsal: its keys are made from the seed and protect nothing.".to_owned(),
    };
    let network = NetworkId::new(pipeline.id.as_str())
        .map_err(|error| Failure::new(Exit::Definition, error))?;
    let draft = Draft::new(start, pins.clone(), genesis);
    Ok(Ledger::create(store, network, draft, &signers, BTreeMap::new())?.refusing(world::secrets()))
}

/// The pages of the reports that were written, in order of their weeks.
fn written_reports(out: &Path) -> Result<Vec<String>, Failure> {
    let folder = out.join("reports");
    let mut reports = Vec::new();
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(reports),
        Err(error) => return Err(Failure::file("read", &folder, &error)),
        Ok(entries) => entries,
    };
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", &folder, &error))?;
        let page = entry.path().join(report::HTML_FILE);
        if page.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            reports.push(name);
        }
    }
    // By name, not by path: a second report of a week has a longer name and comes after.
    reports.sort();
    Ok(reports.iter().map(|name| format!("reports/{name}/{}", report::HTML_FILE)).collect())
}

fn mark(out: &Path, printed: &Printed<'_>) -> Result<(), Failure> {
    let path = out.join(MARK);
    let bytes = base::canonical_json(printed)?;
    std::fs::write(&path, bytes).map_err(|error| Failure::file("write", &path, &error))
}

fn show(format: Format, printed: &Printed<'_>, out: &Path) -> Outcome {
    if format == Format::Json {
        return print_json(printed);
    }
    let rehearsed = printed.rehearsed;
    let hours =
        |hours: Option<f64>| hours.map_or("–".to_owned(), |hours| format!("{hours:.1} h"));
    let rows = rehearsed.phases.iter().map(|phase| {
        vec![
            phase.id.to_string(),
            phase.outcome.describe().to_owned(),
            phase.attempts.to_string(),
            phase.holds.to_string(),
            phase.resets.to_string(),
            hours(phase.internal_soak_hours),
            hours(phase.public_soak_hours),
        ]
    });
    let header =
        ["phase", "outcome", "attempts", "holds", "resets", "internal soak", "public soak"];
    let mut text = table(&header, rows);
    text.push_str(&format!(
        "\n{}, {:.0} h of networks in {:.1} s ({:.0} h/s), {} signatures, {:.0} MB.\n",
        count(rehearsed.weeks as usize, "week", "weeks"),
        rehearsed.virtual_hours,
        printed.wall_seconds,
        rehearsed.virtual_hours / printed.wall_seconds.max(0.1),
        rehearsed.signatures,
        printed.peak_rss_mb,
    ));
    text.push_str(&format!("Trace {}\n", rehearsed.trace_digest));
    text.push_str(&format!("Ledger {}\n", printed.ledger_head));
    print(&text)?;
    say(match rehearsed.shipped {
        true => "Every phase is complete.",
        false => "The programme did not finish; the newest report says what holds it.",
    });
    say(format!("Open {} in a browser.", out.join("reports/index.html").display()));
    Ok(Exit::Done)
}
