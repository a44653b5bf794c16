//! Filling in a stage and those it includes.

use std::collections::BTreeMap;

use base::{Duration, GateId, Instant, PhaseId};
use diagnostics::{Diagnostic, Location, codes};

use super::Context;
use super::parameters::bind;
use super::stages::find_stage;
use super::substitute::{Scope, substitute, substitute_in};
use crate::Params;
use crate::model::{Condition, Deadline, Gate, OnFail, ParamValue, Text};
use crate::raw::{RawCondition, RawGate, RawOnFail, RawStage};
use crate::shape::parse_duration;
use crate::{Table, Value};

/// Most stages that one phase may include, counted as often as they are.
const INCLUDES_MAX: usize = 256;

/// A stage with its parameters filled in, and all that it includes.
pub(crate) struct Filled {
    pub(crate) params: BTreeMap<String, ParamValue>,
    pub(crate) network: Params,
    pub(crate) conditions: Vec<(Condition, Location)>,
    pub(crate) gates: Vec<(Gate, Option<Text>)>,
    /// The ids of all gates, also of those that could not be read.
    pub(crate) gate_ids: Vec<(GateId, Location)>,
    includes: usize,
}

/// Fills in `stage` with the values given.
pub(crate) fn fill(
    stage: &RawStage,
    given: &Value,
    used_in: &str,
    context: &Context<'_>,
) -> Filled {
    let params = bind(stage, given, None, used_in, context);
    let mut filled = Filled {
        params: params.clone(),
        network: Params::empty(stage.location.clone()),
        conditions: Vec::new(),
        gates: Vec::new(),
        gate_ids: Vec::new(),
        includes: 0,
    };
    let scope = scope_of(stage, &params);
    let network = substitute(&stage.network, &scope, context);
    filled.network = opaque(network, used_in);
    add(&mut filled, stage, &params, "", &mut vec![stage.id.as_str()], used_in, context);
    filled
}

/// The scope of a stage's texts.
pub(crate) fn scope_of<'a>(
    stage: &'a RawStage,
    values: &'a BTreeMap<String, ParamValue>,
) -> Scope<'a> {
    Scope { declared: stage.param_names.iter().map(String::as_str).collect(), values }
}

/// Adds included stages first, then the stage's own conditions and gates. Circles are reported
/// where all stages are checked; here they only have to end.
fn add<'a>(
    filled: &mut Filled,
    stage: &'a RawStage,
    values: &BTreeMap<String, ParamValue>,
    prefix: &str,
    above: &mut Vec<&'a str>,
    used_in: &str,
    context: &'a Context<'_>,
) {
    let scope = scope_of(stage, values);
    for include in &stage.includes {
        let Some(included) = find_stage(&include.stage, context) else { continue };
        if above.contains(&included.id.as_str()) {
            continue;
        }
        filled.includes += 1;
        if filled.includes > INCLUDES_MAX {
            if filled.includes == INCLUDES_MAX + 1 {
                report_too_many(&include.stage.location, context);
            }
            return;
        }
        let inner = bind(included, &include.params, Some(&scope), used_in, context);
        above.push(included.id.as_str());
        let prefix = format!("{prefix}{}.", included.id);
        add(filled, included, &inner, &prefix, above, used_in, context);
        above.pop();
    }
    for raw in &stage.conditions {
        let condition = fill_condition(raw, prefix, &scope, context);
        filled.conditions.push((condition, raw.location.clone()));
    }
    for (id, location) in &stage.gates.ids {
        filled
            .gate_ids
            .extend(prefixed(id, prefix, location, context).map(|id| (id, location.clone())));
    }
    for raw in &stage.gates.gates {
        filled.gates.extend(fill_gate(raw, prefix, &scope, used_in, context));
    }
}

/// Stages that include each other's includes over and over would fill the memory.
fn report_too_many(location: &Location, context: &Context<'_>) {
    let message = format!("a phase cannot include more than {INCLUDES_MAX} stages");
    context.sink.push(Diagnostic::error(codes::TOO_MANY_INCLUDES, message).at(location));
}

fn prefixed(
    id: &GateId,
    prefix: &str,
    location: &Location,
    context: &Context<'_>,
) -> Option<GateId> {
    match GateId::new(format!("{prefix}{id}")) {
        Ok(id) => Some(id),
        Err(error) => {
            context.sink.push(Diagnostic::error(codes::BAD_ID, error.to_string()).at(location));
            None
        }
    }
}

/// A condition with its parameters filled in.
pub(crate) fn fill_condition(
    raw: &RawCondition,
    prefix: &str,
    scope: &Scope<'_>,
    context: &Context<'_>,
) -> Condition {
    Condition {
        name: format!("{prefix}{}", raw.name),
        title: substitute_in(&raw.title, scope, context).value,
        query: substitute_in(&raw.query, scope, context),
    }
}

/// A gate with its parameters filled in, and the phase that it resets to, which is resolved where
/// the phases are known.
pub(crate) fn fill_gate(
    raw: &RawGate,
    prefix: &str,
    scope: &Scope<'_>,
    used_in: &str,
    context: &Context<'_>,
) -> Option<(Gate, Option<Text>)> {
    let fill = |text: &Text| substitute_in(text, scope, context);
    // What does not parse is reported; the gate is read all the same.
    let max_age =
        raw.max_age.as_ref().map(fill).and_then(|text| parse_duration(&text, context.sink));
    let deadline = raw.deadline.as_ref().map(fill).and_then(|text| parse_deadline(&text, context));
    let reset = match &raw.on_fail {
        RawOnFail::Hold => None,
        RawOnFail::Reset(phase) => Some(phase.clone()),
    };
    let gate = Gate {
        id: prefixed(&raw.id, prefix, &raw.location, context)?,
        title: fill(&raw.title).value,
        kind: raw.kind.value.clone(),
        kind_location: raw.kind.location.clone(),
        track: raw.track,
        on: raw.on,
        params: opaque(substitute(&raw.params, scope, context), used_in),
        advisory: raw.advisory,
        on_fail: OnFail::Hold,
        max_age,
        deadline,
        owner: raw.owner.as_ref().map(|owner| owner.value.clone()),
        why: fill(&raw.why).value,
        control: raw.control.clone(),
        location: raw.location.clone(),
    };
    Some((gate, reset))
}

fn parse_deadline(text: &Text, context: &Context<'_>) -> Option<Deadline> {
    if let Ok(at) = text.value.parse::<Instant>() {
        return Some(Deadline::At(at));
    }
    match text.value.parse::<Duration>() {
        Ok(length) if length.is_positive() => Some(Deadline::After(length)),
        _ => {
            let message = format!("`{}` is neither an instant nor a positive duration", text.value);
            context.sink.push(
                Diagnostic::error(codes::BAD_TIME, message)
                    .at(&text.location)
                    .help("write `\"72h\"` after the entry, or `\"2027-02-01T00:00:00Z\"`"),
            );
            None
        }
    }
}

/// A table for another crate to read.
pub(crate) fn opaque(value: Value, used_in: &str) -> Params {
    let location = value.location.clone();
    let table = match value.kind {
        crate::ValueKind::Table(table) => table,
        _ => Table::default(),
    };
    Params::new(table, location, Some(used_in.to_owned()))
}

/// The note that says where a value is used.
pub(crate) fn used_in(phase: &PhaseId, pipeline: &base::PipelineId) -> String {
    format!("in phase `{phase}` of {pipeline}")
}
