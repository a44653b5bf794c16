use serde::Serialize;

use super::{Badge, Fact, GateView, verdict_badge};
use crate::model::{PhaseModel, TrackModel};
use crate::{NextStep, Standing, TrackRow, words};

/// One phase in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PhaseView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) badge: Badge,
    pub(crate) state: String,
    pub(crate) attempt: String,
    pub(crate) internal: TrackCell,
    pub(crate) public: TrackCell,
    pub(crate) next: String,
    pub(crate) tracks: Vec<TrackView>,
}

/// One track in the table of phases.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TrackCell {
    pub(crate) deployed: String,
    pub(crate) soak: String,
}

/// One judged track in words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TrackView {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) attempt: u32,
    pub(crate) badge: Badge,
    pub(crate) reasons: Vec<String>,
    pub(crate) subject: Vec<Fact>,
    pub(crate) gates: Vec<GateView>,
}

impl PhaseView {
    pub(super) fn of(phase: &PhaseModel) -> Self {
        Self {
            id: phase.phase.to_string(),
            name: phase.name.clone(),
            title: phase.title.clone(),
            summary: phase.summary.clone(),
            badge: standing(phase.standing),
            state: phase.state.clone(),
            attempt: if phase.attempt == 0 { "–".into() } else { phase.attempt.to_string() },
            internal: cell(&phase.internal),
            public: cell(&phase.public),
            next: next(phase),
            tracks: phase.tracks.iter().map(|one| track(phase, one)).collect(),
        }
    }
}

fn standing(standing: Standing) -> Badge {
    match standing {
        Standing::Locked => Badge { class: "none", label: "Locked" },
        Standing::Ready => Badge { class: "none", label: "Ready" },
        Standing::Internal => Badge { class: "running", label: "Internal" },
        Standing::Approved => Badge { class: "running", label: "To be released" },
        Standing::Public => Badge { class: "running", label: "Public" },
        Standing::Complete => Badge { class: "pass", label: "Complete" },
    }
}

fn cell(track: &TrackRow) -> TrackCell {
    let soak = match (track.accrued, track.required) {
        (Some(accrued), Some(required)) => {
            format!("{} of {}", words::length(accrued), words::length(required))
        }
        (None, Some(required)) => format!("{} to do", words::length(required)),
        _ => String::new(),
    };
    let deployed = track.deployed.map_or_else(|| "not yet".to_owned(), words::day);
    TrackCell { deployed, soak }
}

fn next(phase: &PhaseModel) -> String {
    let Some(next) = phase.next else { return "–".to_owned() };
    let what = match next.step {
        NextStep::Evaluation => "Evaluation",
        NextStep::PublicDeployment => "Public deployment",
        NextStep::InternalDeployment => "Internal deployment",
    };
    format!("{what}, {}", words::day(next.at))
}

fn track(phase: &PhaseModel, track: &TrackModel) -> TrackView {
    let id = format!("{}-{}", phase.phase, track.track);
    TrackView {
        name: words::track(track.track),
        attempt: track.attempt,
        badge: verdict_badge(track.verdict),
        reasons: track.reasons.clone(),
        subject: subject(track),
        gates: track.findings.iter().map(|finding| GateView::of(&id, finding)).collect(),
        id,
    }
}

fn subject(track: &TrackModel) -> Vec<Fact> {
    let Some(subject) = &track.subject else {
        return vec![Fact { name: "Network".into(), value: "nothing is deployed".into() }];
    };
    let fact = |name: String, value: String| Fact { name, value };
    let mut facts = vec![fact("Network".into(), subject.network.to_string())];
    let versions = subject.versions.iter();
    facts.extend(
        versions.map(|(name, version)| fact(format!("Version of {name}"), version.clone())),
    );
    let artifacts = subject.artifacts.iter();
    facts.extend(
        artifacts.map(|(name, digest)| fact(format!("Artifact {name}"), digest.to_string())),
    );
    facts.push(fact("Configuration".into(), subject.configuration.to_string()));
    facts
}
