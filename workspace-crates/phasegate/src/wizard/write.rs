//! Writing files: whole or not at all, and never over one that is there.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::world::World;

/// Where files grow before they get their names: git does not see them there, and what a killed
/// program left behind is no part of the definitions.
const GROWING: &str = "init-";

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everybody whom the machine's settings let.
    Usual,
    /// Its owner only.
    Private,
}

/// Writes the file `path`, from the root on. A file that is there stays as it is, and is an error.
pub fn new_file(world: &World, path: &str, text: &str, mode: Mode) -> Result<(), Failure> {
    let target = world.root.join(path);
    let failed = |error: &std::io::Error| failed(&target, error);
    let state = world.make_state_dir()?;
    let folder = target.parent().unwrap_or(&world.root);
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    stays_inside(world, folder)?;
    let growing = grown(&state, text, mode).map_err(|error| failed(&error))?;
    match growing.persist_noclobber(&target) {
        Ok(_) => flush(folder).map_err(|error| failed(&error)),
        Err(refused) => Err(failed(&refused.error)),
    }
}

/// Writes the file `path` of the wizard's own, over an earlier version of it.
pub fn own_file(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| failed(path, error);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let growing = grown(folder, text, Mode::Usual).map_err(|error| failed(&error))?;
    growing.persist(path).map_err(|refused| failed(&refused.error))?;
    flush(folder).map_err(|error| failed(&error))
}

fn grown(folder: &Path, text: &str, mode: Mode) -> std::io::Result<tempfile::NamedTempFile> {
    // The system takes away from the usual mode what the user's settings say.
    let bits = if mode == Mode::Private { 0o600 } else { 0o666 };
    let mut growing = tempfile::Builder::new()
        .prefix(GROWING)
        .permissions(std::fs::Permissions::from_mode(bits))
        .tempfile_in(folder)?;
    growing.write_all(text.as_bytes())?;
    growing.as_file().sync_all()?;
    Ok(growing)
}

fn flush(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Removes what killed runs left half-written. Only for who holds the lock.
pub fn clear_leftovers(world: &World) -> Result<(), Failure> {
    let state = world.state_dir();
    let entries =
        std::fs::read_dir(&state).map_err(|error| Failure::file("read", &state, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", &state, &error))?;
        if entry.file_name().to_string_lossy().starts_with(GROWING) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// Refuses a folder that a symbolic link leads out of the root: its files would be somebody else's.
fn stays_inside(world: &World, folder: &Path) -> Result<(), Failure> {
    let real =
        |path: &Path| path.canonicalize().map_err(|error| Failure::file("find", path, &error));
    if real(folder)?.starts_with(real(&world.root)?) {
        return Ok(());
    }
    let message = format!("{} leads out of {}", folder.display(), world.root.display());
    Err(Failure::new(Exit::File, message).hint("Replace the symbolic link by a folder."))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::file("write", path, error);
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            failure.hint("It was made meanwhile; run `phasegate init` again.")
        }
        _ => failure
            .hint("When the cause is gone, run `phasegate init` again: it does what is missing."),
    }
}
