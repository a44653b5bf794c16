use base::{Outcome, PhaseId, Track, VerdictKind};
use gates::PhaseEvaluation;
use serde::Serialize;

use crate::{Input, NextEvent, NextStep, Standing, clean, words};

/// What was decided, in plain sentences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The most severe verdict; `None` when nothing was open.
    pub kind: Option<VerdictKind>,
    /// One sentence that says it all.
    pub sentence: String,
    /// One sentence for each judged track, in the order of the pipeline.
    pub tracks: Vec<TrackVerdict>,
}

/// What was decided about one track.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackVerdict {
    /// The phase.
    pub phase: PhaseId,
    /// The track.
    pub track: Track,
    /// What was decided.
    pub verdict: VerdictKind,
    /// The same in a sentence, with the reason and what comes next.
    pub sentence: String,
}

/// Puts the verdicts of an evaluation into words.
pub(super) fn verdict(input: &Input<'_>) -> Verdict {
    let judged = &input.evaluation.phases;
    let tracks: Vec<TrackVerdict> = judged
        .iter()
        .map(|one| TrackVerdict {
            phase: one.phase.clone(),
            track: one.track,
            verdict: one.verdict,
            sentence: sentence(input, one),
        })
        .collect();
    Verdict {
        kind: judged.iter().map(|one| one.verdict).max(),
        sentence: headline(input, &tracks),
        tracks,
    }
}

fn headline(input: &Input<'_>, tracks: &[TrackVerdict]) -> String {
    let complete = input.phases.iter().all(|row| row.standing == Standing::Complete);
    if complete && !input.phases.is_empty() {
        return format!("The programme is complete: {} have passed.", all(input.phases.len()));
    }
    match tracks {
        [] => nothing_open(input),
        [only] => only.sentence.clone(),
        _ => {
            let clauses: Vec<String> =
                input.evaluation.phases.iter().map(|one| clause(input, one)).collect();
            format!("{}.", join(&clauses))
        }
    }
}

fn all(count: usize) -> String {
    match count {
        1 => "its one phase and all of its gates".to_owned(),
        2 => "both phases".to_owned(),
        _ => format!("all {count} phases"),
    }
}

fn nothing_open(input: &Input<'_>) -> String {
    let next = input.phases.iter().filter_map(|row| Some((row.next?, row))).min_by_key(|(n, _)| *n);
    match next {
        Some((next, row)) => format!(
            "No phase was open for judgement; {} of {} is on {}.",
            step(next.step),
            words::phase_name(&row.phase).to_lowercase(),
            words::long_date(next.at)
        ),
        None => "No phase was open for judgement.".to_owned(),
    }
}

/// `A, b, and c`: clauses that are whole sentences as one.
fn join(clauses: &[String]) -> String {
    let mut joined = String::new();
    for (index, clause) in clauses.iter().enumerate() {
        match index {
            0 => joined.push_str(clause),
            _ if index + 1 == clauses.len() => {
                joined.push_str(&format!(", and {}", lower_first(clause)));
            }
            _ => joined.push_str(&format!(", {}", lower_first(clause))),
        }
    }
    joined
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(characters).collect()
}

fn next_of(input: &Input<'_>, phase: &PhaseId) -> Option<NextEvent> {
    input.phases.iter().find(|row| row.phase == *phase).and_then(|row| row.next)
}

/// What was decided about a track, without its reason.
fn clause(input: &Input<'_>, one: &PhaseEvaluation) -> String {
    let name = words::phase_name(&one.phase);
    match (one.verdict, one.track) {
        (VerdictKind::Advance, Track::Public) => format!("{name} is complete"),
        (VerdictKind::Advance, Track::Internal) => match next_of(input, &one.phase) {
            Some(NextEvent { at, step: NextStep::PublicDeployment }) => {
                format!("{name} goes public on {}", words::long_date(at))
            }
            _ => format!("{name} passes its internal gates"),
        },
        (VerdictKind::Hold, Track::Public) if !breached(one) => {
            format!("{name} goes on in public")
        }
        (VerdictKind::Hold, Track::Public) => format!("{name} is held in public"),
        (VerdictKind::Hold, Track::Internal) => format!("{name} is held"),
        (VerdictKind::Reset, _) => match &one.reset_to {
            Some(to) if *to != one.phase => {
                format!("{name} goes back to {}", lower_first(&words::phase_name(to)))
            }
            _ => format!("{name} starts again"),
        },
    }
}

/// Whether a gate that blocks fails or could not be evaluated; otherwise the track only needs time.
fn breached(one: &PhaseEvaluation) -> bool {
    let blocking = one.findings.iter().filter(|finding| !finding.advisory);
    blocking.map(|finding| finding.outcome).any(|outcome| outcome >= Outcome::Error)
}

/// What was decided about a track, with its reason and what comes next.
fn sentence(input: &Input<'_>, one: &PhaseEvaluation) -> String {
    let clause = clause(input, one);
    if one.verdict == VerdictKind::Advance {
        return format!("{clause}.");
    }
    let reason = one.reasons.first().map(|reason| clean(reason)).unwrap_or_default();
    let reason = reason.trim_end_matches('.');
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match next_of(input, &one.phase) {
        Some(next) => {
            format!("{clause}{because}; {} is on {}.", step(next.step), words::long_date(next.at))
        }
        None => format!("{clause}{because}."),
    }
}

fn step(step: NextStep) -> &'static str {
    match step {
        NextStep::Evaluation => "the next evaluation",
        NextStep::PublicDeployment => "the public deployment",
        NextStep::InternalDeployment => "the next internal deployment",
    }
}
