//! Files of the repository that a definition names: inside of it, plain, and not too large.

use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// Folders that no definition has to name: they hold private keys, and git's own files.
const PRIVATE: [&str; 2] = [".phasegate", ".git"];

/// The file that `path` names below `root`, after every link was followed; or why it may not be
/// named. Whether it exists is another question.
pub(crate) fn resolve(root: &Path, path: &Path) -> Result<PathBuf, &'static str> {
    const OUTSIDE: &str = "leads out of the repository; name a file inside it";
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain {
        return Err(OUTSIDE);
    }
    let joined = root.join(path);
    let (Ok(real), Ok(root)) = (joined.canonicalize(), root.canonicalize()) else {
        return Ok(joined);
    };
    let below = real.strip_prefix(root).map_err(|_| OUTSIDE)?;
    let is_private = |part: &Path| {
        let part = part.to_string_lossy();
        PRIVATE.iter().any(|private| part.eq_ignore_ascii_case(private))
    };
    if below.iter().any(|part| is_private(Path::new(part))) {
        return Err("is private to this program or to git; name another file");
    }
    Ok(real)
}

/// The bytes of that file.
pub(crate) fn read(root: &Path, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let inside = resolve(root, path).map_err(|why| refuse(why.to_owned()))?;
    // A device or a pipe has no end, and waits for ever.
    if !std::fs::metadata(&inside)?.is_file() {
        return Err(refuse("it is not a plain file".to_owned()));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(&inside)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(refuse(format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{read, resolve};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["docs", ".phasegate/keys", ".git"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in ["docs/a.md", ".phasegate/keys/lead", ".git/config"] {
            std::fs::write(root.path().join(file), "text").unwrap();
        }
        symlink("../.phasegate/keys/lead", root.path().join("docs/key.md")).unwrap();
        symlink("/dev/zero", root.path().join("docs/zero.md")).unwrap();
        symlink("a.md", root.path().join("docs/link.md")).unwrap();
        root
    }

    #[test]
    fn files_of_the_repository_are_read() {
        let root = tree();
        for path in ["docs/a.md", "./docs/a.md", "docs/link.md"] {
            assert_eq!(read(root.path(), Path::new(path), 4).unwrap(), b"text", "{path}");
        }
    }

    #[test]
    fn nothing_outside_and_nothing_private_is_read() {
        let root = tree();
        for path in [
            "../x",
            "/etc/passwd",
            "docs/../docs/a.md",
            "docs/zero.md",
            ".phasegate/keys/lead",
            ".git/config",
            "docs/key.md",
        ] {
            assert!(resolve(root.path(), Path::new(path)).is_err(), "{path}");
            assert!(read(root.path(), Path::new(path), 4).is_err(), "{path}");
        }
    }

    #[test]
    fn folders_pipes_and_large_files_are_not_read() {
        let root = tree();
        let pipe = root.path().join("docs/pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.is_ok_and(|status| status.success()));
        for path in ["docs", "docs/pipe"] {
            assert!(read(root.path(), Path::new(path), 4).is_err(), "{path}");
        }
        assert!(read(root.path(), Path::new("docs/a.md"), 3).is_err());
        assert!(read(root.path(), Path::new("docs/a\0b"), 4).is_err());
    }
}
