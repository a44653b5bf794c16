//! The git tree id of a folder as it lies on the disk.

use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};

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
