//! Who may sign what: principals with their keys, and roles with their thresholds.

use std::collections::{BTreeMap, BTreeSet};

use base::PrincipalId;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, PublicKey};
use crate::signing::Signer;
use crate::sshsig::{DetachedSignature, LEDGER_NAMESPACE, REPORT_NAMESPACE};

/// The role whose threshold changes the roles.
pub const ROOT: &str = "root";
/// The role whose threshold approves and waives.
pub const LEAD: &str = "lead";
/// The role that records evaluations, transitions and events.
pub const EVALUATOR: &str = "evaluator";

/// The principals and roles that are in force from one entry of the ledger on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// 1 in the genesis entry; one more with each change.
    pub version: u32,
    /// Whether one person may decide alone.
    #[serde(default)]
    pub policy: Policy,
    /// Everybody who signs.
    pub principals: Vec<Principal>,
    /// Role by name. `root`, `lead` and `evaluator` are required.
    pub roles: BTreeMap<String, Role>,
}

/// Whether one person may decide alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One person may; every report says so.
    Solo,
    /// `root` and `lead` need two distinct humans or more.
    #[default]
    Quorum,
}

/// Somebody or something that signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The name in roles, signatures and reports.
    pub id: PrincipalId,
    /// What it is. Only humans count towards `root` and `lead`.
    pub kind: PrincipalKind,
    /// OpenSSH public keys, one line each.
    pub keys: Vec<String>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// A job that runs without a person. It never approves.
    Ci,
    /// A company or team that signs statements of its own, such as an operator.
    Organisation,
}

/// A set of principals and how many of them have to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The members.
    pub of: Vec<PrincipalId>,
    /// How many distinct members have to sign; 1 or more.
    pub threshold: u32,
}

/// Why roles are not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// Version 0.
    #[error("the version of the roles is 0; versions start at 1")]
    Version,
    /// Two principals with one id.
    #[error("the principal `{0}` is listed twice; give each its own id")]
    PrincipalTwice(PrincipalId),
    /// A principal that cannot sign.
    #[error("the principal `{0}` has no key")]
    NoKey(PrincipalId),
    /// A key that is not taken.
    #[error("a key of the principal `{principal}` is not taken: {cause}")]
    Key {
        /// Whose key.
        principal: PrincipalId,
        /// Why.
        #[source]
        cause: KeyError,
    },
    /// One key in two places, so that one secret could count twice.
    #[error(
        "the key {fingerprint} is listed for `{first}` and again for `{second}`; one key counts for one principal, once"
    )]
    KeyTwice {
        /// The key.
        fingerprint: String,
        /// Where it is listed first.
        first: PrincipalId,
        /// Where it is listed again.
        second: PrincipalId,
    },
    /// A required role that is missing.
    #[error("the role `{0}` is missing; `root`, `lead` and `evaluator` are required")]
    MissingRole(&'static str),
    /// A member that is no principal.
    #[error("the role `{role}` names `{member}`, which is no principal")]
    UnknownMember {
        /// The role.
        role: String,
        /// The unknown name.
        member: PrincipalId,
    },
    /// A member that is listed twice.
    #[error("the role `{role}` lists `{member}` twice")]
    MemberTwice {
        /// The role.
        role: String,
        /// The repeated name.
        member: PrincipalId,
    },
    /// A member of `root` or `lead` that is not a person.
    #[error("the role `{role}` lists `{member}`, which is not a human; only humans decide")]
    NotHuman {
        /// The role.
        role: String,
        /// The member.
        member: PrincipalId,
    },
    /// A threshold that nobody or no number of members can meet.
    #[error("the role `{role}` needs {threshold} of {members} members; write 1 to {members}")]
    Threshold {
        /// The role.
        role: String,
        /// As written.
        threshold: u32,
        /// How many members there are.
        members: usize,
    },
    /// One person would decide alone without the policy that says so.
    #[error(
        "the role `{0}` needs one signature only; raise its threshold to 2, or set the policy `solo`, which every report then shows"
    )]
    Alone(String),
}

/// Why a key does not sign for a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// The roles do not know the key.
    #[error(
        "no principal of the roles has the key {fingerprint}; add it to the roles, or use a key that they hold"
    )]
    UnknownKey {
        /// The key's fingerprint.
        fingerprint: String,
    },
    /// The roles give the key to somebody else.
    #[error("the key {fingerprint} belongs to `{owner}`, not to `{claimed}`; sign as `{owner}`")]
    OtherPrincipal {
        /// The key's fingerprint.
        fingerprint: String,
        /// Whose it is.
        owner: PrincipalId,
        /// Who was to sign with it.
        claimed: PrincipalId,
    },
}

impl Roles {
    /// Checks ids, keys, members and thresholds.
    ///
    /// # Errors
    /// Names the first rule that does not hold.
    pub fn check(&self) -> Result<(), RolesError> {
        KeyRing::new(self).map(|_| ())
    }

    /// The principal that holds `key`.
    #[must_use]
    pub fn owner_of(&self, key: &PublicKey) -> Option<&PrincipalId> {
        let holds = |text: &String| PublicKey::parse(text).is_ok_and(|held| held == *key);
        self.principals.iter().find(|one| one.keys.iter().any(holds)).map(|one| &one.id)
    }

