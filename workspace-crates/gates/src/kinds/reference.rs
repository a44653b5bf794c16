use super::{KINDS, KindInfo};

/// The reference page of all gate kinds, for `docs/reference/gates.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(HEAD);
    for kind in KINDS {
        page.push_str(&section(kind));
    }
    page
}

const HEAD: &str = "# Gate kinds

This page is generated from the code of the gate kinds; `cargo xtask docs` writes it.

Every gate has an `id`, a `title`, a `kind`, its `params`, a `track` (`internal` or `public`), a side (`on = \"entry\"` or \
`on = \"exit\"`), a sentence `why` for participants, and a positive control (`defect` or `bad_sample`): what must make it fail. \
It may have an `owner`, `advisory = true` (judged and shown, never blocks), `on_fail`, `max_age` of its evidence, and a `deadline`.

A judgement is `pass`, `fail`, `inconclusive`, `error` or `not_applicable`. Missing data never passes.
";

fn section(kind: &KindInfo) -> String {
    let mut text = format!("\n## `{}`\n\n{}\n{}\n", kind.name, kind.summary, kind.missing);
    text.push_str("\n| parameter | value | default | meaning |\n|---|---|---|---|\n");
    for param in kind.params {
        let default = param.default.unwrap_or("required");
        let row = [param.name, param.form, default, param.doc].map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| `{}` | {} | {} | {} |\n", row[0], row[1], row[2], row[3]));
    }
    text.push_str(&format!("\n```toml\nkind = \"{}\"\n{}\n```\n", kind.name, kind.example));
    text
}
