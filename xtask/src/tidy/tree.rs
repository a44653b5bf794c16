//! The text files of the repository.
use std::collections::BTreeSet;
use std::path::Path;

use crate::Error;
use crate::workspace::read;

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What git tracks or would track.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Files that are UTF-8 text.
    pub(crate) files: Vec<File>,
    /// Every file, and every folder that holds one.
    pub(crate) paths: BTreeSet<String>,
}

impl Tree {
    pub(crate) fn load(root: &Path) -> Result<Self, Error> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let list = read("git ls-files", duct::cmd("git", arguments).dir(root))?;
        let mut tree = Self::default();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A deleted file is listed until its deletion is committed.
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
            tree.add_path(path);
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(tree)
    }

    fn add_path(&mut self, path: &str) {
        let mut path = path;
        while self.paths.insert(path.to_owned()) {
            match path.rsplit_once('/') {
                Some((folder, _)) => path = folder,
                None => break,
            }
        }
    }

    /// A tree of these files, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add_path(path);
            tree.files.push(File { path: (*path).to_owned(), text: (*text).to_owned() });
        }
        tree
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    /// The file's extension, or an empty text.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Whether this line, or the one before it, says `tidy-allow(rule): reason`.
    pub(crate) fn allows(&self, line: usize, rule: &str) -> bool {
        let marker = format!("tidy-allow({rule}):");
        let allowed = |text: &str| {
            let reason = text.split_once(&marker).map(|(_, reason)| reason.trim_end_matches("-->"));
            reason.is_some_and(|reason| !reason.trim().is_empty())
        };
        self.text.lines().skip(line.saturating_sub(2)).take(line.min(2)).any(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "a.rs".into(), text: text.into() }
    }

    #[test]
    fn folders_are_known_by_their_files() {
        let tree = Tree::of(&[("docs/reference/gates.md", "")]);
        assert!(tree.paths.contains("docs/reference"));
        assert!(tree.paths.contains("docs"));
    }

    #[test]
    fn an_exception_needs_a_reason_and_holds_for_one_line() {
        let text =
            "// tidy-allow(words): the gate looks for it\nbad\nbad\n// tidy-allow(words):\nbad";
        let file = file(text);
        assert!(file.allows(1, "words"));
        assert!(file.allows(2, "words"));
        assert!(!file.allows(2, "paths"));
        assert!(!file.allows(3, "words"));
        assert!(!file.allows(5, "words"));
        assert!(super::tests::file("<!-- tidy-allow(words): a quotation -->").allows(1, "words"));
        assert!(!super::tests::file("<!-- tidy-allow(words): -->").allows(1, "words"));
    }
}
