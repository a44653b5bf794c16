//! Who decides, who signs for the weekly job, and who else has a say.

use std::collections::BTreeMap;

use base::PrincipalId;
use definition::{Policy, Principal, PrincipalKind, Role, Roles};

use super::templates::toml_text;
use crate::world;

/// The principal that signs what the weekly job records.
pub const EVALUATOR: &str = "evaluator";
/// The role of those who say themselves that they run on the network.
pub const PARTNER: &str = "partner";

/// Somebody or something that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in roles, signatures and reports.
    pub id: PrincipalId,
    /// What they are called in reports.
    pub title: String,
    /// The public key, one line; nothing for a partner who brings it later.
    pub key: Option<String>,
}

/// Everybody, and how they decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// Those who decide; they hold `root` and `lead`.
    pub leads: Vec<Person>,
    /// The weekly job.
    pub evaluator: Person,
    /// Those who are asked for their consent.
    pub partners: Vec<Person>,
    /// Whether one person may decide alone.
    pub policy: Policy,
    /// How many leads have to agree.
    pub threshold: u32,
}

impl People {
    /// The roles as the definitions have them.
    pub fn roles(&self) -> Roles {
        let mut principals = vec![principal(&self.evaluator, PrincipalKind::Ci)];
        let humans = self.leads.iter().chain(&self.partners);
        principals.extend(humans.map(|person| principal(person, PrincipalKind::Human)));
        let ids = |people: &[Person]| people.iter().map(|person| person.id.clone()).collect();
        let leads = Role { of: ids(&self.leads), threshold: self.threshold };
        let mut roles = BTreeMap::from([
            (ledger::roles::ROOT.to_owned(), leads.clone()),
            (ledger::roles::LEAD.to_owned(), leads),
            (
                ledger::roles::EVALUATOR.to_owned(),
                Role { of: vec![self.evaluator.id.clone()], threshold: 1 },
            ),
        ]);
        if !self.partners.is_empty() {
            roles.insert(PARTNER.to_owned(), Role { of: ids(&self.partners), threshold: 1 });
        }
        Roles { policy: self.policy, principals, roles }
    }

    /// Checks keys, members and thresholds by the rules of the ledger.
    pub fn check(&self) -> Result<(), ledger::RolesError> {
        let (threshold, members) = (self.threshold, self.leads.len());
        if threshold == 0 || threshold as usize > members {
            let role = ledger::roles::LEAD.to_owned();
            return Err(ledger::RolesError::Threshold { role, threshold, members });
        }
        world::roles(&self.roles(), &BTreeMap::new()).0.check()
    }

    /// The file `pipeline/roles.toml`.
    pub fn to_toml(&self) -> String {
        let policy = match self.policy {
            Policy::Solo => {
                "policy = \"solo\" # one person decides alone; every report says so\n".to_owned()
            }
            Policy::Quorum => format!(
                "policy = \"quorum\" # nobody decides alone: it takes {} of {} leads\n",
                self.threshold,
                self.leads.len()
            ),
        };
        let mut text = format!(
            "# Who may sign what. These are the roles that a new ledger starts with; later changes are signed ledger entries.\n\
             # Keys are public keys as OpenSSH writes them. The private halves never belong into a repository.\n\
             schema = 1\n{policy}"
        );
        let roles = self.roles();
        for principal in &roles.principals {
            text.push_str(&principal_toml(principal));
        }
        for (name, about) in ROLES {
            if let Some(role) = roles.roles.get(*name) {
                text.push_str(&format!("\n# {about}\n[role.{name}]\nof = ["));
                let of: Vec<_> = role.of.iter().map(|id| toml_text(id.as_str())).collect();
                text.push_str(&format!("{}]\nthreshold = {}\n", of.join(", "), role.threshold));
            }
        }
        text
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        describe(&self.roles())
    }
}

const ROLES: &[(&str, &str)] = &[
    ("root", "Opens the ledger, and changes the roles."),
    ("lead", "Approves and waives."),
    ("evaluator", "Signs what the weekly job records."),
    (
        "partner",
        "Say themselves that they run on the network; gates of the kind `approval` ask them.",
    ),
];

fn principal(person: &Person, kind: PrincipalKind) -> Principal {
    let Person { id, title, key } = person.clone();
    Principal { id, kind, title, keys: key.into_iter().collect() }
}

fn principal_toml(principal: &Principal) -> String {
    let kind = match principal.kind {
        PrincipalKind::Human => "human",
        PrincipalKind::Ci => "ci",
        PrincipalKind::Organisation => "organisation",
    };
    let keys: Vec<_> = principal.keys.iter().map(|key| toml_text(key)).collect();
    let later = if keys.is_empty() { " # none yet; a later roles entry adds it" } else { "" };
    format!(
        "\n[[principal]]\nid = {}\nkind = \"{kind}\"\ntitle = {}\nkeys = [{}]{later}\n",
        toml_text(principal.id.as_str()),
        toml_text(&principal.title),
        keys.join(", "),
    )
}

/// Roles in one line: who decides, under which policy.
pub fn describe(roles: &Roles) -> String {
    let lead = roles.roles.get(ledger::roles::LEAD);
    let of: Vec<_> =
        lead.map(|role| &role.of).into_iter().flatten().map(|id| id.as_str()).collect();
    let threshold = lead.map_or(0, |role| role.threshold);
    let policy = match roles.policy {
        Policy::Solo => "solo".to_owned(),
        Policy::Quorum => format!("quorum, {threshold} of {}", of.len()),
    };
    format!("leads {}; policy {policy}", of.join(", "))
}
