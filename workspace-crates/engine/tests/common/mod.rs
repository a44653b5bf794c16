//! A small programme in memory: three phases, a ledger, keys, and networks that do as they are told.
#![allow(
    dead_code,
    clippy::unwrap_used,
    missing_docs,
    reason = "helpers of tests; each file uses its part"
)]

mod networks;
pub mod server;
mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use base::{Digest, Instant, NetworkId, PhaseId, PrincipalId};
use calendar::Calendar;
use collectors::{Collector, Collectors, Prometheus, Request};
use definition::{Definitions, Overrides, Pipeline};
use engine::state::State;
use engine::{Engine, EngineError, Setup};
use evidence::{DocumentBody, Origin, Record};
use gates::Need;
use ledger::body::{self, Body};
use ledger::{
    Draft, Expectations, Ledger, LedgerStore, Pins, Policy, Principal, PrincipalKind, Role, Roles,
    Signer, SshKeySigner,
};

pub use networks::{Fake, Networks};
pub use store::{Shared, label};

/// Wednesday of week 1, when the ledgers of these tests begin.
pub const BEGAN: &str = "2026-01-07T00:00:00Z";

/// Monday of week 1.
const MONDAY: &str = "2026-01-05T00:00:00Z";

const STAGE: &str = include_str!("stage.toml");
const PIPELINE: &str = include_str!("pipeline.toml");
const CALENDAR: &str = include_str!("calendar.toml");
const ROLES: &str = include_str!("roles.toml");

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn phase(id: &str) -> PhaseId {
    PhaseId::new(id).unwrap()
}

/// The instant of `event` in week `week`, counted from 1.
pub fn when(week: i64, event: &str) -> Instant {
    let hours = match event {
        "thu" => 3 * 24 + 15,
        "announce" => 7 * 24 + 18,
        "tue" => 8 * 24 + 15,
        "mon" => {
            return at(MONDAY) + base::Duration::from_minutes(((week * 7 * 24) + 14) * 60 + 30);
        }
        other => panic!("there is no event {other}"),
    };
    at(MONDAY) + base::Duration::from_hours((week - 1) * 7 * 24 + hours)
}

/// All events of weeks 1 to `weeks`, in order. The Tuesday of a week is the one after its Monday.
pub fn train(weeks: i64) -> Vec<Instant> {
    let mut all: Vec<Instant> = (1..=weeks)
        .flat_map(|week| ["thu", "mon", "announce", "tue"].map(|event| when(week, event)))
        .collect();
    all.sort();
    all
}

/// Everything that outlives a program: definitions, keys, ledger, evidence, networks.
pub struct World {
    pub definitions: Definitions,
    pub keys: BTreeMap<&'static str, SshKeySigner>,
    pub store: Shared,
    pub evidence: evidence::MemoryStore,
    pub networks: Rc<RefCell<Networks>>,
    pub guide: Rc<Cell<bool>>,
    pub place: RefCell<String>,
}

impl World {
    pub fn new() -> Self {
        Self::with_calendar(CALENDAR)
    }

    /// The same with a freeze of `closes` from before the first event on.
    pub fn frozen(closes: &str) -> Self {
        Self::frozen_from("2025-12-21T00:00:00", closes)
    }

    /// The same with a freeze of `closes` from `from` until long after these tests.
    pub fn frozen_from(from: &str, closes: &str) -> Self {
        Self::with_calendar(&format!(
            "{CALENDAR}\n[[calendars.weekly.freeze]]\nid = \"year-end\"\nfrom = \"{from}\"\n\
             until = \"2026-06-01T00:00:00\"\ncloses = {closes}\nreason = \"Nobody is on call.\"\n"
        ))
    }

    pub fn with_calendar(calendar: &str) -> Self {
        Self::with_texts(calendar, PIPELINE, STAGE)
    }

    /// The same programme, whose soaks are judged from the server at `url`.
    pub fn over_server(url: &str) -> Self {
        let pipeline = format!("{PIPELINE}\n[servers.main]\nurl = \"{url}\"\n");
        let stage = STAGE.replace("step = \"30m\"", "step = \"30m\", server = \"main\"");
        let world = Self::with_texts(CALENDAR, &pipeline, &stage);
        // No server scrapes a simulated network.
        world.networks.borrow_mut().is_real = true;
        world
    }

