//! SSH keys on this machine: which there are, and signing with one of them.
//!
//! People sign through `ssh-keygen`, so that keys in an agent, on a security key or behind a
//! passphrase work. Their private halves are never read here.

use std::io::Read;
use std::path::{Path, PathBuf};

use base::PrincipalId;
use ledger::keys::PublicKey;
use ledger::{Signer, SigningError, SshKeygenSigner};
use tempfile::TempDir;

use crate::failure::Failure;

/// A key file is a few hundred bytes to a few kilobytes; more is no key file.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A public key that was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// One line for people who choose.
    pub label: String,
    /// One line, as OpenSSH writes it, without comment.
    pub public: String,
    /// The file of the private half, where there is one.
    pub file: Option<PathBuf>,
    /// Whether the agent has the private half.
    pub in_agent: bool,
}

impl Found {
    /// Whether the private half is at hand.
    pub fn can_sign(&self) -> bool {
        self.file.is_some() || self.in_agent
    }
}

/// The keys that somebody may sign with: git's own signing key, those of the agent, and those in
/// `.ssh`, each once, without those of kinds that are not taken.
pub fn discover(signing_key: Option<&str>) -> Vec<Found> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let mut found = Vec::new();
    if let Some(named) = signing_key {
        add_file(&mut found, &expanded(named), "git signs with it");
        // Git takes the key itself as well, with or without a mark before it.
        if let Ok(public) = normal(named.strip_prefix("key::").unwrap_or(named)) {
            add(&mut found, public, "git signs with it", None, false);
        }
    }
    for line in agent_keys() {
        if let Ok(public) = normal(&line) {
            add(&mut found, public, "in the agent", None, true);
        }
    }
    add_folder(&mut found, &home.join(".ssh"), "~/.ssh");
    found
}

/// Adds the keys in `folder`, which people call `name`, in the order of their names.
pub fn add_folder(found: &mut Vec<Found>, folder: &Path, name: &str) {
    for path in public_files(folder) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add_file(found, &path, &format!("{name}/{file}"));
    }
}

/// Adds the key of a file, when it holds one that is taken.
pub fn add_file(found: &mut Vec<Found>, path: &Path, origin: &str) {
    if let Ok(public) = read_public(&path.to_string_lossy()) {
        let private = Some(private_of(path)).filter(|path| path.is_file());
        add(found, public, origin, private, false);
    }
}

fn add(
    found: &mut Vec<Found>,
    public: String,
    origin: &str,
    file: Option<PathBuf>,
    in_agent: bool,
) {
    if let Some(known) = found.iter_mut().find(|one| one.public == public) {
        known.file = known.file.take().or(file);
        known.in_agent |= in_agent;
        return;
    }
    let Ok(key) = PublicKey::parse(&public) else { return };
    let kind = public.split(' ').next().unwrap_or_default();
    // Enough to know it again; the whole fingerprint is shown when something is signed.
    let fingerprint: String = key.fingerprint().chars().take(23).collect();
    let label = format!("{}: {kind} {fingerprint}…", report::clean(origin));
    found.push(Found { label, public, file, in_agent });
}

/// What `ssh-add -L` lists; nothing without an agent.
fn agent_keys() -> Vec<String> {
    let ran =
        duct::cmd!("ssh-add", "-L").stdin_null().stdout_capture().stderr_null().unchecked().run();
    match ran {
        Ok(ran) if ran.status.success() => {
            String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn public_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "pub")).collect();
    files.sort();
    files
}

fn private_of(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "pub") {
        return path.with_extension("");
    }
    path.to_owned()
}

/// The key in its one form, without comment; the reason when it is not taken.
pub fn normal(text: &str) -> Result<String, String> {
    match PublicKey::parse(text) {
        Ok(key) => Ok(key.to_openssh()),
        Err(error) => Err(report::clean(&error.to_string())),
    }
}

/// The path that `text` names; `~/` is the home, as shells have it at the beginning of a word only.
pub fn expanded(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(below), Some(home)) => PathBuf::from(home).join(below),
        _ => PathBuf::from(text),
    }
}

/// The public key that `text` is, or that the file `text` holds or has beside it.
pub fn read_public(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_key = ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind));
    if is_key && text.contains(' ') {
        return normal(text);
    }
    let path = &expanded(text);
    let content = read_small(path)?;
    if !content.contains("PRIVATE KEY-----") {
        return normal(content.lines().next().unwrap_or_default());
    }
    let content = read_small(&beside(path)).map_err(|_| {
        let path = report::clean(text);
        format!("{path} is a private key without `{path}.pub` beside it; name the public key")
    })?;
    normal(content.lines().next().unwrap_or_default())
}

fn read_small(path: &Path) -> Result<String, String> {
    let shown = report::clean(&path.display().to_string());
    let bytes = read_file(path, KEY_FILE_BYTES_MAX).map_err(|error| {
        format!("`{shown}` is neither a public key nor a file with one: {error}")
    })?;
    String::from_utf8(bytes).map_err(|_| format!("`{shown}` holds no text"))
}

/// Reads a plain file of at most `bytes_max` bytes. A pipe or a device would never end.
pub fn read_file(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    if metadata.len() > bytes_max {
        return Err(std::io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file with the public half of the key in `path`.
pub fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    PathBuf::from(beside)
}

/// Signs with a key that was found.
pub struct FoundSigner {
    signer: SshKeygenSigner,
    /// Holds the public half of a key that only the agent has.
    _folder: Option<TempDir>,
}

impl FoundSigner {
    /// Signs for `principal` with `found`.
    ///
    /// # Errors
    /// When the public half cannot be read, or no file can be made for it.
    pub fn new(principal: PrincipalId, found: &Found) -> Result<Self, Failure> {
        if let Some(file) = &found.file {
            return Ok(Self { signer: SshKeygenSigner::new(principal, file)?, _folder: None });
        }
        // ssh-keygen finds a key in the agent by its public half, which it reads from a file.
        let folder = tempfile::Builder::new().prefix("phasegate-").tempdir();
        let folder =
            folder.map_err(|error| Failure::file("make", &std::env::temp_dir(), &error))?;
        let file = folder.path().join("key.pub");
        std::fs::write(&file, format!("{}\n", found.public))
            .map_err(|error| Failure::file("write", &file, &error))?;
        Ok(Self { signer: SshKeygenSigner::new(principal, &file)?, _folder: Some(folder) })
    }
}

impl Signer for FoundSigner {
    fn principal(&self) -> &PrincipalId {
        self.signer.principal()
    }

    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<String, SigningError> {
        self.signer.sign(namespace, bytes)
    }

    fn sign_bare_ed25519(&self, bytes: &[u8]) -> Result<[u8; 64], SigningError> {
        self.signer.sign_bare_ed25519(bytes)
    }
}
