//! Resolving a pipeline: stages, order of phases, gates that hypotheses and resets name.

use std::collections::{BTreeMap, BTreeSet};

use base::{GateId, Instant, PhaseId, StageId};
use diagnostics::{Diagnostic, Location, codes, suggestion};

use super::include::{Filled, fill, fill_condition, fill_gate, opaque, used_in};
use super::order::topological;
use super::parameters::scaled_duration;
use super::stages::{check_stage_name, find_stage};
use super::substitute::{Scope, substitute, substitute_in, uses_parameters};
use super::{CALENDARS_PATH, Calendars, Context};
use crate::Params;
use crate::model::{
    Gate, GateRef, Hypothesis, OnFail, Operation, Phase, Pipeline, Rehearsal, Roles, Server, Text,
};
use crate::raw::{RawOperation, RawPhase, RawPipeline, report_duplicates};
use crate::shape::parse_duration;

/// The gates that each phase has, also those that could not be read; nothing for a phase whose
/// gates are not known because its stage is not.
type GateIds = BTreeMap<PhaseId, Option<Vec<GateId>>>;

/// A pipeline with everything resolved that can be.
pub(crate) struct Resolved {
    pub(crate) pipeline: Pipeline,
    /// Phases whose parameters could not all be filled in: lints would report what follows from it.
    pub(crate) incomplete: BTreeSet<PhaseId>,
}

/// Resolves a pipeline. Nothing when its phases have no order. `calendars` is nothing when their
/// file could not be read.
pub(crate) fn resolve(
    raw: &RawPipeline,
    calendars: Option<&Calendars>,
    roles: Option<&Roles>,
    context: &Context<'_>,
) -> Option<Resolved> {
    check_calendar(&raw.calendar, calendars, context);
    let order = order_phases(raw, context);
    let mut gate_ids: GateIds = raw.phase_ids.iter().map(|(id, _)| (id.clone(), None)).collect();
    let mut phases = Vec::new();
    let mut incomplete = BTreeSet::new();
    for phase in &raw.phases {
        check_stage_name(&phase.stage, context);
        let Some(stage) = find_stage(&phase.stage, context) else { continue };
        let used_in = used_in(&phase.id, &raw.id);
        let errors = context.sink.errors();
        let mut filled = fill(stage, &phase.params, &used_in, context);
        add_own(&mut filled, phase, &used_in, context);
        if context.sink.errors() > errors || filled.params.len() < stage.param_names.len() {
            incomplete.insert(phase.id.clone());
        }
        gate_ids.insert(phase.id.clone(), known_gates(&filled));
        let resolved = Resolving { raw, context, roles };
        phases.push(resolved.phase(phase, &stage.id, filled, &used_in));
    }
    super::servers::check(&phases, &raw.servers, context);
    let hypotheses = resolve_hypotheses(raw, &gate_ids, context);
    let rehearsal = resolve_rehearsal(raw, context);
    let order = order?;
    phases.sort_by_key(|phase| order.iter().position(|id| *id == phase.id));
    let pipeline = Pipeline {
        id: raw.id.clone(),
        title: raw.title.clone(),
        summary: raw.summary.clone(),
        calendar: raw.calendar.value.clone(),
        hypotheses,
        servers: servers_of(raw),
        phases,
        rehearsal,
        location: raw.location.clone(),
    };
    Some(Resolved { pipeline, incomplete })
}

fn servers_of(raw: &RawPipeline) -> BTreeMap<String, Server> {
    let read = |(name, server): (&String, &Option<Server>)| Some((name.clone(), server.clone()?));
    raw.servers.iter().filter_map(read).collect()
}

fn known_gates(filled: &Filled) -> Option<Vec<GateId>> {
    Some(filled.gate_ids.iter().map(|(id, _)| id.clone()).collect())
}

fn check_calendar(name: &Text, calendars: Option<&Calendars>, context: &Context<'_>) {
    let Some(calendars) = calendars else { return };
    if !calendars.contains_key(&name.value) {
        let message = format!("`{CALENDARS_PATH}` has no calendar `{}`", name.value);
        let help = suggestion(&name.value, calendars.keys().map(String::as_str));
        context.sink.push(
            Diagnostic::error(codes::UNKNOWN_CALENDAR, message).at(&name.location).help_if(help),
        );
    }
}

/// The ids of the phases in their order. Unknown phases and circles are reported.
fn order_phases(raw: &RawPipeline, context: &Context<'_>) -> Option<Vec<PhaseId>> {
    for phase in &raw.phases {
        for before in &phase.after {
            check_phase_name(before, raw, context);
        }
        let names = phase.after.iter().map(|text| (text.value.as_str(), &text.location));
        report_duplicates("upstream phase", names, context.sink);
    }
    let graph: Vec<(&PhaseId, Vec<&PhaseId>)> =
        raw.phases.iter().map(|phase| (&phase.id, upstream_of(phase, raw))).collect();
    match topological(&graph) {
        Ok(order) => Some(order.iter().map(|index| graph[*index].0.clone()).collect()),
        Err(cycle) => {
            report_cycle(raw, &cycle, context);
            None
        }
    }
}

