use std::collections::BTreeMap;
use std::path::PathBuf;

use base::{Digest, Duration, Instant, NetworkId, PhaseId, Track};
use calendar::Calendar;
use collectors::Collectors;
use definition::{Overrides, Phase, Pipeline};
use deployment::{DeploymentSpec, Driver};
use devnet::{NetworkSpec, ScheduledAction};
use ledger::{Body, Draft, Ledger, LedgerStore, Pins, Signer};

use crate::EngineError;
use crate::state::State;

/// A fault that a rehearsal or a test adds to one deployment.
#[derive(Debug, Clone)]
pub struct PlannedFault {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// The attempt, from 1.
    pub attempt: u32,
    /// What is wrong.
    pub change: Change,
}

/// What a fault changes in a deployment.
#[derive(Debug, Clone)]
pub enum Change {
    /// Something is done to the running network.
    Inject(ScheduledAction),
    /// The network is configured otherwise than the definition says.
    Configure(fn(&mut NetworkSpec)),
    /// An operation that the definition asks for is left out.
    Omit(&'static str),
}

/// Everything that the engine works with; it brings nothing of its own but the sequence.
pub struct Setup<'a> {
    /// The programme.
    pub pipeline: &'a Pipeline,
    /// Its calendar.
    pub calendar: Calendar,
    /// Rules and evaluator that entries pin.
    pub pins: Pins,
    /// Who signs on behalf of the weekly job.
    pub signer: &'a dyn Signer,
    /// Brings networks up.
    pub driver: &'a mut dyn Driver,
    /// Gather what the driver and the ledger do not have.
    pub collectors: Collectors,
    /// Where evidence is kept.
    pub evidence: &'a dyn evidence::Store,
    /// Seed of the networks.
    pub seed: u64,
    /// Faults that are added to deployments.
    pub faults: Vec<PlannedFault>,
    /// For rehearsals: how long after its soak a public deployment without operations is watched.
    /// `None` watches it until it is judged.
    pub watch_after_soak: Option<Duration>,
    /// Where reports are written besides the ledger.
    pub publish: Option<PathBuf>,
    /// Names the place whose driver runs the networks, where several could: a program elsewhere
    /// leaves them alone. Empty when there is one place only.
    pub place: String,
    /// Changes to the parameters that `pipeline` was checked with.
    pub overrides: Overrides,
    /// A sentence for the first page of reports that says what is not real about this run.
    pub note: String,
}

/// Something that the engine did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Happening {
    /// When.
    pub at: Instant,
    /// The phase, where it is about one.
    pub phase: Option<PhaseId>,
    /// The track, where it is about one.
    pub track: Option<Track>,
    /// What: the name of the ledger's event or transition.
    pub what: String,
    /// One sentence.
    pub text: String,
}

/// The sequence of a week over one ledger.
pub struct Engine<'a, S> {
    pub(crate) setup: Setup<'a>,
    ledger: Ledger<S>,
    happenings: Vec<Happening>,
}

impl<'a, S: LedgerStore> Engine<'a, S> {
    /// The engine over an opened ledger.
    #[must_use]
    pub fn new(setup: Setup<'a>, ledger: Ledger<S>) -> Self {
        Self { setup, ledger, happenings: Vec::new() }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger<S> {
        &self.ledger
    }

    /// The driver.
    pub fn driver(&mut self) -> &mut dyn Driver {
        self.setup.driver
    }

    /// The calendar.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.setup.calendar
    }

    /// Where the programme stands.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.setup.pipeline, self.ledger.view())
    }

    /// What was done since this was asked the last time.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    pub(crate) fn refresh(&mut self) -> Result<usize, EngineError> {
        Ok(self.ledger.refresh()?)
    }

    /// The time of the next entry: an entry is never dated before the newest one.
    pub(crate) fn entry_time(&self, now: Instant) -> Instant {
        now.max(self.ledger.view().last().entry.time)
    }

    /// Appends one entry that the evaluator signs.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        body: impl Into<Body>,
        evidence: impl IntoIterator<Item = Digest>,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<(), EngineError> {
        let draft =
            Draft::new(self.entry_time(now), self.setup.pins.clone(), body).with_evidence(evidence);
        self.ledger.append(draft, &[self.setup.signer], files)?;
        Ok(())
    }

    /// Appends an entry that somebody else signs.
    pub(crate) fn append_draft(
        &mut self,
        draft: Draft,
        signer: &dyn Signer,
    ) -> Result<(), EngineError> {
        Ok(self.ledger.append(draft, &[signer], BTreeMap::new())?)
    }

    pub(crate) fn happened(
        &mut self,
        at: Instant,
        phase: Option<&PhaseId>,
        track: Option<Track>,
        what: &str,
        text: String,
    ) {
        tracing::info!(phase = phase.map(tracing::field::display), what, "{text}");
        self.happenings.push(Happening {
            at,
            phase: phase.cloned(),
            track,
            what: what.to_owned(),
            text,
        });
    }

    pub(crate) fn phase(&self, id: &PhaseId) -> Result<&'a Phase, EngineError> {
        self.setup.pipeline.phase(id).ok_or_else(|| EngineError::UnknownPhase {
            phase: id.clone(),
            known: self
                .setup
                .pipeline
                .phases
                .iter()
                .map(|phase| phase.id.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// What a deployment of `track` of `phase` is made of.
    ///
    /// # Errors
    /// When the definition describes a network or an operation that cannot be.
    pub fn spec(
        &self,
        phase: &Phase,
        track: Track,
        attempt: u32,
        start: Instant,
    ) -> Result<DeploymentSpec, EngineError> {
        let network = NetworkId::new(format!("{}-{track}", phase.id))?;
        let id = format!("{}.{track}.{attempt}", phase.id);
        let seed = seed_of(self.setup.seed, &id);
        let mut spec = deployment::network_spec(&phase.network, &network, seed)
            .map_err(EngineError::Definition)?;
        let mut schedule = Vec::new();
        for operation in phase.operations.iter().filter(|one| one.track == track) {
            schedule
                .push(deployment::scheduled_action(operation).map_err(EngineError::Definition)?);
        }
        let faults = self.setup.faults.iter().filter(|fault| {
            fault.phase == phase.id && fault.track == track && fault.attempt == attempt
        });
        for fault in faults {
            match &fault.change {
                Change::Inject(action) => schedule.push(action.clone()),
                Change::Configure(configure) => configure(&mut spec),
                Change::Omit(operation) => schedule.retain(|action| action.id != *operation),
            }
        }
        schedule.sort_by_key(|action| action.at);
        Ok(DeploymentSpec {
            id: id.parse()?,
            pipeline: self.setup.pipeline.id.clone(),
            phase: phase.id.clone(),
            track,
            attempt,
            network: spec,
            schedule,
            start,
        })
    }
}

/// A seed for one deployment: another attempt is another network with the same rules.
fn seed_of(seed: u64, id: &str) -> u64 {
    let digest = Digest::of(format!("phasegate/{seed}/{id}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.0[..8]);
    u64::from_le_bytes(bytes)
}
