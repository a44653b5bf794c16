//! Whether a ledger is valid: a pure function of its bytes.
//!
//! Every rule is checked on every entry, every time; nothing is remembered as "verified before"
//! outside the memory of one process. An entry with one bad signature is refused even when its
//! other signatures would do.

mod consent;
mod error;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, Instant, NetworkId, PipelineId, PrincipalId};

use crate::body::{Body, Distrust};
use crate::entry::{Draft, Entry, EntryError};
use crate::keys::PublicKey;
use crate::parallel;
use crate::roles::{KeyRing, Policy, Roles};
use crate::sshsig::{DetachedSignature, LEDGER_NAMESPACE, SignatureError};
use crate::store::RawEntry;

pub use consent::{Aside, Consent, Lapse, Share};
pub use error::{ChainError, Fault};
pub use rules::{PROPOSAL_LASTS_MAX, WAIVER_LASTS_MAX};

/// What a reader knows about a ledger from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expectations {
    /// Digest of the genesis entry, as published out of band.
    pub genesis: Option<Digest>,
    /// An entry that was seen before, by place and digest: tells truncation and forks.
    pub remembered: Option<(u64, Digest)>,
    /// No entry may be dated later: the reader's clock plus the skew that it tolerates.
    pub not_after: Option<Instant>,
    /// An entry up to which this very reader has verified the ledger before. While the chain still
    /// has it, the signatures up to it are not verified again; everything else is.
    pub verified_until: Option<(u64, Digest)>,
}

/// One entry that has been verified in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedEntry {
    /// The entry.
    pub entry: Entry,
    /// SHA-256 of its exact bytes.
    pub digest: Digest,
    /// Who signed it; every signature has been verified.
    pub signers: BTreeSet<PrincipalId>,
    /// Fingerprints of the keys that they signed with.
    pub keys: BTreeSet<String>,
}

/// A ledger that has been verified from its genesis entry on; never empty.
#[derive(Debug, Clone)]
pub struct VerifiedLedger {
    genesis: VerifiedEntry,
    pipeline: PipelineId,
    later: Vec<VerifiedEntry>,
    place_by_digest: BTreeMap<Digest, u64>,
    roles: Roles,
    ring: KeyRing,
    void: BTreeSet<u64>,
}

/// An entry that passed every rule and may follow the ledger that it was checked against.
#[derive(Debug)]
pub(crate) struct Checked {
    entry: VerifiedEntry,
    roles: Option<(Roles, KeyRing)>,
}

/// Verifies a whole ledger.
///
/// # Errors
/// Names the first entry that breaks a rule, the rule, and what to do.
pub fn verify(entries: &[RawEntry]) -> Result<VerifiedLedger, ChainError> {
    run(None, entries, None)
}

/// Verifies a whole ledger, and that it is the one that the reader expects.
///
/// # Errors
/// As [`verify`]; also when it has another genesis, lacks the remembered entry or has another
/// in its place, or holds an entry from the future.
pub fn verify_expecting(
    entries: &[RawEntry],
    expected: &Expectations,
) -> Result<VerifiedLedger, ChainError> {
    let ledger = run(None, entries, expected.verified_until)?;
    ledger.check(expected)?;
    Ok(ledger)
}

struct Parsed {
    entry: Result<Entry, EntryError>,
    digest: Digest,
    signatures: BTreeMap<PrincipalId, Result<DetachedSignature, SignatureError>>,
}

struct Job<'r> {
    seq: u64,
    principal: PrincipalId,
    key: PublicKey,
    signature: DetachedSignature,
    bytes: &'r [u8],
}

fn parse(raw: &RawEntry) -> Parsed {
    let signature =
        |(id, text): (&PrincipalId, &Vec<u8>)| (id.clone(), DetachedSignature::parse(text));
    Parsed {
        entry: Entry::from_bytes(&raw.bytes),
        digest: Digest::of(&raw.bytes),
        signatures: raw.signatures.iter().map(signature).collect(),
    }
}

