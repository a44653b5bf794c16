//! Named faults for rehearsals: what goes wrong, where by default, and which gate must notice.

use base::{Duration, PhaseId, Track};
use definition::Pipeline;
use devnet::{NetworkAction, NetworkSpec, Role, ScheduledAction, Targets};
use engine::{Change, PlannedFault};

use crate::exit::Exit;
use crate::failure::Failure;

/// A fault that `rehearse --fault` knows.
pub struct Fault {
    /// Its name.
    pub name: &'static str,
    /// What goes wrong, in one sentence.
    pub about: &'static str,
    /// Where it happens when nothing else is said.
    pub place: (&'static str, Track, u32),
    /// Hours after the start of the deployment when nothing else is said; not used by faults of
    /// the configuration.
    pub at_hours: i64,
    /// The gate that must notice it, within its phase.
    pub gate: &'static str,
    /// What changes.
    kind: Kind,
}

enum Kind {
    Inject(fn() -> NetworkAction),
    Configure(fn(&mut NetworkSpec)),
    Omit(&'static str),
}

fn share(role: Role, share: f64) -> Targets {
    Targets { role: Some(role), share: Some(share), ..Targets::default() }
}

/// Every fault, in the order of the help.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "stall",
        about: "Proposers stop for three hours in the second weekend.",
        place: ("phase-2", Track::Internal, 1),
        at_hours: 40,
        gate: "internal-soak",
        kind: Kind::Inject(|| NetworkAction::Stall { duration: Duration::from_hours(3) }),
    },
    Fault {
        name: "crash",
        about: "Half of the validators of the public network die and stay down for six hours.",
        place: ("phase-1", Track::Public, 1),
        at_hours: 50,
        gate: "public-soak",
        kind: Kind::Inject(|| NetworkAction::Kill {
            targets: share(Role::Validator, 0.5),
            duration: Some(Duration::from_hours(6)),
        }),
    },
    Fault {
        name: "kill-quarter",
        about: "A quarter of the validators dies over the weekend and does not come back.",
        place: ("phase-1", Track::Internal, 1),
        at_hours: 30,
        gate: "health",
        kind: Kind::Inject(|| NetworkAction::Kill {
            targets: share(Role::Validator, 0.25),
            duration: None,
        }),
    },
    Fault {
        name: "prover-outage",
        about: "All provers are down for eight hours.",
        place: ("phase-1", Track::Internal, 1),
        at_hours: 40,
        gate: "internal-soak",
        kind: Kind::Inject(|| NetworkAction::ProverOutage { duration: Duration::from_hours(8) }),
    },
    Fault {
        name: "partition",
        about: "Half of the validators is cut off for three hours.",
        place: ("phase-2", Track::Internal, 1),
        at_hours: 48,
        gate: "internal-soak",
        kind: Kind::Inject(|| NetworkAction::Partition {
            targets: share(Role::Validator, 0.5),
            duration: Duration::from_hours(3),
        }),
    },
    Fault {
        name: "exporter-silent",
        about: "Half of the validators export nothing for two days, although they live.",
        place: ("phase-1", Track::Internal, 1),
        at_hours: 20,
        gate: "monitoring.scraped",
        kind: Kind::Inject(|| NetworkAction::ExporterDown {
            targets: share(Role::Validator, 0.5),
            duration: Duration::from_hours(48),
        }),
    },
    Fault {
        name: "update-cut-off",
        about: "A quarter of the validators is cut off during the client update and cannot resync.",
        place: ("phase-2", Track::Public, 1),
        at_hours: 122,
        gate: "client-update",
        kind: Kind::Inject(|| NetworkAction::Partition {
            targets: share(Role::Validator, 0.25),
            duration: Duration::from_hours(12),
        }),
    },
    Fault {
        name: "kill-sixth",
        about: "A sixth of the validators dies early in the second weekend, so blocks come more slowly.",
        place: ("phase-2", Track::Internal, 1),
        at_hours: 1,
        gate: "block-interval",
        kind: Kind::Inject(|| NetworkAction::Kill {
            targets: share(Role::Validator, 0.17),
            duration: None,
        }),
    },
    Fault {
        name: "capped-blocks",
        about: "Users offer less than the phase asks for, so the blocks carry too little.",
        place: ("phase-2", Track::Internal, 1),
        at_hours: 0,
        gate: "throughput",
        kind: Kind::Configure(|spec| spec.max_txs_per_block = 3),
    },
    Fault {
        name: "governance-stuck",
        about: "Nobody proposes the governance upgrade.",
        place: ("phase-2", Track::Public, 1),
        at_hours: 0,
        gate: "governance-upgrade",
        kind: Kind::Omit("governance-upgrade"),
    },
    Fault {
        name: "external-provers-absent",
        about: "No external prover joins.",
        place: ("phase-4", Track::Public, 1),
        at_hours: 0,
        gate: "external-provers",
        kind: Kind::Configure(|spec| spec.external_provers = 0),
    },
    Fault {
        name: "l1-reorg-missing",
        about: "The drill with the L1 reorg is never run.",
        place: ("phase-3", Track::Internal, 1),
        at_hours: 0,
        gate: "l1-reorg",
        kind: Kind::Omit("l1-reorg"),
    },
    Fault {
        name: "blobs-absent",
        about: "Nothing is changed: the reference network has no blobs yet, and the gate says so.",
        place: ("phase-3", Track::Internal, 1),
        at_hours: 0,
        gate: "blob-da",
        kind: Kind::Configure(|_| {}),
    },
];

