//! The crates of the workspace as `cargo metadata` describes them.
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

use crate::Error;

/// One crate, with what the rules look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Relative to the root.
    pub(crate) manifest: String,
    pub(crate) manifest_text: String,
    pub(crate) description: String,
    pub(crate) layer: Option<u64>,
    /// Names of normal and build dependencies.
    pub(crate) dependencies: Vec<String>,
    /// Names of development dependencies.
    pub(crate) dev_dependencies: Vec<String>,
    /// The library's or else the program's root file, relative to the root, and its text.
    pub(crate) root_file: String,
    pub(crate) root_text: String,
}

impl Crate {
    /// The line of the manifest that starts with this word, or 1.
    pub(crate) fn line_of(&self, word: &str) -> usize {
        let is_it = |line: &str| {
            let rest = line.trim_start().strip_prefix(word);
            rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']) || rest.is_empty())
        };
        self.manifest_text.lines().position(is_it).map_or(1, |index| index + 1)
    }
}

pub(crate) fn load(root: &Path) -> Result<Vec<Crate>, Error> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(Error::Metadata)?;
    metadata.workspace_packages().into_iter().map(|package| describe(root, package)).collect()
}

fn describe(root: &Path, package: &Package) -> Result<Crate, Error> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|source| Error::file("read", path, source))
    };
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let names = |wanted: fn(DependencyKind) -> bool| {
        let dependencies = package.dependencies.iter();
        dependencies.filter(|dependency| wanted(dependency.kind)).map(|d| d.name.clone()).collect()
    };
    let is_library = |kinds: &[TargetKind]| {
        kinds.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::ProcMacro))
    };
    let targets = &package.targets;
    let target = targets.iter().find(|target| is_library(&target.kind));
    let target = target.or_else(|| targets.iter().find(|t| t.kind.contains(&TargetKind::Bin)));
    let root_file = target.map(|target| target.src_path.as_std_path());
    Ok(Crate {
        name: package.name.to_string(),
        manifest: relative(package.manifest_path.as_std_path()),
        manifest_text: read(package.manifest_path.as_std_path())?,
        description: package.description.clone().unwrap_or_default(),
        layer: package.metadata.get("layer").and_then(|layer| layer.as_u64()),
        dependencies: names(|kind| kind != DependencyKind::Development),
        dev_dependencies: names(|kind| kind == DependencyKind::Development),
        root_file: root_file.map(relative).unwrap_or_default(),
        root_text: root_file.map_or_else(|| Ok(String::new()), read)?,
    })
}
