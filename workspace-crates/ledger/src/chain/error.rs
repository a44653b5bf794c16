use base::{Digest, Instant, NetworkId, PrincipalId};

use super::consent::Lapse;
use crate::entry::EntryError;
use crate::roles::RolesError;
use crate::sshsig::SignatureError;

/// The first entry that breaks a rule, and how.
#[derive(Debug, thiserror::Error)]
#[error("entry {seq:06}: {fault}")]
pub struct ChainError {
    /// The entry's place.
    pub seq: u64,
    /// The rule that it breaks.
    #[source]
    pub fault: Box<Fault>,
}

impl ChainError {
    pub(crate) fn new(seq: u64, fault: Fault) -> Self {
        Self { seq, fault: Box::new(fault) }
    }
}

/// A rule that an entry breaks: the rule, the cause, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No entry, or a first entry of another kind.
    #[error("a ledger starts with a genesis entry, and here is none; fetch the ledger's branch")]
    NoGenesis,
    /// A genesis entry that is not the first one.
    #[error(
        "a genesis entry stands after the beginning; a ledger has one only. Restore the branch from a copy that verifies"
    )]
    GenesisTwice,
    /// Bytes that are no entry.
    #[error("its bytes are not an entry: {0}; they were altered or written by another version")]
    Form(#[source] EntryError),
    /// Another place than the entry says.
    #[error(
        "entries are numbered without gaps, but its own number is {found}; entries were dropped or reordered. Restore the branch from a copy that verifies"
    )]
    Place {
        /// The number inside the entry.
        found: u64,
    },
    /// A link to another entry than the one before.
    #[error(
        "it must follow the entry with the digest {expected}, but it names {}; entries were altered, dropped or reordered. Restore the branch from a copy that verifies",
        shown(found)
    )]
    Link {
        /// Digest of the entry before.
        expected: Digest,
        /// As written.
        found: Option<Digest>,
    },
    /// An entry of another ledger.
    #[error(
        "it belongs to the ledger {}, not to {expected}; it was copied from another ledger",
        shown(found)
    )]
    OtherLedger {
        /// Digest of this ledger's genesis entry.
        expected: Digest,
        /// As written.
        found: Option<Digest>,
    },
    /// An entry about another network.
    #[error("it is about the network `{found}`, but the ledger is about `{expected}`")]
    OtherNetwork {
        /// The ledger's network.
        expected: NetworkId,
        /// As written.
        found: NetworkId,
    },
    /// A time before that of the entry before.
    #[error(
        "its time {time} is before {before}, the time of the entry before; check the clock of the machine that writes"
    )]
    TimeBackwards {
        /// As written.
        time: Instant,
        /// The time of the entry before.
        before: Instant,
    },
    /// A time that has not come yet.
    #[error(
        "its time {time} is in the future: nothing later than {limit} is accepted; check both clocks"
    )]
    Future {
        /// As written.
        time: Instant,
        /// The latest time accepted.
        limit: Instant,
    },
    /// Roles that are not acceptable.
    #[error("its roles are not acceptable: {0}")]
    Roles(#[source] RolesError),
    /// Roles whose version does not follow.
    #[error("its roles have the version {found}; the next version is {expected}")]
    RolesVersion {
        /// The version that follows.
        expected: u32,
        /// As written.
        found: u32,
    },
    /// A signature that does not count.
    #[error("the signature of `{principal}` does not count: {cause}")]
    Signature {
        /// Whose signature it claims to be.
        principal: PrincipalId,
        /// Why.
        #[source]
        cause: SignatureError,
    },
    /// A signature by a key that no principal in force holds.
    #[error(
        "the signature of `{principal}` was made by the key {fingerprint}, which the roles in force do not hold; sign with a key that they hold, or change the roles first"
    )]
    ForeignKey {
        /// Whose signature it claims to be.
        principal: PrincipalId,
        /// The key.
        fingerprint: String,
    },
    /// A signature under another name than its key's owner.
    #[error("the signature that is filed for `{principal}` was made by a key of `{owner}`")]
    OtherOwner {
        /// Whose signature it claims to be.
        principal: PrincipalId,
        /// Who holds the key.
        owner: PrincipalId,
    },
    /// Signers that may not sign entries of this kind.
    #[error("an entry of the kind `{kind}` needs {needs}; it is signed by {signers}")]
    NotAllowed {
        /// The kind of the entry.
        kind: &'static str,
        /// What it needs.
        needs: String,
        /// Who signed it.
        signers: String,
    },
    /// A reference to an entry that is not there or of another kind.
    #[error("it refers to {what}, which is not in the ledger before it")]
    Reference {
        /// What it refers to.
        what: String,
    },
    /// An expiry in the past or too far in the future.
    #[error(
        "it expires at {expires}; that has to be after {time}, and at most {days_max} days later"
    )]
    Expiry {
        /// As written.
        expires: Instant,
        /// The entry's time.
        time: Instant,
        /// The longest validity, in days.
        days_max: i64,
    },
    /// A field with a content that is not acceptable.
    #[error("its field `{field}` is not acceptable: {cause}")]
    Field {
        /// The field.
        field: &'static str,
        /// Why.
        cause: String,
    },
    /// An advance without a proposal, where nobody decides alone.
    #[error(
        "an advance carries out a proposal that the leads approved, and this one names none; propose it, and let them approve it"
    )]
    NoProposal,
    /// An entry that is not what was proposed.
    #[error("it is not what its proposal proposes; what was approved is carried out word for word")]
    OtherProposal,
    /// A proposal that can no longer be carried out.
    #[error("its proposal has lapsed: {lapse}; propose again")]
    Lapsed {
        /// Why.
        lapse: Lapse,
    },
    /// Too few people agree.
    #[error(
        "its proposal has {given} of {threshold} approvals under version {roles_version} of the roles{aside}"
    )]
    NoConsent {
        /// The version of the roles under which approvals are missing.
        roles_version: u32,
        /// Distinct people whose approval counts.
        given: usize,
        /// How many are needed.
        threshold: u32,
        /// Approvals that do not count, and why.
        aside: String,
    },
    /// An advance while one that no longer counts still stands.
    #[error(
        "entry {seq:06} is an advance that no longer counts, because its key is not trusted; a reset has to revoke it first"
    )]
    Unrevoked {
        /// Its place.
        seq: u64,
    },
    /// Another ledger than the expected one.
    #[error("the genesis entry is {found}, but {expected} was published; this is another ledger")]
    OtherGenesis {
        /// As published.
        expected: Digest,
        /// As found.
        found: Digest,
    },
    /// An entry that was there before is gone.
    #[error(
        "it was in the ledger before and is gone: the ledger was cut short. Fetch it again, and keep both copies as evidence"
    )]
    Truncated,
    /// Another entry stands where one was seen before.
    #[error(
        "it had the digest {known} before and has {found} now: the ledger was rewritten. Keep both copies; together they prove it"
    )]
    Forked {
        /// As remembered.
        known: Digest,
        /// As found.
        found: Digest,
    },
}

fn shown(digest: &Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}
