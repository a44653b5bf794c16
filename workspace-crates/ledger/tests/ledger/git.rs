use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use base::{Digest, Duration};
use ledger::git_store::definition_id;
use ledger::{
    AppendError, Durability, Error, Expectations, GitStore, Ledger, LedgerStore, MemoryStore,
    Signer, StoreError, chain,
};

use crate::world::*;

pub fn create<S: LedgerStore>(store: S) -> Ledger<S> {
    let signers = [signer("alice"), signer("bob")];
    let signers: Vec<&dyn Signer> = signers.iter().map(|one| one as &dyn Signer).collect();
    Ledger::create(store, network(), draft(0, genesis_body()), &signers, BTreeMap::new()).unwrap()
}

pub fn fast(path: &Path) -> GitStore {
    GitStore::init_bare(path).unwrap().with_durability(Durability::Buffered)
}

fn append<S: LedgerStore>(ledger: &mut Ledger<S>, name: &str) -> Result<(), Error> {
    let next = ledger.view().next_seq() as i64;
    ledger.append(draft(next, event(name)), &[&signer("ci")], BTreeMap::new())
}

/// Runs git without the user's configuration.
pub fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=test", "-c", "user.email=test@example.org"])
        .args(arguments)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn both_stores_keep_the_same_entries_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut in_git = create(GitStore::init_bare(folder.path()).unwrap());
    let mut in_memory = create(MemoryStore::new());
    let evidence = b"{\"tips\":1}\n".to_vec();
    let path = format!("evidence/{}.json", Digest::of(&evidence));
    let files = BTreeMap::from([
        (path.clone(), evidence.clone()),
        ("reports/2026-W02/report.md".to_owned(), b"# Report\n".to_vec()),
        ("allowed_signers".to_owned(), roles().allowed_signers().into_bytes()),
    ]);
    let draft = draft(1, evaluation()).with_evidence([Digest::of(&evidence)]);
    in_git.append(draft.clone(), &[&signer("ci")], files.clone()).unwrap();
    in_memory.append(draft, &[&signer("ci")], files).unwrap();

    assert_eq!(in_git.store().entries().unwrap(), in_memory.store().entries().unwrap());
    for store in [in_git.store() as &dyn LedgerStore, in_memory.store()] {
        assert_eq!(store.read_file(&path).unwrap().unwrap(), evidence);
        assert_eq!(store.read_file("reports/2026-W02/report.md").unwrap().unwrap(), b"# Report\n");
        assert_eq!(store.read_file("reports/none").unwrap(), None);
        assert_eq!(store.list_files("reports").unwrap(), ["reports/2026-W02/report.md"]);
        assert_eq!(store.list_files("nothing").unwrap(), Vec::<String>::new());
    }
    let reopened =
        Ledger::open(GitStore::open(folder.path()).unwrap(), &Expectations::default()).unwrap();
    assert_eq!(reopened.view().len(), 2);
    assert_eq!(reopened.head(), in_git.head());
}

#[test]
fn the_same_run_gives_the_same_commits() {
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = create(fast(folder.path()));
        append(&mut ledger, "deploy").unwrap();
        ledger.head().unwrap().clone()
    };
    assert_eq!(run(), run());
}

