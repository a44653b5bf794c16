//! What one envelope is worth for the gate.

use base::Digest;
use signatures::PublicKey;
use signatures::attestation::{AttestationError, ForeignStatement, STATEMENT_TYPE_V0_1};
use signatures::provenance::{Provenance, SLSA_PROVENANCE_V0_2};

use super::params::{Attestation, Params};
use crate::text;

/// How much of a foreign text is repeated, in characters.
const QUOTED_CHARS_MAX: usize = 200;

/// One envelope and who of the named keys signed it.
pub(super) struct Weighed<'k> {
    pub(super) line: usize,
    pub(super) signers: Vec<&'k PublicKey>,
    pub(super) standing: Standing,
}

/// What one envelope is worth.
pub(super) enum Standing {
    /// No named key signed it.
    Foreign,
    /// It is of another type, this one.
    OtherType(String),
    /// It is about other artifacts.
    OtherSubject,
    /// It is about what is deployed, and says something else than it has to.
    Wrong(Vec<String>),
    /// It says what it has to; where it says so, from what it was built.
    Holds(Option<String>),
}

impl Attestation {
    /// What `envelope` says about the artifact with the digest `deployed`.
    pub(super) fn weigh(
        &self,
        envelope: &signatures::attestation::Attestation,
        deployed: &Digest,
    ) -> Result<Weighed<'_>, AttestationError> {
        let line = envelope.line();
        Ok(match envelope.open(&self.keys)? {
            None => Weighed { line, signers: Vec::new(), standing: Standing::Foreign },
            Some(opened) => {
                let standing = self.standing(line, &opened.statement, deployed)?;
                Weighed { line, signers: opened.signers, standing }
            }
        })
    }

    fn standing(
        &self,
        line: usize,
        statement: &ForeignStatement,
        deployed: &Digest,
    ) -> Result<Standing, AttestationError> {
        let wanted = &self.params.predicate_type;
        if statement.predicate_type != *wanted {
            return Ok(Standing::OtherType(one_line(&statement.predicate_type)));
        }
        // Only the old provenance was ever defined for the old statement.
        if statement.statement_type == STATEMENT_TYPE_V0_1 && wanted != SLSA_PROVENANCE_V0_2 {
            let found = statement.statement_type.clone();
            return Err(AttestationError::StatementType { line, found });
        }
        if !statement.is_about(deployed) {
            return Ok(Standing::OtherSubject);
        }
        let provenance = Provenance::read(wanted, &statement.predicate)
            .map_err(|cause| AttestationError::Predicate { line, cause })?;
        let Some(provenance) = provenance else { return Ok(Standing::Holds(None)) };
        let faults = self.params.faults(line, &provenance);
        if faults.is_empty() {
            return Ok(Standing::Holds(Some(self.params.origin(&provenance))));
        }
        Ok(Standing::Wrong(faults))
    }
}

impl Params {
    /// What `provenance` says otherwise than it has to.
    fn faults(&self, line: usize, provenance: &Provenance) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(wanted) = self.builder.as_ref().filter(|one| **one != provenance.builder) {
            let found = one_line(&provenance.builder);
            faults.push(format!(
                "The statement on line {line} names the builder `{found}` instead of `{wanted}`."
            ));
        }
        let Some(source) = &self.source else { return faults };
        let Some(commits) = provenance.commits_of(source) else {
            faults.push(format!(
                "The statement on line {line} does not name `{source}` among what was built."
            ));
            return faults;
        };
        let Some(wanted) = &self.commit else { return faults };
        if commits.into_iter().ne([Some(wanted.as_str())]) {
            let found = commits_named(provenance, source);
            faults.push(format!(
                "The statement on line {line} names {found} of `{source}` instead of the commit `{wanted}`."
            ));
        }
        faults
    }

    /// From what it was built, and by whom.
    fn origin(&self, provenance: &Provenance) -> String {
        let builder = one_line(&provenance.builder);
        match &self.source {
            Some(source) => {
                let commits = commits_named(provenance, source);
                format!("It was built by `{builder}` from {commits} of `{source}`.")
            }
            None => format!("It was built by `{builder}`."),
        }
    }
}

fn commits_named(provenance: &Provenance, source: &str) -> String {
    let commits = provenance.commits_of(source).unwrap_or_default();
    let named: Vec<String> = commits
        .into_iter()
        .map(|commit| match commit {
            Some(commit) => format!("the commit `{}`", one_line(commit)),
            None => "no commit".to_owned(),
        })
        .collect();
    text::short_list(&named, 3)
}

impl Weighed<'_> {
    /// What is wrong with what it says.
    pub(super) fn faults(&self) -> impl Iterator<Item = String> {
        let faults = match &self.standing {
            Standing::Wrong(faults) => faults.as_slice(),
            _ => &[],
        };
        faults.iter().cloned()
    }

    /// From what it says the artifact was built.
    pub(super) fn origin(&self) -> Option<&String> {
        match &self.standing {
            Standing::Holds(origin) => origin.as_ref(),
            _ => None,
        }
    }

    /// One sentence about it, for explanations.
    pub(super) fn step(&self) -> String {
        let signers: Vec<String> = self.signers.iter().map(|key| key.fingerprint()).collect();
        let signers = text::list(&signers);
        let what = match &self.standing {
            Standing::Foreign => return format!("Line {}: no named key signed it.", self.line),
            Standing::OtherType(found) => format!("it is of the type `{found}`"),
            Standing::OtherSubject => "it is about other artifacts".to_owned(),
            Standing::Wrong(_) => {
                "it is about what is deployed, and not as it has to be".to_owned()
            }
            Standing::Holds(_) => "it holds".to_owned(),
        };
        format!("Line {}, signed by {signers}: {what}.", self.line)
    }
}

/// A foreign text as part of a sentence: on one line, and not too long.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ").chars().take(QUOTED_CHARS_MAX).collect()
}
