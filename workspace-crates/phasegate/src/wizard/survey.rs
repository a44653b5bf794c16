//! What there is already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base::{Digest, PipelineId, PrincipalId};
use definition::{CALENDARS_PATH, Files, Overrides, ROLES_PATH};
use ledger::{GitStore, LedgerStore};

use super::genesis;
use super::git::{self, Place};
use super::templates::{CALENDAR_NAME, Programme, Template};
use super::week::Week;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::world::{self, World};

/// Folders deeper than this hold no definitions.
const DEPTH_MAX: usize = 8;

/// Whether there is a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerThere {
    /// None that this repository knows of.
    None,
    /// A ledger that verifies.
    Here {
        /// How many entries it has.
        entries: usize,
        /// Digest of its genesis entry.
        genesis: Digest,
        /// Whose it is.
        pipeline: PipelineId,
    },
    /// The remote `origin` had one when it was last fetched; here is none.
    AtOrigin,
}

/// What there is in a folder.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The folder that has, or will have, `pipeline/` and `stages/`.
    pub root: PathBuf,
    /// Where it is, as git sees it.
    pub place: Place,
    /// Every file below `pipeline/` and `stages/`, from the root on.
    pub present: BTreeSet<String>,
    /// The definition files with their texts.
    pub definitions: Files,
    /// The ledger.
    pub ledger: LedgerThere,
    /// Whether there is a remote `origin`.
    pub has_origin: bool,
    /// The remote that the ledger is shared through, as git's settings have it.
    pub ledger_remote: Option<String>,
    /// Who seems to be at the machine: an id and a title for a lead.
    pub person: (String, String),
    /// The key that git signs with.
    pub signing_key: Option<String>,
}

/// The folder that the wizard works in: the one that is named, or the repository around this one.
pub fn root(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let here =
        || std::env::current_dir().map_err(|error| Failure::file("find", Path::new("."), &error));
    let folder = match named {
        Some(folder) => {
            std::path::absolute(folder).map_err(|error| Failure::file("find", folder, &error))?
        }
        None => here()?,
    };
    if folder.exists() && !folder.is_dir() {
        let message = format!("{} is not a folder", folder.display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("Name the folder that is to hold `pipeline/` and `stages/`."));
    }
    if named.is_some() {
        return Ok(folder);
    }
    let Place::WorkTree(top) = git::place(&folder)? else { return Ok(folder) };
    let inside = folder.ancestors().take_while(|dir| dir.starts_with(&top));
    let own = inside.into_iter().find(|dir| dir.join("pipeline").is_dir()).map(Path::to_owned);
    Ok(own.unwrap_or(top))
}

/// Looks at `root`. Nothing is changed.
pub fn look(root: &Path) -> Result<Survey, Failure> {
    let existing = root.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let place = git::place(root)?;
    let is_repository = place != Place::Outside;
    let mut present = BTreeSet::new();
    for name in ["pipeline", "stages"] {
        names(&root.join(name), name, DEPTH_MAX, &mut present)?;
    }
    let world = World { root: root.to_owned() };
    let definitions = if root.is_dir() { world.files()? } else { Files::new() };
    let config = |key: &str| git::config(existing, key);
    Ok(Survey {
        root: root.to_owned(),
        ledger: if is_repository { ledger(&world, existing)? } else { LedgerThere::None },
        has_origin: is_repository && config("remote.origin.url")?.is_some(),
        ledger_remote: if is_repository { config(genesis::REMOTE_SETTING)? } else { None },
        person: person(config("user.name")?.as_deref()),
        signing_key: config("user.signingkey")?,
        place,
        present,
        definitions,
    })
}

