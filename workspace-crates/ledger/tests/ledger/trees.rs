//! Trees that no honest program makes: git stores them, and a fetch brings them.

use git2::{ObjectType, Oid, Repository};
use ledger::{GitStore, Ledger, LedgerStore, MemoryStore, StoreError};

use crate::world::*;

const FILE: &str = "100644";
const FOLDER: &str = "40000";

/// A tree from its raw entries, unchecked and in the order in which they are given.
fn tree(repository: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, oid) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(oid.as_bytes());
    }
    repository.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

/// A ledger with one sound entry, whose root also gets what `change` makes.
struct Branch {
    folder: tempfile::TempDir,
    repository: Repository,
}

impl Branch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = GitStore::init_bare(folder.path()).unwrap();
        let signers = [signer("alice"), signer("bob")];
        let signers: Vec<&dyn ledger::Signer> =
            signers.iter().map(|one| one as &dyn ledger::Signer).collect();
        let files = std::collections::BTreeMap::new();
        Ledger::create(store, network(), draft(0, genesis_body()), &signers, files).unwrap();
        let repository = Repository::open(folder.path()).unwrap();
        Self { folder, repository }
    }

    fn blob(&self, bytes: &[u8]) -> Oid {
        self.repository.blob(bytes).unwrap()
    }

    fn entry(&self) -> (Oid, Vec<(String, Oid)>) {
        let entries = self.tree().get_name("entries").unwrap().id();
        let folder = self.repository.find_tree(entries).unwrap().get(0).unwrap().id();
        let files = self.repository.find_tree(folder).unwrap();
        let files = files.iter().map(|file| (file.name().unwrap().to_owned(), file.id()));
        (folder, files.collect())
    }

    fn tree(&self) -> git2::Tree<'_> {
        let head = self.repository.find_reference(ledger::LEDGER_BRANCH).unwrap();
        head.peel_to_tree().unwrap()
    }

    /// Puts a commit with that tree onto the branch.
    fn commit(&self, tree: Oid) {
        let text = format!(
            "tree {tree}\nauthor a <a@example.org> 1 +0000\ncommitter a <a@example.org> 1 +0000\n\nx\n"
        );
        let odb = self.repository.odb().unwrap();
        let commit = odb.write(ObjectType::Commit, text.as_bytes()).unwrap();
        self.repository.reference(ledger::LEDGER_BRANCH, commit, true, "x").unwrap();
    }

    fn with_reports(&self, reports: &[(&str, &[u8], Oid)]) {
        let entries = self.tree().get_name("entries").unwrap().id();
        let reports = tree(&self.repository, reports);
        let root = [(FOLDER, b"entries".as_slice(), entries), (FOLDER, b"reports", reports)];
        self.commit(tree(&self.repository, &root));
    }

    fn store(&self) -> GitStore {
        GitStore::open(self.folder.path()).unwrap()
    }
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(found: Result<T, StoreError>, what: &str) {
    let error = found.expect_err(what);
    assert!(matches!(error, StoreError::Layout { .. }), "{what}: {error}");
}

#[test]
fn names_that_lead_elsewhere_are_never_listed() {
    let branch = Branch::new();
    let file = branch.blob(b"x");
    let names: [&[u8]; 18] = [
        b"..",
        b".",
        b".git",
        b".GIT",
        b".hidden",
        b"/etc",
        b"a/b",
        b"../../x",
        b"a\\b",
        b"a b",
        b"a:b",
        b"C:",
        b"a\x1b[2J",
        b"a\n",
        b"\xff",
        "e\u{301}".as_bytes(),
        "é".as_bytes(),
        &[b'a'; 200],
    ];
    for name in names {
        let what = String::from_utf8_lossy(name).into_owned();
        branch.with_reports(&[(FILE, name, file)]);
        is_refused(branch.store().list_files("reports"), &what);
        let inner = tree(&branch.repository, &[(FILE, b"statement.json", file)]);
        branch.with_reports(&[(FOLDER, name, inner)]);
        is_refused(branch.store().list_files("reports"), &what);
        // The entries are as they were, and are read without the reports.
        assert_eq!(branch.store().entries().unwrap().len(), 1);
    }
}