/// The faults in one text for `--help`.
pub fn help() -> String {
    let mut text = String::from("Faults for --fault NAME[@PHASE.TRACK.ATTEMPT][+DURATION]:\n");
    for fault in FAULTS {
        let (phase, track, attempt) = fault.place;
        text.push_str(&format!(
            "  {:<24} {}\n  {:<24} default: {phase}.{track}.{attempt}+{}h; noticed by `{}`\n",
            fault.name, fault.about, "", fault.at_hours, fault.gate
        ));
    }
    text
}

/// Reads `NAME[@PHASE.TRACK.ATTEMPT][+DURATION]`.
pub fn parse(text: &str) -> Result<PlannedFault, Failure> {
    let (rest, at) = match text.split_once('+') {
        Some((rest, at)) => (rest, Some(at)),
        None => (text, None),
    };
    let (name, place) = match rest.split_once('@') {
        Some((name, place)) => (name, Some(place)),
        None => (rest, None),
    };
    let fault = FAULTS.iter().find(|fault| fault.name == name).ok_or_else(|| {
        let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        let near = diagnostics::suggestion(name, names.iter().copied());
        Failure::new(Exit::Usage, format!("there is no fault `{name}`"))
            .hint(near.unwrap_or_else(|| format!("There are: {}.", names.join(", "))))
    })?;
    let (phase, track, attempt) = match place {
        Some(place) => parse_place(place)?,
        None => {
            let (phase, track, attempt) = fault.place;
            (phase.to_owned(), track, attempt)
        }
    };
    let at = match at {
        Some(at) => at.parse().map_err(|error| Failure::new(Exit::Usage, error))?,
        None => Duration::from_hours(fault.at_hours),
    };
    let phase = PhaseId::new(phase).map_err(|error| Failure::new(Exit::Usage, error))?;
    let change = match fault.kind {
        Kind::Inject(action) => {
            let id = format!("fault-{}", fault.name);
            Change::Inject(ScheduledAction { id, at, action: action() })
        }
        Kind::Configure(configure) => Change::Configure(configure),
        Kind::Omit(operation) => Change::Omit(operation),
    };
    Ok(PlannedFault { phase, track, attempt, change })
}

