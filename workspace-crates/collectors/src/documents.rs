//! Documents of the repository.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use evidence::{DocumentBody, Problem, ProblemKind, Record, to_body};
use gates::Need;
use gates::kinds::local_links;

use crate::inside::resolve;
use crate::{Collector, Request, record};

/// A document larger than this is not read.
const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads documents below the root of the repository, and nowhere else.
#[derive(Debug)]
pub struct Documents {
    root: PathBuf,
}

impl Documents {
    /// Documents below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn read(&self, path: &str) -> DocumentBody {
        let mut body = DocumentBody {
            path: path.to_owned(),
            text: None,
            existing_links: BTreeSet::new(),
            problem: None,
        };
        match self.text(path) {
            Ok(None) => {}
            Ok(Some(text)) => {
                body.existing_links = self.existing_links(path, &text);
                body.text = Some(text);
            }
            Err((kind, text)) => body.problem = Some(Problem { kind, text }),
        }
        body
    }

    fn text(&self, path: &str) -> Result<Option<String>, (ProblemKind, String)> {
        let unreachable = |why: String| (ProblemKind::Unreachable, why);
        let inside = resolve(&self.root, Path::new(path))
            .map_err(|why| unreachable(format!("`{path}` {why}.")))?;
        let size = match std::fs::metadata(&inside) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return Err(unreachable(format!("`{path}` is not a file."))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreachable(format!("`{path}` cannot be read: {error}."))),
        };
        if size > DOCUMENT_BYTES_MAX {
            return Err((
                ProblemKind::Malformed,
                format!("`{path}` has {size} bytes; documents have at most {DOCUMENT_BYTES_MAX}."),
            ));
        }
        let bytes = std::fs::read(&inside)
            .map_err(|error| unreachable(format!("`{path}` cannot be read: {error}.")))?;
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| (ProblemKind::Malformed, format!("`{path}` is not UTF-8 text.")))
    }

    fn existing_links(&self, path: &str, text: &str) -> BTreeSet<String> {
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        // The gate looks the links up that it finds itself, so it has to be the same search.
        local_links(text)
            .into_iter()
            .filter(|file| {
                let normal = normalize(&folder.join(file));
                normal.is_some_and(|p| resolve(&self.root, &p).is_ok_and(|real| real.is_file()))
            })
            .collect()
    }
}

impl Collector for Documents {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Document { path } = request.need else { return None };
        let body = to_body(&self.read(path)).ok()?;
        let mut record = record(request, "document", path.clone(), "documents", body);
        // A document is about no network.
        record.subject = None;
        Some(record)
    }
}

/// `path` without `.` and `..`; `None` when it leads out of the root.
fn normalize(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::Documents;
    use evidence::ProblemKind;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs/sub")).unwrap();
        std::fs::write(
            root.path().join("docs/guide.md"),
            "# Guide\n[a](sub/there.md#x) [b](missing.md) [c](../top.md) [d](https://x.org) [e](../../out.md)",
        )
        .unwrap();
        std::fs::write(root.path().join("docs/sub/there.md"), "x").unwrap();
        std::fs::write(root.path().join("top.md"), "x").unwrap();
        root
    }

    #[test]
    fn a_document_is_read_with_the_links_that_exist() {
        let root = tree();
        let body = Documents::new(root.path()).read("docs/guide.md");
        assert!(body.text.unwrap().starts_with("# Guide"));
        let links: Vec<_> = body.existing_links.iter().map(String::as_str).collect();
        assert_eq!(links, ["../top.md", "sub/there.md"]);
    }

    #[test]
    fn an_absent_document_is_absent_and_not_a_problem() {
        let body = Documents::new(tree().path()).read("docs/none.md");
        assert_eq!((body.text, body.problem), (None, None));
    }

    #[test]
    fn paths_and_links_that_lead_out_are_refused() {
        let root = tree();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("link.md")).unwrap();
        std::fs::create_dir_all(root.path().join(".phasegate/keys")).unwrap();
        std::fs::write(root.path().join(".phasegate/keys/lead"), "a key").unwrap();
        for path in
            ["../x.md", "/etc/passwd", "docs/../../x", "link.md", ".phasegate/keys/lead", "docs"]
        {
            let problem = Documents::new(root.path()).read(path).problem;
            assert_eq!(problem.map(|p| p.kind), Some(ProblemKind::Unreachable), "{path}");
        }
    }

    #[test]
    fn a_document_that_is_no_text_is_malformed() {
        let root = tree();
        std::fs::write(root.path().join("x.md"), [0xff, 0xfe]).unwrap();
        let problem = Documents::new(root.path()).read("x.md").problem.unwrap();
        assert_eq!(problem.kind, ProblemKind::Malformed);
    }
}
