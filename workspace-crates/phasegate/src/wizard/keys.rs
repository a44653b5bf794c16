//! Keys: which there are on this machine, new ones, and which of them can sign now.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use base::PrincipalId;
use ledger::keys::{KeyPair, PublicKey};
use ledger::{Signer, SshKeySigner, SshKeygenSigner};

use super::write::{self, Mode};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::world::World;

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
    fn can_sign(&self) -> bool {
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
    for path in public_files(&home.join(".ssh")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add_file(&mut found, &path, &format!("~/.ssh/{name}"));
    }
    found
}

/// Adds the key of a file, when it holds one that is taken.
fn add_file(found: &mut Vec<Found>, path: &Path, origin: &str) {
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
fn normal(text: &str) -> Result<String, String> {
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

/// Pairs that are to be written: made in memory, so that everything is checked before.
#[derive(Debug, Default)]
pub struct NewKeys {
    /// Pairs by whose they are.
    pub pairs: BTreeMap<PrincipalId, KeyPair>,
    /// Public halves that an earlier run did not get to, by whose they are.
    pub public_halves: BTreeMap<PrincipalId, String>,
}

impl NewKeys {
    /// The public key of `principal`: of the file that an earlier run made, or of a new pair.
    pub fn public_of(&mut self, world: &World, principal: &PrincipalId) -> Result<String, Failure> {
        let path = world.key_path(principal);
        let beside = beside(&path);
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        if is_there(&path) {
            // From the key itself: the file beside it is only for people.
            let signer = SshKeySigner::from_file(principal.clone(), &path)?;
            let public = signer.public_key().to_openssh();
            if !is_there(&beside) {
                self.public_halves.insert(principal.clone(), public.clone());
            }
            return Ok(public);
        }
        if is_there(&beside) {
            let message = format!("{} is there without its private half", beside.display());
            return Err(Failure::new(Exit::Ledger, message)
                .hint(format!("Name it when it is the key of {principal} (--lead {principal}={}), or move it away.", beside.display())));
        }
        if let Some(pair) = self.pairs.get(principal) {
            return normal(&pair.public_openssh).map_err(|error| Failure::new(Exit::Ledger, error));
        }
        let pair = ledger::keys::generate_ed25519(None)
            .map_err(|error| Failure::of(Exit::Ledger, &error))?;
        let public =
            normal(&pair.public_openssh).map_err(|error| Failure::new(Exit::Ledger, error))?;
        self.pairs.insert(principal.clone(), pair);
        Ok(public)
    }

    /// Those for whom something has to be written.
    pub fn principals(&self) -> Vec<PrincipalId> {
        self.pairs.keys().chain(self.public_halves.keys()).cloned().collect()
    }

    /// Writes what is missing of the pair of `principal`; never over another file.
    pub fn write(&self, world: &World, principal: &PrincipalId) -> Result<(), Failure> {
        let path = format!(".phasegate/keys/{principal}");
        let mut public = self.public_halves.get(principal);
        if let Some(pair) = self.pairs.get(principal) {
            write::new_file(world, &path, &pair.private_openssh, Mode::Private)?;
            let shown = world.key_path(principal);
            say(format!(
                "Made a key for {principal}: {}. Keep it; it is in no backup.",
                shown.display()
            ));
            public = Some(&pair.public_openssh);
        }
        match public {
            Some(public) => {
                write::new_file(world, &format!("{path}.pub"), &format!("{public}\n"), Mode::Usual)
            }
            None => Ok(()),
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    PathBuf::from(beside)
}

/// Somebody who can sign for `principal` on this machine with one of `keys`, if there is one.
/// `named` are key files that somebody named for this run.
pub fn at_hand(
    world: &World,
    principal: &PrincipalId,
    keys: &[String],
    named: &[PathBuf],
) -> Result<Option<Box<dyn Signer>>, Failure> {
    let keys: Vec<String> = keys.iter().filter_map(|key| normal(key).ok()).collect();
    let own = world.key_path(principal);
    if own.symlink_metadata().is_ok() {
        let signer = SshKeySigner::from_file(principal.clone(), &own)?;
        if keys.contains(&signer.public_key().to_openssh()) {
            return Ok(Some(Box::new(signer)));
        }
    }
    let signing_key = super::git::config(&world.root, "user.signingkey")?;
    let mut found = Vec::new();
    for path in named {
        add_file(&mut found, path, "named");
    }
    found.extend(discover(signing_key.as_deref()));
    let usable = |one: &&Found| keys.contains(&one.public) && one.can_sign();
    let Some(found) = found.iter().find(usable) else { return Ok(None) };
    let signer = match &found.file {
        Some(file) => SshKeygenSigner::new(principal.clone(), file)?,
        None => {
            SshKeygenSigner::new(principal.clone(), &agent_file(world, principal, &found.public)?)?
        }
    };
    Ok(Some(Box::new(signer)))
}

/// The file that tells ssh-keygen which key of the agent is meant.
fn agent_file(world: &World, principal: &PrincipalId, public: &str) -> Result<PathBuf, Failure> {
    let mut file = world.key_path(principal).into_os_string();
    file.push(".agent.pub");
    let file = PathBuf::from(file);
    write::own_file(&file, &format!("{public}\n"))?;
    Ok(file)
}
