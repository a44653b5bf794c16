//! The rules of single entries: place, roles, signers, bodies.

use std::collections::BTreeSet;

use base::{Digest, Duration, PhaseId, PrincipalId, Track, VerdictKind};

use super::consent::{Share, is_human_member};
use super::{Fault, VerifiedEntry, VerifiedLedger};
use crate::body::{
    Advance, Approval, Body, Distrust, Evaluation, EvaluationRef, Proposal, Proposed, RolesChange,
    Waiver, Withdraw,
};
use crate::entry::Entry;
use crate::keys::PublicKey;
use crate::roles::{EVALUATOR, KeyRing, LEAD, ROOT, Roles};

/// The longest that a proposal can be open.
pub const PROPOSAL_LASTS_MAX: Duration = Duration::from_hours(24 * PROPOSAL_DAYS_MAX);
/// The longest that a waiver can count.
pub const WAIVER_LASTS_MAX: Duration = Duration::from_hours(24 * WAIVER_DAYS_MAX);

/// A proposal lapses after this many days at the latest.
const PROPOSAL_DAYS_MAX: i64 = 14;
/// A waiver lapses after this many days at the latest.
const WAIVER_DAYS_MAX: i64 = 30;

pub(super) fn check_place(
    before: Option<&VerifiedLedger>,
    entry: &Entry,
    stored_at: u64,
) -> Result<(), Fault> {
    let place = before.map_or(0, VerifiedLedger::next_seq);
    if entry.seq != place || stored_at != place {
        return Err(Fault::Place { found: entry.seq });
    }
    let Some(ledger) = before else {
        let opens = matches!(entry.body, Body::Genesis(_));
        let bare = entry.ledger.is_none() && entry.prev.is_none();
        return if opens && bare { Ok(()) } else { Err(Fault::NoGenesis) };
    };
    if matches!(entry.body, Body::Genesis(_)) {
        return Err(Fault::GenesisTwice);
    }
    let expected = ledger.genesis().digest;
    if entry.ledger != Some(expected) {
        return Err(Fault::OtherLedger { expected, found: entry.ledger });
    }
    let expected = ledger.last().digest;
    if entry.prev != Some(expected) {
        return Err(Fault::Link { expected, found: entry.prev });
    }
    if entry.network != *ledger.network() {
        let (expected, found) = (ledger.network().clone(), entry.network.clone());
        return Err(Fault::OtherNetwork { expected, found });
    }
    let (time, before) = (entry.time, ledger.last().entry.time);
    if time < before { Err(Fault::TimeBackwards { time, before }) } else { Ok(()) }
}

/// The roles that are in force after this entry, when it changes them.
pub(super) fn new_roles(
    before: Option<&VerifiedLedger>,
    entry: &Entry,
) -> Result<Option<(Roles, KeyRing)>, Fault> {
    let roles = match &entry.body {
        Body::Genesis(genesis) => &genesis.roles,
        Body::Roles(change) => &change.roles,
        _ => return Ok(None),
    };
    Ok(Some((roles.clone(), ring_of(before, roles)?)))
}

/// The keys of roles that may follow those in force.
fn ring_of(before: Option<&VerifiedLedger>, roles: &Roles) -> Result<KeyRing, Fault> {
    let expected = before.map_or(Some(1), |ledger| ledger.roles().version.checked_add(1));
    if expected != Some(roles.version) {
        let expected = expected.unwrap_or(u32::MAX);
        return Err(Fault::RolesVersion { expected, found: roles.version });
    }
    KeyRing::new(roles).map_err(Fault::Roles)
}

/// The keys of roles that are only proposed: whom they bring in approves with them.
pub(super) fn proposed_ring(
    before: Option<&VerifiedLedger>,
    entry: &Entry,
) -> Result<Option<KeyRing>, Fault> {
    let Body::Approval(approval) = &entry.body else { return Ok(None) };
    let proposed = before.and_then(|ledger| ledger.proposal(&approval.proposal));
    match proposed.map(|(_, proposal)| &proposal.what) {
        Some(Proposed::Roles(change)) => {
            KeyRing::new(&change.roles).map(Some).map_err(Fault::Roles)
        }
        _ => Ok(None),
    }
}