#[test]
fn git_itself_finds_the_branch_sound_linear_and_without_parent_in_main() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    if git(work, &["init", "-q", "-b", "main"]).is_none() {
        println!(
            "skipped: git_itself_finds_the_branch_sound_linear_and_without_parent_in_main (no git)"
        );
        return;
    }
    std::fs::create_dir_all(work.join("below")).unwrap();
    std::fs::write(work.join("below/file"), "x").unwrap();
    git(work, &["add", "."]);
    git(work, &["commit", "-q", "-m", "main"]);
    // A folder below the work tree finds the repository.
    let mut ledger = create(GitStore::open(&work.join("below")).unwrap());
    for name in ["deploy", "announce", "release"] {
        append(&mut ledger, name).unwrap();
    }
    git(work, &["fsck", "--strict", "--no-dangling"]);
    assert_eq!(git(work, &["rev-list", "--count", "phase-ledger"]).unwrap(), "4");
    assert_eq!(
        git(work, &["rev-list", "--min-parents=2", "--count", "phase-ledger"]).unwrap(),
        "0"
    );
    assert_eq!(git(work, &["rev-list", "--count", "main"]).unwrap(), "1");
    assert_eq!(git(work, &["status", "--porcelain"]).unwrap(), "");
    let log = git(work, &["log", "-1", "--format=%an %ct %s", "phase-ledger"]).unwrap();
    assert_eq!(log, "phasegate 1767884580 entry 3: event release phase-1");
    let names = git(work, &["ls-tree", "-r", "--name-only", "phase-ledger"]).unwrap();
    assert!(names.contains("entries/000003/ci.sig\nentries/000003/entry.json"), "{names}");
    // Packed objects and a packed branch are read as well.
    git(work, &["gc", "-q"]);
    git(work, &["pack-refs", "--all"]);
    assert_eq!(ledger.refresh().unwrap(), 0);
    append(&mut ledger, "missed").unwrap();
    let store = GitStore::open(work).unwrap();
    assert_eq!(chain::verify(&store.entries().unwrap()).unwrap().len(), 5);
}

#[test]
fn a_stale_head_is_a_conflict_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = create(fast(folder.path()));
    let mut second =
        Ledger::open(GitStore::open(folder.path()).unwrap(), &Expectations::default()).unwrap();
    append(&mut first, "deploy").unwrap();
    let error = append(&mut second, "deploy").unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(second.view().len(), 1);
    assert_eq!(second.refresh().unwrap(), 1);
    append(&mut second, "announce").unwrap();
    assert_eq!(second.store().entries().unwrap().len(), 3);

    let again = Ledger::create(
        GitStore::open(folder.path()).unwrap(),
        network(),
        draft(0, genesis_body()),
        &[],
        BTreeMap::new(),
    );
    assert!(matches!(again, Err(Error::NotEmpty(_))));
    let signed_elsewhere = append_of(&genesis(), &["alice", "bob"]);
    let again = Ledger::begin(GitStore::open(folder.path()).unwrap(), &signed_elsewhere);
    assert!(matches!(again, Err(Error::NotEmpty(_))));
}

#[test]
fn an_entry_that_would_not_verify_is_never_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = create(fast(folder.path()));
    let head = ledger.head().cloned();
    let refused = ledger.append(draft(1, event("deploy")), &[&signer("mallory")], BTreeMap::new());
    assert!(matches!(refused, Err(Error::Refused(_))));
    let refused = ledger.append(draft(-1, event("deploy")), &[&signer("ci")], BTreeMap::new());
    assert!(matches!(refused, Err(Error::Refused(_))));
    assert_eq!(ledger.store().head().unwrap(), head);
}

