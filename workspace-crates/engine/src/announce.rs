//! The weekly report: built, signed, kept in the ledger, written where it is published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::{Digest, Instant, PhaseId, Track};
use calendar::PlanPhase;
use definition::{EventKind, GateRef};
use gates::{Evaluation, SoakProgress};
use ledger::dsse::Envelope;
use ledger::{LedgerStore, REPORT_NAMESPACE};
use report::{
    EVALUATION_FILE, EpochEvidence, GateAnswer, Host, Input, LedgerState, NextEvent, NextStep,
    PhaseRow, TimelineEvent, TimelineItem, TrackRow,
};
use serde_json::json;

use crate::engine::Engine;
use crate::state::{Judged, PhaseState, Standing, State, verdict_of};
use crate::{EngineError, document, recompute};

/// The type of a DSSE payload that is an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A signed report: file name and bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

impl<S: LedgerStore> Engine<'_, S> {
    /// Publishes the newest evaluation, if it was not published yet.
    pub(crate) fn announce(&mut self, now: Instant) -> Result<(), EngineError> {
        let state = self.state();
        if state.is_announced() {
            return Ok(());
        }
        let Some(judged) = state.evaluations.last().cloned() else { return Ok(()) };
        let files = self.report(&state, &judged)?;
        let week = &judged.evaluation.week;
        let folder = report_folder(&state, &judged);
        if let Some(publish) = &self.setup.publish {
            write_files(&publish.join(&folder), &files)?;
        }
        let mut event = ledger::body::Event::new("announced");
        let digests: BTreeMap<&String, Digest> =
            files.iter().map(|(name, bytes)| (name, Digest::of(bytes))).collect();
        let text = format!("The report of {week} was published.");
        event.detail = json!({
            "text": text, "week": week, "evaluation": judged.seq, "folder": folder, "files": digests,
        });
        let in_ledger =
            files.into_iter().map(|(name, bytes)| (format!("reports/{folder}/{name}"), bytes));
        self.append(now, event, [], in_ledger.collect())?;
        self.happened(now, None, None, "announced", text);
        Ok(())
    }

    /// The signed report about the evaluation `judged`, as it is published.
    ///
    /// # Errors
    /// When the evaluation cannot be read or the report cannot be signed.
    pub fn report(&self, state: &State, judged: &Judged) -> Result<Files, EngineError> {
        let evaluation = document::read(self.ledger(), state, judged.seq)?;
        let model = report::model::build(&self.report_input(state, judged, &evaluation)?);
        let rendered = report::render(&model)?;
        let evaluation_json = base::canonical_json(&evaluation)?;
        let statement = report::statement(&model, &rendered, &evaluation_json)?;
        let statement = base::canonical_json(&statement)?;
        let signature = self.setup.signer.sign(REPORT_NAMESPACE, &statement)?;
        let envelope = Envelope::sign(self.setup.signer, IN_TOTO, &statement)?.to_bytes()?;
        let mut files: Files =
            rendered.files().map(|(name, bytes, _)| (name.to_owned(), bytes.to_vec())).into();
        files.insert(EVALUATION_FILE.to_owned(), evaluation_json);
        files.insert("statement.json".to_owned(), statement);
        files.insert("statement.json.sig".to_owned(), signature.into_bytes());
        files.insert("statement.dsse.json".to_owned(), envelope);
        files.insert(
            "allowed_signers".to_owned(),
            self.ledger().view().roles().allowed_signers().into_bytes(),
        );
        Ok(files)
    }

    fn report_input<'i>(
        &'i self,
        state: &State,
        judged: &Judged,
        evaluation: &'i Evaluation,
    ) -> Result<Input<'i>, EngineError> {
        let view = self.ledger().view();
        let before = view.get(judged.seq.saturating_sub(1)).unwrap_or_else(|| view.genesis());
        let rows = state.phases.iter();
        Ok(Input {
            pipeline: self.setup.pipeline,
            evaluation,
            week: judged.evaluation.week.clone(),
            valid_until: self.valid_until(evaluation.at),
            phases: rows.map(|phase| self.phase_row(state, phase, evaluation)).collect(),
            answers: self.answers(state)?,
            solo: view.is_solo(),
            host: self.host(judged)?,
            ledger: LedgerState {
                genesis: view.genesis().digest,
                head: before.digest,
                seq: before.entry.seq,
            },
            timeline: self.timeline(state, evaluation.at),
            not_known: self.notes(state, evaluation),
        })
    }

    /// When the report of the next evaluation after `at` is due.
    fn valid_until(&self, at: Instant) -> Option<Instant> {
        let calendar = &self.setup.calendar;
        let next = calendar.next(EventKind::Evaluate, at)?;
        calendar.next(EventKind::Announce, next.at).map(|due| due.at)
    }

    /// What is not real about this run and about the deployments that were judged, each once.
    fn notes(&self, state: &State, evaluation: &Evaluation) -> Vec<String> {
        let judged = evaluation.phases.iter();
        let deployed = judged.filter_map(|one| {
            state.phase(&one.phase)?.track(one.track).deployment.as_ref().map(|one| &one.note)
        });
        let mut notes: Vec<String> = Vec::new();
        for note in std::iter::once(&self.setup.note).chain(deployed) {
            if !note.is_empty() && !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        notes
    }

    fn phase_row(&self, state: &State, phase: &PhaseState, evaluation: &Evaluation) -> PhaseRow {
        let standing = state.standing(&phase.id);
        let plan = self.setup.pipeline.phase(&phase.id).map(PlanPhase::of);
        let soak = |track| soak_of(evaluation, &phase.id, track);
        let track = |track: Track, required| {
            let own = phase.track(track);
            let measured = soak(track);
            TrackRow {
                deployed: own.deployment.as_ref().map(|deployed| deployed.started),
                passed: own.advanced.map(|advanced| advanced.at),
                accrued: match (own.advanced, measured) {
                    (_, Some(soak)) => Some(soak.longest_run.min(soak.required)),
                    (Some(_), None) => required,
                    (None, None) => None,
                },
                required,
            }
        };
        PhaseRow {
            phase: phase.id.clone(),
            standing: match standing {
                Standing::Locked => report::Standing::Locked,
                Standing::Ready => report::Standing::Ready,
                Standing::InternalSoak => report::Standing::Internal,
                Standing::Cleared => report::Standing::Approved,
                Standing::PublicSoak => report::Standing::Public,
                Standing::Complete => report::Standing::Complete,
            },
            state: Self::sentence(state, phase, standing),
            attempt: phase.internal.attempts,
            internal: track(Track::Internal, plan.as_ref().map(|plan| plan.internal_soak)),
            public: track(Track::Public, plan.as_ref().map(|plan| plan.public_soak)),
            next: self.next_event(state, phase, standing, evaluation.at),
        }
    }

    /// Where a phase stands in one sentence, with what blocks it.
    fn sentence(state: &State, phase: &PhaseState, standing: Standing) -> String {
        let held = match standing {
            Standing::PublicSoak | Standing::Complete => &phase.public.held,
            _ => &phase.internal.held,
        };
        let mut sentence = format!("It is {}.", standing.describe());
        if standing == Standing::Locked {
            let waits: Vec<&str> =
                state.waits_for(&phase.id).iter().map(|id| id.as_str()).collect();
            if !waits.is_empty() {
                sentence = format!("It waits until {} is released.", waits.join(", "));
            }
        }
        if let Some(reason) = held.first() {
            sentence.push(' ');
            sentence.push_str(reason);
        }
        sentence
    }

    fn next_event(
        &self,
        state: &State,
        phase: &PhaseState,
        standing: Standing,
        after: Instant,
    ) -> Option<NextEvent> {
        let calendar = &self.setup.calendar;
        let next =
            |kind, step| calendar.next(kind, after).map(|next| NextEvent { at: next.at, step });
        match standing {
            Standing::Ready => next(EventKind::Deploy, NextStep::InternalDeployment),
            Standing::InternalSoak if !phase.internal.held.is_empty() => {
                next(EventKind::Deploy, NextStep::InternalDeployment)
            }
            Standing::InternalSoak | Standing::PublicSoak => {
                next(EventKind::Evaluate, NextStep::Evaluation)
            }
            Standing::Cleared if state.incomplete_upstream(&phase.id).is_empty() => {
                next(EventKind::Release, NextStep::PublicDeployment)
            }
            Standing::Cleared | Standing::Locked | Standing::Complete => None,
        }
    }

    /// The latest outcome of each gate over all evaluations.
    fn answers(&self, state: &State) -> Result<BTreeMap<GateRef, GateAnswer>, EngineError> {
        let mut answers = BTreeMap::new();
        for judged in &state.evaluations {
            let evaluation = document::read(self.ledger(), state, judged.seq)?;
            for phase in &evaluation.phases {
                for finding in &phase.findings {
                    let gate = GateRef { phase: phase.phase.clone(), gate: finding.gate.clone() };
                    let waived = phase.waivers.iter().any(|waiver| waiver.gate == finding.gate);
                    let answer = GateAnswer { outcome: finding.outcome, waived, at: evaluation.at };
                    answers.insert(gate, answer);
                }
            }
        }
        Ok(answers)
    }

    /// What the networks ran on that were judged, by the observations that were judged.
    fn host(&self, judged: &Judged) -> Result<Host, EngineError> {
        let recorded = recompute::read(self.ledger(), judged.seq)?;
        let mut signatures = BTreeSet::new();
        for observation in recorded.inputs.sides.iter().filter_map(|side| side.observation) {
            signatures.extend(self.setup.evidence.get_record(&observation)?.origin.crypto);
        }
        let signatures: Vec<String> = signatures.into_iter().collect();
        Ok(Host {
            name: self.setup.driver.name().to_owned(),
            simulated: self.setup.driver.capabilities().virtual_time,
            signatures: match signatures.is_empty() {
                true => "not known".to_owned(),
                false => signatures.join(", "),
            },
            epoch_evidence: EpochEvidence::SignedReExecution,
        })
    }

    /// What happened, and what the plan says comes next.
    fn timeline(&self, state: &State, at: Instant) -> Vec<TimelineItem> {
        let mut items = Vec::new();
        for one in &state.history {
            let (Some(phase), Some(track)) = (&one.phase, one.track) else { continue };
            let event = match one.what.as_str() {
                "deployed" => TimelineEvent::Deployed,
                "torn-down" => TimelineEvent::Ended,
                "advance" | "hold" | "reset" => {
                    let verdict = state.evaluations.iter().rev();
                    let judged = verdict.filter(|judged| judged.seq < one.seq);
                    let verdict =
                        judged.filter_map(|judged| verdict_of(judged, phase, track)).next();
                    match verdict {
                        Some(verdict) => TimelineEvent::Evaluated(verdict),
                        None => continue,
                    }
                }
                _ => continue,
            };
            let phase = phase.clone();
            items.push(TimelineItem { at: one.at, phase, track, event, planned: false });
        }
        items.extend(self.planned(state, at));
        items
    }

    /// The next deployment of every phase that has one.
    fn planned(&self, state: &State, at: Instant) -> Vec<TimelineItem> {
        let mut planned = Vec::new();
        for phase in &state.phases {
            let standing = state.standing(&phase.id);
            let Some(next) = self.next_event(state, phase, standing, at) else { continue };
            let track = match next.step {
                NextStep::InternalDeployment => Track::Internal,
                NextStep::PublicDeployment => Track::Public,
                NextStep::Evaluation => continue,
            };
            planned.push(TimelineItem {
                at: next.at,
                phase: phase.id.clone(),
                track,
                event: TimelineEvent::Deployed,
                planned: true,
            });
        }
        planned
    }
}

