use std::collections::BTreeMap;

use base::NetworkId;

use crate::body::Body;
use crate::chain::{self, Expectations, VerifiedLedger};
use crate::entry::{Draft, Entry};
use crate::error::Error;
use crate::secrets::Secrets;
use crate::signing::Signer;
use crate::store::{Head, LedgerStore, NewAppend};

/// A store whose entries have been verified, and that only takes entries that verify.
#[derive(Debug)]
pub struct Ledger<S> {
    store: S,
    head: Option<Head>,
    view: VerifiedLedger,
    secrets: Secrets,
}

impl<S: LedgerStore> Ledger<S> {
    /// Reads and verifies everything in `store`.
    ///
    /// # Errors
    /// [`Error::Empty`] when there is no genesis entry; [`Error::Chain`] when the ledger is not
    /// valid or not the expected one.
    pub fn open(store: S, expected: &Expectations) -> Result<Self, Error> {
        let snapshot = store.snapshot()?;
        if snapshot.entries.is_empty() {
            return Err(Error::Empty);
        }
        let view = chain::verify_expecting(&snapshot.entries, expected)?;
        snapshot.head.iter().try_for_each(|head| store.adopt(head))?;
        Ok(Self { store, head: snapshot.head, view, secrets: Secrets::default() })
    }

    /// Writes the genesis entry into an empty store.
    ///
    /// # Errors
    /// When the store is not empty, the draft is no valid genesis entry, or the store fails.
    pub fn create(
        store: S,
        network: NetworkId,
        draft: Draft,
        signers: &[&dyn Signer],
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, Error> {
        let mut new = NewAppend::signed(&Entry::genesis(network, draft), signers)?;
        new.files = files;
        Self::begin(store, &new)
    }

    /// Writes a genesis entry that is signed already, perhaps on several machines, into an empty
    /// store.
    ///
    /// # Errors
    /// When the store is not empty, `genesis` is no valid genesis entry, or the store fails.
    pub fn begin(store: S, genesis: &NewAppend) -> Result<Self, Error> {
        let snapshot = store.snapshot()?;
        if let Some(first) = snapshot.entries.first() {
            return Err(Error::NotEmpty(base::Digest::of(&first.bytes)));
        }
        let view = chain::verify(&[genesis.raw()]).map_err(Error::Refused)?;
        let mut new = genesis.clone();
        new.files.extend(derived_files(&view.genesis().entry.body));
        let head = store.append(&new, snapshot.head.as_ref())?;
        Ok(Self { store, head: Some(head), view, secrets: Secrets::default() })
    }

    /// The same ledger, which from now on refuses what would publish one of `secrets`.
    #[must_use]
    pub fn refusing(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// The same ledger, for readers to whom it makes no difference where it is stored.
    #[must_use]
    pub fn boxed(self) -> Ledger<Box<dyn LedgerStore>>
    where
        S: 'static,
    {
        let Self { store, head, view, secrets } = self;
        Ledger { store: Box::new(store), head, view, secrets }
    }

    /// The verified entries.
    #[must_use]
    pub fn view(&self) -> &VerifiedLedger {
        &self.view
    }

    /// The ledger as it was before entry `seq` was appended.
    ///
    /// # Errors
    /// When there is nothing before it, or the store cannot be read.
    pub fn before(&self, seq: u64) -> Result<VerifiedLedger, Error> {
        let last = seq.checked_sub(1).and_then(|last| self.view.get(last)).ok_or(Error::Empty)?;
        let snapshot = self.store.snapshot()?;
        let entries = snapshot.entries.get(..seq as usize).ok_or(Error::Empty)?;
        // The view holds these very entries, so their signatures are known to verify.
        let expected = Expectations {
            remembered: Some((last.entry.seq, last.digest)),
            verified_until: Some((last.entry.seq, last.digest)),
            ..Expectations::default()
        };
        Ok(chain::verify_expecting(entries, &expected)?)
    }

    /// The store's head that the view belongs to.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Signs, verifies and appends one entry with its files, in one step.
    ///
    /// # Errors
    /// [`Error::Refused`] when the entry would not be valid, [`Error::Append`] when it or a file
    /// would publish a private key or a secret. [`Error::is_conflict`] tells that
    /// somebody else appended first: call [`Ledger::refresh`], look at the new entries, and
    /// decide anew. Nothing was appended in either case.
    pub fn append(
        &mut self,
        draft: Draft,
        signers: &[&dyn Signer],
        files: BTreeMap<String, Vec<u8>>,
    ) -> Result<(), Error> {
        let derived = derived_files(&draft.body);
        let mut new = NewAppend::signed(&self.view.entry_for(draft), signers)?;
        new.files = files;
        new.files.extend(derived);
        self.secrets.check(&new)?;
        let checked = self.view.check_next(&new.raw()).map_err(Error::Refused)?;
        self.head = Some(self.store.append(&new, self.head.as_ref())?);
        self.view.accept(checked);
        Ok(())
    }

    /// Reads and verifies what others have appended since; tells how many entries that were.
    ///
    /// # Errors
    /// When the store cannot be read, a new entry is not valid, or the entries that were
    /// verified before are no longer the beginning of the ledger.
    pub fn refresh(&mut self) -> Result<usize, Error> {
        if self.store.head()? == self.head {
            return Ok(0);
        }
        let snapshot = self.store.snapshot()?;
        let added = self.view.extend(&snapshot.entries)?;
        snapshot.head.iter().try_for_each(|head| self.store.adopt(head))?;
        self.head = snapshot.head;
        Ok(added)
    }
}

/// The files that an entry with this body renews in the ledger's tree: views for tools, such as the
/// `allowed_signers` of new roles, and never authoritative.
fn derived_files(body: &Body) -> BTreeMap<String, Vec<u8>> {
    let roles = match body {
        Body::Genesis(genesis) => &genesis.roles,
        Body::Roles(change) => &change.roles,
        _ => return BTreeMap::new(),
    };
    BTreeMap::from([("allowed_signers".to_owned(), roles.allowed_signers().into_bytes())])
}
