//! A ledger that several clones share through a remote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ledger::git_store::{Fetched, REMOTE_KEY};
use ledger::{
    AppendError, Durability, Error, Expectations, GitStore, LEDGER_BRANCH, Ledger,
    LedgerStore as _, StoreError, chain,
};

use crate::git::{create, fast, git};
use crate::world::*;

struct Shared {
    folder: tempfile::TempDir,
}

impl Shared {
    /// A remote without a ledger.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "--bare", "remote"]);
        Self { folder }
    }

    fn remote(&self) -> PathBuf {
        self.folder.path().join("remote")
    }

    fn store(&self, clone: &str) -> GitStore {
        fast(&self.folder.path().join(clone)).with_remote(self.remote().to_str().unwrap())
    }

    fn open(&self, clone: &str) -> Ledger<GitStore> {
        Ledger::open(self.store(clone), &Expectations::default()).unwrap()
    }

    /// What a stranger finds at the remote.
    fn events(&self) -> Vec<String> {
        let entries = GitStore::open(&self.remote()).unwrap().entries().unwrap();
        let view = chain::verify(&entries).unwrap();
        let name = |one: &ledger::VerifiedEntry| match &one.entry.body {
            ledger::Body::Event(event) => event.event.clone(),
            other => panic!("{other:?}"),
        };
        view.iter().skip(1).map(name).collect()
    }
}

fn append(ledger: &mut Ledger<GitStore>, name: &str) -> Result<(), Error> {
    let next = ledger.view().next_seq() as i64;
    ledger.append(draft(next, event(name)), &[&signer("ci")], BTreeMap::new())
}

fn write_hook(remote: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let hook = remote.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, text).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_race_between_two_clones_ends_with_both_entries() {
    let shared = Shared::new();
    let mut first = create(shared.store("first"));
    let mut second = shared.open("second");
    append(&mut first, "deploy").unwrap();
    // The second clone decided on what it had seen before.
    let error = append(&mut second, "announce").unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(second.view().len(), 1);
    assert_eq!(second.refresh().unwrap(), 1);
    append(&mut second, "announce").unwrap();
    assert_eq!(first.refresh().unwrap(), 1);
    assert_eq!(shared.events(), ["deploy", "announce"]);
    assert_eq!(first.view().last().digest, second.view().last().digest);
}

#[test]
fn four_clones_at_once_lose_nothing_and_stay_linear() {
    const EACH: usize = 6;
    let shared = Shared::new();
    create(shared.store("first"));
    std::thread::scope(|scope| {
        for clone in ["a", "b", "c", "d"] {
            let shared = &shared;
            scope.spawn(move || {
                let mut ledger = shared.open(clone);
                for _ in 0..EACH {
                    while let Err(error) = append(&mut ledger, clone) {
                        assert!(error.is_conflict(), "{error}");
                        ledger.refresh().unwrap();
                    }
                }
            });
        }
    });
    let events = shared.events();
    assert_eq!(events.len(), 4 * EACH);
    for clone in ["a", "b", "c", "d"] {
        assert_eq!(events.iter().filter(|one| *one == clone).count(), EACH);
    }
}

#[test]
fn an_entry_that_the_remote_took_before_a_crash_is_there_after_it() {
    let shared = Shared::new();
    let mut ledger = create(shared.store("clone"));
    let before = ledger.head().unwrap().to_string();
    append(&mut ledger, "deploy").unwrap();
    // As after a crash between the push and the move of the own branch.
    let clone = shared.folder.path().join("clone");
    git(&clone, &["update-ref", ledger::LEDGER_BRANCH, &before]);
    let again = shared.open("clone");
    assert_eq!(again.view().len(), 2);
    assert_eq!(again.head(), ledger.head());
}

#[test]
fn entries_from_the_time_without_a_remote_go_along() {
    let shared = Shared::new();
    let clone = shared.folder.path().join("clone");
    let mut alone = create(fast(&clone));
    append(&mut alone, "deploy").unwrap();
    let mut ledger = shared.open("clone");
    append(&mut ledger, "announce").unwrap();
    assert_eq!(shared.events().len(), 2);
}

