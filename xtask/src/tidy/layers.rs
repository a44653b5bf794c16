//! Layers, their table in ARCHITECTURE.md, and dependencies that have one owner.
use super::crates::Crate;
use super::{Problem, Tree};

const TABLE: &str = "ARCHITECTURE.md";

/// Libraries that only these crates may use, so that replacing one is a change in one place.
const OWNERS: &[(&str, &[&str])] =
    &[("git2", &["ledger"]), ("tera", &["report"]), ("reqwest", &["collectors", "deployment"])];

pub(crate) fn check(crates: &[Crate]) -> Vec<Problem> {
    crates.iter().flat_map(|one| upward(one, crates).into_iter().chain(owners(one))).collect()
}

/// The table of the crates has a row for every crate, with its layer, and for no other.
pub(crate) fn check_table(crates: &[Crate], tree: &Tree) -> Vec<Problem> {
    let text = tree.file(TABLE).map_or("", |file| file.text.as_str());
    let mut problems = Vec::new();
    let mut wrong = |line: usize, message: String| {
        let cure = "make the table and the manifests say the same";
        problems.push(Problem::new(TABLE, line, "layers", message, cure));
    };
    let rows: Vec<(usize, u64, &str)> = text.lines().enumerate().filter_map(row).collect();
    for one in crates {
        let expected = (one.layer.unwrap_or_default(), one.name.as_str());
        if !rows.iter().any(|&(_, layer, name)| (layer, name) == expected) {
            wrong(1, format!("no row `| {} | `{}` | … |`", expected.0, one.name));
        }
    }
    for (line, _, name) in rows {
        if !crates.iter().any(|one| one.name == name) {
            wrong(line, format!("there is no crate `{name}`"));
        }
    }
    problems
}

/// A row `| 4 | `gates` | purpose |` with its line.
fn row((index, line): (usize, &str)) -> Option<(usize, u64, &str)> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let layer = cells.next()?.parse().ok()?;
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((index + 1, layer, name))
}

/// Development dependencies may point anywhere: they are not in what is shipped.
fn upward(one: &Crate, crates: &[Crate]) -> Vec<Problem> {
    let Some(layer) = one.layer else {
        let message = format!("`{}` does not say on which layer it is", one.name);
        let cure = "add `[package.metadata]` with `layer = N`; ARCHITECTURE.md lists the layers";
        return vec![Problem::new(&one.manifest, 1, "layers", message, cure)];
    };
    let edge = |name: &String| {
        let other = crates.iter().find(|other| other.name == *name)?;
        let other_layer = other.layer?;
        if layer > other_layer {
            return None;
        }
        let message = format!(
            "`{}` (layer {layer}) depends on `{name}` (layer {other_layer}), which is not below it",
            one.name
        );
        let cure = format!(
            "move what both need to a crate below layer {layer}, or hand it to `{}` as a value or a trait",
            one.name
        );
        Some(Problem::new(&one.manifest, one.line_of(name), "layers", message, cure))
    };
    one.dependencies.iter().filter_map(edge).collect()
}

fn owners(one: &Crate) -> Vec<Problem> {
    let all = || one.dependencies.iter().chain(&one.dev_dependencies);
    let problem = |(library, owners): &(&str, &[&str])| {
        if owners.contains(&one.name.as_str()) || !all().any(|name| name == library) {
            return None;
        }
        let message = format!("`{}` uses `{library}`, which belongs to {owners:?}", one.name);
        let cure = format!("use it through `{}`", owners.first().copied().unwrap_or_default());
        Some(Problem::new(&one.manifest, one.line_of(library), "owners", message, cure))
    };
    OWNERS.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, layer: Option<u64>, dependencies: &[&str]) -> Crate {
        let lines: String =
            dependencies.iter().map(|name| format!("{name}.workspace = true\n")).collect();
        Crate {
            name: name.into(),
            manifest: format!("workspace-crates/{name}/Cargo.toml"),
            manifest_text: format!("[dependencies]\n{lines}"),
            layer,
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            ..Crate::default()
        }
    }

    #[test]
    fn an_edge_downwards_is_fine() {
        let crates = [one("base", Some(0), &["serde"]), one("gates", Some(4), &["base"])];
        assert_eq!(check(&crates), []);
    }

    #[test]
    fn an_edge_upwards_names_both_crates_and_the_line() {
        let crates = [one("base", Some(0), &["serde", "gates"]), one("gates", Some(4), &[])];
        let problems = check(&crates);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].path.as_str(), problems[0].line), (crates[0].manifest.as_str(), 3));
        assert!(problems[0].message.contains("`base` (layer 0) depends on `gates` (layer 4)"));
    }

    #[test]
    fn an_edge_on_the_same_layer_is_a_problem() {
        let crates = [one("ledger", Some(4), &["gates"]), one("gates", Some(4), &[])];
        assert_eq!(check(&crates).len(), 1);
    }

    #[test]
    fn development_dependencies_may_point_upwards() {
        let mut base = one("base", Some(0), &[]);
        base.dev_dependencies.push("gates".into());
        assert_eq!(check(&[base, one("gates", Some(4), &[])]), []);
    }

    #[test]
    fn a_crate_without_a_layer_is_a_problem() {
        assert_eq!(check(&[one("base", None, &[])]).len(), 1);
    }

    #[test]
    fn the_table_and_the_manifests_say_the_same() {
        let crates = [one("base", Some(0), &[]), one("gates", Some(4), &[])];
        let found = |table| check_table(&crates, &Tree::of(&[(TABLE, table)]));
        assert_eq!(found("| 0 | `base` | a |\n| 4 | `gates` | b |\n"), []);
        assert_eq!(found("| 0 | `base` | a |\n| 3 | `gates` | b |\n").len(), 1);
        assert_eq!(found("| 0 | `base` | a |\n").len(), 1);
        let extra = found("| 0 | `base` | a |\n| 4 | `gates` | b |\n| 5 | `gone` | c |\n");
        assert_eq!(extra.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3]);
        assert_eq!(check_table(&crates, &Tree::default()).len(), 2);
    }

    #[test]
    fn a_library_with_an_owner_is_the_owners_alone() {
        assert_eq!(check(&[one("ledger", Some(4), &["git2"])]), []);
        let problems = check(&[one("engine", Some(6), &["base", "git2"])]);
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].rule, problems[0].line), ("owners", 3));
        let mut in_tests = one("gates", Some(4), &[]);
        in_tests.dev_dependencies.push("reqwest".into());
        assert_eq!(check(&[in_tests]).len(), 1);
    }
}
