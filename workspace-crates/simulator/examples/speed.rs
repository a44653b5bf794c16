//! Measures the simulator: `cargo run --release -p simulator --example speed -- [HOURS] [THREADS] [SIZE] [CRYPTO]`
//! with SIZE `48`, `128` or `300` and CRYPTO `ed25519` or `keyed-hash`.
#![allow(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::time::Instant as Clock;

use base::{Duration, Instant};
use devnet::{CryptoKind, KeyId, NetworkSpec, SignedMessage, provider};
use simulator::{Options, Simulation};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: &str| {
        arguments.get(index).cloned().unwrap_or_else(|| default.to_owned())
    };
    let hours: i64 = argument(0, "10").parse()?;
    let threads: usize = argument(1, "2").parse()?;
    let mut spec = sized(&argument(2, "300"));
    if argument(3, "ed25519") == "keyed-hash" {
        spec.crypto = CryptoKind::KeyedHash;
    }
    let start: Instant = "2026-01-08T15:00:00Z".parse()?;
    let options = Options { threads, invariants: true };
    let clock = Clock::now();
    let mut simulation = Simulation::new(spec.clone(), Vec::new(), start, options)?;
    simulation.run_until(start + Duration::from_hours(hours))?;
    let wall = clock.elapsed().as_secs_f64();
    let stats = simulation.stats();
    println!(
        "{} validators, committee {}, {hours} h, {threads} threads",
        spec.validators, spec.committee
    );
    println!(
        "wall {wall:.2} s, {:.0} events/s, {} events",
        stats.events as f64 / wall,
        stats.events
    );
    println!("{stats:#?}");
    let node = &simulation.nodes()[2];
    println!("pending {}, finalized {}", node.pending_height, node.finalized_height);
    println!(
        "samples {} in {} bytes",
        simulation.store().sample_count(),
        simulation.store().sample_bytes()
    );
    println!("peak memory {} kB", peak_kilobytes().unwrap_or(0));
    let (sign, verify) = signature_seconds(&spec);
    let pure = stats.signatures as f64 * sign + stats.verifications as f64 * verify;
    println!(
        "sign {:.1} us, verify {:.1} us in batches of 1024; pure {pure:.2} s of one core; wall x threads / pure = {:.2}",
        sign * 1e6,
        verify * 1e6,
        wall * threads as f64 / pure
    );
    Ok(())
}

fn sized(validators: &str) -> NetworkSpec {
    let base = NetworkSpec { internal_provers: 1, ..NetworkSpec::default() };
    match validators {
        "48" => base,
        "128" => NetworkSpec { validators: 128, max_txs_per_block: 4, load_tps: 0.1, ..base },
        _ => NetworkSpec {
            validators: 300,
            committee: 128,
            max_txs_per_block: 72,
            load_tps: 1.0,
            external_provers: 2,
            ..base
        },
    }
}

/// Seconds for one signature and for one verification, alone on one core.
fn signature_seconds(spec: &NetworkSpec) -> (f64, f64) {
    let crypto = provider(spec);
    let count = 1_024_u32;
    let keys: Vec<KeyId> = (0..count).map(|n| KeyId(n % spec.node_count())).collect();
    let clock = Clock::now();
    let signatures: Vec<_> =
        keys.iter().filter_map(|key| crypto.sign(*key, &key.0.to_le_bytes())).collect();
    let sign = clock.elapsed().as_secs_f64() / f64::from(count);
    let texts: Vec<_> = keys.iter().map(|key| key.0.to_le_bytes()).collect();
    let signed: Vec<_> = keys
        .iter()
        .zip(&texts)
        .zip(signatures)
        .map(|((key, message), signature)| SignedMessage { key: *key, message, signature })
        .collect();
    let clock = Clock::now();
    let valid = crypto.verify_batch(&signed);
    let verify = clock.elapsed().as_secs_f64() / f64::from(count);
    assert!(valid, "own signatures are valid");
    (sign, verify)
}

fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