/// Whether those who signed may sign an entry of this kind.
pub(super) fn check_signers(
    before: Option<&VerifiedLedger>,
    entry: &Entry,
    new_roles: Option<&Roles>,
    signers: &BTreeSet<PrincipalId>,
) -> Result<(), Fault> {
    let roles = [before.map(VerifiedLedger::roles), new_roles];
    let in_force = || roles.iter().copied().flatten();
    let threshold = |role: &str| in_force().all(|roles| roles.reaches_threshold(role, signers));
    // What was approved needs one signature only, of somebody who may propose it.
    let member_now = |role: &str| {
        before.is_some_and(|ledger| signers.iter().any(|one| ledger.roles().is_member(role, one)))
    };
    let records = before.is_some_and(|ledger| ledger.roles().reaches_threshold(EVALUATOR, signers));
    let proposes = records || member_now(LEAD);
    const PROPOSES: &str =
        "the threshold of the role `evaluator`, or a signature of the role `lead`";
    const PROPOSES_ROLES: &str =
        "the threshold of the role `evaluator`, or a signature of the role `lead` or `root`";
    let (allowed, needs) = match &entry.body {
        Body::Roles(RolesChange { proposal: Some(_), .. })
        | Body::Proposal(Proposal { what: Proposed::Roles(_), .. }) => {
            (proposes || member_now(ROOT), PROPOSES_ROLES)
        }
        Body::Genesis(_) => (threshold(ROOT), "the threshold of the role `root`"),
        Body::Roles(_) => (
            threshold(ROOT),
            "the threshold of the role `root` under the roles before it and under its own",
        ),
        Body::Waiver(Waiver { proposal: None, .. }) => {
            (threshold(LEAD), "the threshold of the role `lead`")
        }
        Body::Approval(one) => {
            (signers.contains(&one.principal), "the signature of the one who approves")
        }
        // Whose approval it is, the rules about the body know.
        Body::Withdraw(_) => (true, "the signature of the one who approved"),
        // What was seen and judged is recorded by those whose task that is: reports rest on it.
        Body::Evaluation(_) | Body::Event(_) => (records, "the threshold of the role `evaluator`"),
        _ => (proposes, PROPOSES),
    };
    if allowed && !signers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = signers.iter().map(|signer| format!("`{signer}`")).collect();
    let signers = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    Err(Fault::NotAllowed { kind: entry.body.kind(), needs: needs.to_owned(), signers })
}

/// What a body says has to fit what the ledger says before it.
pub(super) fn check_body(
    before: Option<&VerifiedLedger>,
    entry: &Entry,
    signers: &BTreeSet<PrincipalId>,
) -> Result<(), Fault> {
    let Some(ledger) = before else { return Ok(()) };
    match &entry.body {
        Body::Genesis(_) => Ok(()),
        Body::Roles(change) => check_roles(ledger, entry, change),
        Body::Event(event) => check_event_name(&event.event),
        Body::Proposal(proposal) => check_proposal(ledger, entry, proposal),
        Body::Approval(approval) => check_approval(ledger, approval),
        Body::Withdraw(withdraw) => check_withdraw(ledger, withdraw, signers),
        Body::Waiver(waiver) => check_waiver(ledger, entry, waiver),
        Body::Evaluation(one) => {
            check_week(&one.week)?;
            check_judged_at(entry, one.at)?;
            one.verdicts.keys().try_for_each(|key| check_verdict_key(key))
        }
        Body::Advance(one) => check_advance(ledger, entry, one),
        Body::Hold(one) => check_evaluation(ledger, one.evaluation).map(|_| ()),
        Body::Reset(one) => one.revokes.iter().try_for_each(|seq| check_revoked(ledger, *seq)),
    }
}

