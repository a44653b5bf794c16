use std::collections::BTreeMap;

use base::PrincipalId;
use serde::Serialize;

/// Who may sign what when a ledger is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// Whether one person may act alone.
    pub policy: Policy,
    /// The principals, in the order of the file.
    pub principals: Vec<Principal>,
    /// The roles by name.
    pub roles: BTreeMap<String, Role>,
}

/// Whether one person may act alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One person runs the project; every report says so.
    Solo,
    /// Roles sign with their thresholds.
    Quorum,
}

/// Someone or something that signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// Its name.
    pub id: PrincipalId,
    /// What it is.
    pub kind: PrincipalKind,
    /// What it is called in reports.
    pub title: String,
    /// Its public keys, as OpenSSH writes them; may be empty before the ledger is set up.
    pub keys: Vec<String>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// A machine that runs jobs.
    Ci,
    /// An organisation that signs with one key.
    Organisation,
}

/// Who acts in a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    /// The principals who have it.
    pub of: Vec<PrincipalId>,
    /// How many of them have to sign; from 1 to the number of principals.
    pub threshold: u32,
}

impl Roles {
    /// The principal of this id.
    #[must_use]
    pub fn principal(&self, id: &PrincipalId) -> Option<&Principal> {
        self.principals.iter().find(|principal| principal.id == *id)
    }
}
