//! Proposals as people see them: which one is meant, what it would do, and who agrees.

use base::{Digest, Instant};
use diagnostics::render::escape_line;
use ledger::body::Proposed;
use ledger::chain::Consent;
use ledger::{Body, VerifiedLedger};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::count;

/// A proposal that can still be carried out.
pub struct Open {
    /// Digest of its entry.
    pub digest: Digest,
    /// Place of its entry.
    pub seq: u64,
    /// Who agrees to it.
    pub consent: Consent,
}

/// The same for programs.
#[derive(Serialize)]
pub struct Shown {
    proposal: Digest,
    entry: u64,
    what: String,
    decided_by: &'static str,
    expires: Instant,
    approved_by: Vec<String>,
    do_not_count: Vec<String>,
    missing: usize,
}

impl Open {
    /// Every open proposal at `at`, oldest first.
    pub fn all(view: &VerifiedLedger, at: Instant) -> Vec<Self> {
        let all = view.open_proposals(at).into_iter();
        all.map(|(digest, consent)| {
            let seq = view.by_digest(&digest).map_or(0, |one| one.entry.seq);
            Self { digest, seq, consent }
        })
        .collect()
    }

    /// The open proposal that `named` means: an entry's number, or the beginning of its digest.
    /// Without a name, the only one.
    pub fn named(view: &VerifiedLedger, at: Instant, named: Option<&str>) -> Result<Self, Failure> {
        let open = Self::all(view, at);
        let listed: Vec<String> = open.iter().map(Self::line).collect();
        let hint = match listed.is_empty() {
            true => "The weekly job proposes what passes, and so does `cargo xtask phase propose`; `phase waive` and `roles propose` propose other things.".to_owned(),
            false => format!("Open are, to be named by their entries:\n  {}", listed.join("\n  ")),
        };
        let is_meant = |one: &Self| match named {
            None => true,
            Some(text) => {
                one.seq.to_string() == text
                    || (text.len() >= 4 && one.digest.to_string().starts_with(text))
            }
        };
        let mut meant: Vec<Self> = open.into_iter().filter(is_meant).collect();
        match (meant.pop(), meant.is_empty(), named) {
            (Some(only), true, _) => Ok(only),
            (None, _, Some(text)) => Err(lapsed(view, at, text)
                .unwrap_or_else(|| {
                    Failure::new(Exit::Usage, format!("`{text}` is no open proposal"))
                })
                .hint(hint)),
            (None, _, None) => Err(Failure::new(Exit::NotNow, "nothing is proposed").hint(hint)),
            (Some(_), false, _) => {
                Err(Failure::new(Exit::Usage, "it is not clear which proposal is meant").hint(hint))
            }
        }
    }

    /// One line: its name, what it would do, and how many agree.
    pub fn line(&self) -> String {
        let line = format!(
            "{} (entry {}): {}; {}",
            self.digest.short(),
            self.seq,
            what(&self.consent.proposal.what),
            standing(&self.consent)
        );
        // A reason with a line of its own could pass for one of ours.
        escape_line(&line)
    }

    /// For programs.
    pub fn shown(&self) -> Shown {
        let consent = &self.consent;
        Shown {
            proposal: self.digest,
            entry: self.seq,
            what: what(&consent.proposal.what),
            decided_by: consent.proposal.what.decided_by(),
            expires: consent.proposal.expires,
            approved_by: consent.counted.iter().map(ToString::to_string).collect(),
            do_not_count: consent.aside.iter().map(|(who, why)| format!("{who}: {why}")).collect(),
            missing: consent.missing(),
        }
    }
}

/// Why a proposal with this name is not open any more.
fn lapsed(view: &VerifiedLedger, at: Instant, named: &str) -> Option<Failure> {
    let found = view.iter().find(|one| {
        matches!(one.entry.body, Body::Proposal(_))
            && (one.entry.seq.to_string() == named
                || (named.len() >= 4 && one.digest.to_string().starts_with(named)))
    })?;
    let lapse = view.consent(&found.digest, at)?.lapse?;
    Some(Failure::new(
        Exit::NotNow,
        format!("the proposal in entry {} has lapsed: {lapse}", found.entry.seq),
    ))
}

/// What a proposal would do, in one line.
pub fn what(proposed: &Proposed) -> String {
    match proposed {
        Proposed::Transition(one) => {
            format!("{} {} goes from {} to {}", one.phase, one.track, one.from, one.to)
        }
        Proposed::Waiver(one) => {
            format!("{}/{} is waived until {}: {}", one.phase, one.gate, one.expires, one.reason)
        }
        Proposed::Roles(one) => format!("version {} of the roles", one.roles.version),
    }
}

/// Who agrees, and how many are missing.
pub fn standing(consent: &Consent) -> String {
    let names: Vec<&str> = consent.counted.iter().map(|who| who.as_str()).collect();
    let given = match names.is_empty() {
        true => "nobody has approved yet".to_owned(),
        false => format!("approved by {}", names.join(", ")),
    };
    match consent.missing() {
        0 => given,
        missing => format!("{given}, {} missing", count(missing, "approval", "approvals")),
    }
}
