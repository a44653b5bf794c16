//! A small programme with three leads and a CI job, whose ledger has one entry of every kind.

use std::collections::BTreeMap;

use base::{Digest, Duration, Instant, NetworkId, PrincipalId, VerdictKind};
use ledger::body::*;
use ledger::keys::generate_ed25519;
use ledger::{
    Body, Draft, Entry, NewAppend, Pins, Policy, Principal, PrincipalKind, RawEntry, Role, Roles,
    Signer, SshKeySigner, chain,
};

pub fn id(text: &str) -> PrincipalId {
    PrincipalId::new(text).unwrap()
}

/// The signer whose key grows from the bytes of the name.
pub fn signer(name: &str) -> SshKeySigner {
    SshKeySigner::from_openssh(
        id(name),
        &generate_ed25519(Some(seed(name))).unwrap().private_openssh,
    )
    .unwrap()
}

pub fn seed(name: &str) -> [u8; 32] {
    Digest::of(name.as_bytes()).0
}

pub fn principal(name: &str, kind: PrincipalKind) -> Principal {
    let keys = vec![generate_ed25519(Some(seed(name))).unwrap().public_openssh];
    Principal { id: id(name), kind, keys }
}

pub fn role(of: &[&str], threshold: u32) -> Role {
    Role { of: of.iter().map(|name| id(name)).collect(), threshold }
}

pub fn roles() -> Roles {
    let leads = ["alice", "bob", "carol"];
    let mut principals: Vec<_> =
        leads.iter().map(|name| principal(name, PrincipalKind::Human)).collect();
    principals.push(principal("ci", PrincipalKind::Ci));
    Roles {
        version: 1,
        policy: Policy::Quorum,
        principals,
        roles: BTreeMap::from([
            ("root".to_owned(), role(&leads, 2)),
            ("lead".to_owned(), role(&leads, 2)),
            ("evaluator".to_owned(), role(&["ci"], 1)),
        ]),
    }
}

pub fn start() -> Instant {
    "2026-01-08T15:00:00Z".parse().unwrap()
}

pub fn pins() -> Pins {
    Pins {
        pipeline: "1".repeat(40).parse().unwrap(),
        stages: "2".repeat(40).parse().unwrap(),
        evaluator: "phasegate 0.1.0".to_owned(),
    }
}

pub fn draft(minutes: i64, body: impl Into<Body>) -> Draft {
    Draft::new(start() + Duration::from_minutes(minutes), pins(), body)
}

pub fn genesis_body() -> Genesis {
    Genesis {
        pipeline: "testnet".parse().unwrap(),
        roles: roles(),
        note: "Two of three leads decide.".to_owned(),
    }
}

pub fn network() -> NetworkId {
    NetworkId::new("testnet-1").unwrap()
}

pub fn genesis() -> Entry {
    Entry::genesis(network(), draft(0, genesis_body()))
}

pub fn sign(entry: &Entry, names: &[&str]) -> RawEntry {
    append_of(entry, names).raw()
}

pub fn append_of(entry: &Entry, names: &[&str]) -> NewAppend {
    let signers: Vec<_> = names.iter().map(|name| signer(name)).collect();
    let signers: Vec<&dyn Signer> = signers.iter().map(|one| one as &dyn Signer).collect();
    NewAppend::signed(entry, &signers).unwrap()
}

/// The entry, signed with keys that grow from one name and filed under another.
pub fn sign_as(entry: &Entry, keys: &[(&str, &str)]) -> RawEntry {
    let signers: Vec<_> = keys
        .iter()
        .map(|(key, name)| {
            let key = generate_ed25519(Some(seed(key))).unwrap();
            SshKeySigner::from_openssh(id(name), &key.private_openssh).unwrap()
        })
        .collect();
    let signers: Vec<&dyn Signer> = signers.iter().map(|one| one as &dyn Signer).collect();
    NewAppend::signed(entry, &signers).unwrap().raw()
}

/// A ledger under construction: raw entries that verify.
#[derive(Clone)]
pub struct Chain {
    pub raw: Vec<RawEntry>,
}

impl Chain {
    pub fn new() -> Self {
        Self { raw: vec![sign(&genesis(), &["alice", "bob"])] }
    }

    /// A ledger where these record what happened and what was judged; one of them is enough.
    pub fn with_evaluators(names: &[&str]) -> Self {
        let mut body = genesis_body();
        body.roles.roles.insert("evaluator".to_owned(), role(names, 1));
        let entry = Entry::genesis(network(), draft(0, body));
        Self { raw: vec![sign(&entry, &["alice", "bob"])] }
    }

    pub fn view(&self) -> ledger::VerifiedLedger {
        chain::verify(&self.raw).unwrap()
    }

    pub fn next(&self, body: impl Into<Body>) -> Entry {
        self.view().entry_for(draft(self.raw.len() as i64, body))
    }

