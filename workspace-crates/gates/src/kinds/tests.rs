use std::collections::BTreeSet;
use std::path::Path;

use definition::{Lint, Overrides, Params};

use super::{GateLint, KindInfo, parse, reference_markdown, registry};
use crate::testing::{World, gate, phase};

/// The help for an unknown key lists the keys that are read.
fn keys_read(kind: &KindInfo) -> BTreeSet<String> {
    let problems = World::new(kind.name, "zzzzzzzzzzzzzzzzzzzz = 1").problems();
    let help = problems[0].split_once("(there ").unwrap().1;
    help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn documented_parameters_are_those_that_are_read() {
    for kind in registry() {
        let documented: BTreeSet<String> = kind.params.iter().map(|p| p.name.to_owned()).collect();
        assert_eq!(documented, keys_read(kind), "{}", kind.name);
        assert_eq!(documented.len(), kind.params.len(), "{}", kind.name);
    }
}

#[test]
fn parameters_that_are_documented_as_required_are() {
    for kind in registry() {
        let example = Params::from_toml(kind.example).unwrap();
        let mut full = gate(kind.name, "");
        for param in kind.params {
            let entries = example.find("params").unwrap().as_table().unwrap();
            let kept: Vec<String> = entries
                .entries
                .iter()
                .filter(|entry| entry.key != param.name)
                .map(|entry| format!("{} = {}", entry.key, entry.value))
                .collect();
            full.params = Params::from_toml(&kept.join("\n")).unwrap();
            let problems = parse(&full, &example_phase()).err().unwrap_or_default();
            let missing = format!("missing key `{}`", param.name);
            let is_missing = problems.iter().any(|problem| problem.message == missing);
            assert_eq!(is_missing, param.default.is_none(), "{}.{}", kind.name, param.name);
        }
    }
}

/// A phase with what the examples name.
fn example_phase() -> definition::Phase {
    let mut phase = phase(&[("blocks", "max(age) < bool 600")]);
    phase.operations.push(definition::Operation {
        id: "l1-reorg".to_owned(),
        track: base::Track::Internal,
        at: base::Duration::ZERO,
        action: Params::empty(crate::testing::location()),
        location: crate::testing::location(),
    });
    phase
}

#[test]
fn every_example_loads() {
    for kind in registry() {
        let example = Params::from_toml(kind.example).unwrap();
        let params = example.find("params").unwrap().as_table().unwrap();
        let lines: Vec<String> =
            params.entries.iter().map(|e| format!("{} = {}", e.key, e.value)).collect();
        let gate = gate(kind.name, &lines.join("\n"));
        let parsed = parse(&gate, &example_phase());
        let rule = parsed.unwrap_or_else(|problems| panic!("{}: {problems:?}", kind.name)).rule();
        assert!(rule.ends_with('.'), "{rule}");
        assert!(example.get("why").is_some(), "{}", kind.name);
        assert!(example.get("defect").or(example.get("bad_sample")).is_some(), "{}", kind.name);
    }
}

#[test]
fn kinds_are_in_order_and_unknown_ones_are_suggested() {
    let names: Vec<&str> = registry().iter().map(|kind| kind.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(GateLint.gate_kinds(), names);
    let problems = World::new("metrik", "").problems();
    assert_eq!(problems, ["PG0401 unknown gate kind `metrik` (did you mean `metric`?)"]);
}

#[test]
fn the_reference_page_names_every_kind_and_parameter() {
    let page = reference_markdown();
    for kind in registry() {
        assert!(page.contains(&format!("\n## `{}`\n", kind.name)));
        for param in kind.params {
            assert!(page.contains(&format!("| `{}` | ", param.name)), "{}", param.name);
        }
    }
    assert!(!page.contains("\n\n\n") && page.ends_with('\n'));
}

/// Every gate of the definitions that ship is understood, and needs something.
#[test]
fn the_definitions_of_the_repository_are_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = definition::files::read(&root).unwrap();
    let checked = definition::check(&files, &Overrides::default(), &[&GateLint]);
    let problems: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .map(|diagnostic| {
            let place = diagnostic.primary.as_ref().map(|at| checked.sources.describe(at));
            format!("{} {} {:?}", place.unwrap_or_default(), diagnostic.message, diagnostic.help)
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let definitions = checked.definitions.unwrap();
    for phase in definitions.pipelines.values().flat_map(|pipeline| &pipeline.phases) {
        for gate in &phase.gates {
            let parsed = parse(gate, phase).unwrap_or_else(|p| panic!("{}: {p:?}", gate.id));
            assert!(!parsed.needs().is_empty(), "{}", gate.id);
        }
    }
}
