//! Whether a report is what an evaluator of a ledger has signed, and what it rests on.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base::{Digest, Duration, Instant};
use ledger::keys::PublicKey;
use ledger::statement::{ResourceDescriptor, Statement};
use ledger::vsa::{VSA_PREDICATE_TYPE, VerificationResult, VerificationSummary};
use ledger::{
    Body, Ledger, LedgerStore, REPORT_NAMESPACE, Roles, VerifiedEntry, VerifiedLedger, body,
};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use report::bundle::{Bundle, LEDGER};

/// The statement of a report, its signature, and the same as an envelope.
pub const STATEMENT: &str = "statement.json";
const SIGNATURE: &str = "statement.json.sig";
const ENVELOPE: &str = "statement.dsse.json";
/// A larger file of a report is not read.
const FILE_BYTES_MAX: u64 = ledger::store::REPORT_BYTES_MAX as u64;
const STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a report turned out to be.
#[derive(Debug, Serialize)]
pub struct FoundReport {
    /// What it is about: pipeline and week.
    pub resource: String,
    /// What it says.
    pub result: VerificationResult,
    /// The instant that was judged.
    pub judged_at: Instant,
    /// Who signed it.
    pub signed_by: String,
    /// The files that are what was signed.
    pub files: Vec<String>,
    /// The entry that published it.
    pub announced: Option<Announced>,
    /// The entry with the evaluation that it reports.
    pub evaluation: u64,
    /// How long ago it was judged.
    pub age: Duration,
    /// The week of a later evaluation.
    pub newer: Option<String>,
    /// Until when it stands, as it says itself: when the next report is due.
    pub valid_until: Option<Instant>,
    /// Whether that is over.
    pub is_overdue: bool,
}

/// Where a report was published.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Announced {
    /// The entry.
    pub seq: u64,
    /// Its time.
    pub at: Instant,
}

/// How much of the evidence is there.
#[derive(Debug, Serialize)]
pub struct FoundEvidence {
    /// Pieces that are there, unaltered.
    pub at_hand: usize,
    /// Pieces that are not.
    pub missing: Vec<Digest>,
}

/// The files of a report.
pub enum ReportFiles {
    /// In a folder.
    Folder(PathBuf),
    /// In a bundle, with the folder's name for messages.
    Carried(String, BTreeMap<String, Vec<u8>>),
}

impl ReportFiles {
    /// The files of the report `folder` in the ledger of `bundle`.
    pub fn of_bundle(bundle: &Bundle, folder: &str) -> Self {
        let files = bundle.under(&format!("{LEDGER}/reports/{folder}"));
        Self::Carried(folder.to_owned(), files)
    }

    fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Carried(folder, _) => format!("the report {folder} of the bundle"),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Carried(_, files) => files
                .get(name)
                .cloned()
                .ok_or_else(|| Failure::new(Exit::File, format!("{} has no {name}", self.name()))),
            Self::Folder(folder) => read_plain(&folder.join(name)),
        }
    }
}

/// Reads a file of a folder that somebody sent: a plain one, and no more of it than is allowed.
fn read_plain(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    // A link or a pipe could lead anywhere, and could have no end.
    if !std::fs::symlink_metadata(path).map_err(failed)?.is_file() {
        return Err(refuse(format!("{} is not a plain file", path.display())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("{} is too large", path.display())));
    }
    Ok(bytes)
}

fn refuse(why: String) -> Failure {
    Failure::new(Exit::NotVerified, why)
}

/// The entry that published the report of the evaluation in entry `seq`, and the report's folder.
pub fn announced(view: &VerifiedLedger, seq: u64) -> Option<(u64, String)> {
    let mut counted = view.iter().filter(|one| !view.is_void(one.entry.seq));
    counted.find_map(|one| match &one.entry.body {
        Body::Event(event) if event.event == "announced" && event.detail["evaluation"] == seq => {
            Some((one.entry.seq, event.detail["folder"].as_str()?.to_owned()))
        }
        _ => None,
    })
}

