//! Pictures of a pipeline: Mermaid text, and a self-contained SVG without script.

mod mermaid;
mod svg;

use base::Track;

use crate::model::{Phase, Pipeline, Side};

pub use mermaid::mermaid;
pub use svg::svg;

/// The tracks that a phase has: both when it runs a network, otherwise those with gates.
fn tracks(phase: &Phase) -> Vec<Track> {
    let has = |track| phase.gates.iter().any(|gate| gate.track == track);
    let found: Vec<Track> = [Track::Internal, Track::Public]
        .into_iter()
        .filter(|track| !phase.network.is_empty() || has(*track))
        .collect();
    if found.is_empty() { vec![Track::Internal] } else { found }
}

/// What guards a track: `1 entry gate, 6 exit gates`.
fn describe(phase: &Phase, track: Track) -> String {
    let count = |side, word: &str| {
        let number = phase.gates_on(track, side).count();
        let gates = if number == 1 { "gate" } else { "gates" };
        (number > 0).then(|| format!("{number} {word} {gates}"))
    };
    let parts: Vec<String> =
        [count(Side::Entry, "entry"), count(Side::Exit, "exit")].into_iter().flatten().collect();
    if parts.is_empty() { "no gates".to_owned() } else { parts.join(", ") }
}

/// The position of each phase that `phase` waits for.
fn upstream<'a>(pipeline: &'a Pipeline, phase: &'a Phase) -> impl Iterator<Item = usize> + 'a {
    phase.after.iter().filter_map(|id| pipeline.phases.iter().position(|it| it.id == *id))
}
