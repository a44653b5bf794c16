//! `samples`: archives of samples, from text and to text.

use std::path::Path;

use crate::queries::run;
use crate::support::files;

/// Three days of two series, every 10 minutes, in OpenMetrics.
fn text() -> String {
    let mut text = String::from("# TYPE up gauge\n");
    for node in ["a", "b"] {
        for step in 0..432_u64 {
            let at = 1_768_000_000 + step * 600;
            text.push_str(&format!("up{{instance=\"{node}\"}} {} {at}\n", step % 7));
        }
    }
    text.push_str("# EOF\n");
    text
}

fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.txt"), text()).unwrap();
    let import = ["samples", "import", "archive", "--from", "in.txt"];
    run(folder.path(), &import).ends(0).prints("432 scrapes stored");
    folder
}

#[test]
fn what_is_brought_in_can_be_asked_and_brought_out() {
    let folder = archive();
    run(folder.path(), &["samples", "verify", "archive"]).ends(0).says("Every byte");
    let info = run(folder.path(), &["samples", "info", "archive", "--format", "json"]).ends(0);
    assert_eq!((&info.json()["samples"], &info.json()["series"]), (&864.into(), &2.into()));
    run(folder.path(), &["samples", "info", "archive"]).ends(0).prints("864 samples in 2 series");
    let count = "sum(count_over_time(up[4d]))";
    run(folder.path(), &["query", count, "--samples", "archive"]).ends(0).prints("864");
    let export = ["samples", "export", "--samples", "archive", "--out", "out.txt"];
    run(folder.path(), &export).ends(0).prints("864 samples of 2 series");
    run(folder.path(), &export).ends(8).says("nothing is replaced");
    let again = ["samples", "import", "again", "--from", "out.txt"];
    run(folder.path(), &again).ends(0).prints("432 scrapes stored");
    let part = ["samples", "export", "--samples", "archive", "--out", "part.txt"];
    let only = ["--match", "up{instance=\"a\"}", "--range", "1768000000..1768000600"];
    let part: Vec<&str> = part.iter().chain(&only).copied().collect();
    run(folder.path(), &part).ends(0).prints("2 samples of 1 series");
}

#[test]
fn the_same_text_twice_is_stored_once() {
    let folder = archive();
    let import = ["samples", "import", "archive", "--from", "in.txt"];
    let again = run(folder.path(), &import);
    assert!(again.stdout.starts_with("0 scrapes stored"), "{}", again.stdout);
    let info = run(folder.path(), &["samples", "info", "archive", "--format", "json"]).ends(0);
    assert_eq!(info.json()["samples"], 864);
}

#[test]
fn nothing_is_removed_unless_somebody_says_so() {
    let folder = archive();
    let path = folder.path().join("archive");
    let before = files(&path);
    let retain = |more: &[&str]| {
        let all = ["samples", "retain", "archive", "--keep", "24h"];
        run(folder.path(), &all.iter().chain(more).copied().collect::<Vec<_>>())
    };
    retain(&["--dry-run"]).ends(0).says("would be removed").prints("BLOCK");
    retain(&[]).ends(2).says("--yes");
    let coarser = ["samples", "compact", "archive", "--step", "1h"];
    run(folder.path(), &coarser).ends(2).says("--yes");
    let strip = |files: std::collections::BTreeMap<String, Vec<u8>>| {
        files.into_iter().filter(|(name, _)| !name.contains("lock")).collect::<Vec<_>>()
    };
    assert!(strip(files(&path)) == strip(before), "nothing has changed");
    retain(&["--yes"]).ends(0).says("were removed");
    let left = run(folder.path(), &["samples", "info", "archive", "--format", "json"]).ends(0);
    let left = left.json()["samples"].as_u64().unwrap();
    assert!((280..600).contains(&left), "{left}");
    retain(&["--dry-run"]).ends(0).says("nothing is removed");
    // Merging alone loses nothing and needs no consent.
    run(folder.path(), &["samples", "compact", "archive"]).ends(0);
    let merged = run(folder.path(), &["samples", "info", "archive", "--format", "json"]).ends(0);
    assert_eq!(merged.json()["samples"].as_u64(), Some(left));
}

#[test]
fn damage_is_told_and_never_answered_from() {
    let folder = archive();
    let blocks = folder.path().join("archive/blocks");
    let block = std::fs::read_dir(&blocks).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&block).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&block, bytes).unwrap();
    run(folder.path(), &["samples", "verify", "archive"]).ends(7).says("damaged");
    let all = ["query", "sum(count_over_time(up[4d]))", "--samples", "archive"];
    let answer = run(folder.path(), &all);
    assert!(answer.code != Some(0) && answer.stdout.is_empty(), "{}", answer.stdout);
}

#[test]
fn texts_that_are_cut_or_half_good_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let import = |text: &str, more: &[&str]| {
        std::fs::write(folder.path().join("in.txt"), text).unwrap();
        let all = ["samples", "import", "archive", "--from", "in.txt"];
        run(folder.path(), &all.iter().chain(more).copied().collect::<Vec<_>>())
    };
    import("up 1 1768000000\n", &[]).ends(8).says("cut off").says("--text");
    import("up 1\n", &["--text"]).ends(2).says("--at");
    let at = ["--text", "--at", "2026-01-08T15:00:00Z"];
    import("up 1\nthis is no sample\n", &at).ends(8).says("line 2").says("the rest is stored");
    run(folder.path(), &["query", "up", "--samples", "archive"]).ends(0).prints("1");
    let missing = Path::new("nowhere");
    run(folder.path(), &["samples", "info", missing.to_str().unwrap()])
        .ends(8)
        .says("no sample archive");
}

#[test]
fn an_archive_that_may_only_be_read_is_read_and_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = archive();
    let path = folder.path().join("archive");
    let set = |mode: u32, below: u32| {
        let mut folders = vec![path.clone()];
        while let Some(one) = folders.pop() {
            std::fs::set_permissions(&one, std::fs::Permissions::from_mode(mode | 0o700 & below))
                .unwrap();
            for entry in std::fs::read_dir(&one).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
    };
    let before = files(&path);
    set(0o555, 0);
    run(folder.path(), &["query", "count(up)", "--samples", "archive"]).ends(0).prints("2");
    run(folder.path(), &["samples", "verify", "archive"]).ends(0);
    let may_write = std::fs::write(path.join("probe"), "").is_ok();
    if may_write {
        std::fs::remove_file(path.join("probe")).unwrap();
        eprintln!("the refusal to write is not tested: this user may write everywhere");
    } else {
        let import = ["samples", "import", "archive", "--from", "in.txt"];
        run(folder.path(), &import).ends(8).says("it may only be read here");
    }
    set(0o755, 0o700);
    assert!(files(&path) == before, "reading changes nothing");
}
