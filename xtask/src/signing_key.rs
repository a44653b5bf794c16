//! `cargo xtask signing-key write FILE | remove FILE`: the only place in CI where the key is in the
//! environment. Every later step gets the path of a file that only its owner can read.
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;

/// The variable that the workflow fills from its secret, in this one step.
const VARIABLE: &str = "PHASEGATE_SIGNING_KEY";

/// Every OpenSSH private key starts with this line.
const FIRST_LINE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

pub(crate) fn run(arguments: &[String]) -> Result<(), Error> {
    match arguments {
        [action, path] if action == "write" => {
            write(std::env::var(VARIABLE).ok().as_deref(), Path::new(path))
        }
        [action, path] if action == "remove" => remove(Path::new(path)),
        _ => Err(Error::usage("`cargo xtask signing-key` takes `write FILE` or `remove FILE`")),
    }
}

/// Writes the key to a new file of mode 600. The text of the key is never part of an error.
fn write(key: Option<&str>, path: &Path) -> Result<(), Error> {
    let key = key.map(str::trim).unwrap_or_default();
    if key.is_empty() {
        return Err(Error::Check(format!(
            "there is no signing key: {VARIABLE} is not set or empty\n  \
             make one with `ssh-keygen -t ed25519 -N '' -f signing-key` and store the private half \
             as the repository secret {VARIABLE}"
        )));
    }
    if !key.starts_with(FIRST_LINE) {
        return Err(Error::Check(format!(
            "{VARIABLE} is not an OpenSSH private key: it does not start with `{FIRST_LINE}`"
        )));
    }
    let error = |source| Error::file("write the signing key to", path, source);
    // A file that exists may be open elsewhere or have another mode, so it has to be new.
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(error)?;
    // ssh-keygen refuses a key without a newline at its end, and secrets often lose theirs.
    file.write_all(key.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(error)
}

/// Removing what is not there is fine: the step runs always, also when writing failed.
fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";

    #[test]
    fn the_file_is_the_owners_alone_and_ends_with_a_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(Some(KEY), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{KEY}\n"));
        remove(&path).unwrap();
        assert!(!path.exists());
        remove(&path).unwrap();
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "other").unwrap();
        assert!(write(Some(KEY), &path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other");
    }

    #[test]
    fn a_missing_or_wrong_key_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(write(None, &path).is_err());
        assert!(write(Some("  \n"), &path).is_err());
        let error = write(Some("canary-secret"), &path).unwrap_err().to_string();
        assert!(!error.contains("canary-secret"), "{error}");
        assert!(!path.exists());
    }
}