fn check_event_name(name: &str) -> Result<(), Fault> {
    // Event names have the form of ids, so that they are safe in paths, reports and shells.
    PhaseId::new(name).map(|_| ()).map_err(|_| Fault::Field {
        field: "event",
        cause: "an event's name has a-z, 0-9, `.`, `_` and `-` only, 1 to 64 of them".to_owned(),
    })
}

fn check_proposal(
    ledger: &VerifiedLedger,
    entry: &Entry,
    proposal: &Proposal,
) -> Result<(), Fault> {
    check_expiry(entry, proposal.expires, PROPOSAL_DAYS_MAX)?;
    let in_force = ledger.roles().version;
    if proposal.roles_version != in_force {
        return Err(Fault::Field {
            field: "roles_version",
            cause: format!("version {in_force} of the roles is in force"),
        });
    }
    match &proposal.what {
        Proposed::Transition(one) => check_newest(ledger, &one.evaluation),
        Proposed::Waiver(waiver) => {
            refuse_nested(waiver.proposal)?;
            check_waiver_terms(entry, waiver)
        }
        Proposed::Roles(change) => {
            refuse_nested(change.proposal)?;
            ring_of(Some(ledger), &change.roles)?;
            check_distrusts(ledger, change)
        }
    }
}

/// A transition rests on what is known now, and not on what an older evaluation found.
fn check_newest(ledger: &VerifiedLedger, evaluation: &Digest) -> Result<(), Fault> {
    let is_judgement = |one: &&VerifiedEntry| matches!(one.entry.body, Body::Evaluation(_));
    let mut counted = ledger.iter().rev().filter(|one| !ledger.is_void(one.entry.seq));
    let newest = counted.find(is_judgement).ok_or_else(|| missing("the evaluation", evaluation))?;
    if newest.digest == *evaluation {
        return Ok(());
    }
    match ledger.by_digest(evaluation).filter(is_judgement) {
        Some(older) if !ledger.is_void(older.entry.seq) => Err(Fault::Field {
            field: "evaluation",
            cause: format!("entry {:06} judged anew since", newest.entry.seq),
        }),
        _ => Err(missing("the evaluation", evaluation)),
    }
}

/// What is proposed does not carry out another proposal.
fn refuse_nested(proposal: Option<Digest>) -> Result<(), Fault> {
    match proposal {
        None => Ok(()),
        Some(_) => Err(Fault::Field {
            field: "proposal",
            cause: "what is proposed names no proposal of its own".to_owned(),
        }),
    }
}

/// A change of roles that says that it was approved, was.
fn check_roles(ledger: &VerifiedLedger, entry: &Entry, change: &RolesChange) -> Result<(), Fault> {
    check_distrusts(ledger, change)?;
    let Some(digest) = change.proposal else { return Ok(()) };
    let wanted = RolesChange { proposal: None, ..change.clone() };
    check_carried_out(ledger, entry, &digest, |what| *what == Proposed::Roles(wanted.clone()))
}

fn check_approval(ledger: &VerifiedLedger, approval: &Approval) -> Result<(), Fault> {
    let proposed = ledger.by_digest(&approval.proposal).map(|found| &found.entry.body);
    let Some(Body::Proposal(proposal)) = proposed else {
        return Err(missing("the proposal", &approval.proposal));
    };
    let (role, who) = (approval.role.as_str(), &approval.principal);
    let may = match &proposal.what {
        Proposed::Roles(_) if role != ROOT => false,
        _ => ledger.deciding(proposal).any(|roles| is_human_member(roles, role, who)),
    };
    if may {
        return Ok(());
    }
    let role = role.chars().take(64).collect::<String>();
    let cause = match &proposal.what {
        Proposed::Roles(_) => format!("`{who}` is not a human with the role `root`"),
        _ => format!("`{who}` is not a human with the role `{role}`"),
    };
    Err(Fault::Field { field: "principal", cause })
}