fn names(
    folder: &Path,
    path: &str,
    depth_left: usize,
    found: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("read", folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", folder, &error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{path}/{name}");
        let kind =
            entry.file_type().map_err(|error| Failure::file("read", &entry.path(), &error))?;
        if kind.is_dir() && depth_left > 0 {
            names(&entry.path(), &path, depth_left - 1, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn ledger(world: &World, existing: &Path) -> Result<LedgerThere, Failure> {
    let store = GitStore::open(existing)?;
    if store.head()?.is_some() {
        let ledger = world.ledger()?;
        let view = ledger.view();
        return Ok(LedgerThere::Here {
            entries: view.len(),
            genesis: view.genesis().digest,
            pipeline: view.pipeline().clone(),
        });
    }
    let at_origin = git::has_ref(existing, "refs/remotes/origin/phase-ledger")?;
    Ok(if at_origin { LedgerThere::AtOrigin } else { LedgerThere::None })
}

/// An id and a title from the name that git knows.
fn person(name: Option<&str>) -> (String, String) {
    let title = name.map(report::clean).filter(|name| !name.is_empty());
    let mut id = String::new();
    for character in title.as_deref().unwrap_or_default().to_lowercase().chars() {
        match character {
            'a'..='z' | '0'..='9' => id.push(character),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    let id = id.trim_end_matches('-');
    // A name in other letters leaves nothing, or less than it should.
    match PrincipalId::new(id) {
        Ok(id) if id.as_str().len() > 1 && id.as_str() != super::people::EVALUATOR => {
            (id.to_string(), title.unwrap_or_default())
        }
        _ => ("lead".to_owned(), title.unwrap_or_else(|| "Release lead".to_owned())),
    }
}

impl Survey {
    /// Whether the file is there.
    pub fn has(&self, path: &str) -> bool {
        self.present.contains(path)
    }

    /// The pipelines that are there.
    pub fn pipelines(&self) -> Vec<PipelineId> {
        pipelines_of(&self.definitions)
    }

    /// The calendar that a new pipeline follows.
    pub fn calendar_name(&self) -> String {
        let text = self.definitions.get(CALENDARS_PATH).map(String::as_str).unwrap_or_default();
        let document: Option<toml::Table> = text.parse().ok();
        let calendars =
            document.as_ref().and_then(|document| document.get("calendars")?.as_table());
        let first = calendars.and_then(|calendars| calendars.keys().next());
        first.cloned().unwrap_or_else(|| CALENDAR_NAME.to_owned())
    }

    /// The roles that the definitions have, when they can be read: the rest is filled up with a
    /// template, so that only what is wrong with the roles counts.
    pub fn roles(&self) -> Option<definition::Roles> {
        let mut files = Files::new();
        files.insert(ROLES_PATH.to_owned(), self.definitions.get(ROLES_PATH)?.clone());
        files.insert(CALENDARS_PATH.to_owned(), Week::default().to_toml());
        for file in super::templates::STAGES.iter().filter(|file| file.path.ends_with("stage.toml"))
        {
            files.insert(file.path.to_owned(), file.text.to_owned());
        }
        let name = PipelineId::new(Template::default().name()).ok()?;
        let programme =
            Programme { name: &name, title: "x", calendar: CALENDAR_NAME, partners: &[] };
        for (path, text) in Template::default().files(&programme) {
            if !path.contains("/rehearsals/") {
                files.insert(path, text);
            }
        }
        Some(world::check_files(&files, &Overrides::default()).definitions?.roles)
    }
}

/// The pipelines among definition files.
pub fn pipelines_of(files: &Files) -> Vec<PipelineId> {
    let paths = files.keys().filter(|path| *path != CALENDARS_PATH && *path != ROLES_PATH);
    let stems = paths.filter_map(|path| path.strip_prefix("pipeline/")?.strip_suffix(".toml"));
    stems.filter_map(|stem| PipelineId::new(stem).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::person;

    #[test]
    fn the_lead_is_called_as_git_calls_them() {
        let (id, title) = person(Some("Ada  Lovelace"));
        assert_eq!((id.as_str(), title.as_str()), ("ada-lovelace", "Ada Lovelace"));
        assert_eq!(person(None), ("lead".to_owned(), "Release lead".to_owned()));
        assert_eq!(person(Some("李")).0, "lead");
        assert_eq!(person(Some("Evaluator")).0, "lead");
        let (id, title) = person(Some("\u{1b}[31mEve\u{202e}\""));
        assert_eq!((id.as_str(), title.as_str()), ("eve", "Eve\""));
        assert_eq!(person(Some(&"x".repeat(80))).0, "lead");
    }
}
