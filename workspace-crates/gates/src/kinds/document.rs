//! `document`: a document of the repository exists, has its sections, and its links resolve.

use std::collections::BTreeSet;

use definition::Phase;
use diagnostics::{Diagnostic, codes};
use evidence::DocumentBody;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use serde::Deserialize;

use super::records::{self, OnMissing};
use super::{Gate, KindInfo, ParamInfo, common};
use crate::{Context, Judgement, Need, text};

pub(super) const KIND: KindInfo = KindInfo {
    name: "document",
    summary: "A document of the repository exists, has the required sections with text in them, and its links to other files resolve.",
    missing: "A document that was not collected is inconclusive; one that does not exist is what `on_missing` says.",
    params: PARAMS,
    example: r#"why = "Participants need to know how to run a node."
bad_sample = "stages/stability/assets/bad/node-guide-without-setup.md"
params = { path = "stages/stability/assets/node-guide.md", sections = ["Requirements", "Setup"] }"#,
    parse,
};

const PARAMS: &[ParamInfo] = &[
    ParamInfo::required(
        "path",
        "text",
        "Path of the Markdown document, relative to the repository.",
    ),
    ParamInfo::optional(
        "sections",
        "list of texts",
        "none",
        "Headings that the document must have, each with text below it. Case does not matter.",
    ),
    ParamInfo::optional(
        "links",
        "boolean",
        "true",
        "Whether links to other files of the repository must resolve.",
    ),
    ParamInfo::optional(
        "on_missing",
        "`inconclusive` or `fail`",
        "`inconclusive`",
        "What it means when the document does not exist.",
    ),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    path: String,
    #[serde(default)]
    sections: Vec<String>,
    #[serde(default = "yes")]
    links: bool,
    #[serde(default)]
    on_missing: OnMissing,
}

fn yes() -> bool {
    true
}

fn parse(gate: &definition::Gate, _phase: &Phase) -> Result<Box<dyn Gate>, Vec<Diagnostic>> {
    let params: Params = gate.params.deserialize()?;
    let mut problems = Vec::new();
    common::check_path(&gate.params, "path", &params.path, &mut problems);
    for (index, section) in params.sections.iter().enumerate() {
        if section.trim().is_empty() {
            let place = format!("sections.{index}");
            problems.push(gate.params.problem(codes::EMPTY, &place, "a section has no name"));
        }
    }
    if problems.is_empty() { Ok(Box::new(Document(params))) } else { Err(problems) }
}

struct Document(Params);

impl Gate for Document {
    fn needs(&self) -> Vec<Need> {
        vec![Need::Document { path: self.0.path.clone() }]
    }

    fn rule(&self) -> String {
        let mut rule = format!("`{}` exists", self.0.path);
        if !self.0.sections.is_empty() {
            let quoted: Vec<String> = self.0.sections.iter().map(|s| format!("\"{s}\"")).collect();
            let sections = if quoted.len() == 1 { "section" } else { "sections" };
            rule.push_str(&format!(", has the {sections} {}", text::list(&quoted)));
        }
        if self.0.links {
            rule.push_str(", and its links to other files resolve");
        }
        rule + "."
    }

    fn judge(&self, context: &Context<'_>) -> Judgement {
        let path = &self.0.path;
        let Some(stored) = records::newest(context, "document") else {
            return Judgement::inconclusive(format!("Nobody has looked for `{path}` yet."))
                .would_change("Collect the document and judge again.");
        };
        let found = match records::body::<DocumentBody>(stored, "document") {
            Ok(found) => found,
            Err(unreadable) => return *unreadable,
        };
        self.judge_body(context, &found, stored).resting_on([stored.digest])
    }
}

impl Document {
    fn judge_body(
        &self,
        context: &Context<'_>,
        found: &DocumentBody,
        stored: &crate::StoredRecord,
    ) -> Judgement {
        let path = &self.0.path;
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
        let Some(markdown) = &found.text else {
            let missing = format!("The document `{path}` does not exist.");
            return Judgement::new(self.0.on_missing.outcome(), missing)
                .would_change(format!("Write `{path}` and commit it."));
        };
        self.judge_text(markdown, &found.existing_links)
    }

    fn judge_text(&self, markdown: &str, existing_links: &BTreeSet<String>) -> Judgement {
        let path = &self.0.path;
        let present = sections(markdown);
        let mut faults = Vec::new();
        for wanted in &self.0.sections {
            let matching: Vec<&Section> =
                present.iter().filter(|section| same_heading(&section.title, wanted)).collect();
            if matching.is_empty() {
                faults.push(format!("`{path}` has no section \"{wanted}\"."));
            } else if matching.iter().all(|section| !section.has_text) {
                faults.push(format!("The section \"{wanted}\" of `{path}` is empty."));
            }
        }
        if self.0.sections.is_empty() && markdown.trim().is_empty() {
            faults.push(format!("`{path}` is empty."));
        }
        if self.0.links {
            let broken: Vec<String> =
                local_links(markdown).into_iter().filter(|l| !existing_links.contains(l)).collect();
            faults.extend(
                broken.iter().map(|l| format!("`{path}` links to `{l}`, which does not exist.")),
            );
        }
        let Some(first) = faults.first() else {
            return Judgement::pass(self.passed());
        };
        let mut judgement = Judgement::fail(first.clone());
        judgement.reasons.extend(faults.into_iter().skip(1));
        judgement.would_change(format!("Complete `{path}` and commit it."))
    }

    fn passed(&self) -> String {
        match self.0.sections.len() {
            0 => format!("`{}` exists.", self.0.path),
            1 => format!("`{}` exists and has its required section.", self.0.path),
            n => format!("`{}` exists and has all {n} required sections.", self.0.path),
        }
    }
}

/// A heading, and whether anything is written below it.
struct Section {
    title: String,
    level: usize,
    has_text: bool,
}

fn same_heading(found: &str, wanted: &str) -> bool {
    found.trim().to_lowercase() == wanted.trim().to_lowercase()
}

/// Text below a subheading also counts for the headings above it. Comments and other HTML do not.
fn sections(markdown: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    // Indices of the headings that are open here, outermost first.
    let mut open: Vec<usize> = Vec::new();
    let mut in_heading = false;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let level = level as usize;
                open.retain(|index| found[*index].level < level);
                open.push(found.len());
                found.push(Section { title: String::new(), level, has_text: false });
                in_heading = true;
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(text) | Event::Code(text) => {
                if in_heading {
                    if let Some(section) = found.last_mut() {
                        section.title.push_str(&text);
                    }
                } else if !text.trim().is_empty() {
                    open.iter().for_each(|index| found[*index].has_text = true);
                }
            }
            _ => {}
        }
    }
    found
}

/// The targets of links and pictures in a Markdown text that name other files of the repository:
/// no web addresses, no places within the same document. Collectors look each of them up.
#[must_use]
pub fn local_links(markdown: &str) -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    for event in Parser::new(markdown) {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            let target = dest_url.split('#').next().unwrap_or_default();
            if !target.is_empty() && !has_scheme(target) && !target.starts_with("//") {
                targets.insert(target.to_owned());
            }
        }
    }
    targets
}

/// `https:`, `mailto:` and the like.
fn has_scheme(target: &str) -> bool {
    let Some((scheme, _)) = target.split_once(':') else { return false };
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests;
