//! Measures the simulator: `cargo run --release -p simulator --example speed -- [HOURS] [THREADS] [SIZE] [CRYPTO]`
//! with SIZE `48`, `128`, `300` or `programme` and CRYPTO `ed25519` or `keyed-hash`.
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
    let keyed_hash = argument(3, "ed25519") == "keyed-hash";
    let (mut wall, mut pure) = (0.0, 0.0);
    for (size, hours) in deployments(&argument(2, "300"), hours) {
        let mut spec = sized(&size);
        if keyed_hash {
            spec.crypto = CryptoKind::KeyedHash;
        }
        let (took, alone) = measure(spec, hours, threads)?;
        wall += took;
        pure += alone;
    }
    println!(
        "wall {wall:.2} s; the same signatures by ed25519-dalek alone: {pure:.2} s of one core;"
    );
    println!("wall x threads / that = {:.2}", wall * threads as f64 / pure);
    println!("peak memory {} kB", peak_kilobytes().unwrap_or(0));
    Ok(())
}

/// One deployment, or all eight of the first programme.
fn deployments(size: &str, hours: i64) -> Vec<(String, i64)> {
    let programme = [("48", 120), ("128", 120), ("128", 168), ("300", 168)]
        .map(|(size, public)| [(size.to_owned(), 95), (size.to_owned(), public)]);
    if size == "programme" {
        programme.into_iter().flatten().collect()
    } else {
        vec![(size.to_owned(), hours)]
    }
}

/// Runs one deployment; gives its wall time and the time of its signatures alone on one core.
fn measure(
    spec: NetworkSpec,
    hours: i64,
    threads: usize,
) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let start: Instant = "2026-01-08T15:00:00Z".parse()?;
    let options = Options { threads, invariants: true };
    let clock = Clock::now();
    let mut simulation = Simulation::new(spec.clone(), Vec::new(), start, options)?;
    simulation.run_until(start + Duration::from_hours(hours))?;
    let wall = clock.elapsed().as_secs_f64();
    let stats = simulation.stats();
    let (validators, committee) = (spec.validators, spec.committee);
    println!("{validators} validators, committee {committee}, {hours} h, {threads} threads:");
    println!(
        "  wall {wall:.2} s, {} events, {:.0} events/s, {} signatures, {} verifications ({} remembered)",
        stats.events,
        stats.events as f64 / wall,
        stats.signatures,
        stats.verifications,
        stats.verifications_remembered
    );
    let store = simulation.store();
    let node = simulation.nodes().swap_remove(2);
    println!(
        "  pending {}, finalized {}; {} samples in {} bytes; trace {}",
        node.pending_height,
        node.finalized_height,
        store.sample_count(),
        store.sample_bytes(),
        stats.trace_digest.whole().short()
    );
    let (sign, verify) = signature_seconds(&spec);
    println!("  sign {:.1} us, verify {:.1} us in batches of 1024", sign * 1e6, verify * 1e6);
    Ok((wall, stats.signatures as f64 * sign + stats.verifications as f64 * verify))
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
