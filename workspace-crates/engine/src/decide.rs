//! The one decision function: what is to be done, from what is known. Pure.

use std::collections::BTreeSet;

use base::{DeploymentId, Instant, PhaseId, Track, VerdictKind};
use calendar::{Calendar, PlanPhase};
use definition::{Closable, EventKind, Pipeline};
use gates::{Evaluation, PhaseEvaluation};

use crate::state::{Standing, State};

/// What is to be done about one track of one phase at a deployment or a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Bring it up.
    Deploy {
        /// The phase.
        phase: PhaseId,
        /// The track.
        track: Track,
        /// Which attempt it is, from 1.
        attempt: u32,
        /// A deployment that has to be taken down before.
        replaces: Option<DeploymentId>,
    },
    /// Leave it, and record why.
    Refuse {
        /// The phase.
        phase: PhaseId,
        /// The track.
        track: Track,
        /// Why, as full sentences.
        reason: String,
    },
}

/// What an evaluation means for one track of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The track goes on.
    Advance {
        /// The phase.
        phase: PhaseId,
        /// The track.
        track: Track,
        /// Why.
        reason: String,
    },
    /// The track stays where it is.
    Hold {
        /// The phase.
        phase: PhaseId,
        /// The track.
        track: Track,
        /// Why.
        reasons: Vec<String>,
    },
    /// The programme goes back.
    Reset {
        /// The phase whose gate failed.
        phase: PhaseId,
        /// Its track.
        track: Track,
        /// Where the programme starts again.
        to: PhaseId,
        /// Why.
        reason: String,
        /// Advances that no longer count.
        revokes: Vec<u64>,
        /// Deployments that have to be taken down.
        takes_down: Vec<DeploymentId>,
    },
}

/// Internal deployments at `at`: every phase whose turn it is, in the pipeline's order.
///
/// A phase is deployed when all phases before it are released, and it has not passed internally.
/// A held deployment is replaced by a fresh one. One that can no longer finish its soak before the
/// next evaluation is refused with the arithmetic.
#[must_use]
pub fn deployments(
    pipeline: &Pipeline,
    state: &State,
    calendar: &Calendar,
    at: Instant,
) -> Vec<Move> {
    let mut moves = Vec::new();
    for phase in &state.phases {
        let standing = state.standing(&phase.id);
        let held = standing == Standing::InternalSoak && !phase.internal.held.is_empty();
        if !(standing == Standing::Ready || held) {
            continue;
        }
        let (id, track) = (phase.id.clone(), Track::Internal);
        moves.push(match refusal(pipeline, &phase.id, calendar, at) {
            Some(reason) => Move::Refuse { phase: id, track, reason },
            None => Move::Deploy {
                phase: id,
                track,
                attempt: phase.internal.attempts + 1,
                replaces: phase.internal.live().map(|live| live.id.clone()),
            },
        });
    }
    moves
}

/// Why an internal deployment at `at` makes no sense; `None` when it does.
#[must_use]
pub fn refusal(
    pipeline: &Pipeline,
    phase: &PhaseId,
    calendar: &Calendar,
    at: Instant,
) -> Option<String> {
    if let Some(freeze) = calendar.closed(Closable::Deploy, at) {
        return Some(format!("Deployments are frozen (`{}`): {}", freeze.id, freeze.reason));
    }
    let need = PlanPhase::of(pipeline.phase(phase)?);
    let Some(evaluation) = calendar.next(EventKind::Evaluate, at) else {
        return Some("The calendar has no evaluation after this.".to_owned());
    };
    let feasibility = calendar.feasible(at, need.warm_up, need.internal_soak, evaluation.at);
    (!feasibility.is_possible()).then_some(feasibility.arithmetic)
}

/// Public deployments at `at`: every phase that is cleared.
#[must_use]
pub fn releases(state: &State, calendar: &Calendar, at: Instant) -> Vec<Move> {
    let cleared =
        state.phases.iter().filter(|phase| state.standing(&phase.id) == Standing::Cleared);
    cleared
        .map(|phase| {
            let (id, track) = (phase.id.clone(), Track::Public);
            if let Some(freeze) = calendar.closed(Closable::Release, at) {
                let reason = format!("Releases are frozen (`{}`): {}", freeze.id, freeze.reason);
                return Move::Refuse { phase: id, track, reason };
            }
            let open = state.incomplete_upstream(&phase.id);
            if !open.is_empty() {
                let reason = format!("{} is not complete in public yet.", list(&open));
                return Move::Refuse { phase: id, track, reason };
            }
            let attempt = phase.public.attempts + 1;
            Move::Deploy { phase: id, track, attempt, replaces: None }
        })
        .collect()
}

