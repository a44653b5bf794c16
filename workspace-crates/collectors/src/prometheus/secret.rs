//! Secrets: read when they are needed, shown nowhere.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use definition::{Auth, Secret};

/// A secret longer than this is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Why credentials cannot be used. No variant holds any part of a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("`{path}` cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("everybody on this machine can read `{0}`; take that right away with `chmod o-rwx`")]
    Open(PathBuf),
    #[error("`{0}` is empty, larger than 64 KiB, or no text; it must hold the secret alone")]
    Content(PathBuf),
    #[error("`{0}` holds characters that no header can carry; it must hold the secret alone")]
    Header(String),
    #[cfg(not(feature = "keyring"))]
    #[error(
        "this program was built without keyrings; build it with the feature `keyring`, or keep the secret of `{service}/{user}` in a file"
    )]
    NoKeyring { service: String, user: String },
    #[cfg(feature = "keyring")]
    #[error("the keyring entry `{service}/{user}` cannot be read: {source}")]
    Keyring { service: String, user: String, source: keyring::Error },
}

/// What tells a server who asks.
pub(super) enum Credentials {
    /// The value of the header `Authorization`.
    Header(reqwest::header::HeaderValue),
    /// Certificate and key as PEM.
    Identity(Vec<u8>),
}

/// Credentials with every text that must not be shown.
pub(super) struct Loaded {
    pub(super) credentials: Credentials,
    pub(super) hidden: Vec<String>,
}

impl Loaded {
    /// Reads what `auth` names. Relative paths begin at `root`.
    pub(super) fn read(auth: &Auth, root: &Path) -> Result<Self, SecretError> {
        match auth {
            Auth::Bearer(secret) => {
                let token = read(secret, root)?;
                header(&format!("Bearer {token}"), secret, vec![token])
            }
            Auth::Basic { user, password } => {
                let plain = read(password, root)?;
                let pair = format!("{user}:{plain}");
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                header(&format!("Basic {encoded}"), password, vec![plain, encoded])
            }
            Auth::Certificate { cert_file, key_file } => {
                let mut pem = read_file(&root.join(cert_file), false)?;
                let key = read_file(&root.join(key_file), true)?;
                pem.push('\n');
                pem.push_str(&key);
                let hidden = key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned);
                let hidden = hidden.filter(|line| line.len() > 8).collect();
                Ok(Self { credentials: Credentials::Identity(pem.into_bytes()), hidden })
            }
        }
    }
}

fn header(value: &str, secret: &Secret, hidden: Vec<String>) -> Result<Loaded, SecretError> {
    let mut value = reqwest::header::HeaderValue::from_str(value)
        .map_err(|_| SecretError::Header(name(secret)))?;
    value.set_sensitive(true);
    Ok(Loaded { credentials: Credentials::Header(value), hidden })
}

/// Where a secret is kept, for people.
fn name(secret: &Secret) -> String {
    match secret {
        Secret::File(path) => path.clone(),
        Secret::Keyring { service, user } => format!("{service}/{user}"),
    }
}

fn read(secret: &Secret, root: &Path) -> Result<String, SecretError> {
    match secret {
        Secret::File(path) => {
            let path = root.join(path);
            let text = read_file(&path, true)?.trim().to_owned();
            if text.is_empty() { Err(SecretError::Content(path)) } else { Ok(text) }
        }
        Secret::Keyring { service, user } => from_keyring(service, user),
    }
}

#[cfg(not(feature = "keyring"))]
fn from_keyring(service: &str, user: &str) -> Result<String, SecretError> {
    Err(SecretError::NoKeyring { service: service.to_owned(), user: user.to_owned() })
}

#[cfg(feature = "keyring")]
fn from_keyring(service: &str, user: &str) -> Result<String, SecretError> {
    keyring::Entry::new(service, user).and_then(|entry| entry.get_password()).map_err(|source| {
        SecretError::Keyring { service: service.to_owned(), user: user.to_owned(), source }
    })
}

/// The text of a file; a secret one must not be open to everybody.
fn read_file(path: &Path, is_secret: bool) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    // The open file is asked, so that nobody can put another in its place in between.
    let metadata = file.metadata().map_err(unreadable)?;
    if is_secret && is_open_to_all(&metadata) {
        return Err(SecretError::Open(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.is_empty() || bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(SecretError::Content(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| SecretError::Content(path.to_owned()))
}

#[cfg(unix)]
fn is_open_to_all(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn is_open_to_all(_: &std::fs::Metadata) -> bool {
    false
}

/// The certificates of authorities in a PEM file.
pub(super) fn authorities(path: &Path) -> Result<Vec<u8>, SecretError> {
    read_file(path, false).map(String::into_bytes)
}