#[test]
fn links_programs_and_modules_are_no_files() {
    let branch = Branch::new();
    let file = branch.blob(b"/etc/passwd");
    let (_, files) = branch.entry();
    for mode in ["120000", "100755", "160000", "100664", "0"] {
        branch.with_reports(&[(mode, b"x", file)]);
        is_refused(branch.store().list_files("reports"), mode);
        let read = branch.store().read_file("reports/x");
        assert!(!matches!(read, Ok(Some(_))), "{mode}: {read:?}");
    }
    for mode in ["120000", "100755", "160000"] {
        let branch = Branch::new();
        let named: Vec<(&str, &[u8], Oid)> =
            files.iter().map(|(name, oid)| (mode, name.as_bytes(), *oid)).collect();
        let entry = tree(&branch.repository, &named);
        let entries = tree(&branch.repository, &[(FOLDER, b"000000", entry)]);
        branch.commit(tree(&branch.repository, &[(FOLDER, b"entries", entries)]));
        is_refused(branch.store().entries(), mode);
    }
}

#[test]
fn names_that_are_there_twice_or_in_another_case_are_refused() {
    let branch = Branch::new();
    let (one, two) = (branch.blob(b"one"), branch.blob(b"two"));
    for names in [[b"x.md", b"x.md"], [b"X.md", b"x.md"], [b"x.MD", b"X.md"]] {
        branch.with_reports(&[(FILE, names[0], one), (FILE, names[1], two)]);
        is_refused(branch.store().list_files("reports"), "reports");
    }
    let (entry, files) = branch.entry();
    let twice = tree(&branch.repository, &[(FOLDER, b"000000", entry), (FOLDER, b"000000", entry)]);
    branch.commit(tree(&branch.repository, &[(FOLDER, b"entries", twice)]));
    is_refused(branch.store().entries(), "an entry's folder");
    for extra in [b"entry.json".as_slice(), b"ENTRY.JSON", b"Alice.sig"] {
        let mut named: Vec<(&str, &[u8], Oid)> =
            files.iter().map(|(name, oid)| (FILE, name.as_bytes(), *oid)).collect();
        named.push((FILE, extra, one));
        let entry = tree(&branch.repository, &named);
        let entries = tree(&branch.repository, &[(FOLDER, b"000000", entry)]);
        branch.commit(tree(&branch.repository, &[(FOLDER, b"entries", entries)]));
        is_refused(branch.store().entries(), &String::from_utf8_lossy(extra));
    }
    let sound = tree(&branch.repository, &[(FOLDER, b"000000", entry)]);
    for other in [b"entries", b"Entries"] {
        let root = [(FOLDER, b"entries".as_slice(), sound), (FOLDER, other.as_slice(), sound)];
        branch.commit(tree(&branch.repository, &root));
        is_refused(branch.store().entries(), "the root");
    }
}

#[test]
fn folders_in_the_place_of_files_and_files_of_folders_are_refused() {
    let branch = Branch::new();
    let file = branch.blob(b"x");
    branch.commit(tree(&branch.repository, &[(FILE, b"entries", file)]));
    is_refused(branch.store().entries(), "a file");
    let (folder, _) = Branch::new().entry();
    let branch = Branch::new();
    let entry = tree(&branch.repository, &[(FOLDER, b"entry.json", folder)]);
    let entries = tree(&branch.repository, &[(FOLDER, b"000000", entry)]);
    branch.commit(tree(&branch.repository, &[(FOLDER, b"entries", entries)]));
    is_refused(branch.store().entries(), "a folder");
    // A mode says file, and the object is a folder, or is not there.
    let (there, _) = branch.repository.find_tree(entries).map(|one| (one.id(), ())).unwrap();
    for oid in [there, Oid::from_bytes(&[7; 20]).unwrap()] {
        branch.with_reports(&[(FILE, b"x", oid)]);
        assert!(branch.store().read_file("reports/x").is_err());
    }
}

#[test]
fn a_report_in_another_case_is_not_published_beside_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let in_git = GitStore::init_bare(folder.path()).unwrap();
    for store in [&in_git as &dyn LedgerStore, &MemoryStore::new()] {
        let new = append_of(&genesis(), &["alice", "bob"]);
        let twins = new.with_file("reports/w/A.md", b"1".to_vec());
        let twins = twins.with_file("reports/w/a.md", b"2".to_vec());
        assert!(store.append(&twins, None).is_err());
        assert_eq!(store.head().unwrap(), None);
    }
}
