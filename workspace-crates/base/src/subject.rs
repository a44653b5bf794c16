use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, NetworkId};

/// What a piece of evidence is about. Evidence about another subject never counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The network that ran.
    pub network: NetworkId,
    /// Each deployed artifact by name, with the digest of its bytes.
    pub artifacts: BTreeMap<String, Digest>,
    /// Digest of the configuration that the network ran with.
    pub configuration: Digest,
    /// Human-readable versions by component; they add to the digests, never replace them.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

impl Subject {
    /// Lists what differs from `other`, in plain words, for the reason of a finding.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.network != other.network {
            found.push(format!("network {} instead of {}", other.network, self.network));
        }
        if self.artifacts != other.artifacts {
            let names = self.artifacts.keys().chain(other.artifacts.keys());
            let changed: std::collections::BTreeSet<_> = names
                .filter(|name| self.artifacts.get(*name) != other.artifacts.get(*name))
                .collect();
            for name in changed {
                found.push(format!("another artifact `{name}`"));
            }
        }
        if self.configuration != other.configuration {
            found.push("another configuration".to_owned());
        }
        if self.versions != other.versions {
            found.push("other versions".to_owned());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;
    use crate::{Digest, NetworkId};
    use std::collections::BTreeMap;

    #[test]
    fn differences_name_network_artifact_and_configuration() {
        let one = Subject {
            network: NetworkId::new("phase-1").unwrap(),
            artifacts: BTreeMap::from([("node".to_owned(), Digest::of(b"v1"))]),
            configuration: Digest::of(b"a"),
            versions: BTreeMap::new(),
        };
        let mut other = one.clone();
        assert!(one.differences(&other).is_empty());
        other.network = NetworkId::new("phase-2").unwrap();
        other.artifacts.insert("node".to_owned(), Digest::of(b"v2"));
        other.configuration = Digest::of(b"b");
        assert_eq!(
            one.differences(&other),
            [
                "network phase-2 instead of phase-1",
                "another artifact `node`",
                "another configuration"
            ]
        );
    }
}
