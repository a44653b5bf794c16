//! From texts to the checked model.

mod calendars;
mod include;
mod order;
mod parameters;
mod pipelines;
mod roles;
mod servers;
mod stages;
mod substitute;

use std::collections::{BTreeMap, BTreeSet};

use base::StageId;
use diagnostics::{Diagnostic, Location, SourceMap, codes};
use pipelines::Resolved;

use crate::lint::Lint;
use crate::model::{Calendar, Definitions, Pipeline};
use crate::raw::{RawPipeline, RawStage};
use crate::shape::Sink;
use crate::value::parse_document;

/// Definition files: their texts by path, relative to the root, with `/` between the parts.
pub type Files = BTreeMap<String, String>;

/// Path of the file of calendars.
pub const CALENDARS_PATH: &str = "pipeline/calendar.toml";
/// Path of the file of principals and roles.
pub const ROLES_PATH: &str = "pipeline/roles.toml";

/// Changes to stage parameters, given outside the definitions.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Values by parameter name, as text of the parameter's type. They replace the values of every
    /// phase and included stage that has such a parameter, and are taken as they are: `time_scale`
    /// does not change them.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Divides every duration parameter and every operation's `at`, and multiplies every rate.
    /// Durations are rounded to the millisecond. Finite and positive; nothing means 1.
    #[serde(default)]
    pub time_scale: Option<f64>,
}

/// What [`check`] found.
#[derive(Debug)]
pub struct Checked {
    /// The definitions; nothing when any diagnostic is an error.
    pub definitions: Option<Definitions>,
    /// Everything that is wrong, in the order of reports.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics point into.
    pub sources: SourceMap,
}

/// What the parts of the check share.
pub(crate) struct Context<'a> {
    pub(crate) sources: &'a SourceMap,
    pub(crate) sink: &'a Sink,
    pub(crate) overrides: &'a Overrides,
    /// Stages by id; nothing for one whose file could not be read.
    pub(crate) stages: BTreeMap<StageId, Option<RawStage>>,
}

impl Context<'_> {
    /// The factor by which time runs faster.
    pub(crate) fn time_scale(&self) -> f64 {
        self.overrides.time_scale.unwrap_or(1.0)
    }

    /// The part of `location` where `text` is written, or all of it.
    pub(crate) fn narrow(&self, location: &Location, text: &str) -> Location {
        match self.sources.excerpt(location).and_then(|excerpt| excerpt.find(text)) {
            Some(offset) => {
                let start = location.start + offset;
                Location::new(location.file.clone(), start, start + text.len())
            }
            None => location.clone(),
        }
    }
}

/// Checks all definition files at once: their shape, names, references, parameters, and what the
/// lints add. Pure: the same texts give the same result.
#[must_use]
pub fn check(files: &Files, overrides: &Overrides, lints: &[&dyn Lint]) -> Checked {
    let mut sources = SourceMap::default();
    for (path, text) in files {
        sources.insert(path.as_str(), text.as_str());
    }
    let sink = Sink::default();
    let definitions = check_files(files, overrides, lints, &sources, &sink);
    let definitions = definitions.filter(|_| !sink.has_errors());
    if let Some(definitions) = &definitions {
        for lint in lints {
            sink.extend(lint.check_definitions(definitions));
        }
    }
    let definitions = definitions.filter(|_| !sink.has_errors());
    let mut diagnostics = sink.into_inner();
    diagnostics::sort(&mut diagnostics);
    Checked { definitions, diagnostics, sources }
}

/// The documents of a tree, sorted by what they define.
#[derive(Default)]
struct Documents {
    pipelines: Vec<RawPipeline>,
    stages: BTreeMap<StageId, Option<RawStage>>,
    calendars: Option<Calendars>,
    roles: Option<crate::Roles>,
    pipeline_files: usize,
}

/// The calendars by name; nothing for one that could not be read.
pub(crate) type Calendars = BTreeMap<String, Option<Calendar>>;

fn check_files(
    files: &Files,
    overrides: &Overrides,
    lints: &[&dyn Lint],
    sources: &SourceMap,
    sink: &Sink,
) -> Option<Definitions> {
    let mut documents = Documents::default();
    for (path, text) in files {
        documents.read(path, text, sink);
    }
    documents.report_missing(files, sink);
    let Documents { pipelines, stages, calendars, roles, .. } = documents;
    let context = Context { sources, sink, overrides, stages };
    parameters::check_overrides(&context);
    stages::check_all(&context);
    let resolved: Vec<Resolved> = pipelines
        .iter()
        .filter_map(|raw| pipelines::resolve(raw, calendars.as_ref(), roles.as_ref(), &context))
        .collect();
    let calendars = calendars.unwrap_or_default();
    run_lints(lints, &resolved, &calendars, sink);
    let pipelines = resolved.into_iter().map(|it| (it.pipeline.id.clone(), it.pipeline));
    Some(Definitions {
        pipelines: pipelines.collect(),
        calendars: calendars.into_iter().filter_map(|(name, it)| Some((name, it?))).collect(),
        roles: roles?,
        stages: stages::models(&context),
    })
}

