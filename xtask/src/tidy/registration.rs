//! Forgotten kinds: a file in one of these folders is of no use until its `mod.rs` registers it.
use super::{Problem, Tree};

/// A folder with one file per kind.
struct Registry {
    folder: &'static str,
    /// What one of its files is.
    thing: &'static str,
    /// Whether the folder has to exist. A rule without its folder would check nothing.
    required: bool,
    /// What the code of every such thing contains, and what `mod.rs` then has to say beside
    /// `mod`, `{}` being the file's name. Files without the mark are helpers of the others.
    /// Formats are called by name, so nothing has to list them.
    listed: Option<(&'static str, &'static str)>,
}

const REGISTRIES: &[Registry] = &[
    Registry {
        folder: "workspace-crates/gates/src/kinds",
        thing: "gate kind",
        required: true,
        listed: Some(("const KIND: KindInfo", "{}::KIND")),
    },
    Registry {
        folder: "workspace-crates/deployment/src/drivers",
        thing: "driver",
        required: true,
        listed: Some(("impl Driver for ", "{}::")),
    },
    Registry {
        folder: "workspace-crates/evidence/src/formats",
        thing: "format",
        required: false,
        listed: None,
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
        let entry =
            registry.listed.filter(|(mark, _)| is_marked(registry.folder, stem, mark, tree));
        let entry = entry.map(|(_, line)| line.replace("{}", stem));
        let (message, cure) = unregistered(&list.text, stem, registry.thing, entry.as_deref())?;
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

/// Whether the module's file, or one in its folder, contains the mark outside of its tests.
fn is_marked(folder: &str, stem: &str, mark: &str, tree: &Tree) -> bool {
    let (file, below) = (format!("{folder}/{stem}.rs"), format!("{folder}/{stem}/"));
    let own = tree.files.iter().filter(|one| one.path == file || one.path.starts_with(&below));
    own.filter(|one| !one.path.ends_with("/tests.rs")).any(|one| one.text.contains(mark))
}

/// What is wrong with a module: `entry` is what the list has to say about it.
fn unregistered(
    list: &str,
    stem: &str,
    thing: &str,
    entry: Option<&str>,
) -> Option<(String, String)> {
    let code = || list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let declaration = format!("mod {stem};");
    let declares = |line: &str| {
        line.strip_suffix(declaration.as_str())
            .is_some_and(|before| before.is_empty() || before.starts_with("pub"))
    };
    if !code().any(declares) {
        let message = format!("the {thing} `{stem}` is not compiled");
        let also = if entry.is_some() { " and its line in the registry" } else { "" };
        return Some((message, format!("add `mod {stem};`{also}")));
    }
    let entry = entry?;
    let lists = |line: &str| line.match_indices(entry).any(|(at, _)| starts_a_word(line, at));
    if code().any(lists) {
        return None;
    }
    let message = format!("the {thing} `{stem}` is compiled but not registered");
    Some((message, format!("add the line with `{entry}` to the registry")))
}

fn starts_a_word(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: Registry =
        Registry { folder: "kinds", thing: "gate kind", required: true, listed: Some(LISTED) };
    const LISTED: (&str, &str) = ("const KIND: KindInfo", "{}::KIND");

    fn problems(list: &str) -> Vec<Problem> {
        let kind = "pub(super) const KIND: KindInfo = KindInfo {};";
        let tree = Tree::of(&[
            ("kinds/mod.rs", list),
            ("kinds/metric.rs", kind),
            ("kinds/metric/tests.rs", kind),
            ("kinds/soak/mod.rs", kind),
            ("kinds/soak/breaks.rs", ""),
            ("kinds/records.rs", "pub(crate) fn helper() {}"),
            ("kinds/notes.md", ""),
        ]);
        check_one(&KINDS, &tree)
    }

    #[test]
    fn registered_files_are_fine() {
        let list = "mod metric;\nmod records;\npub(crate) mod soak;\n[&metric::KIND, &soak::KIND]";
        assert_eq!(problems(list), []);
    }

    #[test]
    fn a_file_that_is_not_compiled_is_named() {
        let problems =
            problems("mod soak;\nmod records;\n// mod metric;\n[&metric::KIND, &soak::KIND]");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "the gate kind `metric` is not compiled");
    }

    #[test]
    fn a_file_that_is_compiled_but_not_listed_is_named() {
        let problems =
            problems("mod metric;\nmod soak;\nmod records;\n[&other_metric::KIND, &soak::KIND]");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "the gate kind `metric` is compiled but not registered");
    }

    #[test]
    fn naming_a_kind_for_another_reason_does_not_register_it() {
        let list = "mod metric;\nmod soak;\nmod records;\nuse metric::Metric;\n[soak::KIND]";
        assert_eq!(problems(list).len(), 1);
    }

    #[test]
    fn a_helper_only_has_to_be_compiled() {
        let problems = problems("mod metric;\nmod soak;\n[metric::KIND, soak::KIND]");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, "the gate kind `records` is not compiled");
    }

    #[test]
    fn a_folder_without_a_list_only_has_to_compile_its_files() {
        let unlisted = Registry { listed: None, ..KINDS };
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
