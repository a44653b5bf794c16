//! Judging again the first evaluation of the shipped programme: 94.5 hours of its first phase.

use std::path::Path;
use std::time::Instant as Clock;

use super::{median, milliseconds};
use crate::bench::this_program;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::world::World;

const PIPELINE: &str = "sequencer-prover-testnet";
/// The Monday after the first Thursday.
const WEEK: &str = "2026-W03";
/// Ends after that Monday.
const WEEKS: &str = "2";

/// How long a fresh process takes, in milliseconds: the median of `runs`.
pub fn measure(world: &World, folder: &Path, runs: usize) -> Result<f64, Failure> {
    let program = this_program()?;
    let out = folder.join("rehearsal");
    let root = world.root.as_os_str();
    // It does not ship in so few weeks, which is an exit code of its own.
    let rehearse = duct::cmd!(
        &program,
        "--root",
        root,
        "rehearse",
        PIPELINE,
        "--weeks-max",
        WEEKS,
        "--out",
        &out
    );
    let ran = rehearse.stdout_null().stderr_null().unchecked().run();
    let ran = ran.map_err(|error| Failure::new(Exit::Failed, format!("rehearsing: {error}")))?;
    if !out.join("ledger.git").is_dir() {
        return Err(Failure::new(Exit::Failed, format!("rehearsing ended with {}", ran.status)));
    }
    let mut times = Vec::new();
    for _ in 0..runs {
        let recompute = duct::cmd!(
            &program,
            "--root",
            root,
            "report",
            "recompute",
            "--rehearsal",
            &out,
            "--week",
            WEEK
        );
        let clock = Clock::now();
        // Only a judgement that comes out the same ends well.
        recompute
            .read()
            .map_err(|error| Failure::new(Exit::Failed, format!("judging again: {error}")))?;
        times.push(milliseconds(clock));
    }
    Ok(median(times))
}
