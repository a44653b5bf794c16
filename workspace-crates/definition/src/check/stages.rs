//! Checks of stages by themselves, whether a phase uses them or not.

use std::collections::{BTreeMap, BTreeSet};

use base::StageId;
use diagnostics::{Diagnostic, Location, codes, suggestion};

use super::Context;
use super::parameters::{check_declaration, typed};
use super::substitute::{references, visit_texts};
use crate::model::{Stage, StageParam, Text};
use crate::raw::RawStage;

/// The stage of this name; nothing when it is unknown or could not be read.
pub(crate) fn find_stage<'a>(name: &Text, context: &'a Context<'_>) -> Option<&'a RawStage> {
    context.stages.iter().find(|(id, _)| id.as_str() == name.value).and_then(|(_, it)| it.as_ref())
}

/// Reports a stage that does not exist. One that could not be read does exist.
pub(crate) fn check_stage_name(name: &Text, context: &Context<'_>) {
    if !context.stages.keys().any(|id| id.as_str() == name.value) {
        let help = suggestion(&name.value, context.stages.keys().map(StageId::as_str));
        context.sink.push(
            Diagnostic::error(codes::UNKNOWN_STAGE, format!("there is no stage `{}`", name.value))
                .at(&name.location)
                .help_if(help),
        );
    }
}

/// Checks every stage.
pub(crate) fn check_all(context: &Context<'_>) {
    for stage in context.stages.values().flatten() {
        for (name, param) in &stage.params {
            check_declaration(name, param, context);
        }
        for include in &stage.includes {
            check_stage_name(&include.stage, context);
        }
        check_references(stage, context);
        check_include_cycle(stage, context);
    }
}

/// Every `${…}` names a parameter, and every parameter is named.
fn check_references(stage: &RawStage, context: &Context<'_>) {
    let declared: Vec<&str> = stage.param_names.iter().map(String::as_str).collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    visit_stage_texts(stage, &mut |text, location| {
        used.extend(references(text, location, &declared, context));
    });
    for (name, param) in stage.params.iter().filter(|(name, _)| !used.contains(*name)) {
        let message = format!("parameter `{name}` is never used");
        context.sink.push(
            Diagnostic::warning(codes::UNUSED_PARAMETER, message)
                .at(&param.location)
                .help(format!("use `${{{name}}}` in the stage, or remove the parameter")),
        );
    }
}

fn visit_stage_texts(stage: &RawStage, visit: &mut impl FnMut(&str, &Location)) {
    visit_texts(&stage.network, visit);
    for include in &stage.includes {
        visit_texts(&include.params, visit);
    }
    for condition in &stage.conditions {
        visit(&condition.title.value, &condition.title.location);
        visit(&condition.query.value, &condition.query.location);
    }
    for gate in &stage.gates.gates {
        let texts =
            [Some(&gate.title), Some(&gate.why), gate.max_age.as_ref(), gate.deadline.as_ref()];
        for text in texts.into_iter().flatten() {
            visit(&text.value, &text.location);
        }
        visit_texts(&gate.params, visit);
    }
}

/// Reports a circle of includes once, at the stage whose name comes first in it.
fn check_include_cycle(stage: &RawStage, context: &Context<'_>) {
    let mut path = vec![stage.id.as_str()];
    if let Some(location) = find_cycle(stage, &mut path, &mut BTreeSet::new(), context)
        && path.iter().min() == path.first()
    {
        path.push(stage.id.as_str());
        let message = format!("stages include each other: {}", path.join(" → "));
        context.sink.push(Diagnostic::error(codes::INCLUDE_CYCLE, message).at(&location));
    }
}

/// Follows includes until the first stage of `path` comes again; `path` is then the circle. A stage
/// that was `seen` does not lead there.
fn find_cycle<'a>(
    stage: &'a RawStage,
    path: &mut Vec<&'a str>,
    seen: &mut BTreeSet<&'a str>,
    context: &'a Context<'_>,
) -> Option<Location> {
    for include in &stage.includes {
        let name = include.stage.value.as_str();
        if path.first() == Some(&name) {
            return Some(include.stage.location.clone());
        }
        let Some(included) = find_stage(&include.stage, context) else { continue };
        if !seen.insert(name) {
            continue;
        }
        path.push(included.id.as_str());
        if let Some(location) = find_cycle(included, path, seen, context) {
            return Some(location);
        }
        path.pop();
    }
    None
}

/// The stages as the model has them.
pub(crate) fn models(context: &Context<'_>) -> BTreeMap<StageId, Stage> {
    context.stages.values().flatten().map(|raw| (raw.id.clone(), model(raw))).collect()
}

fn model(raw: &RawStage) -> Stage {
    let params = raw.params.iter().map(|(name, param)| {
        let declared = StageParam {
            name: name.clone(),
            type_name: param.kind.word(),
            default: param.default.as_ref().and_then(|value| typed(param.kind, value).ok()),
            doc: param.doc.clone(),
            location: param.location.clone(),
        };
        (name.clone(), declared)
    });
    let include = |name: &Text| StageId::new(name.value.clone()).ok();
    Stage {
        id: raw.id.clone(),
        title: raw.title.clone(),
        summary: raw.summary.clone(),
        params: params.collect(),
        includes: raw.includes.iter().filter_map(|it| include(&it.stage)).collect(),
        location: raw.location.clone(),
    }
}