/// The transitions that follow from `evaluation`, in the pipeline's order.
///
/// A reset revokes what depended on it: phases from its target on take no transition of their own,
/// not even one that comes before the reset in the pipeline. Of resets that lie within each other
/// the one that goes back furthest counts.
#[must_use]
pub fn transitions(
    pipeline: &Pipeline,
    state: &State,
    calendar: &Calendar,
    evaluation: &Evaluation,
) -> Vec<Transition> {
    let ordered = pipeline
        .phases
        .iter()
        .flat_map(|phase| evaluation.phases.iter().filter(|judged| judged.phase == phase.id));
    let targets: BTreeSet<&PhaseId> = evaluation.phases.iter().filter_map(target).collect();
    let undone = |phase: &PhaseId| {
        targets.iter().any(|to| *to != phase && state.downstream(to).contains(phase))
    };
    let mut transitions = Vec::new();
    let mut reset: BTreeSet<&PhaseId> = BTreeSet::new();
    for judged in ordered {
        let counts = match target(judged) {
            Some(to) => !undone(to) && reset.insert(to),
            None => !undone(&judged.phase) && !targets.contains(&judged.phase),
        };
        if counts {
            transitions.push(transition(state, calendar, evaluation.at, judged));
        }
    }
    transitions
}

/// Where the programme starts again, when the verdict is a reset.
fn target(judged: &PhaseEvaluation) -> Option<&PhaseId> {
    (judged.verdict == VerdictKind::Reset)
        .then(|| judged.reset_to.as_ref().unwrap_or(&judged.phase))
}

fn transition(
    state: &State,
    calendar: &Calendar,
    at: Instant,
    judged: &PhaseEvaluation,
) -> Transition {
    let (phase, track) = (judged.phase.clone(), judged.track);
    match judged.verdict {
        VerdictKind::Advance => match calendar.closed(Closable::Advance, at) {
            Some(freeze) => Transition::Hold {
                phase,
                track,
                reasons: vec![format!(
                    "Every gate passes, but advances are frozen (`{}`): {}",
                    freeze.id, freeze.reason
                )],
            },
            None => Transition::Advance { phase, track, reason: judged.reasons.join(" ") },
        },
        VerdictKind::Hold => Transition::Hold { phase, track, reasons: judged.reasons.clone() },
        VerdictKind::Reset => {
            let to = judged.reset_to.clone().unwrap_or_else(|| phase.clone());
            let reason = judged.reasons.join(" ");
            reset(state, phase, track, to, reason)
        }
    }
}

/// The reset of `phase` to `to`, with everything that it revokes and takes down.
#[must_use]
pub fn reset(
    state: &State,
    phase: PhaseId,
    track: Track,
    to: PhaseId,
    reason: String,
) -> Transition {
    let affected: BTreeSet<PhaseId> = state.downstream(&to).into_iter().collect();
    let mut revokes: Vec<u64> = state
        .phases
        .iter()
        .filter(|state| affected.contains(&state.id))
        .flat_map(|state| [state.internal.advanced, state.public.advanced])
        .flatten()
        .map(|advanced| advanced.seq)
        .collect();
    // An advance of a phase that the pipeline has no more would hold everything for good.
    let voids = state
        .to_revoke
        .iter()
        .filter(|(_, phase)| affected.contains(phase) || state.phase(phase).is_none());
    revokes.extend(voids.map(|(seq, _)| seq));
    revokes.sort_unstable();
    let takes_down = state
        .live()
        .filter(|(phase, _, _)| affected.contains(phase))
        .map(|(_, _, deployed)| deployed.id.clone())
        .collect();
    Transition::Reset { phase, track, to, reason, revokes, takes_down }
}

/// The tracks that are open at an evaluation: what is deployed and has not advanced.
#[must_use]
pub fn open_tracks(state: &State) -> Vec<(PhaseId, Track)> {
    let mut open = Vec::new();
    for phase in &state.phases {
        match state.standing(&phase.id) {
            Standing::InternalSoak => open.push((phase.id.clone(), Track::Internal)),
            Standing::PublicSoak => open.push((phase.id.clone(), Track::Public)),
            Standing::Locked | Standing::Ready | Standing::Cleared | Standing::Complete => {}
        }
    }
    open
}

fn list(phases: &[&PhaseId]) -> String {
    phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(", ")
}