#[test]
fn hostile_paths_wrong_names_and_replacements_are_refused_by_both_stores() {
    let folder = tempfile::tempdir().unwrap();
    for store in [&fast(folder.path()) as &dyn LedgerStore, &MemoryStore::new()] {
        let genesis = append_of(&genesis(), &["alice", "bob"]);
        let published = genesis.clone().with_file("reports/w/report.md", b"one".to_vec());
        let head = store.append(&published, None).unwrap();
        let next = |path: &str, bytes: &[u8]| {
            let raw = store.entries().unwrap();
            let entry = chain::verify(&raw).unwrap().entry_for(draft(1, event("deploy")));
            let new = append_of(&entry, &["ci"]).with_file(path, bytes.to_vec());
            store.append(&new, Some(&head))
        };
        let long = format!("evidence/{}.json", Digest::of(&vec![b'x'; 300_000]));
        for (path, bytes) in [
            ("../x", b"x".as_slice()),
            ("/etc/passwd", b"x"),
            ("reports/../../x", b"x"),
            ("reports//x", b"x"),
            ("reports/.git/x", b"x"),
            ("reports/a b", b"x"),
            ("reports/a\0b", b"x"),
            ("entries/000000/entry.json", b"x"),
            ("evidence/x.json", b"x"),
            ("", b"x"),
            ("reports", b"x"),
            (long.as_str(), vec![b'x'; 300_000].as_slice()),
            ("reports/w/report.md", b"another content"),
        ] {
            assert!(matches!(next(path, bytes), Err(AppendError::File { .. })), "{path:?}");
        }
        assert_eq!(store.head().unwrap().as_ref(), Some(&head));
        // The same content again is no replacement.
        assert!(next("reports/w/report.md", b"one").is_ok());
        let mut skipped = genesis.clone();
        skipped.seq = 7;
        let head = store.head().unwrap();
        assert!(matches!(store.append(&skipped, head.as_ref()), Err(AppendError::File { .. })));
        assert!(matches!(store.append(&genesis, head.as_ref()), Err(AppendError::File { .. })));
    }
}

#[test]
fn foreign_content_on_the_branch_is_named() {
    let cases: [(&str, &str, i32, &[u8]); 5] = [
        ("entries/000000/entry.json", "is not a plain file", 0o120_000, b"/etc/passwd"),
        ("entries/000000/note.txt", "is neither an entry nor a signature", 0o100_644, b"x"),
        ("entries/7/entry.json", "is not an entry's number", 0o100_644, b"x"),
        ("entries/000009/entry.json", "is missing", 0o100_644, b"x"),
        ("entries/000000/entry.json", "at most", 0o100_644, &[b'x'; 300_000]),
    ];
    for (path, complaint, mode, bytes) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = fast(folder.path());
        create(fast(folder.path()));
        let repository = git2::Repository::open(folder.path()).unwrap();
        put_on_branch(&repository, path, mode, bytes);
        let error = store.snapshot().unwrap_err();
        assert!(matches!(error, StoreError::Layout { .. }), "{error}");
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

fn put_on_branch(repository: &git2::Repository, path: &str, mode: i32, bytes: &[u8]) {
    let commit =
        repository.find_reference(ledger::LEDGER_BRANCH).unwrap().peel_to_commit().unwrap();
    let oid = repository.blob(bytes).unwrap();
    let mode = if mode == 0o120_000 { git2::FileMode::Link } else { git2::FileMode::Blob };
    let tree = git2::build::TreeUpdateBuilder::new()
        .upsert(path, oid, mode)
        .create_updated(repository, &commit.tree().unwrap())
        .unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let author = commit.author();
    repository
        .commit(Some(ledger::LEDGER_BRANCH), &author, &author, "x", &tree, &[&commit])
        .unwrap();
}

#[test]
fn a_dead_writers_lock_is_cleared_and_another_programs_lock_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = create(fast(folder.path()));
    let branch_lock = folder.path().join("refs/heads/phase-ledger.lock");
    let mark = folder.path().join("phasegate/ledger.flock");
    assert_eq!(std::fs::read(&mark).unwrap(), b"");

    // What a writer leaves that was killed between taking git's lock and moving the branch.
    std::fs::write(&mark, "writing\n").unwrap();
    std::fs::write(&branch_lock, "").unwrap();
    append(&mut ledger, "deploy").unwrap();
    assert!(!branch_lock.exists());
    assert_eq!(std::fs::read(&mark).unwrap(), b"");

    // Without the mark the lock is another program's.
    std::fs::write(&branch_lock, "").unwrap();
    let error = append(&mut ledger, "announce").unwrap_err();
    assert!(matches!(error, Error::Append(AppendError::Store(StoreError::Locked { .. }))));
    assert!(error.to_string().contains("phase-ledger.lock"), "{error}");
    assert!(branch_lock.exists());
    std::fs::remove_file(&branch_lock).unwrap();
    append(&mut ledger, "announce").unwrap();
}

