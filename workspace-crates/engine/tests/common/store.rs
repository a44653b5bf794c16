//! A ledger in memory that several programs share, and that fails or is interfered with on demand.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use ledger::body::{Body, Event, Proposed};
use ledger::{
    AppendError, Draft, Expectations, Head, Ledger, LedgerStore, MemoryStore, NewAppend, Snapshot,
    SshKeySigner, StoreError,
};

/// What goes wrong with the appends that follow.
#[derive(Default)]
struct Script {
    appends: usize,
    /// Before this append the program dies; `true`: right after it.
    dies: Option<(usize, bool)>,
    /// Before these appends somebody else appends.
    intruder: Option<(Range<usize>, Rc<SshKeySigner>)>,
}

/// A handle on one store.
#[derive(Clone, Default)]
pub struct Shared {
    store: Rc<MemoryStore>,
    script: Rc<RefCell<Script>>,
}

impl Shared {
    /// The same store for somebody whose appends go well.
    pub fn without_script(&self) -> Self {
        Self { store: Rc::clone(&self.store), script: Rc::default() }
    }

    /// Lets the program die at its append `index`, counted from 0: before it, or right after.
    pub fn die_at(&self, index: usize, after: bool) {
        *self.script.borrow_mut() = Script { dies: Some((index, after)), ..Script::default() };
    }

    /// Lets `who` append something right before the append `index`.
    pub fn intrude_at(&self, index: usize, who: SshKeySigner) {
        self.intrude(index..index + 1, who);
    }

    /// Lets `who` append something right before every append.
    pub fn intrude_always(&self, who: SshKeySigner) {
        self.intrude(0..usize::MAX, who);
    }

    fn intrude(&self, when: Range<usize>, who: SshKeySigner) {
        let intruder = Some((when, Rc::new(who)));
        *self.script.borrow_mut() = Script { intruder, ..Script::default() };
    }

    fn append_as(&self, who: &SshKeySigner) {
        let mut ledger = Ledger::open(self.without_script(), &Expectations::default()).unwrap();
        let last = &ledger.view().last().entry;
        let draft = Draft::new(last.time, super::pins(), Event::new("intruded"));
        ledger.append(draft, &[who], Default::default()).unwrap();
    }
}

fn died() -> AppendError {
    let source = std::io::Error::other("the program died");
    AppendError::Store(StoreError::Io { action: "writing", path: "ledger".into(), source })
}

impl LedgerStore for Shared {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.store.head()
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.store.snapshot()
    }

    fn append(&self, new: &NewAppend, expected: Option<&Head>) -> Result<Head, AppendError> {
        let index = self.script.borrow().appends;
        self.script.borrow_mut().appends += 1;
        let dies = self.script.borrow().dies.filter(|(at, _)| *at == index);
        if let Some((_, false)) = dies {
            return Err(died());
        }
        let intruder = self.script.borrow().intruder.clone();
        if let Some((_, who)) = intruder.filter(|(when, _)| when.contains(&index)) {
            self.append_as(&who);
        }
        let head = self.store.append(new, expected)?;
        if dies.is_some() { Err(died()) } else { Ok(head) }
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read_file(path)
    }

    fn list_files(&self, under: &str) -> Result<Vec<String>, StoreError> {
        self.store.list_files(under)
    }
}

/// What an entry is about: its event or kind, with phase and track.
pub fn label(body: &Body) -> String {
    let about =
        |what: &str, phase: &base::PhaseId, track: base::Track| format!("{what} {phase}/{track}");
    match body {
        Body::Event(event) => match (&event.phase, event.track) {
            (Some(phase), Some(track)) => about(&event.event, phase, track),
            _ => event.event.clone(),
        },
        Body::Advance(one) => about("advance", &one.phase, one.track),
        Body::Hold(one) => about("hold", &one.phase, one.track),
        Body::Reset(one) => about("reset", &one.phase, one.track),
        Body::Proposal(one) => match &one.what {
            Proposed::Transition(one) => about("proposal", &one.phase, one.track),
            Proposed::Waiver(one) => format!("proposal of a waiver of {}/{}", one.phase, one.gate),
            Proposed::Roles(one) => format!("proposal of roles {}", one.roles.version),
        },
        other => other.kind().to_owned(),
    }
}