impl Documents {
    fn read(&mut self, path: &str, text: &str, sink: &Sink) {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["pipeline", "calendar.toml"] => {
                self.calendars =
                    document(path, text, sink).and_then(|it| calendars::read(&it, sink));
            }
            ["pipeline", "roles.toml"] => {
                self.roles = document(path, text, sink).and_then(|it| roles::read(&it, sink));
            }
            ["pipeline", name] if name.ends_with(".toml") => {
                self.pipeline_files += 1;
                let stem = name.trim_end_matches(".toml");
                let document = document(path, text, sink);
                self.pipelines.extend(document.and_then(|it| RawPipeline::read(&it, stem, sink)));
            }
            ["stages", folder, "stage.toml"] => self.read_stage(folder, path, text, sink),
            ["pipeline", "rehearsals", ..] => {}
            _ => sink.push(
                Diagnostic::warning(codes::MISPLACED, format!("`{path}` is not read"))
                    .at(&Location::whole_file(path))
                    .help("definitions are `pipeline/<name>.toml` and `stages/<stage>/stage.toml`"),
            ),
        }
    }

    fn read_stage(&mut self, folder: &str, path: &str, text: &str, sink: &Sink) {
        match StageId::new(folder) {
            Ok(id) => {
                let document = document(path, text, sink);
                let raw = document.and_then(|it| RawStage::read(&it, folder, sink));
                self.stages.insert(id, raw);
            }
            Err(error) => {
                let at = Location::whole_file(path);
                sink.push(Diagnostic::error(codes::BAD_ID, error.to_string()).at(&at));
            }
        }
    }

    fn report_missing(&self, files: &Files, sink: &Sink) {
        if self.pipeline_files == 0 {
            sink.push(Diagnostic::error(codes::NO_PIPELINE, "there is no pipeline to check").help(
                "write `pipeline/<name>.toml`, or run this in the folder that has `pipeline/`",
            ));
        }
        for path in [CALENDARS_PATH, ROLES_PATH] {
            if !files.contains_key(path) {
                sink.push(Diagnostic::error(codes::MISSING_FILE, format!("`{path}` is missing")));
            }
        }
    }
}

/// The document, when its syntax is right: what is wrong with the rest of a file that is not TOML
/// would be a guess.
fn document(path: &str, text: &str, sink: &Sink) -> Option<crate::Value> {
    let (document, problems) = parse_document(path, text);
    let is_toml = problems.iter().all(|problem| problem.code != codes::SYNTAX);
    sink.extend(problems);
    is_toml.then_some(document)
}

fn run_lints(lints: &[&dyn Lint], resolved: &[Resolved], calendars: &Calendars, sink: &Sink) {
    let kinds: BTreeSet<&str> = lints.iter().flat_map(|lint| lint.gate_kinds()).copied().collect();
    for calendar in calendars.values().flatten() {
        for lint in lints {
            sink.extend(lint.check_calendar(calendar));
        }
    }
    for Resolved { pipeline, incomplete } in resolved {
        for phase in &pipeline.phases {
            for gate in &phase.gates {
                if !kinds.is_empty() && !kinds.contains(gate.kind.as_str()) {
                    sink.push(unknown_kind(gate, &kinds));
                }
            }
            if !incomplete.contains(&phase.id) {
                lints.iter().for_each(|lint| lint_phase(*lint, phase, pipeline, sink));
            }
        }
    }
}

fn unknown_kind(gate: &crate::Gate, kinds: &BTreeSet<&str>) -> Diagnostic {
    let help = diagnostics::suggestion(&gate.kind, kinds.iter().copied());
    Diagnostic::error(codes::UNKNOWN_KIND, format!("there is no gate kind `{}`", gate.kind))
        .at(&gate.kind_location)
        .help_if(help)
}

fn lint_phase(lint: &dyn Lint, phase: &crate::Phase, pipeline: &Pipeline, sink: &Sink) {
    for gate in phase.gates.iter().filter(|g| lint.gate_kinds().contains(&g.kind.as_str())) {
        sink.extend(lint.check_gate(gate, phase, pipeline));
    }
    sink.extend(lint.check_network(phase, pipeline));
    for operation in &phase.operations {
        sink.extend(lint.check_operation(operation, phase, pipeline));
    }
}
