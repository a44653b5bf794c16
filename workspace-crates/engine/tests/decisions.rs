//! Laws of the decision function, over random programmes that go through random weeks.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use base::{Digest, NetworkId, PhaseId, Track, VerdictKind};
use calendar::Calendar;
use common::{World, phase, pins, when};
use definition::Pipeline;
use engine::EVALUATOR;
use engine::decide::{self, Move, Transition};
use engine::state::{Standing, State};
use gates::{Evaluation, PhaseEvaluation};
use ledger::body::{self, Body, EvaluationRef, Event};
use ledger::{Entry, Roles};
use proptest::prelude::*;
use serde_json::json;

const TRACKS: [Track; 2] = [Track::Internal, Track::Public];

/// A programme without ledger: entries are applied as the engine would write them.
struct Programme {
    pipeline: Pipeline,
    calendar: Calendar,
    entries: Vec<Entry>,
}

impl Programme {
    /// Five phases; bit `n` of a mask says whether the phase waits for the phase `n` before it.
    fn new(masks: &[u8]) -> Self {
        let world = World::new();
        let mut pipeline = world.pipeline().clone();
        let model = pipeline.phases[0].clone();
        let id = |index: usize| phase(&format!("p{index}"));
        pipeline.phases = masks
            .iter()
            .enumerate()
            .map(|(index, mask)| definition::Phase {
                id: id(index),
                after: (0..index).filter(|at| mask >> at & 1 == 1).map(id).collect(),
                ..model.clone()
            })
            .collect();
        Self { pipeline, calendar: world.calendar(), entries: Vec::new() }
    }

    fn state(&self) -> State {
        let digest = |entry: &Entry| Digest::of(&entry.seq.to_le_bytes());
        State::fold(&self.pipeline, self.entries.iter().map(|entry| (entry, digest(entry))))
    }

    fn append(&mut self, body: impl Into<Body>) {
        self.entries.push(Entry {
            ledger: None,
            network: NetworkId::new("demo").unwrap(),
            seq: self.entries.len() as u64,
            prev: None,
            time: when(1, "thu"),
            pins: pins(),
            evidence: BTreeSet::new(),
            body: body.into(),
        });
    }

    fn event(&mut self, what: &str, phase: &PhaseId, track: Track, id: &str) {
        let mut event = Event::new(what);
        (event.phase, event.track) = (Some(phase.clone()), Some(track));
        event.deployment = Some(id.parse().unwrap());
        event.subject = Some(base::Subject {
            network: NetworkId::new("demo").unwrap(),
            artifacts: Default::default(),
            configuration: Digest::default(),
            versions: Default::default(),
        });
        event.detail = json!({});
        self.append(event);
    }

    fn take_down(&mut self, ids: &[String]) {
        let state = self.state();
        let live: Vec<_> = state
            .live()
            .map(|(phase, track, deployed)| (phase.clone(), track, deployed.id.to_string()))
            .filter(|(_, _, id)| ids.contains(id))
            .collect();
        for (phase, track, id) in live {
            self.event("torn-down", &phase, track, &id);
        }
    }

    /// Makes `moves` and tells which deployments they were.
    fn make(&mut self, moves: Vec<Move>) -> Vec<(PhaseId, Track)> {
        let mut made = Vec::new();
        for one in moves {
            let Move::Deploy { phase, track, attempt, replaces } = one else { continue };
            self.take_down(&replaces.map(|id| id.to_string()).into_iter().collect::<Vec<_>>());
            self.event("deployed", &phase, track, &format!("{phase}.{track}.{attempt}"));
            made.push((phase, track));
        }
        made
    }

    /// An evaluation that gives the open tracks verdicts as `choices` say.
    fn judge(&mut self, choices: &[u8]) -> Evaluation {
        let state = self.state();
        let open = decide::open_tracks(&state);
        let phases = open.into_iter().zip(choices).map(|((phase, track), choice)| {
            let upstream =
                state.phases.iter().filter(|one| state.downstream(&one.id).contains(&phase));
            let targets: Vec<PhaseId> = upstream.map(|one| one.id.clone()).collect();
            let verdict = match choice % 8 {
                0 => VerdictKind::Reset,
                1 | 2 => VerdictKind::Hold,
                _ => VerdictKind::Advance,
            };
            PhaseEvaluation {
                phase,
                track,
                attempt: 1,
                subject: None,
                verdict,
                reset_to: Some(targets[usize::from(*choice) / 8 % targets.len()].clone()),
                reasons: vec!["A reason.".to_owned()],
                waivers: Vec::new(),
                findings: Vec::new(),
            }
        });
        Evaluation {
            schema: 1,
            evaluator: EVALUATOR.to_owned(),
            pipeline: self.pipeline.id.clone(),
            policy: Digest::default(),
            at: when(1, "mon"),
            phases: phases.collect(),
        }
    }

