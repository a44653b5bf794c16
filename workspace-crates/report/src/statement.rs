use std::collections::{BTreeMap, BTreeSet};

use base::{Digest, VerdictKind};
use ledger::statement::{ResourceDescriptor, Statement};
use ledger::vsa::{VerificationResult, VerificationSummary, Verifier, VsaPolicy};

use crate::{EVALUATION_FILE, Error, Rendered, ReportModel};

/// Who judges: the evaluator of this project.
pub const VERIFIER_ID: &str = "https://phasegate.dev/evaluator";

/// The in-toto statement about the files of a report: a SLSA verification summary, with the ledger's
/// head and the evidence as input attestations.
///
/// The result is `PASSED` only when something was judged and every judged track advances.
///
/// # Errors
/// When a verified level is one that only SLSA may define; our own never are.
pub fn statement(
    model: &ReportModel,
    rendered: &Rendered,
    evaluation_json: &[u8],
) -> Result<Statement<VerificationSummary>, Error> {
    let mut subject =
        vec![ResourceDescriptor::sha256(EVALUATION_FILE, Digest::of(evaluation_json))];
    let files = rendered.files().into_iter();
    subject.extend(files.map(|(name, _, digest)| ResourceDescriptor::sha256(name, digest)));
    let (name, version) = model.evaluator.split_once('/').unwrap_or((&model.evaluator, ""));
    let summary = VerificationSummary {
        verifier: Verifier {
            id: VERIFIER_ID.to_owned(),
            version: BTreeMap::from([(name.to_owned(), version.to_owned())]),
        },
        time_verified: model.at,
        valid_until: model.valid_until,
        resource_uri: format!("urn:phasegate:{}:{}", model.pipeline, model.week),
        policy: VsaPolicy::sha256(format!("pipeline/{}.toml", model.pipeline), model.policy),
        input_attestations: inputs(model),
        verification_result: result(model),
        verified_levels: levels(model),
    };
    Ok(summary.into_statement(subject)?)
}

fn inputs(model: &ReportModel) -> Vec<ResourceDescriptor> {
    let findings = model.phases.iter().flat_map(|phase| &phase.tracks);
    let findings = findings.flat_map(|track| &track.findings);
    let evidence: BTreeSet<Digest> =
        findings.flat_map(|finding| finding.evidence.iter().copied()).collect();
    let ledger = [
        ResourceDescriptor::sha256("ledger genesis", model.ledger.genesis),
        ResourceDescriptor::sha256(format!("ledger entry {}", model.ledger.seq), model.ledger.head),
    ];
    let evidence =
        evidence.into_iter().map(|one| ResourceDescriptor::sha256(format!("evidence/{one}"), one));
    ledger.into_iter().chain(evidence).collect()
}

fn result(model: &ReportModel) -> VerificationResult {
    match model.verdict.kind {
        Some(VerdictKind::Advance) => VerificationResult::Passed,
        _ => VerificationResult::Failed,
    }
}

/// `PHASEGATE_PHASE_1_INTERNAL` for each track that advances.
fn levels(model: &ReportModel) -> Vec<String> {
    let advanced = model.verdict.tracks.iter().filter(|one| one.verdict == VerdictKind::Advance);
    advanced
        .map(|one| {
            let level = format!("PHASEGATE_{}_{}", one.phase, one.track);
            level.replace(['-', '.'], "_").to_uppercase()
        })
        .collect()
}
