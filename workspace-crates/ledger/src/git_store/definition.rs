//! The git tree id of a folder as it lies on the disk.

use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};

use super::GitStore;
use crate::entry::ObjectId;

const DEPTH_MAX: usize = 16;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a folder has no id.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// A file or folder that cannot be read.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something that is no plain file of moderate size.
    #[error("{path} {cause}; definitions are plain files")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A tree that the repository does not have.
    #[error(
        "the repository does not have the rules with the git tree {id}; fetch the branch that they were committed on"
    )]
    Unknown {
        /// The tree.
        id: ObjectId,
    },
    /// The git library failed.
    #[error("the id of {path} cannot be computed: {cause}")]
    Git {
        /// The file or folder.
        path: PathBuf,
        /// What the git library said.
        cause: String,
    },
}

/// The id that git would give the tree of `folder` if its files were committed as they are now.
/// It changes exactly when a name, a content or an executable bit changes. Nothing is written.
///
/// # Errors
/// When something cannot be read, or is a link, a device or a huge file.
pub fn definition_id(folder: &Path) -> Result<ObjectId, DefinitionError> {
    let oid = tree_id(folder)?;
    oid.to_string().parse().map_err(|cause| DefinitionError::Git {
        path: folder.to_owned(),
        cause: format!("{cause}"),
    })
}

impl GitStore {
    /// Writes the files of the git tree `id` into `folder`, which has to be empty: the rules as they
    /// were when an entry pinned them. Reading `folder` back gives the same id.
    ///
    /// # Errors
    /// When the repository has no such tree (it was never committed, or not fetched), it holds
    /// something else than plain files and folders with plain names, or `folder` cannot be written.
    pub fn write_definition(&self, id: &ObjectId, folder: &Path) -> Result<(), DefinitionError> {
        let git = |cause: git2::Error| DefinitionError::Git {
            path: folder.to_owned(),
            cause: cause.message().to_owned(),
        };
        let oid = Oid::from_str(id.as_str()).map_err(git)?;
        let tree = self.repository.find_tree(oid);
        let tree = tree.map_err(|_| DefinitionError::Unknown { id: id.clone() })?;
        self.write_tree(&tree, folder, DEPTH_MAX)?;
        let found = definition_id(folder)?;
        if found == *id { Ok(()) } else { Err(DefinitionError::Unknown { id: id.clone() }) }
    }

    fn write_tree(
        &self,
        tree: &git2::Tree<'_>,
        folder: &Path,
        depth_left: usize,
    ) -> Result<(), DefinitionError> {
        if depth_left == 0 {
            return Err(foreign(folder, "is nested too deep"));
        }
        let git = |cause: git2::Error| DefinitionError::Git {
            path: folder.to_owned(),
            cause: cause.message().to_owned(),
        };
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DefinitionError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        for entry in tree {
            let name = entry.name().map_err(git)?;
            let path = folder.join(name);
            if matches!(name, "" | "." | "..") || name.contains(['/', '\\']) {
                return Err(foreign(&path, "has no plain name"));
            }
            match (entry.kind(), entry.filemode_raw()) {
                (Some(ObjectType::Tree), _) => {
                    let below = self.repository.find_tree(entry.id()).map_err(git)?;
                    self.write_tree(&below, &path, depth_left - 1)?;
                }
                (Some(ObjectType::Blob), mode @ (0o100_644 | 0o100_755)) => {
                    let odb = self.repository.odb().map_err(git)?;
                    let (size_bytes, _) = odb.read_header(entry.id()).map_err(git)?;
                    if size_bytes as u64 > FILE_BYTES_MAX {
                        return Err(foreign(&path, "has more than 16 MiB"));
                    }
                    let blob = odb.read(entry.id()).map_err(git)?;
                    std::fs::write(&path, blob.data()).map_err(io(&path))?;
                    set_executable(&path, mode == 0o100_755).map_err(io(&path))?;
                }
                _ => return Err(foreign(&path, "is neither a file nor a folder")),
            }
        }
        Ok(())
    }
}

struct Item {
    /// Git orders folders as if their names ended with a slash.
    order: Vec<u8>,
    line: Vec<u8>,
}

fn tree_id(folder: &Path) -> Result<Oid, DefinitionError> {
    hash(folder, ObjectType::Tree, &tree_bytes(folder, DEPTH_MAX)?)
}

/// The tree object of a folder; empty when git would not know the folder.
fn tree_bytes(folder: &Path, depth_left: usize) -> Result<Vec<u8>, DefinitionError> {
    if depth_left == 0 {
        return Err(foreign(folder, "is nested too deep"));
    }
    let io = |source| DefinitionError::Io { path: folder.to_owned(), source };
    let mut items = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        items.extend(item(&path, depth_left)?);
    }
    items.sort_by(|one, other| one.order.cmp(&other.order));
    Ok(items.into_iter().flat_map(|item| item.line).collect())
}

fn item(path: &Path, depth_left: usize) -> Result<Option<Item>, DefinitionError> {
    let io = |source| DefinitionError::Io { path: path.to_owned(), source };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| foreign(path, "has a name that is not text"))?;
    let metadata = std::fs::symlink_metadata(path).map_err(io)?;
    let mut order = name.as_bytes().to_vec();
    let (mode, oid) = if metadata.is_dir() {
        let tree = tree_bytes(path, depth_left - 1)?;
        if tree.is_empty() {
            // Git does not know empty folders.
            return Ok(None);
        }
        order.push(b'/');
        ("40000", hash(path, ObjectType::Tree, &tree)?)
    } else if metadata.is_file() {
        if metadata.len() > FILE_BYTES_MAX {
            return Err(foreign(path, "has more than 16 MiB"));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let mode = if is_executable(&metadata) { "100755" } else { "100644" };
        (mode, hash(path, ObjectType::Blob, &bytes)?)
    } else {
        return Err(foreign(path, "is neither a file nor a folder"));
    };
    let mut line = format!("{mode} {name}\0").into_bytes();
    line.extend_from_slice(oid.as_bytes());
    Ok(Some(Item { order, line }))
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(unix)]
fn set_executable(path: &Path, executable: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_executable(_path: &Path, _executable: bool) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

fn hash(path: &Path, kind: ObjectType, bytes: &[u8]) -> Result<Oid, DefinitionError> {
    Oid::hash_object(kind, bytes).map_err(|cause| DefinitionError::Git {
        path: path.to_owned(),
        cause: cause.message().to_owned(),
    })
}

fn foreign(path: &Path, cause: &'static str) -> DefinitionError {
    DefinitionError::Foreign { path: path.to_owned(), cause }
}
