//! Gathers what gates need: samples and events from the driver, the rest from collectors and ledger.

use std::collections::BTreeMap;

use base::{GateId, Instant, PhaseId, Subject, Track};
use definition::{Phase, Side};
use evidence::Record;
use gates::{ApprovalFact, EarlierPass, Need, StoredRecord, Waiver, WaiverScope};
use ledger::LedgerStore;

use crate::engine::Engine;
use crate::seal::{Sealed, seal, seal_answers, unseal};
use crate::state::{Deployed, State};
use crate::{EngineError, document};

/// Everything that one track of one phase is judged by, gathered and stored.
pub(crate) struct Gathered {
    /// What was seen of the deployment.
    pub sealed: Option<Sealed>,
    /// Collected records by gate.
    pub records: BTreeMap<GateId, Vec<StoredRecord>>,
    /// Approvals of the phase.
    pub approvals: Vec<ApprovalFact>,
    /// Last passing evaluations by gate.
    pub earlier: BTreeMap<GateId, Vec<EarlierPass>>,
    /// Waivers of the ledger.
    pub waivers: Vec<Waiver>,
}

impl<S: LedgerStore> Engine<'_, S> {
    /// Gathers for the gates of `side` of `track` of `phase`; nothing later than `at` is looked at.
    pub(crate) fn gather(
        &mut self,
        state: &State,
        phase: &Phase,
        track: Track,
        side: Side,
        at: Instant,
    ) -> Result<Gathered, EngineError> {
        let deployed = state
            .phase(&phase.id)
            .and_then(|state| state.track(track).deployment.clone())
            // Of a network that was lost nothing is known.
            .filter(|one| side == Side::Exit && (one.ended.is_none() || one.sealed.is_some()));
        let sealed = deployed.as_ref().map(|deployed| self.sealed(deployed)).transpose()?;
        let mut records = BTreeMap::new();
        for gate in phase.gates_on(track, side) {
            let collected = self.collect(phase, gate, deployed.as_ref(), at)?;
            records.insert(gate.id.clone(), collected);
        }
        Ok(Gathered {
            sealed,
            records,
            approvals: approvals(state, &phase.id),
            earlier: self.earlier(state, phase, track)?,
            waivers: waivers(state),
        })
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

    /// Passing evaluations of the same gates, of this phase and of those before it.
    fn earlier(
        &self,
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
            let evaluation = document::read(self.ledger(), state, pass.evaluation)?;
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
pub(crate) fn facts<'a>(
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
