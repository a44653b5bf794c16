//! Forgotten kinds: a file in one of these folders is of no use until its `mod.rs` registers it.
use super::{Problem, Tree};

/// A folder with one file per kind.
struct Registry {
    folder: &'static str,
    /// What one of its files is.
    thing: &'static str,
    /// Whether the folder has to exist. A rule without its folder would check nothing.
    required: bool,
    /// Whether `mod.rs` also holds a list with one line per file. Formats are called by name.
    listed: bool,
}

const REGISTRIES: &[Registry] = &[
    Registry {
        folder: "workspace-crates/gates/src/kinds",
        thing: "gate kind",
        required: true,
        listed: true,
    },
    Registry {
        folder: "workspace-crates/deployment/src/drivers",
        thing: "driver",
        required: true,
        listed: true,
    },
    Registry {
        folder: "workspace-crates/evidence/src/formats",
        thing: "format",
        required: false,
        listed: false,
    },
];

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    REGISTRIES.iter().flat_map(|registry| check_one(registry, tree)).collect()
}

fn check_one(registry: &Registry, tree: &Tree) -> Vec<Problem> {
    let path = format!("{}/mod.rs", registry.folder);
    let Some(list) = tree.file(&path) else {
        if !registry.required && !tree.paths.contains(registry.folder) {
            return Vec::new();
        }
        let message = format!("there is no list of every {}", registry.thing);
        let cure = "add the file, or correct the folder in xtask/src/tidy/registration.rs";
        return vec![Problem::new(&path, 1, "registration", message, cure)];
    };
    let problem = |stem: &str| {
        let (message, cure) = unregistered(&list.text, stem, registry)?;
        Some(Problem::new(&path, 1, "registration", message, cure))
    };
    stems(registry.folder, tree).into_iter().filter_map(problem).collect()
}

/// The names of the modules directly in the folder, whether files or folders.
fn stems<'a>(folder: &str, tree: &'a Tree) -> Vec<&'a str> {
    let entries = tree.paths.iter().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
    let direct = entries.filter(|entry| !entry.contains('/') && *entry != "mod.rs");
    let mut stems: Vec<&str> = direct
        .filter_map(|entry| match entry.rsplit_once('.') {
            Some((stem, "rs")) => Some(stem),
            Some(_) => None,
            None => Some(entry),
        })
        .collect();
    stems.dedup();
    stems
}

fn unregistered(list: &str, stem: &str, registry: &Registry) -> Option<(String, String)> {
    let thing = registry.thing;
    let code = || list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let declaration = format!("mod {stem};");
    let declares = |line: &str| {
        line.strip_suffix(declaration.as_str())
            .is_some_and(|before| before.is_empty() || before.starts_with("pub"))
    };
    if !code().any(declares) {
        let message = format!("the {thing} `{stem}` is not compiled");
        let also = if registry.listed { " and its line in the registry" } else { "" };
        return Some((message, format!("add `mod {stem};`{also}")));
    }
    let used = format!("{stem}::");
    let uses = |line: &str| line.match_indices(&used).any(|(at, _)| starts_a_word(line, at));
    if !registry.listed || code().any(uses) {
        return None;
    }
    let message = format!("the {thing} `{stem}` is compiled but not registered");
    Some((message, format!("add the line with `{stem}::…` to the registry")))
}

fn starts_a_word(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: Registry =
        Registry { folder: "kinds", thing: "gate kind", required: true, listed: true };

    fn problems(list: &str) -> Vec<Problem> {
        let tree = Tree::of(&[
            ("kinds/mod.rs", list),
            ("kinds/metric.rs", ""),
            ("kinds/soak/mod.rs", ""),
            ("kinds/soak/breaks.rs", ""),
            ("kinds/notes.md", ""),
        ]);
        check_one(&KINDS, &tree)
    }

    #[test]
    fn registered_files_are_fine() {
        let list = "mod metric;\npub(crate) mod soak;\n[&metric::KIND, &soak::KIND]";
        assert_eq!(problems(list), []);
    }

    #[test]
    fn a_file_that_is_not_compiled_is_named() {
        let problems = problems("mod soak;\n// mod metric;\n[&metric::KIND, &soak::KIND]");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "the gate kind `metric` is not compiled");
    }

    #[test]
    fn a_file_that_is_compiled_but_not_listed_is_named() {
        let problems = problems("mod metric;\nmod soak;\n[&other_metric::KIND, &soak::KIND]");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "the gate kind `metric` is compiled but not registered");
    }

    #[test]
    fn a_folder_without_a_list_only_has_to_compile_its_files() {
        let unlisted = Registry { listed: false, ..KINDS };
        let files = |list| Tree::of(&[("kinds/mod.rs", list), ("kinds/json.rs", "")]);
        assert_eq!(check_one(&unlisted, &files("pub mod json;")), []);
        assert_eq!(check_one(&unlisted, &files("")).len(), 1);
    }

    #[test]
    fn a_folder_without_its_list_is_a_problem() {
        assert_eq!(check_one(&KINDS, &Tree::default()).len(), 1);
        let optional = Registry { required: false, ..KINDS };
        assert_eq!(check_one(&optional, &Tree::default()), []);
        assert_eq!(check_one(&optional, &Tree::of(&[("kinds/a.rs", "")])).len(), 1);
    }
}