#[test]
fn a_remote_that_is_gone_or_refuses_leaves_everything_as_it_was() {
    let shared = Shared::new();
    let mut ledger = create(shared.store("clone").with_durability(Durability::Flushed));
    write_hook(&shared.remote(), "#!/bin/sh\necho 'the branch is protected' >&2\nexit 1\n");
    let error = append(&mut ledger, "deploy").unwrap_err();
    let refused = matches!(&error, Error::Append(AppendError::Store(StoreError::Refused { .. })));
    assert!(refused, "{error:?}");
    assert!(error.to_string().contains("hook declined"), "{error}");
    assert!(error.to_string().contains("nothing was appended"), "{error}");
    assert!(!error.is_conflict());

    std::fs::remove_file(shared.remote().join("hooks/pre-receive")).unwrap();
    let away = shared.folder.path().join("away");
    std::fs::rename(shared.remote(), &away).unwrap();
    let error = append(&mut ledger, "deploy").unwrap_err();
    assert!(error.to_string().contains("did not answer"), "{error}");
    assert!(error.to_string().contains("does not"), "{error}");
    std::fs::rename(&away, shared.remote()).unwrap();
    append(&mut ledger, "deploy").unwrap();
    assert_eq!(shared.events(), ["deploy"]);
}

#[test]
fn a_fork_is_an_error_that_names_both_ends() {
    let shared = Shared::new();
    let ledger = create(shared.store("clone"));
    drop(ledger);
    let clone = shared.folder.path().join("clone");
    let mut alone = Ledger::open(fast(&clone), &Expectations::default()).unwrap();
    let mut other = shared.open("other");
    append(&mut alone, "deploy").unwrap();
    append(&mut other, "announce").unwrap();
    let (ours, theirs) = (alone.head().unwrap().to_string(), other.head().unwrap().to_string());
    let error = Ledger::open(shared.store("clone"), &Expectations::default()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("has forked") && said.contains(&ours) && said.contains(&theirs),
        "{said}"
    );
}

#[test]
fn what_the_remote_lacks_is_told() {
    let shared = Shared::new();
    assert_eq!(shared.store("clone").fetch().unwrap(), Fetched::Level);
    let mut ledger = create(shared.store("clone"));
    let before = ledger.head().unwrap().to_string();
    append(&mut ledger, "deploy").unwrap();
    assert_eq!(shared.store("clone").fetch().unwrap(), Fetched::Level);
    assert_eq!(shared.store("clone").without_remote().fetch().unwrap(), Fetched::Alone);
    // The remote is rolled back; what was seen before stays.
    git(&shared.remote(), &["update-ref", ledger::LEDGER_BRANCH, &before]);
    assert_eq!(shared.store("clone").fetch().unwrap(), Fetched::Ahead);
    assert_eq!(shared.open("clone").view().len(), 2);
    git(&shared.remote(), &["update-ref", "-d", ledger::LEDGER_BRANCH]);
    assert_eq!(shared.store("clone").fetch().unwrap(), Fetched::Ahead);
    append(&mut ledger, "announce").unwrap();
    assert_eq!(shared.events(), ["deploy", "announce"]);
}

#[test]
fn fetching_moves_nothing_but_the_branch() {
    let shared = Shared::new();
    let mut ledger = create(shared.store("first"));
    append(&mut ledger, "deploy").unwrap();
    shared.open("second");
    let second = shared.folder.path().join("second");
    assert_eq!(git(&second, &["for-each-ref", "--format=%(refname)"]).unwrap(), LEDGER_BRANCH);
    assert!(!second.join("FETCH_HEAD").exists());
    // A branch whose name only ends like the ledger's is another branch.
    let head = ledger.head().unwrap().to_string();
    git(&shared.remote(), &["update-ref", "-d", LEDGER_BRANCH]);
    git(&shared.remote(), &["update-ref", &format!("refs/heads/{LEDGER_BRANCH}"), &head]);
    assert_eq!(shared.store("third").fetch().unwrap(), Fetched::Level);
}

