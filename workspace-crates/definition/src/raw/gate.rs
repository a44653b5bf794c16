use base::{GateId, Track};
use diagnostics::{Diagnostic, Location, codes};

use super::report_duplicates;
use crate::model::{Control, Side, Text};
use crate::shape::{Shape, Sink, parse_choice, read_text, wrong_type};
use crate::{Entry, Value, ValueKind};

const TRACKS: [(&str, Track); 2] = [("internal", Track::Internal), ("public", Track::Public)];
const SIDES: [(&str, Side); 2] = [("entry", Side::Entry), ("exit", Side::Exit)];

/// A gate whose texts may still contain `${…}`.
#[derive(Debug, Clone)]
pub(crate) struct RawGate {
    pub(crate) id: GateId,
    pub(crate) title: Text,
    pub(crate) kind: Text,
    pub(crate) track: Track,
    pub(crate) on: Side,
    pub(crate) params: Value,
    pub(crate) advisory: bool,
    pub(crate) on_fail: RawOnFail,
    pub(crate) max_age: Option<Text>,
    pub(crate) deadline: Option<Text>,
    pub(crate) owner: Option<Text>,
    pub(crate) why: Text,
    pub(crate) control: Control,
    pub(crate) location: Location,
}

#[derive(Debug, Clone)]
pub(crate) enum RawOnFail {
    Hold,
    Reset(Text),
}

/// The gates of one file. `ids` also has those that could not be read, so that naming one of
/// them is not reported as a second mistake.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawGates {
    pub(crate) ids: Vec<(GateId, Location)>,
    pub(crate) gates: Vec<RawGate>,
}

#[derive(Debug, Clone)]
pub(crate) struct RawCondition {
    pub(crate) name: String,
    pub(crate) title: Text,
    pub(crate) query: Text,
    pub(crate) location: Location,
}

#[derive(Debug, Clone)]
pub(crate) struct RawOperation {
    pub(crate) id: String,
    pub(crate) track: Track,
    pub(crate) at: Text,
    pub(crate) action: Value,
    pub(crate) location: Location,
}

impl RawGates {
    pub(crate) fn read(items: &[Value], sink: &Sink) -> Self {
        let mut read = Self::default();
        for item in items {
            let Some(shape) = Shape::of(item, "a gate", sink) else { continue };
            let id = shape.id::<GateId>("id");
            read.ids.extend(id.clone());
            read.gates.extend(read_gate(&shape, id.map(|(id, _)| id), sink));
        }
        report_duplicates("gate", read.ids.iter().map(|(id, at)| (id.as_str(), at)), sink);
        read
    }
}

/// Reads every key before it gives up, so that all of a gate's mistakes are reported.
fn read_gate(shape: &Shape<'_>, id: Option<GateId>, sink: &Sink) -> Option<RawGate> {
    let title = shape.text("title");
    let kind = shape.text("kind");
    let track = shape.choice("track", &TRACKS);
    let on = shape.choice("on", &SIDES);
    let params = read_condition_of(shape, sink);
    let advisory = shape.flag("advisory");
    let on_fail = match shape.optional("on_fail") {
        Some(entry) => read_on_fail(&entry.value, sink),
        None => Some(RawOnFail::Hold),
    };
    let max_age = shape.optional_text("max_age");
    let deadline = shape.optional_text("deadline");
    let owner = shape.optional_text("owner");
    let why = shape.text("why");
    let control = read_control(shape, sink);
    shape.finish();
    Some(RawGate {
        id: id?,
        title: title?,
        kind: kind?,
        track: track?,
        on: on?,
        params: params?,
        advisory: advisory?,
        on_fail: on_fail?,
        max_age,
        deadline,
        owner,
        why: why?,
        control: control?,
        location: shape.location.clone(),
    })
}

/// The parameters are the condition that a gate judges: a gate without any would always pass.
fn read_condition_of(shape: &Shape<'_>, sink: &Sink) -> Option<Value> {
    let value = match shape.optional("params") {
        Some(entry) => shape.optional_table("params").map(|table| (table, &entry.key_location)),
        None => {
            let message = "a gate without `params` has no condition to judge";
            sink.push(Diagnostic::error(codes::NO_CONDITION, message).at(shape.location));
            None
        }
    };
    let (table, _) = value?;
    if table.as_table().is_some_and(crate::Table::is_empty) {
        let message = "a gate with empty `params` has no condition to judge";
        sink.push(Diagnostic::error(codes::NO_CONDITION, message).at(&table.location));
        return None;
    }
    Some(table.clone())
}

fn read_on_fail(value: &Value, sink: &Sink) -> Option<RawOnFail> {
    match &value.kind {
        ValueKind::Text(word) => {
            let text = Text { value: word.clone(), location: value.location.clone() };
            parse_choice(&text, &[("hold", ())], sink).map(|()| RawOnFail::Hold)
        }
        ValueKind::Table(_) => {
            let shape = Shape::of(value, "`on_fail`", sink)?;
            let phase = shape.text("reset");
            shape.finish();
            phase.map(RawOnFail::Reset)
        }
        _ => {
            sink.push(wrong_type(value, "`\"hold\"` or `{ reset = \"…\" }`"));
            None
        }
    }
}

fn read_control(shape: &Shape<'_>, sink: &Sink) -> Option<Control> {
    let defect = shape.optional("defect");
    let sample = shape.optional("bad_sample");
    match (defect, sample) {
        (Some(defect), None) => Some(Control::Defect(read_text(&defect.value, sink)?.value)),
        (None, Some(sample)) => Some(Control::BadSample(read_text(&sample.value, sink)?.value)),
        (Some(defect), Some(sample)) => {
            sink.push(
                Diagnostic::error(codes::CONFLICT, "a gate has either `defect` or `bad_sample`")
                    .at(&sample.key_location)
                    .label(&defect.key_location, "the other is here"),
            );
            None
        }
        (None, None) => {
            let message = "a gate has to name what must make it fail";
            sink.push(Diagnostic::error(codes::NO_CONTROL, message).at(shape.location).help(
                "add `defect = \"…\"` (of the reference network) or `bad_sample = \"…\"` (a file)",
            ));
            None
        }
    }
}

pub(crate) fn read_condition(entry: &Entry, sink: &Sink) -> Option<RawCondition> {
    let shape = Shape::of(&entry.value, "a condition", sink)?;
    let title = shape.text("title");
    let query = shape.text("query");
    shape.finish();
    let name = Text { value: entry.key.clone(), location: entry.key_location.clone() };
    // A condition is named like a gate, because it is found through one.
    let name: Option<GateId> = crate::shape::parse_id(&name, sink);
    Some(RawCondition {
        name: name?.as_str().to_owned(),
        title: title?,
        query: query?,
        location: entry.key_location.clone(),
    })
}

pub(crate) fn read_operation(item: &Value, sink: &Sink) -> Option<RawOperation> {
    let shape = Shape::of(item, "an operation", sink)?;
    let id = shape.id::<GateId>("id");
    let track = shape.choice("track", &TRACKS);
    let at = shape.text("at");
    let action = shape.required("action").and_then(|_| shape.optional_table("action"));
    shape.finish();
    let (id, location) = id?;
    let id = id.as_str().to_owned();
    Some(RawOperation { id, track: track?, at: at?, action: action?.clone(), location })
}