fn upstream_of<'a>(phase: &RawPhase, raw: &'a RawPipeline) -> Vec<&'a PhaseId> {
    let named = |before: &Text| {
        raw.phases.iter().map(|phase| &phase.id).find(|id| id.as_str() == before.value)
    };
    phase.after.iter().filter_map(named).collect()
}

fn check_phase_name(name: &Text, raw: &RawPipeline, context: &Context<'_>) -> bool {
    let known = raw.phase_ids.iter().map(|(id, _)| id.as_str());
    let found = known.clone().any(|id| id == name.value);
    // Without all ids, the name may be that of a phase whose id is reported already.
    if !found && raw.phase_ids_complete {
        let message = format!("pipeline `{}` has no phase `{}`", raw.id, name.value);
        context.sink.push(
            Diagnostic::error(codes::UNKNOWN_PHASE, message)
                .at(&name.location)
                .help_if(suggestion(&name.value, known)),
        );
    }
    found
}

fn report_cycle(raw: &RawPipeline, cycle: &[PhaseId], context: &Context<'_>) {
    let names: Vec<&str> = cycle.iter().map(PhaseId::as_str).collect();
    let message = format!("phases wait for each other: {}", names.join(" → "));
    let location = |id: &PhaseId| raw.phases.iter().find(|p| p.id == *id).map(|p| &p.location);
    let mut diagnostic = Diagnostic::error(codes::PHASE_CYCLE, message);
    for (position, pair) in cycle.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let Some(at) = location(after) else { continue };
        let text = format!("waits for `{before}`");
        diagnostic =
            if position == 0 { diagnostic.at_with(at, text) } else { diagnostic.label(at, text) };
    }
    let help = "remove one of these phases from an `after`";
    context.sink.push(diagnostic.help(help));
}

/// Adds the conditions and gates that the phase itself has.
fn add_own(filled: &mut Filled, phase: &RawPhase, used_in: &str, context: &Context<'_>) {
    let params = filled.params.clone();
    let scope = scope_of_phase(&params, phase, context);
    for raw in &phase.conditions {
        let condition = fill_condition(raw, "", &scope, context);
        filled.conditions.push((condition, raw.location.clone()));
    }
    filled.gate_ids.extend(phase.gates.ids.iter().cloned());
    for raw in &phase.gates.gates {
        filled.gates.extend(fill_gate(raw, "", &scope, used_in, context));
    }
}

/// A phase's own texts may use the parameters of its stage.
fn scope_of_phase<'a>(
    values: &'a BTreeMap<String, crate::ParamValue>,
    phase: &RawPhase,
    context: &'a Context<'_>,
) -> Scope<'a> {
    let declared = find_stage(&phase.stage, context)
        .map(|stage| stage.param_names.iter().map(String::as_str).collect())
        .unwrap_or_default();
    Scope { declared, values }
}

struct Resolving<'a> {
    raw: &'a RawPipeline,
    context: &'a Context<'a>,
    roles: Option<&'a Roles>,
}

impl Resolving<'_> {
    fn phase(&self, raw: &RawPhase, stage: &StageId, filled: Filled, used_in: &str) -> Phase {
        let sink = self.context.sink;
        let ids = filled.gate_ids.iter().map(|(id, at)| (id.as_str(), at));
        report_duplicates("gate", ids, sink);
        let names = filled.conditions.iter().map(|(it, at)| (it.name.as_str(), at));
        report_duplicates("condition", names, sink);
        let operations = self.operations(raw, &filled, used_in);
        let gates = filled.gates.into_iter().map(|(gate, reset)| self.gate(raw, gate, reset));
        let conditions = filled.conditions.into_iter().map(|(it, _)| (it.name.clone(), it));
        Phase {
            id: raw.id.clone(),
            title: raw.title.clone(),
            summary: raw.summary.clone(),
            stage: stage.clone(),
            after: upstream_of(raw, self.raw).into_iter().cloned().collect(),
            gates: gates.collect(),
            conditions: conditions.collect(),
            operations,
            params: filled.params,
            network: filled.network,
            location: raw.location.clone(),
        }
    }

    fn gate(&self, phase: &RawPhase, gate: Gate, reset: Option<Text>) -> Gate {
        self.check_owner(&gate);
        let on_fail = match reset {
            None => OnFail::Hold,
            Some(target) => OnFail::Reset(self.reset_target(phase, &target)),
        };
        Gate { on_fail, ..gate }
    }

    /// The phase that a failure resets to: the gate's own, or one before it.
    fn reset_target(&self, phase: &RawPhase, target: &Text) -> PhaseId {
        if target.value == "self" || target.value == phase.id.as_str() {
            return phase.id.clone();
        }
        if check_phase_name(target, self.raw, self.context)
            && !self.upstream(phase).iter().any(|id| id.as_str() == target.value)
        {
            let message = format!("phase `{}` does not come before `{}`", target.value, phase.id);
            self.context.sink.push(
                Diagnostic::error(codes::NOT_UPSTREAM, message).at(&target.location).help(
                    "a gate resets its own phase (`\"self\"`) or one that its phase waits for",
                ),
            );
        }
        PhaseId::new(target.value.clone()).unwrap_or_else(|_| phase.id.clone())
    }

    /// All phases that come before `phase`; ends also when they wait in a circle.
    fn upstream(&self, phase: &RawPhase) -> Vec<&PhaseId> {
        let mut found = upstream_of(phase, self.raw);
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            next += 1;
            let Some(before) = self.raw.phases.iter().find(|it| it.id == *id) else { continue };
            for id in upstream_of(before, self.raw) {
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found
    }

    fn check_owner(&self, gate: &Gate) {
        let (Some(owner), Some(roles)) = (&gate.owner, self.roles) else { return };
        let people = roles.principals.iter().map(|principal| principal.id.as_str());
        let mut known = people.chain(roles.roles.keys().map(String::as_str));
        if known.clone().any(|name| name == owner) {
            return;
        }
        let help = diagnostics::suggest(owner, known.by_ref());
        self.context.sink.push(
            Diagnostic::warning(
                codes::UNKNOWN_PRINCIPAL,
                format!("the owner `{owner}` of gate `{}` is no role and no principal", gate.id),
            )
            .at(&gate.location)
            .help_if(help.map(|near| format!("did you mean `{near}`?"))),
        );
    }

    fn operations(&self, phase: &RawPhase, filled: &Filled, used_in: &str) -> Vec<Operation> {
        let scope = scope_of_phase(&filled.params, phase, self.context);
        let mut operations: Vec<Operation> = phase
            .operations
            .iter()
            .filter_map(|raw| operation(raw, &scope, used_in, self.context))
            .collect();
        operations.sort_by_key(|operation| (operation.track, operation.at));
        operations
    }
}

