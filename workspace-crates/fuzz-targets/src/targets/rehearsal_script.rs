//! Scripts of rehearsals in TOML.

use collectors::Script;

use crate::Target;

/// The text of a script.
pub const TARGET: Target = Target {
    name: "rehearsal_script",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "schema = 1\n",
        "[[issues]]\n",
        "[[approval]]\n",
        "gate = \"",
        "file = \"../x\"\n",
        "after = \"-1h\"\n",
        "principal = \"",
        "statement = \'\'\'",
        "\u{202e}",
    ],
};

/// A script is read or refused, each time the same.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(folder) = tempfile::tempdir() else { return false };
    let path = std::path::Path::new("script.toml");
    if std::fs::write(folder.path().join(path), bytes).is_err() {
        return false;
    }
    let read = || Script::read(folder.path(), path);
    match read() {
        Ok(script) => {
            assert_eq!(script.schema, 1);
            assert_eq!(read().ok(), Some(script));
            true
        }
        Err(error) => {
            assert!(error.to_string().contains("script"), "{error}");
            false
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let text = "schema = 1\n\n[[issues]]\ngate = \"p/g\"\nfile = \"page.json\"\n\n[[approval]]\ngate = \"p/a\"\nprincipal = \"lead\"\nstatement = \"Yes.\"\nafter = \"1h\"\n";
    vec![text.as_bytes().to_vec()]
}
