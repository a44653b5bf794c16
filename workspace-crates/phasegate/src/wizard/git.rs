//! What the wizard asks of git, and the little that it tells it.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// Where a folder is, as git sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In no repository.
    Outside,
    /// In the work tree of the repository with this top folder.
    WorkTree(PathBuf),
}

/// Where `folder` is; the nearest folder above it counts when it does not exist yet.
pub fn place(folder: &Path) -> Result<Place, Failure> {
    let existing = folder.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let asked = run(existing, &["rev-parse", "--is-inside-work-tree"])?;
    if !asked.ended_well {
        // With another message there is a repository, and git does not want to use it.
        if asked.said.contains("not a git repository") {
            return Ok(Place::Outside);
        }
        return Err(Failure::new(Exit::File, format!("git says: {}", asked.said)));
    }
    if asked.answer != "true" {
        let message = format!("{} is inside of a git repository without files", folder.display());
        return Err(Failure::new(Exit::Usage, message).hint(
            "Name a folder with a work tree; a bare repository has no place for definitions.",
        ));
    }
    let top = run(existing, &["rev-parse", "--show-toplevel"])?;
    if !top.ended_well {
        return Err(Failure::new(Exit::File, format!("git says: {}", top.said)));
    }
    Ok(Place::WorkTree(PathBuf::from(top.answer)))
}

/// Makes a repository in `folder`, which has to exist.
pub fn init(folder: &Path) -> Result<(), Failure> {
    succeed(folder, &["init", "--quiet"])
}

/// The value of a setting; nothing when it is not set.
pub fn config(folder: &Path, key: &str) -> Result<Option<String>, Failure> {
    let asked = run(folder, &["config", "--get", key])?;
    Ok(Some(asked.answer).filter(|value| asked.ended_well && !value.is_empty()))
}

/// Sets a setting of the repository.
pub fn set_config(folder: &Path, key: &str, value: &str) -> Result<(), Failure> {
    succeed(folder, &["config", "--local", key, value])
}

/// Whether the reference is there.
pub fn has_ref(folder: &Path, name: &str) -> Result<bool, Failure> {
    Ok(run(folder, &["rev-parse", "--verify", "--quiet", name])?.ended_well)
}

/// Whether the definitions hold anything that is not committed.
pub fn has_changes(folder: &Path) -> Result<bool, Failure> {
    let asked = run(folder, &["status", "--porcelain", "--", "pipeline", "stages"])?;
    Ok(!asked.ended_well || !asked.answer.is_empty())
}

struct Answer {
    ended_well: bool,
    answer: String,
    said: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Result<Answer, Failure> {
    let mut command = duct::cmd("git", arguments)
        .dir(folder)
        .stdin_null()
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        // Messages are compared, and a question would wait for ever.
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0");
    // The ledger is looked for from the folder on; these would lead git elsewhere.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command = command.env_remove(name);
    }
    let ran = command.run().map_err(|error| {
        Failure::new(Exit::File, format!("git cannot be started: {error}")).hint("Install git.")
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ok(Answer {
        ended_well: ran.status.success(),
        answer: text(&ran.stdout),
        said: report::clean(&text(&ran.stderr)),
    })
}

fn succeed(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let ran = run(folder, arguments)?;
    if ran.ended_well {
        return Ok(());
    }
    let what = arguments.join(" ");
    Err(Failure::new(
        Exit::File,
        format!("`git {what}` failed in {}: {}", folder.display(), ran.said),
    ))
}
