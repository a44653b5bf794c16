use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ledger::keys::generate_ed25519;
use ledger::{Error, Ledger, MemoryStore, OwnerError, Signer as _, SigningError, SshKeySigner};

use crate::world::*;

fn key_file(folder: &Path, text: &str, mode: u32) -> PathBuf {
    let path = folder.join("key");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_private_key_file_signs_like_the_key_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pair = generate_ed25519(Some(seed("ci"))).unwrap();
    let path = key_file(folder.path(), &pair.private_openssh, 0o600);
    let from_file = SshKeySigner::from_file(id("ci"), &path).unwrap();
    assert_eq!(roles().check_owner(&from_file), Ok(()));
    let sign = |signer: &SshKeySigner| signer.sign("namespace", b"bytes").unwrap();
    assert_eq!(sign(&from_file), sign(&signer("ci")));
}

#[test]
fn missing_exposed_foreign_and_encrypted_key_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| SshKeySigner::from_file(id("ci"), path).unwrap_err();
    assert!(matches!(open(&folder.path().join("none")), SigningError::Unreadable { .. }));

    let pair = generate_ed25519(Some(seed("ci"))).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let path = key_file(folder.path(), &pair.private_openssh, mode);
        let error = open(&path);
        assert!(matches!(error, SigningError::Exposed { mode: found, .. } if found == mode));
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
    let path = key_file(folder.path(), "hello", 0o600);
    assert!(matches!(open(&path), SigningError::NotAKey { .. }));
    let path = key_file(folder.path(), &pair.public_openssh, 0o600);
    assert!(matches!(open(&path), SigningError::NotAKey { .. }));
}

#[test]
fn a_key_that_the_roles_do_not_give_to_the_signer_is_refused() {
    let checked = |signer: SshKeySigner| roles().check_owner(&signer).unwrap_err();
    assert!(matches!(checked(signer("mallory")), OwnerError::UnknownKey { .. }));
    let pair = generate_ed25519(Some(seed("alice"))).unwrap();
    let claimed = SshKeySigner::from_openssh(id("bob"), &pair.private_openssh).unwrap();
    let OwnerError::OtherPrincipal { owner, .. } = checked(claimed) else { panic!() };
    assert_eq!(owner, id("alice"));
}

#[test]
fn a_signer_never_shows_its_secret() {
    let pair = generate_ed25519(Some(seed("ci"))).unwrap();
    let shown = format!("{0:?} {0:#?}", signer("ci"));
    for line in pair.private_openssh.lines() {
        assert!(!shown.contains(line), "{line}");
    }
    assert!(!shown.contains(&seed_in_hex()));
    let numbers = seed("ci").map(|byte| byte.to_string()).join(", ");
    assert!(!shown.contains(&numbers));
    assert!(shown.contains("SHA256:"));
}

fn seed_in_hex() -> String {
    base::Digest(seed("ci")).to_string()
}

#[test]
fn a_ledger_that_was_signed_elsewhere_begins_when_enough_have_signed() {
    let begin = |names: &[&str]| Ledger::begin(MemoryStore::new(), &append_of(&genesis(), names));
    assert!(matches!(begin(&["alice"]), Err(Error::Refused(_))));
    let begun = begin(&["alice", "bob"]).unwrap();
    assert_eq!(begun.view().genesis().signers.len(), 2);
}