fn operation(
    raw: &RawOperation,
    scope: &Scope<'_>,
    used_in: &str,
    context: &Context<'_>,
) -> Option<Operation> {
    let literal = !uses_parameters(&crate::Value {
        kind: crate::ValueKind::Text(raw.at.value.clone()),
        location: raw.at.location.clone(),
    });
    let at = parse_duration(&substitute_in(&raw.at, scope, context), context.sink)?;
    // A parameter is scaled already.
    let factor = if literal { context.time_scale() } else { 1.0 };
    let action: Params = opaque(substitute(&raw.action, scope, context), used_in);
    Some(Operation {
        id: raw.id.clone(),
        track: raw.track,
        at: scaled_duration(at, factor),
        action,
        location: raw.location.clone(),
    })
}

fn resolve_hypotheses(
    raw: &RawPipeline,
    gate_ids: &GateIds,
    context: &Context<'_>,
) -> Vec<Hypothesis> {
    let resolve = |text: &Text| resolve_gate_ref(text, raw, gate_ids, context);
    raw.hypotheses
        .iter()
        .map(|hypothesis| Hypothesis {
            id: hypothesis.id.clone(),
            statement: hypothesis.statement.clone(),
            gates: hypothesis.gates.iter().filter_map(resolve).collect(),
        })
        .collect()
}

fn resolve_gate_ref(
    text: &Text,
    raw: &RawPipeline,
    gate_ids: &GateIds,
    context: &Context<'_>,
) -> Option<GateRef> {
    let Some((phase, gate)) = text.value.split_once('/') else {
        let message = format!("`{}` does not name a gate", text.value);
        context.sink.push(
            Diagnostic::error(codes::BAD_VALUE, message)
                .at(&text.location)
                .help("write `\"<phase>/<gate>\"`"),
        );
        return None;
    };
    let part = |part: &str| Text { value: part.to_owned(), location: text.location.clone() };
    if !check_phase_name(&part(phase), raw, context) {
        return None;
    }
    let phase = PhaseId::new(phase).ok()?;
    if let Some(known) = gate_ids.get(&phase)?
        && !known.iter().any(|id| id.as_str() == gate)
    {
        report_unknown_gate(&phase, gate, known, &text.location, context);
        return None;
    }
    Some(GateRef { phase, gate: GateId::new(gate).ok()? })
}

fn report_unknown_gate(
    phase: &PhaseId,
    gate: &str,
    known: &[GateId],
    location: &Location,
    context: &Context<'_>,
) {
    let message = format!("phase `{phase}` has no gate `{gate}`");
    context.sink.push(
        Diagnostic::error(codes::UNKNOWN_GATE, message)
            .at(location)
            .help_if(suggestion(gate, known.iter().map(GateId::as_str))),
    );
}

fn resolve_rehearsal(raw: &RawPipeline, context: &Context<'_>) -> Option<Rehearsal> {
    let (start, script) = raw.rehearsal.as_ref()?;
    match start.value.parse::<Instant>() {
        Ok(start) => Some(Rehearsal { start, script: script.clone() }),
        Err(error) => {
            let diagnostic = Diagnostic::error(codes::BAD_TIME, error.to_string());
            context.sink.push(diagnostic.at(&start.location));
            None
        }
    }
}