/// The fault, when `pipeline` has the place where it happens. A fault that cannot happen is
/// refused: a clean run would look as if nothing had noticed it.
pub fn fits(planned: PlannedFault, pipeline: &Pipeline) -> Result<PlannedFault, Failure> {
    let Some(phase) = pipeline.phase(&planned.phase) else {
        let known: Vec<&str> = pipeline.phases.iter().map(|one| one.id.as_str()).collect();
        let message = format!("`{}` has no phase `{}` for the fault", pipeline.id, planned.phase);
        return Err(Failure::new(Exit::Usage, message).hint(format!(
            "Say where with NAME@PHASE.TRACK, such as @{}.internal; there are: {}.",
            known.first().copied().unwrap_or_default(),
            known.join(", ")
        )));
    };
    if let Change::Omit(operation) = &planned.change {
        let mut own = phase.operations.iter().filter(|one| one.track == planned.track);
        if !own.any(|one| one.id.as_str() == *operation) {
            let message = format!(
                "{} {} has no operation `{operation}` to leave out",
                phase.id, planned.track
            );
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    Ok(planned)
}

fn parse_place(place: &str) -> Result<(String, Track, u32), Failure> {
    let bad = || {
        Failure::new(Exit::Usage, format!("`{place}` is not a place for a fault"))
            .hint("Write PHASE.TRACK or PHASE.TRACK.ATTEMPT, such as phase-2.internal or phase-1.public.2.")
    };
    let parts: Vec<&str> = place.split('.').collect();
    let track = match parts.get(1).copied() {
        Some("internal") => Track::Internal,
        Some("public") => Track::Public,
        _ => return Err(bad()),
    };
    let attempt = match parts.as_slice() {
        [_, _] => 1,
        [_, _, attempt] => attempt.parse().map_err(|_| bad())?,
        _ => return Err(bad()),
    };
    Ok((parts[0].to_owned(), track, attempt))
}

#[cfg(test)]
mod tests {
    use super::{FAULTS, parse};
    use base::Track;
    use engine::Change;

    #[test]
    fn every_fault_has_a_default_place_and_its_own_name() {
        for (index, fault) in FAULTS.iter().enumerate() {
            let planned = parse(fault.name).unwrap();
            assert_eq!(planned.phase.as_str(), fault.place.0);
            assert!(FAULTS[index + 1..].iter().all(|other| other.name != fault.name));
        }
    }

    #[test]
    fn every_control_of_the_shipped_programmes_exists_and_aims_at_a_gate_that_exists() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let files = definition::files::read(&root).unwrap();
        let checked = definition::check(&files, &definition::Overrides::default(), &[]);
        let definitions = checked.definitions.unwrap();
        let mut phases = definitions.pipelines.values().flat_map(|pipeline| &pipeline.phases);
        for phase in phases.clone() {
            for gate in &phase.gates {
                if let definition::Control::Defect(name) = &gate.control {
                    assert!(FAULTS.iter().any(|fault| fault.name == name), "{name}");
                }
            }
        }
        for fault in FAULTS {
            let aimed = phases.clone().filter(|phase| phase.id.as_str() == fault.place.0);
            let mut gates = aimed.flat_map(|phase| &phase.gates);
            assert!(gates.any(|gate| gate.id.as_str() == fault.gate), "{}", fault.name);
        }
        assert!(phases.next().is_some());
    }

    #[test]
    fn place_attempt_and_time_are_read() {
        let planned = parse("stall@phase-1.public.2+12h30m").unwrap();
        assert_eq!(
            (planned.phase.as_str(), planned.track, planned.attempt),
            ("phase-1", Track::Public, 2)
        );
        let Change::Inject(action) = planned.change else { panic!("not an action") };
        assert_eq!(action.at.to_string(), "12h30m");
    }

    #[test]
    fn mistakes_are_told_with_a_cure() {
        assert!(parse("stal").unwrap_err().hint.unwrap().contains("stall"));
        for bad in ["stall@phase-1", "stall@phase-1.private", "stall@a.public.x", "stall+1x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