/// Checks a report against a ledger that verified: signature and role, files, and that it is about
/// this ledger and one of its evaluations.
pub fn report(
    files: &ReportFiles,
    view: &VerifiedLedger,
    now: Instant,
) -> Result<FoundReport, Failure> {
    let bytes = files.read(STATEMENT)?;
    let entry = announcement(view, Digest::of(&bytes));
    if let Some(void) = entry.filter(|entry| view.is_void(entry.entry.seq)) {
        return Err(refuse(format!(
            "entry {:06}, which published it, no longer counts: its key is not trusted",
            void.entry.seq
        )));
    }
    // Who signed a report that was published had to be an evaluator then, not today.
    let roles = entry.map_or(view.roles(), |entry| view.roles_at(entry.entry.seq));
    let signed_by = signer(files, &bytes, roles)?;
    let statement: Statement<VerificationSummary> =
        ledger::parse_strict(&bytes, STATEMENT_BYTES_MAX)
            .map_err(|error| refuse(format!("{STATEMENT} is not a statement: {error}")))?;
    statement.check(VSA_PREDICATE_TYPE).map_err(|error| refuse(error.to_string()))?;
    let mut named = check_files(files, &statement.subject)?;
    check_envelope(files, &bytes, roles)?;
    if let Some(entry) = entry {
        check_published(files, entry, &mut named)?;
    }
    let summary = &statement.predicate;
    let judged = evaluation(&statement, view)?;
    let Body::Evaluation(evaluation) = &judged.entry.body else {
        return Err(refuse("the ledger has no such evaluation".to_owned()));
    };
    check_summary(summary, view, evaluation)?;
    let mut counted = view.iter().rev().filter(|one| !view.is_void(one.entry.seq));
    let later = counted.find_map(|one| match &one.entry.body {
        Body::Evaluation(later) if one.entry.seq > judged.entry.seq => Some(later.week.clone()),
        _ => None,
    });
    let age = now - evaluation.at;
    Ok(FoundReport {
        resource: summary.resource_uri.clone(),
        result: summary.verification_result,
        judged_at: summary.time_verified,
        signed_by,
        files: named,
        announced: entry.map(|one| Announced { seq: one.entry.seq, at: one.entry.time }),
        evaluation: judged.entry.seq,
        age,
        newer: later,
        valid_until: summary.valid_until,
        is_overdue: summary.valid_until.is_some_and(|until| now > until),
    })
}

/// The entry that says that a report with this statement was published.
fn announcement(view: &VerifiedLedger, statement: Digest) -> Option<&VerifiedEntry> {
    view.iter().find(|one| match &one.entry.body {
        Body::Event(event) => {
            event.event == "announced"
                && event.detail["files"][STATEMENT] == statement.to_string().as_str()
        }
        _ => false,
    })
}

fn signer(files: &ReportFiles, statement: &[u8], roles: &Roles) -> Result<String, Failure> {
    let signature = files.read(SIGNATURE)?;
    let by = evaluator_keys(roles).into_iter().find(|(_, key)| {
        let keys = std::slice::from_ref(key);
        ledger::sshsig::verify_detached(keys, REPORT_NAMESPACE, statement, &signature).is_ok()
    });
    by.map(|(who, _)| who).ok_or_else(|| {
        refuse(format!("{} is not signed by an evaluator of this ledger", files.name()))
            .hint("It was altered, made by somebody else or with a key that is no longer trusted, or belongs to another ledger.")
    })
}

/// Every file that the statement is about has the digest that was signed.
fn check_files(
    files: &ReportFiles,
    subject: &[ResourceDescriptor],
) -> Result<Vec<String>, Failure> {
    let mut named = Vec::new();
    for one in subject {
        let name = one.name.as_deref().unwrap_or_default();
        let digest = one.digest.get("sha256").map(String::as_str);
        check_file(files, name, digest)?;
        named.push(name.to_owned());
    }
    Ok(named)
}

fn check_file(files: &ReportFiles, name: &str, digest: Option<&str>) -> Result<(), Failure> {
    // The name comes from a file that somebody sent: it must be a plain file name.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
        return Err(refuse(format!("`{name}` is not the name of a report's file")));
    }
    let found = Digest::of(&files.read(name)?).to_string();
    if digest == Some(found.as_str()) {
        return Ok(());
    }
    Err(refuse(format!("{name} of {} is not what was signed", files.name()))
        .hint("Fetch the report again."))
}

/// The envelope says the same as the statement, to those who read only the envelope.
fn check_envelope(files: &ReportFiles, statement: &[u8], roles: &Roles) -> Result<(), Failure> {
    let keys: Vec<PublicKey> = evaluator_keys(roles).into_iter().map(|(_, key)| key).collect();
    let media_type = ledger::statement::STATEMENT_MEDIA_TYPE;
    let opened = ledger::dsse::Envelope::open(&files.read(ENVELOPE)?, media_type, &keys);
    match opened {
        Ok(payload) if payload == statement => Ok(()),
        Ok(_) => Err(refuse(format!("{ENVELOPE} says something else than {STATEMENT}"))),
        Err(error) => Err(refuse(format!("{ENVELOPE}: {error}"))),
    }
}

/// Every file that was published is here as it was published.
fn check_published(
    files: &ReportFiles,
    entry: &VerifiedEntry,
    named: &mut Vec<String>,
) -> Result<(), Failure> {
    let Body::Event(event) = &entry.entry.body else { return Ok(()) };
    for (name, digest) in event.detail["files"].as_object().into_iter().flatten() {
        check_file(files, name, digest.as_str())?;
        if !named.contains(name) {
            named.push(name.clone());
        }
    }
    named.sort();
    Ok(())
}

