//! Reading the tree from disk.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::fs;
use std::path::Path;

use definition::files::{self, BYTES_MAX, FilesError};
use diagnostics::codes;

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn refusals(root: &Path) -> Vec<(&'static str, String)> {
    match files::read(root) {
        Err(FilesError::Refused { diagnostics, .. }) => {
            diagnostics.into_iter().map(|it| (it.code, it.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_definitions_are_read() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "pipeline/a.toml", b"a");
    write(root.path(), "pipeline/rehearsals/a.toml", b"script");
    write(root.path(), "pipeline/notes.md", b"notes");
    write(root.path(), "stages/s/stage.toml", b"s");
    write(root.path(), "stages/s/assets/x.toml", b"asset");
    write(root.path(), "stages/README.md", b"text");
    let files = files::read(root.path()).unwrap();
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["pipeline/a.toml", "stages/s/stage.toml"]);
}

#[test]
fn an_empty_root_has_no_files_and_a_missing_one_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    assert!(files::read(root.path()).unwrap().is_empty());
    assert!(matches!(files::read(&root.path().join("gone")), Err(FilesError::Io { .. })));
}

#[test]
fn all_unusable_files_are_named_at_once() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "pipeline/bytes.toml", b"a = \"\xff\"");
    write(root.path(), "pipeline/large.toml", &vec![b'#'; BYTES_MAX as usize + 1]);
    write(root.path(), "pipeline/just-fits.toml", &vec![b'#'; BYTES_MAX as usize]);
    fs::create_dir_all(root.path().join("stages/s/stage.toml")).unwrap();
    assert_eq!(
        refusals(root.path()),
        [
            (codes::NOT_UTF8, "`pipeline/bytes.toml` is not UTF-8 from byte 5 on".to_owned()),
            (codes::TOO_LARGE, "`pipeline/large.toml` is larger than 1 MiB".to_owned()),
            (codes::MISPLACED, "`stages/s/stage.toml` is not a plain file".to_owned()),
        ]
    );
}

#[cfg(unix)]
#[test]
fn symbolic_links_may_not_leave_the_root() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.toml", b"secret");
    write(outside.path(), "s/stage.toml", b"secret");
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "pipeline/real.toml", b"real");
    fs::create_dir_all(root.path().join("stages")).unwrap();
    symlink(root.path().join("pipeline/real.toml"), root.path().join("pipeline/inside.toml"))
        .unwrap();
    assert_eq!(files::read(root.path()).unwrap()["pipeline/inside.toml"], "real");
    symlink(outside.path().join("secret.toml"), root.path().join("pipeline/outside.toml")).unwrap();
    symlink(outside.path().join("s"), root.path().join("stages/s")).unwrap();
    symlink("nowhere", root.path().join("pipeline/dangling.toml")).unwrap();
    let refused = refusals(root.path());
    assert!(refused.iter().all(|(code, _)| *code == codes::LEAVES_ROOT), "{refused:?}");
    assert_eq!(refused.len(), 3);
}
