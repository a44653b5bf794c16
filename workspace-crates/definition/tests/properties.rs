//! Damaged and hostile definitions are reported; they never panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::path::Path;

use definition::{Files, Overrides, check, files};
use diagnostics::render;
use proptest::prelude::*;

fn real_tree() -> Files {
    files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// Checks and renders in every form; what cannot be used has an error that says why.
fn survive(files: &Files, overrides: &Overrides) {
    let checked = check(files, overrides, &[]);
    assert_eq!(checked.definitions.is_none(), diagnostics::has_errors(&checked.diagnostics));
    let shown = render::human(&checked.diagnostics, &checked.sources, false);
    assert!(!shown.contains('\u{1b}'));
    let _ = render::json(&checked.diagnostics, &checked.sources);
    let _ = render::sarif(&checked.diagnostics, &checked.sources, "0");
    if let Some(definitions) = &checked.definitions {
        for pipeline in definitions.pipelines.values() {
            pipeline.digest().unwrap();
        }
    }
}

/// Pieces that TOML and substitutions are made of, so that damage gets past the parser.
const PIECES: [&str; 24] = [
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "#",
    ".",
    "${",
    "}",
    "${validators}",
    "${soak.seconds}",
    "[[phase]]\n",
    "[[include]]\nstage = \"stability\"\n",
    "-1",
    "nan",
    "1e999",
    "\u{202e}",
    "ä",
    "after = [\"phase-4\"]\n",
    "\"\"\"",
    "schema = 1\n",
];

fn damaged() -> impl Strategy<Value = Files> {
    let tree = real_tree();
    let paths: Vec<String> = tree.keys().cloned().collect();
    let edit = (0..paths.len(), any::<prop::sample::Index>(), 0..40_usize, 0..PIECES.len());
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut files = tree.clone();
        for (file, place, length, piece) in edits {
            let Some(text) = files.get_mut(&paths[file]) else { continue };
            let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            places.push(text.len());
            let start = place.index(places.len());
            let end = (start + length).min(places.len() - 1);
            text.replace_range(places[start]..places[end], PIECES[piece]);
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_texts_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0..4_usize) {
        let path = ["pipeline/a.toml", "pipeline/calendar.toml", "pipeline/roles.toml", "stages/s/stage.toml"][which];
        let mut files = real_tree();
        files.insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        survive(&files, &Overrides::default());
    }

    #[test]
    fn damaged_definitions_never_panic(files in damaged()) {
        survive(&files, &Overrides::default());
    }

    #[test]
    fn overrides_never_panic(name in "[a-z_]{1,12}|validators|slot|tps", value in ".{0,12}", scale in any::<f64>()) {
        let overrides = Overrides { set: [(name, value)].into(), time_scale: Some(scale) };
        survive(&real_tree(), &overrides);
    }

    #[test]
    fn the_same_texts_give_the_same_report(files in damaged()) {
        let (one, two) = (check(&files, &Overrides::default(), &[]), check(&files, &Overrides::default(), &[]));
        prop_assert_eq!(one.diagnostics, two.diagnostics);
        prop_assert_eq!(one.definitions, two.definitions);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
    let deep = 20_000;
    let texts = [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("a = {}", "{ a = ".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
    ];
    for text in texts {
        let mut files = real_tree();
        files.insert("pipeline/deep.toml".to_owned(), text);
        let checked = check(&files, &Overrides::default(), &[]);
        assert!(checked.definitions.is_none());
        let _ = render::human(&checked.diagnostics, &checked.sources, false);
    }
}