/// The evaluation that the statement's file with the judgement belongs to.
fn evaluation<'v>(
    statement: &Statement<VerificationSummary>,
    view: &'v VerifiedLedger,
) -> Result<&'v VerifiedEntry, Failure> {
    let file =
        statement.subject.iter().find(|one| one.name.as_deref() == Some(report::EVALUATION_FILE));
    let digest = file.and_then(|file| file.digest.get("sha256"));
    let judged = view.iter().find(|one| match &one.entry.body {
        Body::Evaluation(judged) => digest == Some(&judged.document.to_string()),
        _ => false,
    });
    let judged = judged.filter(|one| !view.is_void(one.entry.seq));
    judged.ok_or_else(|| {
        refuse("this ledger has no evaluation that the report could be about".to_owned())
            .hint("It is a report of another ledger, or the ledger here is older than the report.")
    })
}

/// What the statement says about itself is what the ledger says.
fn check_summary(
    summary: &VerificationSummary,
    view: &VerifiedLedger,
    judged: &body::Evaluation,
) -> Result<(), Failure> {
    let resource = format!("urn:phasegate:{}:{}", view.pipeline(), judged.week);
    if summary.resource_uri != resource {
        let found = summary.resource_uri.clone();
        return Err(refuse(format!(
            "the statement is about {found}, the evaluation about {resource}"
        )));
    }
    if summary.time_verified != judged.at {
        let found = summary.time_verified;
        return Err(refuse(format!(
            "the statement is dated {found}, the evaluation {}",
            judged.at
        )));
    }
    for input in &summary.input_attestations {
        let name = input.name.as_deref().unwrap_or_default();
        let known = match name.strip_prefix("ledger ") {
            None => continue,
            Some("genesis") => Some(view.genesis().digest),
            Some(entry) => entry
                .strip_prefix("entry ")
                .and_then(|seq| view.get(seq.parse().ok()?))
                .map(|entry| entry.digest),
        };
        if known.map(|known| known.to_string()).as_ref() != input.digest.get("sha256") {
            return Err(refuse(format!(
                "the statement names another `{name}` than this ledger has"
            ))
            .hint("The report belongs to another ledger, or to a rewritten copy of this one."));
        }
    }
    Ok(())
}

fn evaluator_keys(roles: &Roles) -> Vec<(String, PublicKey)> {
    let members = roles.roles.get("evaluator").map(|role| role.of.as_slice()).unwrap_or_default();
    let principals = members.iter().filter_map(|id| roles.principal(id));
    principals
        .flat_map(|principal| {
            let keys = principal.keys.iter().filter_map(|key| PublicKey::parse(key).ok());
            keys.map(|key| (principal.id.to_string(), key))
        })
        .collect()
}

/// How much of the evidence that the evaluation in entry `seq` names is in `store`, unaltered. The
/// list of inputs itself is in the ledger.
pub fn evidence<S: LedgerStore>(
    store: &dyn evidence::Store,
    ledger: &Ledger<S>,
    seq: u64,
) -> Result<FoundEvidence, Failure> {
    let recorded = engine::recompute::read(ledger, seq)?;
    let named = ledger.view().get(seq).map(|judged| judged.entry.evidence.clone());
    let mut wanted = named.unwrap_or_default();
    wanted.remove(&recorded.entry.inputs);
    for digest in recorded.inputs.digests() {
        if store.contains(&digest)? {
            let record = store.get_record(&digest)?;
            wanted.extend(record.external.map(|external| external.digest));
        }
    }
    let mut found = FoundEvidence { at_hand: 0, missing: Vec::new() };
    for digest in wanted {
        match store.get(&digest) {
            Ok(_) => found.at_hand += 1,
            Err(evidence::EvidenceError::Missing(_)) => found.missing.push(digest),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// How the command ends: with an error when evidence is missing, or `fresh` is not.
pub fn demand(fresh: Option<&FoundReport>, evidence: Option<&FoundEvidence>) -> Outcome {
    if let Some(found) = evidence
        && let Some(first) = found.missing.first()
    {
        return Err(refuse(format!(
            "{} of the evidence is missing, first {first}",
            crate::output::count(found.missing.len(), "piece", "pieces")
        )));
    }
    match fresh {
        Some(FoundReport { newer: Some(week), .. }) => {
            Err(refuse(format!("the report is not the newest: {week} was judged later"))
                .hint("Fetch the newest report; --fresh refuses any other."))
        }
        Some(FoundReport { valid_until: Some(until), is_overdue: true, .. }) => {
            Err(refuse(format!("the report stood until {until}, and the next one is overdue"))
                .hint(
                    "Fetch the ledger again. If it has no newer report, nobody has judged since.",
                ))
        }
        Some(FoundReport { valid_until: None, .. }) => {
            Err(refuse("the report does not say until when it stands".to_owned()))
        }
        _ => Ok(Exit::Done),
    }
}
