//! Keys, signatures, and the statements that are signed.
//!
//! A [`Signer`] makes detached SSHSIGs ([`sshsig`]) and DSSE envelopes ([`dsse`]); a [`PublicKey`]
//! verifies them strictly. [`statement`] is the in-toto form of a claim, and [`parse_strict`]
//! reads signed JSON in the only way that it can be read. [`attestation`] and [`provenance`] read
//! what others signed.
//!
//! Architecture invariant: nothing here knows who may sign what. Roles are those of the ledger,
//! and a gate names its keys itself.

pub mod attestation;
pub mod dsse;
mod json;
pub mod keys;
pub mod provenance;
pub mod signing;
pub mod sshsig;
pub mod statement;

pub use json::{DEPTH_MAX, JsonError, parse_strict, parse_strict_documents};
pub use keys::PublicKey;
pub use signing::{Signer, SigningError, SshKeySigner, SshKeygenSigner};
