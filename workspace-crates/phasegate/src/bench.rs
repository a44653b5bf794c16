//! `bench`: figures, as ratios where a floor or a peer exists. Nothing here judges.

mod ledgers;
mod machine;
mod promql;

use std::time::Instant as Clock;

use base::{DeploymentId, Digest, NetworkId};
use ledger::git_store::Durability;
use ledger::{Draft, GitStore, Ledger, SshKeySigner};
use serde::Deserialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::world::{self, Global, World};

/// How many signatures the floor is measured with.
const FLOOR_SAMPLES: usize = 4_096;
/// Entries of the ledgers that are measured.
const LEDGER_ENTRIES: usize = 1_000;
/// Runs whose median is printed.
const RUNS: usize = 7;

/// Measure
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The whole programme, against the pure cost of its signatures
    Rehearse,
    /// How long 48 and 300 processes take until all are ready, and their memory
    Spinup,
    /// `phase status` on a ledger of 1,000 entries
    Status,
    Ledger(ledgers::Args),
    Promql(promql::Args),
}

/// Measures and prints; judges nothing.
pub fn run(global: &Global, command: &Command) -> Outcome {
    let world = || World::find(global);
    match command {
        Command::Rehearse => rehearse(&world()?),
        Command::Spinup => spinup(&world()?),
        Command::Status => status(&world()?),
        Command::Ledger(args) => ledgers::run(global, args),
        Command::Promql(args) => promql::run(args),
    }
}

fn this_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find this program: {error}")))
}

#[derive(Deserialize)]
struct Rehearsed {
    wall_seconds: f64,
    peak_rss_mb: f64,
    signatures: u64,
    virtual_hours: f64,
    shipped: bool,
}

fn rehearse(world: &World) -> Outcome {
    let out = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::File, format!("cannot make a folder: {error}")))?;
    say("Rehearsing the whole programme; about two minutes …");
    let text = duct::cmd!(
        this_program()?,
        "--root",
        &world.root,
        "rehearse",
        "sequencer-prover-testnet",
        "--format",
        "json",
        "--out",
        out.path().join("rehearsal")
    )
    .stderr_null()
    .read()
    .map_err(|error| Failure::new(Exit::Failed, format!("the rehearsal failed: {error}")))?;
    let ran: Rehearsed = serde_json::from_str(&text)
        .map_err(|error| Failure::new(Exit::Failed, format!("the rehearsal's JSON: {error}")))?;
    // The quietest of several measurements: a floor must not rise with the load of the machine.
    let measured = (0..RUNS).map(|_| floor_micros()).collect::<Result<Vec<f64>, _>>()?;
    let floor_us = measured.into_iter().fold(f64::INFINITY, f64::min);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let floor_seconds = ran.signatures as f64 * floor_us / 1e6 / cores as f64;
    print(&format!(
        "rehearse  {:.1} s wall, {:.0} MB, {:.0} h of networks, {} signatures, shipped: {}\n\
         floor     {:.1} s: signing and batch-verifying each once takes {floor_us:.1} us, on {cores} cores\n\
         ratio     {:.2} x the floor\n",
        ran.wall_seconds,
        ran.peak_rss_mb,
        ran.virtual_hours,
        ran.signatures,
        ran.shipped,
        floor_seconds,
        ran.wall_seconds / floor_seconds.max(f64::EPSILON),
    ))
}

/// Microseconds that one core takes to sign once and to verify once in a batch of 128.
fn floor_micros() -> Result<f64, Failure> {
    let spec = devnet::NetworkSpec::default();
    let crypto = devnet::provider(&spec);
    let messages: Vec<Digest> =
        (0..FLOOR_SAMPLES).map(|index| Digest::of(&index.to_le_bytes())).collect();
    let key = |index: usize| devnet::KeyId::node(devnet::NodeId((index % 48) as u32));
    let clock = Clock::now();
    let sign = |(index, message): (usize, &'_ Digest)| crypto.sign(key(index), &message.0);
    let signatures: Vec<Option<devnet::Signature>> =
        messages.iter().enumerate().map(sign).collect();
    let signed: Vec<devnet::SignedMessage<'_>> = messages
        .iter()
        .zip(signatures)
        .enumerate()
        .filter_map(|(index, (message, signature))| {
            let (key, signature) = (key(index), signature?);
            Some(devnet::SignedMessage { key, message: &message.0, signature })
        })
        .collect();
    let valid =
        signed.len() == FLOOR_SAMPLES && signed.chunks(128).all(|batch| crypto.verify_batch(batch));
    let micros = clock.elapsed().as_secs_f64() * 1e6 / FLOOR_SAMPLES as f64;
    if valid { Ok(micros) } else { Err(Failure::new(Exit::Failed, "a signature did not verify")) }
}

fn spinup(world: &World) -> Outcome {
    for (validators, committee) in [(48, 16), (300, 128)] {
        spin_up(world, validators, committee)?;
    }
    Ok(Exit::Done)
}

fn spin_up(world: &World, validators: u32, committee: u32) -> Result<(), Failure> {
    use deployment::Driver;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::File, format!("cannot make a folder: {error}")))?;
    let mut driver = deployment::ProcessDriver::new(folder.path(), &this_program()?)?;
    let definitions = world.definitions(&definition::Overrides::default())?;
    let pipeline = definitions
        .pipelines
        .keys()
        .next()
        .cloned()
        .ok_or_else(|| Failure::new(Exit::Definition, "there is no pipeline"))?;
    let bad = |error: base::IdError| Failure::new(Exit::Failed, error);
    let mut network = devnet::NetworkSpec::default().with_slot(base::Duration::from_seconds(2));
    network.validators = validators;
    network.committee = committee;
    network.link_jitter = base::Duration::from_millis(20);
    network.scrape_interval = base::Duration::from_seconds(5);
    let id: DeploymentId = format!("bench-{validators}").parse().map_err(bad)?;
    let spec = deployment::DeploymentSpec {
        id: id.clone(),
        pipeline,
        phase: "bench".parse().map_err(bad)?,
        track: base::Track::Internal,
        attempt: 1,
        network,
        schedule: Vec::new(),
        start: world::now(),
    };
    let clock = Clock::now();
    driver.up(&spec)?;
    let seconds = clock.elapsed().as_secs_f64();
    let pids: Vec<u32> = driver.status(&id)?.nodes.iter().filter_map(|node| node.pid).collect();
    let memory: f64 = pids.iter().map(|pid| pss_mb(*pid)).sum();
    driver.down(&id)?;
    print(&format!(
        "spinup    {validators} validators ({} processes) ready in {seconds:.2} s, {:.2} MB each (PSS)\n",
        pids.len(),
        memory / pids.len().max(1) as f64,
    ))?;
    Ok(())
}

