//! Gathers what gates need: samples and events from the driver, the rest from collectors and ledger.

use std::collections::BTreeMap;

use base::{GateId, Instant, PhaseId, Subject, Track};
use definition::{Phase, Side};
use evidence::Record;
use gates::{ApprovalFact, EarlierPass, Need, PhaseFacts, StoredRecord, Waiver, WaiverScope};
use ledger::{Ledger, LedgerStore};

use crate::engine::Engine;
use crate::seal::{Sealed, seal, seal_answers, unseal};
use crate::state::{Deployed, State};
use crate::{EngineError, document};

/// Everything that one track of one phase is judged by, gathered and stored.
pub(crate) struct Gathered {
    /// What was seen of the deployment.
    pub sealed: Option<Sealed>,
    /// What would be deployed, where nothing is yet.
    pub candidate: Option<Subject>,
    /// Collected records by gate.
    pub records: BTreeMap<GateId, Vec<StoredRecord>>,
}

/// Which side of which track is judged, when.
#[derive(Clone, Copy)]
pub(crate) struct Judging<'a> {
    pub phase: &'a Phase,
    pub track: Track,
    pub side: Side,
    pub at: Instant,
}

/// What the ledger says that gates look at.
pub(crate) struct FromLedger {
    approvals: Vec<ApprovalFact>,
    earlier: BTreeMap<GateId, Vec<EarlierPass>>,
    waivers: Vec<Waiver>,
}

impl FromLedger {
    pub(crate) fn read<S: LedgerStore>(
        ledger: &Ledger<S>,
        state: &State,
        phase: &Phase,
        track: Track,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            approvals: approvals(state, &phase.id),
            earlier: earlier(ledger, state, phase, track)?,
            waivers: waivers(state),
        })
    }
}

/// The facts that gates see: the same whether they were just gathered or are read back.
pub(crate) fn phase_facts<'a>(
    state: &'a State,
    judging: Judging<'a>,
    gathered: &'a Gathered,
    from_ledger: &'a FromLedger,
) -> PhaseFacts<'a> {
    let Judging { phase, track, side, at } = judging;
    let own = state.phase(&phase.id).map(|one| one.track(track));
    let attempt = own.map_or(1, |one| one.attempts.max(1));
    let deployed = own.and_then(|one| one.deployment.as_ref());
    let deployment = deployed
        .zip(gathered.sealed.as_ref())
        .map(|(deployed, sealed)| facts(deployed, attempt, track, sealed));
    PhaseFacts {
        at,
        phase,
        track,
        side: Some(side),
        attempt,
        deployment,
        candidate: gathered.candidate.as_ref(),
        records: &gathered.records,
        approvals: &from_ledger.approvals,
        earlier: &from_ledger.earlier,
        waivers: &from_ledger.waivers,
    }
}

impl<S: LedgerStore> Engine<'_, S> {
    /// Gathers for the gates of one side of one track; nothing later than its instant is looked at.
    pub(crate) fn gather(
        &mut self,
        state: &State,
        judging: Judging<'_>,
    ) -> Result<Gathered, EngineError> {
        let Judging { phase, track, side, at } = judging;
        let own = state.phase(&phase.id).map(|one| one.track(track));
        let deployed = own
            .and_then(|own| own.deployment.clone())
            // Of a network that was lost nothing is known.
            .filter(|one| side == Side::Exit && (one.ended.is_none() || one.sealed.is_some()));
        let sealed = deployed.as_ref().map(|deployed| self.sealed(deployed)).transpose()?;
        let candidate = match (&sealed, side) {
            (None, Side::Entry) => {
                let attempt = own.map_or(1, |one| one.attempts.max(1));
                let spec = self.spec(phase, track, attempt, at)?;
                let version = spec.network.node_version;
                Some(self.setup.driver.subject(&spec, version)?)
            }
            _ => None,
        };
        let mut records = BTreeMap::new();
        for gate in phase.gates_on(track, side) {
            let collected = self.collect(phase, gate, deployed.as_ref(), at)?;
            records.insert(gate.id.clone(), collected);
        }
        Ok(Gathered { sealed, candidate, records })
    }

    /// The observation of `deployed`: sealed now while it runs, or when it was taken down.
    pub(crate) fn sealed(&mut self, deployed: &Deployed) -> Result<Sealed, EngineError> {
        if let Some(digest) = deployed.sealed {
            return unseal(self.setup.evidence, digest);
        }
        let observation = self.setup.driver.observe(&deployed.id)?;
        let driver = format!("{}/{}", self.setup.driver.name(), env!("CARGO_PKG_VERSION"));
        seal(self.setup.evidence, &deployed.id, &driver, &deployed.subject, observation)
    }

    fn collect(
        &mut self,
        phase: &Phase,
        gate: &definition::Gate,
        deployed: Option<&Deployed>,
        at: Instant,
    ) -> Result<Vec<StoredRecord>, EngineError> {
        // A gate that cannot be parsed is judged as an error, and needs nothing.
        let Ok(parsed) = gates::parse(gate, phase) else { return Ok(Vec::new()) };
        let for_whom = format!("{}/{}", phase.id, gate.id);
        let mut found = Vec::new();
        for need in parsed.needs() {
            let live = deployed.filter(|deployed| deployed.ended.is_none());
            let request = collectors::Request {
                need: &need,
                for_whom: &for_whom,
                at,
                subject: deployed.map(|deployed| &deployed.subject),
                deployment: live.map(|deployed| (&*self.setup.driver, &deployed.id)),
            };
            if let Some(record) = self.setup.collectors.collect(&request) {
                found.push(self.store(record)?);
            }
        }
        Ok(found)
    }

    pub(crate) fn store(&self, record: Record) -> Result<StoredRecord, EngineError> {
        if record.kind == gates::SERVER_RECORD {
            return seal_answers(self.setup.evidence, record);
        }
        let digest = self.setup.evidence.put_record(&record)?;
        Ok(StoredRecord { digest, record })
    }
}