fn soak_of(evaluation: &Evaluation, phase: &PhaseId, track: Track) -> Option<SoakProgress> {
    let judged = evaluation.phases.iter();
    let findings = judged
        .filter(|one| one.phase == *phase && one.track == track)
        .flat_map(|one| &one.findings);
    findings.filter_map(|finding| finding.soak.clone()).max_by_key(|soak| soak.required)
}

/// The folder of a report: its week, and for a second report of the same week its entry too.
fn report_folder(state: &State, judged: &Judged) -> String {
    let week = &judged.evaluation.week;
    let same = state.evaluations.iter().filter(|one| one.evaluation.week == *week);
    match same.count() {
        0 | 1 => week.clone(),
        _ => format!("{week}-{:06}", judged.seq),
    }
}

/// Writes each file beside its final place and renames it, so that no reader sees a torn file.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_files(folder: &Path, files: &Files) -> Result<(), EngineError> {
    let refuse = |path: PathBuf| move |source| EngineError::Write { path, source };
    std::fs::create_dir_all(folder).map_err(refuse(folder.to_owned()))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        let draft = folder.join(format!(".{name}.draft"));
        std::fs::write(&draft, bytes).map_err(refuse(draft.clone()))?;
        std::fs::rename(&draft, &path).map_err(refuse(path))?;
    }
    Ok(())
}
