//! The gate kinds: one file and one line each.

mod approval;
mod attestation;
mod common;
mod document;
mod drill;
mod event_chain;
mod issues;
mod metric;
mod probe;
mod records;
mod reference;
mod regression;
mod soak;

use definition::{Lint, Phase, Pipeline};
use diagnostics::{Diagnostic, codes, suggestion};

use crate::{Context, Judgement, Need};

pub use document::local_links;
pub(crate) use records::OnMissing;
pub use reference::reference_markdown;

/// A gate whose parameters were checked.
pub trait Gate {
    /// What has to be collected before the gate can be judged.
    fn needs(&self) -> Vec<Need>;

    /// The rule in one plain sentence, with its threshold.
    fn rule(&self) -> String;

    /// What the facts say about the rule.
    fn judge(&self, context: &Context<'_>) -> Judgement;

    /// How long after the start of its deployment the gate can pass at the earliest.
    fn earliest_pass(&self) -> base::Duration {
        base::Duration::ZERO
    }
}

/// What reads the parameters of a kind.
type Parse = fn(&definition::Gate, &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>>;

/// One gate kind.
pub struct KindInfo {
    /// Its name in definitions.
    pub name: &'static str,
    /// What it judges, in one sentence.
    pub summary: &'static str,
    /// How it treats what is missing, in one sentence.
    pub missing: &'static str,
    /// Its parameters.
    pub params: &'static [ParamInfo],
    /// The keys of a gate, as an example in TOML.
    pub example: &'static str,
    parse: Parse,
}

/// One parameter of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamInfo {
    /// Its key.
    pub name: &'static str,
    /// What its value looks like.
    pub form: &'static str,
    /// What counts when it is left out; `None` when it must be given.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
}

impl ParamInfo {
    const fn required(name: &'static str, form: &'static str, doc: &'static str) -> Self {
        Self { name, form, default: None, doc }
    }

    const fn optional(
        name: &'static str,
        form: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, form, default: Some(default), doc }
    }
}

/// Every kind, in the order of their names.
const KINDS: &[KindInfo] = &[
    approval::KIND,
    attestation::KIND,
    document::KIND,
    drill::KIND,
    event_chain::KIND,
    issues::KIND,
    metric::KIND,
    probe::KIND,
    regression::KIND,
    soak::KIND,
];

/// Every gate kind, in the order of their names.
#[must_use]
pub fn registry() -> &'static [KindInfo] {
    KINDS
}

/// Checks the parameters of `gate`, which belongs to `phase`.
///
/// # Errors
/// Diagnostics at the places in the definition where something is wrong.
pub fn parse(gate: &definition::Gate, phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    match KINDS.iter().find(|kind| kind.name == gate.kind) {
        Some(kind) => (kind.parse)(gate, phase),
        None => {
            let names = KINDS.iter().map(|kind| kind.name);
            Err(vec![
                Diagnostic::error(
                    codes::UNKNOWN_KIND,
                    format!("unknown gate kind `{}`", gate.kind),
                )
                .at(&gate.kind_location)
                .help_if(suggestion(&gate.kind, names)),
            ])
        }
    }
}

/// The check of gates that `definition` runs with its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct GateLint;

impl Lint for GateLint {
    fn gate_kinds(&self) -> &[&str] {
        const NAMES: &[&str] = &kind_names();
        NAMES
    }

    fn check_gate(
        &self,
        gate: &definition::Gate,
        phase: &Phase,
        _pipeline: &Pipeline,
    ) -> Vec<Diagnostic> {
        parse(gate, phase).err().unwrap_or_default()
    }
}

const fn kind_names() -> [&'static str; KINDS.len()] {
    let mut names = [""; KINDS.len()];
    let mut index = 0;
    while index < KINDS.len() {
        names[index] = KINDS[index].name;
        index += 1;
    }
    names
}

#[cfg(test)]
mod tests;
