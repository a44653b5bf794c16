//! Reading the tree of definitions: the only part of this crate that touches the filesystem.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use diagnostics::{Diagnostic, Location, SourceMap, codes};

use crate::Files;

/// Largest definition file that is read, in bytes.
pub const BYTES_MAX: u64 = 1 << 20;

/// The definitions could not be read from disk.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The filesystem refused.
    #[error("cannot read `{path}`")]
    Io {
        /// The path, relative to the root where it is known.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Files were found that are not taken as definitions.
    #[error("{} definition file(s) cannot be used", .diagnostics.len())]
    Refused {
        /// Why, file by file.
        diagnostics: Vec<Diagnostic>,
        /// The files that could be read.
        sources: SourceMap,
    },
}

/// Reads `pipeline/*.toml` and `stages/*/stage.toml` below `root`. Folders that are missing count
/// as empty: the check says what is needed.
///
/// # Errors
/// When the filesystem refuses, or when files are not UTF-8, are larger than [`BYTES_MAX`], are not
/// plain files, or lead out of `root` by a symbolic link; all such files are named at once.
pub fn read(root: &Path) -> Result<Files, FilesError> {
    let mut tree = Tree { root: canonical(root)?, files: Files::new(), diagnostics: Vec::new() };
    for name in tree.names("pipeline")? {
        if name.ends_with(".toml") {
            tree.read(&format!("pipeline/{name}"))?;
        }
    }
    for folder in tree.names("stages")? {
        let path = format!("stages/{folder}/stage.toml");
        if tree.root.join(&path).symlink_metadata().is_ok() {
            tree.read(&path)?;
        }
    }
    tree.finish()
}

struct Tree {
    root: PathBuf,
    files: Files,
    diagnostics: Vec<Diagnostic>,
}

impl Tree {
    /// The names in a folder, in order. Names that are not Unicode cannot be stage or pipeline ids.
    fn names(&self, folder: &str) -> Result<Vec<String>, FilesError> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(FilesError::Io { path: folder.into(), source }),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| FilesError::Io { path: folder.into(), source })?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&mut self, path: &str) -> Result<(), FilesError> {
        let target = match self.root.join(path).canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.refuse(codes::LEAVES_ROOT, path, "is a symbolic link to nothing");
                return Ok(());
            }
            Err(source) => return Err(FilesError::Io { path: path.into(), source }),
        };
        if !target.starts_with(&self.root) {
            self.refuse(codes::LEAVES_ROOT, path, "leads out of the root of the definitions");
            return Ok(());
        }
        match read_limited(&target) {
            Ok(Content::Text(text)) => {
                self.files.insert(path.to_owned(), text);
            }
            Ok(Content::NotAFile) => self.refuse(codes::MISPLACED, path, "is not a plain file"),
            Ok(Content::TooLarge) => {
                self.refuse(codes::TOO_LARGE, path, "is larger than 1 MiB");
            }
            Ok(Content::NotUtf8(offset)) => {
                self.refuse(codes::NOT_UTF8, path, &format!("is not UTF-8 from byte {offset} on"));
            }
            Err(source) => return Err(FilesError::Io { path: path.into(), source }),
        }
        Ok(())
    }

    fn refuse(&mut self, code: &'static str, path: &str, why: &str) {
        let diagnostic = Diagnostic::error(code, format!("`{path}` {why}"));
        self.diagnostics.push(diagnostic.at(&Location::whole_file(path)));
    }

    fn finish(self) -> Result<Files, FilesError> {
        if self.diagnostics.is_empty() {
            return Ok(self.files);
        }
        let mut sources = SourceMap::default();
        for (path, text) in self.files {
            sources.insert(path, text);
        }
        Err(FilesError::Refused { diagnostics: self.diagnostics, sources })
    }
}

enum Content {
    Text(String),
    NotAFile,
    TooLarge,
    NotUtf8(usize),
}

/// Reads at most one byte more than is allowed, so that a file that grows meanwhile is caught too.
fn read_limited(path: &Path) -> io::Result<Content> {
    if !fs::metadata(path)?.is_file() {
        return Ok(Content::NotAFile);
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, BYTES_MAX + 1), &mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Ok(Content::TooLarge);
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(error) => Content::NotUtf8(error.utf8_error().valid_up_to()),
    })
}

fn canonical(root: &Path) -> Result<PathBuf, FilesError> {
    root.canonicalize().map_err(|source| FilesError::Io { path: root.into(), source })
}