/// Proportional memory of a process, in MB; 0 when it is gone.
fn pss_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Pss:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0)
        / 1024.0
}

/// A repository with a ledger of [`LEDGER_ENTRIES`] entries and this repository's definitions.
fn long_ledger(world: &World) -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::File, format!("cannot make a folder: {error}")))?;
    for name in ["pipeline", "stages"] {
        copy(&world.root.join(name), &folder.path().join(name))?;
    }
    duct::cmd!("git", "init", "--quiet", folder.path())
        .run()
        .map_err(|error| Failure::new(Exit::Failed, format!("git init failed: {error}")))?;
    let definitions = world.definitions(&definition::Overrides::default())?;
    let mut keys = std::collections::BTreeMap::new();
    let mut signers = std::collections::BTreeMap::new();
    for principal in &definitions.roles.principals {
        let pair =
            ledger::keys::generate_ed25519(Some(Digest::of(principal.id.as_str().as_bytes()).0))
                .map_err(|error| Failure::of(Exit::Ledger, &error))?;
        keys.insert(principal.id.clone(), pair.public_openssh.clone());
        let signer = SshKeySigner::from_openssh(principal.id.clone(), &pair.private_openssh)?;
        signers.insert(principal.id.clone(), signer);
    }
    let (roles, _) = world::roles(&definitions.roles, &keys);
    let pipeline = world::pipeline(&definitions, None)?;
    let first = |role: &str| {
        let member = roles.roles.get(role).and_then(|role| role.of.first());
        member
            .and_then(|id| signers.get(id))
            .ok_or_else(|| Failure::new(Exit::Definition, format!("nobody has the role `{role}`")))
    };
    let (root, evaluator) = (first("root")?, first("evaluator")?);
    let pins = World { root: folder.path().to_owned() }.pins()?;
    let store = GitStore::open(folder.path())?.with_durability(Durability::Buffered);
    let network = NetworkId::new(pipeline.id.as_str())
        .map_err(|error| Failure::new(Exit::Definition, error))?;
    let genesis = ledger::body::Genesis {
        pipeline: pipeline.id.clone(),
        roles: roles.clone(),
        note: "A ledger to measure with.".to_owned(),
    };
    let start = world::now();
    let draft = Draft::new(start, pins.clone(), genesis);
    let mut ledger = Ledger::create(store, network, draft, &[root], Default::default())?;
    for _ in 1..LEDGER_ENTRIES {
        let event = ledger::body::Event::new("announce");
        ledger.append(Draft::new(start, pins.clone(), event), &[evaluator], Default::default())?;
    }
    Ok(folder)
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(|error| Failure::file("make", to, &error))?;
    let entries = std::fs::read_dir(from).map_err(|error| Failure::file("read", from, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", from, &error))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)
                .map_err(|error| Failure::file("copy", &target, &error))?;
        }
    }
    Ok(())
}

fn status(world: &World) -> Outcome {
    let folder = long_ledger(world)?;
    let program = this_program()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let clock = Clock::now();
        duct::cmd!(&program, "--root", folder.path(), "phase", "status")
            .stdout_null()
            .stderr_null()
            .run()
            .map_err(|error| Failure::new(Exit::Failed, format!("phase status failed: {error}")))?;
        times.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    print(&format!(
        "status    {:.0} ms (median of {RUNS}) for `phase status` on {LEDGER_ENTRIES} entries, start of the program included\n",
        median(times)
    ))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
