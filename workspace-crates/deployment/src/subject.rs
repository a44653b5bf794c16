use std::collections::BTreeMap;

use base::{CanonicalError, Digest, Subject, canonical_json};
use devnet::names;
use evidence::{Event, SubjectInterval};

use crate::DeploymentSpec;

/// The rollup that the registry points to when a network is born.
pub(crate) const FIRST_ROLLUP: u32 = 1;
/// The artifact's name in subjects.
const NODE_ARTIFACT: &str = "devnet-node";

/// What a network of simulated nodes is, while they run the client `node_version` and the registry
/// points to the first rollup. Its artifact is the client's name and version.
///
/// # Errors
/// When the specification has no canonical form.
pub fn subject(spec: &DeploymentSpec, node_version: u32) -> Result<Subject, CanonicalError> {
    subject_of(spec, None, node_version, FIRST_ROLLUP)
}

/// What a network is, while its nodes run the client `node_version` and its registry points to
/// `rollup`; `binary` is the digest of the executable that runs as every node, where there is one.
/// Then it is the artifact itself, so that it can be compared with what its builder attests, and the
/// client's version is what it is configured to be.
///
/// # Errors
/// When the specification has no canonical form.
pub fn subject_of(
    spec: &DeploymentSpec,
    binary: Option<Digest>,
    node_version: u32,
    rollup: u32,
) -> Result<Subject, CanonicalError> {
    let client = format!("{NODE_ARTIFACT}/{}/{node_version}", env!("CARGO_PKG_VERSION"));
    let artifact = binary.unwrap_or_else(|| Digest::of(client.as_bytes()));
    let configured_version = binary.map(|_| node_version);
    Ok(Subject {
        network: spec.network.network.clone(),
        artifacts: BTreeMap::from([(NODE_ARTIFACT.to_owned(), artifact)]),
        configuration: configuration(spec, configured_version, rollup)?,
        versions: BTreeMap::from([
            (NODE_ARTIFACT.to_owned(), node_version.to_string()),
            ("rollup".to_owned(), rollup.to_string()),
        ]),
    })
}

/// The configuration leaves out what may differ between two runs of the same thing: the network's
/// name and its seed. The client's version is in it where the artifact does not tell it.
fn configuration(
    spec: &DeploymentSpec,
    node_version: Option<u32>,
    rollup: u32,
) -> Result<Digest, CanonicalError> {
    let mut value = serde_json::to_value(&spec.network)?;
    if let Some(fields) = value.as_object_mut() {
        for own in ["network", "seed", "node_version"] {
            fields.remove(own);
        }
        fields.insert("rollup".to_owned(), rollup.into());
        fields.extend(node_version.map(|version| ("node_version".to_owned(), version.into())));
    }
    Ok(Digest::of(&canonical_json(&value)?))
}

/// From when on which subject ran: a client upgrade begins a new one when its first node is about
/// to be replaced, and a governance upgrade when the registry points to another rollup.
///
/// # Errors
/// When the specification has no canonical form.
pub fn intervals(
    spec: &DeploymentSpec,
    binary: Option<Digest>,
    started: base::Instant,
    events: &[Event],
) -> Result<Vec<SubjectInterval>, CanonicalError> {
    let (mut version, mut rollup) = (spec.network.node_version, FIRST_ROLLUP);
    let first = subject_of(spec, binary, version, rollup)?;
    let mut found = vec![SubjectInterval { from: started, subject: first }];
    for event in events {
        let Ok(stated) = event.attribute("version").parse::<u32>() else { continue };
        match event.name.as_str() {
            names::UPGRADE_STARTED if stated != version => version = stated,
            names::GOVERNANCE_EXECUTED if stated != rollup => rollup = stated,
            _ => continue,
        }
        let subject = subject_of(spec, binary, version, rollup)?;
        found.push(SubjectInterval { from: event.at, subject });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{NODE_ARTIFACT, intervals, subject, subject_of};
    use crate::DeploymentSpec;
    use base::{DeploymentId, Digest, Instant, PhaseId, PipelineId, Track};
    use devnet::{NetworkSpec, names};
    use evidence::Event;

    fn spec() -> DeploymentSpec {
        DeploymentSpec {
            id: DeploymentId::new("phase-1.internal.1").unwrap(),
            pipeline: PipelineId::new("p").unwrap(),
            phase: PhaseId::new("phase-1").unwrap(),
            track: Track::Internal,
            attempt: 1,
            network: NetworkSpec::default(),
            schedule: Vec::new(),
            start: Instant::from_unix_millis(0),
        }
    }

    #[test]
    fn another_seed_is_the_same_subject_and_another_parameter_is_not() {
        let first = subject(&spec(), 1).unwrap();
        let mut other = spec();
        other.network.seed = 99;
        other.attempt = 2;
        assert_eq!(subject(&other, 1).unwrap(), first);
        other.network.committee = 8;
        assert_eq!(first.differences(&subject(&other, 1).unwrap()), ["another configuration"]);
        let newer = subject(&spec(), 2).unwrap();
        assert_ne!(newer.artifacts, first.artifacts);
        assert_eq!(newer.configuration, first.configuration);
    }

    #[test]
    fn an_executable_is_the_artifact_itself_and_its_version_is_configuration() {
        let digest = Digest::of(b"binary");
        let of = |version| subject_of(&spec(), Some(digest), version, 1).unwrap();
        let (one, two) = (of(1), of(2));
        assert_eq!(one.artifacts[NODE_ARTIFACT], digest);
        assert_eq!(one.differences(&two), ["another configuration", "other versions"]);
        let other = subject_of(&spec(), Some(Digest::of(b"other")), 1, 1).unwrap();
        assert_eq!(one.differences(&other), ["another artifact `devnet-node`"]);
    }

    #[test]
    fn upgrades_of_client_and_rollup_begin_new_subjects() {
        let at = Instant::from_unix_millis;
        let events = [
            Event::new(at(5), names::NODE_STARTED).with("version", "1"),
            Event::new(at(10), names::UPGRADE_STARTED).with("version", "2"),
            Event::new(at(11), names::UPGRADE_REPLACED).with("version", "2"),
            Event::new(at(20), names::GOVERNANCE_PROPOSED).with("version", "2"),
            Event::new(at(30), names::GOVERNANCE_EXECUTED).with("version", "2"),
        ];
        let found = intervals(&spec(), None, at(0), &events).unwrap();
        let times: Vec<_> = found.iter().map(|each| each.from.unix_millis()).collect();
        assert_eq!(times, [0, 10, 30]);
        assert_eq!(found[0].subject, subject(&spec(), 1).unwrap());
        assert_eq!(found[1].subject, subject(&spec(), 2).unwrap());
        assert_eq!(found[2].subject, subject_of(&spec(), None, 2, 2).unwrap());
        assert_ne!(found[2].subject.configuration, found[1].subject.configuration);
    }
}
