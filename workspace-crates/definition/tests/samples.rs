//! Good and bad definitions: what is reported for each, in the words that people read.
//!
//! A sample is one text file. `--- <path>` starts a file of the tree, `--- - <path>` removes one of
//! the minimal tree that every bad sample stands on, `@set name=value` and `@time_scale x` stand
//! for command line options.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use definition::{Checked, Files, Gate, Lint, Overrides, Phase, Pipeline, check};
use diagnostics::{CODES, Diagnostic, codes, render};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn samples(name: &str) -> Vec<(String, String)> {
    let mut samples: Vec<(String, String)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read_to_string(&path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

fn parse(text: &str, mut files: Files) -> (Files, Overrides) {
    let mut overrides = Overrides::default();
    let mut current = None;
    for line in text.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("--- - ") {
            files.remove(path.trim_end());
        } else if let Some(path) = line.strip_prefix("--- ") {
            files.insert(path.trim_end().to_owned(), String::new());
            current = Some(path.trim_end().to_owned());
        } else if let Some(set) = line.strip_prefix("@set ") {
            let (name, value) = set.trim_end().split_once('=').unwrap();
            overrides.set.insert(name.to_owned(), value.to_owned());
        } else if let Some(scale) = line.strip_prefix("@time_scale ") {
            overrides.time_scale = Some(scale.trim_end().parse().unwrap());
        } else if let Some(path) = &current {
            files.get_mut(path).unwrap().push_str(line);
        }
    }
    (files, overrides)
}

/// What the crate of gates adds, in small.
struct Kinds;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Soak {
    #[serde(rename = "stable_for")]
    _stable_for: base::Duration,
    #[serde(rename = "conditions")]
    _conditions: Vec<String>,
    #[serde(rename = "server")]
    _server: Option<String>,
}

impl Lint for Kinds {
    fn gate_kinds(&self) -> &[&str] {
        &["soak", "metric"]
    }

    fn check_gate(&self, gate: &Gate, _: &Phase, _: &Pipeline) -> Vec<Diagnostic> {
        gate.params.deserialize::<Soak>().err().unwrap_or_default()
    }
}

fn run(text: &str) -> Checked {
    let minimal = fs::read_to_string(folder("valid").join("minimal.txt")).unwrap();
    let (files, overrides) = parse(text, parse(&minimal, Files::new()).0);
    check(&files, &overrides, &[&Kinds])
}

#[test]
fn bad_samples_are_explained() {
    for (name, text) in samples("invalid") {
        let checked = run(&text);
        assert!(!checked.diagnostics.is_empty(), "{name} has nothing wrong with it");
        let errors = diagnostics::has_errors(&checked.diagnostics);
        assert_eq!(checked.definitions.is_none(), errors, "{name}");
        if let Some(code) = name.split('-').next().filter(|code| code.starts_with("PG")) {
            assert!(checked.diagnostics.iter().any(|it| it.code == code), "{name}");
        }
        let shown = render::human(&checked.diagnostics, &checked.sources, false);
        let shown = format!("{shown}{}\n", render::summary(&checked.diagnostics));
        insta::with_settings!({ snapshot_path => "samples/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.as_str(), shown);
        });
    }
}

#[test]
fn tools_see_the_same_as_people() {
    for name in ["PG0206-duplicate-phase-and-gate", "PG0313-overrides", "PG0104-two-files-at-once"]
    {
        let text = fs::read_to_string(folder("invalid").join(format!("{name}.txt"))).unwrap();
        let checked = run(&text);
        let sarif = render::sarif(&checked.diagnostics, &checked.sources, "0.0.0");
        let mut log: serde_json::Value = serde_json::from_str(&sarif).unwrap();
        log["runs"][0]["tool"].take();
        insta::with_settings!({ snapshot_path => "samples/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}.json"), render::json(&checked.diagnostics, &checked.sources));
            insta::assert_snapshot!(format!("{name}.sarif"), format!("{log:#}\n"));
        });
    }
}

#[test]
fn good_samples_load_without_a_word() {
    for (name, text) in samples("valid") {
        let (files, overrides) = parse(&text, Files::new());
        let checked = check(&files, &overrides, &[]);
        let shown = render::human(&checked.diagnostics, &checked.sources, false);
        assert!(checked.diagnostics.is_empty(), "{name}:\n{shown}");
        let definitions = checked.definitions.unwrap();
        let pipelines: Vec<_> = definitions.pipelines.values().collect();
        let json =
            serde_json::to_string_pretty(&(pipelines, &definitions.calendars, &definitions.roles));
        insta::with_settings!({ snapshot_path => "samples/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("valid-{name}"), json.unwrap());
        });
    }
}

#[test]
fn credentials_in_an_address_are_never_shown() {
    let file = folder("invalid").join("PG0204-credentials-in-addresses.txt");
    let checked = run(&fs::read_to_string(file).unwrap());
    assert_eq!(checked.diagnostics.len(), 3);
    for shown in [
        render::human(&checked.diagnostics, &checked.sources, false),
        render::json(&checked.diagnostics, &checked.sources),
        render::sarif(&checked.diagnostics, &checked.sources, "0.0.0"),
    ] {
        assert!(shown.contains("demo.toml"));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}

#[test]
fn every_code_of_definitions_has_a_bad_sample() {
    // These come from reading the tree; they are tested there.
    let from_disk = [codes::NOT_UTF8, codes::TOO_LARGE, codes::LEAVES_ROOT];
    let shown: BTreeSet<&str> = samples("invalid")
        .iter()
        .flat_map(|(_, text)| run(text).diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    let ours = CODES.iter().map(|info| info.code).filter(|code| *code < "PG04");
    let without: Vec<&str> = ours
        .chain([codes::UNKNOWN_KIND, codes::NO_CONDITION, codes::NO_CONTROL])
        .filter(|code| !shown.contains(code) && !from_disk.contains(code))
        .collect();
    assert!(without.is_empty(), "no bad sample shows {without:?}");
    assert!(samples("invalid").len() >= 30);
}
