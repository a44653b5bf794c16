//! Pipelines, stages, calendars and roles in TOML.

use calendar::CalendarLint;
use definition::{Files, Overrides};
use gates::GateLint;

use crate::Target;

/// A tree of definition files.
pub const TARGET: Target = Target {
    name: "definition",
    run,
    seeds: crate::no_seeds,
    repair: crate::no_repair,
    words: &[
        "--- pipeline/x.toml\n",
        "--- pipeline/calendar.toml\n",
        "--- pipeline/roles.toml\n",
        "--- stages/x/stage.toml\n",
        "[[gate]]\n",
        "[[phase]]\n",
        "[calendars.weekly]\n",
        "'''",
        "\"\"\"",
        "include = ",
        "after = [\"",
        "\"]",
        "{{",
        "}}",
        "${",
        "90h",
        "FREQ=SECONDLY;",
        "BYSETPOS=-1;",
        "COUNT=0;",
        "INTERVAL=4294967295;",
        "UNTIL=20260101T000000Z",
        "query = \"sum(up)\"\n",
        "schema = 2\n",
        "1979-05-27T07:32:00Z",
        "inf",
        "nan",
        "0x",
        "\u{202e}",
    ],
};

/// A broken tree has at least one error, in words and with a place that exists.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let files = files(&String::from_utf8_lossy(bytes));
    let checked = definition::check(&files, &Overrides::default(), &[&GateLint, &CalendarLint]);
    assert!(
        checked.definitions.is_some() || !checked.diagnostics.is_empty(),
        "neither definitions nor a reason"
    );
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.message.is_empty(), "{} says nothing", diagnostic.code);
    }
    checked.definitions.is_some()
}

/// `--- path` starts a file of the tree, as in the samples of `definition`.
fn files(text: &str) -> Files {
    let mut files = Files::new();
    let mut current = None;
    for line in text.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("--- ") {
            current = Some(path.trim_end().to_owned());
        } else if let Some(path) = &current {
            files.entry(path.clone()).or_default().push_str(line);
        }
    }
    files
}