    /// Checks that these roles give the key of `signer` to its principal; otherwise every entry
    /// that it signs would be refused later.
    ///
    /// # Errors
    /// When the roles do not hold the key, or give it to somebody else.
    pub fn check_owner(&self, signer: &dyn Signer) -> Result<(), OwnerError> {
        let fingerprint = || signer.public_key().fingerprint();
        match self.owner_of(signer.public_key()) {
            None => Err(OwnerError::UnknownKey { fingerprint: fingerprint() }),
            Some(owner) if owner != signer.principal() => Err(OwnerError::OtherPrincipal {
                fingerprint: fingerprint(),
                owner: owner.clone(),
                claimed: signer.principal().clone(),
            }),
            Some(_) => Ok(()),
        }
    }

    /// The principal with the id `id`.
    #[must_use]
    pub fn principal(&self, id: &PrincipalId) -> Option<&Principal> {
        self.principals.iter().find(|one| one.id == *id)
    }

    /// Whether `id` is a member of `role`.
    #[must_use]
    pub fn is_member(&self, role: &str, id: &PrincipalId) -> bool {
        self.roles.get(role).is_some_and(|role| role.of.contains(id))
    }

    /// Whether the distinct members of `role` among `signers` reach its threshold.
    #[must_use]
    pub fn reaches_threshold(&self, role: &str, signers: &BTreeSet<PrincipalId>) -> bool {
        self.roles.get(role).is_some_and(|role| {
            let counted = role.of.iter().filter(|member| signers.contains(*member)).count();
            role.threshold > 0 && counted >= role.threshold as usize
        })
    }

    /// The `allowed_signers` file for `ssh-keygen -Y verify`: a derived view, never authoritative.
    #[must_use]
    pub fn allowed_signers(&self) -> String {
        let mut text = String::new();
        for principal in &self.principals {
            for key in principal.keys.iter().filter_map(|text| PublicKey::parse(text).ok()) {
                text.push_str(&format!(
                    "{} namespaces=\"{LEDGER_NAMESPACE},{REPORT_NAMESPACE}\" {}\n",
                    principal.id,
                    key.to_openssh()
                ));
            }
        }
        text
    }

    fn check_role(&self, name: &str, role: &Role) -> Result<(), RolesError> {
        let mut seen = BTreeSet::new();
        for member in &role.of {
            let named = || (name.to_owned(), member.clone());
            let Some(principal) = self.principal(member) else {
                let (role, member) = named();
                return Err(RolesError::UnknownMember { role, member });
            };
            if !seen.insert(member) {
                let (role, member) = named();
                return Err(RolesError::MemberTwice { role, member });
            }
            if decides(name) && principal.kind != PrincipalKind::Human {
                let (role, member) = named();
                return Err(RolesError::NotHuman { role, member });
            }
        }
        let (threshold, members) = (role.threshold, role.of.len());
        if threshold == 0 || threshold as usize > members {
            return Err(RolesError::Threshold { role: name.to_owned(), threshold, members });
        }
        if decides(name) && self.policy == Policy::Quorum && threshold < 2 {
            return Err(RolesError::Alone(name.to_owned()));
        }
        Ok(())
    }
}

fn decides(role: &str) -> bool {
    role == ROOT || role == LEAD
}

/// Checked roles with their keys unpacked.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    keys: BTreeMap<Vec<u8>, (PrincipalId, PublicKey)>,
}

impl KeyRing {
    pub(crate) fn new(roles: &Roles) -> Result<Self, RolesError> {
        if roles.version == 0 {
            return Err(RolesError::Version);
        }
        let mut ids = BTreeSet::new();
        let mut ring = Self { keys: BTreeMap::new() };
        for principal in &roles.principals {
            if !ids.insert(&principal.id) {
                return Err(RolesError::PrincipalTwice(principal.id.clone()));
            }
            ring.add(principal)?;
        }
        for required in [ROOT, LEAD, EVALUATOR] {
            if !roles.roles.contains_key(required) {
                return Err(RolesError::MissingRole(required));
            }
        }
        for (name, role) in &roles.roles {
            roles.check_role(name, role)?;
        }
        Ok(ring)
    }

    fn add(&mut self, principal: &Principal) -> Result<(), RolesError> {
        if principal.keys.is_empty() {
            return Err(RolesError::NoKey(principal.id.clone()));
        }
        for text in &principal.keys {
            let key = PublicKey::parse(text)
                .map_err(|cause| RolesError::Key { principal: principal.id.clone(), cause })?;
            let fingerprint = key.fingerprint();
            let earlier = self.keys.insert(key.material(), (principal.id.clone(), key));
            if let Some((first, _)) = earlier {
                let second = principal.id.clone();
                return Err(RolesError::KeyTwice { fingerprint, first, second });
            }
        }
        Ok(())
    }

    /// The holder of the key that `signature` names, and the unpacked key.
    pub(crate) fn find(&self, signature: &DetachedSignature) -> Option<&(PrincipalId, PublicKey)> {
        self.keys.values().find(|(_, key)| signature.names(key))
    }
}
