//! The same ledger in repositories and folders, with hostile names, links and modes.

use std::os::unix::fs::symlink;
use std::path::Path;

use git2::{ObjectType, Oid, Repository};
use ledger::{Expectations, GitStore, LEDGER_BRANCH, LedgerStore as _};

use super::runner::{self, Verdict, installed, of_script};
use crate::git::{create, fast, git};
use crate::world::*;

const FILE: &str = "100644";
const TREE: &str = "40000";

/// An item of a tree: mode, name, object.
type Item = (String, Vec<u8>, Oid);

/// Writes a tree exactly as given, whatever git thinks of it.
fn tree(repository: &Repository, items: &[Item]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, oid) in items {
        bytes.extend([mode.as_bytes(), b" ", name, b"\0", oid.as_bytes()].concat());
    }
    repository.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

fn item(mode: &str, name: &str, oid: Oid) -> Item {
    (mode.to_owned(), name.as_bytes().to_vec(), oid)
}

/// A bare repository whose branch holds `raw` as `change` leaves the folders of its entries.
fn store(
    path: &Path,
    raw: &[ledger::RawEntry],
    change: impl FnOnce(&Repository, &mut Vec<(String, Vec<Item>)>) -> Vec<Item>,
) {
    let repository = Repository::init_bare(path).unwrap();
    let blob = |bytes: &[u8]| repository.blob(bytes).unwrap();
    let mut folders: Vec<_> = raw
        .iter()
        .map(|entry| {
            let signature = |(who, text): (&base::PrincipalId, &Vec<u8>)| {
                item(FILE, &format!("{who}.sig"), blob(text))
            };
            let mut files: Vec<_> = entry.signatures.iter().map(signature).collect();
            files.push(item(FILE, "entry.json", blob(&entry.bytes)));
            files.sort();
            (format!("{:06}", entry.seq), files)
        })
        .collect();
    let more = change(&repository, &mut folders);
    let mut entries: Vec<_> =
        folders.iter().map(|(name, files)| item(TREE, name, tree(&repository, files))).collect();
    entries.extend(more);
    let root = tree(&repository, &[item(TREE, "entries", tree(&repository, &entries))]);
    commit(&repository, root);
}

fn commit(repository: &Repository, root: Oid) {
    let author = git2::Signature::new("x", "x@example.org", &git2::Time::new(0, 0)).unwrap();
    let root = repository.find_tree(root).unwrap();
    repository.commit(Some(LEDGER_BRANCH), &author, &author, "x", &root, &[]).unwrap();
}

fn of_git_store(path: &Path) -> Verdict {
    match GitStore::open(path).and_then(|store| store.entries()) {
        Ok(raw) => runner::ours(&raw, &Expectations::default()),
        Err(error) => Verdict::Bad(None, error.to_string()),
    }
}

/// Both verifiers say this about the repository.
fn expect(name: &str, path: &Path, is_good: bool) {
    let (ours, script) = (of_git_store(path), of_script(path, &Expectations::default()));
    for verdict in [&ours, &script] {
        let found = matches!(verdict, Verdict::Good(_));
        assert_eq!(found, is_good, "{name}\n  ours:   {ours}\n  script: {script}");
    }
}

type Change = fn(&Repository, &mut Vec<(String, Vec<Item>)>) -> Vec<Item>;

/// The last item of a folder is its `entry.json` when all signers come before it.
fn entry_of(folders: &mut [(String, Vec<Item>)]) -> &mut Item {
    let files = &mut folders[1].1;
    files.iter_mut().find(|file| file.1 == b"entry.json").unwrap()
}

