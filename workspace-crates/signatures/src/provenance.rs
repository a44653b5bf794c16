//! SLSA provenance: who built something, and from which commit of which repository.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::attestation::ForeignResource;

/// The predicate type of SLSA provenance v1.
pub const SLSA_PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";

/// The predicate type of SLSA provenance v0.2, which many builders still write.
pub const SLSA_PROVENANCE_V0_2: &str = "https://slsa.dev/provenance/v0.2";

/// What a provenance says about the origin of what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Who built it: the builder's identity, a URI.
    pub builder: String,
    /// What it was built from: sources, dependencies, tools.
    pub materials: Vec<ForeignResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V1 {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    #[serde(default)]
    resolved_dependencies: Vec<ForeignResource>,
}

#[derive(Deserialize)]
struct RunDetails {
    builder: Builder,
}

#[derive(Deserialize)]
struct Builder {
    id: String,
}

#[derive(Deserialize)]
struct V0_2 {
    builder: Builder,
    #[serde(default)]
    materials: Vec<ForeignResource>,
}

impl Provenance {
    /// Whether predicates of this type are read.
    #[must_use]
    pub fn is_read(predicate_type: &str) -> bool {
        [SLSA_PROVENANCE_V1, SLSA_PROVENANCE_V0_2].contains(&predicate_type)
    }

    /// Reads a predicate of one of the types for which [`Self::is_read`] holds; nothing for others.
    ///
    /// # Errors
    /// When the predicate names no builder, or has another shape.
    pub fn read(
        predicate_type: &str,
        predicate: &Value,
    ) -> Result<Option<Self>, serde_json::Error> {
        match predicate_type {
            SLSA_PROVENANCE_V1 => {
                let V1 { build_definition, run_details } = V1::deserialize(predicate)?;
                let materials = build_definition.resolved_dependencies;
                Ok(Some(Self { builder: run_details.builder.id, materials }))
            }
            SLSA_PROVENANCE_V0_2 => {
                let V0_2 { builder, materials } = V0_2::deserialize(predicate)?;
                Ok(Some(Self { builder: builder.id, materials }))
            }
            _ => Ok(None),
        }
    }

    /// The commits of `repository` that it was built from, where `repository` is the URI of a
    /// material, or such a URI up to its `@` and revision. `None` when it was not built from there;
    /// a material without a commit has `None` in the set.
    #[must_use]
    pub fn commits_of(&self, repository: &str) -> Option<BTreeSet<Option<&str>>> {
        let is_it = |uri: &str| {
            uri.strip_prefix(repository)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        };
        let own = self.materials.iter().filter(|one| one.uri.as_deref().is_some_and(is_it));
        let commits: BTreeSet<Option<&str>> = own.map(commit).collect();
        (!commits.is_empty()).then_some(commits)
    }
}

/// Older builders write the object id of a commit as `sha1`.
fn commit(material: &ForeignResource) -> Option<&str> {
    let digest = &material.digest;
    digest.get("gitCommit").or_else(|| digest.get("sha1")).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::{Provenance, SLSA_PROVENANCE_V0_2, SLSA_PROVENANCE_V1};
    use serde_json::json;

    const REPOSITORY: &str = "git+https://example.org/node";

    fn materials() -> serde_json::Value {
        json!([
            {"uri": "git+https://example.org/node@refs/tags/v1", "digest": {"gitCommit": "aa"}},
            {"uri": "git+https://example.org/node-tools", "digest": {"gitCommit": "bb"}},
            {"uri": "pkg:docker/rust", "digest": {"sha256": "cc"}},
        ])
    }

    #[test]
    fn both_versions_say_builder_and_commit() {
        let v1 = json!({
            "buildDefinition": {"buildType": "x", "resolvedDependencies": materials()},
            "runDetails": {"builder": {"id": "https://example.org/builder"}, "metadata": {}},
        });
        let v0_2 = json!({
            "builder": {"id": "https://example.org/builder"}, "buildType": "x",
            "materials": materials(),
        });
        for (kind, predicate) in [(SLSA_PROVENANCE_V1, v1), (SLSA_PROVENANCE_V0_2, v0_2)] {
            let read = Provenance::read(kind, &predicate).unwrap().unwrap();
            assert_eq!(read.builder, "https://example.org/builder");
            assert_eq!(read.commits_of(REPOSITORY), Some([Some("aa")].into()), "{kind}");
            assert!(Provenance::is_read(kind));
        }
        assert_eq!(Provenance::read("https://example.org/p", &json!({})).unwrap(), None);
    }

    #[test]
    fn another_repository_with_the_same_beginning_is_another_one() {
        let predicate = json!({"builder": {"id": "b"}, "materials": materials()});
        let read = Provenance::read(SLSA_PROVENANCE_V0_2, &predicate).unwrap().unwrap();
        assert_eq!(read.commits_of("git+https://example.org/no"), None);
        assert_eq!(read.commits_of("git+https://example.org/node-tools").unwrap().len(), 1);
        assert_eq!(read.commits_of("pkg:docker/rust"), Some([None].into()), "it has no commit");
    }

    #[test]
    fn two_commits_of_one_repository_are_both_told() {
        let predicate = json!({"builder": {"id": "b"}, "materials": [
            {"uri": REPOSITORY, "digest": {"sha1": "aa"}},
            {"uri": format!("{REPOSITORY}@main"), "digest": {"gitCommit": "bb"}},
        ]});
        let read = Provenance::read(SLSA_PROVENANCE_V0_2, &predicate).unwrap().unwrap();
        assert_eq!(read.commits_of(REPOSITORY), Some([Some("aa"), Some("bb")].into()));
    }

    #[test]
    fn a_provenance_without_builder_is_none() {
        for predicate in [json!({}), json!({"builder": {}}), json!({"builder": "b"}), json!(null)] {
            assert!(Provenance::read(SLSA_PROVENANCE_V0_2, &predicate).is_err());
            assert!(Provenance::read(SLSA_PROVENANCE_V1, &predicate).is_err());
        }
    }
}