#[test]
fn no_repository_a_foreign_folder_and_a_blocked_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = GitStore::open(folder.path()) else { panic!("there is no repository") };
    assert!(matches!(error, StoreError::NoRepository { .. }), "{error}");
    assert!(error.to_string().contains("git init"), "{error}");

    // A file where a folder has to be stands for every refusal of the file system, also as root.
    let mut ledger = create(fast(&folder.path().join("a")));
    std::fs::remove_dir_all(folder.path().join("a/phasegate")).unwrap();
    std::fs::write(folder.path().join("a/phasegate"), "").unwrap();
    let error = append(&mut ledger, "deploy").unwrap_err();
    assert!(error.to_string().contains("a/phasegate"), "{error}");
    assert_eq!(ledger.view().len(), 1);

    std::fs::remove_file(folder.path().join("a/phasegate")).unwrap();
    let objects = folder.path().join("a/objects");
    std::fs::rename(&objects, folder.path().join("a/kept")).unwrap();
    std::fs::write(&objects, "").unwrap();
    let error = append(&mut ledger, "deploy").unwrap_err();
    assert!(error.to_string().contains("failed in the repository"), "{error}");
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(folder.path().join("a/kept"), &objects).unwrap();
    append(&mut ledger, "deploy").unwrap();
}

#[test]
fn a_full_disk_and_missing_rights_come_with_a_cure() {
    let io = |kind: std::io::ErrorKind| {
        let path = "repository".into();
        StoreError::Io { action: "writing", path, source: kind.into() }.to_string()
    };
    assert!(io(std::io::ErrorKind::StorageFull).contains("free some space"));
    assert!(io(std::io::ErrorKind::PermissionDenied).contains("writable"));
    assert!(io(std::io::ErrorKind::ReadOnlyFilesystem).contains("writable"));
}

#[test]
fn the_definition_id_is_the_one_that_git_computes() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    if git(work, &["init", "-q", "-b", "main"]).is_none() {
        println!("skipped: the_definition_id_is_the_one_that_git_computes (no git)");
        return;
    }
    let stages = work.join("stages");
    for path in ["a/x.toml", "a.b/y.toml", "a-b/z.toml", "a0/s/t.toml"] {
        std::fs::create_dir_all(stages.join(path).parent().unwrap()).unwrap();
        std::fs::write(stages.join(path), path).unwrap();
    }
    std::fs::create_dir_all(stages.join("empty/within")).unwrap();
    git(work, &["add", "."]);
    git(work, &["commit", "-q", "-m", "x"]);
    let committed = git(work, &["rev-parse", "HEAD:stages"]).unwrap();
    assert_eq!(definition_id(&stages).unwrap().as_str(), committed);
    std::fs::write(stages.join("a/x.toml"), "changed").unwrap();
    assert_ne!(definition_id(&stages).unwrap().as_str(), committed);
    std::os::unix::fs::symlink("/etc/passwd", stages.join("link")).unwrap();
    assert!(
        definition_id(&stages).unwrap_err().to_string().contains("neither a file nor a folder")
    );
}

#[test]
fn appends_of_a_thousand_entries_read_back_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = create(fast(folder.path()));
    let count = std::env::var("LEDGER_ENTRIES").ok().and_then(|text| text.parse().ok());
    for nth in 1..count.unwrap_or(120_i64) {
        let time = Duration::from_minutes(nth);
        let mut draft = draft(0, event("deploy"));
        draft.time += time;
        ledger.append(draft, &[&signer("ci")], BTreeMap::new()).unwrap();
    }
    let reopened = std::time::Instant::now();
    let entries = GitStore::open(folder.path()).unwrap().entries().unwrap();
    let read = reopened.elapsed();
    let view = chain::verify(&entries).unwrap();
    println!("{} entries: read {read:?}, all {:?}", view.len(), reopened.elapsed());
    assert_eq!(view.last().digest, ledger.view().last().digest);
}
