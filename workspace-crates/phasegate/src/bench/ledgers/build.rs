//! The ledger that is measured: one genesis entry and many events, three signatures each.

use std::collections::BTreeMap;
use std::path::Path;

use base::{Digest, Duration, Instant, NetworkId, PrincipalId};
use ledger::body::{Event, Genesis};
use ledger::{
    Draft, Durability, GitStore, Ledger, Pins, Policy, Principal, PrincipalKind, Role, Roles,
    Signer, SshKeySigner,
};

use crate::exit::Exit;
use crate::failure::Failure;

const LEADS: [&str; 3] = ["alice", "bob", "carol"];
const EVALUATOR: &str = "ci";

/// The keys of everybody; the same in every run.
pub struct Keys(BTreeMap<&'static str, SshKeySigner>);

impl Keys {
    pub fn new() -> Result<Self, Failure> {
        let key = |name: &'static str| -> Result<_, Failure> {
            let pair = ledger::keys::generate_ed25519(Some(Digest::of(name.as_bytes()).0))
                .map_err(|error| Failure::of(Exit::Ledger, &error))?;
            Ok((name, SshKeySigner::from_openssh(id(name)?, &pair.private_openssh)?))
        };
        let names = LEADS.into_iter().chain([EVALUATOR]);
        Ok(Self(names.map(key).collect::<Result<_, _>>()?))
    }

    /// Who signs alone: appends that are timed, and the commits beside the ledger.
    pub fn evaluator(&self) -> &SshKeySigner {
        &self.0[EVALUATOR]
    }

    fn of(&self, names: [&str; 3]) -> [&dyn Signer; 3] {
        names.map(|name| &self.0[name] as &dyn Signer)
    }

    fn roles(&self) -> Roles {
        let principals = self.0.iter().map(|(name, key)| Principal {
            id: key.principal().clone(),
            kind: if *name == EVALUATOR { PrincipalKind::Ci } else { PrincipalKind::Human },
            keys: vec![key.public_key().to_openssh()],
        });
        let role = |names: &[&str], threshold| Role {
            of: names.iter().map(|name| self.0[name].principal().clone()).collect(),
            threshold,
        };
        let roles = [
            (ledger::roles::ROOT, role(&LEADS, 3)),
            (ledger::roles::LEAD, role(&LEADS, 2)),
            (ledger::roles::EVALUATOR, role(&[EVALUATOR], 1)),
        ];
        Roles {
            version: 1,
            policy: Policy::Quorum,
            principals: principals.collect(),
            roles: roles.map(|(name, role)| (name.to_owned(), role)).into(),
        }
    }
}

fn id(name: &str) -> Result<PrincipalId, Failure> {
    PrincipalId::new(name).map_err(|error| Failure::new(Exit::Failed, error))
}

/// An event as the weekly job records many of them, dated `place` minutes after the beginning.
pub fn draft(place: usize) -> Result<Draft, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error);
    let pins = Pins {
        pipeline: "1".repeat(40).parse().map_err(|error| wrong(&error))?,
        stages: "2".repeat(40).parse().map_err(|error| wrong(&error))?,
        evaluator: engine::EVALUATOR.to_owned(),
    };
    let mut event = Event::new("announce");
    event.due = Some(format!("announce@{place}"));
    event.phase = Some("phase-1".parse().map_err(|error| wrong(&error))?);
    event.detail = serde_json::json!({ "text": "Participants were told.", "validators": 48 });
    let begin = Instant::from_unix_micros(1_767_225_600_000_000);
    Ok(Draft::new(begin + Duration::from_minutes(place as i64), pins, event))
}

/// Appends `entries` entries to a new bare repository, one by one.
pub fn ledger(path: &Path, keys: &Keys, entries: usize) -> Result<(), Failure> {
    let store = GitStore::init_bare(path)?.with_durability(Durability::Buffered);
    let bad = |error: base::IdError| Failure::new(Exit::Failed, error);
    let genesis = Genesis {
        pipeline: "bench".parse().map_err(bad)?,
        roles: keys.roles(),
        note: "A ledger to measure with.".to_owned(),
    };
    let first = draft(0)?;
    let opening = Draft::new(first.time, first.pins, genesis);
    let network = NetworkId::new("bench").map_err(bad)?;
    let mut ledger = Ledger::create(store, network, opening, &keys.of(LEADS), BTreeMap::new())?;
    for place in 1..entries {
        let signers = keys.of([LEADS[0], LEADS[1], EVALUATOR]);
        ledger.append(draft(place)?, &signers, BTreeMap::new())?;
    }
    Ok(())
}
