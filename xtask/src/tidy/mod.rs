//! `cargo xtask tidy`: what the compiler does not check. Every rule is a pure function from text to
//! problems; all problems are printed at once, each with its place and its cure.
mod crates;
mod layers;
mod lines;
mod links;
mod manifests;
mod registration;
mod tree;

pub(crate) use tree::{File, Tree};

use crate::Error;
use crate::workspace::root;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// The name that `tidy-allow(…)` takes.
    pub(crate) rule: &'static str,
    pub(crate) message: String,
    pub(crate) cure: String,
}

impl Problem {
    pub(crate) fn new(
        path: &str,
        line: usize,
        rule: &'static str,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into(), cure: cure.into() }
    }
}

/// Checks the whole workspace.
pub(crate) fn run() -> Result<(), Error> {
    let tree = Tree::load(&root())?;
    let crates = crates::load(&root())?;
    let mut problems = layers::check(&crates);
    problems.extend(layers::check_table(&crates, &tree));
    problems.extend(manifests::check(&crates));
    problems.extend(registration::check(&tree));
    problems.extend(links::check(&tree));
    problems.extend(tree.files.iter().flat_map(lines::check));
    let checked = format!("{} files and {} crates are tidy", tree.files.len(), crates.len());
    report(problems)?;
    eprintln!("{checked}");
    Ok(())
}

/// Prints problems in the order of their places; fails if there is one.
pub(crate) fn report(mut problems: Vec<Problem>) -> Result<(), Error> {
    problems.sort();
    problems.dedup();
    for problem in &problems {
        println!("{}:{}: {} [{}]", problem.path, problem.line, problem.message, problem.rule);
        println!("    cure: {}", problem.cure);
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(Error::Check("1 problem, listed above".into())),
        count => Err(Error::Check(format!("{count} problems, listed above"))),
    }
}