fn hostile_trees() -> Vec<(&'static str, Change)> {
    fn add(folders: &mut [(String, Vec<Item>)], mode: &str, name: &str, oid: Oid) -> Vec<Item> {
        folders[1].1.push(item(mode, name, oid));
        Vec::new()
    }
    fn blob(repository: &Repository) -> Oid {
        repository.blob(b"/etc/passwd").unwrap()
    }
    vec![
        ("a link for an entry", |repository, folders| {
            *entry_of(folders) = item("120000", "entry.json", blob(repository));
            Vec::new()
        }),
        ("a program for an entry", |_, folders| {
            entry_of(folders).0 = "100755".to_owned();
            Vec::new()
        }),
        ("a submodule for an entry", |_, folders| {
            entry_of(folders).0 = "160000".to_owned();
            Vec::new()
        }),
        ("a folder for an entry", |repository, folders| {
            *entry_of(folders) = item(TREE, "entry.json", tree(repository, &[]));
            Vec::new()
        }),
        ("a folder that says it is a file", |repository, folders| {
            *entry_of(folders) = item(FILE, "entry.json", tree(repository, &[]));
            Vec::new()
        }),
        ("no entry", |_, folders| {
            folders[1].1.retain(|file| file.1 != b"entry.json");
            Vec::new()
        }),
        ("an entry twice", |repository, folders| {
            let oid = entry_of(folders).2;
            let other = item(FILE, "entry.json", blob(repository));
            folders[1].1.insert(0, other);
            add(folders, FILE, "entry.json", oid)
        }),
        ("a signature twice", |_, folders| {
            let twice = folders[1].1[0].clone();
            folders[1].1.insert(0, twice);
            Vec::new()
        }),
        ("a link for a signature", |repository, folders| {
            add(folders, "120000", "zoe.sig", blob(repository))
        }),
        ("a note", |repository, folders| add(folders, FILE, "note.txt", blob(repository))),
        ("a hidden file", |repository, folders| add(folders, FILE, ".hidden", blob(repository))),
        ("a signer in capitals", |repository, folders| {
            add(folders, FILE, "Zoe.sig", blob(repository))
        }),
        ("a signer with a path", |repository, folders| {
            add(folders, FILE, "../../zoe.sig", blob(repository))
        }),
        ("a signer with a line feed", |repository, folders| {
            add(folders, FILE, "zoe\n.sig", blob(repository))
        }),
        ("a signer without name", |repository, folders| {
            add(folders, FILE, ".sig", blob(repository))
        }),
        ("a name that is no text", |repository, folders| {
            folders[1].1.push((FILE.to_owned(), b"zo\xff.sig".to_vec(), blob(repository)));
            Vec::new()
        }),
        ("a signature that is too large", |repository, folders| {
            let large = repository.blob(&[b'x'; 16 * 1024 + 1]).unwrap();
            add(folders, FILE, "zoe.sig", large)
        }),
        ("an entry that is too large", |repository, folders| {
            entry_of(folders).2 = repository.blob(&[b' '; 256 * 1024 + 1]).unwrap();
            Vec::new()
        }),
        ("a folder that is missing", |_, folders| {
            folders[1].0 = "000002".to_owned();
            Vec::new()
        }),
        ("a folder with too few digits", |_, folders| {
            folders[1].0 = "1".to_owned();
            Vec::new()
        }),
        ("a folder with too many digits", |_, folders| {
            folders[1].0 = "0000001".to_owned();
            Vec::new()
        }),
        ("a folder with a sign", |_, folders| {
            folders[1].0 = "+00001".to_owned();
            Vec::new()
        }),
        ("a folder twice", |_, folders| {
            let twice = folders[1].clone();
            folders.insert(1, twice);
            Vec::new()
        }),
        ("a file among the folders", |repository, _| vec![item(FILE, "README", blob(repository))]),
        ("a link for a folder", |repository, folders| {
            folders.remove(1);
            vec![item("120000", "000001", repository.blob(b"000000").unwrap())]
        }),
        ("objects that are not there", |_, folders| {
            entry_of(folders).2 = Oid::from_str(&"12".repeat(20)).unwrap();
            Vec::new()
        }),
    ]
}

fn short() -> Chain {
    let mut chain = Chain::new();
    chain.push(event("deploy"), &["ci"]);
    chain
}