fn check_withdraw(
    ledger: &VerifiedLedger,
    withdraw: &Withdraw,
    signers: &BTreeSet<PrincipalId>,
) -> Result<(), Fault> {
    match ledger.by_digest(&withdraw.approval).map(|found| &found.entry.body) {
        Some(Body::Approval(approval)) if signers.contains(&approval.principal) => Ok(()),
        Some(Body::Approval(approval)) => Err(Fault::Field {
            field: "approval",
            cause: format!("only `{}` can withdraw it", approval.principal),
        }),
        _ => Err(missing("the approval", &withdraw.approval)),
    }
}

fn check_waiver(ledger: &VerifiedLedger, entry: &Entry, waiver: &Waiver) -> Result<(), Fault> {
    check_waiver_terms(entry, waiver)?;
    let Some(digest) = waiver.proposal else { return Ok(()) };
    let wanted = Waiver { proposal: None, ..waiver.clone() };
    check_carried_out(ledger, entry, &digest, |what| *what == Proposed::Waiver(wanted.clone()))
}

fn check_waiver_terms(entry: &Entry, waiver: &Waiver) -> Result<(), Fault> {
    if waiver.reason.trim().is_empty() {
        return Err(Fault::Field { field: "reason", cause: "a waiver says why".to_owned() });
    }
    check_expiry(entry, waiver.expires, WAIVER_DAYS_MAX)
}

fn check_expiry(entry: &Entry, expires: base::Instant, days_max: i64) -> Result<(), Fault> {
    let validity = expires - entry.time;
    if validity.is_positive() && validity <= Duration::from_hours(24 * days_max) {
        return Ok(());
    }
    Err(Fault::Expiry { expires, time: entry.time, days_max })
}

fn check_week(week: &str) -> Result<(), Fault> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>());
    let sound = week.split_once("-W").is_some_and(|(year, week)| {
        year.len() == 4
            && week.len() == 2
            && number(year).is_some()
            && matches!(number(week), Some(Ok(1..=53)))
    });
    if sound {
        return Ok(());
    }
    Err(Fault::Field { field: "week", cause: "a week is written such as `2026-W02`".to_owned() })
}

/// Nothing is judged before it happened.
fn check_judged_at(entry: &Entry, at: base::Instant) -> Result<(), Fault> {
    if at <= entry.time {
        return Ok(());
    }
    let cause = format!("{at} was still to come at {}", entry.time);
    Err(Fault::Field { field: "at", cause })
}

fn check_verdict_key(key: &str) -> Result<(), Fault> {
    let sound = key.split_once('/').is_some_and(|(phase, track)| {
        let tracks = [Track::Internal, Track::Public];
        PhaseId::new(phase).is_ok() && tracks.iter().any(|known| known.to_string() == track)
    });
    if sound {
        return Ok(());
    }
    Err(Fault::Field {
        field: "verdicts",
        cause: "a verdict is about `<phase>/internal` or `<phase>/public`".to_owned(),
    })
}

fn check_evaluation(
    ledger: &VerifiedLedger,
    reference: EvaluationRef,
) -> Result<&Evaluation, Fault> {
    let found = ledger.get(reference.seq).filter(|found| found.digest == reference.digest);
    let found = found.filter(|found| !ledger.is_void(found.entry.seq));
    match found.map(|found| &found.entry.body) {
        Some(Body::Evaluation(judged)) => Ok(judged),
        _ => Err(missing("the evaluation", &reference.digest)),
    }
}

/// An advance rests on an evaluation that says so, and unless one person decides alone, on the consent of the
/// leads to exactly this.
fn check_advance(ledger: &VerifiedLedger, entry: &Entry, advance: &Advance) -> Result<(), Fault> {
    let judged = check_evaluation(ledger, advance.evaluation)?;
    if let Some(seq) = ledger.unrevoked_voids().first() {
        return Err(Fault::Unrevoked { seq: *seq });
    }
    match advance.proposal {
        None if ledger.is_solo() => {}
        None => return Err(Fault::NoProposal),
        Some(digest) => check_agreed(ledger, entry, advance, &digest)?,
    }
    let track = format!("{}/{}", advance.phase, advance.track);
    if judged.verdicts.get(&track) == Some(&VerdictKind::Advance) {
        return Ok(());
    }
    let cause = format!("it does not say that {track} advances");
    Err(Fault::Field { field: "evaluation", cause })
}

