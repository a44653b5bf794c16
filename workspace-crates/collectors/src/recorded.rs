//! What a rehearsal brings instead of people and servers: saved pages and scripted approvals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base::{Duration, PrincipalId};
use evidence::formats::github_issues;
use evidence::{IssuesBody, Problem, ProblemKind, Record, to_body};
use gates::Need;
use serde::Deserialize;

use crate::{Collector, Request, inside, record};

/// A script larger than this is some other file.
const SCRIPT_BYTES_MAX: u64 = 1024 * 1024;
/// A saved page larger than this is not read.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The script of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Version of this format; 1.
    pub schema: u32,
    /// Saved issue pages by gate.
    #[serde(default)]
    issues: Vec<ScriptedIssues>,
    /// Approvals that are signed in the rehearsal.
    #[serde(default, rename = "approval")]
    pub approvals: Vec<ScriptedApproval>,
}

/// A saved page that answers one gate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedIssues {
    gate: String,
    file: String,
}

/// An approval that a scripted principal signs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedApproval {
    /// The gate, as `<phase>/<gate>`.
    pub gate: String,
    /// Who signs.
    pub principal: PrincipalId,
    /// What they say.
    pub statement: String,
    /// How long after the deployment of the gate's track they say it.
    pub after: Duration,
}

/// Why a script could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file could not be read.
    #[error(
        "the rehearsal script {path} cannot be read: {source}; state an existing file under `[rehearsal] script`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a script.
    #[error("the rehearsal script {path} is not valid: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A version that this program does not know.
    #[error("the rehearsal script {path} has schema {found}; this program reads schema 1")]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl Script {
    /// Reads the script at `path` below `root`.
    ///
    /// # Errors
    /// When the file lies elsewhere, cannot be read, is not valid, or has another schema.
    pub fn read(root: &Path, path: &Path) -> Result<Self, ScriptError> {
        let text = inside::read(root, path, SCRIPT_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        let script: Self = toml::from_str(&text).map_err(|source| ScriptError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if script.schema == 1 {
            Ok(script)
        } else {
            Err(ScriptError::Schema { path: path.to_owned(), found: script.schema })
        }
    }
}

/// Answers issue queries from saved pages. The records say that they come from a rehearsal.
#[derive(Debug)]
pub struct RecordedIssues {
    root: PathBuf,
    files: BTreeMap<String, String>,
}

impl RecordedIssues {
    /// The pages that `script` names, relative to `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, script: &Script) -> Self {
        let files = script.issues.iter().map(|one| (one.gate.clone(), one.file.clone())).collect();
        Self { root: root.into(), files }
    }

    fn answer(&self, file: &str, repository: &str) -> IssuesBody {
        let mut body = IssuesBody {
            repository: repository.to_owned(),
            issues: Vec::new(),
            complete: false,
            problem: None,
        };
        let read = inside::read(&self.root, Path::new(file), PAGE_BYTES_MAX)
            .map_err(|error| {
                (ProblemKind::Unreachable, format!("`{file}` cannot be read: {error}."))
            })
            .and_then(|bytes| {
                github_issues::read_page(file, &bytes)
                    .map_err(|error| (ProblemKind::Malformed, format!("{error}.")))
            });
        match read {
            Ok(issues) => (body.issues, body.complete) = (issues, true),
            Err((kind, text)) => body.problem = Some(Problem { kind, text }),
        }
        body
    }
}

impl Collector for RecordedIssues {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Issues { repository, milestone, labels, numbers } = request.need else {
            return None;
        };
        // A gate without a saved page gets no record: the gate says that it knows nothing.
        let file = self.files.get(request.for_whom)?;
        let mut body = self.answer(file, repository);
        body.issues.retain(|issue| {
            let wanted = numbers.is_empty() || numbers.contains(&issue.number);
            let labelled = labels.iter().all(|label| issue.labels.contains(label));
            wanted && labelled && milestone.is_none_or(|number| issue.milestone == Some(number))
        });
        let mut record = record(
            request,
            "issues",
            format!("rehearsal:{file}"),
            "recorded-issues",
            to_body(&body).ok()?,
        );
        record.subject = None;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordedIssues, Script, ScriptError};
    use crate::{Collector, Request};
    use base::Instant;
    use evidence::{IssuesBody, ProblemKind, read_body};
    use gates::Need;
    use std::path::Path;

    const PAGE: &str = r#"[
        {"number":1,"title":"One","state":"closed","state_reason":"completed","labels":["P0"],"milestone":{"number":42}},
        {"number":2,"title":"Two","state":"open","labels":[],"milestone":{"number":42}}]"#;

    fn ask(page: Option<&str>, for_whom: &str) -> Option<IssuesBody> {
        let root = tempfile::tempdir().unwrap();
        if let Some(page) = page {
            std::fs::write(root.path().join("page.json"), page).unwrap();
        }
        let script: Script =
            toml::from_str("schema = 1\n[[issues]]\ngate = 'p/g'\nfile = 'page.json'\n").unwrap();
        let need = Need::Issues {
            repository: "o/n".into(),
            milestone: Some(42),
            labels: vec!["P0".into()],
            numbers: Vec::new(),
        };
        let at = Instant::default();
        let request = Request { need: &need, for_whom, at, subject: None, deployment: None };
        let record = RecordedIssues::new(root.path(), &script).collect(&request)?;
        assert_eq!(record.origin.source, "rehearsal:page.json");
        Some(read_body(&record, "issues").unwrap())
    }

    #[test]
    fn the_saved_page_is_filtered_like_the_query() {
        let body = ask(Some(PAGE), "p/g").unwrap();
        assert!(body.complete);
        assert_eq!(body.issues.iter().map(|i| i.number).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_gate_without_a_page_gets_nothing() {
        assert_eq!(ask(Some(PAGE), "p/other"), None);
    }

    #[test]
    fn a_missing_or_damaged_page_is_a_problem_and_not_an_empty_answer() {
        let missing = ask(None, "p/g").unwrap();
        assert_eq!(missing.problem.unwrap().kind, ProblemKind::Unreachable);
        let damaged = ask(Some("[{"), "p/g").unwrap();
        assert!(!damaged.complete);
        assert_eq!(damaged.problem.unwrap().kind, ProblemKind::Malformed);
    }

    #[test]
    fn scripts_of_another_schema_or_with_unknown_keys_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = Path::new("script.toml");
        let write = |text| std::fs::write(root.path().join(path), text).unwrap();
        write("schema = 2\n");
        let read = |path| Script::read(root.path(), path);
        assert!(matches!(read(path), Err(ScriptError::Schema { found: 2, .. })));
        write("schema = 1\nissue = 3\n");
        assert!(matches!(read(path), Err(ScriptError::Parse { .. })));
    }

    #[test]
    fn a_script_elsewhere_is_refused_and_not_quoted() {
        let root = tempfile::tempdir().unwrap();
        let secret = root.path().join(".phasegate");
        std::fs::create_dir(&secret).unwrap();
        std::fs::write(secret.join("key"), "no TOML but a secret").unwrap();
        for path in ["/etc/passwd", "../x", ".phasegate/key", "/dev/zero"] {
            let error = Script::read(root.path(), Path::new(path)).unwrap_err();
            assert!(matches!(error, ScriptError::Read { .. }), "{error}");
            assert!(!format!("{error:?}{error}").contains("secret"), "{error}");
        }
    }
}
