//! The only key that ever signs here; its seed is no secret.

use std::sync::OnceLock;

use base::PrincipalId;
use ledger::SshKeySigner;
use ledger::keys::generate_ed25519;

/// The signer; never `None`, which the tests show by accepting what it signed.
pub(super) fn signer() -> Option<&'static SshKeySigner> {
    static SIGNER: OnceLock<Option<SshKeySigner>> = OnceLock::new();
    let make = || {
        let pair = generate_ed25519(Some([7; 32])).ok()?;
        SshKeySigner::from_openssh(PrincipalId::new("ci").ok()?, &pair.private_openssh).ok()
    };
    SIGNER.get_or_init(make).as_ref()
}