/// Continues `ledger` with `entries`. Signatures are verified last and on all cores, because
/// they take nearly all of the time; the first faulty entry is reported nevertheless.
fn run(
    mut ledger: Option<VerifiedLedger>,
    entries: &[RawEntry],
    verified_until: Option<(u64, Digest)>,
) -> Result<VerifiedLedger, ChainError> {
    let mut jobs = Vec::new();
    let mut first_fault = None;
    for (raw, parsed) in entries.iter().zip(parallel::map(entries, parse)) {
        let seq = ledger.as_ref().map_or(0, VerifiedLedger::next_seq);
        match step(ledger.as_ref(), raw, parsed, &mut jobs) {
            Ok(checked) => ledger = Some(VerifiedLedger::grown(ledger, checked, seq)?),
            Err(fault) => {
                first_fault = Some(ChainError::new(seq, fault));
                break;
            }
        }
    }
    // A digest in the chain stands for the bytes of every entry up to it.
    let is_known = |(seq, digest): &(u64, Digest)| {
        ledger.as_ref().and_then(|ledger| ledger.get(*seq)).is_some_and(|one| one.digest == *digest)
    };
    if let Some((seq, _)) = verified_until.filter(is_known) {
        jobs.retain(|job| job.seq > seq);
    }
    for verified in parallel::map(&jobs, Job::verify) {
        verified?;
    }
    match first_fault {
        Some(fault) => Err(fault),
        None => ledger.ok_or_else(|| ChainError::new(0, Fault::NoGenesis)),
    }
}

impl Job<'_> {
    fn verify(&self) -> Result<(), ChainError> {
        self.signature.verify(&self.key, LEDGER_NAMESPACE, self.bytes).map_err(|cause| {
            let principal = self.principal.clone();
            ChainError::new(self.seq, Fault::Signature { principal, cause })
        })
    }
}