    fn transitions(&self, evaluation: &Evaluation) -> Vec<Transition> {
        decide::transitions(&self.pipeline, &self.state(), &self.calendar, evaluation)
    }

    fn take(&mut self, transition: Transition) {
        let evaluation = EvaluationRef { seq: 0, digest: Digest::default() };
        match transition {
            Transition::Advance { phase, track, reason } => {
                let (from, to) = (String::new(), String::new());
                self.append(body::Advance {
                    phase: phase.clone(),
                    track,
                    from,
                    to,
                    evaluation,
                    proposal: None,
                    reason,
                });
                let state = self.state();
                let live =
                    state.phase(&phase).unwrap().track(track).live().map(|one| one.id.to_string());
                self.take_down(&live.into_iter().collect::<Vec<_>>());
            }
            Transition::Hold { phase, track, reasons } => {
                self.append(body::Hold { phase, track, evaluation, reasons });
            }
            Transition::Reset { phase, track, to, reason, revokes, takes_down } => {
                let ids: Vec<String> = takes_down.iter().map(ToString::to_string).collect();
                self.take_down(&ids);
                self.append(body::Reset { phase, track, to, reason, revokes });
            }
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let state = self.state();
        for one in &state.phases {
            let before = |allowed: fn(Standing) -> bool| {
                one.after.iter().all(|upstream| allowed(state.standing(upstream)))
            };
            match state.standing(&one.id) {
                Standing::PublicSoak | Standing::Complete => {
                    assert!(before(|standing| standing == Standing::Complete), "{}", one.id);
                }
                Standing::InternalSoak | Standing::Cleared | Standing::Ready => {
                    assert!(before(Standing::is_released), "{}", one.id);
                }
                Standing::Locked => assert!(!before(Standing::is_released), "{}", one.id),
            }
            for track in TRACKS.map(|track| one.track(track)) {
                assert!(track.advanced.is_none() || track.live().is_none(), "{}", one.id);
            }
        }
    }
}

fn advances(transitions: &[Transition]) -> BTreeSet<(PhaseId, Track)> {
    let each = transitions.iter().filter_map(|one| match one {
        Transition::Advance { phase, track, .. } => Some((phase.clone(), *track)),
        _ => None,
    });
    each.collect()
}

/// A reset takes exactly the phases from its target on: all of their advances and networks, and
/// nothing of others.
fn check_reset(state: &State, reset: &Transition) {
    let Transition::Reset { to, revokes, takes_down, .. } = reset else { return };
    let affected: BTreeSet<PhaseId> = state.downstream(to).into_iter().collect();
    for one in &state.phases {
        if one.after.iter().any(|upstream| affected.contains(upstream)) {
            assert!(affected.contains(&one.id), "{} depends on what is reset", one.id);
        }
        for track in TRACKS.map(|track| one.track(track)) {
            let is_affected = affected.contains(&one.id);
            let advanced = track.advanced.map(|advanced| revokes.contains(&advanced.seq));
            assert!(advanced.is_none_or(|revoked| revoked == is_affected), "{}", one.id);
            let live = track.live().map(|live| takes_down.contains(&live.id));
            assert!(live.is_none_or(|taken| taken == is_affected), "{}", one.id);
        }
    }
}

fn check_after_reset(state: &State, to: &PhaseId) {
    for id in state.downstream(to) {
        let one = state.phase(&id).unwrap();
        for track in TRACKS.map(|track| one.track(track)) {
            assert!(track.advanced.is_none() && track.deployment.is_none(), "{id} survived");
            assert!(!track.held.is_empty(), "{id} does not say why");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_weeks_keep_the_laws(
        masks in proptest::collection::vec(any::<u8>(), 1..6),
        weeks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 10), 1..10),
    ) {
        let mut programme = Programme::new(&masks);
        for choices in weeks {
            let state = programme.state();
            let moves = decide::deployments(
                &programme.pipeline, &state, &programme.calendar, when(1, "thu"),
            );
            for (phase, _) in programme.make(moves) {
                prop_assert!(state.waits_for(&phase).is_empty());
            }
            programme.check();

            let evaluation = programme.judge(&choices);
            let transitions = programme.transitions(&evaluation);
            // One more hold never lets anything advance that did not advance without it.
            for at in 0..evaluation.phases.len() {
                let mut held = evaluation.clone();
                if held.phases[at].verdict != VerdictKind::Advance {
                    continue;
                }
                held.phases[at].verdict = VerdictKind::Hold;
                let mut fewer = advances(&transitions);
                fewer.remove(&(held.phases[at].phase.clone(), held.phases[at].track));
                prop_assert_eq!(advances(&programme.transitions(&held)), fewer);
            }
            for transition in transitions {
                let before = programme.state();
                check_reset(&before, &transition);
                let target = match &transition {
                    Transition::Reset { to, .. } => Some(to.clone()),
                    _ => None,
                };
                programme.take(transition);
                if let Some(to) = target {
                    check_after_reset(&programme.state(), &to);
                }
            }
            programme.check();

            let state = programme.state();
            let moves = decide::releases(&state, &programme.calendar, when(1, "tue"));
            for (phase, track) in programme.make(moves) {
                prop_assert_eq!(track, Track::Public);
                prop_assert!(state.incomplete_upstream(&phase).is_empty());
            }
            programme.check();
        }
    }

    #[test]
    fn nothing_advances_in_a_freeze_and_resets_are_not_closed(
        choices in proptest::collection::vec(any::<u8>(), 10),
    ) {
        let mut programme = Programme::new(&[0, 0, 0, 0, 0]);
        let state = programme.state();
        let moves = decide::deployments(
            &programme.pipeline, &state, &programme.calendar, when(1, "thu"),
        );
        programme.make(moves);
        let evaluation = programme.judge(&choices);
        let free = programme.transitions(&evaluation);
        programme.calendar = World::frozen(r#"["deploy", "advance", "release"]"#).calendar();
        let frozen = programme.transitions(&evaluation);
        prop_assert!(advances(&frozen).is_empty());
        let resets = |all: &[Transition]| -> Vec<Transition> {
            all.iter().filter(|one| matches!(one, Transition::Reset { .. })).cloned().collect()
        };
        prop_assert_eq!(resets(&frozen), resets(&free));
    }
}

#[test]
fn a_phase_that_passes_internally_waits_until_those_before_it_are_complete() {
    let mut programme = Programme::new(&[0, 1]);
    let deploy = |programme: &mut Programme| {
        let state = programme.state();
        let moves =
            decide::deployments(&programme.pipeline, &state, &programme.calendar, when(1, "thu"));
        programme.make(moves)
    };
    let judge = |programme: &mut Programme, choices: &[u8]| {
        let evaluation = programme.judge(choices);
        programme.transitions(&evaluation).into_iter().for_each(|one| programme.take(one));
    };
    let (first, second) = (phase("p0"), phase("p1"));
    assert_eq!(deploy(&mut programme), [(first.clone(), Track::Internal)]);
    judge(&mut programme, &[7]);
    let release = decide::releases(&programme.state(), &programme.calendar, when(1, "tue"));
    assert_eq!(programme.make(release), [(first.clone(), Track::Public)]);
    assert_eq!(deploy(&mut programme), [(second.clone(), Track::Internal)]);
    // The public track of the first is held, the second passes.
    judge(&mut programme, &[1, 7]);
    let release = decide::releases(&programme.state(), &programme.calendar, when(2, "tue"));
    assert_eq!(
        release,
        [Move::Refuse {
            phase: second,
            track: Track::Public,
            reason: "p0 is not complete in public yet.".to_owned(),
        }]
    );
}

#[test]
fn what_a_later_phase_resets_does_not_advance_in_the_same_evaluation() {
    let mut programme = Programme::new(&[0, 1, 2]);
    let (first, second, third) = (phase("p0"), phase("p1"), phase("p2"));
    for (id, track) in
        [(&first, Track::Public), (&second, Track::Public), (&third, Track::Internal)]
    {
        programme.event("deployed", id, track, &format!("{id}.{track}.1"));
    }
    let mut evaluation = programme.judge(&[7, 7, 7]);
    assert_eq!(advances(&programme.transitions(&evaluation)).len(), 3);
    // The third phase finds a fault of the second: the first one is not concerned.
    evaluation.phases[2].verdict = VerdictKind::Reset;
    evaluation.phases[2].reset_to = Some(second.clone());
    let transitions = programme.transitions(&evaluation);
    assert_eq!(advances(&transitions), [(first.clone(), Track::Public)].into());
    assert_eq!(transitions.len(), 2);
    // Of two resets within each other the one that goes back furthest counts.
    evaluation.phases[1].verdict = VerdictKind::Reset;
    evaluation.phases[1].reset_to = Some(first.clone());
    let transitions = programme.transitions(&evaluation);
    assert!(
        matches!(&transitions[..], [Transition::Reset { phase, to, .. }] if *phase == second && *to == first),
        "{transitions:#?}"
    );
}

#[test]
fn entries_of_another_kind_do_not_move_anything() {
    let mut programme = Programme::new(&[0]);
    let before = programme.state();
    let roles = Roles {
        version: 2,
        policy: Default::default(),
        principals: Vec::new(),
        roles: Default::default(),
    };
    programme.append(body::RolesChange { roles, distrust: Vec::new(), proposal: None });
    programme.append(Event::new("drill"));
    programme.event("drill", &phase("p0"), Track::Internal, "p0.internal.1");
    programme.event("deployed", &phase("unknown"), Track::Internal, "unknown.internal.1");
    assert_eq!(programme.state().phases, before.phases);
}
