//! What must never be published: an entry on the branch stays there for ever.

use std::fmt;

use crate::store::{AppendError, NewAppend, entry_folder, refuse};

/// A shorter value is found in innocent text by chance.
const VALUE_BYTES_MIN: usize = 12;

/// How far behind the beginning of an armoured block its kind is named, in bytes.
const ARMOUR_KIND_BYTES_MAX: usize = 40;

/// How the body of every private key of OpenSSH begins, and the head of those of `PuTTY`.
const KEY_BEGINNINGS: [&[u8]; 2] = [b"b3BlbnNzaC1rZXktdjEA", b"PuTTY-User-Key-File-"];

/// How names of variables end that hold secrets.
const SECRET_ENDINGS: [&str; 9] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
];

/// Values that are known to be secret, by the name of where they come from.
#[derive(Clone, Default)]
pub struct Secrets(Vec<(String, String)>);

/// Shows the names only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Secrets {
    /// Those of `variables` whose names say that they are secret, such as `GITHUB_TOKEN` or
    /// `AWS_SECRET_ACCESS_KEY`. Values of fewer than 12 bytes are left out.
    #[must_use]
    pub fn in_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_ascii_uppercase();
            SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        let mut secrets = Self::default();
        for (name, value) in variables.into_iter().filter(|(name, _)| is_secret(name)) {
            secrets.add(name, value);
        }
        secrets
    }

    /// Adds a secret that was read from elsewhere; `name` is how messages call it.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let value = value.into().trim().to_owned();
        if value.len() >= VALUE_BYTES_MIN {
            self.0.push((name.into(), value));
        }
    }

    /// The name of the first secret whose value is in `bytes`, as it is or as JSON writes it.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        let holds = |value: &str| {
            let quoted = serde_json::Value::from(value).to_string();
            contains(bytes, value.as_bytes())
                || contains(bytes, quoted.trim_matches('"').as_bytes())
        };
        self.0.iter().find(|(_, value)| holds(value)).map(|(name, _)| name.as_str())
    }

    /// Refuses an append that would publish one of these secrets.
    pub(crate) fn check(&self, new: &NewAppend) -> Result<(), AppendError> {
        for (path, bytes) in published(new) {
            if let Some(name) = self.found_in(bytes) {
                let cause = format!(
                    "it holds the value of the secret `{name}`; find where it comes from and take it out, nothing was appended"
                );
                return Err(refuse(&path, &cause));
            }
        }
        Ok(())
    }
}

/// Whether there is a private key in `bytes`: an armoured block of any kind, or the body of a key.
#[must_use]
pub fn has_private_key(bytes: &[u8]) -> bool {
    let begin = b"-----BEGIN ";
    let mut blocks = bytes.windows(begin.len()).enumerate().filter(|(_, window)| window == begin);
    let is_private = |at: usize| {
        let rest = &bytes[at + begin.len()..];
        let rest = &rest[..rest.len().min(ARMOUR_KIND_BYTES_MAX)];
        let kind = rest.windows(5).position(|window| window == b"-----");
        contains(&rest[..kind.unwrap_or(rest.len())], b"PRIVATE KEY")
    };
    blocks.any(|(at, _)| is_private(at)) || KEY_BEGINNINGS.iter().any(|one| contains(bytes, one))
}

/// Refuses an append that would publish a private key.
pub(crate) fn check_keys(new: &NewAppend) -> Result<(), AppendError> {
    match published(new).into_iter().find(|(_, bytes)| has_private_key(bytes)) {
        None => Ok(()),
        Some((path, _)) => Err(refuse(
            &path,
            "it holds a private key; find where it comes from, take it out, and make a new key if anybody could have seen it. Nothing was appended",
        )),
    }
}

fn published(new: &NewAppend) -> Vec<(String, &[u8])> {
    let entry = (format!("{}/entry.json", entry_folder(new.seq)), new.entry.as_slice());
    let files = new.files.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice()));
    std::iter::once(entry).chain(files).collect()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Secrets, has_private_key};

    fn environment() -> Secrets {
        let variables = [
            ("GITHUB_TOKEN", "ghp_0123456789"),
            ("AWS_SECRET_ACCESS_KEY", "a\"b\\c/defghijk"),
            ("db_password", "correct horse battery"),
            ("SHORT_TOKEN", "true"),
            ("EDITOR", "an editor with a long name"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Secrets::in_environment(variables)
    }

    #[test]
    fn values_of_secret_variables_are_found_and_no_others() {
        let secrets = environment();
        let found = |text: &str| secrets.found_in(text.as_bytes());
        assert_eq!(found("x ghp_0123456789 y"), Some("GITHUB_TOKEN"));
        assert_eq!(found("correct horse battery"), Some("db_password"));
        assert_eq!(found("true, an editor with a long name"), None);
        assert_eq!(found("ghp_012345678"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn a_value_is_found_where_json_escapes_it() {
        let json = serde_json::json!({ "note": "x a\"b\\c/defghijk" }).to_string();
        assert_eq!(environment().found_in(json.as_bytes()), Some("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn what_is_shown_for_debugging_has_names_only() {
        let shown = format!("{:?}", environment());
        assert!(shown.contains("GITHUB_TOKEN") && !shown.contains("ghp_"), "{shown}");
    }

    #[test]
    fn private_keys_of_every_kind_are_found() {
        for kind in ["", "OPENSSH ", "RSA ", "EC ", "ENCRYPTED "] {
            let text = format!("note\\n-----BEGIN {kind}PRIVATE KEY-----\\nAAAA");
            assert!(has_private_key(text.as_bytes()), "{kind}");
        }
        assert!(has_private_key(b"-----BEGIN PGP PRIVATE KEY BLOCK-----"));
        assert!(has_private_key(b"PuTTY-User-Key-File-3: ssh-ed25519"));
        let pair = crate::keys::generate_ed25519(Some([3; 32])).unwrap();
        let body = pair.private_openssh.lines().nth(1).unwrap();
        assert!(has_private_key(body.as_bytes()), "the armour may be lost");
    }

    #[test]
    fn public_keys_signatures_and_talk_about_keys_are_not() {
        let pair = crate::keys::generate_ed25519(Some([3; 32])).unwrap();
        for text in [
            pair.public_openssh.as_str(),
            "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH",
            "-----BEGIN PUBLIC KEY-----\nMCow",
            "-----BEGIN CERTIFICATE-----\nKeep your PRIVATE KEY and do not lose it",
            "Never publish a PRIVATE KEY.",
            "-----BEGIN ",
            "",
        ] {
            assert!(!has_private_key(text.as_bytes()), "{text}");
        }
    }
}
