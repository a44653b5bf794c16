//! `attestation`: a named key has signed a statement about what is deployed.

mod params;
mod weigh;

use std::collections::BTreeMap;

use base::Digest;
use evidence::DocumentBody;
use signatures::PublicKey;
use signatures::attestation::read;

use self::params::{Attestation, PARAMS, parse};
use self::weigh::{Standing, Weighed};
use super::{Gate, KindInfo, records};
use crate::window::candidate_window;
use crate::{Context, DeploymentFacts, Judgement, Measure, Need, Relation, StoredRecord, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "attestation",
    summary: "So many named keys have signed an in-toto statement about exactly the artifact that is deployed, such as the SLSA provenance of a build, and it names the right builder, repository and commit. The statement is a DSSE envelope with bare Ed25519 signatures; certificates and log entries of a sigstore bundle are not judged. What other keys signed is passed over while a named one signed too.",
    missing: "A file that does not exist, or that has no signed statement of the wanted type, is what `on_missing` says. Statements about another artifact are inconclusive, because evidence of another subject never counts, for or against: the right statement may still come. A file without any signature of a named key fails, and so does a statement about the artifact that names another builder, repository or commit. A file that is damaged is an error.",
    params: PARAMS,
    example: r#"why = "What runs is what the published source builds to."
bad_sample = "stages/stability/assets/bad/provenance-by-another-key.jsonl"
params = { path = "attestations/node.intoto.jsonl", artifact = "devnet-node", keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICvD24G3lZ0aoMpNmjQsAKX0azjK76D4P7rI+/Ljrj9I builder"], builder = "https://example.org/builder", source = "git+https://example.org/node" }"#,
    parse,
};

impl Gate for Attestation {
    fn needs(&self) -> Vec<Need> {
        vec![Need::Document { path: self.params.path.clone() }]
    }

    fn rule(&self) -> String {
        let params = &self.params;
        let who = match (params.threshold, self.keys.len()) {
            (1, 1) => "The named key".to_owned(),
            (1, count) => format!("One of {count} named keys"),
            (threshold, count) => format!("At least {threshold} of {count} named keys"),
        };
        let has = if params.threshold == 1 { "has" } else { "have" };
        let mut details = Vec::new();
        if let Some(builder) = &params.builder {
            details.push(format!("the builder `{builder}`"));
        }
        if let Some(source) = &params.source {
            details.push(format!("the repository `{source}`"));
        }
        if let Some(commit) = &params.commit {
            details.push(format!("the commit `{commit}`"));
        }
        let names = if details.is_empty() {
            String::new()
        } else {
            format!(", which names {}", text::list(&details))
        };
        format!(
            "{who} {has} signed a statement of the type `{}` in `{}` about the deployed `{}`{names}.",
            params.predicate_type, params.path, params.artifact
        )
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let path = &self.params.path;
        let Some(deployment) = &context.deployment else {
            return Judgement::inconclusive(
                "Nothing is deployed, so no statement can be about what is.",
            );
        };
        let deployed = match self.deployed(context, deployment) {
            Ok(deployed) => deployed,
            Err(unknown) => return *unknown,
        };
        let Some(stored) = records::newest(context, "document") else {
            return Judgement::inconclusive(format!("Nobody has looked for `{path}` yet."))
                .would_change("Collect the file and judge again.");
        };
        let judgement = match records::body::<DocumentBody>(stored, "document") {
            Ok(found) => self.judge_body(context, &found, stored, &deployed),
            Err(unreadable) => return *unreadable,
        };
        judgement.resting_on([stored.digest])
    }
}

impl Attestation {
    /// The digest of the artifact that the candidate runs, or the judgement that it is not known.
    fn deployed(
        &self,
        context: &Context<'_>,
        deployment: &DeploymentFacts<'_>,
    ) -> Result<Digest, Box<Judgement>> {
        candidate_window(context, deployment)?;
        let artifacts = &deployment.candidate.artifacts;
        let wanted = &self.params.artifact;
        artifacts.get(wanted).copied().ok_or_else(|| {
            let known: Vec<String> = artifacts.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { text::list(&known) };
            let unknown = Judgement::inconclusive(format!(
                "The deployment names no artifact `{wanted}`, so nothing can be compared with it."
            ));
            Box::new(unknown.would_change(format!(
                "Name an artifact of the driver `{}`; here there is {known}.",
                deployment.driver
            )))
        })
    }

    fn judge_body(
        &self,
        context: &Context<'_>,
        found: &DocumentBody,
        stored: &StoredRecord,
        deployed: &Digest,
    ) -> Judgement {
        let path = &self.params.path;
        if found.path != *path {
            let other = &found.path;
            return Judgement::inconclusive(format!(
                "The evidence is about `{other}` and says nothing about `{path}`."
            ));
        }
        if let Some(problem) = &found.problem {
            return records::trouble(problem);
        }
        if let Some(stale) = records::stale(context, stored, None) {
            return Judgement::inconclusive(stale);
        }
        let Some(file) = &found.text else {
            let missing = format!("The file `{path}` does not exist.");
            return Judgement::new(self.params.on_missing.outcome(), missing)
                .would_change(self.wanted(deployed));
        };
        self.judge_file(file, deployed)
    }

    fn judge_file(&self, file: &str, deployed: &Digest) -> Judgement {
        let weighed: Result<Vec<Weighed<'_>>, _> = read(file.as_bytes()).and_then(|envelopes| {
            envelopes.iter().map(|envelope| self.weigh(envelope, deployed)).collect()
        });
        match weighed {
            Ok(weighed) => self.conclude(&weighed, deployed),
            Err(error) => {
                let path = &self.params.path;
                let error = weigh::one_line(&error.to_string());
                Judgement::error(format!("`{path}` cannot be judged: {error}.")).would_change(
                    format!("Put the file at `{path}` again as the builder wrote it."),
                )
            }
        }
    }

    /// One statement that holds is enough for its keys; of the others, the worst decides.
    fn conclude(&self, weighed: &[Weighed<'_>], deployed: &Digest) -> Judgement {
        let path = &self.params.path;
        let of = |wanted: fn(&Standing) -> bool| -> Vec<&Weighed<'_>> {
            weighed.iter().filter(|one| wanted(&one.standing)).collect()
        };
        let holding = of(|standing| matches!(standing, Standing::Holds(_)));
        let wrong = of(|standing| matches!(standing, Standing::Wrong(_)));
        let keys = distinct(&holding);
        let judgement = if keys.len() >= self.params.threshold as usize {
            self.passed(&holding, deployed)
        } else if !wrong.is_empty() {
            let mut reasons = wrong.iter().flat_map(|one| one.faults());
            let first = reasons.next().unwrap_or_default();
            reasons.fold(Judgement::fail(first), Judgement::because)
        } else if !holding.is_empty() {
            self.too_few(keys.len())
        } else if !of(|standing| matches!(standing, Standing::OtherSubject)).is_empty() {
            Judgement::inconclusive(format!(
                "What the named keys signed in `{path}` is about other artifacts than the deployed \
                 `{}` with the SHA-256 digest {deployed}.",
                self.params.artifact
            ))
        } else if !of(|standing| matches!(standing, Standing::OtherType(_))).is_empty() {
            let missing = format!(
                "The named keys signed no statement of the type `{}` in `{path}`.",
                self.params.predicate_type
            );
            Judgement::new(self.params.on_missing.outcome(), missing)
        } else {
            Judgement::fail(format!("Nothing in `{path}` was signed by a named key."))
        };
        self.explain(judgement, weighed, keys.len(), deployed)
    }

    fn passed(&self, holding: &[&Weighed<'_>], deployed: &Digest) -> Judgement {
        let artifact = &self.params.artifact;
        let summary = format!(
            "What is deployed as `{artifact}` has the SHA-256 digest {deployed}, as signed by {}.",
            text::list(&distinct(holding).into_keys().collect::<Vec<_>>())
        );
        let mut origins: Vec<&String> = holding.iter().flat_map(|one| one.origin()).collect();
        origins.sort();
        origins.dedup();
        origins.into_iter().fold(Judgement::pass(summary), Judgement::because)
    }

    fn too_few(&self, count: usize) -> Judgement {
        Judgement::fail(format!(
            "{} signed what has to be said about the deployed `{}`; {} must.",
            text::count(count, "named key", "named keys"),
            self.params.artifact,
            self.params.threshold
        ))
    }

    fn explain(
        &self,
        mut judgement: Judgement,
        weighed: &[Weighed<'_>],
        keys: usize,
        deployed: &Digest,
    ) -> Judgement {
        judgement.measures.push(Measure {
            name: "keys that signed".to_owned(),
            value: Some(keys as f64),
            unit: "keys".to_owned(),
            relation: Relation::AtLeast,
            threshold: f64::from(self.params.threshold),
        });
        judgement.explanation.steps = weighed.iter().map(Weighed::step).collect();
        if judgement.outcome == base::Outcome::Pass {
            return judgement;
        }
        judgement.would_change(self.wanted(deployed))
    }

    /// What would make the gate pass.
    fn wanted(&self, deployed: &Digest) -> String {
        format!(
            "Put a statement about the SHA-256 digest {deployed}, signed by {}, at `{}` and commit it.",
            if self.keys.len() == 1 { "the named key" } else { "the named keys" },
            self.params.path
        )
    }
}

/// Everybody who signed one of `weighed`, by fingerprint; one key counts once.
fn distinct<'k>(weighed: &[&Weighed<'k>]) -> BTreeMap<String, &'k PublicKey> {
    let signers = weighed.iter().flat_map(|one| &one.signers);
    signers.map(|key| (key.fingerprint(), *key)).collect()
}

#[cfg(test)]
mod tests;
