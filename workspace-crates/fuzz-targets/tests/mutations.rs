//! Runs every target over its corpus and over random mutations of it, on stable Rust.
//!
//! `FUZZ_MUTATIONS` is how many mutations each target sees (500 unless it is set), `FUZZ_SEED`
//! where the random numbers begin, `FUZZ_TARGET` the only target that runs.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz_targets::{Random, TARGETS, Target, mutate};

const MUTATIONS: u64 = 500;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The files of a target's corpus, by name.
fn files(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpus().join(target.name);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

fn chosen() -> impl Iterator<Item = &'static Target> {
    let only = std::env::var("FUZZ_TARGET").ok();
    TARGETS.iter().filter(move |target| only.as_ref().is_none_or(|only| only == target.name))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Runs one input; a panic is reported with the input, so that it can be kept in the corpus.
fn run(target: &Target, what: &str, bytes: &[u8]) -> bool {
    catch_unwind(|| (target.run)(bytes)).unwrap_or_else(|_| {
        let shown = bytes.escape_ascii();
        panic!("`{}` fails on {what}; the input is b\"{shown}\"", target.name)
    })
}

#[test]
fn every_target_accepts_its_seeds_and_has_one() {
    for target in TARGETS {
        let made = (target.seeds)();
        let accepted = made.iter().filter(|seed| run(target, "a seed", seed)).count();
        let good = files(target);
        let good: Vec<_> = good.iter().filter(|(name, _)| name.starts_with("good-")).collect();
        for (name, bytes) in &good {
            assert!(run(target, name, bytes), "`{}` refuses {name}", target.name);
        }
        assert!(accepted + good.len() > 0, "`{}` accepts nothing", target.name);
    }
}

#[test]
fn no_file_of_the_corpus_breaks_a_law() {
    for target in TARGETS {
        for (name, bytes) in files(target) {
            run(target, &name, &bytes);
        }
    }
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(fuzz_targets::target(&name).is_some(), "a corpus without a target: {name}");
    }
}

#[test]
fn no_mutation_breaks_a_law() {
    let (count, seed) = (number("FUZZ_MUTATIONS", MUTATIONS), number("FUZZ_SEED", 1));
    for target in chosen() {
        let mut inputs: Vec<Vec<u8>> = files(target).into_iter().map(|(_, bytes)| bytes).collect();
        inputs.extend((target.seeds)());
        let mut random = Random::new(seed);
        for index in 0..count {
            let input = mutate::mutation(target, &inputs, &mut random);
            let accepted = run(target, &format!("mutation {index} of seed {seed}"), &input);
            // What is still valid is a new place to start from.
            if accepted && inputs.len() < 500 && random.below(4) == 0 {
                inputs.push(input);
            }
        }
    }
}

#[test]
fn every_target_has_a_shell_and_every_shell_a_target() {
    let folder = corpus().join("../fuzz_targets");
    let shells: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let manifest = std::fs::read_to_string(corpus().join("../Cargo.toml")).unwrap();
    assert_eq!(shells.len(), TARGETS.len());
    for target in TARGETS {
        let shell = shells.iter().find(|path| path.file_stem().unwrap() == target.name);
        let text = std::fs::read_to_string(shell.unwrap()).unwrap();
        assert!(text.contains(&format!("fuzz_targets::{}::run", target.name)), "{}", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
}