/// The leads agree to exactly this advance; one person who decides alone need not wait for them.
fn check_agreed(
    ledger: &VerifiedLedger,
    entry: &Entry,
    advance: &Advance,
    digest: &Digest,
) -> Result<(), Fault> {
    let is_same = |what: &Proposed| {
        what.transition().is_some_and(|proposed| {
            proposed.phase == advance.phase
                && proposed.track == advance.track
                && proposed.from == advance.from
                && proposed.to == advance.to
                && proposed.evaluation == advance.evaluation.digest
        })
    };
    match check_carried_out(ledger, entry, digest, is_same) {
        Err(Fault::NoConsent { .. }) if ledger.is_solo() => Ok(()),
        other => other,
    }
}

/// What an entry carries out was proposed exactly so, can still be carried out, and enough people
/// agree to it.
fn check_carried_out(
    ledger: &VerifiedLedger,
    entry: &Entry,
    digest: &Digest,
    is_same: impl Fn(&Proposed) -> bool,
) -> Result<(), Fault> {
    let consent =
        ledger.consent(digest, entry.time).ok_or_else(|| missing("the proposal", digest))?;
    if !is_same(&consent.proposal.what) {
        return Err(Fault::OtherProposal);
    }
    if let Some(lapse) = consent.lapse {
        return Err(Fault::Lapsed { lapse });
    }
    let Some(short) = consent.shares.iter().find(|share| !share.is_reached()) else {
        return Ok(());
    };
    let Share { roles_version, given, needed: threshold } = *short;
    let aside = consent.aside.iter().map(|(who, why)| format!("; `{who}` does not count: {why}"));
    Err(Fault::NoConsent { roles_version, given, threshold, aside: aside.collect() })
}

fn check_distrusts(ledger: &VerifiedLedger, change: &RolesChange) -> Result<(), Fault> {
    change.distrust.iter().try_for_each(|key| check_distrust(ledger, change, key))
}

/// A key that is no longer trusted was in use before, and is not from now on.
fn check_distrust(
    ledger: &VerifiedLedger,
    change: &RolesChange,
    key: &Distrust,
) -> Result<(), Fault> {
    let field = |cause: String| Fault::Field { field: "distrust", cause };
    let holds = |text: &String| {
        PublicKey::parse(text).is_ok_and(|held| held.fingerprint() == key.fingerprint)
    };
    if change.roles.principals.iter().any(|one| one.keys.iter().any(holds)) {
        return Err(field(format!("the new roles still hold the key {}", key.fingerprint)));
    }
    if !ledger.iter().any(|one| one.keys.contains(&key.fingerprint)) {
        return Err(field(format!("the key {} never signed here", key.fingerprint)));
    }
    // Roles that rested on the key cannot be undone from within: who decides would be open.
    let lost = ledger.with_what_rests_on(ledger.signed_by(key).collect());
    let roles_changed = lost.into_iter().find(|seq| ledger.sets_roles(*seq));
    match roles_changed {
        None => Ok(()),
        Some(seq) => Err(field(format!(
            "entry {seq:06} set roles on the strength of the key {}; trust it up to there at least, or open a new ledger",
            key.fingerprint
        ))),
    }
}

fn check_revoked(ledger: &VerifiedLedger, seq: u64) -> Result<(), Fault> {
    match ledger.get(seq).map(|found| &found.entry.body) {
        Some(Body::Advance(_)) => Ok(()),
        _ => Err(Fault::Reference { what: format!("an `advance` at entry {seq:06}") }),
    }
}

fn missing(what: &str, digest: &Digest) -> Fault {
    Fault::Reference { what: format!("{what} {digest}") }
}