#[test]
fn both_verifiers_refuse_hostile_trees() {
    if !installed("both_verifiers_refuse_hostile_trees") {
        return;
    }
    let raw = short().raw;
    let good = tempfile::tempdir().unwrap();
    store(good.path(), &raw, |_, _| Vec::new());
    expect("nothing is wrong", good.path(), true);
    for (name, change) in hostile_trees() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), &raw, change);
        expect(name, folder.path(), false);
    }
}

#[test]
fn both_verifiers_read_repositories_of_every_sort() {
    if !installed("both_verifiers_read_repositories_of_every_sort") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let work = path("work");
    std::fs::create_dir(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    expect("no ledger yet", &work, false);
    drop(create(GitStore::open(&work).unwrap()));
    expect("a work tree", &work, true);
    git(&work, &["gc", "-q"]);
    git(&work, &["pack-refs", "--all"]);
    expect("everything packed", &work, true);
    let (clone, from) = (path("clone"), work.to_str().unwrap());
    let arguments = ["clone", "-q", "--single-branch", "--branch", "phase-ledger", from, "clone"];
    git(folder.path(), &arguments);
    // The branch counts, whatever lies in the folder beside it.
    std::fs::write(clone.join("entries/000000/entry.json"), "{}").unwrap();
    expect("a clone", &clone, true);
    git(&work, &["worktree", "add", "-q", "--orphan", "-b", "other", "../beside"]);
    expect("a linked work tree", &path("beside"), true);

    let empty = path("empty");
    drop(fast(&empty));
    expect("an empty repository", &empty, false);
    let hostile = path("hostile");
    let repository = Repository::init_bare(&hostile).unwrap();
    let blob = repository.blob(b"x").unwrap();
    commit(&repository, tree(&repository, &[item(FILE, "entries", blob)]));
    expect("a file instead of the folder", &hostile, false);
}

#[test]
fn git_replacements_and_attributes_do_not_change_what_the_script_reads() {
    if !installed("git_replacements_and_attributes_do_not_change_what_the_script_reads") {
        return;
    }
    let raw = short().raw;
    let mut forged = raw.clone();
    forged[1].bytes = b"{}".to_vec();
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), &forged, |_, _| Vec::new());
    let repository = Repository::open(folder.path()).unwrap();
    let (bad, good) = (repository.blob(b"{}").unwrap(), repository.blob(&raw[1].bytes).unwrap());
    git(folder.path(), &["replace", &bad.to_string(), &good.to_string()]);
    expect("a forged entry that git shows as a good one", folder.path(), false);
}

#[test]
fn the_script_refuses_folders_that_no_git_tree_could_be() {
    if !installed("the_script_refuses_folders_that_no_git_tree_could_be") {
        return;
    }
    type Edit = fn(&Path);
    let edits: [(&str, Edit); 8] = [
        ("a link for an entry", |entries| {
            std::fs::rename(entries.join("000001/entry.json"), entries.join("../kept")).unwrap();
            symlink("../../kept", entries.join("000001/entry.json")).unwrap();
        }),
        ("a link for a folder", |entries| {
            std::fs::rename(entries.join("000001"), entries.join("../kept")).unwrap();
            symlink("../kept", entries.join("000001")).unwrap();
        }),
        ("a link for all", |entries| {
            std::fs::rename(entries, entries.with_file_name("kept")).unwrap();
            symlink("kept", entries).unwrap();
        }),
        ("a note", |entries| std::fs::write(entries.join("000001/note"), "x").unwrap()),
        ("a hidden file", |entries| std::fs::write(entries.join(".hidden"), "x").unwrap()),
        ("a folder for a signature", |entries| {
            std::fs::create_dir(entries.join("000001/zoe.sig")).unwrap();
        }),
        ("a gap", |entries| {
            std::fs::rename(entries.join("000001"), entries.join("000002")).unwrap();
        }),
        ("an entry without its file", |entries| {
            std::fs::remove_file(entries.join("000001/entry.json")).unwrap();
        }),
    ];
    for (name, edit) in edits {
        let folder = tempfile::tempdir().unwrap();
        runner::unpack(folder.path(), &short().raw);
        edit(&folder.path().join("entries"));
        let output = runner::command().arg(folder.path()).output().unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{name}");
    }
}