    /// Appends, and returns the digest of the new entry.
    pub fn push(&mut self, body: impl Into<Body>, names: &[&str]) -> Digest {
        let raw = sign(&self.next(body), names);
        self.raw.push(raw);
        self.view().last().digest
    }

    /// What verification says when this entry is appended.
    pub fn refusal(&self, body: impl Into<Body>, names: &[&str]) -> ledger::ChainError {
        let mut raw = self.raw.clone();
        raw.push(sign(&self.next(body), names));
        chain::verify(&raw).unwrap_err()
    }
}

pub fn event(name: &str) -> Event {
    let mut event = Event::new(name);
    event.due = Some(format!("{name}@2026-01-08T15:00:00Z"));
    event.phase = Some("phase-1".parse().unwrap());
    event.detail = serde_json::json!({ "validators": 48, "ratio": 0.25 });
    event
}

/// The internal track of phase-1 is up.
pub fn deployed() -> Event {
    let mut event = event("deployed");
    event.track = Some(base::Track::Internal);
    event
}

pub fn evaluation() -> Evaluation {
    Evaluation {
        at: start(),
        week: "2026-W02".to_owned(),
        document: Digest::of(b"document"),
        inputs: Digest::of(b"inputs"),
        verdicts: BTreeMap::from([("phase-1/internal".to_owned(), VerdictKind::Advance)]),
    }
}

pub fn proposal(evaluation: Digest) -> Proposal {
    proposal_of(Proposed::Transition(transition(evaluation)))
}

pub fn proposal_of(what: Proposed) -> Proposal {
    Proposal { what, roles_version: 1, expires: start() + Duration::from_hours(24 * 7) }
}

pub fn transition(evaluation: Digest) -> ProposedTransition {
    ProposedTransition {
        phase: "phase-1".parse().unwrap(),
        track: base::Track::Internal,
        from: "soaking".to_owned(),
        to: "released".to_owned(),
        evaluation,
        policy: Digest::of(b"policy"),
        operator: id("ci"),
    }
}

/// The roles as version 2 of them, as `change` leaves them.
pub fn next_roles(change: impl FnOnce(&mut Roles)) -> RolesChange {
    let mut roles = Roles { version: 2, ..roles() };
    change(&mut roles);
    RolesChange { roles, distrust: Vec::new(), proposal: None }
}

pub fn approval(proposal: Digest, name: &str) -> Approval {
    Approval {
        proposal,
        principal: id(name),
        role: "lead".to_owned(),
        statement: "I recomputed the evaluation.".to_owned(),
    }
}

pub fn waiver() -> Waiver {
    Waiver {
        phase: "phase-1".parse().unwrap(),
        gate: "load".parse().unwrap(),
        scope: WaiverScope::Configuration(Digest::of(b"configuration")),
        reason: "The load generator is known to be broken.".to_owned(),
        expires: start() + Duration::from_hours(24 * 20),
        names: vec!["alice".to_owned()],
        proposal: None,
    }
}

pub fn advance(seq: u64, digest: Digest) -> Advance {
    Advance {
        phase: "phase-1".parse().unwrap(),
        track: base::Track::Internal,
        from: "soaking".to_owned(),
        to: "released".to_owned(),
        evaluation: EvaluationRef { seq, digest },
        proposal: None,
        reason: "Every gate passes.".to_owned(),
    }
}

/// The same advance, as the proposal with this digest says.
pub fn carried_out(proposal: Digest, advance: Advance) -> Advance {
    Advance { proposal: Some(proposal), ..advance }
}

pub fn hold(seq: u64, digest: Digest) -> Hold {
    Hold {
        phase: "phase-2".parse().unwrap(),
        track: base::Track::Public,
        evaluation: EvaluationRef { seq, digest },
        reasons: vec!["The soak has 12 h to go.".to_owned()],
    }
}

pub fn reset(revokes: Vec<u64>) -> Reset {
    Reset {
        phase: "phase-1".parse().unwrap(),
        track: base::Track::Public,
        to: "phase-1".parse().unwrap(),
        reason: "The chain stalled.".to_owned(),
        revokes,
    }
}

/// A valid ledger with every kind of entry.
pub fn every_kind() -> Chain {
    let mut chain = Chain::new();
    chain.push(event("deploy"), &["ci"]);
    let judged = chain.push(evaluation(), &["ci"]);
    let proposed = chain.push(proposal(judged), &["ci"]);
    let approved = chain.push(approval(proposed, "alice"), &["alice"]);
    chain.push(approval(proposed, "bob"), &["bob"]);
    chain.push(Withdraw { approval: approved }, &["alice"]);
    chain.push(approval(proposed, "carol"), &["carol"]);
    chain.push(waiver(), &["alice", "carol"]);
    chain.push(carried_out(proposed, advance(2, judged)), &["ci"]);
    chain.push(hold(2, judged), &["ci"]);
    chain.push(reset(vec![9]), &["carol"]);
    chain.push(next_roles(|_| {}), &["alice", "carol"]);
    chain.push(event("announce"), &["ci"]);
    chain
}