/// Checks everything about one entry but its signatures' mathematics, which `jobs` collects.
fn step<'r>(
    before: Option<&VerifiedLedger>,
    raw: &'r RawEntry,
    parsed: Parsed,
    jobs: &mut Vec<Job<'r>>,
) -> Result<Checked, Fault> {
    let entry = parsed.entry.map_err(Fault::Form)?;
    rules::check_place(before, &entry, raw.seq)?;
    let new_roles = rules::new_roles(before, &entry)?;
    // A genesis entry is signed under the roles that it brings; later ones under those in force.
    let ring = match (before, &new_roles) {
        (Some(ledger), _) => &ledger.ring,
        (None, Some((_, ring))) => ring,
        (None, None) => return Err(Fault::NoGenesis),
    };
    let proposed_ring = rules::proposed_ring(before, &entry)?;
    let alternative = new_roles.as_ref().map(|(_, ring)| ring).or(proposed_ring.as_ref());
    let (mut signers, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for (principal, signature) in parsed.signatures {
        // Otherwise whoever proposes roles could give a member's name to a key of their own, and
        // decide in that name under the roles in force too.
        let is_newcomer =
            before.is_none_or(|ledger| ledger.roles().principal(&principal).is_none());
        let alternative = alternative.filter(|_| is_newcomer);
        let (signature, key) = attribute(ring, alternative, &principal, signature)?;
        keys.insert(key.fingerprint());
        jobs.push(Job {
            seq: entry.seq,
            principal: principal.clone(),
            key,
            signature,
            bytes: &raw.bytes,
        });
        signers.insert(principal);
    }
    rules::check_signers(before, &entry, new_roles.as_ref().map(|(roles, _)| roles), &signers)?;
    rules::check_body(before, &entry, &signers)?;
    let digest = parsed.digest;
    Ok(Checked { entry: VerifiedEntry { entry, digest, signers, keys }, roles: new_roles })
}

/// Finds the key of a signature, and that it belongs to whom the file name says. `alternative` are
/// the keys of roles that are to come: only who comes with them signs with these.
fn attribute(
    ring: &KeyRing,
    alternative: Option<&KeyRing>,
    principal: &PrincipalId,
    signature: Result<DetachedSignature, SignatureError>,
) -> Result<(DetachedSignature, PublicKey), Fault> {
    let signature =
        signature.map_err(|cause| Fault::Signature { principal: principal.clone(), cause })?;
    let found =
        ring.find(&signature).or_else(|| alternative.and_then(|ring| ring.find(&signature)));
    match found {
        None => Err(Fault::ForeignKey {
            principal: principal.clone(),
            fingerprint: signature.fingerprint(),
        }),
        Some((owner, _)) if owner != principal => {
            Err(Fault::OtherOwner { principal: principal.clone(), owner: owner.clone() })
        }
        Some((_, key)) => {
            let key = key.clone();
            Ok((signature, key))
        }
    }
}

impl VerifiedLedger {
    /// The ledger with one more entry.
    fn grown(before: Option<Self>, checked: Checked, seq: u64) -> Result<Self, ChainError> {
        if let Some(mut ledger) = before {
            ledger.accept(checked);
            return Ok(ledger);
        }
        let not_genesis = || ChainError::new(seq, Fault::NoGenesis);
        let Some((roles, ring)) = checked.roles else { return Err(not_genesis()) };
        let Body::Genesis(genesis) = &checked.entry.entry.body else { return Err(not_genesis()) };
        Ok(Self {
            pipeline: genesis.pipeline.clone(),
            place_by_digest: BTreeMap::from([(checked.entry.digest, 0)]),
            genesis: checked.entry,
            later: Vec::new(),
            roles,
            ring,
            void: BTreeSet::new(),
        })
    }

    /// Appends an entry that was checked against this very ledger.
    pub(crate) fn accept(&mut self, checked: Checked) {
        self.place_by_digest.insert(checked.entry.digest, self.next_seq());
        if let Some((roles, ring)) = checked.roles {
            self.roles = roles;
            self.ring = ring;
        }
        if let Body::Roles(change) = &checked.entry.entry.body {
            let lost = change.distrust.iter().flat_map(|key| self.signed_by(key)).collect();
            self.void = self.with_what_rests_on(self.void.union(&lost).copied().collect());
            // No key is distrusted that roles rested on; what remains is somebody's consent to the
            // very change that distrusts their key.
            self.void = std::mem::take(&mut self.void)
                .into_iter()
                .filter(|seq| !self.sets_roles(*seq))
                .collect();
        }
        self.later.push(checked.entry);
    }

    /// Places after the last trusted one that a key signed.
    fn signed_by(&self, key: &Distrust) -> impl Iterator<Item = u64> {
        let untrusted = self.iter().skip_while(|one| one.entry.seq <= key.last_trusted);
        untrusted.filter(|one| one.keys.contains(&key.fingerprint)).map(|one| one.entry.seq)
    }

    /// Whether the entry at `seq` brings roles.
    fn sets_roles(&self, seq: u64) -> bool {
        let body = self.get(seq).map(|one| &one.entry.body);
        matches!(body, Some(Body::Genesis(_) | Body::Roles(_)))
    }

    /// These void entries with those that rest on them, whoever signed these: what carries out a
    /// proposal that is void, or that somebody approved who no longer counts, and advances that follow
    /// from a void evaluation.
    fn with_what_rests_on(&self, mut void: BTreeSet<u64>) -> BTreeSet<u64> {
        let mut proposals: BTreeSet<Digest> = BTreeSet::new();
        for one in self.iter() {
            let rests = match &one.entry.body {
                Body::Advance(advance) if void.contains(&advance.evaluation.seq) => true,
                body => body.carries_out().is_some_and(|digest| proposals.contains(&digest)),
            };
            if rests {
                void.insert(one.entry.seq);
            }
            if !void.contains(&one.entry.seq) {
                continue;
            }
            match &one.entry.body {
                Body::Proposal(_) => proposals.insert(one.digest),
                Body::Approval(approval) => proposals.insert(approval.proposal),
                _ => false,
            };
        }
        void
    }

    /// Whether the entry at `seq` no longer counts, because a key that signed it, or what it rests on,
    /// is not trusted from before it on.
    #[must_use]
    pub fn is_void(&self, seq: u64) -> bool {
        self.void.contains(&seq)
    }

    /// Places of `advance` entries that no longer count and that no `reset` has revoked yet.
    #[must_use]
    pub fn unrevoked_voids(&self) -> BTreeSet<u64> {
        let mut open: BTreeSet<u64> = self
            .void
            .iter()
            .copied()
            .filter(|seq| {
                matches!(self.get(*seq).map(|one| &one.entry.body), Some(Body::Advance(_)))
            })
            .collect();
        if !open.is_empty() {
            for one in self.iter().filter(|one| !self.is_void(one.entry.seq)) {
                if let Body::Reset(reset) = &one.entry.body {
                    reset.revokes.iter().for_each(|seq| {
                        open.remove(seq);
                    });
                }
            }
        }
        open
    }

    /// Checks whether `raw` may follow, its signatures included.
    pub(crate) fn check_next(&self, raw: &RawEntry) -> Result<Checked, ChainError> {
        let mut jobs = Vec::new();
        let checked = step(Some(self), raw, parse(raw), &mut jobs)
            .map_err(|fault| ChainError::new(self.next_seq(), fault))?;
        jobs.iter().try_for_each(Job::verify)?;
        Ok(checked)
    }

    /// Verifies the entries that `entries` has beyond this ledger, and adds them.
    /// Tells how many they were. On error the ledger is unchanged.
    ///
    /// # Errors
    /// When `entries` does not begin with this ledger, or a further entry breaks a rule.
    pub fn extend(&mut self, entries: &[RawEntry]) -> Result<usize, ChainError> {
        for known in self.iter() {
            let seq = known.entry.seq;
            match entries.get(seq as usize) {
                None => return Err(ChainError::new(seq, Fault::Truncated)),
                Some(raw) if Digest::of(&raw.bytes) != known.digest => {
                    let (known, found) = (known.digest, Digest::of(&raw.bytes));
                    return Err(ChainError::new(seq, Fault::Forked { known, found }));
                }
                Some(_) => {}
            }
        }
        let added = &entries[self.len()..];
        *self = run(Some(self.clone()), added, None)?;
        Ok(added.len())
    }

    /// Checks that this is the ledger that a reader expects.
    ///
    /// # Errors
    /// When it has another genesis, lacks the remembered entry or has another in its place, or holds
    /// an entry from the future.
    pub fn check(&self, expected: &Expectations) -> Result<(), ChainError> {
        if let Some(expected) = expected.genesis.filter(|digest| *digest != self.genesis.digest) {
            let found = self.genesis.digest;
            return Err(ChainError::new(0, Fault::OtherGenesis { expected, found }));
        }
        if let Some((seq, known)) = expected.remembered {
            match self.get(seq) {
                None => return Err(ChainError::new(seq, Fault::Truncated)),
                Some(entry) if entry.digest != known => {
                    let found = entry.digest;
                    return Err(ChainError::new(seq, Fault::Forked { known, found }));
                }
                Some(_) => {}
            }
        }
        if let Some(limit) = expected.not_after
            && let Some(future) = self.iter().find(|one| one.entry.time > limit)
        {
            let time = future.entry.time;
            return Err(ChainError::new(future.entry.seq, Fault::Future { time, limit }));
        }
        Ok(())
    }

    /// The entries in their order, the genesis entry first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &VerifiedEntry> {
        std::iter::once(&self.genesis).chain(&self.later)
    }

    /// How many entries there are; at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a verified ledger is never empty")]
    pub fn len(&self) -> usize {
        self.later.len() + 1
    }

    /// The place that the next entry takes.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.len() as u64
    }

    /// The genesis entry.
    #[must_use]
    pub fn genesis(&self) -> &VerifiedEntry {
        &self.genesis
    }

    /// The newest entry.
    #[must_use]
    pub fn last(&self) -> &VerifiedEntry {
        self.later.last().unwrap_or(&self.genesis)
    }

    /// The entry at `seq`.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&VerifiedEntry> {
        match seq.checked_sub(1) {
            None => Some(&self.genesis),
            Some(at) => self.later.get(usize::try_from(at).ok()?),
        }
    }

    /// The entry with the digest `digest`.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> Option<&VerifiedEntry> {
        self.get(*self.place_by_digest.get(digest)?)
    }

    /// The network whose programme this is.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        &self.genesis.entry.network
    }

    /// The pipeline that the genesis entry names.
    #[must_use]
    pub fn pipeline(&self) -> &PipelineId {
        &self.pipeline
    }

    /// The roles that are in force after the newest entry.
    #[must_use]
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The roles that were in force after entry `seq`.
    #[must_use]
    pub fn roles_at(&self, seq: u64) -> &Roles {
        let until = self.iter().take_while(|one| one.entry.seq <= seq);
        let set = until.filter_map(|one| match &one.entry.body {
            Body::Genesis(genesis) => Some(&genesis.roles),
            Body::Roles(change) => Some(&change.roles),
            _ => None,
        });
        set.last().unwrap_or(&self.roles)
    }

    /// Whether one person may decide alone; every report has to say so.
    #[must_use]
    pub fn is_solo(&self) -> bool {
        self.roles.policy == Policy::Solo
    }

    /// The entry that `draft` becomes at the end of this ledger.
    #[must_use]
    pub fn entry_for(&self, draft: Draft) -> Entry {
        let Draft { time, pins, evidence, body } = draft;
        Entry {
            ledger: Some(self.genesis.digest),
            network: self.network().clone(),
            seq: self.next_seq(),
            prev: Some(self.last().digest),
            time,
            pins,
            evidence,
            body,
        }
    }
}
