//! What every crate states: its description, the shared lints, its purpose.
use super::Problem;
use super::crates::Crate;

/// Fewer words than this say no purpose.
const PURPOSE_WORDS_MIN: usize = 4;

pub(crate) fn check(crates: &[Crate]) -> Vec<Problem> {
    crates.iter().flat_map(check_one).collect()
}

fn check_one(one: &Crate) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, message: String, cure: &str| {
        problems.push(Problem::new(path, 1, "manifests", message, cure));
    };
    if !has_shared_lints(&one.manifest_text) {
        let message = format!("`{}` does not use the workspace's lints", one.name);
        wrong(&one.manifest, message, "add `[lints]` with `workspace = true`");
    }
    if one.description.trim().is_empty() {
        let message = format!("`{}` has no description", one.name);
        wrong(&one.manifest, message, "add `description = \"…\"` to `[package]`");
    }
    let purpose = one.root_text.lines().take_while(|line| line.starts_with("//!"));
    let words: usize = purpose.map(|line| line.split_whitespace().skip(1).count()).sum();
    if words < PURPOSE_WORDS_MIN {
        let message = format!("`{}` does not say what it is for", one.name);
        wrong(&one.root_file, message, "start the file with `//!` and the crate's purpose");
    }
    problems
}

fn has_shared_lints(manifest: &str) -> bool {
    let mut in_lints = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_lints = line == "[lints]";
        }
        if (in_lints && line == "workspace = true") || line == "lints.workspace = true" {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Crate {
        Crate {
            name: "base".into(),
            manifest: "workspace-crates/base/Cargo.toml".into(),
            manifest_text: "[package]\nname = \"base\"\n\n[lints]\nworkspace = true\n".into(),
            description: "Newtypes.".into(),
            root_file: "workspace-crates/base/src/lib.rs".into(),
            root_text: "//! Newtypes that every layer shares.\n".into(),
            ..Crate::default()
        }
    }

    #[test]
    fn a_good_crate_has_no_problems() {
        assert_eq!(check(&[good()]), []);
    }

    #[test]
    fn the_workspaces_lints_are_required() {
        // `workspace = true` in another table is not it.
        let manifest_text = "[lints.rust]\nunsafe_code = \"warn\"\n[x]\nworkspace = true\n".into();
        let problems = check(&[Crate { manifest_text, ..good() }]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("lints"));
    }

    #[test]
    fn a_description_is_required() {
        assert_eq!(check(&[Crate { description: " ".into(), ..good() }]).len(), 1);
    }

    #[test]
    fn a_purpose_is_required() {
        for root_text in
            ["", "fn main() {}\n", "//! Base.\n", "// Newtypes that every layer shares.\n"]
        {
            let problems = check(&[Crate { root_text: root_text.into(), ..good() }]);
            assert_eq!(problems.len(), 1, "{root_text:?}");
            assert_eq!(problems[0].path, "workspace-crates/base/src/lib.rs");
        }
    }
}
