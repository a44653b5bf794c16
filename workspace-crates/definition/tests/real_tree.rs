//! The definitions of this repository: they load, and mean what `pipelines` say.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap like tests")]

use std::path::Path;

use base::{Duration, PhaseId, PipelineId};
use definition::{Checked, Overrides, ParamValue, Pipeline, check, files};
use diagnostics::render;

fn load(overrides: &Overrides) -> Checked {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    check(&files::read(&root).unwrap(), overrides, &[])
}

fn pipeline(overrides: &Overrides) -> Pipeline {
    let checked = load(overrides);
    assert!(
        checked.diagnostics.is_empty(),
        "{}",
        render::human(&checked.diagnostics, &checked.sources, false)
    );
    let id = PipelineId::new("sequencer-prover-testnet").unwrap();
    checked.definitions.unwrap().pipelines.remove(&id).unwrap()
}

fn phase<'a>(pipeline: &'a Pipeline, id: &str) -> &'a definition::Phase {
    pipeline.phase(&PhaseId::new(id).unwrap()).unwrap()
}

fn gate<'a>(phase: &'a definition::Phase, id: &str) -> &'a definition::Gate {
    phase.gates.iter().find(|gate| gate.id.as_str() == id).unwrap()
}

#[test]
fn four_phases_have_their_numbers() {
    let pipeline = pipeline(&Overrides::default());
    let ids: Vec<&str> = pipeline.phases.iter().map(|phase| phase.id.as_str()).collect();
    assert_eq!(ids, ["phase-1", "phase-2", "phase-3", "phase-4"]);
    let sizes =
        [("phase-1", 48, 16), ("phase-2", 128, 16), ("phase-3", 128, 16), ("phase-4", 300, 128)];
    for (id, validators, committee) in sizes {
        let phase = phase(&pipeline, id);
        assert_eq!(phase.params["validators"], ParamValue::Integer(validators));
        assert_eq!(phase.network.to_json()["committee"], committee);
    }
    assert_eq!(phase(&pipeline, "phase-1").params["tps"], ParamValue::Rate(0.02));
    assert_eq!(
        phase(&pipeline, "phase-3").params["public_soak"],
        ParamValue::Duration(Duration::from_hours(168))
    );
}

#[test]
fn parameters_are_filled_in_with_their_types() {
    let pipeline = pipeline(&Overrides::default());
    let phase = phase(&pipeline, "phase-4");
    assert_eq!(
        phase.conditions["blocks"].query.value,
        "time() - max(devnet_pending_timestamp_seconds) < bool 600"
    );
    assert_eq!(
        phase.conditions["proving"].query.value,
        "max(increase(devnet_epochs_proven_total[1h])) > bool 0"
    );
    let soak = gate(phase, "internal-soak").params.to_json();
    assert_eq!(soak["stable_for"], "90h");
    assert_eq!(soak["min_load"], 1.0);
    let scraped = gate(phase, "monitoring.scraped").params.to_json();
    assert_eq!(scraped["query"], "sum(up{role=\"validator\"}) / 300");
    assert_eq!(scraped["above"], 0.95);
}

#[test]
fn a_failed_public_soak_resets_its_own_phase() {
    let pipeline = pipeline(&Overrides::default());
    for phase in &pipeline.phases {
        let expected = definition::OnFail::Reset(phase.id.clone());
        assert_eq!(gate(phase, "public-soak").on_fail, expected);
    }
}

#[test]
fn the_time_scale_shortens_durations_and_raises_rates() {
    let overrides = Overrides { time_scale: Some(36.0), ..Overrides::default() };
    let pipeline = pipeline(&overrides);
    let phase = phase(&pipeline, "phase-2");
    assert_eq!(phase.params["slot"], ParamValue::Duration(Duration::from_seconds(1)));
    assert_eq!(phase.params["internal_soak"], ParamValue::Duration(Duration::from_minutes(150)));
    assert_eq!(phase.params["tps"], ParamValue::Rate(0.1 * 36.0));
    assert_eq!(phase.params["validators"], ParamValue::Integer(128));
    assert_eq!(phase.operations[0].at, Duration::from_seconds(122 * 100));
    assert_eq!(
        phase.conditions["blocks"].query.value,
        "time() - max(devnet_pending_timestamp_seconds) < bool 16.667"
    );
}

#[test]
fn values_set_outside_reach_every_phase_and_are_not_scaled() {
    let set = [("validators", "8"), ("slot", "2s"), ("scrape_share", "0.5"), ("committee", "4")];
    let overrides = Overrides {
        set: set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        time_scale: Some(36.0),
    };
    let pipeline = pipeline(&overrides);
    for phase in &pipeline.phases {
        assert_eq!(phase.params["validators"], ParamValue::Integer(8));
        assert_eq!(phase.params["slot"], ParamValue::Duration(Duration::from_seconds(2)));
        assert_eq!(gate(phase, "monitoring.scraped").params.to_json()["above"], 0.5);
    }
}

#[test]
fn the_digest_ignores_comments_and_follows_meaning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = files::read(&root).unwrap();
    let digest = |files: &definition::Files, overrides: &Overrides| {
        let definitions = check(files, overrides, &[]).definitions.unwrap();
        definitions.pipelines.values().next().unwrap().digest().unwrap()
    };
    let path = "stages/stability/stage.toml";
    let mut commented = files.clone();
    commented.get_mut(path).unwrap().insert_str(0, "# A comment moves every location.\n\n");
    let plain = Overrides::default();
    assert_eq!(digest(&files, &plain), digest(&commented, &plain));
    let mut changed = files.clone();
    let text = changed.get_mut(path).unwrap();
    *text = text.replace("default = \"90h\"", "default = \"89h\"");
    assert_ne!(digest(&files, &plain), digest(&changed, &plain));
}