#[test]
fn the_remote_that_the_configuration_names_is_found() {
    let shared = Shared::new();
    let clone = shared.folder.path().join("clone");
    let store = fast(&clone);
    assert_eq!(store.configured_remote().unwrap(), None);
    git(&clone, &["config", REMOTE_KEY, ""]);
    assert_eq!(store.configured_remote().unwrap(), None);
    // A name, whose address is relative to the repository.
    git(&clone, &["remote", "add", "upstream", "../remote"]);
    git(&clone, &["config", REMOTE_KEY, "upstream"]);
    let name = store.configured_remote().unwrap().unwrap();
    assert_eq!(name, "upstream");
    create(store.with_remote(name));
    assert_eq!(shared.events(), Vec::<String>::new());
}

#[test]
fn a_relative_address_counts_from_the_root_of_the_work_tree() {
    let shared = Shared::new();
    let work = shared.folder.path().join("work");
    std::fs::create_dir_all(work.join("below")).unwrap();
    git(&work, &["init", "-q"]);
    git(&work, &["remote", "add", "upstream", "../remote"]);
    create(GitStore::open(&work.join("below")).unwrap().with_remote("upstream"));
    assert_eq!(shared.events(), Vec::<String>::new());
}

#[test]
fn no_message_shows_who_logs_in_and_with_what() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens on port 1; git then repeats the address that it was given.
    let store = |address: &str| fast(&folder.path().join("clone")).with_remote(address);
    let error = store("http://somebody:canary@127.0.0.1:1/x").fetch().unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{said}");
    assert!(said.contains("http://***@127.0.0.1:1/x"), "{said}");
    assert!(!said.contains("canary") && !said.contains("somebody"), "{said}");
    let store = store("http://somebody:canary@127.0.0.1:1/x");
    assert!(!format!("{store:?}").contains("canary"));
    // The address behind a name.
    git(
        &folder.path().join("clone"),
        &["remote", "add", "origin", "http://a:canary@127.0.0.1:1/x"],
    );
    let error = fast(&folder.path().join("clone")).with_remote("origin").fetch().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
}

#[test]
fn an_address_is_never_taken_for_an_option_or_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    for address in [
        format!("--upload-pack=touch {}", trace.display()),
        format!("ext::touch {}", trace.display()),
    ] {
        let error = fast(&folder.path().join("clone")).with_remote(address).fetch().unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(!trace.exists());
    }
}

#[test]
fn what_does_not_verify_is_not_taken_over_from_the_remote() {
    let shared = Shared::new();
    let mut ledger = create(shared.store("clone"));
    append(&mut ledger, "deploy").unwrap();
    let mut other = shared.open("other");
    let good = ledger.head().unwrap().to_string();

    // Somebody who may push, but not sign, adds an entry.
    let mut forged = ledger.view().entry_for(draft(2, event("release")));
    forged.network = base::NetworkId::new("other").unwrap();
    let at_remote = GitStore::open(&shared.remote()).unwrap();
    let head = at_remote.head().unwrap();
    at_remote.append(&append_of(&forged, &["ci"]), head.as_ref()).unwrap();
    assert!(matches!(other.refresh(), Err(Error::Chain(_))));
    let opened = Ledger::open(shared.store("clone"), &Expectations::default());
    assert!(matches!(opened, Err(Error::Chain(_))));
    for clone in ["clone", "other"] {
        let clone = shared.folder.path().join(clone);
        assert_eq!(git(&clone, &["rev-parse", LEDGER_BRANCH]).unwrap(), good);
    }
    // Nobody builds upon it.
    assert!(append(&mut other, "announce").unwrap_err().is_conflict());
    // The remote is repaired, and nobody here has to do anything.
    git(&shared.remote(), &["update-ref", LEDGER_BRANCH, &good]);
    append(&mut other, "announce").unwrap();
    assert_eq!(shared.open("clone").view().len(), 3);
}

#[test]
fn a_remote_that_keeps_silent_is_not_waited_for_without_end() {
    let shared = Shared::new();
    create(shared.store("clone"));
    let store = shared.store("clone").with_remote("ssh://host.invalid/x");
    // It answers when its input ends, which is never.
    let clone = shared.folder.path().join("clone");
    git(&clone, &["config", "core.sshCommand", "cat > /dev/null #"]);
    let error = store.with_patience(std::time::Duration::from_millis(100)).fetch().unwrap_err();
    assert!(error.to_string().contains("said nothing for 0.1 s"), "{error}");
}