    fn with_texts(calendar: &str, pipeline: &str, stage: &str) -> Self {
        let files = [
            (definition::CALENDARS_PATH, calendar),
            (definition::ROLES_PATH, ROLES),
            ("pipeline/demo.toml", pipeline),
            ("stages/stability/stage.toml", stage),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let checked = definition::check(&files, &Overrides::default(), &[]);
        let shown = diagnostics::render::human(&checked.diagnostics, &checked.sources, false);
        let definitions = checked.definitions.unwrap_or_else(|| panic!("{shown}"));
        let world = Self {
            definitions,
            keys: keys(),
            store: Shared::default(),
            evidence: evidence::MemoryStore::new(),
            networks: Rc::default(),
            guide: Rc::new(Cell::new(true)),
            place: RefCell::default(),
        };
        world.create();
        world
    }

    fn create(&self) {
        self.open(self.roles(), &["lead"]);
    }

    fn open(&self, roles: Roles, signers: &[&str]) {
        self.begin(self.store.clone(), roles, signers);
    }

    /// Another ledger of the same programme, in `store`.
    pub fn begin_in<S: LedgerStore>(&self, store: S) -> Ledger<S> {
        self.begin(store, self.roles(), &["lead"])
    }

    fn begin<S: LedgerStore>(&self, store: S, roles: Roles, signers: &[&str]) -> Ledger<S> {
        let genesis = body::Genesis {
            pipeline: self.pipeline().id.clone(),
            roles,
            note: "Tests decide alone.".to_owned(),
        };
        let draft = Draft::new(at(BEGAN), pins(), genesis);
        let network = NetworkId::new("demo").unwrap();
        let signers: Vec<&dyn Signer> =
            signers.iter().map(|name| &self.keys[name] as &dyn Signer).collect();
        Ledger::create(store, network, draft, &signers, BTreeMap::new()).unwrap()
    }

    fn roles(&self) -> Roles {
        let id = |name: &str| PrincipalId::new(name).unwrap();
        let principals = self.keys.iter().map(|(name, key)| Principal {
            id: id(name),
            kind: if *name == "ci" { PrincipalKind::Ci } else { PrincipalKind::Human },
            keys: vec![key.public_key().to_openssh()],
        });
        let role =
            |names: &[&str]| Role { of: names.iter().map(|name| id(name)).collect(), threshold: 1 };
        Roles {
            version: 1,
            policy: Policy::Solo,
            principals: principals.collect(),
            roles: [
                ("root", role(&["lead"])),
                ("lead", role(&["lead"])),
                // The lead records too, so that it can append at any time.
                ("evaluator", role(&["ci", "lead"])),
                ("partner", role(&["north"])),
            ]
            .map(|(name, role)| (name.to_owned(), role))
            .into(),
        }
    }

    /// The same programme, where two of three leads have to agree.
    pub fn quorum() -> Self {
        let mut world = Self::new();
        world.store = Shared::default();
        let mut roles = world.roles();
        roles.policy = Policy::Quorum;
        let leads = ["lead", "bob", "carol"].map(|name| PrincipalId::new(name).unwrap());
        for name in ["root", "lead"] {
            roles.roles.insert(name.to_owned(), Role { of: leads.to_vec(), threshold: 2 });
        }
        world.open(roles, &["lead", "bob"]);
        world
    }

    /// One lead approves the newest proposal.
    pub fn consent(&self, name: &'static str, now: Instant) {
        let mut ledger = self.ledger();
        let proposed =
            ledger.view().iter().rev().find(|one| matches!(one.entry.body, Body::Proposal(_)));
        let approval = body::Approval {
            proposal: proposed.unwrap().digest,
            principal: PrincipalId::new(name).unwrap(),
            role: "lead".to_owned(),
            statement: "I recomputed the evaluation.".to_owned(),
        };
        let draft = Draft::new(now, pins(), approval);
        ledger.append(draft, &[&self.keys[name]], BTreeMap::new()).unwrap();
    }

    pub fn pipeline(&self) -> &Pipeline {
        self.definitions.pipelines.values().next().unwrap()
    }

    pub fn calendar(&self) -> Calendar {
        Calendar::new(self.definitions.calendars.values().next().unwrap()).unwrap()
    }

    pub fn ledger(&self) -> Ledger<Shared> {
        Ledger::open(self.store.clone(), &Expectations::default()).unwrap()
    }

    /// A new program over what is there, at `now`.
    pub fn run<R>(&self, now: Instant, what: impl FnOnce(&mut Engine<'_, Shared>) -> R) -> R {
        self.networks.borrow_mut().now = now;
        let mut driver = Fake(Rc::clone(&self.networks));
        let mut engine = Engine::new(self.setup(&mut driver), self.ledger());
        what(&mut engine)
    }

    pub fn setup<'a>(&'a self, driver: &'a mut Fake) -> Setup<'a> {
        Setup {
            pipeline: self.pipeline(),
            calendar: self.calendar(),
            pins: pins(),
            signer: &self.keys["ci"],
            driver,
            collectors: Collectors::new(vec![
                Box::new(Guide(Rc::clone(&self.guide))),
                Box::new(self.servers()),
            ]),
            evidence: &self.evidence,
            seed: 1,
            faults: Vec::new(),
            watch_after_soak: None,
            publish: None,
            place: self.place.borrow().clone(),
            overrides: Overrides::default(),
            note: String::new(),
        }
    }

    /// Asks the servers of the pipeline, and waits for none.
    fn servers(&self) -> Prometheus {
        Prometheus::new(&self.pipeline().servers, ".")
            .unwrap()
            .with_pace(Box::<server::Hasty>::default())
    }

    /// One call of the weekly job by a program of its own.
    pub fn try_tick(&self, now: Instant) -> Result<(), EngineError> {
        self.run(now, |engine| engine.tick(now))
    }

    pub fn tick(&self, now: Instant) {
        self.try_tick(now).unwrap();
    }

    /// The weekly job at every event up to and with `last`; partners sign what is proposed.
    pub fn tick_until(&self, last: Instant) {
        for now in train(8).into_iter().filter(|now| *now <= last) {
            if self.state().last_time < now {
                self.approve(now);
                self.tick(now);
            }
        }
    }

    pub fn state(&self) -> State {
        let ledger = self.ledger();
        State::of(self.pipeline(), ledger.view())
    }

    /// The partner consents to every proposal that has no consent yet.
    pub fn approve(&self, now: Instant) {
        let state = self.state();
        for proposal in state.proposals.keys() {
            if state.approvals.iter().any(|one| one.approval.proposal == *proposal) {
                continue;
            }
            let approval = body::Approval {
                proposal: *proposal,
                principal: PrincipalId::new("north").unwrap(),
                role: "partner".to_owned(),
                statement: "onboarded".to_owned(),
            };
            self.append(now, approval, "north");
        }
    }

    pub fn append(&self, now: Instant, body: impl Into<Body>, who: &str) {
        let draft = Draft::new(now, pins(), body);
        let quiet = self.store.without_script();
        let mut ledger = Ledger::open(quiet, &Expectations::default()).unwrap();
        ledger.append(draft, &[&self.keys[who]], BTreeMap::new()).unwrap();
    }

    /// One line for each entry after the first.
    pub fn trace(&self) -> Vec<String> {
        self.ledger().view().iter().skip(1).map(|one| line(&one.entry)).collect()
    }

    /// The trace without what a repeated attempt leaves behind: what was done, and when.
    pub fn done(&self) -> Vec<String> {
        let mut all = self.trace();
        all.retain(|line| !line.contains(" deploying ") && !line.contains(" intruded"));
        all
    }

    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.store.read_file(path).unwrap()
    }
}

fn line(entry: &ledger::Entry) -> String {
    let mut line = format!("{} {}", entry.time, label(&entry.body));
    let detail = match &entry.body {
        Body::Event(event) => {
            let due = event.due.iter().filter(|_| event.phase.is_none()).cloned();
            let text = event.detail["text"].as_str().map(str::to_owned);
            due.chain(text).collect::<Vec<_>>().join(": ")
        }
        Body::Evaluation(one) => {
            let each = one.verdicts.iter().map(|(track, verdict)| format!("{track}={verdict}"));
            each.collect::<Vec<_>>().join(", ")
        }
        Body::Advance(one) => one.reason.clone(),
        Body::Hold(one) => one.reasons.join(" "),
        Body::Reset(one) => {
            format!("to {}, revokes {} advances: {}", one.to, one.revokes.len(), one.reason)
        }
        _ => String::new(),
    };
    if !detail.is_empty() {
        line.push_str(" · ");
        line.push_str(&detail);
    }
    line
}

/// The document that the entry gate of the public track asks for.
struct Guide(Rc<Cell<bool>>);

impl Collector for Guide {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Document { path } = request.need else { return None };
        let body = DocumentBody {
            path: path.clone(),
            text: self.0.get().then(|| "# Guide\n\n## Setup\n\nStart the node.\n".to_owned()),
            existing_links: Default::default(),
            problem: None,
        };
        Some(Record {
            schema: 1,
            kind: "document".to_owned(),
            for_whom: request.for_whom.to_owned(),
            origin: Origin {
                source: path.clone(),
                collector: "tests/1".to_owned(),
                host: None,
                crypto: None,
            },
            observed_at: request.at,
            subject: request.subject.cloned(),
            body: serde_json::to_value(body).unwrap(),
            external: None,
        })
    }
}

pub fn pins() -> Pins {
    Pins {
        pipeline: "1".repeat(40).parse().unwrap(),
        stages: "2".repeat(40).parse().unwrap(),
        evaluator: engine::EVALUATOR.to_owned(),
    }
}

fn keys() -> BTreeMap<&'static str, SshKeySigner> {
    ["ci", "lead", "north", "bob", "carol"]
        .map(|name| {
            let pair = ledger::keys::generate_ed25519(Some(Digest::of(name.as_bytes()).0)).unwrap();
            let id = PrincipalId::new(name).unwrap();
            (name, SshKeySigner::from_openssh(id, &pair.private_openssh).unwrap())
        })
        .into()
}
