use base::{PhaseId, PipelineId};
use diagnostics::{Diagnostic, Location, codes};

use super::gate::{read_condition, read_operation};
use super::{
    RawCondition, RawGates, RawOperation, RawServers, check_name, empty_table, read_servers,
    report_duplicates, schema_is_known,
};
use crate::Value;
use crate::model::Text;
use crate::shape::{Shape, Sink};

/// A pipeline whose references are not resolved.
#[derive(Debug, Clone)]
pub(crate) struct RawPipeline {
    pub(crate) id: PipelineId,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) calendar: Text,
    pub(crate) hypotheses: Vec<RawHypothesis>,
    pub(crate) phases: Vec<RawPhase>,
    /// The ids of all phases, also of those that could not be read.
    pub(crate) phase_ids: Vec<(PhaseId, Location)>,
    /// Whether every phase has an id that could be read.
    pub(crate) phase_ids_complete: bool,
    pub(crate) servers: RawServers,
    pub(crate) rehearsal: Option<(Text, Text)>,
    pub(crate) location: Location,
}

#[derive(Debug, Clone)]
pub(crate) struct RawHypothesis {
    pub(crate) id: String,
    pub(crate) statement: String,
    pub(crate) gates: Vec<Text>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawPhase {
    pub(crate) id: PhaseId,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) stage: Text,
    pub(crate) after: Vec<Text>,
    pub(crate) params: Value,
    pub(crate) conditions: Vec<RawCondition>,
    pub(crate) gates: RawGates,
    pub(crate) operations: Vec<RawOperation>,
    pub(crate) location: Location,
}

impl RawPipeline {
    /// Reads `pipeline/<stem>.toml`.
    pub(crate) fn read(document: &Value, stem: &str, sink: &Sink) -> Option<Self> {
        let shape = Shape::of(document, "a pipeline", sink)?;
        if !schema_is_known(&shape, sink) {
            return None;
        }
        let name = shape.id::<PipelineId>("name");
        if let Some((name, location)) = &name {
            check_name(name.as_str(), stem, location, sink);
        }
        let title = shape.text("title");
        let summary = shape.text("summary");
        let calendar = shape.text("calendar");
        let hypotheses = read_hypotheses(shape.list("hypothesis"), sink);
        let servers = read_servers(shape.entries("servers"), sink);
        let (phase_ids, phases) = read_phases(&shape, sink);
        let rehearsal = shape.optional_table("rehearsal").map(|table| read_rehearsal(table, sink));
        shape.finish();
        let (id, location) = name?;
        Some(Self {
            id,
            title: title?.value,
            summary: summary?.value,
            calendar: calendar?,
            hypotheses,
            phases,
            phase_ids_complete: phase_ids.len() == shape.list("phase").len(),
            phase_ids,
            servers,
            rehearsal: match rehearsal {
                Some(read) => Some(read?),
                None => None,
            },
            location,
        })
    }
}

fn read_hypotheses(items: &[Value], sink: &Sink) -> Vec<RawHypothesis> {
    let mut names = Vec::new();
    let mut read = Vec::new();
    for item in items {
        let Some(shape) = Shape::of(item, "a hypothesis", sink) else { continue };
        let id = shape.id::<PhaseId>("id");
        let statement = shape.text("statement");
        let gates = shape.required("gates").map(|_| shape.texts("gates"));
        shape.finish();
        if gates.as_ref().is_some_and(Vec::is_empty) {
            let message = "a hypothesis needs at least one gate that answers it";
            sink.push(Diagnostic::error(codes::EMPTY, message).at(shape.location));
        }
        let (Some((id, location)), Some(statement), Some(gates)) = (id, statement, gates) else {
            continue;
        };
        names.push((id.as_str().to_owned(), location));
        let id = id.as_str().to_owned();
        read.push(RawHypothesis { id, statement: statement.value, gates });
    }
    report_duplicates("hypothesis", names.iter().map(|(id, at)| (id.as_str(), at)), sink);
    read
}

fn read_phases(shape: &Shape<'_>, sink: &Sink) -> (Vec<(PhaseId, Location)>, Vec<RawPhase>) {
    let mut ids = Vec::new();
    let mut phases: Vec<RawPhase> = Vec::new();
    for item in shape.list("phase") {
        let Some(shape) = Shape::of(item, "a phase", sink) else { continue };
        let id = shape.id::<PhaseId>("id");
        ids.extend(id.clone());
        if let Some(phase) = read_phase(&shape, id, sink)
            && phases.iter().all(|earlier| earlier.id != phase.id)
        {
            phases.push(phase);
        }
    }
    if shape.table.get("phase").is_none() {
        shape.missing("`[[phase]]`");
    }
    report_duplicates("phase", ids.iter().map(|(id, at)| (id.as_str(), at)), sink);
    (ids, phases)
}

fn read_phase(shape: &Shape<'_>, id: Option<(PhaseId, Location)>, sink: &Sink) -> Option<RawPhase> {
    let title = shape.text("title");
    let summary = shape.text("summary");
    let stage = shape.text("stage");
    let after = shape.texts("after");
    let params = shape.optional_table("params").cloned();
    let conditions = shape
        .entries("conditions")
        .iter()
        .filter_map(|entry| read_condition(entry, sink))
        .collect();
    let operations: Vec<RawOperation> =
        shape.list("operation").iter().filter_map(|item| read_operation(item, sink)).collect();
    let gates = RawGates::read(shape.list("gate"), sink);
    shape.finish();
    report_duplicates("operation", operations.iter().map(|o| (o.id.as_str(), &o.location)), sink);
    let (id, location) = id?;
    Some(RawPhase {
        id,
        title: title?.value,
        summary: summary?.value,
        stage: stage?,
        after,
        params: params.unwrap_or_else(|| empty_table(&location)),
        conditions,
        gates,
        operations,
        location,
    })
}

/// The start and the script of a rehearsal.
fn read_rehearsal(table: &Value, sink: &Sink) -> Option<(Text, Text)> {
    let shape = Shape::of(table, "`[rehearsal]`", sink)?;
    let start = shape.text("start");
    let script = shape.text("script");
    shape.finish();
    Some((start?, script?))
}