/// Passing evaluations of the same gates, of this phase and of those before it.
fn earlier<S: LedgerStore>(
    ledger: &Ledger<S>,
    state: &State,
    phase: &Phase,
    track: Track,
) -> Result<BTreeMap<GateId, Vec<EarlierPass>>, EngineError> {
    let mut earlier: BTreeMap<GateId, Vec<EarlierPass>> = BTreeMap::new();
    let wanting: Vec<&GateId> = phase
        .gates_on(track, Side::Exit)
        .filter(|gate| {
            gates::parse(gate, phase).is_ok_and(|gate| gate.needs().contains(&Need::Earlier))
        })
        .map(|gate| &gate.id)
        .collect();
    if wanting.is_empty() {
        return Ok(earlier);
    }
    for pass in state.passes.iter().filter(|pass| pass.track == track) {
        let evaluation = document::read(ledger, state, pass.evaluation)?;
        let judged = evaluation.phases.iter();
        for judged in judged.filter(|one| one.phase == pass.phase && one.track == track) {
            for finding in judged.findings.iter().filter(|one| wanting.contains(&&one.gate)) {
                earlier.entry(finding.gate.clone()).or_default().push(EarlierPass {
                    at: evaluation.at,
                    subject: judged.subject.clone(),
                    measures: finding.measures.clone(),
                });
            }
        }
    }
    Ok(earlier)
}

fn approvals(state: &State, phase: &PhaseId) -> Vec<ApprovalFact> {
    state
        .approvals
        .iter()
        .filter(|consent| {
            consent.proposal.what.transition().is_some_and(|proposed| proposed.phase == *phase)
        })
        .map(|consent| ApprovalFact {
            principal: consent.approval.principal.clone(),
            role: consent.approval.role.clone(),
            human: consent.human,
            statement: consent.approval.statement.clone(),
            phase: phase.clone(),
            at: consent.at,
            expires: Some(consent.proposal.expires),
            entry: consent.seq,
        })
        .collect()
}

fn waivers(state: &State) -> Vec<Waiver> {
    state
        .waivers
        .iter()
        .map(|granted| Waiver {
            phase: granted.waiver.phase.clone(),
            gate: granted.waiver.gate.clone(),
            scope: match &granted.waiver.scope {
                ledger::body::WaiverScope::Subject(subject) => {
                    WaiverScope::Subject(subject.clone())
                }
                ledger::body::WaiverScope::Configuration(digest) => {
                    WaiverScope::Configuration(*digest)
                }
            },
            reason: granted.waiver.reason.clone(),
            expires: granted.waiver.expires,
            entry: granted.seq,
        })
        .collect()
}

/// The facts that gates see of a deployment.
fn facts<'a>(
    deployed: &'a Deployed,
    attempt: u32,
    track: Track,
    sealed: &'a Sealed,
) -> gates::DeploymentFacts<'a> {
    let candidate: &Subject = &deployed.subject;
    gates::DeploymentFacts {
        id: &deployed.id,
        track,
        attempt,
        driver: &sealed.driver,
        host: &sealed.host,
        crypto: &sealed.crypto,
        started: sealed.started,
        ended: sealed.ended.or(deployed.ended).map(|ended| ended.min(sealed.observed_until)),
        candidate,
        intervals: &sealed.intervals,
        samples: Some(&*sealed.samples),
        samples_digest: Some(sealed.samples_digest),
        events: &sealed.events,
        events_digest: Some(sealed.digest),
        scrape_interval: sealed.scrape_interval,
        released_at: (track == Track::Public).then_some(deployed.started),
    }
}
