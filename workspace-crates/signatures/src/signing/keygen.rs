use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use base::PrincipalId;

use super::{Signer, SigningError};
use crate::keys::PublicKey;
use crate::sshsig::verify_detached;

/// Signs through `ssh-keygen -Y sign`: with a key in an agent, on a security key, or in a file with
/// a passphrase. Whatever has to be asked of the person, `ssh-keygen` asks on the terminal.
#[derive(Debug, Clone)]
pub struct SshKeygenSigner {
    principal: PrincipalId,
    key_file: PathBuf,
    public: PublicKey,
    agent: Option<PathBuf>,
}

impl SshKeygenSigner {
    /// Takes the file of a private key, or of a public key whose private part is in the agent.
    ///
    /// # Errors
    /// When there is no public key in the file or beside it (`FILE.pub`), or one that is not taken.
    pub fn new(principal: PrincipalId, key_file: &Path) -> Result<Self, SigningError> {
        let is_public = key_file.extension().is_some_and(|extension| extension == "pub");
        let mut public_file = key_file.as_os_str().to_owned();
        if !is_public {
            public_file.push(".pub");
        }
        let public_file = PathBuf::from(public_file);
        let text = std::fs::read_to_string(&public_file)
            .map_err(|source| SigningError::Unreadable { path: public_file.clone(), source })?;
        let public = PublicKey::parse(&text).map_err(|source| SigningError::Kind {
            origin: public_file.display().to_string(),
            source,
        })?;
        Ok(Self { principal, key_file: key_file.to_owned(), public, agent: None })
    }

    /// Asks the agent behind this socket, in place of the one that the environment names.
    #[must_use]
    pub fn with_agent(self, socket: &Path) -> Self {
        Self { agent: Some(socket.to_owned()), ..self }
    }

    fn failed(&self, cause: impl std::fmt::Display) -> SigningError {
        SigningError::Failed { principal: self.principal.clone(), cause: cause.to_string() }
    }
}

impl Signer for SshKeygenSigner {
    fn principal(&self) -> &PrincipalId {
        &self.principal
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<String, SigningError> {
        let command = duct::cmd!("ssh-keygen", "-Y", "sign", "-n", namespace, "-f", &self.key_file)
            .stdin_bytes(bytes)
            .stdout_capture()
            .unchecked();
        let command = match &self.agent {
            Some(socket) => command.env("SSH_AUTH_SOCK", socket),
            None => command,
        };
        // A request to touch the security key has to reach the person who holds it.
        let watched = std::io::stderr().is_terminal();
        let command = if watched { command } else { command.stderr_capture() };
        let ran = command.run().map_err(|error| {
            self.failed(format!(
                "ssh-keygen cannot be started ({error}); install OpenSSH 8.2 or newer"
            ))
        })?;
        if std::os::unix::process::ExitStatusExt::signal(&ran.status).is_some() {
            return Err(self.failed("ssh-keygen was stopped before it signed"));
        }
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            let said = if watched { "its message is above" } else { said.trim() };
            return Err(self.failed(format!("ssh-keygen ended with {}: {said}", ran.status)));
        }
        let armored = String::from_utf8(ran.stdout)
            .map_err(|_| self.failed("ssh-keygen gave a signature that is not text"))?;
        // The agent may hold another key under this name, and old programs another format.
        verify_detached(std::slice::from_ref(&self.public), namespace, bytes, armored.as_bytes()).map_err(|error| {
            self.failed(format!("what ssh-keygen signed does not verify: {error}"))
        })?;
        Ok(armored)
    }

    fn sign_bare_ed25519(&self, _bytes: &[u8]) -> Result<[u8; 64], SigningError> {
        Err(SigningError::NoBareSignature(self.principal.clone()))
    }
}
