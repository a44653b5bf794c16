//! Networks and operations as definitions write them.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use base::{Duration, NetworkId, Track};
use definition::{Operation, Params};
use deployment::{network_spec, scheduled_action};
use devnet::NetworkAction;
use diagnostics::{Diagnostic, Location, SourceMap, codes};

/// Code, line and column, and message of each problem.
fn described(text: &str, problems: &[Diagnostic]) -> Vec<(String, String, String)> {
    let mut sources = SourceMap::default();
    sources.insert("params", text);
    let place = |problem: &Diagnostic| sources.describe(problem.primary.as_ref().unwrap());
    problems.iter().map(|p| (p.code.to_owned(), place(p), p.message.clone())).collect()
}

fn refused(text: &str) -> Vec<(String, String, String)> {
    let params = Params::from_toml(text).unwrap();
    let id = NetworkId::new("phase-1").unwrap();
    described(text, &network_spec(&params, &id, 7).unwrap_err())
}

#[test]
fn a_network_gets_its_name_and_seed_from_the_deployment() {
    let params = Params::from_toml("validators = 128\nload_tps = 1\nslot = \"36s\"").unwrap();
    let spec = network_spec(&params, &NetworkId::new("phase-2").unwrap(), 7).unwrap();
    assert_eq!((spec.network.as_str(), spec.seed, spec.validators), ("phase-2", 7, 128));
    assert_eq!(spec.load_tps, 1.0);
    let own = refused("seed = 1\nvalidators = 4");
    assert_eq!((own[0].0.as_str(), own[0].1.as_str()), (codes::UNKNOWN_KEY, "params:1:8"));
}

#[test]
fn every_impossible_value_is_reported_where_it_stands() {
    let problems = refused("validators = 10\ncommittee = 11\nepoch_slots = 0\n");
    let places: Vec<_> = problems.iter().map(|(code, place, _)| (&**code, &**place)).collect();
    assert!(places.contains(&(codes::BAD_NETWORK, "params:2:13")), "{problems:?}");
    assert!(places.contains(&(codes::BAD_NETWORK, "params:3:15")), "{problems:?}");
    assert_eq!(refused("validatorz = 1")[0].0, codes::UNKNOWN_KEY);
    assert_eq!(refused("slot = \"fast\"")[0].1, "params:1:8");
}

fn operation(action: &str) -> Result<devnet::ScheduledAction, Vec<Diagnostic>> {
    scheduled_action(&Operation {
        id: "x".into(),
        track: Track::Public,
        at: Duration::from_hours(122),
        action: Params::from_toml(action).unwrap(),
        location: Location::whole_file("params"),
    })
}

#[test]
fn operations_become_actions_or_diagnostics() {
    let upgrade = "kind = \"upgrade\"\nversion = 2\ninterval = \"30s\"\nactivation = \"3h\"";
    let read = operation(upgrade).unwrap();
    assert_eq!((read.id.as_str(), read.at), ("x", Duration::from_hours(122)));
    assert!(matches!(read.action, NetworkAction::Upgrade { version: 2, .. }));
    for bad in ["kind = \"explode\"", "kind = \"l1_reorg\"", "kind = \"l1_reorg\"\ndepth = -1"] {
        assert_eq!(operation(bad).unwrap_err()[0].code, codes::BAD_OPERATION, "{bad}");
    }
}
